"""Acceptance from the command line to the page: a good and a bad backend, each rule's way into the report."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from npu_flash_attention import backends
from npu_flash_attention.acceptance.benchmark import benchmark
from npu_flash_attention.acceptance.cases import DISTRIBUTIONS, MODELS, acceptance_cases, model_of
from npu_flash_attention.acceptance.examine import FAILED, PASSED, PENDING, RECHECKED, Examiner, Settings, outputs
from npu_flash_attention.cli import FAILED as EXIT_FAILED
from npu_flash_attention.cli import OK, USAGE, main
from npu_flash_attention.sweep.cases import NOT_FINITE, Case
from npu_flash_attention.sweep.check import golden_results, operator_results, run
from npu_flash_attention.sweep.generate import random_cases
from npu_flash_attention.sweep.inputs import build, contents


class Altered:
    """The CPU backend with something done to its forward output."""

    name = "altered"

    def __init__(self, change: Any) -> None:
        self.change = change
        self.calls = 0

    def unavailable(self) -> None:
        return None

    def rejects(self, call: Any, problem: Any) -> None:
        return None

    def forward(self, call: Any, problem: Any) -> Any:
        self.calls += 1
        out, softmax_max, softmax_sum = backends.BACKENDS["cpu"].forward(call, problem)
        return self.change(out, self.calls), softmax_max, softmax_sum

    def backward(self, *arguments: Any) -> Any:
        return backends.BACKENDS["cpu"].backward(*arguments)


def altered(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    monkeypatch.setitem(backends.BACKENDS, "altered", Altered(change))


CASE = Case(dtype="bfloat16", heads=2, q_len=17, kv_len=20, head_dim=16, values="uniform_wide", seed=5)


def verdict(case: Case, backend: str, **settings: Any) -> dict[str, Any]:
    outcome = run(case, backend, Examiner(Settings(**settings)))
    assert outcome.acceptance is not None, outcome.message
    return outcome.acceptance


def test_a_good_result_passes() -> None:
    found = verdict(CASE, "cpu")
    assert found["verdict"] == PASSED and not found["failures"]
    assert set(found["results"]) == {"attention_out", "softmax_max", "softmax_sum", "dq", "dk", "dv"}
    assert found["results"]["dq"]["operator"] == "FlashAttentionScoreGrad"
    assert found["results"]["softmax_sum"]["dtype"] == "float32"


def test_a_systematic_error_fails_the_recheck(monkeypatch: pytest.MonkeyPatch) -> None:
    altered(monkeypatch, lambda out, call: out * 1.1)
    found = verdict(CASE, "altered", repeats=1)
    assert found["verdict"] == FAILED
    failing = {(check["result"], check["ratio"]) for check in found["rechecks"] if not check["passed"]}
    assert ("attention_out", "RMSE") in failing
    assert all(check["seeds"] == 200 for check in found["rechecks"])


def test_bad_luck_passes_the_recheck(monkeypatch: pytest.MonkeyPatch) -> None:
    altered(monkeypatch, lambda out, call: out * (1.1 if call == 1 else 1))
    found = verdict(CASE, "altered", repeats=1)
    assert found["verdict"] == RECHECKED and found["rechecks"]


def test_a_recheck_can_wait_but_not_be_small(monkeypatch: pytest.MonkeyPatch) -> None:
    altered(monkeypatch, lambda out, call: out * 1.1)
    assert verdict(CASE, "altered", repeats=1, seeds=0)["verdict"] == PENDING
    assert verdict(CASE, "altered", repeats=1, seeds=3)["verdict"] == FAILED


def test_a_nan_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(out: torch.Tensor, call: int) -> torch.Tensor:
        out[0, 1, 2, 3] = torch.nan
        return out

    altered(monkeypatch, spoil)
    found = verdict(CASE, "altered", repeats=1, seeds=0)
    assert found["verdict"] == FAILED
    assert found["failures"][0].startswith("attention_out: [0, 1, 2, 3] expected ")


def test_other_bits_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    altered(monkeypatch, lambda out, call: torch.nextafter(out, out + call) if call == 3 else out)
    found = verdict(CASE, "altered", repeats=3, seeds=0)
    assert found["verdict"] == FAILED
    assert "attention_out: call 3 of 3 gave other bits" in found["failures"]


@pytest.mark.parametrize("values", NOT_FINITE)
def test_inputs_of_nan_and_infinity(values: str) -> None:
    case = dataclasses.replace(CASE, values=values, mask="SS", mask_content="random", sparse_mode=1, sink=True)
    outcome = run(case, "cpu", Examiner(Settings(repeats=2, seeds=0)))
    assert outcome.status == "ok" and outcome.acceptance is not None
    assert not outcome.acceptance["failures"]


def test_float64_is_not_for_these_rules() -> None:
    outcome = run(dataclasses.replace(CASE, dtype="float64"), "cpu", Examiner(Settings()))
    assert outcome.status == "ok" and outcome.acceptance is None


BENCHMARKED = [case for case in random_cases(4, 80) if case.dtype == "float32" and 0 < case.scores < 20_000]


@pytest.mark.parametrize("case", BENCHMARKED, ids=lambda case: case.id)
def test_the_benchmark_is_right(case: Case) -> None:
    """It has every output of the operator, and in float32 it is near golden."""
    inputs = build(dataclasses.replace(case, poison=False))
    exact, found = golden_results(inputs), benchmark(inputs)
    with backends.backend("cpu"):
        ours = operator_results(inputs, autograd=False)
    assert set(found) == set(exact) == {name.removeprefix("grad.") for name in ours}
    for name, _, got in outputs(ours):
        base = name.removeprefix("grad.")
        assert found[base].dtype == got.dtype and found[base].shape == got.shape
        assert torch.allclose(found[base].double(), exact[base], rtol=1e-3, atol=1e-4), base


def test_the_benchmark_rounds_as_its_dtype_does() -> None:
    inputs = build(CASE)
    exact, found = golden_results(inputs), benchmark(inputs)
    error = (found["attention_out"].double() - exact["attention_out"]).abs().max()
    assert found["attention_out"].dtype == torch.bfloat16 and 1e-4 < error < 0.5


# ---- cases ----


def test_cases_have_the_inputs_of_their_level() -> None:
    for level, shares in DISTRIBUTIONS.items():
        cases = list(acceptance_cases(level, 0, 400))
        assert cases == list(acceptance_cases(level, 0, 400)) and len({case.id for case in cases}) == 400
        counts = Counter(case.values for case in cases)
        assert set(shares) <= set(counts) <= set(shares) | set(NOT_FINITE)
        for name, share in shares.items():
            assert abs(counts[name] / 400 - share) < 0.08, (level, name)
        dtypes = Counter(case.dtype for case in cases)
        assert set(dtypes) == {"float16", "bfloat16", "float32"} and min(dtypes.values()) > 90
        models = sum(model_of(case) is not None for case in cases)
        assert 90 < models < 180 if level == "L2" else models < 20


def test_shapes_of_models_are_valid() -> None:
    seen = set()
    for case in acceptance_cases("L2", 1, 300):
        if (name := model_of(case)) is not None and name not in seen:
            seen.add(name)
            assert run(case, "cpu").status == "ok", case.to_json()
    assert seen == set(MODELS)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [("uniform_tiny", 9e-4, 1e-3), ("uniform_wide", 4.9, 5.0), ("outliers_large", 200, 6000)],
)
def test_distributions(values: str, low: float, high: float) -> None:
    numbers = contents(values, (10_000,), torch.Generator().manual_seed(0))
    assert low < numbers.abs().max() <= high
    if values == "outliers_large":
        assert 5 <= (numbers.abs() > 10).sum() <= 10


def test_shifted_normal_inputs() -> None:
    means, deviations = [], []
    for seed in range(50):
        numbers = contents("normal_shifted", (2_000,), torch.Generator().manual_seed(seed))
        means.append(float(numbers.mean()))
        deviations.append(float(numbers.std()))
    assert -103 < min(means) < -60 and 60 < max(means) < 103
    assert 0.9 < min(deviations) < 5 and 20 < max(deviations) < 27


# ---- the report ----


def test_report_of_a_good_backend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    html, data = tmp_path / "report.html", tmp_path / "report.json"
    command = ["sweep", "--dtype", "float16,bfloat16", "--layout", "BNSD,TND", "--mode", "3", "--seq", "40", "--quiet"]
    assert main([*command, "--report", str(html), "--json", str(data), "--repeats", "2"]) in (OK, EXIT_FAILED)
    assert "L2: " in capsys.readouterr().out
    page, content = html.read_text(), json.loads(data.read_text())
    assert not re.search(r"(src|href)=.https?:|url\(.?http|<script|<link|@import", page)
    assert page.count("<svg") >= 4  # ratios, errors, dtype, layout
    assert content["about"]["backend"] == "cpu" and content["about"]["command"].startswith("npu-flash-attention sweep")
    assert len(content["cases"]) == content["summary"]["cases"] == 4
    assert sum(content["summary"]["verdicts"].values()) == 4
    assert not content["summary"]["complete"]  # four cases are not 30,000
    assert {row["output"] for row in content["summary"]["operators"]} >= {"attention_out", "dq", "dk", "dv"}
    assert all(
        0 <= bin < 96 for case in content["cases"] for bin, _, _ in case["acceptance"]["results"]["dq"]["histogram"]
    )


def test_report_of_a_bad_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    altered(monkeypatch, lambda out, call: out * 1.1)
    html, data = tmp_path / "report.html", tmp_path / "report.json"
    command = ["sweep", "--backend", "altered", "--case", CASE.to_json(), "--quiet", "--repeats", "1"]
    assert main([*command, "--report", str(html), "--json", str(data)]) == EXIT_FAILED
    text = capsys.readouterr().out
    assert "NOT ACCEPTED" in text and "L2: not accepted (1 failed)" in text
    again = next(line for line in text.splitlines() if "--backend altered --accept L2" in line)
    assert main([*shlex.split(again)[1:], "--quiet"]) == EXIT_FAILED
    page, summary = html.read_text(), json.loads(data.read_text())["summary"]
    assert summary["verdict"] == "not accepted" and summary["failed"][0]["id"] == CASE.id
    assert "RMSE ratio beyond 1.2" in page and "Failed (1)" in page and "not accepted" in page
    rows = {row["rule"]: row for row in summary["rules"]}
    assert rows["RMSE ratio"]["first"] >= 1 and rows["RMSE ratio"]["failed"] >= 1
    assert summary["worst"][0]["id"] == CASE.id


def test_resume_does_the_rechecks_that_were_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    altered(monkeypatch, lambda out, call: out * 1.1)
    command = ["sweep", "--backend", "altered", "--case", CASE.to_json(), "--accept", "L2", "--quiet", "--repeats", "1"]
    assert main([*command, "--out", str(tmp_path), "--seeds", "0"]) == EXIT_FAILED
    assert "L2: undecided (1 to be re-checked)" in capsys.readouterr().out
    assert main([*command, "--out", str(tmp_path), "--resume"]) == EXIT_FAILED
    assert "L2: not accepted (1 failed)" in capsys.readouterr().out
    assert main([*command[:5], "--quiet", "--out", str(tmp_path), "--resume"]) == USAGE
    assert "expected results under None, got L2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--accept", "L3"], "level: expected one of L0, L1, L2, got 'L3'"),
        (["--accept", "L2", "--repeats", "0"], "repeats, seeds: expected 1 and 0 or more, got 0 and 200"),
        (["--report", "no/such/folder/x.html"], "no/such/folder/x.html: expected a folder no/such/folder"),
        (["--backend", "npu", "--accept", "L2"], "backend 'npu'"),
    ],
)
def test_a_wrong_command(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--count", "1", *arguments]) == USAGE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("module", ["matplotlib.figure", "jinja2"])
def test_a_missing_library_is_told_before_the_sweep(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["sweep", "--count", "1", "--report", str(tmp_path / "x.html")]) == USAGE
    assert "npu_flash_attention[report]" in capsys.readouterr().err
