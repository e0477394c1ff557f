"""The AscendC kernels of `op_kernel`, run instruction by instruction on a simulated chip.

Slow, and strict: every access is checked for bounds, alignment, initialisation and order, and a kernel that breaks a
rule of the hardware raises `KernelFault`. `OPTIONS` chooses the chip and what is checked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..call import Call, output_shapes
from .cpu import _Views, statistic_view

if TYPE_CHECKING:
    from .._C import Problem


@dataclasses.dataclass
class Options:
    """How the simulator runs.

    soc: chip, as the toolkit names it. cores: AI cores to use, 0 for all of the chip. checks: bounds, alignment and
    races. timeline: lay the run out in time; the result is in `last_run`. heads: with start-up costs. warm_l2: GM is in
    L2 when the kernel starts. contention: cores share the bandwidth of L2 and DDR; without it each moves at its own
    rate. threads: host threads, 0 for one a processor.
    """

    soc: str = "Ascend910B2"
    cores: int = 0
    checks: bool = True
    timeline: bool = False
    heads: bool = True
    warm_l2: bool = False
    contention: bool = True
    threads: int = 0


OPTIONS = Options()
last_run: dict[str, Any] = {}
"""What the last launch reported: instructions, and with `timeline` cycles, bytes by path, the share of the makespan that
each (core, pipe) is (busy, working without start-up costs), a summary and a trace."""

_TENSORS = ("query", "key", "value", "query_rope", "key_rope", "pse", "atten_mask", "dropout_mask", "sink")


class SimulatorBackend:
    name = "simulator"

    def unavailable(self) -> str | None:
        try:
            from .. import _S  # noqa: F401
        except ImportError as error:
            return f"the kernels were not built for the simulator ({error})"
        return None

    def rejects(self, call: Call, problem: Problem) -> str | None:
        if call.query.device.type != "cpu":
            return f"query is on {call.query.device}, the simulator runs on cpu"
        if call.query.dtype == torch.float64:
            return "query is float64, the chip computes float16, bfloat16 and float32"
        try:
            forward_tiling(problem)
        except ValueError as error:
            return str(error)
        return None

    def forward(self, call: Call, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
        from .. import _S

        call, problem = _as_kernels_read(call, problem)
        out_shape, statistics_shape = output_shapes(call.query, call.key, call.value, call.head_num, call.input_layout)
        tokens = [(s.q_start, s.q_start + s.q_len) for s in problem.sequences] if _is_packed(call) else None
        out = _unwritten(out_shape, call.query.dtype, tokens)
        row_max, row_sum = (_unwritten(statistics_shape, torch.float32, tokens) for _ in range(2))
        if row_max.numel() == 0:
            return out, row_max, row_sum
        tensors = {name: getattr(call, name) for name in _TENSORS}
        tensors |= {"attention_out": out, "softmax_max": row_max, "softmax_sum": row_sum}
        last_run.clear()
        last_run.update(_S.forward(problem, _extents(tensors), **dataclasses.asdict(OPTIONS)))
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
        from .. import _S

        deterministic = torch.are_deterministic_algorithms_enabled()
        options = dataclasses.asdict(OPTIONS) | {"deterministic": deterministic}
        try:
            _S.backward_tiling(problem, soc=OPTIONS.soc, cores=OPTIONS.cores, deterministic=deterministic)
        except ValueError as error:
            raise NotImplementedError(f"backend 'simulator': {error}") from error
        statistics = softmax_max.contiguous(), softmax_sum.contiguous()
        if attention_in is None and dy.numel() > 0:
            attention_in = self._output_under(call, problem, *statistics)
        call, problem = _as_kernels_read(call, problem, dy, *statistics, attention_in, dense=needs[3])
        inputs = {name: getattr(call, name) for name in _TENSORS}
        gradients = _gradients(call, problem, bias=needs[3])
        if call.query.numel() > 0 and call.key.numel() > 0:
            tensors = inputs | {"softmax_max": statistics[0], "softmax_sum": statistics[1], "dy": dy.contiguous()}
            tensors |= {"attention_in": None if attention_in is None else attention_in.contiguous()} | gradients
            last_run.clear()
            last_run.update(_S.backward(problem, _extents(tensors), **options))
        tensors_of = (call.query, call.key, call.value, call.pse, call.query_rope, call.key_rope, call.sink)
        return tuple(
            gradient.to(tensor.dtype) if need and gradient is not None and tensor is not None else None
            for gradient, tensor, need in zip(gradients.values(), tensors_of, needs, strict=True)
        )

    def _output_under(self, call: Call, problem: Problem, softmax_max: Tensor, softmax_sum: Tensor) -> Tensor:
        """The output that these keys give under statistics which may be of more keys: what D is taken from."""
        out, row_max, row_sum = self.forward(call, problem)
        views = _Views(call, problem)
        for sequence in problem.sequences:
            own, given = (
                [statistic_view(t, problem, sequence)[..., :1] for t in pair]
                for pair in ((row_max, row_sum), (softmax_max, softmax_sum))
            )
            rows = views.rows(out, "out", sequence)
            rows *= torch.exp(own[0] - given[0]) * (own[1] / given[1])
        return out


def _gradients(call: Call, problem: Problem, bias: bool) -> dict[str, Tensor | None]:
    """The outputs of the backward kernel. It writes all but dpse, to which it adds."""
    packed, empty = _is_packed(call), call.query.numel() == 0 or call.key.numel() == 0
    queries = [(s.q_start, s.q_start + s.q_len) for s in problem.sequences] if packed else None
    keys = [(s.kv_start, s.kv_start + s.kv_len) for s in problem.sequences] if packed else None

    def like(tensor: Tensor | None, tokens: list[tuple[int, int]] | None) -> Tensor | None:
        return None if tensor is None else _unwritten(tensor.shape, tensor.dtype, [] if empty else tokens)

    return {
        "dq": like(call.query, queries),
        "dk": like(call.key, keys),
        "dv": like(call.value, keys),
        "dpse": torch.zeros(call.pse.shape) if bias and call.pse is not None else None,
        "dq_rope": like(call.query_rope, queries),
        "dk_rope": like(call.key_rope, keys),
        "dsink": like(call.sink, None),
    }


def _is_packed(call: Call) -> bool:
    return call.input_layout.upper() == "TND"


def forward_tiling(problem: Problem) -> dict[str, Any]:
    """Block sizes, work split and memory of the forward kernel on all of the chip. Raises ValueError."""
    from .. import _S

    return _S.forward_tiling(problem, soc=OPTIONS.soc)


def _as_kernels_read(call: Call, problem: Problem, *given: Tensor | None, dense: bool = False) -> tuple[Call, Problem]:
    """Masks, biases and sinks whose elements do not follow each other are copied, as the operator's host side does.

    given: dy, softmax_max, softmax_sum and attention_in of a backward. dense: a bias becomes contiguous, because its
    gradient is addressed like it.
    """
    copies = {
        name: tensor.contiguous()
        for name in ("atten_mask", "pse", "sink")
        if (tensor := getattr(call, name)) is not None
        and ((tensor.dim() > 0 and tensor.stride(-1) != 1) or (name == "pse" and dense and not tensor.is_contiguous()))
    }
    if not copies:
        return call, problem
    call = dataclasses.replace(call, **copies)
    return call, call.build_problem(*given)


def _unwritten(shape: Sequence[int], dtype: torch.dtype, tokens: Iterable[tuple[int, int]] | None) -> Tensor:
    """An output: NaN in the tokens that the kernel is to write, zero in the others.

    tokens: (begin, end) on the first axis, as layout TND has it; None for all elements.
    """
    if tokens is None:
        return torch.full(shape, torch.nan, dtype=dtype)
    output = torch.zeros(shape, dtype=dtype)
    for begin, end in tokens:
        output[begin:end] = torch.nan
    return output


def _extents(tensors: dict[str, Tensor | None]) -> dict[str, tuple[int, int]]:
    return {name: _extent(tensor) for name, tensor in tensors.items() if tensor is not None}


def _extent(tensor: Tensor) -> tuple[int, int]:
    """(address, bytes) of the memory a tensor's elements span."""
    if tensor.numel() == 0:
        return tensor.data_ptr(), 0
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), (last + 1) * tensor.element_size()
