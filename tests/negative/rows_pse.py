"""Position biases that the vendor's tiling refuses (operator.md 2.3 and 5.2)."""

from __future__ import annotations

from .row import TILING, Row
from .valid_calls import FORWARD, SKV, SQ, V2, B, D, N, random

PSE = [
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
]
