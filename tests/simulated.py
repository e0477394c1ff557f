"""A case of the sweep on the backend `simulator`, judged against the golden model."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import torch
from npu_flash_attention import backends, rng
from npu_flash_attention.backends import simulator
from npu_flash_attention.sweep import check
from npu_flash_attention.sweep.cases import Case
from npu_flash_attention.sweep.inputs import build

OUTPUTS = ("attention_out", "softmax_max", "softmax_sum")


@contextlib.contextmanager
def options(**values: object) -> Iterator[None]:
    """Runs a block under other options of the simulator."""
    before = dataclasses.replace(simulator.OPTIONS)
    for name, value in values.items():
        setattr(simulator.OPTIONS, name, value)
    try:
        yield
    finally:
        for field in dataclasses.fields(before):
            setattr(simulator.OPTIONS, field.name, getattr(before, field.name))


def failures(case: Case) -> list[str]:
    """What is wrong with the forward's results. Raises KernelFault, and NotImplementedError where it is refused."""
    inputs = build(case, hidden=False)  # docs/kernels.md, limits
    leaves = {name: tensor.detach() for name, tensor in inputs.differentiable().items()}
    state = rng.get_rng_state()
    try:
        with backends.backend("simulator"), torch.no_grad():
            rng.manual_seed(case.seed)
            results = check.call_forward(inputs, leaves)[:3]
    finally:
        rng.set_rng_state(state)
    judged = {c.name: c for c in check.judge(inputs, dict(zip(OUTPUTS, results, strict=True)))}
    return [judged[name].failure for name in OUTPUTS if judged[name].failure]
