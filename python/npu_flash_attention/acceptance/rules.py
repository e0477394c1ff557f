"""The rules by which Ascend operators are accepted for commercial delivery, and the shorter ones for contributions.

An output is compared with its golden value g (float64) and with a benchmark, the same computed by someone else in the
same dtype; here that is PyTorch, operation by operation (`benchmark`).

    dual benchmark   metric(ours) / metric(benchmark) within the limits of the level, for each of
                         MARE = max |a - g| / (|g| + 1e-7)    MERE = mean of the same    RMSE = sqrt(mean (a - g)^2)
    small values     where |g| is below a threshold of the dtype a relative error means little: such elements count as
                     errors when |a - g| is above a bound; errors(ours) / max(errors(benchmark), 1) at most 2
    infinity, NaN    an element that is not finite must be what golden or the benchmark has
    single benchmark MERE < T and MARE < 10 T, for contributions; here beside the rest
    determinism      repeated calls give equal bits
    re-check         a ratio beyond its limit is taken again with N seeds; the case fails if the median ratio is above 1
                     with 95 % confidence (2000 bootstrap medians), and if N < 200

MARE and MERE are taken over the elements that are not small, RMSE over all; all of them where the three values are
finite.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

OFFSET = 1e-7  # in the denominator of a relative error
RATIOS = ("MARE", "MERE", "RMSE", "small")
SMALL_RATIO = 2.0
BOOTSTRAPS = 2000
CONFIDENCE = 0.95
FEWEST_SEEDS = 200

# By dtype of the output: (an element is small below, its error counts above).
SMALL = {
    torch.float16: (2.0**-11, 2.0**-16),
    torch.bfloat16: (2.0**-8, 2.0**-16),
    torch.float32: (2.0**-14, 2.0**-30),
}
# T of the single benchmark.
SINGLE = {torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7, torch.float32: 2.0**-13}


@dataclasses.dataclass(frozen=True)
class Level:
    """Limits of the ratios, and how much is to be run."""

    name: str
    mare: float
    mere: float
    rmse: float
    cases: int
    cases_per_dtype: int
    repeats: int

    @property
    def limits(self) -> dict[str, float]:
        return dict(zip(RATIOS, (self.mare, self.mere, self.rmse, SMALL_RATIO), strict=True))


LEVELS = {
    level.name: level
    for level in (
        Level("L0", 10, 2, 2, cases=5_000, cases_per_dtype=200, repeats=50),
        Level("L1", 5, 1.5, 1.5, cases=10_000, cases_per_dtype=700, repeats=50),
        Level("L2", 2, 1.2, 1.2, cases=30_000, cases_per_dtype=700, repeats=1000),
    )
}


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Errors of one tensor. `small` counts the small elements whose error is above the bound."""

    mare: float = 0.0
    mere: float = 0.0
    rmse: float = 0.0
    small: int = 0


@dataclasses.dataclass(frozen=True)
class NotFinite:
    """Elements of which at least one of the three values is not finite, by what becomes of them."""

    wrong: int = 0  # golden and the benchmark agree, ours differs
    unclear: int = 0  # all three differ: somebody has to look
    as_benchmark: int = 0  # ours is what the benchmark has and golden has not
    benchmark_only: int = 0  # ours is finite as golden is, the benchmark is not: it sets no standard there
    first_wrong: int | None = None  # flat index


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One tensor by all rules that take a single call."""

    elements: int
    ours: Metrics
    benchmark: Metrics
    ratios: dict[str, float]
    not_finite: NotFinite
    single: bool  # the rule of the single benchmark holds

    def beyond(self, level: Level) -> list[str]:
        """The ratios beyond the limits of a level."""
        return [name for name, limit in level.limits.items() if self.ratios[name] > limit]


def compare(got: Tensor, golden: Tensor, benchmark: Tensor) -> Comparison:
    """Applies the rules to one output.

    Args:
        got: float16, bfloat16 or float32, any shape.
        golden: float64, of got's shape.
        benchmark: of got's shape and dtype.

    Raises:
        ValueError: another dtype or shape.
    """
    dtype = got.dtype
    if dtype not in SMALL:
        raise ValueError(f"got: expected float16, bfloat16 or float32, got {dtype}")
    if not got.shape == golden.shape == benchmark.shape:
        raise ValueError(
            f"expected tensors of one shape, got {list(got.shape)}, golden {list(golden.shape)}, "
            f"benchmark {list(benchmark.shape)}"
        )
    a, g, b = (t.detach().flatten().double() for t in (got, golden, benchmark))
    rounded = g.to(dtype).double()  # a golden value beyond the range of the dtype is infinite in it
    not_finite = NotFinite()
    if not bool((a + rounded + b).isfinite().all()):
        not_finite, finite = _not_finite(a, rounded, b)
        a, g, b = a[finite], g[finite], b[finite]
    ours, theirs = metrics(a, g, dtype), metrics(b, g, dtype)
    single = ours.mere < SINGLE[dtype] and ours.mare < 10 * SINGLE[dtype] and not_finite.wrong == 0
    return Comparison(
        elements=got.numel(),
        ours=ours,
        benchmark=theirs,
        ratios=ratios(ours, theirs),
        not_finite=not_finite,
        single=single,
    )


def relative_errors(a: Tensor, g: Tensor) -> Tensor:
    return (a - g).abs() / (g.abs() + OFFSET)


def metrics(a: Tensor, g: Tensor, dtype: torch.dtype) -> Metrics:
    """Errors of `a` against `g`, flat float64 tensors of finite numbers; `dtype` is that of the output."""
    if a.numel() == 0:
        return Metrics()
    threshold, bound = SMALL[dtype]
    error, size = (a - g).abs(), g.abs()
    small = size < threshold
    relative = torch.where(small, 0.0, error / (size + OFFSET))
    return Metrics(
        mare=float(relative.max()),
        mere=float(relative.sum() / (~small).sum().clamp(min=1)),
        rmse=float(error.square().mean().sqrt()),
        small=int((small & (error > bound)).sum()),
    )


def ratios(ours: Metrics, benchmark: Metrics) -> dict[str, float]:
    """Of ours to the benchmark's, under the names of RATIOS. 1 where neither errs, infinite where only ours does."""
    found = {name: _ratio(getattr(ours, name.lower()), getattr(benchmark, name.lower())) for name in RATIOS[:3]}
    return found | {"small": ours.small / max(benchmark.small, 1)}


def _ratio(ours: float, benchmark: float) -> float:
    if benchmark == 0:
        return 1.0 if ours == 0 else math.inf
    return ours / benchmark


def _not_finite(a: Tensor, g: Tensor, b: Tensor) -> tuple[NotFinite, Tensor]:
    """What becomes of elements that are not finite, and a mask of those where all three values are."""
    kind_a, kind_g, kind_b = _kind(a), _kind(g), _kind(b)
    finite = (kind_a == 0) & (kind_g == 0) & (kind_b == 0)
    wrong = (kind_a != kind_g) & (kind_g == kind_b)
    summary = NotFinite(
        wrong=int(wrong.sum()),
        unclear=int(((kind_a != kind_g) & (kind_a != kind_b) & (kind_g != kind_b)).sum()),
        as_benchmark=int(((kind_a == kind_b) & (kind_a != kind_g)).sum()),
        benchmark_only=int(((kind_a == 0) & (kind_g == 0) & (kind_b != 0)).sum()),
        first_wrong=int(wrong.int().argmax()) if bool(wrong.any()) else None,
    )
    return summary, finite


def _kind(values: Tensor) -> Tensor:
    """0 finite, 1 NaN, 2 infinity, 3 minus infinity."""
    kind = values.isnan().int()
    kind += 2 * (values == torch.inf).int()
    return kind + 3 * (values == -torch.inf).int()


@dataclasses.dataclass(frozen=True)
class Recheck:
    """A ratio over many seeds."""

    seeds: int
    median: float
    lower: float  # end of the confidence interval of the median
    upper: float
    passed: bool


def recheck(samples: list[float]) -> Recheck:
    """Whether ours is worse than the benchmark as a rule: the lower end of the median's interval is above 1."""
    values = np.sort(np.asarray(samples, dtype=np.float64))
    if len(values) < FEWEST_SEEDS:
        median = float(np.median(values)) if len(values) else math.nan
        return Recheck(len(values), median, math.nan, math.nan, False)
    generator = np.random.default_rng(0)
    ranks = np.sort(generator.integers(len(values), size=(BOOTSTRAPS, len(values))), axis=1)
    middle = (len(values) - 1) // 2, len(values) // 2  # of a resample, sorted by rank
    medians = np.sort((values[ranks[:, middle[0]]] + values[ranks[:, middle[1]]]) / 2)
    tail = round((1 - CONFIDENCE) / 2 * BOOTSTRAPS)
    lower, upper = float(medians[tail - 1]), float(medians[BOOTSTRAPS - tail])
    return Recheck(len(values), float(np.median(values)), lower, upper, lower <= 1)


def same_bits(first: Tensor, second: Tensor) -> bool:
    """Equal shapes, dtypes and bits, NaN included."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}[first.element_size()]
    return torch.equal(first.contiguous().view(integer), second.contiguous().view(integer))
