"""The AscendC kernels of `op_kernel`, run instruction by instruction on a simulated chip.

Slow, and strict: every access is checked for bounds, alignment, initialisation and order, and a kernel that breaks a
rule of the hardware raises `KernelFault`. `OPTIONS` chooses the chip and what is checked.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .chip import ChipBackend

if TYPE_CHECKING:
    from .._C import Problem


@dataclasses.dataclass
class Options:
    """How the simulator runs.

    soc: chip, as the toolkit names it; by default ASCEND_SIMULATOR_SOC, without it Ascend910B2. cores: AI cores to use,
    0 for all of the chip. checks: bounds, alignment and races. timeline: lay the run out in time; the result is in
    `last_run`. heads: with start-up costs. warm_l2: GM is in L2 when the kernel starts. contention: cores share the
    bandwidth of L2 and DDR; without it each moves at its own rate. threads: host threads, 0 for one a processor.
    """

    soc: str = dataclasses.field(default_factory=lambda: os.environ.get("ASCEND_SIMULATOR_SOC") or "Ascend910B2")
    cores: int = 0
    checks: bool = True
    timeline: bool = False
    heads: bool = True
    warm_l2: bool = False
    contention: bool = True
    threads: int = 0


OPTIONS = Options()
last_run: dict[str, Any] = {}
"""What the last launch reported: instructions, its tiling, and with `timeline` cycles, bytes by path, the share
of the makespan that each (core, pipe) is (busy, working without start-up costs), a summary and a trace."""


class SimulatorBackend(ChipBackend):
    name = "simulator"
    device = "cpu"

    def unavailable(self) -> str | None:
        try:
            from .. import _S  # noqa: F401
        except ImportError as error:
            return f"the kernels were not built for the simulator ({error})"
        return None

    def soc(self) -> str:
        return OPTIONS.soc

    def launch(
        self,
        kernel: str,
        problem: Problem,
        inputs: dict[str, Tensor | None],
        outputs: dict[str, Tensor | None],
        deterministic: bool,
    ) -> None:
        from .. import _S

        tensors, options = _extents(inputs | outputs), dataclasses.asdict(OPTIONS)
        last_run.clear()
        if kernel == "forward":
            last_run.update(_S.forward(problem, tensors, **options), tiling=forward_tiling(problem))
        else:
            result = _S.backward(problem, tensors, deterministic=deterministic, **options)
            last_run.update(result, tiling=backward_tiling(problem, deterministic))

    def unwritten(self, shape: Sequence[int], like: Tensor, tokens: Iterable[tuple[int, int]] | None) -> Tensor:
        """NaN in the tokens that the kernel is to write."""
        if tokens is None:
            return torch.full(shape, torch.nan, dtype=like.dtype)
        output = torch.zeros(shape, dtype=like.dtype)
        for begin, end in tokens:
            output[begin:end] = torch.nan
        return output


def forward_tiling(problem: Problem) -> dict[str, Any]:
    """Block sizes, work split and memory of the forward kernel on all of the chip. Raises ValueError."""
    from .. import _S

    return _S.forward_tiling(problem, soc=OPTIONS.soc)


def backward_tiling(problem: Problem, deterministic: bool = False) -> dict[str, Any]:
    """The same of the backward kernel."""
    from .. import _S

    return _S.backward_tiling(problem, soc=OPTIONS.soc, deterministic=deterministic)


def _extents(tensors: dict[str, Tensor | None]) -> dict[str, tuple[int, int]]:
    return {name: _extent(tensor) for name, tensor in tensors.items() if tensor is not None}


def _extent(tensor: Tensor) -> tuple[int, int]:
    """(address, bytes) of the memory a tensor's elements span."""
    if tensor.numel() == 0:
        return tensor.data_ptr(), 0
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), (last + 1) * tensor.element_size()
