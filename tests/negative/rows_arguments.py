"""What the vendor's first phase refuses (operator.md 5.1 and 5.3): dtypes, ranks, head sizes, ropes, sinks."""

from __future__ import annotations

import torch

from .row import INVALID, NULL, TILING, Row
from .valid_calls import BACKWARD, DV, FORWARD, N_KV, SKV, SQ, V2, B, D, N, prefix_triangle, random

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
            backward_status=TILING,
        )
        for kind in (0, 2, 3)
    ],
    Row(
        "slopes of another dtype",
        "slopes",
        {"pse": random(N, dtype=torch.float16)},
        r"pse: pse_type 2 expects .*float32, got float16",
        INVALID,
        backward_status=TILING,
    ),
    Row(
        "pse of another dtype",
        "pse",
        {"pse": random(B, N, SQ, SKV, dtype=torch.float16)},
        r"pse: expected dtype float32.*got float16",
        INVALID,
        backward_status=TILING,
    ),
    Row(
        "pse in float64",
        "pse",
        {"pse": random(B, N, SQ, SKV, dtype=torch.float64), "pse_type": 0},
        r"pse: expected dtype float32.*got float64",
        INVALID,
        backward_status=TILING,
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
