"""Masks, prefixes and tokens that the vendor's tiling refuses (operator.md 2.4, 2.5, 5.2 and 5.4)."""

from __future__ import annotations

import torch

from .row import TILING, Row
from .valid_calls import BACKWARD, FORWARD, N_KV, SKV, SQ, B, D, N, prefix_triangle, random, triangle

MASKS = [
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
    *[
        Row(
            f"backward, mode {mode}, {pre} before, {following} after",
            f"mode_{mode}",
            {"pre_tokens": pre, "next_tokens": following},
            rf"sparse_mode {mode} .*got pre_tokens {pre} and next_tokens {following}",
            TILING,
            BACKWARD,
            legal={"pre_tokens": 1 - following, "next_tokens": following},
        )
        for mode, pre, following in ((7, 1, -2), (8, 0, -1))
    ],
]
