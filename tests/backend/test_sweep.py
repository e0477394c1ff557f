"""Backends against the golden model over random valid calls, forward and backward; see npu_flash_attention.sweep.

Every backend that this machine has takes part, but for the simulator, which has a sweep of its own size. The golden
backend is judged by plain PyTorch attention in float64 with autograd, which shares the rules of visibility with golden
but no formula.
"""

import pytest
from npu_flash_attention.backends import BACKENDS
from npu_flash_attention.sweep.cases import Case, product
from npu_flash_attention.sweep.check import run
from npu_flash_attention.sweep.generate import random_cases

CASES = list(random_cases(seed=0, count=300))
AWKWARD = (1, 7, 63, 130, 1000)
FAST = [name for name, each in BACKENDS.items() if name not in ("golden", "simulator") and each.unavailable() is None]


def check(case: Case, backend: str) -> None:
    outcome = run(case, backend)
    if outcome.status == "skipped":
        pytest.skip(outcome.message)
    assert outcome.status == "ok", f"{outcome.status}: {outcome.message}\n--case '{case.to_json()}'"


def test_cpu_takes_part() -> None:
    assert "cpu" in FAST


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_random_calls(case: Case, backend: str) -> None:
    check(case, backend)


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
@pytest.mark.parametrize("backend", FAST)
def test_awkward_sizes(case: Case, backend: str) -> None:
    check(case, backend)


@pytest.mark.parametrize("layout", ["BNSD", "TND"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("sink", [False, True])
@pytest.mark.parametrize("content", ["rows", "ones"])
@pytest.mark.parametrize("backend", FAST)
def test_rows_that_see_nothing(layout: str, dtype: str, sink: bool, content: str, backend: str) -> None:
    check(Case(layout=layout, dtype=dtype, batch=2, mask="SS", mask_content=content, sparse_mode=1, sink=sink), backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("start", range(0, 3000, 100))
def test_thousands(start: int, backend: str) -> None:
    for case in random_cases(seed=1, count=100, start=start):
        check(case, backend)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 1000, 100))
def test_golden_on_a_thousand(start: int) -> None:
    for case in random_cases(seed=2, count=100, start=start):
        check(case, "golden")
