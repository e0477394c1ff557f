"""Any valid call: the CPU backend and the golden model give the same numbers, and all of them are numbers."""

from __future__ import annotations

import npu_flash_attention as fa
import torch
from hypothesis import given, settings
from strategies import Example, differentiate, examples, forward


@settings(max_examples=250)
@given(examples())
def test_cpu_is_golden(example: Example) -> None:
    call = example.arguments()
    with fa.backend("cpu"):
        out, row_max, row_sum = forward(call)
        _, gradients = differentiate(call)
    with fa.backend("golden"):
        golden_out, golden_max, golden_sum = forward(call)
        _, golden_gradients = differentiate(call)
    torch.testing.assert_close(out, golden_out, rtol=0, atol=1e-9)
    torch.testing.assert_close(row_max, golden_max, rtol=0, atol=1e-9)
    torch.testing.assert_close(row_sum, golden_sum, rtol=1e-12, atol=0)
    assert gradients.keys() == golden_gradients.keys()
    for name, gradient in gradients.items():
        assert gradient.isfinite().all(), name
        torch.testing.assert_close(
            gradient, golden_gradients[name], rtol=0, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}"
        )


@given(examples(dtype=torch.float32, ropes=False))
def test_float32_gives_finite_numbers_of_its_own_dtype(example: Example) -> None:
    call = example.arguments()
    out, row_max, row_sum = forward(call)
    _, gradients = differentiate(call)
    assert out.dtype == row_max.dtype == row_sum.dtype == torch.float32
    for tensor in (out, row_max, row_sum, *gradients.values()):
        assert tensor.isfinite().all()
    for name, gradient in gradients.items():
        assert gradient.shape == call[name].shape and gradient.dtype == call[name].dtype


@given(examples(dtype=torch.bfloat16))
def test_bfloat16_gives_finite_numbers_of_its_own_dtype(example: Example) -> None:
    call = example.arguments()
    out, row_max, row_sum = forward(call)
    _, gradients = differentiate(call)
    assert out.dtype == torch.bfloat16 and row_max.dtype == row_sum.dtype == torch.float32
    for tensor in (out, row_max, row_sum, *gradients.values()):
        assert tensor.isfinite().all()
    for name, gradient in gradients.items():
        assert gradient.shape == call[name].shape and gradient.dtype == call[name].dtype
