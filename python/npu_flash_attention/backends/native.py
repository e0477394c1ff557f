"""The fast CPU backend: C++ kernels in python/csrc/cpu on PyTorch's threads and matrix products (docs/cpu.md).

This file allocates outputs and hands addresses over; everything else is in the compiled module, which reads the layout
of the tensors from the Problem.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .._native import native
from ..call import Call, output_shapes
from .golden import statistics_dtype


@functools.cache
def module() -> ModuleType:
    """The compiled kernels. Raises ImportError where this build has none."""
    native()  # _cpu takes problems of the type that _C defines
    return importlib.import_module("npu_flash_attention._cpu")


def describe() -> dict[str, str]:
    """What runs on this machine: the level of the kernels, and who multiplies the matrices.

    Returns:
        level (plain, avx2, avx512 or avx512_bf16), bfloat16_products and float32_products.
    """
    return module().describe()


class NativeBackend:
    name = "cpu"

    def unavailable(self) -> str | None:
        try:
            module()
        except ImportError as error:
            return f"this build has no compiled CPU kernels ({error})"
        return None

    def rejects(self, call: Call, problem: Any) -> str | None:
        return None if call.query.device.type == "cpu" else f"query is on {call.query.device}, cpu runs on cpu"

    def forward(self, call: Call, problem: Any) -> tuple[Tensor, Tensor, Tensor]:
        new = torch.empty if _covers(call) else torch.zeros
        statistics = statistics_dtype(call.query.dtype)
        out_shape, shape = output_shapes(call.query, call.key, call.value, call.head_num, call.input_layout)
        out = new(out_shape, dtype=call.query.dtype)
        softmax_max, softmax_sum = new(shape, dtype=statistics), new(shape, dtype=statistics)
        tensors = _inputs(call, softmax_max, softmax_sum)
        tensors["out"] = out
        module().forward(problem, _addresses(tensors), torch.get_num_threads())
        return out, softmax_max, softmax_sum

    def backward(
        self,
        call: Call,
        problem: Any,
        dy: Tensor,
        softmax_max: Tensor,
        softmax_sum: Tensor,
        attention_in: Tensor | None,
        needs: Sequence[bool],
    ) -> tuple[Tensor | None, ...]:
        need_q, need_k, need_v, need_pse, need_q_rope, need_k_rope, need_sink = needs
        if need_pse and call.pse is not None and not call.pse.is_contiguous():
            call = dataclasses.replace(call, pse=call.pse.contiguous())  # its gradient is addressed like pse itself
            problem = call.build_problem(dy, softmax_max, softmax_sum, attention_in)
        statistics = statistics_dtype(call.query.dtype)
        tensors = _inputs(call, softmax_max.contiguous(), softmax_sum.contiguous())
        tensors["dy"] = dy.contiguous()
        tensors["attention_in"] = None if attention_in is None else attention_in.contiguous()
        new = torch.empty if _covers(call) else torch.zeros

        def like(tensor: Tensor | None, needed: bool) -> Tensor | None:
            return new(tensor.shape, dtype=tensor.dtype) if needed and tensor is not None else None

        # The two halves of a gradient with rope columns are computed together.
        tensors["dq"] = like(call.query, need_q or need_q_rope)
        tensors["dk"] = like(call.key, need_k or need_k_rope)
        tensors["dv"] = like(call.value, need_v)
        tensors["dq_rope"] = like(call.query_rope, need_q or need_q_rope)
        tensors["dk_rope"] = like(call.key_rope, need_k or need_k_rope)
        tensors["dpse"] = torch.zeros(call.pse.shape, dtype=statistics) if need_pse and call.pse is not None else None
        need_sink = need_sink and call.sink is not None
        tensors["dsink"] = torch.zeros(problem.q_heads, dtype=torch.float64) if need_sink else None
        module().backward(
            problem, _addresses(tensors), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        )
        computed = [tensors[name] for name in ("dq", "dk", "dv", "dpse", "dq_rope", "dk_rope", "dsink")]
        inputs = (call.query, call.key, call.value, call.pse, call.query_rope, call.key_rope, call.sink)
        return tuple(
            gradient.to(tensor.dtype) if need and gradient is not None and tensor is not None else None
            for gradient, tensor, need in zip(computed, inputs, needs, strict=True)
        )


def _covers(call: Call) -> bool:
    """True when every row of every output belongs to a sequence that has scores, so that all of them are written."""
    return call.input_layout.upper() != "TND" and call.query.numel() > 0 and call.key.numel() > 0


def _inputs(call: Call, softmax_max: Tensor, softmax_sum: Tensor) -> dict[str, Tensor | None]:
    sink = call.sink
    return {
        "query": call.query,
        "key": call.key,
        "value": call.value,
        "query_rope": call.query_rope,
        "key_rope": call.key_rope,
        "sink": None if sink is None else sink.to(statistics_dtype(call.query.dtype)).contiguous(),
        "softmax_max": softmax_max,
        "softmax_sum": softmax_sum,
    }


def _addresses(tensors: dict[str, Tensor | None]) -> dict[str, int | None]:
    return {name: None if tensor is None else tensor.data_ptr() for name, tensor in tensors.items()}
