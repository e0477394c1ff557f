"""Small valid calls by name, and the six entry points under one spelling of the arguments (that of v2)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import npu_flash_attention as fa
import torch
from torch import Tensor

Arguments = dict[str, Any]

FORWARD = ("v1", "v2", "v3")
BACKWARD = ("grad", "grad_v2", "grad_v3")
V2 = ("v2", "grad_v2")
ENTRIES = FORWARD + BACKWARD

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "v1": fa.npu_fusion_attention,
    "v2": fa.npu_fusion_attention_v2,
    "v3": fa.npu_fusion_attention_v3,
    "grad": fa.npu_fusion_attention_grad,
    "grad_v2": fa.npu_fusion_attention_grad_v2,
    "grad_v3": fa.npu_fusion_attention_grad_v3,
}
# Spellings that differ from v2's.
SPELLINGS = {"pre_tokens": "pre_tockens", "next_tokens": "next_tockens", "scale": "scale_value"}
LENGTHS = ("actual_seq_qlen", "actual_seq_kvlen")

B, N, N_KV, SQ, SKV, D, DV = 2, 4, 2, 6, 7, 8, 4
Q_ENDS, KV_ENDS = [2, 2, 6], [3, 4, 9]  # the second sequence has no rows


def random(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


@lru_cache
def triangle() -> Tensor:
    return torch.ones(2048, 2048, dtype=torch.bool).triu(1)


@lru_cache
def prefix_triangle() -> Tensor:
    below = torch.zeros(1024, 2048, dtype=torch.bool)
    below[:, 1024:] = True
    return torch.cat([triangle(), below])


def bnsd(**more: Any) -> Arguments:
    q, k, v = random(B, N, SQ, D), random(B, N_KV, SKV, D), random(B, N_KV, SKV, DV)
    return {"query": q, "key": k, "value": v, "head_num": N, "input_layout": "BNSD", **more}


def bsnd(**more: Any) -> Arguments:
    q, k, v = random(B, SQ, N, D), random(B, SKV, N_KV, D), random(B, SKV, N_KV, DV)
    return {"query": q, "key": k, "value": v, "head_num": N, "input_layout": "BSND", **more}


def bsh(**more: Any) -> Arguments:
    q, k, v = random(B, SQ, N * D), random(B, SKV, N_KV * D), random(B, SKV, N_KV * DV)
    return {"query": q, "key": k, "value": v, "head_num": N, "input_layout": "BSH", **more}


def sbh(**more: Any) -> Arguments:
    q, k, v = random(SQ, B, N * D), random(SKV, B, N_KV * D), random(SKV, B, N_KV * DV)
    return {"query": q, "key": k, "value": v, "head_num": N, "input_layout": "SBH", **more}


def square(**more: Any) -> Arguments:
    q = random(B, N, SKV, D)
    return bnsd(**{"query": q, **more})


def tnd(q_ends: list[int] | None = None, kv_ends: list[int] | None = None, **more: Any) -> Arguments:
    q_ends, kv_ends = q_ends or Q_ENDS, kv_ends or KV_ENDS
    q, k, v = random(max(q_ends), N, D), random(max(kv_ends), N_KV, D), random(max(kv_ends), N_KV, DV)
    lengths = {"actual_seq_qlen": q_ends, "actual_seq_kvlen": kv_ends}
    return {"query": q, "key": k, "value": v, "head_num": N, "input_layout": "TND", **lengths, **more}


def tnd_square(**more: Any) -> Arguments:
    return tnd(q_ends=[3, 9], kv_ends=[3, 9], **more)


def causal(**more: Any) -> Arguments:
    return bnsd(**{"atten_mask": triangle(), "sparse_mode": 2, **more})


def masked(**more: Any) -> Arguments:
    return bnsd(**{"atten_mask": torch.zeros(SQ, SKV, dtype=torch.bool), **more})


def rope() -> Arguments:
    call = tnd(atten_mask=triangle(), sparse_mode=3)
    q, k = random(call["query"].shape[0], N, 4), random(call["key"].shape[0], N_KV, 4)
    tensors = {"query": call["query"], "key": call["key"], "value": call["value"], "query_rope": q, "key_rope": k}
    return call | {name: tensor.bfloat16() for name, tensor in tensors.items()}


def table(length: int = 1030, **more: Any) -> Arguments:
    """A compressed ALiBi table."""
    q, k, v = random(1, 2, length, 2), random(1, 1, length, 2), random(1, 1, length, 2)
    pse = random(1, 2, 1024, length)
    call = {"query": q, "key": k, "value": v, "head_num": 2, "input_layout": "BNSD", "pse": pse}
    return call | {"atten_mask": triangle(), "sparse_mode": 2} | more


def table_tnd(**more: Any) -> Arguments:
    ends = [1030, 1036]
    q, k, v = random(1036, 2, 2), random(1036, 1, 2), random(1036, 1, 2)
    call = {"query": q, "key": k, "value": v, "head_num": 2, "input_layout": "TND", "pse": random(1, 2, 1024, 1030)}
    lengths = {"actual_seq_qlen": ends, "actual_seq_kvlen": ends}
    return call | lengths | {"atten_mask": triangle(), "sparse_mode": 3} | more


VALID: dict[str, Callable[[], Arguments]] = {
    "bnsd": bnsd,
    "bsnd": bsnd,
    "bsh": bsh,
    "sbh": sbh,
    "tnd": tnd,
    "tnd_by_token": lambda: tnd(softmax_layout="TND"),
    "masked": masked,
    "masked_one_batch": lambda: masked(
        query=random(1, N, SQ, D), key=random(1, N_KV, SKV, D), value=random(1, N_KV, SKV, DV)
    ),
    "masked_tnd": lambda: tnd(atten_mask=torch.zeros(4, 5, dtype=torch.bool)),
    "window": lambda: masked(pre_tokens=2, next_tokens=1),
    "causal": causal,
    "causal_tnd": lambda: tnd(atten_mask=triangle(), sparse_mode=3),
    "band": lambda: causal(sparse_mode=4, pre_tokens=2, next_tokens=1),
    "band_tnd": lambda: tnd(atten_mask=triangle(), sparse_mode=4, pre_tokens=4, next_tokens=0),
    "prefix_full": lambda: masked(
        sparse_mode=5, prefix=[3, 5], atten_mask=torch.zeros(B, 1, SQ, SKV, dtype=torch.bool)
    ),
    "prefix": lambda: causal(sparse_mode=6, prefix=[3, 5], atten_mask=prefix_triangle()),
    "prefix_tall": lambda: causal(
        sparse_mode=6, prefix=[0, 5], atten_mask=prefix_triangle(), query=random(B, N, SKV + 2, D)
    ),
    "prefix_tnd": lambda: tnd(atten_mask=prefix_triangle(), sparse_mode=6, prefix=[1, 1, 2]),
    "mode_7": lambda: tnd(atten_mask=triangle(), sparse_mode=7, pre_tokens=10, next_tokens=-1),
    "mode_8": lambda: tnd(atten_mask=triangle(), sparse_mode=8, pre_tokens=10, next_tokens=0),
    "pse": lambda: bnsd(pse=random(B, N, SQ, SKV)),
    "pse_tnd": lambda: tnd(q_ends=[2, 6], kv_ends=[3, 9], pse=random(N * (2 * 3 + 4 * 6))),
    "slopes": lambda: square(pse=random(N), pse_type=2),
    "slopes_tnd": lambda: tnd(pse=random(N), pse_type=3),
    "slopes_mode_8": lambda: tnd_square(
        pse=random(N), pse_type=2, atten_mask=triangle(), sparse_mode=8, q_start_idx=[4], kv_start_idx=[4]
    ),
    "slopes_mode_3": lambda: tnd_square(pse=random(N), pse_type=2, atten_mask=triangle(), sparse_mode=3),
    "table": table,
    "table_tnd": table_tnd,
    "sink": lambda: bnsd(sink=random(N)),
    "dropout_mask": lambda: bnsd(
        keep_prob=0.5, dropout_mask=torch.full((B * N * SQ * SKV // 8,), 0xA5, dtype=torch.uint8)
    ),
    "rope": rope,
}


def takes(entry: str, arguments: Arguments) -> bool:
    """Whether the entry point has all these parameters."""
    return set(_spelt(entry, arguments)) <= set(inspect.signature(FUNCTIONS[entry]).parameters)


def with_statistics(arguments: Arguments) -> Arguments:
    """A forward's arguments with those a backward needs besides, of the right shapes and dtypes."""
    q, k, v, layout = arguments["query"], arguments["key"], arguments["value"], arguments["input_layout"]
    n = arguments["head_num"]
    kv_heads = {"BNSD": 1, "BSND": 2, "TND": 1}
    columns = v.shape[-1] if layout in kv_heads else v.shape[-1] // (k.shape[-1] * n // q.shape[-1]) * n
    rows = {"BNSD": (0, 2), "BSND": (0, 1), "BSH": (0, 1), "SBH": (1, 0)}
    shape = (q.shape[0], n, 8) if layout == "TND" else (q.shape[rows[layout][0]], n, q.shape[rows[layout][1]], 8)
    out = random(*q.shape[:-1], columns, dtype=q.dtype)
    statistics = {"softmax_max": torch.zeros(shape), "softmax_sum": torch.ones(shape)}
    return {**arguments, "dy": out, "attention_in": out.clone(), **statistics}


def call(entry: str, arguments: Arguments) -> Any:
    """Calls an entry point with arguments spelt as v2 spells them."""
    return FUNCTIONS[entry](**_spelt(entry, arguments))


def _spelt(entry: str, arguments: Arguments) -> Arguments:
    spelt = dict(arguments)
    for name, other in SPELLINGS.items():
        if name in spelt and other in inspect.signature(FUNCTIONS[entry]).parameters:
            spelt[other] = spelt.pop(name)
    if entry in BACKWARD:
        spelt.pop("dropout_mask", None)
    if entry in ("v3", "grad_v3"):
        for name in LENGTHS:
            if type(spelt.get(name)) is list and all(type(end) is int and abs(end) < 2**63 for end in spelt[name]):
                spelt[name] = torch.tensor(spelt[name], dtype=torch.int64)
    return spelt
