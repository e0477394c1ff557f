"""Merging partial attention results, and dropout bits on their own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from . import border, rng
from ._native import native
from .errors import AttentionError

_MAX_MASK_BITS = 1 << 40  # 128 GiB of packed bits
_OUT_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def npu_ring_attention_update(
    prev_attn_out: Tensor,
    prev_softmax_max: Tensor,
    prev_softmax_sum: Tensor,
    cur_attn_out: Tensor,
    cur_softmax_max: Tensor,
    cur_softmax_sum: Tensor,
    *,
    actual_seq_qlen: Tensor | None = None,
    input_layout: str = "SBH",
    input_softmax_layout: str = "",
) -> tuple[Tensor, Tensor, Tensor]:
    """Merges the results of two blocks of keys for the same rows (RingAttentionUpdateV2).

    With m = max(m1, m2), s1' = s1 exp(m1 - m), s2' = s2 exp(m2 - m) and s = s1' + s2':
    out = out1 s1'/s + out2 s2'/s. A block in which a row saw nothing leaves the row as it was.

    Args:
        prev_attn_out, cur_attn_out: [S, B, H] (SBH) or [T, N, D] (TND), float16, bfloat16 or float32.
        prev_softmax_max, ..., cur_softmax_sum: float32 [B, N, S, 8] (SBH) or [T, N, 8] (TND).
        actual_seq_qlen: TND: int64 cumulative lengths.
        input_layout: "SBH" or "TND".
        input_softmax_layout: TND: "" for statistics kept [N, S_i, 8] sequence by sequence, "TND" for [T, N, 8].

    Returns:
        attn_out, softmax_max, softmax_sum of the shapes and dtypes given.
    """
    named = {
        "prev_attn_out": prev_attn_out,
        "prev_softmax_max": prev_softmax_max,
        "prev_softmax_sum": prev_softmax_sum,
        "cur_attn_out": cur_attn_out,
        "cur_softmax_max": cur_softmax_max,
        "cur_softmax_sum": cur_softmax_sum,
    }
    for name, value in named.items():
        border.tensor(name, value, prev_attn_out)
    _check_update(
        prev_attn_out,
        cur_attn_out,
        (prev_softmax_max, prev_softmax_sum, cur_softmax_max, cur_softmax_sum),
        input_layout,
    )
    if input_softmax_layout not in ("", "SBH", "TND"):
        raise AttentionError(f"input_softmax_layout: expected '', 'SBH' or 'TND', got {input_softmax_layout!r}")
    if input_layout == "TND":
        _check_lengths(actual_seq_qlen, prev_attn_out.size(0))
    m = torch.maximum(prev_softmax_max, cur_softmax_max)
    prev_weight, prev_sum = _rescaled(prev_softmax_max, prev_softmax_sum, m)
    cur_weight, cur_sum = _rescaled(cur_softmax_max, cur_softmax_sum, m)
    total = prev_sum + cur_sum
    empty = (prev_weight == 0) & (cur_weight == 0)
    divisor = total.masked_fill(empty, 1)
    out = prev_attn_out.float() * _spread(
        prev_sum / divisor, prev_attn_out, input_layout, input_softmax_layout, actual_seq_qlen
    )
    out += cur_attn_out.float() * _spread(
        cur_sum / divisor, cur_attn_out, input_layout, input_softmax_layout, actual_seq_qlen
    )
    return out.to(prev_attn_out.dtype), m, torch.where(empty, prev_softmax_sum, total)


def _rescaled(block_max: Tensor, block_sum: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """(exp(block_max - m), the block's sum relative to m), both 0 where the block's row saw nothing."""
    nothing = (block_max == torch.finfo(torch.float32).min) | (block_sum == 0)
    weight = torch.exp(block_max - m).masked_fill(nothing, 0)
    return weight, (block_sum * weight).masked_fill(nothing, 0)


def _spread(share: Tensor, out: Tensor, layout: str, softmax_layout: str, ends: Tensor | None) -> Tensor:
    """share [B, N, S, 8] or [T, N, 8] (in either storage order) as a factor of out."""
    if layout == "SBH":
        batch, heads, rows, _ = share.shape
        per_head = share[..., 0].permute(2, 0, 1)  # [S, B, N]
        return per_head.unsqueeze(-1).expand(rows, batch, heads, out.size(-1) // heads).reshape(out.shape)
    if softmax_layout == "TND":
        return share[..., :1]
    assert ends is not None
    heads, flat = share.size(1), share[..., 0].reshape(-1)
    by_token = share.new_zeros(share.size(0), heads)
    start = 0
    for end in ends.tolist():
        by_token[start:end] = flat[start * heads : end * heads].view(heads, end - start).t()
        start = end
    return by_token.unsqueeze(-1)


def _check_update(prev: Tensor, cur: Tensor, statistics: Sequence[Tensor], layout: str) -> None:
    if layout not in ("SBH", "TND"):
        raise AttentionError(f"input_layout: expected SBH or TND, got {layout!r}")
    if prev.dim() != 3:
        raise AttentionError(f"prev_attn_out: expected 3 dimensions, got shape {list(prev.shape)}")
    if prev.shape != cur.shape or prev.dtype != cur.dtype:
        raise AttentionError(
            f"cur_attn_out: expected prev_attn_out's {prev.dtype} {list(prev.shape)}, got {cur.dtype} {list(cur.shape)}"
        )
    if prev.dtype not in _OUT_DTYPES:
        raise AttentionError(f"prev_attn_out: expected dtype float16, bfloat16 or float32, got {prev.dtype}")
    names = ("prev_softmax_max", "prev_softmax_sum", "cur_softmax_max", "cur_softmax_sum")
    rank = 4 if layout == "SBH" else 3
    for name, statistic in zip(names, statistics, strict=True):
        if statistic.dtype != torch.float32:
            raise AttentionError(f"{name}: expected dtype float32, got {statistic.dtype}")
        if statistic.dim() != rank or statistic.size(-1) != 8:
            expected = "[B, N, S, 8]" if layout == "SBH" else "[T, N, 8]"
            raise AttentionError(f"{name}: expected shape {expected}, got {list(statistic.shape)}")
        if statistic.shape != statistics[0].shape:
            raise AttentionError(
                f"{name}: expected prev_softmax_max's shape {list(statistics[0].shape)}, got {list(statistic.shape)}"
            )
    rows = statistics[0].shape
    fits = (
        (rows[2], rows[0]) == tuple(prev.shape[:2]) and rows[1] > 0 and prev.size(2) % rows[1] == 0
        if rank == 4
        else rows[:2] == prev.shape[:2]
    )
    if not fits:
        raise AttentionError(
            f"prev_softmax_max: expected the rows of prev_attn_out {list(prev.shape)}, got shape {list(rows)}"
        )


def _check_lengths(ends: Tensor | None, tokens: int) -> None:
    if ends is None:
        raise AttentionError("actual_seq_qlen: expected int64 cumulative lengths for input_layout TND, got None")
    if not isinstance(ends, Tensor):
        raise TypeError(f"actual_seq_qlen: expected an int64 tensor, got {type(ends).__name__}")
    border.integer_tensor("actual_seq_qlen", ends)
    if ends.dtype != torch.int64:
        raise AttentionError(f"actual_seq_qlen: expected dtype int64, got {ends.dtype}")
    values = ends.tolist()
    if any(end < start for start, end in zip([0, *values], values, strict=False)) or max(values, default=0) > tokens:
        raise AttentionError(
            f"actual_seq_qlen: expected cumulative lengths up to prev_attn_out's {tokens} tokens, got {values}"
        )


def npu_attention_update(
    lse: Sequence[Tensor], local_out: Sequence[Tensor], update_type: int
) -> tuple[Tensor, Tensor | None]:
    """Merges parts of attention by their log-sum-exp: out = sum_i exp(lse_i - logsumexp(lse)) local_out_i.

    Args:
        lse: 1 to 16 float32 tensors [N].
        local_out: as many tensors [N, D].
        update_type: 1 also returns logsumexp(lse); 0 does not.

    Returns:
        out [N, D] in local_out's dtype, and lse_out float32 [N] or None.
    """
    if not 1 <= len(lse) <= 16 or len(lse) != len(local_out):
        raise AttentionError(f"lse, local_out: expected 1 to 16 parts each, got {len(lse)} and {len(local_out)}")
    if update_type not in (0, 1):
        raise AttentionError(f"update_type: expected 0 or 1, got {update_type}")
    for i, (part_lse, part) in enumerate(zip(lse, local_out, strict=True)):
        border.tensor(f"lse[{i}]", part_lse, part_lse)
        border.tensor(f"local_out[{i}]", part, part_lse)
        if part.dtype not in _OUT_DTYPES or part.dtype != local_out[0].dtype:
            raise AttentionError(
                f"local_out[{i}]: expected dtype float16, bfloat16 or float32, all alike, got {part.dtype}"
            )
        if part_lse.dtype != torch.float32 or part_lse.dim() != 1:
            raise AttentionError(f"lse[{i}]: expected float32 [N], got {part_lse.dtype} {list(part_lse.shape)}")
        if part.dim() != 2:
            raise AttentionError(f"local_out[{i}]: expected [N, D], got shape {list(part.shape)}")
        if part.shape != local_out[0].shape or part.size(0) != part_lse.size(0):
            raise AttentionError(
                f"local_out[{i}]: expected [N, D] = [{part_lse.size(0)}, {local_out[0].size(-1)}], got {list(part.shape)}"
            )
    head_dim = local_out[0].size(-1)
    if not 8 <= head_dim <= 512 or head_dim % 8:
        raise AttentionError(f"local_out[0]: expected D to be a multiple of 8 from 8 to 512, got {head_dim}")
    parts = torch.stack(list(lse))
    total = torch.logsumexp(parts, dim=0)
    weights = torch.exp(parts - total).masked_fill(parts == -torch.inf, 0)
    out = sum(weight.unsqueeze(-1) * part.float() for weight, part in zip(weights, local_out, strict=True))
    assert isinstance(out, Tensor)
    return out.to(local_out[0].dtype), total if update_type == 1 else None


def _npu_dropout_gen_mask(
    self: Tensor,
    size: Sequence[int],
    p: float,
    seed: int,
    offset: int,
    *,
    parallel: bool | None = True,
    sync: bool | None = None,
) -> Tensor:
    """Packed dropout bits of the stream (seed, offset): the bits attention uses with keep_prob = 1 - p.

    Args:
        self: any tensor; it names the device.
        size: shape of what is dropped; its product is the number of bits.
        p: probability to drop, in [0, 1].
        parallel, sync: accepted; they schedule the device's mask stream.

    Returns:
        uint8 [ceil(numels / 128) * 16], LSB first, 1 = keep.
    """
    if not 0 <= p <= 1:
        raise AttentionError(f"dropout probability has to be between 0 and 1, but got {p}")
    numels = _mask_numels(size)
    seed, offset = border.integer("seed", seed), border.integer("offset", offset)
    return torch.from_numpy(native().dropout_gen_mask(numels, float(p), seed, offset))


def npu_dropout_gen_mask(
    size: Sequence[int],
    p: float,
    *,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | str | None = None,
    pin_memory: bool | None = None,
) -> Tensor:
    """`_npu_dropout_gen_mask` with a (seed, offset) drawn from the generator."""
    if not 0 <= p <= 1:
        raise AttentionError(f"dropout probability has to be between 0 and 1, but got {p}")
    _mask_numels(size)  # a refused call must leave the generator as it was
    seed, offset = rng.draw().tolist()
    return _npu_dropout_gen_mask(torch.empty(0, device="cpu"), size, p, seed, offset)


def _mask_numels(size: Sequence[int]) -> int:
    extents = border.integers("size", size)
    if extents is None:
        raise TypeError("size: expected a sequence of integers, got None")
    numels = math.prod(extents)
    if any(extent < 0 for extent in extents) or numels > _MAX_MASK_BITS:
        raise AttentionError(f"size: expected extents of at most {_MAX_MASK_BITS} elements together, got {extents}")
    return numels
