"""One call by the rules of acceptance: its metrics, repeated calls, and the re-check of what is beyond a limit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..sweep.cases import Case
from ..sweep.check import Evidence, call, clean, golden_results
from . import rules
from .benchmark import benchmark

# Bins of the histograms of relative errors: an eighth of a decade; the first takes what is smaller, zeros too.
HISTOGRAM_FIRST, HISTOGRAM_LAST, HISTOGRAM_STEP = -10.0, 2.0, 0.125
HISTOGRAM_BINS = round((HISTOGRAM_LAST - HISTOGRAM_FIRST) / HISTOGRAM_STEP)

PASSED, RECHECKED, PENDING, UNCLEAR, FAILED = (
    "passed",
    "passed on re-check",
    "to be re-checked",
    "to be looked into",
    "failed",
)
VERDICTS = (PASSED, RECHECKED, PENDING, UNCLEAR, FAILED)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a sweep is judged.

    level: name of a level of `rules`. repeats: calls that must give equal bits. seeds: of a re-check; with 0 what is
    beyond a limit is left to be re-checked later.
    """

    level: str = "L2"
    repeats: int = 3
    seeds: int = 200

    def __post_init__(self) -> None:
        if self.level not in rules.LEVELS:
            raise ValueError(f"level: expected one of {', '.join(rules.LEVELS)}, got {self.level!r}")
        if self.repeats < 1 or self.seeds < 0:
            raise ValueError(f"repeats, seeds: expected 1 and 0 or more, got {self.repeats} and {self.seeds}")


class Examiner:
    """Judges the evidence of a call; what it returns is plain data for JSON, infinity as None."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, evidence: Evidence, backend: str) -> dict[str, Any] | None:
        case = evidence.inputs.case
        if case.dtype == "float64":  # not a dtype of the device; the package's own budget judges it
            return None
        level = rules.LEVELS[self.settings.level]
        results, failures, again, unclear = {}, [], [], 0
        standard = benchmark(clean(evidence.inputs))
        for name, operator, got in outputs(evidence.results):
            base = name.removeprefix("grad.")
            golden, theirs = evidence.by.exact[base], standard[base]
            found = rules.compare(got, golden, theirs)
            beyond = found.beyond(level)
            again += [(name, ratio) for ratio in beyond]
            unclear += found.not_finite.unclear
            if found.not_finite.wrong:
                failures.append(
                    f"{base}: {_element(found.not_finite.first_wrong, got, golden, theirs)}; "
                    f"{found.not_finite.wrong} elements are not what golden and the benchmark agree on"
                )
            results[base] = {
                "operator": operator,
                "dtype": str(got.dtype).removeprefix("torch."),
                "elements": found.elements,
                "ours": dataclasses.asdict(found.ours),
                "benchmark": dataclasses.asdict(found.benchmark),
                "ratios": {ratio: _finite(value) for ratio, value in found.ratios.items()},
                "beyond": beyond,
                "worst": _element(worst(got, golden), got, golden, theirs) if beyond else None,
                "not_finite": dataclasses.asdict(found.not_finite),
                "single": found.single,
                "histogram": histogram(got, golden, theirs),
            }
        failures += [
            f"{name}: call {number} of {self.settings.repeats} gave other bits"
            for number, name in self.differing(evidence, backend)
        ]
        checks = self.recheck(case, backend, again) if self.settings.seeds else []
        failures += [
            f"{check['result']}: {check['ratio']} ratio beyond {level.limits[check['ratio']]:g}, median over "
            f"{check['seeds']} seeds {check['median'] if check['median'] is not None else math.inf:.3g}"
            for check in checks
            if not check["passed"]
        ]
        pending = bool(again) and not checks
        verdict = PENDING if pending else RECHECKED if checks else PASSED
        return {
            "verdict": FAILED if failures else UNCLEAR if unclear else verdict,
            "failures": failures,
            "results": results,
            "rechecks": checks,
            "repeats": self.settings.repeats,
        }

    def unfinished(self, record: dict[str, Any]) -> bool:
        """Whether an earlier sweep left a record's re-check to one like this."""
        return self.settings.seeds > 0 and record.get("acceptance", {}).get("verdict") == PENDING

    def differing(self, evidence: Evidence, backend: str) -> Iterator[tuple[int, str]]:
        """(number of the call, result) where a repeated call gives other bits."""
        for number in range(2, self.settings.repeats + 1):
            _, repeated = call(evidence.inputs.case, backend, autograd=False)
            for name, result in repeated.items():
                if not rules.same_bits(evidence.results[name], result):
                    yield number, name

    def recheck(self, case: Case, backend: str, beyond: list[tuple[str, str]]) -> list[dict[str, Any]]:
        """The ratios that are beyond their limits, over other seeds."""
        samples: dict[tuple[str, str], list[float]] = {key: [] for key in beyond}
        for number in range(self.settings.seeds if beyond else 0):
            other = dataclasses.replace(case, seed=reseeded(case.seed, number))
            inputs, results = call(other, backend, autograd=False)
            exact, standard = golden_results(inputs), benchmark(clean(inputs))
            for name in dict.fromkeys(name for name, _ in beyond):
                base = name.removeprefix("grad.")
                ratios = rules.compare(results[name], exact[base], standard[base]).ratios
                for key in beyond:
                    if key[0] == name:
                        samples[key].append(ratios[key[1]])
        checks = []
        for (name, ratio), values in samples.items():
            result = dataclasses.asdict(rules.recheck(values))
            values_of = {key: _finite(value) if isinstance(value, float) else value for key, value in result.items()}
            checks.append({"result": name.removeprefix("grad."), "ratio": ratio} | values_of)
        return checks


def outputs(results: dict[str, Tensor]) -> Iterator[tuple[str, str, Tensor]]:
    """(name, operator, value) of each output that is judged.

    Gradients are those of FlashAttentionScoreGrad called on what FlashAttentionScore returned; where a call cannot be
    made that way (dropout bits of one's own), those that autograd got from it.
    """
    for name, value in results.items():
        gradient = name.startswith(("grad.", "d"))
        if gradient and f"grad.{name}" in results:
            continue
        yield name, "FlashAttentionScoreGrad" if gradient else "FlashAttentionScore", value


def reseeded(seed: int, number: int) -> int:
    """Another seed of a case, for its re-check."""
    return (seed * 6364136223846793005 + 1442695040888963407 * (number + 1)) % (1 << 62)


def histogram(got: Tensor, golden: Tensor, benchmark: Tensor) -> list[list[int]]:
    """[bin, elements of ours, elements of the benchmark] of the relative errors, for the bins that have any."""
    counts = []
    g = golden.flatten()
    for values in (got, benchmark):
        error = rules.relative_errors(values.flatten().double(), g)
        error = error[error.isfinite()]
        at = ((error.clamp(min=1e-300).log10() - HISTOGRAM_FIRST) / HISTOGRAM_STEP).floor().long()
        counts.append(torch.bincount(at.clamp(0, HISTOGRAM_BINS - 1), minlength=HISTOGRAM_BINS))
    ours, theirs = counts
    return [[int(bin), int(ours[bin]), int(theirs[bin])] for bin in (ours + theirs).nonzero().flatten()]


def worst(got: Tensor, golden: Tensor) -> int:
    """Flat index of the largest relative error."""
    return int(rules.relative_errors(got.double(), golden).nan_to_num(-1, -1).argmax())


def _element(flat: int | None, got: Tensor, golden: Tensor, benchmark: Tensor) -> str:
    if flat is None:
        return ""
    at = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), got.shape))
    return (
        f"[{', '.join(map(str, at))}] expected {float(golden[at]):.9g}, got {float(got[at]):.9g}, "
        f"the benchmark {float(benchmark[at]):.9g}"
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
