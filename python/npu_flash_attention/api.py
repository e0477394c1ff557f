"""The functions scripts call: torch_npu's names, parameter orders, defaults and return tuples, on CPU tensors.

Shapes, for all of them (B batch, S sequence length, N heads of query, Nkv heads of key and value, N % Nkv == 0, D head
size of query and key, Dv <= D head size of value, T tokens of all sequences together):

    input_layout  query         key, value (value with Dv for D)   attention_out
    BNSD          [B,N,Sq,D]    [B,Nkv,Skv,D]                      [B,N,Sq,Dv]
    BSND          [B,Sq,N,D]    [B,Skv,Nkv,D]                      [B,Sq,N,Dv]
    BSH           [B,Sq,N*D]    [B,Skv,Nkv*D]                      [B,Sq,N*Dv]
    SBH           [Sq,B,N*D]    [Skv,B,Nkv*D]                      [Sq,B,N*Dv]
    TND           [T,N,D]       [T,Nkv,D]                          [T,N,Dv]

dtypes: float16, bfloat16, float32 (query, key, value alike; the output follows), and float64 for checks.
Errors: AttentionError (a RuntimeError and a ValueError) with the aclnn status on `.status`; NotImplementedError where a
backend that was named cannot take the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import border
from . import rng as generator
from .backends import get_backend
from .border import is_fake
from .call import UNBOUNDED_TOKENS, Call
from .errors import AttentionError
from .ops import attention_backward, attention_forward

Lengths = Sequence[int] | Tensor | None


def npu_fusion_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    head_num: int,
    input_layout: str,
    pse: Tensor | None = None,
    padding_mask: Tensor | None = None,
    atten_mask: Tensor | None = None,
    scale: float = 1.0,
    keep_prob: float = 1.0,
    pre_tockens: int = UNBOUNDED_TOKENS,
    next_tockens: int = UNBOUNDED_TOKENS,
    inner_precise: int = 0,
    prefix: Sequence[int] | None = None,
    actual_seq_qlen: Lengths = None,
    actual_seq_kvlen: Lengths = None,
    sparse_mode: int = 0,
    gen_mask_parallel: bool = True,
    sync: bool = False,
    softmax_layout: str = "",
    sink: Tensor | None = None,
    dropout_mask: Tensor | None = None,
    seed: int = 0,
    offset: int = 0,
) -> tuple[Tensor, Tensor, Tensor, Tensor, int, int, int]:
    """softmax(scale * (query key^T + pse), masked) with dropout, times value (FlashAttentionScore).

    Args:
        query, key, value: see the table of layouts above.
        head_num: N, the number of query heads.
        input_layout: "BNSD", "BSND", "BSH", "SBH" or "TND", in any letter case.
        pse: position bias of query's dtype, [B or 1, N, Sq or 1, Skv], or a compressed ALiBi table
            [B or 1, N, 1024, Skv] (its last 1024 rows); TND: packed elements or the compressed table.
        padding_mask: reserved; ignored.
        atten_mask: bool or uint8, 1 = hidden (the opposite of torch's SDPA): [Sq,Skv], [1,1,Sq,Skv], [B,1,Sq,Skv] or
            [B,N,Sq,Skv]; for sparse_mode 2, 3, 4, 7, 8 torch.triu(ones(2048, 2048), 1), for 6 its 3072-row form.
            None hides nothing, whatever sparse_mode and the tokens say.
        scale: factor of the scores; the default is 1, not 1/sqrt(D).
        keep_prob: in (0, 1]; each probability is kept with it, and then multiplied by 1 / keep_prob.
        pre_tockens, next_tockens: the window of sparse modes 0, 4, 7, 8 (docs/semantics.md).
        inner_precise: accepted; rows that see nothing are always 0, as the operator's value 2 asks.
        prefix: for sparse modes 5 and 6, columns that every row of a batch sees.
        actual_seq_qlen, actual_seq_kvlen: TND: cumulative lengths of the sequences, without the leading 0.
        sparse_mode: 0 to 8, docs/semantics.md.
        gen_mask_parallel, sync: accepted; they schedule the device's mask stream and change no number.
        softmax_layout: TND: "" keeps the statistics [N, S_i, 8] sequence by sequence, "TND" makes them [T, N, 8].
        sink: float32 [N], a logit per head that takes probability and no value.
        dropout_mask: packed bits of your own (uint8, LSB first, 1 = keep) instead of generated ones.
        seed, offset: a seed other than 0 picks the dropout stream; otherwise the generator draws it (`manual_seed`).

    Returns:
        attention_out, softmax_max, softmax_sum, softmax_out, seed, offset, numels. The statistics are float32
        [B,N,Sq,8] (TND [T,N,8]) with 8 equal columns and carry no gradient; softmax_out is empty; numels is the
        number of dropout bits. In a traced graph seed and offset are int64 tensors.
    """
    return _forward(
        Call(
            query,
            key,
            value,
            head_num,
            input_layout,
            pse=pse,
            atten_mask=atten_mask,
            sink=sink,
            dropout_mask=dropout_mask,
            scale=scale,
            keep_prob=keep_prob,
            pre_tokens=pre_tockens,
            next_tokens=next_tockens,
            prefix=prefix,
            sparse_mode=sparse_mode,
            softmax_layout=softmax_layout,
            entry="forward",
        ),
        actual_seq_qlen,
        actual_seq_kvlen,
        seed,
        offset,
    )


def npu_fusion_attention_v2(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    head_num: int,
    input_layout: str,
    *,
    pse: Tensor | None = None,
    padding_mask: Tensor | None = None,
    atten_mask: Tensor | None = None,
    query_rope: Tensor | None = None,
    key_rope: Tensor | None = None,
    scale: float = 1.0,
    keep_prob: float = 1.0,
    pre_tokens: int = UNBOUNDED_TOKENS,
    next_tokens: int = UNBOUNDED_TOKENS,
    inner_precise: int = 0,
    prefix: Sequence[int] | None = None,
    actual_seq_qlen: Lengths = None,
    actual_seq_kvlen: Lengths = None,
    sparse_mode: int = 0,
    gen_mask_parallel: bool = True,
    sync: bool = False,
    pse_type: int = 1,
    q_start_idx: Sequence[int] | None = None,
    kv_start_idx: Sequence[int] | None = None,
    softmax_layout: str = "",
    sink: Tensor | None = None,
    dropout_mask: Tensor | None = None,
    seed: int = 0,
    offset: int = 0,
) -> tuple[Tensor, Tensor, Tensor, Tensor, int, int, int]:
    """`npu_fusion_attention` with pse types and split rotary parts.

    Args:
        pse_type: 1: scale * (s + pse); 0: scale * s + pse; 2: scale * s - pse[n] * |j + kv0 - i - q0|, 3: the same with
            the square root of the distance; 2 and 3 take float32 slopes [N] or [B, N].
        q_start_idx, kv_start_idx: q0 and kv0 of pse types 2 and 3 (first elements).
        query_rope, key_rope: TND: [T, N, Dr] and [T, Nkv, Dr] parts that add query_rope key_rope^T to the scores.

    Other arguments, results and errors as `npu_fusion_attention`.
    """
    return _forward(
        Call(
            query,
            key,
            value,
            head_num,
            input_layout,
            pse=pse,
            atten_mask=atten_mask,
            query_rope=query_rope,
            key_rope=key_rope,
            sink=sink,
            dropout_mask=dropout_mask,
            scale=scale,
            keep_prob=keep_prob,
            pre_tokens=pre_tokens,
            next_tokens=next_tokens,
            prefix=prefix,
            sparse_mode=sparse_mode,
            pse_type=pse_type,
            q_start_idx=q_start_idx,
            kv_start_idx=kv_start_idx,
            softmax_layout=softmax_layout,
            entry="forward_v2",
        ),
        actual_seq_qlen,
        actual_seq_kvlen,
        seed,
        offset,
    )


def npu_fusion_attention_v3(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    head_num: int,
    input_layout: str,
    pse: Tensor | None = None,
    padding_mask: Tensor | None = None,
    atten_mask: Tensor | None = None,
    scale: float = 1.0,
    keep_prob: float = 1.0,
    pre_tockens: int = UNBOUNDED_TOKENS,
    next_tockens: int = UNBOUNDED_TOKENS,
    inner_precise: int = 0,
    prefix: Sequence[int] | None = None,
    actual_seq_qlen: Tensor | None = None,
    actual_seq_kvlen: Tensor | None = None,
    sparse_mode: int = 0,
    gen_mask_parallel: bool = True,
    sync: bool = False,
    softmax_layout: str = "",
    sink: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`npu_fusion_attention` for graphs: lengths are 1-D CPU tensors, seed and offset come back as int64 tensors [1].

    Returns:
        attention_out, softmax_max, softmax_sum, softmax_out, seed, offset.
    """
    _check_length_tensor(actual_seq_qlen)
    _check_length_tensor(actual_seq_kvlen)
    call = Call(
        query,
        key,
        value,
        head_num,
        input_layout,
        pse=pse,
        atten_mask=atten_mask,
        sink=sink,
        scale=scale,
        keep_prob=keep_prob,
        pre_tokens=pre_tockens,
        next_tokens=next_tockens,
        prefix=prefix,
        sparse_mode=sparse_mode,
        softmax_layout=softmax_layout,
        entry="forward",
    )
    out, softmax_max, softmax_sum, state = _attend(call, actual_seq_qlen, actual_seq_kvlen, 0, 0)
    return out, softmax_max, softmax_sum, query.new_empty(0), state[:1].clone(), state[1:].clone()


def npu_fusion_attention_grad(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dy: Tensor,
    head_num: int,
    input_layout: str,
    *,
    pse: Tensor | None = None,
    padding_mask: Tensor | None = None,
    atten_mask: Tensor | None = None,
    softmax_max: Tensor | None = None,
    softmax_sum: Tensor | None = None,
    softmax_in: Tensor | None = None,
    attention_in: Tensor | None = None,
    scale_value: float = 1.0,
    keep_prob: float = 1.0,
    pre_tockens: int = UNBOUNDED_TOKENS,
    next_tockens: int = UNBOUNDED_TOKENS,
    inner_precise: int = 0,
    seed: int = 0,
    offset: int = 0,
    numels: int = 0,
    prefix: Sequence[int] | None = None,
    actual_seq_qlen: Lengths = None,
    actual_seq_kvlen: Lengths = None,
    sparse_mode: int = 0,
    gen_mask_parallel: bool = True,
    sync: bool = False,
    softmax_layout: str = "",
    sink: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
    """Gradients of `npu_fusion_attention` from given statistics (FlashAttentionScoreGrad).

    The statistics may be foreign: merged over the steps of a ring, or softmax_max = log-sum-exp with softmax_sum = 1.
    Probabilities are exp(x - softmax_max) / softmax_sum and the row term is rowsum(dy * attention_in).

    Args:
        dy: gradient of attention_out, of its shape and dtype.
        softmax_max, softmax_sum: float32, as the forward returns them.
        softmax_in: reserved; ignored.
        attention_in: attention_out of the whole row; None takes the row term from these keys alone.
        scale_value: the forward's scale.
        seed, offset: of the forward, which name its dropout bits.
        numels: accepted; the number of dropout bits follows from the shapes.

    Returns:
        dq, dk, dv, dpse (None without pse), dsink (float32 [0] without sink).
    """
    call = Call(
        query,
        key,
        value,
        head_num,
        input_layout,
        pse=pse,
        atten_mask=atten_mask,
        sink=sink,
        scale=scale_value,
        keep_prob=keep_prob,
        pre_tokens=pre_tockens,
        next_tokens=next_tockens,
        prefix=prefix,
        sparse_mode=sparse_mode,
        softmax_layout=softmax_layout,
        entry="backward",
    )
    rng = _rng_of(seed, offset)
    gradients = _differentiate(call, dy, softmax_max, softmax_sum, attention_in, actual_seq_qlen, actual_seq_kvlen, rng)
    dq, dk, dv, dpse, _, _, dsink = gradients
    return dq, dk, dv, dpse, dsink


def npu_fusion_attention_grad_v2(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dy: Tensor,
    head_num: int,
    input_layout: str,
    *,
    pse: Tensor | None = None,
    padding_mask: Tensor | None = None,
    atten_mask: Tensor | None = None,
    softmax_max: Tensor | None = None,
    softmax_sum: Tensor | None = None,
    softmax_in: Tensor | None = None,
    attention_in: Tensor | None = None,
    query_rope: Tensor | None = None,
    key_rope: Tensor | None = None,
    scale_value: float = 1.0,
    keep_prob: float = 1.0,
    pre_tokens: int = UNBOUNDED_TOKENS,
    next_tokens: int = UNBOUNDED_TOKENS,
    inner_precise: int = 0,
    seed: int = 0,
    offset: int = 0,
    numels: int = 0,
    prefix: Sequence[int] | None = None,
    actual_seq_qlen: Lengths = None,
    actual_seq_kvlen: Lengths = None,
    sparse_mode: int = 0,
    gen_mask_parallel: bool = True,
    sync: bool = False,
    pse_type: int = 1,
    q_start_idx: Sequence[int] | None = None,
    kv_start_idx: Sequence[int] | None = None,
    softmax_layout: str = "",
    sink: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor]:
    """Gradients of `npu_fusion_attention_v2`; see `npu_fusion_attention_grad`.

    Returns:
        dq, dk, dv, dpse, dq_rope, dk_rope (None where the input is), dsink (float32 [0] without sink).
    """
    call = Call(
        query,
        key,
        value,
        head_num,
        input_layout,
        pse=pse,
        atten_mask=atten_mask,
        query_rope=query_rope,
        key_rope=key_rope,
        sink=sink,
        scale=scale_value,
        keep_prob=keep_prob,
        pre_tokens=pre_tokens,
        next_tokens=next_tokens,
        prefix=prefix,
        sparse_mode=sparse_mode,
        pse_type=pse_type,
        q_start_idx=q_start_idx,
        kv_start_idx=kv_start_idx,
        softmax_layout=softmax_layout,
        entry="backward_v2",
    )
    rng = _rng_of(seed, offset)
    return _differentiate(call, dy, softmax_max, softmax_sum, attention_in, actual_seq_qlen, actual_seq_kvlen, rng)


def npu_fusion_attention_grad_v3(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dy: Tensor,
    head_num: int,
    input_layout: str,
    *,
    pse: Tensor | None = None,
    padding_mask: Tensor | None = None,
    atten_mask: Tensor | None = None,
    softmax_max: Tensor | None = None,
    softmax_sum: Tensor | None = None,
    softmax_in: Tensor | None = None,
    attention_in: Tensor | None = None,
    scale_value: float = 1.0,
    keep_prob: float = 1.0,
    pre_tockens: int = UNBOUNDED_TOKENS,
    next_tockens: int = UNBOUNDED_TOKENS,
    inner_precise: int = 0,
    seed: Tensor | None = None,
    offset: Tensor | None = None,
    prefix: Sequence[int] | None = None,
    actual_seq_qlen: Tensor | None = None,
    actual_seq_kvlen: Tensor | None = None,
    sparse_mode: int = 0,
    gen_mask_parallel: bool = True,
    sync: bool = False,
    softmax_layout: str = "",
    sink: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
    """Gradients of `npu_fusion_attention_v3`: lengths, seed and offset are CPU tensors.

    Returns:
        dq, dk, dv, dpse (None without pse), dsink (float32 [0] without sink).
    """
    _check_length_tensor(actual_seq_qlen)
    _check_length_tensor(actual_seq_kvlen)
    call = Call(
        query,
        key,
        value,
        head_num,
        input_layout,
        pse=pse,
        atten_mask=atten_mask,
        sink=sink,
        scale=scale_value,
        keep_prob=keep_prob,
        pre_tokens=pre_tockens,
        next_tokens=next_tockens,
        prefix=prefix,
        sparse_mode=sparse_mode,
        softmax_layout=softmax_layout,
        entry="backward",
    )
    rng = _rng_of(_scalar_tensor("seed", seed), _scalar_tensor("offset", offset))
    gradients = _differentiate(call, dy, softmax_max, softmax_sum, attention_in, actual_seq_qlen, actual_seq_kvlen, rng)
    dq, dk, dv, dpse, _, _, dsink = gradients
    return dq, dk, dv, dpse, dsink


npu_flash_attention = npu_fusion_attention  # the older name


def _forward(
    call: Call, q_ends: Lengths, kv_ends: Lengths, seed: int, offset: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, int, int, int]:
    """The 7-tuple of v1 and v2."""
    q_ends, kv_ends = _read_once("actual_seq_qlen", q_ends), _read_once("actual_seq_kvlen", kv_ends)
    out, softmax_max, softmax_sum, state = _attend(call, q_ends, kv_ends, seed, offset)
    if isinstance(seed, Tensor) or torch.compiler.is_compiling() or is_fake(call.query):
        drawn_seed, drawn_offset = state[0], state[1]  # int64 tensors of the graph
    else:
        drawn_seed, drawn_offset = state.tolist()
    numels = _dropout_numels(call, q_ends, kv_ends)
    softmax_out = call.query.new_empty(0)
    return out, softmax_max, softmax_sum, softmax_out, drawn_seed, drawn_offset, numels  # type: ignore[return-value]


def _attend(
    call: Call, q_ends: Lengths, kv_ends: Lengths, seed: int | Tensor, offset: int | Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """attention_out, softmax_max, softmax_sum and the dropout state [seed, offset] that made them."""
    q_lengths, kv_lengths = _length_tensors(q_ends, kv_ends)
    state = _dropout_state(call, q_lengths, kv_lengths, seed, offset)
    tensors, options = _op_arguments(call, state, q_lengths, kv_lengths)
    out, softmax_max, softmax_sum = attention_forward(*tensors, *options)
    return out, softmax_max, softmax_sum, state


def _dropout_state(
    call: Call, q_lengths: Tensor | None, kv_lengths: Tensor | None, seed: int | Tensor, offset: int | Tensor
) -> Tensor:
    state = _rng_of(seed, offset)
    generated = call.dropout_mask is None and 0 < call.keep_prob < 1 - 1e-9
    given = isinstance(seed, Tensor) or seed != 0
    if not generated or given or (is_fake(call.query) and not torch.compiler.is_compiling()):
        return state
    if not torch.compiler.is_compiling():
        # A refused call must leave the generator as it was.
        call.actual_seq_qlen = None if q_lengths is None else q_lengths.tolist()
        call.actual_seq_kvlen = None if kv_lengths is None else kv_lengths.tolist()
        call.build_problem()
    return generator.draw()


def _differentiate(
    call: Call,
    dy: Tensor,
    softmax_max: Tensor | None,
    softmax_sum: Tensor | None,
    attention_in: Tensor | None,
    q_ends: Lengths,
    kv_ends: Lengths,
    rng: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor]:
    if softmax_max is None or softmax_sum is None:
        raise AttentionError("softmax_max, softmax_sum: expected the forward's statistics, got None", 561002)
    for name, tensor in (("dy", dy), ("softmax_max", softmax_max), ("softmax_sum", softmax_sum)):
        border.tensor(name, tensor, call.query)
    if attention_in is not None:
        border.tensor("attention_in", attention_in, call.query)
    inputs = (call.query, call.key, call.value, call.pse, call.query_rope, call.key_rope, call.sink)
    needs = [tensor is not None for tensor in inputs]
    tensors, options = _op_arguments(call, rng, *_length_tensors(q_ends, kv_ends))
    gradients = attention_backward(*tensors, dy, softmax_max, softmax_sum, attention_in, needs, *options)
    dq, dk, dv, *rest = gradients
    dpse, dq_rope, dk_rope = (gradient if need else None for gradient, need in zip(rest[:3], needs[3:6], strict=True))
    dsink = rest[3] if call.sink is not None else call.query.new_empty(0, dtype=torch.float32)
    return dq, dk, dv, dpse, dq_rope, dk_rope, dsink


def _op_arguments(
    call: Call, rng: Tensor, q_lengths: Tensor | None, kv_lengths: Tensor | None
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """A call in the argument order of the custom ops."""
    tensors = (
        call.query,
        call.key,
        call.value,
        call.pse,
        call.atten_mask,
        call.query_rope,
        call.key_rope,
        call.sink,
        call.dropout_mask,
        rng,
        q_lengths,
        kv_lengths,
    )
    options = (
        call.head_num,
        call.input_layout,
        call.scale,
        call.keep_prob,
        call.pre_tokens,
        call.next_tokens,
        call.prefix,
        call.sparse_mode,
        call.pse_type,
        call.q_start_idx,
        call.kv_start_idx,
        call.softmax_layout,
        call.entry,
        get_backend(),
    )
    return tensors, options


def _rng_of(seed: int | Tensor, offset: int | Tensor) -> Tensor:
    """int64 [seed, offset] from ints or one-element tensors."""
    if isinstance(seed, Tensor) or isinstance(offset, Tensor):
        parts = (torch.as_tensor(part, dtype=torch.int64, device="cpu").reshape(1) for part in (seed, offset))
        return torch.cat(tuple(parts))
    return torch.tensor(
        [border.integer("seed", seed), border.integer("offset", offset)], dtype=torch.int64, device="cpu"
    )


def _length_tensor(name: str, ends: Lengths) -> Tensor | None:
    """Cumulative lengths as int64 [sequences]."""
    if ends is None:
        return None
    if isinstance(ends, Tensor):
        return border.integer_tensor(name, ends).to(torch.int64)
    return torch.tensor(border.integers(name, ends), dtype=torch.int64, device="cpu")


def _read_once(name: str, ends: Lengths) -> list[int] | Tensor | None:
    return ends if isinstance(ends, Tensor) else border.integers(name, ends)


def _length_tensors(q_ends: Lengths, kv_ends: Lengths) -> tuple[Tensor | None, Tensor | None]:
    return _length_tensor("actual_seq_qlen", q_ends), _length_tensor("actual_seq_kvlen", kv_ends)


def _dropout_numels(call: Call, q_ends: Lengths, kv_ends: Lengths) -> int:
    """Number of dropout bits: B*N*Sq*Skv, in TND N * sum of Sq*Skv."""
    q, k, layout = call.query.shape, call.key.shape, call.input_layout.upper()
    if layout == "TND":
        return call.head_num * sum(a * b for a, b in zip(_lengths(q_ends), _lengths(kv_ends), strict=True))
    batch, rows, columns = {
        "BNSD": (0, 2, 2),
        "BSND": (0, 1, 1),
        "BSH": (0, 1, 1),
        "SBH": (1, 0, 0),
    }[layout]
    return q[batch] * call.head_num * q[rows] * k[columns]


def _lengths(ends: Lengths) -> list[int]:
    """Length of each sequence; trailing zeros mean no sequence."""
    values = [] if ends is None else ends.tolist() if isinstance(ends, Tensor) else list(ends)
    return [max(end - start, 0) for start, end in zip([0, *values], values, strict=False)]


def _check_length_tensor(ends: Tensor | None) -> None:
    """v3 takes its lengths as tensors only."""
    if ends is not None and not isinstance(ends, Tensor):
        raise TypeError(f"actual_seq_qlen, actual_seq_kvlen: expected 1-D CPU tensors, got {type(ends).__name__}")


def _scalar_tensor(name: str, value: Tensor | None) -> int | Tensor:
    if value is None:
        return 0
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected an int64 tensor of one element, got {value!r} ({type(value).__name__})")
    if value.numel() != 1:
        raise AttentionError(f"{name}: Tensor must contain exactly one element, got {value.numel()}")
    if value.device.type != "cpu":
        raise AttentionError(f"{name}: Tensor must be on CPU to call .item(), got {value.device}")
    if value.dtype not in border.INTEGERS:
        raise AttentionError(f"{name}: Expected integer dtype, got {value.dtype}")
    return value
