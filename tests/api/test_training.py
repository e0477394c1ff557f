"""What a training script does around the operator: modes of autograd, recomputation, autocast, in-place writes."""

from __future__ import annotations

import dataclasses
from typing import Any

import npu_flash_attention as fa
import pytest
import torch
from strategies import differentiate, forward, output_gradient
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .calls import CALLS


def leaves(rows: int = 6, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(rows)
    shapes = ((2, 4, rows, 8), (2, 2, rows, 8), (2, 2, rows, 5))
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def attend(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    return fa.npu_fusion_attention(query, key, value, 4, "BNSD", scale=0.4, **options)[0]


@pytest.mark.parametrize("name", CALLS)
def test_no_grad_and_inference_mode_give_the_same_numbers(name: str) -> None:
    call = CALLS[name].arguments()
    expected = forward(call)
    with torch.no_grad():
        outputs = forward(call | {"query": call["query"].requires_grad_()})
    assert not outputs[0].requires_grad
    with torch.inference_mode():
        inferred = forward(call)
    for other in (outputs, inferred):
        assert all(torch.equal(a, b) for a, b in zip(other, expected, strict=True))


@pytest.mark.parametrize("name", CALLS)
def test_equal_calls_give_equal_bits(name: str) -> None:
    call = CALLS[name].arguments()
    first, gradients = differentiate(call)
    for _ in range(3):
        again, more = differentiate(call)
        assert torch.equal(again, first)
        assert all(torch.equal(more[leaf], gradient) for leaf, gradient in gradients.items())


@pytest.mark.parametrize("threads", (1, 2))
def test_calls_of_several_blocks_give_equal_bits(threads: int) -> None:
    """Blocks of keys and rows are summed in one order, whoever computes them."""
    tensors = [torch.randn(1, 2, 600, 4, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    call = dict(zip(("query", "key", "value"), tensors, strict=True)) | {"head_num": 2, "input_layout": "BNSD"}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        out, gradients = differentiate(call)
        for _ in range(2):
            again, more = differentiate(call)
            assert torch.equal(again, out)
            assert all(torch.equal(more[name], gradient) for name, gradient in gradients.items())
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("use_reentrant", (True, False))
@pytest.mark.parametrize("keep_prob", (1.0, 0.6))
def test_recomputation_replays_the_dropout(use_reentrant: bool, keep_prob: float) -> None:
    def layers(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        first = attend(query, key, value, keep_prob=keep_prob)
        again = attend(query, key, value, keep_prob=keep_prob)
        return torch.nn.functional.dropout(first * again, 0.3)  # torch's own generator takes part

    results = []
    for run in (layers, lambda *a: checkpoint(layers, *a, use_reentrant=use_reentrant)):
        tensors = leaves()
        torch.manual_seed(77)
        out = run(*tensors)
        after = fa.get_rng_state()
        # Something else draws between forward and backward.
        attend(*leaves(), keep_prob=0.5)
        out.square().sum().backward()
        results.append((out.detach(), after, *(t.grad for t in tensors)))
        assert fa.get_rng_state().tolist() == [77, after[1].item() + 12]
    for plain, replayed in zip(*results, strict=True):
        assert plain is not None and torch.equal(plain, replayed)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_autocast_leaves_dtypes_alone(dtype: torch.dtype) -> None:
    tensors = leaves()
    expected = attend(*tensors)
    with torch.autocast("cpu", dtype=dtype):
        out = attend(*tensors)
        half = attend(*leaves(dtype=torch.bfloat16))
        mixed = [tensors[0], tensors[1], torch.matmul(tensors[2], torch.eye(5))]  # autocast makes the last one 16 bit
        assert mixed[2].dtype == dtype
        with pytest.raises(fa.AttentionError, match=r"value: expected dtype float32 like query"):
            attend(*mixed)
    assert out.dtype == torch.float32 and torch.equal(out, expected) and half.dtype == torch.bfloat16


def test_outputs_may_be_overwritten_after_the_backward() -> None:
    tensors = leaves()
    out, row_max, row_sum, *_ = fa.npu_fusion_attention(*tensors, 4, "BNSD")
    out.sum().backward()
    with torch.no_grad():
        for tensor in (out, row_max, row_sum):
            tensor.zero_()
            tensor.add_(1)


def test_overwriting_the_output_before_the_backward_is_caught() -> None:
    tensors = leaves()
    out = attend(*tensors)
    with torch.no_grad():
        out.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_a_second_backward_through_a_kept_graph_is_the_first() -> None:
    tensors = leaves()
    out = attend(*tensors, keep_prob=0.5)
    first = torch.autograd.grad(out.sum(), tensors, retain_graph=True)
    fa.manual_seed(99)
    second = torch.autograd.grad(out.sum(), tensors)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_inputs_are_left_as_they_were() -> None:
    for name in CALLS:
        call = CALLS[name].arguments()
        copies = {key: value.clone() for key, value in call.items() if isinstance(value, Tensor)}
        lists = {key: list(value) for key, value in call.items() if isinstance(value, list)}
        differentiate(call)
        assert all(torch.equal(call[key], value) for key, value in copies.items())
        assert all(call[key] == value for key, value in lists.items())


def test_hooks_and_functional_gradients() -> None:
    query, key, value = leaves()
    seen: list[Tensor] = []
    query.register_hook(lambda gradient: seen.append(gradient))
    out = attend(query, key, value)
    dy = output_gradient(out)
    out.backward(dy)
    (expected,) = torch.autograd.grad(attend(query, key, value), query, dy)
    assert torch.equal(seen[0], expected)


@pytest.mark.parametrize("backend", ("cpu", "golden"))
@pytest.mark.parametrize("name", ("plain", "dropout", "packed causal", "sink", "slopes", "rope"))
def test_the_default_device_is_nothing_to_us(name: str, backend: str) -> None:
    """The tensors say where to compute, not what factory functions happen to default to."""
    call = CALLS[name].arguments()
    with fa.backend(backend):
        out, gradients = differentiate(call)
        dy = output_gradient(out)
        with torch.device("meta"):
            again, more = differentiate(call, dy)
    assert torch.equal(again, out)
    assert all(torch.equal(more[leaf], gradient) for leaf, gradient in gradients.items())


@pytest.mark.parametrize("name", ("plain", "dropout", "packed causal", "sink", "slopes"))
def test_the_default_dtype_is_nothing_to_us(name: str) -> None:
    call = dataclasses.replace(CALLS[name], dtype=torch.float32).arguments()
    expected, gradients = differentiate(call)
    torch.set_default_dtype(torch.float64)
    try:
        out, more = differentiate(call)
    finally:
        torch.set_default_dtype(torch.float32)
    assert out.dtype == torch.float32 and torch.equal(out, expected)
    assert all(torch.equal(more[leaf], gradient) for leaf, gradient in gradients.items())


def test_a_gradient_of_strange_strides() -> None:
    """Sums hand over expanded gradients, transposes hand over strided ones."""
    query, key, value = leaves()
    expanded = torch.autograd.grad(attend(query, key, value).sum(), (query, key, value))
    dense = torch.autograd.grad(attend(query, key, value), (query, key, value), torch.ones(2, 4, 6, 5))
    assert all(torch.equal(a, b) for a, b in zip(expanded, dense, strict=True))
    weight = torch.randn(2, 6, 4, 5)
    strided = torch.autograd.grad((attend(query, key, value).transpose(1, 2) * weight).sum(), (query, key, value))
    dense = torch.autograd.grad(attend(query, key, value), (query, key, value), weight.transpose(1, 2).contiguous())
    assert all(torch.equal(a, b) for a, b in zip(strided, dense, strict=True))
