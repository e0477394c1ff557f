"""The custom operators: torch's own checks, numerical gradients, and what double backward says."""

from __future__ import annotations

from typing import Any

import npu_flash_attention as fa
import pytest
import torch
from npu_flash_attention import ops
from strategies import DIFFERENTIABLE, differentiate, forward, output_gradient

from .calls import CALLS

ENTRY = {"entry": "forward_v2", "backend": "auto"}


def op_arguments(name: str) -> tuple[list[Any], list[Any]]:
    """A named call in the argument order of the custom ops: (tensors, options)."""
    call = CALLS[name].arguments()
    call["rng"] = torch.tensor([call.pop("seed", 0), call.pop("offset", 0)])
    for lengths in ("actual_seq_qlen", "actual_seq_kvlen"):
        if lengths in call:
            call[lengths] = torch.tensor(call[lengths])
    order = {arg.name: arg for arg in ops.attention_forward._opoverload._schema.arguments}
    defaults = {"scale": 1.0, "keep_prob": 1.0, "softmax_layout": "", "pse_type": 1} | ENTRY
    given = [call.get(arg, defaults.get(arg)) for arg in order]
    count = [str(arg.type).startswith(("Tensor", "Optional[Tensor]")) for arg in order.values()].count(True)
    return given[:count], given[count:]


@pytest.mark.parametrize("name", CALLS)
def test_opcheck_forward(name: str) -> None:
    tensors, options = op_arguments(name)
    differentiable = [
        t.requires_grad_() if t is not None and t.is_floating_point() and t.numel() else t for t in tensors
    ]
    torch.library.opcheck(ops.attention_forward, (*differentiable, *options))


@pytest.mark.parametrize("name", CALLS)
def test_opcheck_backward(name: str) -> None:
    tensors, options = op_arguments(name)
    out, row_max, row_sum = ops.attention_forward(*tensors, *options)
    needs = [tensors[position] is not None for position in (0, 1, 2, 3, 5, 6, 7)]
    arguments = (*tensors, output_gradient(out), row_max, row_sum, out, needs, *options)
    torch.library.opcheck(ops.attention_backward, arguments)


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_finite_differences(name: str) -> None:
    call = CALLS[name].arguments()
    names = [leaf for leaf in DIFFERENTIABLE if call.get(leaf) is not None and call[leaf].numel()]
    leaves = [call[leaf].requires_grad_() for leaf in names]

    def out(*tensors: torch.Tensor) -> torch.Tensor:
        return forward(call | dict(zip(names, tensors, strict=True)))[0]

    assert torch.autograd.gradcheck(out, leaves, eps=1e-6, atol=1e-7, rtol=1e-5, nondet_tol=0.0)


def test_the_gradient_of_a_compressed_alibi_table_is_a_finite_difference() -> None:
    """Too large for gradcheck: directional derivatives along random tables."""
    length = 1030
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    call = {
        "query": random(1, 1, length, 2), "key": random(1, 1, length, 2), "value": random(1, 1, length, 2),
        "head_num": 1, "input_layout": "BNSD", "pse": random(1, 1, 1024, length), "scale": 0.7,
        "atten_mask": torch.ones(2048, 2048, dtype=torch.bool).triu(1), "sparse_mode": 2, "pse_type": 0,
    }  # fmt: skip
    out, gradients = differentiate(call)
    dy = output_gradient(out)
    for _ in range(2):
        direction, step = random(1, 1, 1024, length), 1e-5
        moved = [forward(call | {"pse": call["pse"] + sign * step * direction})[0] for sign in (1, -1)]
        expected = ((moved[0] - moved[1]) * dy).sum() / (2 * step)
        torch.testing.assert_close((gradients["pse"] * direction).sum(), expected, rtol=1e-6, atol=1e-7)


def test_double_backward_says_that_it_is_not_there() -> None:
    call = CALLS["plain"].arguments()
    call["query"].requires_grad_()
    out = forward(call)[0]
    (gradient,) = torch.autograd.grad(out.sum(), call["query"], create_graph=True)
    with pytest.raises(NotImplementedError, match=r"double backward"):
        gradient.sum().backward()


def test_the_gradient_functions_have_no_gradient_and_say_so() -> None:
    call = CALLS["plain"].arguments()
    out, row_max, row_sum = forward(call)
    query = call["query"].requires_grad_()
    statistics = {"softmax_max": row_max, "softmax_sum": row_sum, "attention_in": out}
    dq = fa.npu_fusion_attention_grad(query, call["key"], call["value"], out, 2, "BNSD", **statistics)[0]
    if dq.requires_grad:
        with pytest.raises(NotImplementedError, match=r"double backward"):
            dq.sum().backward()


def test_a_gradient_that_nobody_needs_is_not_made() -> None:
    call = CALLS["sink"].arguments()
    call["value"].requires_grad_()
    out = forward(call)[0]
    out.sum().backward()
    assert call["value"].grad is not None
    assert all(call[name].grad is None for name in ("query", "key", "sink"))


def test_no_output_but_the_first_carries_a_gradient() -> None:
    call = CALLS["plain"].arguments()
    call["query"].requires_grad_()
    out, row_max, row_sum = forward(call)
    assert out.requires_grad and not row_max.requires_grad and not row_sum.requires_grad
    (expected,) = torch.autograd.grad(out.sum(), call["query"], retain_graph=True)
    (got,) = torch.autograd.grad(out.sum() + row_max.sum() + row_sum.sum(), call["query"])
    assert torch.equal(got, expected)
