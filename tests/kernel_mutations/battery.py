"""The calls that a bug has to survive: small, each with a name for what it exercises."""

from __future__ import annotations

import functools

import torch
from npu_flash_attention import backends
from npu_flash_attention.sweep import check
from npu_flash_attention.sweep.cases import Case
from npu_flash_attention.sweep.inputs import Inputs, build
from torch import Tensor

_BASE = {"dtype": "float16", "heads": 2, "kv_heads": 2, "head_dim": 40, "value_dim": 24, "seed": 5}


def _case(**fields: object) -> Case:
    return Case(**(_BASE | fields))  # type: ignore[arg-type]


_RAGGED = {"layout": "TND", "q_lens": (37, 0, 90, 3), "kv_lens": (70, 5, 130, 3)}

CALLS = {
    "tails": _case(q_len=130, kv_len=1100, head_dim=72, value_dim=40),
    "blocks": _case(batch=2, heads=3, kv_heads=3, q_len=300, kv_len=330, layout="BSND"),
    "grouped heads": _case(heads=6, kv_heads=2, q_len=33, kv_len=65, layout="SBH"),
    "causal": _case(q_len=150, kv_len=300, mask="compressed", sparse_mode=3),
    "window": _case(q_len=100, kv_len=640, mask="compressed", sparse_mode=4, pre_tokens=90, next_tokens=-20),
    "prefix": _case(q_len=100, kv_len=300, mask="compressed", sparse_mode=6, prefix=(230,)),
    "sequences": _case(**_RAGGED, mask="compressed", sparse_mode=3),
    "sequences by token": _case(**_RAGGED, mask="compressed", sparse_mode=3, softmax_layout="TND"),
    "dense mask": _case(q_len=70, kv_len=300, mask="BNSS", mask_content="random"),
    "empty rows": _case(q_len=70, kv_len=65, mask="SS", mask_content="rows"),
    "bias then scale": _case(q_len=40, kv_len=300, pse="BNSS", pse_type=1),
    "scale then bias": _case(q_len=40, kv_len=300, pse="1N1S", pse_type=0),
    "shared table": _case(
        layout="TND", q_lens=(1030, 300), kv_lens=(1030, 300), mask="compressed", sparse_mode=3, pse="table1"
    ),
    "slopes": _case(q_len=130, kv_len=130, pse="N", pse_type=2, q_start=7, kv_start=1),
    "slopes by root": _case(q_len=130, kv_len=130, pse="BN", pse_type=3),
    "dropout": _case(q_len=40, kv_len=328, dropout="generated", keep_prob=0.7),
    "dropout at odd bits": _case(q_len=40, kv_len=301, dropout="generated", keep_prob=0.7),
    "sink": _case(q_len=40, kv_len=300, sink=True),
    "long keys": _case(q_len=20, kv_len=2500),
    "tall blocks": _case(
        heads=24, q_len=260, kv_len=500, head_dim=128, value_dim=128, mask="compressed", sparse_mode=3
    ),
    "wide heads": _case(q_len=40, kv_len=100, head_dim=300, value_dim=260),
    "rope": _case(**_RAGGED, mask="compressed", sparse_mode=3, rope_dim=24, dtype="bfloat16"),
}


def names(dtype: str) -> list[str]:
    return [name for name, case in CALLS.items() if case.dtype == dtype]


@functools.cache
def prepared(name: str) -> tuple[Inputs, check.References]:
    inputs = build(CALLS[name])
    return inputs, check.references(inputs)


def complaint(name: str, backward: bool) -> str:
    """What is wrong with a call on the simulator: a kind of fault, or a result; empty if nothing is."""
    inputs, by = prepared(name)
    try:
        with backends.backend("simulator"), torch.no_grad():
            results = _backward(inputs, by) if backward else _forward(inputs)
    except RuntimeError as fault:
        return str(getattr(fault, "kind", "") or fault)
    wrong = [comparison.failure for comparison in check.judge(inputs, results, by=by) if comparison.failure]
    return f"wrong {wrong[0]}" if wrong else ""


def _forward(inputs: Inputs) -> dict[str, Tensor]:
    results = check.call_forward(inputs, inputs.differentiable())
    return dict(zip(("attention_out", "softmax_max", "softmax_sum"), results[:3], strict=True))


def _backward(inputs: Inputs, by: check.References) -> dict[str, Tensor]:
    """The gradients from golden's output and statistics, so that nothing of the forward takes part."""
    out = by.exact["attention_out"].to(inputs.query.dtype)
    statistics = (by.exact[name].float() for name in ("softmax_max", "softmax_sum"))
    return check.call_backward(inputs, out, *statistics, inputs.options["seed"], inputs.options["offset"])
