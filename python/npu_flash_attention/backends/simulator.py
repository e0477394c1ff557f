"""The AscendC kernels of `op_kernel`, run instruction by instruction on a simulated chip.

Slow, and strict: every access is checked for bounds, alignment, initialisation and order, and a kernel that breaks a
rule of the hardware raises `KernelFault`. `OPTIONS` chooses the chip and what is checked.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..call import Call, output_shapes

if TYPE_CHECKING:
    from .._C import Problem


@dataclasses.dataclass
class Options:
    """How the simulator runs.

    soc: chip, as the toolkit names it. cores: AI cores to use, 0 for all of the chip. checks: bounds, alignment and
    races. timeline: lay the run out in time; the result is in `last_run`. heads: with start-up costs. warm_l2: GM is in L2 when
    the kernel starts. threads: host threads, 0 for one a processor.
    """

    soc: str = "Ascend910B2"
    cores: int = 0
    checks: bool = True
    timeline: bool = False
    heads: bool = True
    warm_l2: bool = False
    threads: int = 0


OPTIONS = Options()
last_run: dict[str, Any] = {}
"""What the last launch reported: instructions, and with `timeline` cycles, bytes by path, a summary and a trace."""

_TENSORS = ("query", "key", "value", "query_rope", "key_rope", "pse", "atten_mask", "dropout_mask", "sink")


class SimulatorBackend:
    name = "simulator"

    def unavailable(self) -> str | None:
        try:
            _kernels()
        except ImportError as error:
            return f"the kernels were not built for the simulator ({error})"
        return None

    def rejects(self, call: Call, problem: Problem) -> str | None:
        if call.query.device.type != "cpu":
            return f"query is on {call.query.device}, the simulator runs on cpu"
        if call.query.dtype == torch.float64:
            return "query is float64, the chip computes float16, bfloat16 and float32"
        try:
            _kernels().forward_tiling(problem, soc=OPTIONS.soc)
        except ValueError as error:
            return str(error)
        return None

    def forward(self, call: Call, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
        call, problem = _with_plain_columns(call, problem)
        out_shape, statistics_shape = output_shapes(call.query, call.key, call.value, call.head_num, call.input_layout)
        out = torch.zeros(out_shape, dtype=call.query.dtype)
        row_max, row_sum = torch.zeros(statistics_shape), torch.zeros(statistics_shape)
        if row_max.numel() == 0:
            return out, row_max, row_sum
        tensors = {name: getattr(call, name) for name in _TENSORS}
        tensors |= {"attention_out": out, "softmax_max": row_max, "softmax_sum": row_sum}
        addresses = {name: _extent(tensor) for name, tensor in tensors.items() if tensor is not None}
        last_run.clear()
        last_run.update(_kernels().forward(problem, addresses, **dataclasses.asdict(OPTIONS)))
        return out, row_max, row_sum

    def backward(
        self,
        call: Call,
        problem: Problem,
        dy: Tensor,
        softmax_max: Tensor,
        softmax_sum: Tensor,
        attention_in: Tensor | None,
        needs: Sequence[bool],
    ) -> tuple[Tensor | None, ...]:
        raise NotImplementedError("backend 'simulator': the backward kernel is not written yet")


def _kernels() -> Any:
    return importlib.import_module("npu_flash_attention._S")


def _with_plain_columns(call: Call, problem: Problem) -> tuple[Call, Problem]:
    """Masks and biases whose columns do not follow each other are copied, as the operator's host side does."""
    copies = {
        name: tensor.contiguous()
        for name in ("atten_mask", "pse")
        if (tensor := getattr(call, name)) is not None and tensor.dim() > 0 and tensor.stride(-1) != 1
    }
    if not copies:
        return call, problem
    call = dataclasses.replace(call, **copies)
    return call, call.build_problem()


def _extent(tensor: Tensor) -> tuple[int, int]:
    """(address, bytes) of the memory a tensor's elements span."""
    if tensor.numel() == 0:
        return tensor.data_ptr(), 0
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), (last + 1) * tensor.element_size()
