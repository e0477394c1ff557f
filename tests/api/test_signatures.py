"""Names, order, keyword-only split and defaults of every function: torch-api.md section 1, typed in once more."""

from __future__ import annotations

import inspect
from typing import Any

import npu_flash_attention as fa
import pytest

BIG = 2147483647
REQUIRED = "required"

FORWARD = {
    "pse": None, "padding_mask": None, "atten_mask": None, "scale": 1.0, "keep_prob": 1.0, "pre_tockens": BIG,
    "next_tockens": BIG, "inner_precise": 0, "prefix": None, "actual_seq_qlen": None, "actual_seq_kvlen": None,
    "sparse_mode": 0, "gen_mask_parallel": True, "sync": False, "softmax_layout": "", "sink": None,
}  # fmt: skip
GIVEN_DROPOUT = {"dropout_mask": None, "seed": 0, "offset": 0}
V2 = {
    "pse": None, "padding_mask": None, "atten_mask": None, "query_rope": None, "key_rope": None, "scale": 1.0,
    "keep_prob": 1.0, "pre_tokens": BIG, "next_tokens": BIG, "inner_precise": 0, "prefix": None,
    "actual_seq_qlen": None, "actual_seq_kvlen": None, "sparse_mode": 0, "gen_mask_parallel": True, "sync": False,
    "pse_type": 1, "q_start_idx": None, "kv_start_idx": None, "softmax_layout": "", "sink": None, **GIVEN_DROPOUT,
}  # fmt: skip
GRAD = {
    "pse": None, "padding_mask": None, "atten_mask": None, "softmax_max": None, "softmax_sum": None,
    "softmax_in": None, "attention_in": None, "scale_value": 1.0, "keep_prob": 1.0, "pre_tockens": BIG,
    "next_tockens": BIG, "inner_precise": 0, "seed": 0, "offset": 0, "numels": 0, "prefix": None,
    "actual_seq_qlen": None, "actual_seq_kvlen": None, "sparse_mode": 0, "gen_mask_parallel": True, "sync": False,
    "softmax_layout": "", "sink": None,
}  # fmt: skip
GRAD_V2 = {
    "pse": None, "padding_mask": None, "atten_mask": None, "softmax_max": None, "softmax_sum": None,
    "softmax_in": None, "attention_in": None, "query_rope": None, "key_rope": None, "scale_value": 1.0,
    "keep_prob": 1.0, "pre_tokens": BIG, "next_tokens": BIG, "inner_precise": 0, "seed": 0, "offset": 0,
    "numels": 0, "prefix": None, "actual_seq_qlen": None, "actual_seq_kvlen": None, "sparse_mode": 0,
    "gen_mask_parallel": True, "sync": False, "pse_type": 1, "q_start_idx": None, "kv_start_idx": None,
    "softmax_layout": "", "sink": None,
}  # fmt: skip
GRAD_V3 = {name: None if name in ("seed", "offset") else value for name, value in GRAD.items() if name != "numels"}

QKV = ("query", "key", "value")
CALL = ("head_num", "input_layout")
PARTS = ("attn_out", "softmax_max", "softmax_sum")

# function: (positional parameters, those with defaults, are the latter keyword-only)
SIGNATURES: dict[str, tuple[tuple[str, ...], dict[str, Any], bool]] = {
    "npu_fusion_attention": (QKV + CALL, FORWARD | GIVEN_DROPOUT, False),
    "npu_flash_attention": (QKV + CALL, FORWARD | GIVEN_DROPOUT, False),
    "npu_fusion_attention_v2": (QKV + CALL, V2, True),
    "npu_fusion_attention_v3": (QKV + CALL, FORWARD, False),
    "npu_fusion_attention_grad": ((*QKV, "dy", *CALL), GRAD, True),
    "npu_fusion_attention_grad_v2": ((*QKV, "dy", *CALL), GRAD_V2, True),
    "npu_fusion_attention_grad_v3": ((*QKV, "dy", *CALL), GRAD_V3, True),
    "npu_ring_attention_update": (
        tuple(f"{side}_{part}" for side in ("prev", "cur") for part in PARTS),
        {"actual_seq_qlen": None, "input_layout": "SBH", "input_softmax_layout": ""},
        True,
    ),
    "npu_attention_update": (("lse", "local_out", "update_type"), {}, True),
    "_npu_dropout_gen_mask": (("self", "size", "p", "seed", "offset"), {"parallel": True, "sync": None}, True),
    "npu_dropout_gen_mask": (("size", "p"), dict.fromkeys(("dtype", "layout", "device", "pin_memory")), True),
    "manual_seed": (("seed",), {}, True),
    "get_rng_state": ((), {}, True),
    "set_rng_state": (("state",), {}, True),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name: str) -> None:
    positional, defaults, keyword_only = SIGNATURES[name]
    parameters = inspect.signature(getattr(fa, name)).parameters
    kinds = inspect.Parameter
    assert list(parameters) == [*positional, *defaults]
    for parameter in positional:
        assert parameters[parameter].kind == kinds.POSITIONAL_OR_KEYWORD
        assert parameters[parameter].default is kinds.empty
    for parameter, default in defaults.items():
        expected = kinds.KEYWORD_ONLY if keyword_only else kinds.POSITIONAL_OR_KEYWORD
        assert parameters[parameter].kind == expected, parameter
        got = parameters[parameter].default
        assert got == default and type(got) is type(default), parameter


def test_v1_has_24_positions_and_v3_21() -> None:
    assert len(inspect.signature(fa.npu_fusion_attention).parameters) == 24
    assert len(inspect.signature(fa.npu_fusion_attention_v3).parameters) == 21
    # An experimental handler of torch_npu's takes v3's arguments by index.
    names = list(inspect.signature(fa.npu_fusion_attention_v3).parameters)
    assert names[14:17] == ["actual_seq_qlen", "actual_seq_kvlen", "sparse_mode"]


@pytest.mark.parametrize("name", SIGNATURES)
def test_everything_is_exported_and_documented(name: str) -> None:
    assert name in fa.__all__
    assert (inspect.getdoc(getattr(fa, name)) or "").strip()
