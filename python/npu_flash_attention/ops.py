"""The operator as torch knows it: two custom ops, their fake implementations and the autograd formula between them.

    npu_flash_attention::attention_forward    -> (attention_out, softmax_max, softmax_sum)
    npu_flash_attention::attention_backward   -> (dq, dk, dv, dpse, dq_rope, dk_rope, dsink)

Sequence lengths and the dropout's (seed, offset) are int64 CPU tensors, so that a traced graph takes them as data.
A gradient that is not needed comes back as an empty tensor of shape [0].
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from . import backends
from .backends.golden import statistics_dtype
from .call import Call, output_shapes

_TENSORS = (
    "Tensor query, Tensor key, Tensor value, Tensor? pse, Tensor? atten_mask, Tensor? query_rope, Tensor? key_rope, "
    "Tensor? sink, Tensor? dropout_mask, Tensor? rng, Tensor? actual_seq_qlen, Tensor? actual_seq_kvlen"
)
_OPTIONS = (
    "SymInt head_num, str input_layout, float scale, float keep_prob, SymInt pre_tokens, SymInt next_tokens, "
    "SymInt[]? prefix, int sparse_mode, int pse_type, SymInt[]? q_start_idx, SymInt[]? kv_start_idx, "
    "str softmax_layout, str entry, str backend"
)
# Positions of the differentiable inputs in the forward's arguments, in the order of backends.GRADIENTS.
_DIFFERENTIABLE = (0, 1, 2, 3, 5, 6, 7)
_FIRST_OPTION = 12


def _call_from(tensors: Sequence[Tensor | None], options: Sequence[Any], entry: str) -> Call:
    """The Call behind the arguments of either op (`tensors` and `options` as in _TENSORS and _OPTIONS)."""
    query, key, value, pse, atten_mask, query_rope, key_rope, sink, dropout_mask, rng, q_ends, kv_ends = tensors
    head_num, layout, scale, keep_prob, pre, following, prefix, sparse_mode, pse_type, q_start, kv_start, *rest = (
        options
    )
    assert query is not None and key is not None and value is not None
    seed, offset = (0, 0) if rng is None else rng.tolist()
    return Call(
        query,
        key,
        value,
        head_num,
        layout,
        pse=pse,
        atten_mask=atten_mask,
        query_rope=query_rope,
        key_rope=key_rope,
        sink=sink,
        dropout_mask=dropout_mask,
        scale=scale,
        keep_prob=keep_prob,
        pre_tokens=pre,
        next_tokens=following,
        prefix=prefix,
        actual_seq_qlen=None if q_ends is None else q_ends.tolist(),
        actual_seq_kvlen=None if kv_ends is None else kv_ends.tolist(),
        sparse_mode=sparse_mode,
        pse_type=pse_type,
        q_start_idx=q_start,
        kv_start_idx=kv_start,
        softmax_layout=rest[0],
        seed=seed,
        offset=offset,
        entry=entry,
    )


@contextlib.contextmanager
def _undisturbed(query: Tensor) -> Iterator[None]:
    """What a backend allocates is on query's device and what it multiplies keeps its dtype, whatever mode is in force."""
    with torch.device(query.device), torch.autocast(query.device.type, enabled=False):
        yield


@torch.library.custom_op(
    "npu_flash_attention::attention_forward",
    mutates_args=(),
    schema=f"({_TENSORS}, {_OPTIONS}) -> (Tensor, Tensor, Tensor)",
)
def attention_forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    tensors, options = arguments[:_FIRST_OPTION], arguments[_FIRST_OPTION:]
    with _undisturbed(arguments[0]):
        call = _call_from(tensors, options, entry=options[-2])
        problem = call.build_problem()
        return backends.select(call, problem, options[-1]).forward(call, problem)


@torch.library.custom_op(
    "npu_flash_attention::attention_backward",
    mutates_args=(),
    schema=f"({_TENSORS}, Tensor dy, Tensor softmax_max, Tensor softmax_sum, Tensor? attention_in, bool[] needs, "
    f"{_OPTIONS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def attention_backward(*arguments: Any) -> tuple[Tensor, ...]:
    tensors = arguments[:_FIRST_OPTION]
    dy, softmax_max, softmax_sum, attention_in, needs = arguments[_FIRST_OPTION : _FIRST_OPTION + 5]
    options = arguments[_FIRST_OPTION + 5 :]
    with _undisturbed(arguments[0]):
        call = _call_from(tensors, options, entry=options[-2])
        problem = call.build_problem(dy, softmax_max, softmax_sum, attention_in)
        backend = backends.select(call, problem, options[-1])
        gradients = backend.backward(call, problem, dy, softmax_max, softmax_sum, attention_in, needs)
        return tuple(call.query.new_empty(0) if gradient is None else gradient for gradient in gradients)


@attention_forward.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = arguments[:3]
    out, statistics = output_shapes(query, key, value, *arguments[_FIRST_OPTION : _FIRST_OPTION + 2])
    dtype = statistics_dtype(query.dtype)
    return query.new_empty(out), query.new_empty(statistics, dtype=dtype), query.new_empty(statistics, dtype=dtype)


@attention_backward.register_fake
def _(*arguments: Any) -> tuple[Tensor, ...]:
    needs = arguments[_FIRST_OPTION + 4]
    inputs = [arguments[position] for position in _DIFFERENTIABLE]
    return tuple(
        tensor.new_empty(tensor.shape) if need and tensor is not None else arguments[0].new_empty(0)
        for tensor, need in zip(inputs, needs, strict=True)
    )


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    out, softmax_max, softmax_sum = output
    ctx.mark_non_differentiable(softmax_max, softmax_sum)
    ctx.save_for_backward(*inputs[:_FIRST_OPTION], out, softmax_max, softmax_sum)
    ctx.options = inputs[_FIRST_OPTION:]


def _attention_gradient(ctx: Any, dy: Tensor | None, *unused: Tensor | None) -> tuple[Tensor | None, ...]:
    """Formula of docs/derivation.md, evaluated by attention_backward from the saved statistics."""
    *tensors, out, softmax_max, softmax_sum = ctx.saved_tensors
    gradients: list[Tensor | None] = [None] * (len(tensors) + len(ctx.options))
    if dy is None:
        return tuple(gradients)
    needs = [ctx.needs_input_grad[position] for position in _DIFFERENTIABLE]
    computed = attention_backward(*tensors, dy, softmax_max, softmax_sum, out, needs, *ctx.options)
    for position, gradient, need in zip(_DIFFERENTIABLE, computed, needs, strict=True):
        gradients[position] = gradient if need else None
    return tuple(gradients)


def _no_double_backward(ctx: Any, *unused: Any) -> tuple[None, ...]:
    raise NotImplementedError(
        "npu_fusion_attention: the gradient of its gradient is not implemented (double backward); "
        "use npu_flash_attention.golden's formula or eager attention where you need it"
    )


torch.library.register_autograd(
    "npu_flash_attention::attention_forward", _attention_gradient, setup_context=_save_for_backward
)
torch.library.register_autograd("npu_flash_attention::attention_backward", _no_double_backward)
