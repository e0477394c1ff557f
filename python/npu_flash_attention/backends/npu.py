"""The AscendC kernels of `op_kernel` on a card, on torch_npu's current stream and in its allocator's memory.

The launch itself is the operators `npu_flash_attention::launch_forward` and `launch_backward` of the extension `_npu`
(python/csrc/bind_npu.cpp), which is built where a toolkit and torch_npu are: docs/npu.md.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .._native import native
from .chip import BACKWARD_INPUTS, INPUTS, ChipBackend

if TYPE_CHECKING:
    from .._C import Problem

LIBRARY = Path(__file__).parents[1] / "_npu.so"
_ALIGNMENT = 512  # of the work space, in bytes


class NpuBackend(ChipBackend):
    name = "npu"
    device = "npu"

    def unavailable(self) -> str | None:
        return missing()

    def soc(self) -> str:
        return torch.ops.npu_flash_attention.launch_soc()

    def launch(
        self,
        kernel: str,
        problem: Problem,
        inputs: dict[str, Tensor | None],
        outputs: dict[str, Tensor | None],
        deterministic: bool,
    ) -> None:
        query = inputs["query"]
        assert query is not None
        if problem.dropout_kind == "philox":
            bits = torch.from_numpy(native().generated_drop_bits(problem))
            inputs = inputs | {"dropout_mask": bits.to(query.device)}
        if kernel == "forward":
            plan, bytes_ = native().plan_forward(problem, self.soc())
            operator = torch.ops.npu_flash_attention.launch_forward
        else:
            plan, bytes_ = native().plan_backward(problem, self.soc(), deterministic)
            operator = torch.ops.npu_flash_attention.launch_backward
        operator(
            torch.frombuffer(bytearray(plan), dtype=torch.uint8),
            _workspace(bytes_, query),
            [inputs[name] for name in (INPUTS if kernel == "forward" else BACKWARD_INPUTS)],
            [query.new_empty(0) if output is None else output for output in outputs.values()],
        )

    def unwritten(self, shape: Sequence[int], like: Tensor, tokens: Iterable[tuple[int, int]] | None) -> Tensor:
        return like.new_empty(shape) if tokens is None else like.new_zeros(shape)


def _workspace(bytes_: int, like: Tensor) -> Tensor:
    memory = like.new_empty(bytes_ + _ALIGNMENT, dtype=torch.uint8)
    return memory[-memory.data_ptr() % _ALIGNMENT :][:bytes_]


@functools.cache
def missing() -> str | None:
    """What keeps this machine from computing on a card, None when nothing does; imports torch_npu."""
    from ..compat.real import is_stand_in

    try:
        torch_npu = importlib.import_module("torch_npu")
    except ModuleNotFoundError as error:
        return "torch_npu is not installed" if error.name == "torch_npu" else f"torch_npu does not import ({error})"
    except Exception as error:  # whatever a library that is missing or too old makes it raise
        return f"torch_npu does not import ({type(error).__name__}: {error})"
    if is_stand_in(torch_npu):
        return "torch_npu is a stand-in, npu means the CPU"
    if not torch_npu.npu.is_available():
        return "torch_npu finds no NPU"
    if not LIBRARY.exists():
        return "this build has no NPU binding (build with ASCEND_HOME_PATH and NPU_FA_SOC: docs/npu.md)"
    try:
        torch.ops.load_library(str(LIBRARY))
        soc = torch.ops.npu_flash_attention.launch_soc()
    except (OSError, RuntimeError) as error:
        return f"the NPU binding does not load ({error})"
    if soc not in native().platforms():
        return f"the chip is {soc}, and the kernels are for {', '.join(native().platforms())}"
    if not kernels(soc).exists():
        return f"this build has no kernels for {soc} (build with NPU_FA_SOC={soc})"
    return None


def kernels(soc: str) -> Path:
    """The library of kernels for a chip, as the toolkit names it."""
    return LIBRARY.parent / f"libnpu_fa_kernels_{soc.lower()}.so"
