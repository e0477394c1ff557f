"""The comparison itself: what is wrong must fail, what PyTorch itself returns must pass."""

import dataclasses
import math

import pytest
import torch
from npu_flash_attention.precision import compare
from npu_flash_attention.sweep.cases import Case
from npu_flash_attention.sweep.check import golden_results, judge
from npu_flash_attention.sweep.generate import random_cases
from npu_flash_attention.sweep.inputs import build
from npu_flash_attention.sweep.plain import plain

DTYPES = ["float16", "bfloat16", "float32", "float64"]
BASE = Case(batch=2, heads=4, kv_heads=2, q_len=40, kv_len=56, head_dim=24, value_dim=20, sparse_mode=3)
BASE = dataclasses.replace(
    BASE, mask="compressed", pse="BNSS", dropout="generated", keep_prob=0.8, sink=True, scale=0.2, seed=5
)
RESULTS = ["attention_out", "softmax_max", "softmax_sum", "dq", "dk", "dv", "dpse", "dsink"]


def rounded_golden(case: Case) -> dict[str, torch.Tensor]:
    """The best possible results: golden's, rounded once."""
    inputs = build(case)
    wide = torch.float64 if case.dtype == "float64" else torch.float32
    return {
        name: tensor.to(wide if name in ("softmax_max", "softmax_sum", "dsink") else inputs.query.dtype)
        for name, tensor in golden_results(inputs).items()
    }


def failures(case: Case, results: dict[str, torch.Tensor]) -> list[str]:
    return [c.failure for c in judge(build(case), results) if c.failure]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_best_possible_results_pass(dtype: str) -> None:
    case = dataclasses.replace(BASE, dtype=dtype)
    assert failures(case, rounded_golden(case)) == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RESULTS)
def test_one_wrong_element_fails(dtype: str, name: str) -> None:
    case = dataclasses.replace(BASE, dtype=dtype)
    results = rounded_golden(case)
    flat = results[name].view(-1)
    at = flat.numel() // 3
    flat[at] += 0.05 * max(float(flat.abs().max()), 1.0)
    found = failures(case, results)
    assert len(found) == 1 and found[0].startswith(f"{name}[") and "expected" in found[0] and "budget" in found[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_fails(dtype: str, value: float) -> None:
    case = dataclasses.replace(BASE, dtype=dtype)
    results = rounded_golden(case)
    results["dk"].view(-1)[7] = value
    assert any(f"got {value}" in failure for failure in failures(case, results))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "mistake",
    [
        {"sparse_mode": 2},
        {"mask": "none", "sparse_mode": 0},
        {"pse_type": 0},
        {"pse": "none"},
        {"keep_prob": 0.81},
        {"dropout": "none", "keep_prob": 1.0},
        {"sink": False},
        {"scale": 0.202},
    ],
    ids=str,
)
def test_a_misread_option_fails(dtype: str, mistake: dict[str, object]) -> None:
    case = dataclasses.replace(BASE, dtype=dtype, pse_hides=False)
    original = build(case)
    wrong = build(dataclasses.replace(case, **mistake))
    # The same tensors, read by the wrong rule.
    kept = {name: original.options[name] for name in ("pse", "sink") if wrong.options[name] is not None}
    wrong = dataclasses.replace(
        wrong, query=original.query, key=original.key, value=original.value, dy=original.dy,
        options=wrong.options | kept,
    )  # fmt: skip
    results = {name: tensor.to(original.query.dtype) for name, tensor in golden_results(wrong).items()}
    results = {
        name: t.float() if name.startswith("softmax") and dtype != "float64" else t for name, t in results.items()
    }
    results.pop("dsink", None)
    assert failures(case, results)


def test_truncation_instead_of_rounding_to_nearest_fails_where_it_accumulates() -> None:
    """A float32 result that went through bfloat16 on its way is refused."""
    case = dataclasses.replace(BASE, dtype="float32")
    results = rounded_golden(case)
    results["attention_out"] = results["attention_out"].bfloat16().float()
    assert any(failure.startswith("attention_out") for failure in failures(case, results))


def test_a_small_bias_over_the_whole_tensor_fails_by_rms() -> None:
    golden = torch.randn(100, 100, dtype=torch.float64)
    error = 1e-3 * torch.randn(100, 100, dtype=torch.float64)
    plain_result = (golden + error).float()
    got = (golden + 2.5e-3).float()  # each element within twice the worst error, all of them far off the usual one
    result = compare("x", got, golden, plain_result, torch.zeros(()))
    assert not result.ok and "rms" in str(result.failure)


def test_budget_of_float64_is_absolute_below_one_and_relative_above() -> None:
    golden = torch.tensor([1e-3, 1e6], dtype=torch.float64)
    assert compare("x", golden + torch.tensor([0.9e-9, 0.9e-3]), golden).ok
    assert not compare("x", golden + torch.tensor([1.1e-9, 0.0]), golden).ok
    assert not compare("x", golden + torch.tensor([0.0, 1.1e-3]), golden).ok


def test_a_message_shows_the_difference() -> None:
    golden = torch.tensor([2.0], dtype=torch.float64)
    assert "expected 2, got 2.00000000" in str(compare("x", golden + 3e-9, golden).failure)
    assert "expected 2, got 2:" not in str(compare("x", golden + 3e-9, golden).failure)


def test_shapes_and_dtypes_are_part_of_the_comparison() -> None:
    golden = torch.zeros(2, 3, dtype=torch.float64)
    assert "expected shape [2, 3], got [3, 2]" in str(compare("x", golden.T, golden).failure)
    results = rounded_golden(dataclasses.replace(BASE, dtype="float16"))
    results["dq"] = results["dq"].float()
    assert any("dtype" in failure for failure in failures(dataclasses.replace(BASE, dtype="float16"), results))


def test_without_a_standard_there_is_no_judgement() -> None:
    with pytest.raises(ValueError, match="plain and floor"):
        compare("x", torch.zeros(2), torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("case", list(random_cases(seed=4, count=30)), ids=lambda case: case.id)
def test_plain_pytorch_passes_its_own_standard(case: Case) -> None:
    case = dataclasses.replace(case, poison=False)
    inputs = build(case)
    results = plain(inputs)
    comparisons = judge(inputs, results)
    assert [c.failure for c in comparisons if c.failure] == []
    assert max(c.ratio for c in comparisons) <= 0.5


def test_infinity_is_right_where_the_exact_value_is_beyond_the_dtype() -> None:
    golden = torch.tensor([70000.0, -1e6, 1.0], dtype=torch.float64)
    ours = golden.to(torch.float16)
    zeros = torch.zeros(3, dtype=torch.float64)
    assert compare("out", ours, golden, ours, zeros).ok
    assert not compare("out", -ours, golden, ours, zeros).ok
    assert not compare("out", ours, torch.tensor([7.0, -1e6, 1.0], dtype=torch.float64), ours, zeros).ok


@pytest.mark.parametrize(
    ("golden", "got", "ok"),
    [(65500, "inf", True), (65432, "inf", False), (65500, "-inf", False), (7e4, "inf", True), (7e4, "-inf", False)],
)
def test_an_infinity_counts_as_the_smallest_number_that_rounds_to_it(golden: float, got: str, ok: bool) -> None:
    one = torch.tensor([golden], dtype=torch.float64)
    floor = torch.full((1,), 32.0, dtype=torch.float64)  # a step of float16 there
    assert compare("x", torch.tensor([float(got)], dtype=torch.float16), one, one, floor).ok == ok
    assert not compare("x", torch.tensor([float("nan")], dtype=torch.float16), one, one, floor).ok
