"""Dropout as scripts see it: the bits of forward, backward and _npu_dropout_gen_mask, seeds, external masks."""

from __future__ import annotations

from typing import Any

import npu_flash_attention as fa
import pytest
import torch
from npu_flash_attention import golden
from strategies import differentiate, output_gradient
from torch import Tensor

LAYOUTS = ("BNSD", "BSND", "BSH", "SBH", "TND")
B, N, SQ, SKV = 2, 3, 5, 7
Q_ENDS, KV_ENDS = [2, 2, 5], [3, 4, 7]


def observing(layout: str, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """A call whose output is the dropped probabilities themselves: equal scores, and one-hot values.

    Dv <= D, so D is the number of columns. Row i of the output is keep[i, :] / (columns * keep_prob).
    """
    if layout == "TND":
        columns = [3, 1, 3]
        value = torch.cat([torch.eye(c, KV_ENDS[-1]) for c in columns])[:, None].expand(-1, N, -1)
        lengths = {"actual_seq_qlen": Q_ENDS, "actual_seq_kvlen": KV_ENDS}
        query = torch.zeros(Q_ENDS[-1], N, KV_ENDS[-1])
        call = {"query": query, "key": torch.zeros_like(value), "value": value.contiguous(), **lengths}
    else:
        value = torch.eye(SKV).expand(B, N, SKV, SKV)
        query = torch.zeros(B, N, SQ, SKV)
        order = {"BNSD": (0, 1, 2, 3), "BSND": (0, 2, 1, 3), "BSH": (0, 2, 1, 3), "SBH": (2, 0, 1, 3)}[layout]
        query, value = (t.permute(order).contiguous() for t in (query, value))
        if layout in ("BSH", "SBH"):
            query, value = query.flatten(2), value.flatten(2)
        call = {"query": query, "key": torch.zeros_like(value), "value": value}
    call = {name: t.to(dtype) if isinstance(t, Tensor) else t for name, t in call.items()}
    return call | {"head_num": N, "input_layout": layout}


def kept(out: Tensor, layout: str) -> Tensor:
    """The bits of an observing call in the order of the stream."""
    if layout == "TND":
        starts = zip([0, *Q_ENDS], Q_ENDS, [0, *KV_ENDS], KV_ENDS, strict=False)
        parts = [out[q0:q1, :, : k1 - k0].transpose(0, 1).flatten() for q0, q1, k0, k1 in starts]
        return torch.cat(parts) != 0
    if layout in ("BSH", "SBH"):
        out = out.unflatten(2, (N, SKV))
    order = {"BNSD": (0, 1, 2, 3), "BSND": (0, 2, 1, 3), "BSH": (0, 2, 1, 3), "SBH": (1, 2, 0, 3)}[layout]
    return out.permute(order).flatten() != 0


def unpacked(mask: Tensor, count: int) -> Tensor:
    """Bits of a packed mask, least significant first."""
    return ((mask[:, None] >> torch.arange(8)) & 1).flatten()[:count] != 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("keep_prob", (0.1, 0.5, 0.9, 1 - 1 / 3))
def test_the_forward_drops_what_gen_mask_says(layout: str, keep_prob: float) -> None:
    call = observing(layout)
    fa.manual_seed(123)
    fa.npu_fusion_attention(**call, keep_prob=keep_prob)
    out, _, _, _, seed, offset, numels = fa.npu_fusion_attention(**call, keep_prob=keep_prob)
    assert (seed, offset) == (123, 12)
    assert numels == (N * (2 * 3 + 3 * 3) if layout == "TND" else B * N * SQ * SKV)
    mask = fa._npu_dropout_gen_mask(call["query"], [numels], 1 - keep_prob, seed, offset)
    assert torch.equal(kept(out, layout), unpacked(mask, numels))
    assert torch.equal(
        unpacked(golden.dropout_bits(numels, seed, offset, keep_prob=keep_prob), numels), kept(out, layout)
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_kept_values_are_multiplied_and_the_sum_is_of_all(layout: str) -> None:
    call = observing(layout, torch.float64)
    out, _, row_sum, *_ = fa.npu_fusion_attention(**call, keep_prob=0.8)
    plain, _, plain_sum, *_ = fa.npu_fusion_attention(**call)
    assert torch.equal(row_sum, plain_sum)
    torch.testing.assert_close(out[out != 0], (plain / 0.8)[out != 0], rtol=1e-12, atol=0)
    assert 0 < (out != 0).sum() < (plain != 0).sum()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_backward_drops_what_the_forward_dropped(layout: str) -> None:
    """d value[j] = sum over rows of the dropped probabilities: with dy = 1 the column sums of the output."""
    call = observing(layout, torch.float64)
    call["value"].requires_grad_()
    out = fa.npu_fusion_attention(**call, keep_prob=0.6)[0]
    out.sum().backward()
    gradient = call["value"].grad
    if layout == "TND":
        starts = zip([0, *Q_ENDS], Q_ENDS, [0, *KV_ENDS], KV_ENDS, strict=False)
        expected = torch.cat([out[q0:q1, :, : k1 - k0].sum(0).T for q0, q1, k0, k1 in starts])
        torch.testing.assert_close(gradient[:, :, 0], expected)
    else:
        axis = {"BNSD": 2, "BSND": 1, "BSH": 1, "SBH": 0}[layout]
        sums = out.detach().sum(axis)  # [B, N(,) Skv]: what column j received
        sums = sums.view(B, N, SKV)
        where = {"BNSD": (0, 1, 2), "BSND": (0, 2, 1), "BSH": (0, 2, 1), "SBH": (2, 0, 1)}[layout]
        got = gradient.unflatten(2, (N, SKV))[..., 0] if layout in ("BSH", "SBH") else gradient[..., 0]
        torch.testing.assert_close(got, sums.permute(where))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_generated_mask_handed_in_is_the_mask_generated(layout: str) -> None:
    call = observing(layout, torch.float64)
    call |= {name: torch.randn(call[name].shape, dtype=torch.float64) for name in ("query", "key", "value")}
    own, gradients = differentiate(call | {"keep_prob": 0.7, "seed": 99, "offset": 24})
    numels = fa.npu_fusion_attention(**call)[6]
    mask = fa._npu_dropout_gen_mask(call["query"], [numels], 1 - 0.7, 99, 24)
    fa.manual_seed(1)
    given, given_gradients = differentiate(call | {"keep_prob": 0.7, "dropout_mask": mask})
    assert fa.get_rng_state().tolist() == [1, 0]
    assert torch.equal(own, given)
    assert all(torch.equal(given_gradients[name], gradient) for name, gradient in gradients.items())
    # The gradient functions have no mask: they take the seed and offset it came from.
    out, row_max, row_sum, *_ = fa.npu_fusion_attention(**call, keep_prob=0.7, dropout_mask=mask)
    by_hand = fa.npu_fusion_attention_grad(
        **call, dy=output_gradient(out), softmax_max=row_max, softmax_sum=row_sum, attention_in=out, keep_prob=0.7,
        seed=99, offset=24, numels=numels,
    )  # fmt: skip
    expected = differentiate(call | {"keep_prob": 0.7, "dropout_mask": mask})[1]
    for name, gradient in zip(("query", "key", "value"), by_hand, strict=False):
        assert torch.equal(gradient, expected[name])


def test_numels_with_a_mask_of_ones_own() -> None:
    """The vendor leaves it unassigned there."""
    call = observing("BNSD")
    mask = torch.full((B * N * SQ * SKV // 8 + 1,), 255, dtype=torch.uint8)
    assert fa.npu_fusion_attention(**call, keep_prob=0.5, dropout_mask=mask)[6] == B * N * SQ * SKV


def test_numels_with_trailing_zeros() -> None:
    call = observing("TND") | {"actual_seq_qlen": [2, 2, 5, 0], "actual_seq_kvlen": [3, 4, 7, 0]}
    assert fa.npu_fusion_attention(**call)[6] == N * (2 * 3 + 3 * 3)


def test_draws_step_and_stop_at_keep_prob_1() -> None:
    call = observing("BNSD")
    fa.manual_seed(6)
    drawn = [fa.npu_fusion_attention(**call, keep_prob=p)[4:6] for p in (0.5, 1.0, 1 - 1e-10, 0.5)]
    assert drawn == [(6, 0), (0, 0), (0, 0), (6, 12)]
    assert all(type(part) is int for pair in drawn for part in pair)
    assert fa.get_rng_state().tolist() == [6, 24]


@pytest.mark.parametrize("keep_prob", (1.0, 0.5))
def test_v3_hands_out_tensors(keep_prob: float) -> None:
    call = observing("BNSD")
    fa.manual_seed(6)
    outputs = [fa.npu_fusion_attention_v3(**call, keep_prob=keep_prob) for _ in range(2)]
    assert all(len(output) == 6 for output in outputs)
    for output, offset in zip(outputs, (0, 12), strict=True):
        for tensor, value in zip(output[4:], (6, offset) if keep_prob < 1 else (0, 0), strict=True):
            assert tensor.shape == (1,) and tensor.dtype == torch.int64 and tensor.device.type == "cpu"
            assert tensor.item() == value
    # What was handed out is the caller's, not a window on the generator.
    assert outputs[0][5].tolist() == [0]
    assert outputs[0][4].untyped_storage().data_ptr() != outputs[0][5].untyped_storage().data_ptr()


def test_v3_backward_takes_them_back() -> None:
    call = observing("TND", torch.float64)
    call |= {name: torch.randn(call[name].shape, dtype=torch.float64) for name in ("query", "key", "value")}
    call |= {name: torch.tensor(call[name]) for name in ("actual_seq_qlen", "actual_seq_kvlen")}
    fa.manual_seed(6)
    out, row_max, row_sum, _, seed, offset = fa.npu_fusion_attention_v3(**call, keep_prob=0.5)
    dy = output_gradient(out)
    statistics = {"softmax_max": row_max, "softmax_sum": row_sum, "attention_in": out}
    got = fa.npu_fusion_attention_grad_v3(**call, dy=dy, keep_prob=0.5, seed=seed, offset=offset, **statistics)
    expected = fa.npu_fusion_attention_grad(**call, dy=dy, keep_prob=0.5, seed=6, offset=0, **statistics)
    lower = fa.npu_fusion_attention_grad_v3(
        **call | {"input_layout": "tnd"}, dy=dy, keep_prob=0.5, seed=seed, offset=offset, **statistics
    )
    for other in (expected, lower):
        assert all(torch.equal(a, b) for a, b in zip(got[:3], other[:3], strict=True))


@pytest.mark.parametrize("function", (fa.npu_fusion_attention, fa.npu_fusion_attention_v2))
def test_a_seed_of_ones_own_is_used_and_handed_back(function: Any) -> None:
    call = observing("BNSD")
    fa.manual_seed(6)
    out, _, _, _, seed, offset, _ = function(**call, keep_prob=0.5, seed=100, offset=200)
    assert (seed, offset) == (100, 200)
    assert fa.get_rng_state().tolist() == [6, 0]
    mask = fa._npu_dropout_gen_mask(call["query"], [B * N * SQ * SKV], 0.5, 100, 200)
    assert torch.equal(kept(out, "BNSD"), unpacked(mask, B * N * SQ * SKV))


def test_torch_manual_seed_makes_a_script_reproducible() -> None:
    call = observing("BNSD")
    outs = []
    for _ in range(2):
        torch.manual_seed(55)
        torch.randn(3)
        outs.append(fa.npu_fusion_attention(**call, keep_prob=0.5)[0])
    assert torch.equal(*outs)
    assert not torch.equal(outs[0], fa.npu_fusion_attention(**call, keep_prob=0.5)[0])


def test_almost_certain_drops() -> None:
    """0 itself is refused; below 1e-9 everything goes."""
    out = fa.npu_fusion_attention(**observing("BNSD"), keep_prob=1e-10)[0]
    assert not out.any()


def test_padding_of_bits_may_be_longer() -> None:
    call = observing("BNSD")
    short = torch.randint(0, 256, (-(-B * N * SQ * SKV // 8),), dtype=torch.uint8)
    longer = torch.cat([short, torch.full((100,), 255, dtype=torch.uint8)])
    outs = [fa.npu_fusion_attention(**call, keep_prob=0.5, dropout_mask=mask)[0] for mask in (short, longer)]
    assert torch.equal(*outs)
    spread = longer.repeat_interleave(2)[::2]  # any strides
    assert torch.equal(fa.npu_fusion_attention(**call, keep_prob=0.5, dropout_mask=spread)[0], outs[0])
