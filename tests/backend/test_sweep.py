"""Backends against the golden model over random valid calls, forward and backward; see npu_flash_attention.sweep.

The golden backend is judged by plain PyTorch attention in float64 with autograd, which shares the rules of visibility
with golden but no formula.
"""

import pytest
from npu_flash_attention.sweep.cases import Case, product
from npu_flash_attention.sweep.check import run
from npu_flash_attention.sweep.generate import random_cases

CASES = list(random_cases(seed=0, count=300))
AWKWARD = (1, 7, 63, 130, 1000)


def check(case: Case, backend: str) -> None:
    outcome = run(case, backend)
    assert outcome.status == "ok", f"{outcome.status}: {outcome.message}\n--case '{case.to_json()}'"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_cpu(case: Case) -> None:
    check(case, "cpu")


@pytest.mark.parametrize("case", CASES[::3], ids=lambda case: case.id)
def test_golden_against_plain_float64(case: Case) -> None:
    check(case, "golden")


@pytest.mark.parametrize(
    "case",
    list(
        product(
            {
                "layout": ["BSH", "TND"],
                "dtype": ["float16", "float64"],
                "heads": 2,
                "kv_heads": 1,
                "q_len": AWKWARD,
                "kv_len": AWKWARD,
                "head_dim": 33,
                "value_dim": 7,
                "sparse_mode": 2,
            }
        )
    ),
    ids=lambda case: case.id,
)
def test_awkward_sizes(case: Case) -> None:
    check(case, "cpu")


@pytest.mark.parametrize("layout", ["BNSD", "TND"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("sink", [False, True])
def test_rows_that_see_nothing(layout: str, dtype: str, sink: bool) -> None:
    check(Case(layout=layout, dtype=dtype, batch=2, mask="SS", mask_content="rows", sparse_mode=1, sink=sink), "cpu")
    check(Case(layout=layout, dtype=dtype, batch=2, mask="SS", mask_content="ones", sparse_mode=1, sink=sink), "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 3000, 100))
def test_thousands_on_cpu(start: int) -> None:
    for case in random_cases(seed=1, count=100, start=start):
        check(case, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 1000, 100))
def test_golden_on_a_thousand(start: int) -> None:
    for case in random_cases(seed=2, count=100, start=start):
        check(case, "golden")
