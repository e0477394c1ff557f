"""Batches, heads, lengths, dropout bits and statistics that do not fit together (operator.md 5.2 and 5.4)."""

from __future__ import annotations

import torch

from .row import TILING, Row
from .valid_calls import BACKWARD, DV, FORWARD, N_KV, SKV, SQ, B, D, N, random

SHAPES = [
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
