"""What a call of the kernels of `op_kernel` is, on a simulated chip and on a real one: tensors as the kernels read them,
outputs, and in which order they go in."""

from __future__ import annotations

import abc
import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .._native import native
from ..call import Call, output_shapes
from .cpu import _Views, statistic_view

if TYPE_CHECKING:
    from .._C import Problem

INPUTS = ("query", "key", "value", "query_rope", "key_rope", "pse", "atten_mask", "dropout_mask", "sink")
BACKWARD_INPUTS = (*INPUTS, "dy", "softmax_max", "softmax_sum", "attention_in")


class ChipBackend(abc.ABC):
    """The operator by its kernels; a subclass knows the chip and how a kernel is launched on it."""

    name: str
    device: str  # type of the tensors' device

    @abc.abstractmethod
    def soc(self) -> str:
        """The chip, as the toolkit names it."""

    @abc.abstractmethod
    def launch(
        self,
        kernel: str,
        problem: Problem,
        inputs: dict[str, Tensor | None],
        outputs: dict[str, Tensor | None],
        deterministic: bool,
    ) -> None:
        """Runs `kernel`, "forward" or "backward"; names as in INPUTS, BACKWARD_INPUTS and backends.GRADIENTS."""

    @abc.abstractmethod
    def unwritten(self, shape: Sequence[int], like: Tensor, tokens: Iterable[tuple[int, int]] | None) -> Tensor:
        """An output of dtype and device of `like`: zero outside the tokens that the kernel is to write.

        tokens: (begin, end) on the first axis, as layout TND has it; None for all elements.
        """

    def rejects(self, call: Call, problem: Problem) -> str | None:
        if call.query.device.type != self.device:
            return f"query is on {call.query.device}, this backend takes tensors on {self.device}"
        if call.query.dtype == torch.float64:
            return "query is float64, the chip computes float16, bfloat16 and float32"
        try:
            native().plan_forward(problem, self.soc())
        except ValueError as error:
            return str(error)
        return None

    def forward(self, call: Call, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
        call, problem = as_kernels_read(call, problem)
        out_shape, statistics_shape = output_shapes(call.query, call.key, call.value, call.head_num, call.input_layout)
        tokens = _tokens(call, problem, "q")
        statistics = call.query.new_empty(0, dtype=torch.float32)
        out = self.unwritten(out_shape, call.query, tokens)
        row_max, row_sum = (self.unwritten(statistics_shape, statistics, tokens) for _ in range(2))
        if row_max.numel() > 0:
            inputs = {name: getattr(call, name) for name in INPUTS}
            outputs: dict[str, Tensor | None] = {"attention_out": out, "softmax_max": row_max, "softmax_sum": row_sum}
            self.launch("forward", problem, inputs, outputs, deterministic=True)
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
        deterministic = torch.are_deterministic_algorithms_enabled()
        try:
            native().plan_backward(problem, self.soc(), deterministic)
        except ValueError as error:
            raise NotImplementedError(f"backend {self.name!r}: {error}") from error
        if deterministic and needs[3] and call.pse is not None and _shares_bias(call.pse, problem):
            message = (
                f"backend {self.name!r}: pse: under torch.use_deterministic_algorithms(True) expected an element for each "
                f"score, or no gradient, got shape {list(call.pse.shape)}, whose elements several cores add to in no "
                "fixed order (warn_only=True lets it pass)"
            )
            if not torch.is_deterministic_algorithms_warn_only_enabled():
                raise NotImplementedError(message)
            warnings.warn(message, stacklevel=2)
        statistics = softmax_max.contiguous(), softmax_sum.contiguous()
        if attention_in is None and dy.numel() > 0:
            attention_in = self._output_under(call, problem, *statistics)
        call, problem = as_kernels_read(call, problem, dy, *statistics, attention_in, dense=needs[3])
        gradients = self._gradients(call, problem, bias=needs[3])
        if call.query.numel() > 0 and call.key.numel() > 0:
            given = (dy.contiguous(), *statistics, None if attention_in is None else attention_in.contiguous())
            inputs = {name: getattr(call, name) for name in INPUTS}
            inputs |= dict(zip(BACKWARD_INPUTS[len(INPUTS) :], given, strict=True))
            self.launch("backward", problem, inputs, gradients, deterministic)
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

    def _gradients(self, call: Call, problem: Problem, bias: bool) -> dict[str, Tensor | None]:
        """The outputs of the backward kernel. It writes all but dpse, to which it adds."""
        empty = call.query.numel() == 0 or call.key.numel() == 0
        queries, keys = _tokens(call, problem, "q"), _tokens(call, problem, "kv")

        def like(tensor: Tensor | None, tokens: list[tuple[int, int]] | None) -> Tensor | None:
            return None if tensor is None else self.unwritten(tensor.shape, tensor, [] if empty else tokens)

        dpse = None if call.pse is None or not bias else call.pse.new_zeros(call.pse.shape, dtype=torch.float32)
        return {
            "dq": like(call.query, queries),
            "dk": like(call.key, keys),
            "dv": like(call.value, keys),
            "dpse": dpse,
            "dq_rope": like(call.query_rope, queries),
            "dk_rope": like(call.key_rope, keys),
            "dsink": like(call.sink, None),
        }


def _shares_bias(pse: Tensor, problem: Problem) -> bool:
    """Whether an element of pse belongs to more than one score."""
    if problem.bias_kind != "strided":
        return problem.bias_kind != "packed"
    batches, rows = len(problem.sequences), max((s.q_len for s in problem.sequences), default=0)
    return (pse.shape[0] == 1 and batches > 1) or (pse.shape[2] == 1 and rows > 1)


def _tokens(call: Call, problem: Problem, of: str) -> list[tuple[int, int]] | None:
    """The tokens of q or kv that belong to a sequence; None where all do."""
    if call.input_layout.upper() != "TND":
        return None
    starts = [(getattr(s, f"{of}_start"), getattr(s, f"{of}_len")) for s in problem.sequences]
    return [(start, start + length) for start, length in starts]


def as_kernels_read(call: Call, problem: Problem, *given: Tensor | None, dense: bool = False) -> tuple[Call, Problem]:
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
