"""The aclnn C API from Python: the same two phases, the same functions, the same parameters in the same order.

    size, executor = aclnn.aclnnFlashAttentionScoreGetWorkspaceSize(query, key, value, ..., attention_out=out)
    workspace = aclnn.empty_workspace(size)
    aclnn.aclnnFlashAttentionScore(workspace, size, executor, stream)
    stream.synchronize()

Parameters go by position, in the order of the C header, or by name in snake_case (`attenMaskOptional` is `atten_mask`,
`softmaxMaxOut` is `softmax_max`). Tensors are torch tensors, numpy arrays or anything with `__dlpack__`, on the CPU, which
is where the simulated device has its memory; their strides are kept. A parameter left out is null, a number left out has
its default. A call that is refused raises `AclnnError`.

Outputs are the caller's. Nothing is computed before the second phase, and nothing is certain to be there before the
stream is synchronised.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .aclnn_runtime import AclnnError, Executor, Stream, deterministic, empty_workspace, launch, plan, synchronize

_ATTRIBUTES: dict[str, Any] = {
    "scale_value": 1.0,
    "keep_prob": 1.0,
    "pre_tokens": 2147483647,
    "next_tokens": 2147483647,
    "head_num": 0,
    "input_layout": None,
    "inner_precise": 0,
    "sparse_mode": 0,
}
_DEFAULTS: dict[str, Any] = _ATTRIBUTES | {"pse_type": 1, "softmax_out_layout": "", "softmax_in_layout": ""}
_LISTS = ("prefix", "actual_seq_q_len", "actual_seq_kv_len", "q_start_idx", "kv_start_idx")


def _parameters(name: str) -> tuple[str, ...]:
    """Parameters of `name`GetWorkspaceSize in the order of the C header, but for workspaceSize and executor."""
    backward = "Grad" in name
    varlen = "VarLen" in name or "Unpadding" in name
    version = int(name[-1]) if name[-1].isdigit() else 1
    rope = varlen and version in (3, 5)
    sink = version == (5 if varlen else 3)
    layout = varlen and version in (4, 5)
    pse_type = version not in (1, 4) if varlen else version > 1
    key = "key_in" if backward else "key"
    inputs = ["query", "query_rope", key, f"{key}_rope", "value"] if rope else ["query", key, "value"]
    if backward:
        inputs += ["dy", "pse_shift", "drop_mask", "padding_mask", "atten_mask"]
        inputs += ["softmax_max", "softmax_sum", "softmax_in", "attention_in"] + ["sink_in"] * sink
        outputs = ["dq", "dq_rope", "dk", "dk_rope", "dv", "dpse"] if rope else ["dq", "dk", "dv", "dpse"]
        outputs += ["dsink"] * sink
    else:
        inputs += ["real_shift", "drop_mask", "padding_mask", "atten_mask"] + ["sink"] * sink
        outputs = ["softmax_max", "softmax_sum", "softmax_out", "attention_out"]
    lists = ["prefix"] + ["actual_seq_q_len", "actual_seq_kv_len"] * varlen
    lists += ["q_start_idx", "kv_start_idx"] * pse_type
    attributes = [*_ATTRIBUTES] + ["pse_type"] * pse_type
    if layout and backward and version == 4:  # the header has it there
        return (*inputs, *lists, *attributes, *outputs, "softmax_in_layout")
    attributes += ["softmax_in_layout" if backward else "softmax_out_layout"] * layout
    return (*inputs, *lists, *attributes, *outputs)


_FORWARD = [f"aclnnFlashAttentionScore{v}" for v in ("", "V2", "V3")]
_FORWARD += [f"aclnnFlashAttentionVarLenScore{v}" for v in ("", "V2", "V3", "V4", "V5")]
_BACKWARD = [f"aclnnFlashAttentionScoreGrad{v}" for v in ("", "V2", "V3")]
_BACKWARD += [f"aclnnFlashAttentionUnpaddingScoreGrad{v}" for v in ("", "V2", "V3", "V4", "V5")]
FUNCTIONS: dict[str, tuple[str, ...]] = {name: _parameters(name) for name in (*_FORWARD, *_BACKWARD)}


_KINDS = {float: "number", int: "integer", str: "text", type(None): "text"}


def kind(parameter: str) -> str:
    """ "tensor", "list", "number", "integer" or "text"."""
    if parameter in _LISTS:
        return "list"
    return _KINDS[type(_DEFAULTS[parameter])] if parameter in _DEFAULTS else "tensor"


def _functions(name: str, parameters: tuple[str, ...]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    kinds = {parameter: kind(parameter) for parameter in parameters}
    signature = inspect.Signature(
        [
            inspect.Parameter(parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=_DEFAULTS.get(parameter))
            for parameter in parameters
        ]
    )

    def first(*args: Any, **kwargs: Any) -> tuple[int, Executor]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return plan(name, bound.arguments, kinds)

    def second(workspace: Any, workspace_size: int, executor: Executor | None, stream: Stream | None = None) -> None:
        launch(name, workspace, workspace_size, executor, stream)

    first.__name__ = first.__qualname__ = f"{name}GetWorkspaceSize"
    first.__doc__ = f"First phase of {name}: checks and plans the call. Returns (workspace size in bytes, executor)."
    first.__signature__ = signature  # type: ignore[attr-defined]
    second.__name__ = second.__qualname__ = name
    second.__doc__ = f"Second phase of {name}: launches on the stream, None for the device's default, without waiting."
    return first, second


for _name, _names in FUNCTIONS.items():
    globals()[f"{_name}GetWorkspaceSize"], globals()[_name] = _functions(_name, _names)

__all__ = ["AclnnError", "Executor", "Stream", "deterministic", "empty_workspace", "synchronize"]
__all__ += [f"{_name}{_phase}" for _name in FUNCTIONS for _phase in ("GetWorkspaceSize", "")]
