"""The golden model as a backend: float64 inside, rounded once to the dtypes the operator returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import golden
from ..call import Call

if TYPE_CHECKING:
    from .._C import Problem


class GoldenBackend:
    name = "golden"

    def unavailable(self) -> str | None:
        return None

    def rejects(self, call: Call, problem: Problem) -> str | None:
        return None if call.query.device.type == "cpu" else f"query is on {call.query.device}, golden runs on cpu"

    def forward(self, call: Call, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
        result = golden.forward(call.query, call.key, call.value, call.head_num, call.input_layout, **call.options())
        statistics = statistics_dtype(call.query.dtype)
        return (
            result.attention_out.to(call.query.dtype),
            result.softmax_max.to(statistics),
            result.softmax_sum.to(statistics),
        )

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
        result = golden.backward(
            call.query,
            call.key,
            call.value,
            dy,
            call.head_num,
            call.input_layout,
            softmax_max=softmax_max,
            softmax_sum=softmax_sum,
            attention_in=attention_in,
            **call.options(),
        )
        inputs = (call.query, call.key, call.value, call.pse, call.query_rope, call.key_rope, call.sink)
        gradients = (
            result.dq,
            result.dk,
            result.dv,
            result.dpse,
            result.dq_rope,
            result.dk_rope,
            result.dsink,
        )
        return tuple(
            gradient.to(tensor.dtype) if need and gradient is not None and tensor is not None else None
            for gradient, tensor, need in zip(gradients, inputs, needs, strict=True)
        )


def statistics_dtype(dtype: torch.dtype) -> torch.dtype:
    """softmax_max and softmax_sum are float32; float64 inputs, which only checks use, keep float64."""
    return torch.float64 if dtype == torch.float64 else torch.float32
