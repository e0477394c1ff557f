"""The gradient functions by hand, as ring attention calls them: foreign statistics, parts of the keys."""

from __future__ import annotations

from typing import Any

import npu_flash_attention as fa
import pytest
import torch
from torch import Tensor

B, N, N_KV, S, D, DV = 2, 4, 2, 24, 8, 8
SCALE = 0.35


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape) + seed), dtype=torch.float32)


def triangle() -> Tensor:
    return torch.ones(2048, 2048, dtype=torch.bool).triu(1)


def whole(layout: str, **options: Any) -> tuple[list[Tensor], tuple[Any, ...], list[Tensor]]:
    """(query, key, value, dy), the forward's outputs and (dq, dk, dv) over all keys."""
    if layout == "SBH":
        shapes = ((S, B, N * D), (S, B, N_KV * D), (S, B, N_KV * DV), (S, B, N * DV))
    else:
        shapes = ((B, N, S, D), (B, N_KV, S, D), (B, N_KV, S, DV), (B, N, S, DV))
    query, key, value, dy = (randn(*shape, seed=i) for i, shape in enumerate(shapes))
    leaves = [t.requires_grad_() for t in (query, key, value)]
    outputs = fa.npu_fusion_attention(*leaves, N, layout, scale=SCALE, **options)
    gradients = list(torch.autograd.grad(outputs[0], leaves, dy))
    detached = tuple(t.detach() if isinstance(t, Tensor) else t for t in outputs)
    return [t.detach() for t in (query, key, value, dy)], detached, gradients


@pytest.mark.parametrize("steps", (2, 3, 4))
@pytest.mark.parametrize("lse", (False, True))
def test_a_ring_over_blocks_of_keys(steps: int, lse: bool) -> None:
    """MindSpeed's loop in SBH: forward merges block by block, backward runs each block with the merged statistics."""
    (query, key, value, dy), (out, row_max, row_sum, *_), expected = whole("SBH")
    blocks = list(zip(key.chunk(steps), value.chunk(steps), strict=True))
    merged = fa.npu_fusion_attention(query, *blocks[0], N, "SBH", scale=SCALE)[:3]
    for block in blocks[1:]:
        merged = fa.npu_ring_attention_update(
            *merged, *fa.npu_fusion_attention(query, *block, N, "SBH", scale=SCALE)[:3]
        )
    for got, want in zip(merged, (out, row_max, row_sum), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
    merged_out, merged_max, merged_sum = merged
    if lse:  # ms-swift hands over log-sum-exp and ones
        merged_max, merged_sum = merged_max + merged_sum.log(), torch.ones_like(merged_sum)
    parts = [
        fa.npu_fusion_attention_grad(
            query, *block, dy, N, "SBH", softmax_max=merged_max, softmax_sum=merged_sum, softmax_in=torch.empty(0),
            attention_in=merged_out, scale_value=SCALE, seed=0, offset=0, numels=0,
        )
        for block in blocks
    ]  # fmt: skip
    got = (sum(p[0] for p in parts), torch.cat([p[1] for p in parts]), torch.cat([p[2] for p in parts]))
    for gradient, want in zip(got, expected, strict=True):
        torch.testing.assert_close(gradient, want, rtol=1e-4, atol=1e-5)


def test_a_causal_ring_over_two_halves() -> None:
    """The second half of the rows sees all of the first keys and a triangle of its own."""
    mask = {"atten_mask": triangle(), "sparse_mode": 3, "next_tockens": 0}
    (query, key, value, dy), (out, row_max, row_sum, *_), expected = whole("BNSD", **mask)
    half = S // 2
    dq, dk, dv = (torch.zeros_like(t) for t in (query, key, value))
    for rows in (slice(0, half), slice(half, S)):
        for columns in (slice(0, half), slice(half, S)):
            if columns.start > rows.start:
                continue
            options = mask if rows == columns else {}
            gradients = fa.npu_fusion_attention_grad(
                query[:, :, rows], key[:, :, columns], value[:, :, columns], dy[:, :, rows], N, "BNSD",
                softmax_max=row_max[:, :, rows], softmax_sum=row_sum[:, :, rows], attention_in=out[:, :, rows],
                scale_value=SCALE, **options,
            )  # fmt: skip
            for total, part, where in zip((dq, dk, dv), gradients, (rows, columns, columns), strict=False):
                total[:, :, where] += part
    for got, want in zip((dq, dk, dv), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_alibi_blocks_find_their_place_by_start_indices() -> None:
    """MindSpeed's ring with slopes: each block says where its rows and columns begin."""
    slopes, half = randn(N).abs(), S // 2
    query, key, value, dy = (randn(B, heads, S, D, seed=i) for i, heads in enumerate((N, N_KV, N_KV, N)))
    options = {"pse": slopes, "pse_type": 2}
    out, row_max, row_sum, *_ = fa.npu_fusion_attention_v2(query, key, value, N, "BNSD", scale=SCALE, **options)
    statistics = {"softmax_max": row_max, "softmax_sum": row_sum, "attention_in": out}
    expected = fa.npu_fusion_attention_grad_v2(
        query, key, value, dy, N, "BNSD", scale_value=SCALE, **statistics, **options
    )
    totals = [torch.zeros_like(t) for t in (query, key, value, slopes)]
    blocks = (slice(0, half), slice(half, S))
    for rows in blocks:
        for columns in blocks:
            gradients = fa.npu_fusion_attention_grad_v2(
                query[:, :, rows], key[:, :, columns], value[:, :, columns], dy[:, :, rows], N, "BNSD",
                scale_value=SCALE, q_start_idx=[rows.start], kv_start_idx=[columns.start], **options,
                **{name: tensor[:, :, rows] for name, tensor in statistics.items()},
            )  # fmt: skip
            for total, part, where in zip(totals, gradients, (rows, columns, columns), strict=False):
                total[:, :, where] += part
            totals[3] += gradients[3]
    for got, want in zip(totals, expected, strict=False):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("softmax_layout", ("", "TND"))
def test_packed_blocks_with_both_layouts_of_the_statistics(softmax_layout: str) -> None:
    """ms-swift's zigzag ring: TND, statistics by token or by sequence, lse and ones."""
    ends = [5, 5, 16, 24]
    query, key, value, dy = (randn(24, heads, D, seed=i) for i, heads in enumerate((N, N_KV, N_KV, N)))
    lengths = {"actual_seq_qlen": ends, "actual_seq_kvlen": ends, "softmax_layout": softmax_layout}
    mask = {"atten_mask": triangle(), "sparse_mode": 3}
    leaves = [t.clone().requires_grad_() for t in (query, key, value)]
    out, row_max, row_sum, *_ = fa.npu_fusion_attention(*leaves, N, "TND", scale=SCALE, **lengths, **mask)
    expected = torch.autograd.grad(out, leaves, dy)
    lse = row_max + row_sum.log()
    got = fa.npu_fusion_attention_grad(
        query, key, value, dy, N, "TND", softmax_max=lse, softmax_sum=torch.ones_like(lse), attention_in=out.detach(),
        scale_value=SCALE, **lengths, **mask,
    )  # fmt: skip
    for gradient, want in zip(got, expected, strict=False):
        torch.testing.assert_close(gradient, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("keep_prob", (1.0, 0.7))
def test_without_attention_in_the_row_term_comes_from_the_keys_given(keep_prob: float) -> None:
    (query, key, value, dy), (out, row_max, row_sum, _, seed, offset, numels), expected = whole(
        "BNSD", keep_prob=keep_prob
    )
    statistics = {"softmax_max": row_max, "softmax_sum": row_sum, "attention_in": None}
    got = fa.npu_fusion_attention_grad(
        query, key, value, dy, N, "BNSD", scale_value=SCALE, keep_prob=keep_prob, seed=seed, offset=offset,
        numels=numels, **statistics,
    )  # fmt: skip
    for gradient, want in zip(got, expected, strict=False):
        torch.testing.assert_close(gradient, want, rtol=1e-4, atol=1e-5)


def test_only_lane_0_of_the_statistics_counts_and_any_strides_will_do() -> None:
    (query, key, value, dy), (out, row_max, row_sum, *_), expected = whole("BNSD")
    options = {"softmax_sum": row_sum.transpose(0, 1).contiguous().transpose(0, 1), "attention_in": out}
    strided_dy = dy.transpose(2, 3).contiguous().transpose(2, 3)
    got = fa.npu_fusion_attention_grad(
        query, key, value, strided_dy, N, "BNSD", scale_value=SCALE, softmax_max=row_max[..., :1].expand(-1, -1, -1, 8),
        **options,
    )  # fmt: skip
    for gradient, want in zip(got, expected, strict=False):
        assert torch.equal(gradient, want)


def test_what_is_not_there_comes_back_as_the_vendor_gives_it() -> None:
    (query, key, value, dy), (out, row_max, row_sum, *_), _ = whole("BNSD")
    statistics = {"softmax_max": row_max, "softmax_sum": row_sum, "attention_in": out}
    for function, length in (
        (fa.npu_fusion_attention_grad, 5),
        (fa.npu_fusion_attention_grad_v2, 7),
        (fa.npu_fusion_attention_grad_v3, 5),
    ):
        gradients = function(query, key, value, dy, N, "BNSD", **statistics)
        assert len(gradients) == length
        assert all(gradient is None for gradient in gradients[3:-1])
        assert gradients[-1].shape == (0,) and gradients[-1].dtype == torch.float32
    sink = randn(N)
    gradients = fa.npu_fusion_attention_grad(query, key, value, dy, N, "BNSD", sink=sink, **statistics)
    assert gradients[4].shape == (N,) and gradients[4].dtype == torch.float32


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_gradients_have_the_dtypes_of_their_inputs(dtype: torch.dtype) -> None:
    query, key, value, dy = (randn(B, heads, S, D, seed=i).to(dtype) for i, heads in enumerate((N, N_KV, N_KV, N)))
    pse, sink = randn(B, N, S, S).to(dtype), randn(N)
    out, row_max, row_sum, *_ = fa.npu_fusion_attention(query, key, value, N, "BNSD", pse=pse, sink=sink)
    assert row_max.dtype == row_sum.dtype == torch.float32
    gradients = fa.npu_fusion_attention_grad(
        query, key, value, dy, N, "BNSD", pse=pse, sink=sink, softmax_max=row_max, softmax_sum=row_sum, attention_in=out
    )
    assert [g.dtype for g in gradients] == [dtype] * 4 + [torch.float32]
    assert [g.shape for g in gradients] == [t.shape for t in (query, key, value, pse, sink)]
