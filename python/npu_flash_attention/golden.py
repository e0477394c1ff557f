r"""The operator as mathematics: fused attention, forward and backward, in float64 PyTorch on the CPU.

This is the referee. It shares no code with any backend, imports nothing but torch, never rounds, and expects valid
arguments (validation lives with the operators). One query head of one sequence, with queries q (rows i), keys k and
values v (rows j, shared by a group of query heads), is

    forward                                           backward, given dy and the saved pair (m, l)
    s_ij  = q_i . k_j                                 p_ij  = exp(x_ij - m_i) / l_i
    x_ij  = (s_ij + bias_ij) * scale   pse_type 1     dv_j  = sum_i  c_ij p_ij dy_i
            s_ij * scale + bias_ij     pse_type 0,2,3 dp_ij = c_ij (dy_i . v_j)
            absent                     if hidden      D_i   = dy_i . y_i
    m_i   = max_j x_ij          (and sink)            ds_ij = p_ij (dp_ij - D_i)
    l_i   = sum_j exp(x_ij - m_i)  (+ exp(sink-m_i))  dq_i  = scale sum_j ds_ij k_j
    c_ij  = keep_ij / keep_prob                       dk_j  = scale sum_i ds_ij q_i
    y_i   = sum_j c_ij exp(x_ij - m_i) v_j / l_i      dsink = -sum_i exp(sink - m_i) / l_i D_i

with dbias_ij = scale ds_ij for pse_type 1 and ds_ij otherwise. docs/derivation.md derives it. A row that sees no key
and has no sink gives y = 0, m = lowest finite float32, l = largest finite float32, and zero gradients. A score of
minus infinity hides its element as the mask does. Memory is bounded by working on a few query rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

UNBOUNDED = 2147483647  # pre_tokens or next_tokens that does not limit anything
EMPTY_ROW_MAX = -3.4028234663852886e38  # lowest finite float32
EMPTY_ROW_SUM = 3.4028234663852886e38  # largest finite float32
STATISTIC_COLUMNS = 8  # equal copies of every row statistic
TABLE_ROWS = 1024  # query rows stored by a compressed ALiBi table
CHUNK_SCORES = 1 << 20  # scores held at a time: 8 MiB per float64 matrix
CHUNK_GROUPS = 1 << 18  # Philox groups held at a time when a whole stream of bits is made


class Forward(NamedTuple):
    """What the forward gives, all float64. Statistics are [B, N, Sq, 8], or [T, N, 8] for layout TND."""

    attention_out: Tensor
    softmax_max: Tensor
    softmax_sum: Tensor


class Backward(NamedTuple):
    """Gradients in the shapes of their inputs, all float64; None where the input was None."""

    dq: Tensor
    dk: Tensor
    dv: Tensor
    dpse: Tensor | None
    dq_rope: Tensor | None
    dk_rope: Tensor | None
    dsink: Tensor | None


# ---------------------------------------------------------------------------------------------------------------------
# The problem: layouts and lengths
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sequence:
    """One attention of q_len rows over kv_len columns; batched layouts have one per batch index."""

    index: int
    batch: int  # index on the batch axis of the tensors; 0 in TND
    q_start: int
    q_len: int
    kv_start: int
    kv_len: int
    first_score: int  # scores of all heads of all sequences before this one


@dataclass
class Problem:
    """The arguments of one call, under the operator's own names and defaults, and the sequences they describe."""

    query: Tensor  # BSH [B,S,N*D], SBH [S,B,N*D], BSND [B,S,N,D], BNSD [B,N,S,D] or TND [T,N,D]
    key: Tensor  # same layout, N2 heads: query head n reads key head n // (N / N2)
    value: Tensor  # same layout, N2 heads, head dimension Dv <= D
    head_num: int
    input_layout: str  # any letter case
    pse: Tensor | None = None
    atten_mask: Tensor | None = None  # nonzero = hidden
    query_rope: Tensor | None = None  # further columns of query and key
    key_rope: Tensor | None = None
    scale: float = 1.0
    keep_prob: float = 1.0
    pre_tokens: int = UNBOUNDED
    next_tokens: int = UNBOUNDED
    inner_precise: int = 0  # no effect: rows that see nothing are always treated as inner_precise = 2 has it
    prefix: Any = None  # per sequence
    actual_seq_qlen: Any = None  # TND: cumulative ends, list, tuple or tensor
    actual_seq_kvlen: Any = None
    sparse_mode: int = 0
    pse_type: int = 1
    q_start_idx: Any = None
    kv_start_idx: Any = None
    softmax_layout: str = ""  # TND: "" stores statistics per sequence as [N,S,8], "TND" as [S,N,8]
    sink: Tensor | None = None  # [N]
    dropout_mask: Tensor | None = None  # packed bits, least significant first, 1 = keep
    seed: int = 0
    offset: int = 0

    def __post_init__(self) -> None:
        self.input_layout = self.input_layout.upper()
        n, q, k = self.head_num, self.query, self.key
        flat = self.input_layout in ("BSH", "SBH")
        self.kv_heads = k.shape[-1] // (q.shape[-1] // n) if flat else k.shape[1 if self.input_layout != "BSND" else 2]
        self.q, self.k, self.v = self.heads_first(q, n), self.heads_first(k), self.heads_first(self.value)
        self.q_rope = None if self.query_rope is None else self.heads_first(self.query_rope, n)
        self.k_rope = None if self.key_rope is None else self.heads_first(self.key_rope)
        self.prefixes, self.q_starts, self.kv_starts = map(
            _integers, (self.prefix, self.q_start_idx, self.kv_start_idx)
        )
        self.sequences = tuple(self._sequences())
        # Only one sequence of modes 7 and 8 differs from the others: the last or the first that has any scores.
        busy = [s.index for s in self.sequences if s.q_len > 0 and s.kv_len > 0]
        self.first_busy, self.last_busy = (busy[0], busy[-1]) if busy else (-1, -1)

    def heads_first(self, tensor: Tensor, heads: int | None = None) -> Tensor:
        """A view [B, N, S, D] of a tensor in the call's layout; TND is one batch of all tokens."""
        if self.input_layout in ("BSH", "SBH"):
            heads = heads or self.kv_heads
            tensor = tensor.unflatten(-1, (heads, tensor.shape[-1] // heads))
        order = {"BSH": (0, 2, 1, 3), "BSND": (0, 2, 1, 3), "SBH": (1, 2, 0, 3), "BNSD": (0, 1, 2, 3)}
        if self.input_layout == "TND":
            return tensor.permute(1, 0, 2).unsqueeze(0)
        return tensor.permute(order[self.input_layout])

    def _sequences(self) -> Iterator[Sequence]:
        n, first_score = self.head_num, 0
        if self.input_layout != "TND":
            (batches, _, q_len, _), kv_len = self.q.shape, self.k.shape[2]
            for b in range(batches):
                yield Sequence(b, b, 0, q_len, 0, kv_len, b * n * q_len * kv_len)
            return
        q_start = kv_start = 0
        for b, ends in enumerate(zip(_integers(self.actual_seq_qlen), _integers(self.actual_seq_kvlen), strict=True)):
            q_len, kv_len = max(ends[0] - q_start, 0), max(ends[1] - kv_start, 0)  # a trailing 0 is an unused sequence
            yield Sequence(b, 0, q_start, q_len, kv_start, kv_len, first_score)
            q_start, kv_start = q_start + q_len, kv_start + kv_len
            first_score += n * q_len * kv_len

    @property
    def out_shape(self) -> tuple[int, ...]:
        columns = self.v.shape[-1] * (self.head_num if self.input_layout in ("BSH", "SBH") else 1)
        return (*self.query.shape[:-1], columns)

    @property
    def statistics_shape(self) -> tuple[int, ...]:
        batches, heads, rows, _ = self.q.shape
        rank = (rows, heads) if self.input_layout == "TND" else (batches, heads, rows)
        return (*rank, STATISTIC_COLUMNS)

    def query_rows(self, seq: Sequence, head: int, rows: slice) -> Tensor:
        """[rows, D + Dr], the head's queries and their rope columns in float64."""
        parts = [t for t in (self.q, self.q_rope) if t is not None]
        return torch.cat([query_part(t, seq, head, rows).double() for t in parts], dim=1)

    def key_rows(self, seq: Sequence, head: int) -> Tensor:
        """[Skv, D + Dr], the keys that a query head reads."""
        parts = [t for t in (self.k, self.k_rope) if t is not None]
        return torch.cat([self.kv_part(t, seq, head).double() for t in parts], dim=1)

    def value_rows(self, seq: Sequence, head: int) -> Tensor:
        """[Skv, Dv], the values that a query head reads."""
        return self.kv_part(self.v, seq, head).double()

    def kv_part(self, view: Tensor, seq: Sequence, head: int) -> Tensor:
        """The sequence's rows of a heads-first key-side view, for the key head that serves a query head."""
        kv_head = head // (self.head_num // self.kv_heads)
        return view[seq.batch, kv_head, seq.kv_start : seq.kv_start + seq.kv_len]

    def statistic_rows(self, statistics: Tensor, seq: Sequence) -> Tensor:
        """The sequence's statistics as a view [N, Sq, 8], whichever way they are stored."""
        if self.input_layout != "TND":
            return statistics[seq.batch]
        q_end = seq.q_start + seq.q_len
        if self.softmax_layout:
            return statistics[seq.q_start : q_end].transpose(0, 1)
        n = self.head_num
        return statistics.flatten(0, 1)[seq.q_start * n : q_end * n].unflatten(0, (n, seq.q_len))

    def work(self) -> Iterator[tuple[Sequence, int]]:
        """Every (sequence, head) with at least one score. The others keep the zeros they start with."""
        for seq in self.sequences:
            if seq.q_len > 0 and seq.kv_len > 0:
                for head in range(self.head_num):
                    yield seq, head


def query_part(view: Tensor, seq: Sequence, head: int, rows: slice) -> Tensor:
    """Some rows of a sequence in a heads-first query-side view."""
    return view[seq.batch, head, seq.q_start + rows.start : seq.q_start + rows.stop]


def chunks(seq: Sequence) -> Iterator[slice]:
    """Slices of query rows, few enough at a time to bound the memory for their scores."""
    step = max(1, CHUNK_SCORES // seq.kv_len)
    for start in range(0, seq.q_len, step):
        yield slice(start, min(start + step, seq.q_len))


def _integers(values: Any) -> list[int]:
    if values is None:
        return []
    values = values.tolist() if isinstance(values, Tensor) else values
    return [int(v) for v in values] if isinstance(values, (list, tuple)) else [int(values)]


def _grid(problem: Problem, seq: Sequence, rows: slice | None) -> tuple[Tensor, Tensor]:
    """Row numbers [rows, 1] and column numbers [1, Skv] of a sequence, both from 0."""
    rows = rows or slice(0, seq.q_len)
    return torch.arange(rows.start, rows.stop)[:, None], torch.arange(seq.kv_len)[None, :]


# ---------------------------------------------------------------------------------------------------------------------
# Which row sees which column
# ---------------------------------------------------------------------------------------------------------------------


def visible(problem: Problem, seq: Sequence, head: int = 0, rows: slice | None = None) -> Tensor:
    """Bool [rows, Skv]: True where the row sees the column. Without a mask everything is visible in every mode."""
    i, j = _grid(problem, seq, rows)
    if problem.atten_mask is None:
        return torch.ones(i.shape[0], j.shape[1], dtype=torch.bool)
    delta = seq.kv_len - seq.q_len
    pre, nxt = problem.pre_tokens, problem.next_tokens
    match problem.sparse_mode:
        case 0:
            return (i - pre <= j) & (j <= i + nxt) & ~_mask(problem, seq, head, i, j)
        case 1:
            return ~_mask(problem, seq, head, i, j)
        case 2:
            return j <= i
        case 3:
            return j <= i + delta
        case 4:
            return _band(i, j, delta, pre, nxt)
        case 5:
            unmasked = ~_mask(problem, seq, head, i, j)
            return unmasked & _prefix(problem, seq, i, j, delta) if problem.prefixes else unmasked
        case 6:
            return _prefix(problem, seq, i, j, delta)
        case 7:
            return _band(i, j, delta, pre, nxt) if seq.index == problem.last_busy else j <= i + delta
        case 8:
            first = seq.index == problem.first_busy
            return j <= i + (seq.kv_len - max(seq.q_len - nxt, 0) if first else 0)
    raise ValueError(f"sparse_mode: expected 0 to 8, got {problem.sparse_mode}")


def _band(i: Tensor, j: Tensor, delta: int, pre: int, nxt: int) -> Tensor:
    return (i + delta - pre <= j) & (j <= i + delta + nxt)


def _prefix(problem: Problem, seq: Sequence, i: Tensor, j: Tensor, delta: int) -> Tensor:
    return (j <= i + delta) | (j < problem.prefixes[seq.index])


def _mask(problem: Problem, seq: Sequence, head: int, i: Tensor, j: Tensor) -> Tensor:
    """Bool [rows, Skv] of a full-size mask, True = hidden. Axes of size 1 are shared by all batches or heads."""
    mask = problem.atten_mask
    assert mask is not None
    if mask.dim() == 4:
        mask = mask[seq.index if mask.shape[0] > 1 else 0, head if mask.shape[1] > 1 else 0]
    elif problem.input_layout == "TND":
        longest = (max(s.q_len for s in problem.sequences), max(s.kv_len for s in problem.sequences))
        if tuple(mask.shape) != longest:  # [T1, T2]: all sequences in one picture
            i, j = i + seq.q_start, j + seq.kv_start
    return mask[i, j] != 0


# ---------------------------------------------------------------------------------------------------------------------
# Position bias
# ---------------------------------------------------------------------------------------------------------------------


def bias(problem: Problem, seq: Sequence, head: int, rows: slice | None = None) -> Tensor | None:
    """Float64 [rows, Skv], what pse adds to a score (before the scale for pse_type 1, after it otherwise), or None."""
    if problem.pse is None:
        return None
    i, j = _grid(problem, seq, rows)
    if problem.pse_type in (2, 3):
        return -_slope(problem, problem.pse, seq, head).double() * _distance(problem, seq, i, j)
    m, k, stored = _table_index(problem, seq, i, j)
    values = _table(problem, problem.pse, seq, head)[m, k].double()
    return torch.where(stored, values, 0.0)


def add_bias_gradient(problem: Problem, dpse: Tensor, seq: Sequence, head: int, rows: slice, dbias: Tensor) -> None:
    """Add the gradient [rows, Skv] of `bias` to the gradient of pse, summing over whatever pse shares."""
    i, j = _grid(problem, seq, rows)
    if problem.pse_type in (2, 3):
        _slope(problem, dpse, seq, head).sub_((dbias * _distance(problem, seq, i, j)).sum())
    else:
        m, k, stored = _table_index(problem, seq, i, j)
        _table(problem, dpse, seq, head).index_put_((m, k), torch.where(stored, dbias, 0.0), accumulate=True)


def _slope(problem: Problem, pse: Tensor, seq: Sequence, head: int) -> Tensor:
    return pse[head] if pse.dim() == 1 else pse[seq.index, head]


def _distance(problem: Problem, seq: Sequence, i: Tensor, j: Tensor) -> Tensor:
    """|j + kv0 - i - q0|, or its square root for pse_type 3."""
    shift = 0
    # Start indices count from the first sequence of mode 8; kv_start_idx alone is not read.
    only_first = problem.sparse_mode == 8 and problem.atten_mask is not None
    if problem.q_starts and (not only_first or seq.index == problem.first_busy):
        shift = (problem.kv_starts[0] if problem.kv_starts else 0) - problem.q_starts[0]
    distance = (j - i + shift).abs().double()
    return distance.sqrt() if problem.pse_type == 3 else distance


def _is_compressed(problem: Problem, seq: Sequence) -> bool:
    pse = problem.pse
    assert pse is not None
    return pse.dim() == 4 and pse.shape[2] == TABLE_ROWS and (problem.input_layout == "TND" or seq.q_len > TABLE_ROWS)


def _table(problem: Problem, pse: Tensor, seq: Sequence, head: int) -> Tensor:
    """A view [M, K] of the part of pse, or of its gradient, that one head of one sequence reads."""
    if pse.dim() == 4:
        return pse[seq.index if pse.shape[0] > 1 else 0, head]
    n, last = problem.head_num, problem.sequences[-1]
    if pse.numel() == last.first_score + n * last.q_len * last.kv_len:  # packed [N, Sq, Skv] per sequence
        start, m = seq.first_score + head * seq.q_len * seq.kv_len, seq.q_len
    else:  # packed [N, Skv] per sequence
        start, m = n * seq.kv_start + head * seq.kv_len, 1
    return pse[start : start + m * seq.kv_len].unflatten(0, (m, seq.kv_len))


def _table_index(problem: Problem, seq: Sequence, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row and column in `_table` for the scores (i, j), and which of them are stored there at all.

    A compressed table holds the last 1024 rows of a matrix that depends on i - j only, so an earlier row reads its own
    diagonal. What lies too far above the main diagonal is not stored; a causal mask hides it.
    """
    pse = problem.pse
    assert pse is not None
    if not _is_compressed(problem, seq):
        broadcast = _table(problem, pse, seq, 0).shape[0] == 1
        return torch.zeros_like(i) if broadcast else i, j, torch.ones_like(j, dtype=torch.bool)
    if problem.input_layout == "TND":
        diagonal = (i - j) - (pse.shape[3] - TABLE_ROWS)
        m, k = diagonal.clamp(min=0), (-diagonal).clamp(min=0)
    else:
        early = i < seq.q_len - TABLE_ROWS
        m = torch.where(early, i % TABLE_ROWS, i - (seq.q_len - TABLE_ROWS))
        k = torch.where(early, seq.kv_len - (i - j) - (TABLE_ROWS - m), j)
    stored = (m < TABLE_ROWS) & (k < pse.shape[3])
    return torch.where(stored, m, 0), torch.where(stored, k, 0), stored


# ---------------------------------------------------------------------------------------------------------------------
# Dropout
# ---------------------------------------------------------------------------------------------------------------------

_LOW_32 = 0xFFFFFFFF


def philox4x32_10(counter: Any, key: tuple[int, int]) -> Tensor:
    """Philox4x32 with ten rounds (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3").

    counter: 32-bit words [..., 4], lowest first. key: two 32-bit words. Returns four 32-bit words, int64 [..., 4].
    """
    c0, c1, c2, c3 = torch.as_tensor(counter, dtype=torch.int64).unbind(-1)
    k0, k1 = key
    for _ in range(10):
        # An int64 product wraps, but holds the right 64 bits.
        product0, product1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (
            ((product1 >> 32) & _LOW_32) ^ c1 ^ k0,
            product1 & _LOW_32,
            ((product0 >> 32) & _LOW_32) ^ c3 ^ k1,
            product0 & _LOW_32,
        )
        k0, k1 = (k0 + 0x9E3779B9) & _LOW_32, (k1 + 0xBB67AE85) & _LOW_32
    return torch.stack((c0, c1, c2, c3), dim=-1)


def uniform(words: Tensor) -> Tensor:
    """32-bit words as float32 in [2^-33, 1], every step rounded to float32; large words do reach 1."""
    return words.to(torch.float32) * 2.0**-32 + 2.0**-33


def _drop_prob(keep_prob: float) -> Tensor:
    return torch.tensor(1.0, dtype=torch.float32) - torch.tensor(keep_prob, dtype=torch.float32)


def _generated_keep(start: int, stop: int, seed: int, offset: int, drop_prob: Tensor) -> Tensor:
    """Elements start..stop of the dropout stream as bool [stop - start], True = keep."""
    if drop_prob == 0 or drop_prob == 1:
        return torch.full((stop - start,), bool(drop_prob == 0))
    group = torch.arange(start // 4, (stop + 3) // 4)
    seed, offset = int(seed), int(offset)
    # The counter is 128 bits wide and starts with two zero words, so that adding the group carries nowhere.
    offset_words = (torch.full_like(group, offset & _LOW_32), torch.full_like(group, offset >> 32 & _LOW_32))
    counter = torch.stack((group & _LOW_32, group >> 32, *offset_words), dim=-1)
    words = philox4x32_10(counter, (seed & _LOW_32, seed >> 32 & _LOW_32)).flatten()
    first = start - start // 4 * 4
    return (uniform(words) < torch.tensor(1.0, dtype=torch.float32) - drop_prob)[first : first + stop - start]


def dropout_bits(
    numels: int, seed: int, offset: int, keep_prob: float | None = None, drop_prob: float | None = None
) -> Tensor:
    """The packed dropout mask: uint8 [ceil(numels / 128) * 16], element i is bit i % 8 of byte i // 8, 1 = keep.

    Give either keep_prob, from which the operators derive the drop probability in float32, or drop_prob itself, as
    `_npu_dropout_gen_mask` does. The last bytes are filled up from the same stream.
    """
    if (keep_prob is None) == (drop_prob is None):
        raise ValueError("dropout_bits: expected keep_prob or drop_prob, got both or neither")
    p = _drop_prob(keep_prob) if keep_prob is not None else torch.tensor(drop_prob, dtype=torch.float32)
    total = -(-numels // 128) * 128
    packed = torch.empty(total // 8, dtype=torch.uint8)
    weights = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128])
    for start in range(0, total, 4 * CHUNK_GROUPS):
        stop = min(start + 4 * CHUNK_GROUPS, total)
        kept = _generated_keep(start, stop, seed, offset, p).unflatten(0, (-1, 8))
        packed[start // 8 : stop // 8] = (kept * weights).sum(dim=1).to(torch.uint8)
    return packed


def keep(problem: Problem, seq: Sequence, head: int, rows: slice | None = None) -> Tensor | None:
    """Bool [rows, Skv]: True where dropout keeps the element, or None without dropout.

    A given mask is honoured whatever keep_prob says. The stream runs through [B, N, Sq, Skv], and in TND through the
    [N, Sq, Skv] of one sequence after the other.
    """
    rows = rows or slice(0, seq.q_len)
    head_start = seq.first_score + head * seq.q_len * seq.kv_len
    start, stop = head_start + rows.start * seq.kv_len, head_start + rows.stop * seq.kv_len
    if problem.dropout_mask is not None:
        element = torch.arange(start, stop)
        byte = problem.dropout_mask.flatten()[element >> 3].to(torch.int64)
        kept = (byte >> (element & 7) & 1) != 0
    elif abs(problem.keep_prob - 1) < 1e-9:
        return None
    else:
        kept = _generated_keep(start, stop, problem.seed, problem.offset, _drop_prob(problem.keep_prob))
    return kept.unflatten(0, (-1, seq.kv_len))


# ---------------------------------------------------------------------------------------------------------------------
# Forward and backward
# ---------------------------------------------------------------------------------------------------------------------


def _scores(problem: Problem, seq: Sequence, head: int, rows: slice, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """x [rows, Skv] with minus infinity at absent elements, and bool [rows, Skv] of those present."""
    s, b = q @ k.T, bias(problem, seq, head, rows)
    if b is None:
        x = s * problem.scale
    elif problem.pse_type == 1:
        x = (s + b) * problem.scale
    else:
        x = s * problem.scale + b
    x = torch.where(visible(problem, seq, head, rows), x, -torch.inf)
    return x, x != -torch.inf


def _product(weights: Tensor, values: Tensor, seen: Tensor) -> Tensor:
    """weights @ values over the elements seen: a value that a row does not see is absent, not multiplied by zero.

    A NaN or infinity in a value makes NaN of the rows that see it and leaves the others alone.
    """
    finite = values.isfinite()
    if finite.all():
        return weights @ values
    spoilt = seen.double() @ (~finite).double() > 0
    return torch.where(spoilt, torch.nan, weights @ torch.where(finite, values, 0.0))


def _dropped(x: Tensor, kept: Tensor | None, keep_prob: float) -> Tensor:
    return x if kept is None else torch.where(kept, x / keep_prob, 0.0)


@torch.no_grad()
def forward(query: Tensor, key: Tensor, value: Tensor, head_num: int, input_layout: str, **options: Any) -> Forward:
    """Attention in float64. The options are the fields of `Problem`, by name."""
    problem = Problem(query, key, value, head_num, input_layout, **options)
    out = _zeros(problem.out_shape)
    softmax_max, softmax_sum = _zeros(problem.statistics_shape), _zeros(problem.statistics_shape)
    y_view = problem.heads_first(out, head_num)

    for seq, head in problem.work():
        k, v = problem.key_rows(seq, head), problem.value_rows(seq, head)
        for rows in chunks(seq):
            x, seen = _scores(problem, seq, head, rows, problem.query_rows(seq, head, rows), k)
            row_max = x.amax(dim=1)
            if problem.sink is not None:
                row_max = row_max.maximum(problem.sink[head].double())
            empty = row_max == -torch.inf  # neither a key nor a sink
            row_max = torch.where(empty, EMPTY_ROW_MAX, row_max)
            e = torch.exp(x - row_max[:, None])
            row_sum = e.sum(dim=1)
            if problem.sink is not None:
                row_sum += torch.exp(problem.sink[head].double() - row_max)
            row_sum = torch.where(empty, EMPTY_ROW_SUM, row_sum)
            e = _dropped(e, keep(problem, seq, head, rows), problem.keep_prob)
            query_part(y_view, seq, head, rows).copy_(_product(e, v, seen) / row_sum[:, None])
            problem.statistic_rows(softmax_max, seq)[head, rows] = row_max[:, None]
            problem.statistic_rows(softmax_sum, seq)[head, rows] = row_sum[:, None]
    return Forward(out, softmax_max, softmax_sum)


@torch.no_grad()
def backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dy: Tensor,
    head_num: int,
    input_layout: str,
    *,
    softmax_max: Tensor,
    softmax_sum: Tensor,
    attention_in: Tensor | None = None,
    **options: Any,
) -> Backward:
    """Gradients of sum(dy * attention_out) in float64. The options are the fields of `Problem`, by name.

    Probabilities come from the statistics given, which need not belong to these keys alone: they may be merged over the
    parts of a ring, or be (log-sum-exp, 1). Without attention_in the row term D is the sum of p * dp over these keys.
    """
    problem = Problem(query, key, value, head_num, input_layout, **options)
    scale, keep_prob, sink = problem.scale, problem.keep_prob, problem.sink
    grads = Backward(
        dq=_zeros(query.shape),
        dk=_zeros(key.shape),
        dv=_zeros(value.shape),
        dpse=None if problem.pse is None else _zeros(problem.pse.shape),
        dq_rope=None if problem.query_rope is None else _zeros(problem.query_rope.shape),
        dk_rope=None if problem.key_rope is None else _zeros(problem.key_rope.shape),
        dsink=None if sink is None else _zeros(sink.shape),
    )
    dy_view = problem.heads_first(dy, head_num)
    y_view = None if attention_in is None else problem.heads_first(attention_in, head_num)
    dq_views = [problem.heads_first(t, head_num) for t in (grads.dq, grads.dq_rope) if t is not None]
    dk_views = [problem.heads_first(t) for t in (grads.dk, grads.dk_rope) if t is not None]
    dv_view = problem.heads_first(grads.dv)

    for seq, head in problem.work():
        k, v = problem.key_rows(seq, head), problem.value_rows(seq, head)
        dk, dv = torch.zeros_like(k), torch.zeros_like(v)
        for rows in chunks(seq):
            q = problem.query_rows(seq, head, rows)
            dy_rows = query_part(dy_view, seq, head, rows).double()
            row_max = problem.statistic_rows(softmax_max, seq)[head, rows, 0].double()
            row_sum = problem.statistic_rows(softmax_sum, seq)[head, rows, 0].double()
            kept = keep(problem, seq, head, rows)

            x, seen = _scores(problem, seq, head, rows, q, k)
            p = torch.where(seen, torch.exp(x - row_max[:, None]) / row_sum[:, None], 0.0)
            dv += _product(_dropped(p, kept, keep_prob).T, dy_rows, seen.T)
            dp = torch.where(seen, _dropped(dy_rows @ v.T, kept, keep_prob), 0.0)
            if y_view is None:
                d = (p * dp).sum(dim=1)
            else:
                d = (dy_rows * query_part(y_view, seq, head, rows).double()).sum(dim=1)
            ds = torch.where(seen, p * (dp - d[:, None]), 0.0)
            dq = scale * _product(ds, k, seen)
            dk += scale * _product(ds.T, q, seen.T)

            _add_columns([query_part(t, seq, head, rows) for t in dq_views], dq)
            if grads.dpse is not None:
                dbias = scale * ds if problem.pse_type == 1 else ds
                add_bias_gradient(problem, grads.dpse, seq, head, rows, dbias)
            if sink is not None and grads.dsink is not None:
                grads.dsink[head] -= (torch.exp(sink[head].double() - row_max) / row_sum * d).sum()
        _add_columns([problem.kv_part(t, seq, head) for t in dk_views], dk)
        problem.kv_part(dv_view, seq, head).add_(dv)
    return grads


def _zeros(shape: tuple[int, ...]) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64)


def _add_columns(parts: list[Tensor], gradient: Tensor) -> None:
    """Add the columns of a gradient to the head and rope parts that were joined for the scores."""
    for part, columns in zip(parts, gradient.split([t.shape[1] for t in parts], dim=1), strict=True):
        part.add_(columns)
