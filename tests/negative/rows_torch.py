"""The checks of the torch entry points themselves (torch-api section 8), with their texts."""

from __future__ import annotations

import torch

from .row import INVALID, TILING, Row
from .valid_calls import BACKWARD, N_KV, SKV, SQ, V2, B, D, random

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
