"""The table: each refusal of the operator as one change to a valid call.

A row names the condition of the vendor's validation table, the valid call (valid_calls.py), what changes in it, the
entry points that must refuse, a pattern of the message and the aclnn status. `legal` is the nearest change that is
accepted, where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from .valid_calls import BACKWARD, DV, ENTRIES, FORWARD, N_KV, SKV, SQ, V2, B, D, N, prefix_triangle, random, triangle

NULL, INVALID, TILING = 161001, 161002, 561002
# The vendor's users see either code where its tiling refuses.
ACCEPTED = {NULL: {NULL}, INVALID: {INVALID}, TILING: {TILING, 561103}}

Changes = dict[str, Any]


@dataclass(frozen=True)
class Row:
    name: str
    valid: str
    changes: Changes
    message: str  # regular expression
    status: int
    entries: tuple[str, ...] = ENTRIES
    legal: Changes = field(default_factory=dict)


def pattern_with(row: int, column: int, value: int) -> torch.Tensor:
    mask = triangle().clone()
    mask[row, column] = value
    return mask


def far(sequence: int, *, heads: int = 1, batch: int = 1) -> torch.Tensor:
    """A tensor of any size in one element of memory."""
    return torch.zeros(1).expand(batch, heads, sequence, 1)


TORCH_LEVEL = [
    # torch-api.md section 8, in its order
    Row("head_num zero", "bnsd", {"head_num": 0}, r"head_num must > 0, but got 0$", INVALID),
    Row("head_num negative", "bsh", {"head_num": -3}, r"head_num must > 0, but got -3$", INVALID),
    *[
        Row(
            f"{name} with {len(shape)} dimensions",
            "bnsd",
            {name: random(*shape)},
            rf"The shapes of the input {name} should be 3 or 4 dimensional, but got {len(shape)}-dimensional",
            INVALID,
        )
        for name in ("query", "key", "value")
        for shape in ((8,), (6, 8), (1, 1, 4, 6, 8))
    ],
    *[
        Row(
            f"{name} with 2 dimensions",
            "rope",
            {name: random(6, 4, dtype=torch.bfloat16)},
            rf"The shapes of the input {name} should be 3 or 4 dimensional, but got 2-dimensional",
            INVALID,
            V2,
        )
        for name in ("query_rope", "key_rope")
    ],
    Row(
        "dy with 2 dimensions",
        "bnsd",
        {"dy": random(6, 8)},
        r"The shapes of the input dy should be 3 or 4 dimensional, but got 2-dimensional",
        INVALID,
        BACKWARD,
    ),
    Row(
        "rope without lengths",
        "rope",
        {"actual_seq_qlen": None, "actual_seq_kvlen": None},
        r"the size of actual_seq_qlen and actual_seq_kvlen cannot be empty\.",
        INVALID,
        V2,
    ),
    *[
        Row(
            f"keep_prob {value}",
            "bnsd",
            {"keep_prob": value},
            rf"The keep_prob value must be in range of \(0, 1\], but got {text}",
            TILING,
            legal={"keep_prob": legal},
        )
        for value, text, legal in ((0.0, "0", 1e-6), (-0.5, "-0.5", 0.5), (1.0001, "1.0001", 1.0), (2.0, "2", 1.0))
    ],
    Row("keep_prob NaN", "bnsd", {"keep_prob": float("nan")}, r"keep_prob .* but got -?nan", TILING),
    Row("layout empty", "bnsd", {"input_layout": ""}, r"^input_layout is empty", INVALID, ("v1", "v3", "grad")),
    Row("layout empty, v2", "bnsd", {"input_layout": ""}, r"^The input_layout is empty", INVALID, V2),
    Row(
        "softmax_layout unknown",
        "tnd",
        {"softmax_layout": "BNS"},
        r"only supported softmax_layout=TND.*BNS",
        INVALID,
        legal={"softmax_layout": "TND"},
    ),
    Row("softmax_layout lower case", "tnd", {"softmax_layout": "tnd"}, r"only supported softmax_layout=TND", INVALID),
    Row(
        "softmax_layout beside another layout",
        "bnsd",
        {"softmax_layout": "TND"},
        r"softmax_layout=TND only supported when input_layout_str=TND.*BNSD",
        INVALID,
        legal={"softmax_layout": ""},
    ),
    *[
        Row(
            f"sparse_mode {mode} in TND",
            "tnd",
            {"sparse_mode": mode},
            rf"The sparse_mode value must be in range of \[0,5\) or \(5,8\], but got {mode}",
            TILING,
            legal={"sparse_mode": legal},
        )
        for mode, legal in ((-1, 0), (5, 4), (9, 8), (100, 8))
    ],
    *[
        Row(
            f"sparse_mode {mode} in BNSD",
            "bnsd",
            {"sparse_mode": mode},
            rf"The sparse_mode value must be in range of \[0,6\], but got {mode}",
            TILING,
            legal={"sparse_mode": legal},
        )
        for mode, legal in ((-1, 0), (7, 6), (8, 6), (9, 6))
    ],
    *[
        Row(
            f"lengths {what}",
            "tnd",
            changes,
            r"the size of actual_seq_qlen and actual_seq_kvlen must be the same and cannot be empty\.",
            TILING,
        )
        for what, changes in (
            ("absent", {"actual_seq_qlen": None, "actual_seq_kvlen": None}),
            ("of the queries absent", {"actual_seq_qlen": None}),
            ("of the keys absent", {"actual_seq_kvlen": None}),
            ("empty", {"actual_seq_qlen": [], "actual_seq_kvlen": []}),
            ("of different number", {"actual_seq_qlen": [2, 6]}),
        )
    ],
    Row(
        "layout unknown",
        "bnsd",
        {"input_layout": "BNDS"},
        r"The input_layout should be BSH/SBH/BNSD/BSND/TND\(case-insensitive\), but got BNDS",
        INVALID,
        legal={"input_layout": "bNsD"},
    ),
    *[
        Row(
            f"{name} beyond a million",
            "tnd",
            {name: ends},
            r"The sequence length should not greater than 1M, but got q\d+kv\d+",
            TILING,
            V2,
        )
        for name, ends in (("actual_seq_qlen", [2, 2, 1000001]), ("actual_seq_kvlen", [3, 4, 1000001]))
    ],
    Row(
        "key on another device",
        "bnsd",
        {"key": random(B, N_KV, SKV, D).to("meta")},
        r"Expected all tensors to be on the same device.*key.*meta",
        INVALID,
    ),
    Row(
        "atten_mask on another device",
        "masked",
        {"atten_mask": torch.zeros(SQ, SKV, dtype=torch.bool, device="meta")},
        r"Expected all tensors to be on the same device.*atten_mask.*meta",
        INVALID,
    ),
    *[
        Row(
            f"{name} two-dimensional",
            "tnd",
            {name: torch.tensor([ends])},
            r"tensor must be 1-dimensional",
            INVALID,
            ("v3", "grad_v3"),
            legal={name: torch.tensor(ends, dtype=torch.int32)},
        )
        for name, ends in (("actual_seq_qlen", [2, 2, 6]), ("actual_seq_kvlen", [3, 4, 9]))
    ],
    *[
        Row(
            f"{name} on a device",
            "tnd",
            {name: torch.tensor([2, 2, 6], device="meta")},
            r"tensor must be on CPU",
            INVALID,
            ("v3", "grad_v3"),
        )
        for name in ("actual_seq_qlen", "actual_seq_kvlen")
    ],
    *[
        Row(
            f"{name} with two elements",
            "bnsd",
            {name: torch.tensor([1, 2])},
            r"Tensor must contain exactly one element",
            INVALID,
            ("grad_v3",),
            legal={name: torch.tensor([1])},
        )
        for name in ("seed", "offset")
    ],
    *[
        Row(
            f"{name} on a device",
            "bnsd",
            {name: torch.tensor([1], device="meta")},
            r"Tensor must be on CPU to call \.item\(\)",
            INVALID,
            ("grad_v3",),
        )
        for name in ("seed", "offset")
    ],
    *[
        Row(
            f"{name} as a float",
            "bnsd",
            {name: torch.tensor([1.0])},
            r"Expected integer dtype, got .*float32",
            INVALID,
            ("grad_v3",),
            legal={name: torch.tensor(1, dtype=torch.int32)},
        )
        for name in ("seed", "offset")
    ],
]

ARGUMENTS = [
    # operator.md 5.1 and 5.3: what the first aclnn phase refuses
    *[
        Row(
            f"{name} of another dtype",
            "bnsd",
            {name: random(*shape, dtype=torch.float16)},
            rf"{name}: expected dtype float32 like query, got float16",
            INVALID,
        )
        for name, shape in (("key", (B, N_KV, SKV, D)), ("value", (B, N_KV, SKV, DV)))
    ],
    Row(
        "integers",
        "bnsd",
        {
            "query": torch.ones(B, N, SQ, D, dtype=torch.int32),
            "key": torch.ones(B, N_KV, SKV, D, dtype=torch.int32),
            "value": torch.ones(B, N_KV, SKV, DV, dtype=torch.int32),
        },
        r"query: expected dtype float16, bfloat16 or float32.*got int32",
        INVALID,
    ),
    *[
        Row(
            f"pse_type {kind} without pse",
            "bnsd",
            {"pse_type": kind},
            rf"pse: pse_type {kind} expects.*got None",
            INVALID if kind else TILING,
            V2,
        )
        for kind in (0, 2, 3)
    ],
    Row(
        "slopes of another dtype",
        "slopes",
        {"pse": random(N, dtype=torch.float16)},
        r"pse: pse_type 2 expects .*float32, got float16",
        INVALID,
    ),
    Row(
        "pse of another dtype",
        "pse",
        {"pse": random(B, N, SQ, SKV, dtype=torch.float16)},
        r"pse: expected dtype float32.*got float16",
        INVALID,
    ),
    Row(
        "pse in float64",
        "pse",
        {"pse": random(B, N, SQ, SKV, dtype=torch.float64), "pse_type": 0},
        r"pse: expected dtype float32.*got float64",
        INVALID,
    ),
    Row(
        "sink of another dtype",
        "sink",
        {"sink": random(N, dtype=torch.float16)},
        r"sink: expected dtype float32, got float16",
        INVALID,
    ),
    Row("sink of another length", "sink", {"sink": random(N - 1)}, r"sink: expected shape .*\[4\], got \[3\]", INVALID),
    Row(
        "sink with two dimensions",
        "sink",
        {"sink": random(N, 1)},
        r"sink: expected shape .*\[4\], got \[4, 1\]",
        INVALID,
    ),
    Row(
        "3 dimensions for BNSD",
        "bnsd",
        {"query": random(B, SQ, N * D)},
        r"query: expected 4 dimensions for layout BNSD, got shape \[2, 6, 32\]",
        INVALID,
    ),
    Row(
        "4 dimensions for BSH",
        "bsh",
        {"key": random(B, SKV, N_KV, D)},
        r"key: expected 3 dimensions for layout BSH, got shape \[2, 7, 2, 8\]",
        INVALID,
    ),
    Row(
        "4 dimensions for TND",
        "tnd",
        {"value": random(1, 9, N_KV, DV)},
        r"value: expected 3 dimensions for layout TND, got shape \[1, 9, 2, 4\]",
        INVALID,
    ),
    *[
        Row(
            f"key's head size differs, {valid}",
            valid,
            {"key": key},
            r"key: expected query's head size 8, got 4",
            INVALID,
        )
        for valid, key in (
            ("bnsd", random(B, N_KV, SKV, 4)),
            ("bsnd", random(B, SKV, N_KV, 4)),
            ("tnd", random(9, N_KV, 4)),
        )
    ],
    *[
        Row(
            f"value's head size exceeds query's, {valid}",
            valid,
            {"value": value},
            r"value: expected .*8, got 9",
            INVALID,
        )
        for valid, value in (
            ("bnsd", random(B, N_KV, SKV, 9)),
            ("bsnd", random(B, SKV, N_KV, 9)),
            ("tnd", random(9, N_KV, 9)),
            ("bsh", random(B, SKV, N_KV * 9)),
            ("sbh", random(SKV, B, N_KV * 9)),
        )
    ],
    Row(
        "head size 769",
        "bnsd",
        {"query": random(B, N, 1, 769), "key": random(B, N_KV, 1, 769), "value": random(B, N_KV, 1, 8)},
        r"head size of 1 to 768.*got 769",
        INVALID,
        FORWARD,
        legal={"query": random(B, N, 1, 768), "key": random(B, N_KV, 1, 768), "value": random(B, N_KV, 1, 8)},
    ),
    Row(
        "head size 0",
        "bnsd",
        {"query": torch.zeros(B, N, SQ, 0), "key": torch.zeros(B, N_KV, SKV, 0), "value": torch.zeros(B, N_KV, SKV, 0)},
        r"query: expected a head size of 1 to 768.*got 0",
        INVALID,
    ),
    Row(
        "hidden size 0",
        "bsh",
        {"query": torch.zeros(B, SQ, 0)},
        r"query: expected a head size of 1 to 768.*got 0",
        INVALID,
    ),
    Row(
        "lengths beside BNSD",
        "bnsd",
        {"actual_seq_qlen": [6, 12], "actual_seq_kvlen": [7, 14]},
        r"actual_seq_qlen and actual_seq_kvlen go with layout TND, got BNSD",
        INVALID,
        legal={"actual_seq_qlen": [], "actual_seq_kvlen": []},
    ),
    Row("query_rope alone", "rope", {"key_rope": None}, r"key_rope: expected .*query_rope, got None", NULL, V2),
    Row("key_rope alone", "rope", {"query_rope": None}, r"query_rope: expected .*key_rope, got None", NULL, V2),
    Row(
        "rope wider than the head",
        "rope",
        {"query_rope": random(6, N, 9, dtype=torch.bfloat16), "key_rope": random(9, N_KV, 9, dtype=torch.bfloat16)},
        r"query_rope: expected a head size of 1 to 8, got 9",
        INVALID,
        V2,
        legal={
            "query_rope": random(6, N, 8, dtype=torch.bfloat16),
            "key_rope": random(9, N_KV, 8, dtype=torch.bfloat16),
        },
    ),
    Row(
        "ropes of different head size",
        "rope",
        {"key_rope": random(9, N_KV, 5, dtype=torch.bfloat16)},
        r"key_rope: expected query_rope's head size 4, got 5",
        INVALID,
        V2,
    ),
    Row(
        "rope of another dtype",
        "rope",
        {"query_rope": random(6, N, 4, dtype=torch.float16)},
        r"query_rope: expected dtype bfloat16.*got float16",
        INVALID,
        V2,
    ),
    Row(
        "rope of other rows",
        "rope",
        {"query_rope": random(5, N, 4, dtype=torch.bfloat16)},
        r"query_rope: expected query's shape \[6, 4, 8\] but for the last dimension, got \[5, 4, 4\]",
        INVALID,
        V2,
    ),
    Row(
        "rope with sparse_mode 6",
        "rope",
        {"sparse_mode": 6, "prefix": [1, 1, 2], "atten_mask": prefix_triangle()},
        r"sparse_mode: 6 does not go with query_rope",
        INVALID,
        V2,
    ),
    Row(
        "rope with pse",
        "rope",
        {"pse": random(N * (2 * 3 + 4 * 5), dtype=torch.bfloat16)},
        r"pse: expected None beside query_rope",
        INVALID,
        V2,
    ),
    Row(
        "rope with dropout_mask",
        "rope",
        {"dropout_mask": torch.zeros(64, dtype=torch.uint8)},
        r"dropout_mask: expected None beside query_rope",
        INVALID,
        ("v2",),
    ),
    Row(
        "rope with keep_prob",
        "rope",
        {"keep_prob": 0.9},
        r"keep_prob: expected 1 beside query_rope.*got 0\.9",
        INVALID,
        V2,
        legal={"keep_prob": 1.0},
    ),
    Row(
        "rope without atten_mask",
        "rope",
        {"atten_mask": None},
        r"atten_mask: expected a tensor beside query_rope",
        NULL,
        V2,
    ),
    # backward
    *[
        Row(f"{name} absent", "bnsd", {name: None}, rf"{name}.*expected .*, got None", TILING, BACKWARD)
        for name in ("softmax_max", "softmax_sum")
    ],
]

TILING_FORWARD_AND_BACKWARD = [
    # operator.md 5.2 and 5.4
    *[
        Row(f"key of another batch, {valid}", valid, {"key": key}, r"key: expected query's batch size 2, got 3", TILING)
        for valid, key in (
            ("bnsd", random(3, N_KV, SKV, D)),
            ("bsnd", random(3, SKV, N_KV, D)),
            ("bsh", random(3, SKV, N_KV * D)),
            ("sbh", random(SKV, 3, N_KV * D)),
        )
    ],
    Row(
        "value of another batch",
        "bnsd",
        {"value": random(1, N_KV, SKV, DV)},
        r"value: expected key's batch size 2, got 1",
        TILING,
    ),
    *[
        Row(
            f"value of another length, {valid}",
            valid,
            {"value": value},
            r"value: expected key's sequence length \d, got",
            TILING,
        )
        for valid, value in (
            ("bnsd", random(B, N_KV, 8, DV)),
            ("bsnd", random(B, 8, N_KV, DV)),
            ("bsh", random(B, 8, N_KV * DV)),
            ("sbh", random(8, B, N_KV * DV)),
            ("tnd", random(8, N_KV, DV)),
        )
    ],
    Row(
        "value of other heads", "bnsd", {"value": random(B, 1, SKV, DV)}, r"value: expected key's 2 heads, got", TILING
    ),
    Row(
        "hidden size not divisible by head_num",
        "bsh",
        {"head_num": 5},
        r"query: expected a last dimension divisible by head_num 5, got \[2, 6, 32\]",
        TILING,
    ),
    Row(
        "key's hidden size no multiple of the head size",
        "bsh",
        {"key": random(B, SKV, 12)},
        r"key: expected a last dimension that is a multiple of query's head size 8, got \[2, 7, 12\]",
        TILING,
    ),
    Row(
        "value's hidden size not divisible",
        "bsh",
        {"value": random(B, SKV, 7)},
        r"value: expected a last dimension divisible by key's 2 heads, got \[2, 7, 7\]",
        TILING,
    ),
    Row(
        "no key heads",
        "bnsd",
        {"key": random(B, 0, SKV, D), "value": random(B, 0, SKV, DV)},
        r"head_num: expected a multiple of key's 0 heads, got 4",
        TILING,
    ),
    Row(
        "key's heads do not divide head_num",
        "bnsd",
        {"key": random(B, 3, SKV, D), "value": random(B, 3, SKV, DV)},
        r"head_num: expected a multiple of key's 3 heads, got 4",
        TILING,
    ),
    Row(
        "more key heads than head_num",
        "bnsd",
        {"key": random(B, 8, SKV, D), "value": random(B, 8, SKV, DV)},
        r"head_num: expected a multiple of key's 8 heads, got 4",
        TILING,
    ),
    *[
        Row(
            f"head_num is not query's, {valid}",
            valid,
            {"head_num": 2},
            r"head_num: expected query's 4 heads.*got 2",
            TILING,
        )
        for valid in ("bnsd", "bsnd", "tnd")
    ],
    # pse
    *[
        Row(
            f"pse_type {kind}",
            "pse",
            {"pse_type": kind},
            rf"pse_type: expected 0, 1, 2 or 3, got {kind}",
            TILING,
            V2,
            legal={"pse_type": 0},
        )
        for kind in (-1, 4)
    ],
    *[
        Row(
            f"pse {list(shape)}",
            "pse",
            {"pse": random(*shape)},
            rf"pse: .*\[2, 4, 6, 7\].*got \[{text}\]",
            TILING,
            legal={"pse": random(1, N, 1, SKV)},
        )
        for shape, text in (
            ((SQ, SKV), "6, 7"),
            ((N, SQ, SKV), "4, 6, 7"),
            ((3, N, SQ, SKV), "3, 4, 6, 7"),
            ((B, 1, SQ, SKV), "2, 1, 6, 7"),
            ((B, N, SQ, 1), "2, 4, 6, 1"),
            ((B, N, 5, SKV), "2, 4, 5, 7"),
            ((1, 1, SQ, SKV), "1, 1, 6, 7"),
            ((1, 1, B, N, SQ, SKV), "1, 1, 2, 4, 6, 7"),
        )
    ],
    *[
        Row(
            f"slopes {list(shape)}",
            "slopes",
            {"pse": random(*shape)},
            rf"pse: pse_type 2 expects slopes.*got \[{text}\]",
            TILING,
            legal={"pse": random(B, N)},
        )
        for shape, text in (((3,), "3"), ((N, B), "4, 2"), ((1, N), "1, 4"), ((B, N, 1, 1), "2, 4, 1, 1"), ((), ""))
    ],
    Row(
        "slopes with Sq != Skv",
        "slopes",
        {"query": random(B, N, SQ, D)},
        r"pse: pse_type 2 expects Sq == Skv, got 6 and 7",
        TILING,
        FORWARD,
    ),
    Row(
        "slopes with sparse_mode 7",
        "slopes_mode_3",
        {"sparse_mode": 7, "pre_tokens": 9, "next_tokens": 0},
        r"sparse_mode 7 does not go with pse_type",
        TILING,
    ),
    Row(
        "slopes with sparse_mode 8, first sequence shifted",
        "slopes_mode_8",
        {"kv_start_idx": [5]},
        r"pse: sparse_mode 8 expects Sq - Skv \+ q_start - kv_start == 0 .*kv_start 5",
        TILING,
    ),
    Row(
        "compressed table with Sq < 1024",
        "table",
        {
            "query": random(1, 2, 100, 2),
            "key": random(1, 1, 100, 2),
            "value": random(1, 1, 100, 2),
            "pse": random(1, 2, 1024, 100),
        },
        r"pse: a compressed table .*Sq >= 1024, got 100",
        TILING,
        FORWARD,
    ),
    Row(
        "compressed table with Sq != Skv",
        "table",
        {"query": random(1, 2, 1026, 2)},
        r"pse: a compressed table .*Sq == Skv.*Sq 1026, Skv 1030",
        TILING,
        FORWARD,
    ),
    Row(
        "compressed table without a mask",
        "table",
        {"atten_mask": None},
        r"pse: a compressed table .*causal mask",
        TILING,
        FORWARD,
    ),
    Row(
        "compressed table with a band",
        "table",
        {"sparse_mode": 4, "pre_tokens": 9, "next_tokens": 0},
        r"pse: a compressed table .*causal mask.*sparse_mode 4",
        TILING,
        FORWARD,
        legal={"sparse_mode": 3},
    ),
    Row(
        "compressed table in TND with Sq != Skv",
        "table_tnd",
        {"query": random(1035, 2, 2), "actual_seq_qlen": [1029, 1035]},
        r"pse: a compressed table expects Sq == Skv in every sequence, got 1029 and 1030",
        TILING,
        FORWARD,
    ),
    Row(
        "compressed table in TND without a mask",
        "table_tnd",
        {"atten_mask": None},
        r"pse: a compressed table expects a causal mask.*no atten_mask",
        TILING,
        FORWARD,
    ),
    Row(
        "table in TND of another width",
        "table_tnd",
        {"pse": random(1, 2, 1024, 1036)},
        r"pse: layout TND expects .*\[1, 2, 1024, 1036\]",
        TILING,
        FORWARD,
    ),
    Row(
        "packed pse of another length",
        "pse_tnd",
        {"pse": random(100)},
        r"pse: layout TND expects 120 .*36 .*got 100",
        TILING,
        legal={"pse": random(N * 9)},
    ),
    Row(
        "pse [B, N, Sq, Skv] in TND",
        "pse_tnd",
        {"pse": random(2, N, 4, 6)},
        r"pse: layout TND expects .*got \[2, 4, 4, 6\]",
        TILING,
    ),
    Row(
        "pse with an empty sequence",
        "pse_tnd",
        {"actual_seq_qlen": [2, 2, 6], "actual_seq_kvlen": [3, 4, 9]},
        r"pse: layout TND expects no empty sequence.*Sq 0 and Skv 1",
        TILING,
        legal={"actual_seq_qlen": [2, 6, 0], "actual_seq_kvlen": [3, 9, 0]},
    ),
    # atten_mask
    *[
        Row(
            f"atten_mask of dtype {str(dtype)[6:]}",
            "masked",
            {"atten_mask": torch.zeros(SQ, SKV, dtype=dtype)},
            rf"atten_mask: expected dtype bool or uint8.*got {str(dtype)[6:]}",
            TILING,
            legal={"atten_mask": torch.zeros(SQ, SKV, dtype=torch.uint8)},
        )
        for dtype in (torch.float32, torch.int8, torch.int64)
    ],
    *[
        Row(
            f"atten_mask {list(shape)}",
            "masked",
            {"atten_mask": torch.zeros(shape, dtype=torch.bool)},
            rf"unsupported atten_mask shape: .*\[Sq, Skv\] = \[6, 7\], \[1, 1, Sq, Skv\], \[B, 1, Sq, Skv\] or "
            rf"\[B, N, Sq, Skv\] with B = 2 and N = 4, got \[{text}\]",
            TILING,
            legal={"atten_mask": torch.zeros(B, 1, SQ, SKV, dtype=torch.bool)},
        )
        for shape, text in (
            ((1, SKV), "1, 7"),
            ((SKV, SQ), "7, 6"),
            ((SQ, 1), "6, 1"),
            ((SQ, SKV + 1), "6, 8"),
            ((B, 1, 1, SKV), "2, 1, 1, 7"),
            ((1, 1, 1, SKV), "1, 1, 1, 7"),
            ((1, N, SQ, SKV), "1, 4, 6, 7"),
            ((B, N_KV, SQ, SKV), "2, 2, 6, 7"),
            ((3, 1, SQ, SKV), "3, 1, 6, 7"),
            ((SKV,), "7"),
            ((), ""),
            ((B, SQ, SKV), "2, 6, 7"),
            ((2048, 2048), "2048, 2048"),
            ((1, B, 1, SQ, SKV), "1, 2, 1, 6, 7"),
        )
    ],
    *[
        Row(
            f"atten_mask {list(shape)} in TND",
            "masked_tnd",
            {"atten_mask": torch.zeros(shape, dtype=torch.bool)},
            rf"unsupported atten_mask shape: .*\[4, 5\].*\[6, 9\].*got \[{text}\]",
            TILING,
            legal={"atten_mask": torch.zeros(6, 9, dtype=torch.bool)},
        )
        for shape, text in (((5, 4), "5, 4"), ((3, 4, 5), "3, 4, 5"), ((2, 1, 4, 5), "2, 1, 4, 5"), ((4, 9), "4, 9"))
    ],
    *[
        Row(
            f"sparse_mode {mode} with a mask {list(shape)}",
            valid,
            {"atten_mask": torch.zeros(shape, dtype=torch.bool)},
            rf"atten_mask: sparse_mode {mode} expects the compressed mask of shape {expected}, got",
            TILING,
        )
        for mode, valid, expected in (
            (2, "causal", r"\[2048, 2048\]"),
            (4, "band", r"\[2048, 2048\]"),
            (6, "prefix", r"\[3072, 2048\]"),
            (3, "causal_tnd", r"\[2048, 2048\]"),
            (7, "mode_7", r"\[2048, 2048\]"),
            (8, "mode_8", r"\[2048, 2048\]"),
        )
        for shape in ((SQ, SKV), (2047, 2048), (1, 1, 2048, 2048))
    ],
    Row(
        "sparse_mode 6 with mode 2's mask",
        "prefix",
        {"atten_mask": triangle()},
        r"atten_mask: sparse_mode 6 expects .*\[3072, 2048\], got \[2048, 2048\]",
        TILING,
    ),
    Row(
        "sparse_mode 2 with mode 6's mask",
        "causal",
        {"atten_mask": prefix_triangle()},
        r"atten_mask: sparse_mode 2 expects .*\[2048, 2048\], got \[3072, 2048\]",
        TILING,
    ),
    *[
        Row(
            f"sparse_mode 5 with a mask {list(shape)}",
            "prefix_full",
            {"atten_mask": torch.zeros(shape, dtype=torch.bool)},
            r"atten_mask: sparse_mode 5 expects shape \[B, N, Sq, Skv\] = \[2, 4, 6, 7\] or \[B, 1, Sq, Skv\], got",
            TILING,
            legal={"atten_mask": torch.zeros(B, N, SQ, SKV, dtype=torch.bool)},
        )
        for shape in ((SQ, SKV), (1, 1, SQ, SKV))
    ],
    # prefix
    Row(
        "prefix absent",
        "prefix",
        {"prefix": None},
        r"prefix: sparse_mode 6 expects one value per batch \(2\), got None",
        TILING,
    ),
    *[
        Row(
            f"prefix of {len(values)} values, {valid}",
            valid,
            {"prefix": values},
            rf"prefix: sparse_mode {mode} expects one value per batch \({count}\), got {len(values)}",
            TILING,
        )
        for valid, mode, count, values in (
            ("prefix", 6, 2, [3]),
            ("prefix", 6, 2, []),
            ("prefix", 6, 2, [3, 3, 3]),
            ("prefix_full", 5, 2, [3]),
            ("prefix_tnd", 6, 3, [1, 2]),
        )
    ],
    *[
        Row(
            f"prefix {values}, {valid}",
            valid,
            {"prefix": values},
            rf"prefix\[{at}\]: expected {low} to {high} .*got {got}",
            TILING,
            legal={"prefix": legal},
        )
        for valid, values, at, low, high, got, legal in (
            ("prefix", [0, 5], 0, 1, 7, 0, [1, 5]),
            ("prefix", [3, 8], 1, 1, 7, 8, [3, 7]),
            ("prefix", [-1, 5], 0, 1, 7, -1, [1, 5]),
            ("prefix_tall", [-1, 5], 0, 0, 7, -1, [0, 5]),
            ("prefix_tall", [0, 8], 1, 0, 7, 8, [0, 7]),
            ("prefix_full", [3, 8], 1, 1, 7, 8, [3, 7]),
            ("prefix_tnd", [1, 1, 6], 2, 1, 5, 6, [1, 1, 5]),
        )
    ],
    # dropout_mask
    Row(
        "dropout_mask of another dtype",
        "dropout_mask",
        {"dropout_mask": torch.zeros(B * N * SQ * SKV, dtype=torch.bool)},
        r"dropout_mask: expected dtype uint8.*got bool",
        TILING,
        FORWARD,
    ),
    Row(
        "dropout_mask one byte short",
        "dropout_mask",
        {"dropout_mask": torch.zeros(41, dtype=torch.uint8)},
        r"dropout_mask: expected at least 42 bytes .*336 scores.*got 41",
        TILING,
        FORWARD,
        legal={"dropout_mask": torch.zeros(43, dtype=torch.uint8)},
    ),
    # lengths
    *[
        Row(f"{name} {ends}", "tnd", {name: ends}, message, TILING)
        for name, ends, message in (
            ("actual_seq_qlen", [4, 2, 6], r"actual_seq_qlen: expected cumulative lengths.*got 2 after 4 at index 1"),
            ("actual_seq_kvlen", [5, 4, 9], r"actual_seq_kvlen: expected cumulative lengths.*got 4 after 5 at index 1"),
            ("actual_seq_qlen", [-1, 2, 6], r"actual_seq_qlen: expected cumulative lengths.*got -1 after 0 at index 0"),
            ("actual_seq_qlen", [2, 0, 6], r"actual_seq_qlen: expected cumulative lengths.*got 0 after 2 at index 1"),
            ("actual_seq_qlen", [2, 2, 7], r"actual_seq_qlen: expected .*at most query's 6 tokens, got 7"),
            ("actual_seq_kvlen", [3, 4, 10], r"actual_seq_kvlen: expected .*at most key's 9 tokens, got 10"),
            # per-sequence lengths instead of cumulative ones
            ("actual_seq_kvlen", [3, 1, 5], r"actual_seq_kvlen: expected cumulative lengths.*got 1 after 3 at index 1"),
        )
    ],
]

TOKENS = [
    # operator.md 2.5, forward
    *[
        Row(
            f"mode 0, {pre} before, {following} after",
            "window",
            {"pre_tokens": pre, "next_tokens": following},
            rf"pre_tokens, next_tokens: sparse_mode 0 expects .*got pre_tokens {pre} and next_tokens {following}",
            TILING,
            FORWARD,
            legal={"pre_tokens": legal[0], "next_tokens": legal[1]},
        )
        for pre, following, legal in (
            (-1, -1, (0, 0)),
            (-3, 2, (-3, 3)),
            (-SKV, SKV, (1 - SKV, SKV - 1)),
            (2, -3, (3, -3)),
            (9, -SQ, (9, 1 - SQ)),
        )
    ],
    *[
        Row(
            f"mode 4, {pre} before, {following} after",
            "band",
            {"pre_tokens": pre, "next_tokens": following},
            rf"pre_tokens, next_tokens: sparse_mode 4 expects .*got pre_tokens {pre} and next_tokens {following}",
            TILING,
            FORWARD,
            legal={"pre_tokens": legal[0], "next_tokens": legal[1]},
        )
        # Seen from the top-left corner the band moves right by Skv - Sq = 1.
        for pre, following, legal in (
            (0, -2, (1, -1)),
            (-1, 0, (-1, 1)),
            (-6, 6, (-5, 5)),
            (2, -4, (3, -3)),
            (9, -7, (9, -6)),
        )
    ],
    Row(
        "TND mode 0, negative next",
        "masked_tnd",
        {"pre_tokens": 2, "next_tokens": -1},
        r"sparse_mode 0 expects next_tokens >= 0.*got pre_tokens 2 and next_tokens -1",
        TILING,
        FORWARD,
        legal={"pre_tokens": 2, "next_tokens": 0},
    ),
    Row(
        "TND mode 0, rows that see nothing",
        "masked_tnd",
        {"actual_seq_qlen": [4, 4, 6], "actual_seq_kvlen": [1, 4, 9], "pre_tokens": 2, "next_tokens": 1},
        r"sparse_mode 0 expects Skv \+ pre_tokens >= Sq.*Sq 4, Skv 1",
        TILING,
        FORWARD,
    ),
    Row(
        "TND mode 0, negative window",
        "masked_tnd",
        {"pre_tokens": -1, "next_tokens": 0},
        r"sparse_mode 0 expects next_tokens >= -pre_tokens.*got pre_tokens -1 and next_tokens 0",
        TILING,
        FORWARD,
        legal={"pre_tokens": -1, "next_tokens": 1},
    ),
    Row(
        "TND mode 3, more rows than columns",
        "causal_tnd",
        {"actual_seq_qlen": [4, 4, 6]},
        r"actual_seq_qlen: sparse_mode 3 .*expects Sq <= Skv in every sequence.*Sq 4, Skv 3",
        TILING,
        FORWARD,
        legal={"actual_seq_qlen": [3, 3, 6]},
    ),
    Row(
        "TND mode 3, no columns",
        "causal_tnd",
        {"actual_seq_qlen": [0, 2, 6], "actual_seq_kvlen": [3, 3, 9]},
        r"actual_seq_qlen: sparse_mode 3 .*expects Sq <= Skv.*Sq 2, Skv 0",
        TILING,
        FORWARD,
    ),
    Row(
        "TND mode 4, negative pre",
        "band_tnd",
        {"pre_tokens": -1, "next_tokens": 3},
        r"sparse_mode 4 expects pre_tokens >= 0.*got pre_tokens -1",
        TILING,
        FORWARD,
        legal={"pre_tokens": 0, "next_tokens": 3},
    ),
    Row(
        "TND mode 4, negative window",
        "band_tnd",
        {"pre_tokens": 0, "next_tokens": -1, "actual_seq_qlen": [0, 0, 4], "query": random(4, N, D)},
        r"sparse_mode 4 expects pre_tokens \+ next_tokens >= 0.*got pre_tokens 0 and next_tokens -1",
        TILING,
        FORWARD,
        legal={"pre_tokens": 1, "next_tokens": -1, "actual_seq_qlen": [0, 0, 4], "query": random(4, N, D)},
    ),
    Row(
        "TND mode 4, rows that see nothing",
        "band_tnd",
        {"pre_tokens": 4, "next_tokens": -2},
        r"sparse_mode 4 expects Sq - next_tokens <= Skv.*Sq 2, Skv 3.*got pre_tokens 4 and next_tokens -2",
        TILING,
        FORWARD,
        legal={"pre_tokens": 4, "next_tokens": -1},
    ),
    Row(
        "mode 7, pre too short",
        "mode_7",
        {"pre_tokens": 4},
        r"sparse_mode 7 expects pre_tokens >= Skv.*Skv 5.*pre_tokens 4",
        TILING,
        FORWARD,
        legal={"pre_tokens": 5},
    ),
    Row(
        "mode 7, next positive",
        "mode_7",
        {"next_tokens": 1},
        r"sparse_mode 7 expects next_tokens <= 0.*next_tokens 1",
        TILING,
        FORWARD,
        legal={"next_tokens": 0},
    ),
    Row(
        "mode 7, more rows than columns",
        "mode_7",
        {"actual_seq_qlen": [4, 4, 6]},
        r"sparse_mode 7 expects Sq <= Skv.*Sq 4, Skv 3",
        TILING,
        FORWARD,
        legal={"actual_seq_qlen": [3, 3, 6]},
    ),
    Row(
        "mode 7, rows that see nothing",
        "mode_7",
        {"next_tokens": -2},
        r"sparse_mode 7 expects Sq - next_tokens <= Skv.*Sq 4, Skv 5.*next_tokens -2",
        TILING,
        FORWARD,
        legal={"next_tokens": -1},
    ),
    Row(
        "mode 8, pre too short",
        "mode_8",
        {"pre_tokens": 2},
        r"sparse_mode 8 expects pre_tokens >= Skv.*Skv 3.*pre_tokens 2",
        TILING,
        FORWARD,
        legal={"pre_tokens": 3},
    ),
    Row(
        "mode 8, rows that see nothing",
        "mode_8",
        {"next_tokens": -2},
        r"sparse_mode 8 expects Sq - next_tokens <= Skv.*Sq 2, Skv 3.*next_tokens -2",
        TILING,
        FORWARD,
        legal={"next_tokens": -1},
    ),
    # backward: looser
    *[
        Row(
            f"backward, mode 0, {pre} before, {following} after",
            "window",
            {"pre_tokens": pre, "next_tokens": following},
            rf"pre_tokens, next_tokens: sparse_mode 0 .*got pre_tokens {pre} and next_tokens {following}",
            TILING,
            BACKWARD,
            legal={"pre_tokens": legal[0], "next_tokens": legal[1]},
        )
        for pre, following, legal in (
            (-SKV - 1, SKV + 2, (-SKV, SKV + 2)),
            (SQ + 2, -SQ - 1, (SQ + 2, -SQ)),
            (1, -2, (1, -1)),
        )
    ],
    Row(
        "backward, mode 4",
        "band",
        {"pre_tokens": 1, "next_tokens": -2},
        r"sparse_mode 4 .*got pre_tokens 1 and next_tokens -2",
        TILING,
        BACKWARD,
        legal={"pre_tokens": 1, "next_tokens": -1},
    ),
]

STATISTICS = [
    *[
        Row(
            f"{name} {list(shape)}, {valid}",
            valid,
            {name: torch.ones(shape)},
            rf"{name}: expected shape {expected}, got",
            TILING,
            BACKWARD,
        )
        for name in ("softmax_max", "softmax_sum")
        for valid, shape, expected in (
            ("bnsd", (B, N, SQ), r"\[2, 4, 6, 8\]"),
            ("bnsd", (B, N, SQ, 1), r"\[2, 4, 6, 8\]"),
            ("bsnd", (B, SQ, N, 8), r"\[2, 4, 6, 8\]"),
            ("tnd", (N, 6, 8), r"\[6, 4, 8\]"),
            ("tnd", (), r"\[6, 4, 8\]"),
        )
    ],
    *[
        Row(
            f"{name} in float16",
            "bnsd",
            {name: torch.ones(B, N, SQ, 8, dtype=torch.float16)},
            rf"{name}: expected dtype float32, got float16",
            TILING,
            BACKWARD,
        )
        for name in ("softmax_max", "softmax_sum")
    ],
    *[
        Row(
            f"{name} of another dtype",
            "bnsd",
            {name: random(B, N, SQ, DV, dtype=torch.float16)},
            rf"{name}: expected dtype float32 like query, got float16",
            TILING,
            BACKWARD,
        )
        for name in ("dy", "attention_in")
    ],
    *[
        Row(
            f"{name} of shape {list(shape)}",
            "bnsd",
            {name: random(*shape)},
            rf"{name}: expected the output's shape \[2, 4, 6, 4\], got \[2, 4, {text}\]",
            TILING,
            BACKWARD,
        )
        for name in ("dy", "attention_in")
        for shape, text in (((B, N, SQ, D), "6, 8"), ((B, N, SQ + 1, DV), "7, 4"))
    ],
]

BEYOND_THE_VENDOR = [
    *[
        Row(
            f"triangle with {what}, {valid}",
            valid,
            {"atten_mask": mask},
            rf"atten_mask: sparse_mode \d takes the standard compressed pattern only .*got {got} at \[{at}\]",
            TILING,
            legal={"atten_mask": triangle().to(torch.uint8) * 3},
        )
        for valid in ("causal", "causal_tnd", "mode_7", "mode_8")
        for what, mask, got, at in (
            ("a hole", pattern_with(0, 1, 0), 0, "0, 1"),
            ("a last one", pattern_with(2047, 2047, 1), 1, "2047, 2047"),
            ("the other polarity", ~triangle(), 1, "0, 0"),
            ("the diagonal", torch.ones(2048, 2048, dtype=torch.bool).triu(), 1, "0, 0"),
            ("nothing", torch.zeros(2048, 2048, dtype=torch.bool), 0, "0, 1"),
        )
    ],
    *[
        Row(
            f"prefix mask with a wrong element at {at}",
            "prefix",
            {"atten_mask": mask},
            rf"atten_mask: sparse_mode 6 takes the standard compressed pattern only .*got {got} at \[{at}\]",
            TILING,
        )
        for what, mask, got, at in (
            (torch.cat([triangle(), torch.zeros(1024, 2048, dtype=torch.bool)]), 0, "2048, 1024"),
            (torch.cat([triangle(), torch.ones(1024, 2048, dtype=torch.bool)]), 1, "2048, 0"),
        )
    ],
    Row(
        "triangle in column order with a wrong element",
        "causal",
        {"atten_mask": pattern_with(5, 9, 0).t().contiguous().t()},
        r"got 0 at \[5, 9\]",
        TILING,
        legal={"atten_mask": triangle().t().contiguous().t()},
    ),
    Row(
        "scores beyond 64 bits",
        "bnsd",
        {"query": far(2**32), "key": far(2**32), "value": far(2**32), "head_num": 1},
        r"numels: .*\[1, 4294967296, 4294967296\]",
        TILING,
        FORWARD,
    ),
    Row(
        "scores of all batches beyond 64 bits",
        "bnsd",
        {"query": far(2**30, batch=8), "key": far(2**30, batch=8), "value": far(2**30, batch=8), "head_num": 1},
        r"numels: .*fits in 64 bits, got \d+ \+ 1152921504606846976",
        TILING,
        FORWARD,
    ),
    Row(
        "query beyond 64 bits",
        "bnsd",
        {
            "query": far(2**31, heads=2**30),
            "key": far(2**31, heads=2**30),
            "value": far(2**31, heads=2**30),
            "head_num": 2**30,
        },
        r"64 bits, got \[",
        TILING,
        FORWARD,
    ),
    Row(
        "start positions apart",
        "slopes",
        {"q_start_idx": [0], "kv_start_idx": [2**53]},
        r"q_start_idx, kv_start_idx: expected positions less than 2\^53 apart, got 0 and 9007199254740992",
        TILING,
        V2,
        legal={"q_start_idx": [0], "kv_start_idx": [2**53 - 1]},
    ),
    Row(
        "start positions apart, lowest",
        "slopes",
        {"q_start_idx": [0], "kv_start_idx": [-(2**63)]},
        r"q_start_idx, kv_start_idx: .*got 0 and -9223372036854775808",
        TILING,
        V2,
    ),
    Row("scale infinite", "bnsd", {"scale": float("inf")}, r"scale: expected a finite number, got inf", INVALID),
    Row("scale NaN", "bnsd", {"scale": float("nan")}, r"scale: expected a finite number, got -?nan", INVALID),
    Row(
        "pse as a bias in atten_mask",
        "masked",
        {"atten_mask": torch.zeros(SQ, SKV)},
        r"a bias that is added to the scores goes to pse",
        TILING,
    ),
]

# Rows of the vendor's tables that have no counterpart behind Python functions.
NOT_HERE: dict[str, str] = {
    "5.1 executor, workspaceSize or an output tensor is null": "Python functions own them; tests of the C API have them",
    "5.1, 5.3 query, key, value, dy null": "they have no default, so None is a TypeError: test_types.py",
    "5.1 NZ formats": "torch CPU tensors have strides only",
    "5.1 VarLen layout other than TND": "one function serves both; lengths beside another layout are refused",
    "5.1 more than 20000 sequences": "a warning of the vendor's about its kernel's tables; nothing is limited here",
    "5.1 rope shapes that need padding": "padding belongs to the vendor's kernels; every head size runs here",
    "5.1 level-0 returned null": "an internal failure of the vendor's two layers",
    "5.1 softmaxOutLayout same_as_input": "the C spelling; Python says TND",
    "5.2 TND counts differ": "refused earlier, with the torch level's text",
    "5.3 attentionIn null": "accepted: ring attention calls the gradient without it",
    "5.3 dq, dk, dv, dsink ranks": "outputs are made by the function",
    "5.4 keepProb < 1 without a dropMask": "the gradient functions regenerate it from seed and offset",
    "5.4 zero dimensions": "empty tensors are accepted and give empty or zero results, as operator.md section 4 has it",
    "8.9 softmax_layout or sink without the newer CANN": "there is no CANN to lack them",
    "8 Ascend950 not support": "no chip",
}

ROWS = [*TORCH_LEVEL, *ARGUMENTS, *TILING_FORWARD_AND_BACKWARD, *TOKENS, *STATISTICS, *BEYOND_THE_VENDOR]
