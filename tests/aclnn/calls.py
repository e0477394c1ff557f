"""Calls of the sweep through the aclnn functions: forward, then backward on what it gave."""

from __future__ import annotations

from typing import Any

import torch
from npu_flash_attention import _C, aclnn
from npu_flash_attention.call import output_shapes
from npu_flash_attention.sweep.inputs import Inputs
from torch import Tensor


def functions(inputs: Inputs, backward: bool) -> list[str]:
    """Functions that have all the parameters a case needs."""
    case, options = inputs.case, inputs.options
    needed = set()
    if case.layout == "TND":
        needed |= {"actual_seq_q_len"}
    if options["pse_type"] != 1:
        needed |= {"pse_type"}
    if options["sink"] is not None:
        needed |= {"sink_in" if backward else "sink"}
    if options["query_rope"] is not None:
        needed |= {"query_rope"}
    if options["softmax_layout"]:
        needed |= {"softmax_in_layout" if backward else "softmax_out_layout"}
    takes = [name for name, parameters in aclnn.FUNCTIONS.items() if needed <= set(parameters)]
    takes = [name for name in takes if ("dy" in aclnn.FUNCTIONS[name]) == backward]
    takes = [name for name in takes if ("actual_seq_q_len" in aclnn.FUNCTIONS[name]) == (case.layout == "TND")]
    # The third version of VarLen and Unpadding insists on ropes.
    return [
        name for name in takes if not (needed.isdisjoint({"query_rope"}) and name[-2:] == "V3" and case.layout == "TND")
    ]


def output(shape: tuple[int, ...], dtype: torch.dtype, transposed: bool = False) -> Tensor:
    """Memory full of NaN; `transposed`: the first axis is the fastest."""
    if transposed:
        return torch.full(shape[::-1], torch.nan, dtype=dtype).permute(*reversed(range(len(shape))))
    return torch.full(shape, torch.nan, dtype=dtype)


def call(name: str, stream: aclnn.Stream, **arguments: Any) -> None:
    """Both phases; arguments that the function does not have are left out."""
    parameters = {key: value for key, value in arguments.items() if key in aclnn.FUNCTIONS[name]}
    size, executor = getattr(aclnn, f"{name}GetWorkspaceSize")(**parameters)
    getattr(aclnn, name)(aclnn.empty_workspace(size), size, executor, stream)


def common(inputs: Inputs) -> dict[str, Any]:
    """What forward and backward share, under every name that one of the functions has for it."""
    options = inputs.options
    bits = options["dropout_mask"]
    if bits is None and options["keep_prob"] < 1:
        numels = scores(inputs)
        bits = torch.from_numpy(
            _C.dropout_gen_mask(numels, 1 - options["keep_prob"], options["seed"], options["offset"])
        )
    layout = "same_as_input" if options["softmax_layout"] else ""
    return {
        "query": inputs.query,
        "key": inputs.key,
        "key_in": inputs.key,
        "value": inputs.value,
        "query_rope": options["query_rope"],
        "key_rope": options["key_rope"],
        "key_in_rope": options["key_rope"],
        "real_shift": options["pse"],
        "pse_shift": options["pse"],
        "drop_mask": bits,
        "atten_mask": options["atten_mask"],
        "sink": options["sink"],
        "sink_in": options["sink"],
        "prefix": options["prefix"],
        "actual_seq_q_len": options["actual_seq_qlen"],
        "actual_seq_kv_len": options["actual_seq_kvlen"],
        "q_start_idx": options["q_start_idx"],
        "kv_start_idx": options["kv_start_idx"],
        "scale_value": options["scale"],
        "keep_prob": options["keep_prob"],
        "pre_tokens": options["pre_tokens"],
        "next_tokens": options["next_tokens"],
        "head_num": inputs.case.heads,
        "input_layout": inputs.case.layout,
        "sparse_mode": options["sparse_mode"],
        "pse_type": options["pse_type"],
        "softmax_out_layout": layout,
        "softmax_in_layout": layout,
    }


def results(inputs: Inputs, choice: int) -> dict[str, Tensor]:
    """Everything the functions give; `choice` picks among those that take the case, and how the outputs lie."""
    options, transposed = inputs.options, choice % 3 == 1
    shared = common(inputs)
    out_shape, statistics = output_shapes(inputs.query, inputs.key, inputs.value, inputs.case.heads, inputs.case.layout)
    dtype = inputs.query.dtype
    forward = {
        "softmax_max": output(statistics, torch.float32, transposed),
        "softmax_sum": output(statistics, torch.float32),
        "attention_out": output(out_shape, dtype, transposed),
    }
    gradients = {
        "dq": output(inputs.query.shape, dtype, transposed),
        "dk": output(inputs.key.shape, dtype),
        "dv": output(inputs.value.shape, dtype, transposed),
    }
    if options["query_rope"] is not None:
        gradients["dq_rope"] = output(options["query_rope"].shape, dtype, transposed)
        gradients["dk_rope"] = output(options["key_rope"].shape, dtype)
    if options["sink"] is not None:
        gradients["dsink"] = output(options["sink"].shape, torch.float32)
    saved = {
        "softmax_max": forward["softmax_max"],
        "softmax_sum": forward["softmax_sum"],
        "attention_in": forward["attention_out"],
    }
    names = [functions(inputs, backward) for backward in (False, True)]
    with aclnn.Stream() as stream:
        call(names[0][choice % len(names[0])], stream, **shared, **forward)
        call(names[1][choice % len(names[1])], stream, **shared, **saved, **gradients, dy=inputs.dy)
        stream.synchronize()
    return forward | gradients


def scores(inputs: Inputs) -> int:
    """Elements of the score matrices, one dropout bit each."""
    return int(sum(s.q_len * s.kv_len for s in inputs.problem().sequences) * inputs.case.heads)
