"""The AscendC forward on the simulator, all checks on, against the golden model."""

from __future__ import annotations

from collections.abc import Iterator

import npu_flash_attention as fa
import pytest
import simulated
import torch
from npu_flash_attention import rng
from npu_flash_attention.backends import simulator
from npu_flash_attention.sweep.generate import random_case
from torch import Tensor

pytestmark = pytest.mark.skipif(
    simulator.SimulatorBackend().unavailable() is not None, reason="built without the simulator backend"
)
CAUSAL = torch.triu(torch.ones(2048, 2048), 1).bool()


@pytest.fixture(autouse=True)
def few_cores() -> Iterator[None]:
    with simulated.options(cores=3, threads=1):
        yield


def forward(q: Tensor, k: Tensor, v: Tensor, **options: object) -> tuple[Tensor, ...]:
    with fa.backend("simulator"):
        return fa.npu_fusion_attention(q, k, v, q.size(1), "BNSD", scale=q.size(-1) ** -0.5, **options)[:3]


def qkv(heads: int, rows: int, columns: int, dim: int, dtype: torch.dtype = torch.float16) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    return tuple(torch.randn(1, heads, length, dim).to(dtype) for length in (rows, columns, columns))


@pytest.mark.parametrize("index", range(60))
def test_random_calls_agree_with_golden(index: int) -> None:
    case = random_case(11, index)
    if case.dtype == "float64":
        pytest.skip("the chip has no float64")
    try:
        assert not simulated.failures(case), case
    except NotImplementedError as reason:
        assert case.dtype == "float32" and max(case.head_dim, case.value_dim) > 512, reason
        pytest.skip(str(reason))


CALLS = {
    "dense": {},
    "causal": {"atten_mask": CAUSAL, "sparse_mode": 2},
    "dropout and sink": {"keep_prob": 0.8, "sink": torch.tensor([0.5, -1.0, 2.0])},
}


def run_of(call: str, cores: int, threads: int) -> tuple[Tensor, ...]:
    simulator.OPTIONS.cores, simulator.OPTIONS.threads = cores, threads
    rng.manual_seed(5)
    return forward(*qkv(3, 300, 600, 72), **CALLS[call])


@pytest.mark.parametrize("call", CALLS)
def test_results_depend_neither_on_cores_nor_on_threads(call: str) -> None:
    expected = run_of(call, cores=3, threads=1)
    for cores, threads in ((3, 1), (3, 2), (3, 8), (1, 1), (2, 2), (24, 1), (24, 3)):
        for got, reference in zip(run_of(call, cores, threads), expected, strict=True):
            assert torch.equal(got, reference), (cores, threads)


def test_rows_that_see_nothing_follow_the_rule() -> None:
    out, row_max, row_sum = forward(*qkv(1, 200, 100, 64), atten_mask=CAUSAL, sparse_mode=3)
    assert not out[:, :, :100].any()
    assert (row_max[:, :, :100] == torch.finfo(torch.float32).min).all()
    assert (row_sum[:, :, :100] == torch.finfo(torch.float32).max).all()
    assert out[:, :, 100:].any()


def test_causal_skips_the_upper_triangle() -> None:
    simulator.OPTIONS.cores, simulator.OPTIONS.timeline = 1, True
    forward(*qkv(1, 2048, 2048, 128))
    dense = simulator.last_run["bytes"]["L0C->GM"]
    forward(*qkv(1, 2048, 2048, 128), atten_mask=CAUSAL, sparse_mode=2)
    assert simulator.last_run["bytes"]["L0C->GM"] < 0.65 * dense
