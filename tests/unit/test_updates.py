"""Merging partial results and dropout bits on their own: values by hand, rows that saw nothing, refusals."""

from __future__ import annotations

import math
from typing import Any

import npu_flash_attention as fa
import pytest
import torch
from npu_flash_attention import golden
from torch import Tensor

LOWEST = torch.finfo(torch.float32).min
LARGEST = torch.finfo(torch.float32).max


def sbh(out: list[float], row_max: list[float], row_sum: list[float], dtype: torch.dtype = torch.float32) -> Any:
    """One head of one element over some rows."""
    rows = len(out)
    statistics = (torch.tensor(t).view(1, 1, rows, 1).expand(1, 1, rows, 8) for t in (row_max, row_sum))
    return torch.tensor(out, dtype=dtype).view(rows, 1, 1), *statistics


def test_ring_update_by_hand() -> None:
    # Row 0: weights e^0 * 1 : e^(ln 3) * 1 = 1 : 3. Row 1: equal maxima, sums 1 : 4.
    out, row_max, row_sum = fa.npu_ring_attention_update(
        *sbh([2.0, 10.0], [0.0, 5.0], [1.0, 1.0]), *sbh([6.0, 20.0], [math.log(3), 5.0], [1.0, 4.0])
    )
    torch.testing.assert_close(out.flatten(), torch.tensor([5.0, 18.0]))
    torch.testing.assert_close(row_max[0, 0, :, 0], torch.tensor([math.log(3), 5.0]))
    torch.testing.assert_close(row_sum[0, 0, :, 0], torch.tensor([1 + 1 / 3, 5.0]))
    assert out.shape == (2, 1, 1) and row_max.shape == row_sum.shape == (1, 1, 2, 8)
    assert torch.equal(row_max, row_max[..., :1].expand_as(row_max))


@pytest.mark.parametrize("order", (1, -1))
def test_a_block_in_which_a_row_saw_nothing_leaves_it_alone(order: int) -> None:
    seen, empty = sbh([3.0], [-1e30], [2.0]), sbh([0.0], [LOWEST], [LARGEST])
    first, second = (seen, empty)[::order]
    for got, expected in zip(fa.npu_ring_attention_update(*first, *second), seen, strict=True):
        assert torch.equal(got, expected)


def test_a_row_that_saw_nothing_in_either_block_stays_empty() -> None:
    empty = sbh([0.0], [LOWEST], [LARGEST])
    for got, expected in zip(fa.npu_ring_attention_update(*empty, *empty), empty, strict=True):
        assert torch.equal(got, expected)


def test_the_statistics_of_an_unused_part_of_the_tokens_are_not_nan() -> None:
    """The forward leaves zeros for tokens beyond the last sequence."""
    unused = sbh([0.0], [0.0], [0.0])
    assert all(t.isfinite().all() for t in fa.npu_ring_attention_update(*unused, *unused))


def test_inputs_are_left_as_they_were() -> None:
    tensors = [*sbh([2.0], [0.0], [1.0]), *sbh([6.0], [1.0], [2.0])]
    copies = [t.clone() for t in tensors]
    fa.npu_ring_attention_update(*tensors)
    assert all(torch.equal(t, c) for t, c in zip(tensors, copies, strict=True))


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float32))
def test_ring_update_computes_in_float32_and_rounds_once(dtype: torch.dtype) -> None:
    out, *_ = fa.npu_ring_attention_update(
        *sbh([1.0], [0.0], [1.0], dtype), *sbh([1 + 2.0**-7], [math.log(3)], [1.0], dtype)
    )
    assert out.dtype == dtype
    torch.testing.assert_close(out.flatten(), torch.tensor([1 + 0.75 * 2.0**-7]).to(dtype), rtol=0, atol=1e-6)


def ring() -> dict[str, Any]:
    out, stat = torch.zeros(4, 2, 6), torch.zeros(2, 3, 4, 8)
    names = ("softmax_max", "softmax_sum")
    parts = {f"{side}_{name}": stat for side in ("prev", "cur") for name in names}
    return {"prev_attn_out": out, "cur_attn_out": out, **parts}


def ring_tnd() -> dict[str, Any]:
    out, stat = torch.zeros(6, 3, 8), torch.ones(6, 3, 8)
    parts = {f"{side}_{name}": stat for side in ("prev", "cur") for name in ("softmax_max", "softmax_sum")}
    options = {"input_layout": "TND", "actual_seq_qlen": torch.tensor([2, 6])}
    return {"prev_attn_out": out, "cur_attn_out": out, **parts, **options}


def test_the_ring_calls_that_follow_are_valid_before_the_change() -> None:
    fa.npu_ring_attention_update(**ring())
    fa.npu_ring_attention_update(**ring(), input_softmax_layout="SBH")
    fa.npu_ring_attention_update(**ring_tnd())
    fa.npu_ring_attention_update(**ring_tnd(), input_softmax_layout="TND")


@pytest.mark.parametrize(
    ("valid", "changes", "message"),
    [
        (ring, {"input_layout": "BSH"}, r"input_layout: expected SBH or TND, got 'BSH'"),
        (ring, {"input_layout": ""}, r"input_layout: expected SBH or TND, got ''"),
        (ring, {"input_softmax_layout": "BNS"}, r"input_softmax_layout: expected .* got 'BNS'"),
        (ring, {"prev_attn_out": torch.zeros(4, 12)}, r"prev_attn_out: expected 3 dimensions, got shape \[4, 12\]"),
        (ring, {"cur_attn_out": torch.zeros(4, 2, 9)}, r"cur_attn_out: expected prev_attn_out's .*got .*\[4, 2, 9\]"),
        (ring, {"cur_attn_out": torch.zeros(4, 2, 6).half()}, r"cur_attn_out: expected .*float32.*got .*float16"),
        (
            ring,
            {"prev_attn_out": torch.zeros(4, 2, 6).double(), "cur_attn_out": torch.zeros(4, 2, 6).double()},
            r"prev_attn_out: expected dtype .*got torch.float64",
        ),
        *[
            (ring, {name: torch.zeros(2, 3, 4, 8).half()}, rf"{name}: expected dtype float32, got torch.float16")
            for name in ("prev_softmax_max", "prev_softmax_sum", "cur_softmax_max", "cur_softmax_sum")
        ],
        *[
            (ring, {name: torch.zeros(2, 3, 4, 1)}, rf"{name}: expected shape \[B, N, S, 8\], got \[2, 3, 4, 1\]")
            for name in ("prev_softmax_max", "prev_softmax_sum", "cur_softmax_max", "cur_softmax_sum")
        ],
        (ring, {"cur_softmax_sum": torch.zeros(2, 3, 5, 8)}, r"cur_softmax_sum: expected prev_softmax_max's shape"),
        (ring, {"prev_softmax_max": torch.zeros(6, 4, 8)}, r"prev_softmax_max: expected shape .*got \[6, 4, 8\]"),
        (ring_tnd, {"prev_softmax_max": torch.zeros(1, 6, 3, 8)}, r"prev_softmax_max: expected shape \[T, N, 8\]"),
        (ring_tnd, {"actual_seq_qlen": None}, r"actual_seq_qlen: expected .*got None"),
        (ring_tnd, {"actual_seq_qlen": torch.tensor([2, 6], dtype=torch.int32)}, r"actual_seq_qlen: .*int64.*got .*int32"),
        (ring_tnd, {"actual_seq_qlen": torch.tensor([[2, 6]])}, r"actual_seq_qlen: .*got"),
        (ring_tnd, {"actual_seq_qlen": torch.tensor([4, 2])}, r"actual_seq_qlen: .*got"),
        (ring_tnd, {"actual_seq_qlen": torch.tensor([-1, 6])}, r"actual_seq_qlen: .*got"),
        (ring_tnd, {"actual_seq_qlen": torch.tensor([2, 7])}, r"actual_seq_qlen: .*got .*7"),
        (ring_tnd, {"actual_seq_qlen": [2, 6]}, r"actual_seq_qlen: .*got"),
        (ring_tnd, {"prev_attn_out": None}, r"prev_attn_out: .*got"),
    ],
)  # fmt: skip
def test_ring_update_refuses(valid: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises((fa.AttentionError, TypeError), match=message):
        fa.npu_ring_attention_update(**(valid() | changes))


def test_attention_update_by_hand() -> None:
    lse = [torch.tensor([0.0, -math.inf]), torch.tensor([math.log(3), 1.0])]
    outs = [torch.full((2, 8), 2.0), torch.full((2, 8), 6.0)]
    out, total = fa.npu_attention_update(lse, outs, 1)
    torch.testing.assert_close(out[:, 0], torch.tensor([5.0, 6.0]))
    torch.testing.assert_close(total, torch.tensor([math.log(4), 1.0]))
    assert fa.npu_attention_update(lse, outs, 0)[1] is None


def test_attention_update_of_nothing_is_zero() -> None:
    lse = [torch.full((1,), -math.inf)] * 2
    out, total = fa.npu_attention_update(lse, [torch.ones(1, 8)] * 2, 1)
    assert not out.any() and total.tolist() == [-math.inf]


PART_LSE, PART_OUT = torch.zeros(5), torch.zeros(5, 16)


@pytest.mark.parametrize(
    ("lse", "outs", "kind", "message"),
    [
        ([], [], 0, r"1 to 16 parts"),
        ([PART_LSE] * 17, [PART_OUT] * 17, 0, r"1 to 16 parts each, got 17"),
        ([PART_LSE], [PART_OUT] * 2, 0, r"1 to 16 parts each, got 1 and 2"),
        ([PART_LSE], [PART_OUT], 2, r"update_type: expected 0 or 1, got 2"),
        ([PART_LSE.half()], [PART_OUT], 0, r"lse\[0\]: expected float32 \[N\], got .*float16"),
        ([PART_LSE[:, None]], [PART_OUT], 0, r"lse\[0\]: expected float32 \[N\], got .*\[5, 1\]"),
        ([PART_LSE, PART_LSE[:3]], [PART_OUT, PART_OUT], 0, r"local_out\[1\]|lse\[1\]"),
        ([PART_LSE] * 2, [PART_OUT, PART_OUT[:, :8]], 0, r"local_out\[1\]: expected"),
        ([PART_LSE] * 2, [PART_OUT, PART_OUT.half()], 0, r"local_out\[1\]: .*got .*float16"),
        ([PART_LSE], [PART_OUT.int()], 0, r"local_out\[0\]: .*got .*int32"),
        ([PART_LSE], [torch.zeros(5, 9)], 0, r"local_out\[0\]: .*multiple of 8.*got 9"),
        ([PART_LSE], [torch.zeros(5, 520)], 0, r"local_out\[0\]: .*512.*got 520"),
        ([PART_LSE], [torch.tensor(1.0)], 0, r"local_out\[0\]: "),
        ([1], [PART_OUT], 0, r"lse\[0\]: "),
    ],
)
def test_attention_update_refuses(lse: Any, outs: Any, kind: int, message: str) -> None:
    with pytest.raises((fa.AttentionError, TypeError), match=message):
        fa.npu_attention_update(lse, outs, kind)


QUERY = torch.zeros(1)


@pytest.mark.parametrize("numels", (1, 7, 8, 127, 128, 129, 1000))
@pytest.mark.parametrize("p", (0.1, 0.5, 1 / 3, 0.9, 1e-7))
def test_bits_are_golden(numels: int, p: float) -> None:
    mask = fa._npu_dropout_gen_mask(QUERY, [numels], p, 7, 12)
    assert mask.dtype == torch.uint8 and mask.shape == ((numels + 127) // 128 * 16,)
    assert torch.equal(mask, golden.dropout_bits(numels, 7, 12, drop_prob=p))


@pytest.mark.parametrize(("p", "byte"), ((0.0, 0xFF), (1.0, 0)))
def test_certain_probabilities_fill_the_whole_buffer(p: float, byte: int) -> None:
    assert fa._npu_dropout_gen_mask(QUERY, [3, 5], p, 7, 12).tolist() == [byte] * 16


def test_sizes_multiply_and_streams_differ() -> None:
    flat = fa._npu_dropout_gen_mask(QUERY, [24], 0.5, 7, 12)
    assert torch.equal(
        fa._npu_dropout_gen_mask(QUERY, torch.Size((2, 3, 4)), 0.5, 7, 12, parallel=False, sync=True), flat
    )
    assert fa._npu_dropout_gen_mask(QUERY, (3, 0), 0.5, 7, 12).numel() == 0
    for seed, offset in ((8, 12), (7, 24), (7 + 2**32, 12), (7, 12 + 2**32), (-7, 12)):
        assert not torch.equal(fa._npu_dropout_gen_mask(QUERY, [24], 0.5, seed, offset), flat)


def test_the_other_mask_draws_its_stream() -> None:
    fa.manual_seed(21)
    first, second = (fa.npu_dropout_gen_mask([4, 40], 0.4, dtype=torch.uint8, device="cpu") for _ in range(2))
    assert torch.equal(first, fa._npu_dropout_gen_mask(QUERY, [160], 0.4, 21, 0))
    assert torch.equal(second, fa._npu_dropout_gen_mask(QUERY, [160], 0.4, 21, 12))


@pytest.mark.parametrize("p", (-0.1, 1.1, math.nan, math.inf))
def test_probabilities_out_of_range(p: float) -> None:
    fa.manual_seed(21)
    for make in (lambda: fa._npu_dropout_gen_mask(QUERY, [8], p, 1, 0), lambda: fa.npu_dropout_gen_mask([8], p)):
        with pytest.raises(fa.AttentionError, match="dropout probability has to be between 0 and 1, but got"):
            make()
    assert fa.get_rng_state().tolist() == [21, 0]


@pytest.mark.parametrize("size", ([-1], [-1, -3], [2**62, 2**62], [2**60], 10, None, "ab", [2.5], [None]))
def test_sizes_out_of_range(size: Any) -> None:
    fa.manual_seed(21)
    for make in (lambda: fa._npu_dropout_gen_mask(QUERY, size, 0.5, 1, 0), lambda: fa.npu_dropout_gen_mask(size, 0.5)):
        with pytest.raises((fa.AttentionError, TypeError), match=r"size.*got"):
            make()
    assert fa.get_rng_state().tolist() == [21, 0]


@pytest.mark.parametrize("seed", ("a", None, 1.5, 2**64))
def test_seeds_of_another_kind(seed: Any) -> None:
    with pytest.raises((fa.AttentionError, TypeError), match=r"seed.*got"):
        fa._npu_dropout_gen_mask(QUERY, [8], 0.5, seed, 0)


def test_tensor_results_need_no_gradient() -> None:
    parts: list[Tensor] = [*sbh([2.0], [0.0], [1.0]), *sbh([6.0], [1.0], [2.0])]
    assert not any(t.requires_grad for t in fa.npu_ring_attention_update(*parts))
