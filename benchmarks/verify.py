"""Nothing is timed that is not right: a row's own call, forward and backward, against the readable backend.

The readable backend is held to the golden model by the tests; at these sizes it is also the one that ends today.
"""

from __future__ import annotations

import torch
from npu_flash_attention.backends.cpu import CpuBackend
from torch import Tensor

from .registry import Inputs
from .run import GRADIENTS, Ours

# Root mean square of the difference over that of the result. The readable backend computes in float32 and rounds once;
# the fast one also rounds probabilities and score gradients where the products take 16-bit operands.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def check(inputs: Inputs, ours: Ours) -> None:
    """Raises AssertionError naming the first result of the row that is off."""
    plain = CpuBackend()
    call, problem = ours.call, ours.problem
    expected = plain.forward(call, problem)
    _compare(inputs, "attention_out", ours.forward()[0], expected[0])
    gradients = plain.backward(call, problem, inputs.dy, expected[1], expected[2], expected[0], ours.needs)
    for name, got, want in zip(GRADIENTS, ours.backward(), gradients, strict=True):
        if want is not None:
            _compare(inputs, name, got, want)


def _compare(inputs: Inputs, name: str, got: Tensor | None, want: Tensor) -> None:
    assert got is not None, f"{inputs.row.name}: {name} is missing"
    difference = (got.double() - want.double()).square().mean().sqrt() / want.double().square().mean().sqrt()
    limit = TOLERANCE[inputs.row.dtype]
    assert float(difference) <= limit, (
        f"{inputs.row.name}: {name}: expected an error of at most {limit:g}, got {difference:g}"
    )
