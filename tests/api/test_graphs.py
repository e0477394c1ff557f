"""Fake tensors and torch.compile: shapes without data, no graph breaks, dropout seeds as data of the graph."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import npu_flash_attention as fa
import pytest
import torch
from strategies import DIFFERENTIABLE, forward, output_gradient
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses import FakeTensorMode

from .calls import CALLS

V1_NAMES = {"pre_tokens": "pre_tockens", "next_tokens": "next_tockens"}


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    torch._dynamo.reset()


def shapes(outputs: Any) -> list[Any]:
    return [(tuple(t.shape), t.dtype) if isinstance(t, Tensor) else t for t in outputs]


def as_v3(call: dict[str, Any]) -> dict[str, Any] | None:
    """The call in v3's words, or None if v3 cannot say it."""
    absent = ("query_rope", "key_rope", "q_start_idx", "kv_start_idx", "dropout_mask")
    if any(call.get(name) is not None for name in absent) or call["pse_type"] != 1:
        return None
    v3 = {V1_NAMES.get(name, name): value for name, value in call.items()}
    for name in ("seed", "offset", "pse_type", "dropout_mask"):
        v3.pop(name, None)
    for name in ("actual_seq_qlen", "actual_seq_kvlen"):
        if name in v3:
            v3[name] = torch.tensor(v3[name])
    return v3


def gradient_arguments(call: dict[str, Any], statistics: tuple[Tensor, ...]) -> dict[str, Any]:
    """The call for npu_fusion_attention_grad_v2."""
    out, row_max, row_sum = statistics
    grad = {name: value for name, value in call.items() if name not in ("scale", "dropout_mask")}
    return grad | {
        "scale_value": call["scale"], "dy": output_gradient(out), "softmax_max": row_max, "softmax_sum": row_sum,
        "attention_in": out,
    }  # fmt: skip


def fake(mode: FakeTensorMode, call: dict[str, Any]) -> dict[str, Any]:
    """The call with fake tensors."""
    return {name: mode.from_tensor(value) if isinstance(value, Tensor) else value for name, value in call.items()}


@pytest.mark.parametrize("name", CALLS)
def test_fake_outputs_have_the_shapes_of_real_ones(name: str) -> None:
    call = CALLS[name].arguments()
    real = fa.npu_fusion_attention_v2(**call)
    with FakeTensorMode() as mode:
        outputs = fa.npu_fusion_attention_v2(**fake(mode, call))
    assert shapes(outputs[:4]) == shapes(real[:4])
    assert int(outputs[6]) == real[6]
    grad = gradient_arguments(call, real[:3])
    expected = fa.npu_fusion_attention_grad_v2(**grad)
    with FakeTensorMode() as mode:
        gradients = fa.npu_fusion_attention_grad_v2(**fake(mode, grad))
    assert shapes(gradients) == shapes(expected)


@pytest.mark.parametrize("name", [name for name, example in CALLS.items() if as_v3(example.arguments()) is not None])
def test_fake_outputs_of_v3_have_the_shapes_of_real_ones(name: str) -> None:
    call = as_v3(CALLS[name].arguments())
    assert call is not None
    real = fa.npu_fusion_attention_v3(**call)
    with FakeTensorMode() as mode:
        outputs = fa.npu_fusion_attention_v3(**fake(mode, call))
    assert shapes(outputs) == shapes(real)
    assert shapes(outputs[4:]) == [((1,), torch.int64)] * 2


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float32))
def test_fake_dtypes(dtype: torch.dtype) -> None:
    with FakeTensorMode():
        query = torch.empty(2, 4, 6, 8, dtype=dtype)
        out, row_max, row_sum, softmax_out, *_ = fa.npu_fusion_attention(query, query, query[..., :5], 4, "BNSD")
    assert out.dtype == softmax_out.dtype == dtype and row_max.dtype == row_sum.dtype == torch.float32
    assert out.shape == (2, 4, 6, 5) and softmax_out.shape == (0,) and row_max.shape == (2, 4, 6, 8)


def test_meta_tensors() -> None:
    query = torch.empty(2, 6, 32, device="meta", dtype=torch.bfloat16)
    key = torch.empty(2, 7, 16, device="meta", dtype=torch.bfloat16)
    out, row_max, *_ = fa.npu_fusion_attention(query, key, key[..., :8], 4, "BSH")
    assert out.shape == (2, 6, 16) and row_max.shape == (2, 4, 6, 8) and out.device.type == "meta"


def test_fake_runs_do_not_draw() -> None:
    call = CALLS["dropout"].arguments() | {"seed": 0}
    fa.manual_seed(5)
    with FakeTensorMode() as mode:
        fa.npu_fusion_attention_v2(**fake(mode, call))
    assert fa.get_rng_state().tolist() == [5, 0]


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    return torch.compile(function, fullgraph=True, backend="aot_eager", **options)


@pytest.mark.parametrize("name", [n for n in CALLS if not n.startswith("no ")])
def test_compiled_is_eager(name: str) -> None:
    call = CALLS[name].arguments()
    names = [leaf for leaf in DIFFERENTIABLE if call.get(leaf) is not None]

    def run(function: Callable[..., Any]) -> list[Tensor]:
        leaves = {leaf: call[leaf].clone().requires_grad_() for leaf in names}
        out, row_max, row_sum = function(call | leaves)
        out.backward(output_gradient(out))
        return [out.detach(), row_max, row_sum, *(leaf.grad for leaf in leaves.values())]

    for got, expected in zip(run(compiled(forward)), run(forward), strict=True):
        assert torch.equal(got, expected)


def dropped(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return fa.npu_fusion_attention(query, key, value, 2, "BNSD", scale=0.5, keep_prob=0.6)[0]


def tensors(rows: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(rows)
    return [torch.randn(2, 2, rows, 4, generator=generator, requires_grad=True) for _ in range(3)]


def test_dropout_in_a_graph_draws_anew_each_call_and_as_eager_does() -> None:
    leaves = tensors()
    function = compiled(dropped)
    results, gradients = [], []
    for run in (dropped, function):
        fa.manual_seed(31)
        outs = [run(*leaves) for _ in range(3)]
        results.append(outs)
        gradients.append([torch.autograd.grad(out.square().sum(), leaves) for out in outs])
        assert fa.get_rng_state().tolist() == [31, 36]
    for eager, graph in zip(*results, strict=True):
        assert torch.equal(eager, graph)
    for eager, graph in zip(*gradients, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(eager, graph, strict=True))
    assert not torch.equal(results[1][0], results[1][1]) and not torch.equal(results[1][1], results[1][2])
    torch.manual_seed(31)
    assert torch.equal(function(*leaves), results[0][0])


def test_the_seed_of_a_graph_can_be_used() -> None:
    """v3 hands out what it drew; the gradient by hand takes it back."""

    def both(query: Tensor, key: Tensor, value: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
        out, row_max, row_sum, _, seed, offset = fa.npu_fusion_attention_v3(query, key, value, 2, "BNSD", keep_prob=0.6)
        return out, *fa.npu_fusion_attention_grad_v3(
            query, key, value, dy, 2, "BNSD", softmax_max=row_max, softmax_sum=row_sum, attention_in=out, keep_prob=0.6,
            seed=seed, offset=offset,
        )[:3]  # fmt: skip

    query, key, value = (t.detach() for t in tensors())
    dy = output_gradient(query)
    fa.manual_seed(8)
    expected = [both(query, key, value, dy) for _ in range(2)]
    fa.manual_seed(8)
    function = compiled(both)
    for want in expected:
        for got, wanted in zip(function(query, key, value, dy), want, strict=True):
            assert torch.equal(got, wanted)


def test_dynamic_shapes_compile_once() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    function = torch.compile(dropped, fullgraph=True, backend=counter, dynamic=True)
    for rows in (5, 6, 9, 17):
        leaves = tensors(rows)
        fa.manual_seed(rows)
        got = function(*leaves)
        fa.manual_seed(rows)
        assert torch.equal(got, dropped(*leaves))
        got.sum().backward()
    assert counter.frame_count == 1


def test_lengths_as_tensors_compile_once() -> None:
    """What v3 is for: a batch with other lengths is other data, not another graph."""

    def packed(query: Tensor, key: Tensor, value: Tensor, q_ends: Tensor, kv_ends: Tensor) -> Tensor:
        lengths = {"actual_seq_qlen": q_ends, "actual_seq_kvlen": kv_ends}
        return fa.npu_fusion_attention_v3(query, key, value, 2, "TND", **lengths)[0]

    counter = CompileCounterWithBackend("aot_eager")
    function = torch.compile(packed, fullgraph=True, backend=counter)
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(9, 2, 4, generator=generator), torch.randn(9, 1, 4, generator=generator)
    query.requires_grad_()
    for ends in ([3, 9], [5, 9], [1, 8], [9, 9]):
        q_ends = torch.tensor(ends)
        got, expected = function(query, key, key, q_ends, q_ends), packed(query, key, key, q_ends, q_ends)
        assert torch.equal(got, expected)
        (gradient,) = torch.autograd.grad(got.sum(), query)
        assert torch.equal(gradient, torch.autograd.grad(expected.sum(), query)[0])
    assert counter.frame_count == 1


def test_a_list_of_lengths_compiles_too() -> None:
    call = CALLS["packed"].arguments()

    def packed(query: Tensor) -> Tensor:
        return forward(call | {"query": query})[0]

    assert torch.equal(compiled(packed)(call["query"]), packed(call["query"]))


def test_the_backend_of_a_graph_is_the_one_in_force_when_it_was_traced() -> None:
    call = CALLS["plain"].arguments()
    with fa.backend("golden"):
        expected = forward(call)[0]
        assert torch.equal(compiled(lambda: forward(call)[0])(), expected)


def test_a_compiled_call_that_is_wrong_is_refused() -> None:
    call = CALLS["plain"].arguments() | {"head_num": 5}
    with pytest.raises(Exception, match="head_num"):
        compiled(lambda: forward(call)[0])()


needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")


@pytest.mark.parametrize("backend", ("aot_eager", pytest.param("inductor", marks=needs_a_compiler)))
def test_the_backward_of_a_graph_drops_what_its_forward_dropped(backend: str) -> None:
    """Two layers, and two steps before the first backward, as in gradient accumulation.

    A partitioner that recomputed the draw in the backward would find the generator moved on.
    """

    def layers(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return dropped(dropped(query, key, value), key, value)

    leaves = tensors()
    results = []
    for run in (layers, torch.compile(layers, fullgraph=True, backend=backend)):
        fa.manual_seed(4)
        out = run(*leaves)
        steps = [out, *torch.autograd.grad(out.square().sum(), leaves)]
        outs = [run(*leaves), run(*leaves)]
        results.append([*steps, *outs, *(g for out in outs for g in torch.autograd.grad(out.square().sum(), leaves))])
        assert fa.get_rng_state().tolist() == [4, 72]
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
