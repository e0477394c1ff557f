"""The tensors of a case, always the same for the same case."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from .. import golden
from .cases import Case

TABLE_ROWS = 1024


@dataclasses.dataclass
class Inputs:
    """Arguments of a call; `options` under the names of `npu_fusion_attention_v2` and `golden.forward`."""

    case: Case
    query: Tensor
    key: Tensor
    value: Tensor
    dy: Tensor  # gradient of attention_out
    options: dict[str, Any]

    def problem(self) -> golden.Problem:
        return golden.Problem(self.query, self.key, self.value, self.case.heads, self.case.layout, **self.options)

    def differentiable(self) -> dict[str, Tensor]:
        """The tensors that have a gradient, by argument name."""
        named = {"query": self.query, "key": self.key, "value": self.value}
        named |= {name: self.options[name] for name in ("pse", "query_rope", "key_rope", "sink")}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def on(self, device: str) -> Inputs:
        """The same call with its tensors on `device`, as they lie in memory; sequence lengths stay on the host."""
        if device == "cpu":
            return self
        options = {
            name: _moved(value, device) if isinstance(value, Tensor) and name not in _ON_HOST else value
            for name, value in self.options.items()
        }
        query, key, value, dy = (_moved(tensor, device) for tensor in (self.query, self.key, self.value, self.dy))
        return Inputs(self.case, query, key, value, dy, options)


_ON_HOST = ("actual_seq_qlen", "actual_seq_kvlen")  # also as tensors


def _moved(tensor: Tensor, device: str) -> Tensor:
    """A copy on `device` with the same strides and the same memory around it, so that what is odd about it stays."""
    size = tensor.untyped_storage().nbytes() // tensor.element_size()
    memory = tensor.as_strided((size,), (1,), 0).to(device)
    return memory.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


def build(case: Case, poison: bool | None = None, hidden: bool = True) -> Inputs:
    """The inputs of a case; `poison` False leaves out the NaN that a case asks for.

    hidden: poison also reaches keys that a sequence hides from its rows, not only those that belong to no rows.
    """
    inputs = _Builder(case).build()
    if case.poison if poison is None else poison:
        _poison(inputs, hidden)
    return inputs


class _Builder:
    def __init__(self, case: Case, fake: FakeTensorMode | None = None) -> None:
        self.case = case
        self.fake = fake  # where given, contents are not made
        self.dtype = getattr(torch, case.dtype)
        self.wide = torch.float64 if self.dtype == torch.float64 else torch.float32  # of sink and slopes
        self.generator = torch.Generator().manual_seed(case.seed)
        # Of the dropout stream; v3 has no such argument and starts at 0.
        self.offset = 0 if case.entry == "v3" else case.seed % (1 << 40)
        lengths = [*case.lengths, *[(0, 0)] * (case.trailing_zeros if case.layout == "TND" else 0)]
        self.lengths = lengths
        self.q_tokens = sum(q for q, _ in lengths) + case.spare_q
        self.kv_tokens = sum(k for _, k in lengths) + case.spare_kv
        self.longest = (max((q for q, _ in lengths), default=0), max((k for _, k in lengths), default=0))
        if case.layout != "TND":
            self.longest = (case.q_len, case.kv_len)

    def build(self) -> Inputs:
        case = self.case
        query = self.tokens("q", case.heads, case.head_dim)
        key, value = self.key_and_value()
        options = self.options()
        dy = self.tokens("q", case.heads, case.dv, memory="contiguous")
        return Inputs(case, query, key, value, dy, options)

    # ---- query, key, value ----

    def random(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        if self.fake is not None:
            with self.fake:
                return torch.empty(shape, dtype=dtype or self.dtype)
        return contents(self.case.values, shape, self.generator).to(dtype or self.dtype)

    def shape(self, side: str, heads: int, dim: int) -> tuple[int, ...]:
        case = self.case
        rows = case.q_len if side == "q" else case.kv_len
        return {
            "BSH": (case.batch, rows, heads * dim),
            "SBH": (rows, case.batch, heads * dim),
            "BSND": (case.batch, rows, heads, dim),
            "BNSD": (case.batch, heads, rows, dim),
            "TND": (self.q_tokens if side == "q" else self.kv_tokens, heads, dim),
        }[case.layout]

    def tokens(self, side: str, heads: int, dim: int, memory: str | None = None) -> Tensor:
        """A tensor of the case's layout, lying in memory as the case says."""
        shape = self.shape(side, heads, dim)
        memory = memory or self.case.memory
        if memory == "expanded" and side == "kv" and self.case.layout in ("BNSD", "BSND"):
            return self.random(1, *shape[1:]).expand(shape)
        if memory == "expanded" and side == "kv" and self.case.layout == "TND":
            return self.random(shape[0], 1, dim).expand(shape)
        return lay_out(self.random(*shape), memory)

    def key_and_value(self) -> tuple[Tensor, Tensor]:
        case = self.case
        if case.memory != "fused":
            return self.tokens("kv", case.kv_heads, case.head_dim), self.tokens("kv", case.kv_heads, case.dv)
        # One buffer with keys and values side by side, as a fused projection leaves them.
        last = case.kv_heads if case.layout in ("BSH", "SBH") else 1
        both = self.tokens("kv", case.kv_heads, case.head_dim + case.dv, memory="contiguous")
        key, value = both.split([last * case.head_dim, last * case.dv], dim=-1)
        return key, value

    # ---- options ----

    def options(self) -> dict[str, Any]:
        case = self.case
        tnd = case.layout == "TND"
        return {
            "pse": self.bias(),
            "atten_mask": self.mask(),
            "query_rope": self.tokens("q", case.heads, case.rope_dim) if case.rope_dim else None,
            "key_rope": self.tokens("kv", case.kv_heads, case.rope_dim) if case.rope_dim else None,
            "sink": self.random(case.heads, dtype=self.wide) if case.sink else None,
            "scale": case.scale_value,
            "keep_prob": case.keep_prob,
            "pre_tokens": case.pre_tokens,
            "next_tokens": case.next_tokens,
            "prefix": list(case.prefix) if case.prefix or not case.lengths else None,
            "actual_seq_qlen": self.ends(0) if tnd else None,
            "actual_seq_kvlen": self.ends(1) if tnd else None,
            "sparse_mode": case.sparse_mode,
            "pse_type": case.pse_type,
            "q_start_idx": None if case.q_start is None else [case.q_start],
            "kv_start_idx": None if case.kv_start is None else [case.kv_start],
            "softmax_layout": case.softmax_layout,
            "dropout_mask": self.dropout_mask(),
            "seed": case.seed,
            "offset": self.offset,
        }

    def ends(self, side: int) -> Any:
        """Cumulative lengths as the case passes them."""
        ends, total = [], 0
        for pair in self.case.lengths:
            total += pair[side]
            ends.append(total)
        ends += [0] * self.case.trailing_zeros
        convert: dict[str, Any] = {
            "list": list,
            "tuple": tuple,
            "tensor": lambda values: torch.tensor(values, dtype=torch.int64),
        }
        return convert[self.case.lengths_as](ends)

    def bias(self) -> Tensor | None:
        case = self.case
        batch, heads, (rows, columns) = max(len(self.lengths), 0), case.heads, self.longest
        batch = batch if case.layout == "TND" else case.batch
        if case.pse == "none":
            return None
        if case.pse in ("N", "BN"):
            slopes = (heads,) if case.pse == "N" else (batch, heads)
            return lay_out(self.random(*slopes, dtype=self.wide).abs() * 0.1, self.case.memory)
        if case.pse in ("tableB", "table1"):
            return self.alibi_table(batch if case.pse == "tableB" else 1, columns)
        if case.pse == "packed":
            bias = self.random(heads * sum(q * k for q, k in self.lengths))
        elif case.pse == "packed_row":
            bias = self.random(heads * sum(k for _, k in self.lengths))
        else:
            shape = {
                "BNSS": (batch, heads, rows, columns),
                "1NSS": (1, heads, rows, columns),
                "BN1S": (batch, heads, 1, columns),
                "1N1S": (1, heads, 1, columns),
            }[case.pse]
            bias = lay_out(self.random(*shape), case.memory)
        if case.pse_hides and bias.numel() and self.fake is None:
            hidden = torch.rand(bias.shape, generator=self.generator) < 0.2
            bias.masked_fill_(hidden, -torch.inf)
        return bias

    def alibi_table(self, batch: int, columns: int) -> Tensor:
        """The last 1024 rows of a matrix that depends on the row minus the column only."""
        if self.fake is not None:
            return self.random(batch, self.case.heads, TABLE_ROWS, columns)
        diagonals = self.random(batch, self.case.heads, 2 * columns)
        i = torch.arange(columns - TABLE_ROWS, columns)[:, None]
        return diagonals[:, :, i - torch.arange(columns)[None, :] + columns].contiguous()

    def mask(self) -> Tensor | None:
        case = self.case
        dtype = torch.bool if case.mask_dtype == "bool" else torch.uint8
        if case.mask == "none":
            return None
        if case.mask == "compressed":
            return compressed_mask(case.sparse_mode).to(dtype)
        batch = len(self.lengths) if case.layout == "TND" else case.batch
        rows, columns = self.longest
        if case.mask == "TT":
            rows, columns = sum(q for q, _ in self.lengths), sum(k for _, k in self.lengths)
        shape = {
            "SS": (rows, columns),
            "TT": (rows, columns),
            "11SS": (1, 1, rows, columns),
            "B1SS": (batch, 1, rows, columns),
            "expanded": (batch, 1, rows, columns),
            "BNSS": (batch, case.heads, rows, columns),
        }[case.mask]
        mask = self.mask_content(shape).to(dtype)
        if case.mask == "expanded":
            return mask.expand(batch, case.heads, rows, columns)
        return lay_out(mask, case.memory)

    def mask_content(self, shape: tuple[int, ...]) -> Tensor:
        """Bool, True = hidden."""
        content, columns = self.case.mask_content, shape[-1]
        if content in ("zeros", "ones"):
            return torch.full(shape, content == "ones")
        if content == "causal":
            return torch.ones(shape, dtype=torch.bool).triu(1)
        hidden = torch.rand(shape, generator=self.generator) < 0.3
        if content == "rows":
            hidden |= torch.rand((*shape[:-1], 1), generator=self.generator) < 0.3
        elif content == "columns":
            hidden = (torch.rand((*shape[:-2], 1, columns), generator=self.generator) < 0.4).expand(shape).clone()
        return hidden

    def dropout_mask(self) -> Tensor | None:
        case = self.case
        bits = case.heads * sum(q * k for q, k in self.lengths)
        if case.dropout == "external":
            return torch.randint(256, (bits // 8 + 3,), generator=self.generator, dtype=torch.uint8)
        if case.dropout == "external_stream":
            return golden.dropout_bits(bits, case.seed, self.offset, keep_prob=case.keep_prob)
        return None


def contents(values: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Float64 numbers of the distribution that `Case.values` names."""
    numbers = torch.randn(shape, generator=generator, dtype=torch.float64)
    if values.startswith("uniform"):
        reach = {"uniform": 1.0, "uniform_tiny": 1e-3, "uniform_wide": 5.0}[values]
        return torch.rand(shape, generator=generator, dtype=torch.float64) * (2 * reach) - reach
    if values == "small":
        numbers *= 1e-2
    elif values == "normal_shifted":  # mean within +-100, deviation 1 to 25
        mean, deviation = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        numbers = numbers * (1 + 24 * deviation) + (200 * mean - 100)
    elif values in ("outliers", "outliers_large") and numbers.numel():
        at = torch.randint(numbers.numel(), (max(1, numbers.numel() // 1000),), generator=generator)
        numbers.view(-1)[at] *= 10 if values == "outliers" else 1000
    elif values == "some_not_finite" and numbers.numel():
        for bad in (torch.nan, torch.inf, -torch.inf):
            at = torch.randint(numbers.numel(), (max(1, numbers.numel() // 100),), generator=generator)
            numbers.view(-1)[at] = bad
    elif values.startswith("all_"):
        numbers.fill_({"all_nan": torch.nan, "all_inf": torch.inf, "all_minus_inf": -torch.inf}[values])
    return numbers


def lay_out(tensor: Tensor, memory: str) -> Tensor:
    """The same values with other strides."""
    if tensor.numel() == 0 or memory in ("contiguous", "fused", "expanded"):
        return tensor
    if memory == "sliced":  # the middle of a larger buffer, in every axis
        buffer = tensor.new_zeros([size + 3 for size in tensor.shape])
        view = buffer[tuple(slice(1, 1 + size) for size in tensor.shape)]
        return view.copy_(tensor)
    if memory == "last_strided":
        buffer = tensor.new_zeros([*tensor.shape[:-1], 2 * tensor.shape[-1]])
        return buffer[..., ::2].copy_(tensor)
    if tensor.dim() > 2:  # transposed: the axes before the last in reverse order
        order = [*reversed(range(tensor.dim() - 1)), tensor.dim() - 1]
        return tensor.permute(order).contiguous().permute(order)
    return tensor.mT.contiguous().mT if tensor.dim() == 2 else tensor


_compressed: dict[int, Tensor] = {}


def compressed_mask(sparse_mode: int) -> Tensor:
    """The mask tensor of modes 2, 3, 4, 7, 8, bool [2048, 2048], or of mode 6, bool [3072, 2048]."""
    rows = 3072 if sparse_mode == 6 else 2048
    if rows not in _compressed:
        mask = torch.ones(rows, 2048, dtype=torch.bool).triu(1)
        mask[2048:, :1024], mask[2048:, 1024:] = False, True
        _compressed[rows] = mask
    return _compressed[rows]


def _poison(inputs: Inputs, hidden: bool) -> None:
    """NaN and infinity in tokens that belong to no sequence and, with `hidden`, in keys and values that no row sees."""
    problem = inputs.problem()
    if inputs.case.memory == "expanded":  # shared memory: one hidden key is another's visible one
        return
    seen_q = torch.zeros(problem.q.shape[0], problem.q.shape[2], dtype=torch.bool)
    seen_kv = torch.zeros(problem.k.shape[:3], dtype=torch.bool)
    group = problem.head_num // problem.kv_heads
    for seq in problem.sequences:
        seen_q[seq.batch, seq.q_start : seq.q_start + seq.q_len] = True
    for seq, head in problem.work():
        rows = seen_kv[seq.batch, head // group, seq.kv_start : seq.kv_start + seq.kv_len]
        rows |= golden.visible(problem, seq, head).any(dim=0) if hidden else True
    unseen = (~seen_kv).unsqueeze(-1)
    for view, poison in ((problem.k, torch.nan), (problem.v, torch.inf), (problem.k_rope, -torch.inf)):
        if view is not None:
            view.masked_fill_(unseen, poison)
    spare = (~seen_q)[:, None, :, None]
    for view in (problem.q, problem.q_rope, problem.heads_first(inputs.dy, inputs.case.heads)):
        if view is not None:
            view.masked_fill_(spare, torch.nan)


def describe(case: Case) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
    """query, key, value and options of a call that is looked at and not run: fake tensors of any size, real masks."""
    builder = _Builder(dataclasses.replace(case, memory="contiguous"), fake=FakeTensorMode())
    key, value = builder.key_and_value()
    return builder.tokens("q", case.heads, case.head_dim), key, value, builder.options()
