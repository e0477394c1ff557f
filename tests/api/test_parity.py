"""The fourteen points of the parity checklist (torch-api.md section 10), against plain eager attention.

Points with files of their own: 1 test_signatures.py, 7 test_dropout.py, 8 test_context_parallel.py, 9 tests/negative,
10 test_graphs.py and test_training.py, 12 tests/unit/test_updates.py and tests/property/test_merging.py, 14
test_training.py. Here are the others, and what scripts rely on of those.
"""

from __future__ import annotations

import math
from typing import Any

import npu_flash_attention as fa
import pytest
import torch
from strategies import BATCHED, from_bnsd, prefix_triangle, to_bnsd, triangle
from torch import Tensor

B, N, N_KV, SQ, SKV, D, DV = 2, 4, 2, 7, 9, 8, 5


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def qkv(q_len: int = SQ, kv_len: int = SKV, dtype: torch.dtype = torch.float64, heads: int = N) -> list[Tensor]:
    return [
        randn(B, heads, q_len, D, seed=1, dtype=dtype),
        randn(B, N_KV, kv_len, D, seed=2, dtype=dtype),
        randn(B, N_KV, kv_len, DV, seed=3, dtype=dtype),
    ]


def eager(
    query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None = None, scale: float = 1.0, bias: Any = 0.0
) -> Tensor:
    """Plain attention in BNSD; rows that see nothing are 0."""
    group = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    scores = query @ key.transpose(-1, -2) * scale + bias
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    return scores.softmax(-1).nan_to_num(0) @ value


def close(got: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=tolerance)


def lower_right(q_len: int, kv_len: int) -> Tensor:
    """Hidden elements of mode 3."""
    return torch.ones(q_len, kv_len, dtype=torch.bool).triu(kv_len - q_len + 1)


# ---- 1: what comes back ----


@pytest.mark.parametrize("function", (fa.npu_fusion_attention, fa.npu_fusion_attention_v2, fa.npu_flash_attention))
@pytest.mark.parametrize("keep_prob", (1.0, 0.5))
def test_point_01_seven_results(function: Any, keep_prob: float) -> None:
    outputs = function(*qkv(dtype=torch.float16), N, "BNSD", keep_prob=keep_prob)
    assert isinstance(outputs, tuple) and len(outputs) == 7
    assert [type(part) for part in outputs] == [Tensor] * 4 + [int] * 3
    assert outputs[3].shape == (0,) and outputs[3].dtype == torch.float16
    assert outputs[6] == B * N * SQ * SKV


def test_point_01_all_24_by_position() -> None:
    query, key, value = qkv()
    big = 2147483647
    positional = (
        query, key, value, N, "BNSD", None, None, None, 0.5, 1.0, big, big, 0, None, None, None, 0, True, False, "", None,
        None, 0, 0,
    )  # fmt: skip
    close(fa.npu_fusion_attention(*positional)[0], eager(query, key, value, scale=0.5))


@pytest.mark.parametrize(
    "reserved", ({"inner_precise": 2}, {"sync": True}, {"gen_mask_parallel": False}, {"inner_precise": 1})
)
def test_point_01_arguments_that_schedule_change_nothing(reserved: dict[str, Any]) -> None:
    query, key, value = qkv()
    padding = torch.ones(B, SKV, dtype=torch.bool)
    got = fa.npu_fusion_attention(query, key, value, N, "BNSD", padding_mask=padding, **reserved)
    expected = fa.npu_fusion_attention(query, key, value, N, "BNSD")
    assert all(torch.equal(a, b) for a, b in zip(got[:3], expected[:3], strict=True))


# ---- 2: layouts, heads, strides, dtypes ----


@pytest.mark.parametrize("layout", ("BNSD", "bnsd", "bNsD", "BSND", "bsnd", "BSH", "bsh", "Sbh", "SBH"))
@pytest.mark.parametrize("kv_heads", (1, 2, 4))
def test_point_02_layouts_in_any_letter_case(layout: str, kv_heads: int) -> None:
    upper = layout.upper()
    query, key, value = randn(B, N, SQ, D), randn(B, kv_heads, SKV, D), randn(B, kv_heads, SKV, DV)
    out, row_max, *_ = fa.npu_fusion_attention(
        *(from_bnsd(t, upper) for t in (query, key, value)), N, layout, scale=0.3
    )
    close(to_bnsd(out, upper, N), eager(query, key, value, scale=0.3))
    assert row_max.shape == (B, N, SQ, 8)
    if upper in ("BSH", "SBH"):
        assert out.shape[-1] == N * DV


@pytest.mark.parametrize("layout", ("tnd", "TND", "Tnd"))
def test_point_02_tnd_in_any_letter_case(layout: str) -> None:
    query, key, value = randn(SQ, N, D), randn(SKV, N_KV, D), randn(SKV, N_KV, DV)
    lengths = {"actual_seq_qlen": [SQ], "actual_seq_kvlen": [SKV]}
    out, row_max, *_ = fa.npu_fusion_attention(query, key, value, N, layout, **lengths)
    expected = eager(*(t.transpose(0, 1)[None] for t in (query, key, value)))[0].transpose(0, 1)
    close(out, expected)
    assert out.shape == (SQ, N, DV) and row_max.shape == (SQ, N, 8)


@pytest.mark.parametrize("layout", BATCHED)
def test_point_02_strided_inputs(layout: str) -> None:
    """Slices of a fused projection, transposed views, expanded keys, a last axis that is not dense."""
    query, key, value = (randn(B, N, SKV, D, seed=i) for i in range(3))
    expected = eager(query, key, value)
    for view in (
        lambda t: torch.cat([t, t], -1)[..., : t.shape[-1]],
        lambda t: t.repeat_interleave(2, 0)[::2],
        lambda t: t.transpose(0, 1).contiguous().transpose(0, 1),
        lambda t: t.repeat_interleave(2, -1)[..., ::2],
        lambda t: torch.cat([torch.zeros(1, dtype=t.dtype), t.flatten()])[1:].view(t.shape),
    ):
        strided = [view(from_bnsd(t, layout)) for t in (query, key, value)]
        leaves = [t.detach().requires_grad_() for t in strided]
        out = fa.npu_fusion_attention(*leaves, N, layout)[0]
        close(to_bnsd(out, layout, N), expected)
        gradients = torch.autograd.grad(out.sum(), leaves)
        dense = [from_bnsd(t, layout).requires_grad_() for t in (query, key, value)]
        wanted = torch.autograd.grad(fa.npu_fusion_attention(*dense, N, layout)[0].sum(), dense)
        for gradient, want in zip(gradients, wanted, strict=True):
            close(gradient, want)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float32))
def test_point_02_dtypes(dtype: torch.dtype) -> None:
    out, row_max, row_sum, softmax_out, *_ = fa.npu_fusion_attention(*qkv(dtype=dtype), N, "BNSD")
    assert out.dtype == softmax_out.dtype == dtype and row_max.dtype == row_sum.dtype == torch.float32
    for statistic in (row_max, row_sum):
        assert statistic.shape == (B, N, SQ, 8)
        assert torch.equal(statistic, statistic[..., :1].expand_as(statistic))


def test_point_02_statistics_are_the_maximum_and_the_sum() -> None:
    query, key, value = qkv()
    _, row_max, row_sum, *_ = fa.npu_fusion_attention(query, key, value, N, "BNSD", scale=0.7)
    scores = query @ key.repeat_interleave(2, 1).transpose(-1, -2) * 0.7
    close(row_max[..., 0], scores.amax(-1))
    close(row_sum[..., 0], (scores - scores.amax(-1, keepdim=True)).exp().sum(-1))


@pytest.mark.parametrize(("dim", "value_dim"), ((1, 1), (7, 7), (192, 128), (80, 80), (256, 1), (768, 768)))
def test_point_02_head_sizes(dim: int, value_dim: int) -> None:
    query, key, value = randn(1, 2, 3, dim), randn(1, 1, 5, dim), randn(1, 1, 5, value_dim)
    close(
        fa.npu_fusion_attention(query, key, value, 2, "BNSD", scale=dim**-0.5)[0],
        eager(query, key, value, scale=dim**-0.5),
    )


# ---- 3: the scale ----


@pytest.mark.parametrize("function", (fa.npu_fusion_attention, fa.npu_fusion_attention_v2, fa.npu_fusion_attention_v3))
def test_point_03_the_default_scale_is_1(function: Any) -> None:
    query, key, value = qkv()
    close(function(query, key, value, N, "BNSD")[0], eager(query, key, value))


# ---- 4: masks ----


@pytest.mark.parametrize("mode", range(7))
def test_point_04_no_mask_hides_nothing(mode: int) -> None:
    query, key, value = qkv()
    options = {"sparse_mode": mode, "pre_tockens": 1, "next_tockens": -5}
    close(fa.npu_fusion_attention(query, key, value, N, "BNSD", **options)[0], eager(query, key, value))


@pytest.mark.parametrize("shape", ((SQ, SKV), (1, 1, SQ, SKV), (B, 1, SQ, SKV), (B, N, SQ, SKV)))
@pytest.mark.parametrize("dtype", (torch.bool, torch.uint8))
@pytest.mark.parametrize("mode", (0, 1))
def test_point_04_full_masks(shape: tuple[int, ...], dtype: torch.dtype, mode: int) -> None:
    query, key, value = qkv()
    hidden = randn(*shape) > 0.5
    out = fa.npu_fusion_attention(query, key, value, N, "BNSD", atten_mask=hidden.to(dtype), sparse_mode=mode)[0]
    close(out, eager(query, key, value, hidden))


@pytest.mark.parametrize(("q_len", "kv_len"), ((7, 9), (9, 7), (8, 8), (1, 9), (9, 1)))
def test_point_04_alignment(q_len: int, kv_len: int) -> None:
    query, key, value = qkv(q_len, kv_len)

    def attend(mode: int, **options: Any) -> Tensor:
        return fa.npu_fusion_attention(
            query, key, value, N, "BNSD", atten_mask=triangle(), sparse_mode=mode, **options
        )[0]

    ones = torch.ones(q_len, kv_len, dtype=torch.bool)
    close(attend(2), eager(query, key, value, ones.triu(1)))
    close(attend(3, pre_tockens=0, next_tockens=3), eager(query, key, value, lower_right(q_len, kv_len)))
    corner = kv_len - q_len
    band = ones.triu(corner + 1) | ones.tril(corner - 3)  # pre 2, next 0, both ends inclusive
    if q_len <= kv_len:
        close(attend(4, pre_tockens=2, next_tockens=0), eager(query, key, value, band))


@pytest.mark.parametrize(
    ("mode", "q_len", "kv_len"), ((2, 2100, 2100), (3, 2060, 2200), (4, 2100, 2100), (6, 2100, 2100))
)
def test_point_04_the_pattern_reaches_beyond_2048(mode: int, q_len: int, kv_len: int) -> None:
    query, key, value = randn(1, 1, q_len, 2), randn(1, 1, kv_len, 2), randn(1, 1, kv_len, 2)
    corner = kv_len - q_len if mode != 2 else 0
    ones = torch.ones(q_len, kv_len, dtype=torch.bool)
    hidden, options = ones.triu(corner + 1), {}
    if mode == 4:
        hidden, options = hidden | ones.tril(corner - 601), {"pre_tockens": 600, "next_tockens": 0}
    if mode == 6:
        hidden[:, :2070] = False
        options = {"prefix": [2070]}
    mask = prefix_triangle() if mode == 6 else triangle()
    out = fa.npu_fusion_attention(query, key, value, 1, "BNSD", atten_mask=mask, sparse_mode=mode, **options)[0]
    close(out, eager(query, key, value, hidden))


def test_point_04_prefix() -> None:
    query, key, value = qkv()
    prefix = [3, SKV]
    hidden = lower_right(SQ, SKV).repeat(B, 1, 1, 1)
    for batch, columns in enumerate(prefix):
        hidden[batch, ..., :columns] = False
    compressed = fa.npu_fusion_attention(
        query, key, value, N, "BNSD", atten_mask=prefix_triangle(), sparse_mode=6, prefix=prefix
    )[0]
    full = fa.npu_fusion_attention(query, key, value, N, "BNSD", atten_mask=hidden, sparse_mode=5, prefix=prefix)[0]
    expected = eager(query, key, value, hidden)
    close(compressed, expected)
    close(full, expected)


# ---- 5: packed sequences ----

Q_LENS, KV_LENS = (0, 3, 4, 0, 2), (0, 3, 5, 2, 2)


def packed(extra: int = 0, trailing: int = 0) -> tuple[list[Tensor], dict[str, Any]]:
    q_ends = torch.tensor(Q_LENS).cumsum(0).tolist() + [0] * trailing
    kv_ends = torch.tensor(KV_LENS).cumsum(0).tolist() + [0] * trailing
    tensors = [randn(max(ends) + extra, heads, dim, seed=i) for i, (ends, heads, dim) in enumerate(
        ((q_ends, N, D), (kv_ends, N_KV, D), (kv_ends, N_KV, DV)))]  # fmt: skip
    return tensors, {"actual_seq_qlen": q_ends, "actual_seq_kvlen": kv_ends}


def eager_packed(tensors: list[Tensor], hidden: Any = lambda i, q, kv: None) -> Tensor:
    """Sequence after sequence; tokens beyond the last are 0."""
    query, key, value = tensors
    out = torch.zeros(query.shape[0], N, DV, dtype=query.dtype)
    q0 = k0 = 0
    for i, (q_len, kv_len) in enumerate(zip(Q_LENS, KV_LENS, strict=True)):
        if q_len and kv_len:
            parts = (query[q0 : q0 + q_len], key[k0 : k0 + kv_len], value[k0 : k0 + kv_len])
            heads_first = [t.transpose(0, 1)[None] for t in parts]
            out = out.clone()
            out[q0 : q0 + q_len] = eager(*heads_first, hidden(i, q_len, kv_len))[0].transpose(0, 1)
        q0, k0 = q0 + q_len, k0 + kv_len
    return out


@pytest.mark.parametrize("kind", (list, tuple, torch.tensor))
@pytest.mark.parametrize(("extra", "trailing"), ((0, 0), (3, 0), (3, 1), (0, 2)))
@pytest.mark.parametrize("softmax_layout", ("", "TND"))
def test_point_05_packed_sequences(kind: Any, extra: int, trailing: int, softmax_layout: str) -> None:
    tensors, lengths = packed(extra, trailing)
    leaves = [t.requires_grad_() for t in tensors]
    lengths = {name: kind(ends) for name, ends in lengths.items()}
    out, row_max, row_sum, *_ = fa.npu_fusion_attention(*leaves, N, "TND", softmax_layout=softmax_layout, **lengths)
    expected = eager_packed(leaves)
    close(out, expected)
    assert row_max.shape == row_sum.shape == (tensors[0].shape[0], N, 8)
    assert row_max.isfinite().all() and row_sum.isfinite().all()
    weight = randn(*out.shape)
    got = torch.autograd.grad((out * weight).sum(), leaves)
    for gradient, want in zip(got, torch.autograd.grad((expected * weight).sum(), leaves), strict=True):
        close(gradient, want)


def test_point_05_both_orders_of_the_statistics() -> None:
    tensors, lengths = packed()
    by_sequence = fa.npu_fusion_attention(*tensors, N, "TND", **lengths)
    by_token = fa.npu_fusion_attention(*tensors, N, "TND", softmax_layout="TND", **lengths)
    assert torch.equal(by_sequence[0], by_token[0])
    for first, second in zip(by_sequence[1:3], by_token[1:3], strict=True):
        start = 0
        for length in Q_LENS:
            rows = first.flatten(0, 1)[start * N : (start + length) * N].view(N, length, 8)
            assert torch.equal(rows.transpose(0, 1), second[start : start + length])
            start += length


def test_point_05_rows_without_columns_are_zero() -> None:
    query, key, value = randn(5, N, D), randn(4, N_KV, D), randn(4, N_KV, DV)
    lengths = {"actual_seq_qlen": [2, 5], "actual_seq_kvlen": [0, 4]}
    leaves = [t.requires_grad_() for t in (query, key, value)]
    out, row_max, row_sum, *_ = fa.npu_fusion_attention(*leaves, N, "TND", **lengths)
    assert not out[:2].any() and out[2:].all() and row_max.isfinite().all() and row_sum.isfinite().all()
    gradients = torch.autograd.grad(out.sum(), leaves)
    assert not gradients[0][:2].any() and all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("mode", (2, 3, 4, 7, 8))
def test_point_05_modes_of_packed_sequences(mode: int) -> None:
    tensors, lengths = packed()
    ones = lambda q, kv: torch.ones(q, kv, dtype=torch.bool)  # noqa: E731
    last, first = 4, 1
    hidden = {
        2: lambda i, q, kv: ones(q, kv).triu(1),
        3: lambda i, q, kv: lower_right(q, kv),
        4: lambda i, q, kv: ones(q, kv).triu(kv - q + 2) | ones(q, kv).tril(kv - q - 3),
        7: lambda i, q, kv: lower_right(q, kv),
        8: lambda i, q, kv: lower_right(q, kv) if i == first else ones(q, kv).triu(1),
    }[mode]
    options = {4: {"pre_tockens": 2, "next_tockens": 1}, 7: {"pre_tockens": 9, "next_tockens": 0},
               8: {"pre_tockens": 9, "next_tockens": 0}}.get(mode, {})  # fmt: skip
    assert KV_LENS[last] == Q_LENS[last]
    out = fa.npu_fusion_attention(*tensors, N, "TND", atten_mask=triangle(), sparse_mode=mode, **lengths, **options)[0]
    close(out, eager_packed(tensors, hidden))


# ---- 6: biases, sink, ropes ----


@pytest.mark.parametrize("shape", ((B, N, SQ, SKV), (1, N, SQ, SKV), (B, N, 1, SKV), (1, N, 1, SKV)))
def test_point_06_pse_before_and_after_the_scale(shape: tuple[int, ...]) -> None:
    query, key, value = qkv()
    pse = randn(*shape)
    for pse_type, factor in ((1, 0.4), (0, 1.0)):
        out = fa.npu_fusion_attention_v2(query, key, value, N, "BNSD", pse=pse, pse_type=pse_type, scale=0.4)[0]
        close(out, eager(query, key, value, scale=0.4, bias=factor * pse))
    close(
        fa.npu_fusion_attention(query, key, value, N, "BNSD", pse=pse, scale=0.4)[0],
        eager(query, key, value, scale=0.4, bias=0.4 * pse),
    )


@pytest.mark.parametrize("shape", ((N,), (B, N)))
@pytest.mark.parametrize(("pse_type", "function"), ((2, Tensor.abs), (3, lambda t: t.abs().sqrt())))
@pytest.mark.parametrize(("q_start", "kv_start"), ((None, None), ([100], [96]), ([3], None), (None, [3])))
def test_point_06_slopes(shape: tuple[int, ...], pse_type: int, function: Any, q_start: Any, kv_start: Any) -> None:
    query, key, value = qkv(SKV, SKV)
    slopes = randn(*shape)
    # kv_start_idx alone is not read.
    shift = 0 if q_start is None else (kv_start or [0])[0] - q_start[0]
    distance = torch.arange(SKV)[None, :] - torch.arange(SKV)[:, None] + shift
    bias = -slopes.view(-1, N, 1, 1) * function(distance.double())
    out = fa.npu_fusion_attention_v2(
        query,
        key,
        value,
        N,
        "BNSD",
        pse=slopes,
        pse_type=pse_type,
        q_start_idx=q_start,
        kv_start_idx=kv_start,
        scale=0.4,
    )[0]
    close(out, eager(query, key, value, scale=0.4, bias=bias))


@pytest.mark.parametrize("by_row", (True, False))
def test_point_06_packed_pse_of_any_stride(by_row: bool) -> None:
    query, key, value = randn(5, N, D), randn(7, N_KV, D), randn(7, N_KV, DV)
    lengths = {"actual_seq_qlen": [2, 5], "actual_seq_kvlen": [3, 7]}
    parts = [randn(N, 1 if by_row else q, kv) for q, kv in ((2, 3), (3, 4))]
    pse = torch.cat([part.flatten() for part in parts])
    for packed_pse in (pse, pse.repeat_interleave(2)[::2]):
        leaf = packed_pse.detach().requires_grad_()
        out = fa.npu_fusion_attention(query, key, value, N, "TND", pse=leaf, **lengths)[0]
        for i, (rows, columns) in enumerate(((slice(0, 2), slice(0, 3)), (slice(2, 5), slice(3, 7)))):
            alone = [t.transpose(0, 1)[None] for t in (query[rows], key[columns], value[columns])]
            close(out[rows], eager(*alone, bias=parts[i])[0].transpose(0, 1))
        (gradient,) = torch.autograd.grad(out.square().sum(), leaf)
        assert gradient.shape == pse.shape and gradient.any()


@pytest.mark.parametrize("length", (1024, 1025, 1500))
@pytest.mark.parametrize("batch", (1, 2))
def test_point_06_compressed_alibi(length: int, batch: int) -> None:
    """The last 1024 rows of a bias that depends on i - j stand for all of it."""
    query, key, value = (randn(2, 2, length, 2, seed=i) for i in range(3))
    distance = torch.arange(length)[:, None] - torch.arange(length)[None, :]
    full = -torch.tensor([0.01, 0.2, 0.03, 0.4])[: 2 * batch].view(batch, 2, 1, 1) * distance.abs().double()
    options = {"atten_mask": triangle(), "sparse_mode": 2}
    out = fa.npu_fusion_attention(query, key, value, 2, "BNSD", pse=full[..., -1024:, :].contiguous(), **options)[0]
    expected = eager(query, key, value, torch.ones(length, length, dtype=torch.bool).triu(1), bias=full)
    close(out, expected)


def test_point_06_sink() -> None:
    query, key, value = (t.requires_grad_() for t in qkv())
    sink = randn(N).requires_grad_()
    out, row_max, row_sum, *_ = fa.npu_fusion_attention(query, key, value, N, "BNSD", sink=sink)
    scores = query @ key.repeat_interleave(2, 1).transpose(-1, -2)
    with_sink = torch.cat([scores, sink.view(1, N, 1, 1).expand(B, N, SQ, 1)], -1)
    expected = with_sink.softmax(-1)[..., :-1] @ value.repeat_interleave(2, 1)
    close(out, expected)
    close(row_max[..., 0] + row_sum[..., 0].log(), with_sink.logsumexp(-1))
    weight = randn(*out.shape)
    got = torch.autograd.grad((out * weight).sum(), (sink, query))
    for gradient, want in zip(got, torch.autograd.grad((expected * weight).sum(), (sink, query)), strict=True):
        close(gradient, want)


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float64))
def test_point_06_ropes_and_their_gradients(dtype: torch.dtype) -> None:
    tensors, lengths = packed()
    tensors = [t.to(dtype).requires_grad_() for t in tensors]
    ropes = [randn(t.shape[0], t.shape[1], 4).to(dtype).requires_grad_() for t in tensors[:2]]
    options = {"atten_mask": triangle(), "sparse_mode": 3, **lengths, "scale": 0.3}
    query, key, value = tensors
    out = fa.npu_fusion_attention_v2(*tensors, N, "TND", query_rope=ropes[0], key_rope=ropes[1], **options)[0]
    joined = [torch.cat([query, ropes[0]], -1), torch.cat([key, ropes[1]], -1), value]
    expected = fa.npu_fusion_attention_v2(*joined, N, "TND", **options)[0]
    tolerance = 1e-10 if dtype == torch.float64 else 1e-6
    close(out, expected, tolerance)
    got = torch.autograd.grad(out.sum(), (*tensors, *ropes))
    for gradient, want in zip(got, torch.autograd.grad(expected.sum(), (*tensors, *ropes)), strict=True):
        assert gradient.dtype == dtype
        close(gradient, want, tolerance)


# ---- 11: rows that see nothing ----


@pytest.mark.parametrize("inner_precise", (0, 1, 2))
@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float32))
@pytest.mark.parametrize("how", ("mask", "mode 3", "all"))
def test_point_11_rows_that_see_nothing_are_zero(inner_precise: int, dtype: torch.dtype, how: str) -> None:
    query, key, value = (t.requires_grad_() for t in qkv(9, 7, dtype))
    hidden = torch.zeros(9, 7, dtype=torch.bool)
    hidden[:2] = True
    if how == "all":
        hidden[:] = True
    mask, mode = (triangle(), 3) if how == "mode 3" else (hidden, 1)
    out, row_max, row_sum, *_ = fa.npu_fusion_attention(
        query, key, value, N, "BNSD", atten_mask=mask, sparse_mode=mode, inner_precise=inner_precise
    )
    empty = slice(0, 9 if how == "all" else 2)
    assert not out[:, :, empty].any() and out.isfinite().all()
    limits = torch.finfo(torch.float32)
    assert (row_max[:, :, empty] == limits.min).all() and (row_sum[:, :, empty] == limits.max).all()
    out.sum().backward()
    assert not query.grad[:, :, empty].any()
    assert all(t.grad.isfinite().all() for t in (query, key, value))
    if how == "all":
        assert not key.grad.any() and not value.grad.any()


def test_point_11_a_sink_in_a_row_that_sees_nothing() -> None:
    query, key, value = (t.requires_grad_() for t in qkv())
    sink = randn(N).requires_grad_()
    hidden = torch.ones(SQ, SKV, dtype=torch.bool)
    out, row_max, row_sum, *_ = fa.npu_fusion_attention(query, key, value, N, "BNSD", atten_mask=hidden, sink=sink)
    assert not out.any()
    close(row_max[..., 0], sink.detach().view(1, N, 1).expand(B, N, SQ))
    close(row_sum, torch.ones_like(row_sum))
    out.sum().backward()
    assert not any(t.grad.any() for t in (query, key, value, sink))


# ---- 13: numbers ----


@pytest.mark.parametrize(("dtype", "tolerance"), ((torch.float16, 1e-3), (torch.bfloat16, 8e-3), (torch.float32, 1e-4)))
@pytest.mark.parametrize("length", (1, 63, 130, 1000))
def test_point_13_numerics(dtype: torch.dtype, tolerance: float, length: int) -> None:
    """The public tests' bounds, for every element rather than most of them."""
    tensors = [randn(1, 2, length, 32, seed=i).clamp(-2, 2).to(dtype).requires_grad_() for i in range(3)]
    reference = [t.detach().double().requires_grad_() for t in tensors]
    out = fa.npu_fusion_attention(*tensors, 2, "BNSD", scale=32**-0.5)[0]
    expected = eager(*reference, scale=32**-0.5)
    close(out.double(), expected, tolerance)
    dy = randn(*out.shape).to(dtype)
    got = torch.autograd.grad(out, tensors, dy)
    for gradient, want in zip(got, torch.autograd.grad(expected, reference, dy.double()), strict=True):
        close(
            gradient.double(),
            want,
            5e-3 * max(1.0, want.abs().max().item())
            if dtype != torch.bfloat16
            else 0.04 * max(1.0, want.abs().max().item()),
        )


@pytest.mark.parametrize("magnitude", (1e-30, 1e4, 3e38))
def test_point_13_large_and_small_scores_are_numbers(magnitude: float) -> None:
    query, key, value = (torch.full((1, 1, 4, 2), x) for x in (magnitude**0.5, magnitude**0.5 / 4, 1.0))
    leaves = [t.requires_grad_() for t in (query, key, value)]
    out = fa.npu_fusion_attention(*leaves, 1, "BNSD")[0]
    torch.testing.assert_close(out, torch.ones_like(out))
    out.sum().backward()
    assert all(t.grad.isfinite().all() for t in leaves)
