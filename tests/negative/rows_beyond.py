"""Calls that the vendor would take and compute wrongly, or overflow on."""

from __future__ import annotations

import torch

from .row import INVALID, TILING, Row
from .valid_calls import FORWARD, SKV, SQ, V2, triangle


def pattern_with(row: int, column: int, value: int) -> torch.Tensor:
    mask = triangle().clone()
    mask[row, column] = value
    return mask


def far(sequence: int, *, heads: int = 1, batch: int = 1) -> torch.Tensor:
    """A tensor of any size in one element of memory."""
    return torch.zeros(1).expand(batch, heads, sequence, 1)


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
        for mask, got, at in (
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
        "more heads than 31 bits count",
        "bnsd",
        {"query": far(1, heads=2**31), "key": far(1, heads=2**31), "value": far(1, heads=2**31), "head_num": 2**31},
        r"head_num: expected at most 2147483647, got 2147483648",
        TILING,
        FORWARD,
    ),
    Row(
        "more batches than a table of sequences holds",
        "bnsd",
        {"query": far(1, batch=2**28), "key": far(1, batch=2**28), "value": far(1, batch=2**28), "head_num": 1},
        r"query: expected a batch of at most 134217728, got 268435456",
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
