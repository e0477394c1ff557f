"""Few rows and many columns on the simulator: blocks that share their rows, and what joins them."""

from __future__ import annotations

from collections.abc import Iterator

import npu_flash_attention as fa
import pytest
import simulated
import torch
from npu_flash_attention.backends import simulator
from npu_flash_attention.sweep import generate
from npu_flash_attention.sweep.cases import Case
from torch import Tensor

pytestmark = pytest.mark.skipif(
    simulator.SimulatorBackend().unavailable() is not None, reason="built without the simulator backend"
)

TND = {"layout": "TND", "q_lens": (5, 1, 0, 16), "kv_lens": (2000, 3100, 40, 700), "heads": 2, "kv_heads": 1}
CASES = {
    "one row": {"q_len": 1, "kv_len": 4096, "head_dim": 128},
    "one row, many heads": {"q_len": 1, "kv_len": 2500, "heads": 6, "kv_heads": 2, "dtype": "bfloat16"},
    "rows in both halves": {"q_len": 70, "kv_len": 3001, "head_dim": 72, "value_dim": 40},
    "float32": {"q_len": 7, "kv_len": 2000, "head_dim": 72, "dtype": "float32"},
    "causal": {"q_len": 33, "kv_len": 3000, "mask": "compressed", "sparse_mode": 3},
    "causal blocks": {"q_len": 300, "kv_len": 3000, "mask": "compressed", "sparse_mode": 3},
    "window": {
        "q_len": 9,
        "kv_len": 4000,
        "mask": "compressed",
        "sparse_mode": 4,
        "pre_tokens": 2500,
        "next_tokens": 0,
    },
    "prefix": {"q_len": 20, "kv_len": 3000, "mask": "compressed", "sparse_mode": 6, "prefix": (2990,)},
    "dense mask": {"q_len": 20, "kv_len": 2600, "mask": "BNSS", "mask_content": "random"},
    "empty rows": {"q_len": 20, "kv_len": 2600, "mask": "SS", "mask_content": "rows"},
    "hidden columns": {"q_len": 20, "kv_len": 2600, "mask": "SS", "mask_content": "columns"},
    "bias": {"q_len": 16, "kv_len": 2600, "pse": "BNSS", "pse_type": 0, "pse_hides": True},
    "dropout at odd bits": {"q_len": 16, "kv_len": 2501, "dropout": "generated", "keep_prob": 0.7},
    "sink": {"q_len": 3, "kv_len": 3000, "heads": 2, "kv_heads": 2, "sink": True},
    "sink alone": {"q_len": 20, "kv_len": 2600, "mask": "SS", "mask_content": "ones", "sink": True},
    "rope": {**TND, "rope_dim": 24, "dtype": "bfloat16", "mask": "compressed", "sparse_mode": 3},
    "sequences": TND,
    "sequences by token": {**TND, "softmax_layout": "TND", "mask": "compressed", "sparse_mode": 3, "sink": True},
    "outliers": {"q_len": 4, "kv_len": 3000, "values": "outliers"},
}


@pytest.fixture(autouse=True)
def few_cores() -> Iterator[None]:
    with simulated.options(cores=5, threads=1):
        yield


@pytest.mark.parametrize("name", CASES)
def test_joined_parts_agree_with_golden(name: str) -> None:
    case = Case(**({"dtype": "float16", "head_dim": 64} | CASES[name]))
    assert not simulated.failures(case)
    assert simulator.last_run["tiling"]["parts"] > 1


@pytest.mark.parametrize("index", range(20))
def test_random_calls_of_few_rows_agree_with_golden(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "_LENGTHS", (1, 2, 3, 7, 16, 17, 33, 1025, 1500, 2100))
    monkeypatch.setattr(generate, "_SCORES", 150_000)
    case = generate.random_case(5, index)
    if case.dtype == "float64":
        pytest.skip("the chip has no float64")
    assert not simulated.failures(case), case


def attention(q: Tensor, k: Tensor, v: Tensor, **options: object) -> tuple[Tensor, ...]:
    return fa.npu_fusion_attention(q, k, v, q.size(1), "BNSD", scale=q.size(-1) ** -0.5, **options)[:3]


def qkv(rows: int, columns: int) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    return tuple(torch.randn(1, 2, length, 64).half() for length in (rows, columns, columns))


def test_results_do_not_depend_on_the_number_of_cores() -> None:
    reference = None
    for cores in (1, 3, 24):
        with simulated.options(cores=cores), fa.backend("simulator"):
            results = attention(*qkv(40, 3000), sink=torch.tensor([0.5, -1.0]))
        assert simulator.last_run["tiling"]["parts"] > 1
        reference = reference or results
        for got, expected in zip(results, reference, strict=True):
            assert torch.equal(got, expected)


def test_rows_that_a_part_hides_count_only_where_they_see() -> None:
    tensors = qkv(24, 3000)
    with fa.backend("simulator"):
        attention(*tensors)
    tiling = simulator.last_run["tiling"]
    width = tiling["part_stages"] * tiling["stage_columns"]
    hidden = torch.zeros(24, 3000, dtype=torch.bool)
    for row in range(tiling["parts"]):  # row r sees nothing of part r, the one behind only its first column
        hidden[row, row * width : (row + 1) * width] = True
        hidden[12 + row] = True
        hidden[12 + row, row * width] = False
    hidden[23] = True
    with fa.backend("simulator"):
        got = attention(*tensors, atten_mask=hidden, sparse_mode=1)
    with fa.backend("golden"):
        expected = attention(*tensors, atten_mask=hidden, sparse_mode=1)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    assert not got[0][:, :, 23].any()
    assert (got[2][:, :, 23] == torch.finfo(torch.float32).max).all()
    for row in range(tiling["parts"]):
        assert torch.equal(got[0][:, :, 12 + row], tensors[2][:, :, row * width]), "one key: its value is the result"
