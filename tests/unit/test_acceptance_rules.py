"""Each rule of acceptance on numbers made by hand: one example that passes and one that does not."""

from __future__ import annotations

import math

import pytest
import torch
from npu_flash_attention.acceptance import rules
from torch import Tensor


def tensors(*values: list[float], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """(ours, golden, benchmark)."""
    ours, golden, benchmark = values
    return (
        torch.tensor(ours, dtype=dtype),
        torch.tensor(golden, dtype=torch.float64),
        torch.tensor(benchmark, dtype=dtype),
    )


def test_metrics() -> None:
    golden = torch.tensor([1.0, -2.0, 4.0, 0.0], dtype=torch.float64)
    ours = golden + torch.tensor([0.1, 0.1, 0.0, 0.2], dtype=torch.float64)
    found = rules.metrics(ours, golden, torch.float32)
    assert found.mare == pytest.approx(0.1, rel=1e-6)
    assert found.mere == pytest.approx(0.15 / 3, rel=1e-6)  # the last is small and has no relative error
    assert found.rmse == pytest.approx(math.sqrt((0.01 + 0.01 + 0.04) / 4))
    assert found.small == 1


@pytest.mark.parametrize(
    ("level", "ratio", "beyond"),
    [
        ("L2", 1.1, []),
        ("L2", 1.3, ["MERE", "RMSE"]),
        ("L2", 2.1, ["MARE", "MERE", "RMSE"]),
        ("L1", 1.4, []),
        ("L1", 1.6, ["MERE", "RMSE"]),
        ("L1", 5.1, ["MARE", "MERE", "RMSE"]),
        ("L0", 1.9, []),
        ("L0", 9.0, ["MERE", "RMSE"]),
        ("L0", 10.1, ["MARE", "MERE", "RMSE"]),
    ],
)
def test_dual_benchmark(level: str, ratio: float, beyond: list[str]) -> None:
    """Ours errs `ratio` times as much as the benchmark, everywhere."""
    golden = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    ours, benchmark = (golden * (1 + ratio * 2**-12)).float(), (golden * (1 + 2**-12)).float()
    assert rules.compare(ours, golden, benchmark).beyond(rules.LEVELS[level]) == beyond


def test_only_the_largest_error_is_beyond() -> None:
    golden = torch.ones(1000, dtype=torch.float64)
    benchmark = golden + 1e-3
    ours = benchmark.clone()
    ours[7] += 2e-3
    found = rules.compare(ours.float(), golden, benchmark.float())
    assert found.beyond(rules.LEVELS["L2"]) == ["MARE"]
    assert found.beyond(rules.LEVELS["L1"]) == []


def test_a_benchmark_without_error() -> None:
    assert rules.compare(*tensors([1.0, 2.0], [1.0, 2.0], [1.0, 2.0])).ratios["RMSE"] == 1
    found = rules.compare(*tensors([1.0, 2.5], [1.0, 2.0], [1.0, 2.0]))
    assert found.ratios["MARE"] == math.inf and found.beyond(rules.LEVELS["L0"])


@pytest.mark.parametrize("dtype", rules.SMALL)
def test_small_values(dtype: torch.dtype) -> None:
    """Two errors of ours to none of the benchmark's pass, three do not; nor do they count where golden is not small."""
    threshold, bound = rules.SMALL[dtype]
    golden = torch.full((8,), threshold / 2, dtype=torch.float64)
    golden[:4] = 0
    exact = golden.to(dtype)
    for errors, ratio in ((2, 2.0), (3, 3.0)):
        ours = exact.clone()
        ours[:errors] = 4 * bound
        found = rules.compare(ours, golden, exact)
        assert (found.ours.small, found.ratios["small"]) == (errors, ratio)
        assert ("small" in found.beyond(rules.LEVELS["L2"])) == (errors == 3)
    ours = exact.clone()
    ours[:3] = 4 * bound
    theirs = exact.clone()
    theirs[4:6] = threshold
    assert rules.compare(ours, golden, theirs).ratios["small"] == 1.5
    near = exact.clone()
    near[:4] = bound / 2
    assert rules.compare(near, golden, exact).ours.small == 0
    large = torch.full((8,), 2 * threshold, dtype=torch.float64)
    assert rules.compare(large.to(dtype) + 4 * bound, large, large.to(dtype)).ours.small == 0


@pytest.mark.parametrize(
    ("ours", "golden", "benchmark", "counts"),
    [
        (math.nan, math.nan, math.nan, {}),
        (math.inf, math.inf, 1.0, {}),  # as golden
        (math.inf, 1.0, math.inf, {"as_benchmark": 1}),
        (1.0, 1.0, math.nan, {"benchmark_only": 1}),
        (math.nan, 1.0, 1.0, {"wrong": 1}),
        (1.0, math.inf, math.inf, {"wrong": 1}),
        (-math.inf, math.inf, math.inf, {"wrong": 1}),
        (math.inf, math.nan, math.nan, {"wrong": 1}),
        (math.nan, math.inf, 1.0, {"unclear": 1}),
        (math.inf, 1e39, 3.0, {}),  # beyond float32, so infinite in it
    ],
)
def test_infinity_and_nan(ours: float, golden: float, benchmark: float, counts: dict[str, int]) -> None:
    found = rules.compare(*tensors([ours, 5.0], [golden, 5.0], [benchmark, 5.0]))
    expected = {"wrong": 0, "unclear": 0, "as_benchmark": 0, "benchmark_only": 0} | counts
    assert {name: getattr(found.not_finite, name) for name in expected} == expected
    assert found.ratios["RMSE"] == 1  # the element has no part in the errors
    assert found.not_finite.first_wrong == (0 if counts.get("wrong") else None)


@pytest.mark.parametrize("dtype", rules.SINGLE)
def test_single_benchmark(dtype: torch.dtype) -> None:
    limit = rules.SINGLE[dtype]
    golden = torch.ones(100, dtype=torch.float64)

    def passes(error: Tensor) -> bool:
        return rules.compare((golden + error).to(dtype), golden, golden.to(dtype)).single

    assert passes(torch.full((100,), limit / 2))
    assert not passes(torch.full((100,), 2 * limit))  # MERE
    spike = torch.zeros(100)
    spike[3] = 8 * limit
    assert passes(spike)
    spike[3] = 12 * limit
    assert not passes(spike)  # MARE


def test_what_cannot_be_compared() -> None:
    one = torch.ones(2)
    with pytest.raises(ValueError, match="expected float16, bfloat16 or float32, got torch.float64"):
        rules.compare(one.double(), one.double(), one.double())
    with pytest.raises(ValueError, match=r"expected tensors of one shape, got \[2\], golden \[1\]"):
        rules.compare(one, torch.ones(1, dtype=torch.float64), one)
    empty = rules.compare(torch.ones(0), torch.ones(0, dtype=torch.float64), torch.ones(0))
    assert empty.beyond(rules.LEVELS["L2"]) == [] and empty.single


def samples(median: float, count: int) -> list[float]:
    """Log-normal ratios."""
    generator = torch.Generator().manual_seed(0)
    return (median * torch.randn(count, generator=generator, dtype=torch.float64).exp()).tolist()


def test_recheck() -> None:
    assert rules.recheck(samples(1.0, 1000)).passed
    assert rules.recheck(samples(0.5, 1000)).passed
    worse = rules.recheck(samples(1.3, 1000))
    assert not worse.passed and 1 < worse.lower < worse.median < worse.upper
    # 1.05 is no evidence with a spread as wide as this one.
    assert rules.recheck(samples(1.05, 200)).passed


def test_recheck_with_few_seeds_fails() -> None:
    assert not rules.recheck(samples(0.1, 199)).passed
    assert rules.recheck(samples(0.1, 200)).passed
    assert not rules.recheck([]).passed


def test_recheck_of_infinite_ratios() -> None:
    assert not rules.recheck([math.inf] * 200).passed
    assert rules.recheck([math.inf] * 90 + [0.5] * 110).passed


def test_equal_bits() -> None:
    a = torch.tensor([1.0, math.nan, -0.0])
    assert rules.same_bits(a, a.clone())
    assert not rules.same_bits(a, torch.tensor([1.0, math.nan, 0.0]))
    assert not rules.same_bits(a, a[:2]) and not rules.same_bits(a, a.bfloat16())
    assert rules.same_bits(a.bfloat16(), a.bfloat16())
