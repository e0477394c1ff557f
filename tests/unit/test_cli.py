"""The command line as a user meets it: exit codes, messages, results that survive an interrupt."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import npu_flash_attention
import pytest
from npu_flash_attention import backends
from npu_flash_attention.cli import FAILED, INTERRUPTED, OK, USAGE, main
from npu_flash_attention.sweep.generate import random_cases


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()][1:]


class OffByALittle:
    """The CPU backend with outputs 1 % too large."""

    name = "crooked"

    def unavailable(self):
        return None

    def rejects(self, call, problem):
        return None

    def forward(self, call, problem):
        out, softmax_max, softmax_sum = backends.BACKENDS["cpu"].forward(call, problem)
        return out * 1.01, softmax_max, softmax_sum

    def backward(self, *arguments):
        return backends.BACKENDS["cpu"].backward(*arguments)


@pytest.fixture
def crooked(monkeypatch):
    monkeypatch.setitem(backends.BACKENDS, "crooked", OffByALittle())


# ---- sweep ----


def test_sweep_writes_a_line_per_case_and_tables(tmp_path, capsys):
    assert main(["sweep", "--count", "12", "--seed", "3", "--out", str(tmp_path)]) == OK
    assert "12 calls on cpu: 12 ok" in capsys.readouterr().out
    found = records(tmp_path)
    assert [record["id"] for record in found] == [case.id for case in random_cases(3, 12)]
    assert all(record["results"]["attention_out"][2] <= 1 for record in found)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["counts"]["ok"] == 12 and summary["backend"] == "cpu" and not summary["interrupted"]
    by_layout = [row for row in summary["groups"] if row["group"] == "layout"]
    assert sum(row["cases"] for row in by_layout) == 12
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert len(rows) == sum(len(record["results"]) for record in found)
    assert {row["status"] for row in rows} == {"ok"}


def test_a_failure_says_where_and_how_to_see_it_again(crooked, tmp_path, capsys):
    assert main(["sweep", "--count", "6", "--backend", "crooked", "--out", str(tmp_path)]) == FAILED
    text = capsys.readouterr().out
    assert "attention_out[" in text and "above the budget" in text
    line = next(line for line in text.splitlines() if "npu-flash-attention sweep --backend crooked" in line)
    again = shlex.split(line)[1:]
    assert main(again) == FAILED
    again[again.index("crooked")] = "cpu"
    assert main(again) == OK
    assert any(record["status"] == "failed" for record in records(tmp_path))


def test_the_table_names_the_worst_of_each_group(capsys):
    assert main(["sweep", "--layout", "BNSD,TND", "--dtype", "float16,float64", "--mode", "3", "--seq", "5"]) == OK
    text = capsys.readouterr().out
    assert all(word in text for word in ("worst errors", "layout", "BNSD", "TND", "float16", "4 calls on cpu: 4 ok"))


def test_cases_from_yaml_and_toml(tmp_path, capsys):
    yaml_file, toml_file = tmp_path / "cases.yaml", tmp_path / "cases.toml"
    yaml_file.write_text(
        "cases:\n"
        "  - {layout: [BSH, SBH], dtype: float64, q_len: [1, 7], heads: 2, sparse_mode: [2, 3]}\n"
        "  - {layout: TND, q_lens: [[3, 4], [0, 5]], dtype: float32, pse: N}\n"
    )
    toml_file.write_text('layout = ["BSND"]\nq_len = [3, 4, 5]\ndtype = "bfloat16"\nsink = true\n')
    assert main(["sweep", "--file", str(yaml_file), "--out", str(tmp_path / "a")]) == OK
    assert main(["sweep", "--file", str(toml_file), "--out", str(tmp_path / "b")]) == OK
    first, second = records(tmp_path / "a"), records(tmp_path / "b")
    assert len(first) == 10 and len(second) == 3
    assert first[-1]["case"]["q_lens"] == [0, 5] and first[-1]["case"]["kv_lens"] == [0, 5]
    assert all(record["case"]["sink"] for record in second)


def test_filter_by_id_by_pattern_and_by_feature(capsys):
    for text, expected in (("layout:TND", "TND"), ("BSH-*", "BSH"), ("fp64-", "fp64")):
        assert main(["sweep", "--count", "40", "--filter", text, "--list"]) == OK
        ids = capsys.readouterr().out.split()
        assert ids and all(expected in name for name in ids)


def test_resume_runs_only_what_is_missing(tmp_path, capsys):
    assert main(["sweep", "--count", "5", "--out", str(tmp_path)]) == OK
    before = (tmp_path / "results.jsonl").read_bytes()
    capsys.readouterr()
    assert main(["sweep", "--count", "8", "--out", str(tmp_path), "--resume"]) == OK
    assert "8 calls on cpu: 8 ok (5 of them from before)" in capsys.readouterr().out
    assert (tmp_path / "results.jsonl").read_bytes().startswith(before)
    assert [record["id"] for record in records(tmp_path)] == [case.id for case in random_cases(0, 8)]


def test_resume_drops_a_line_that_was_cut_short(tmp_path):
    assert main(["sweep", "--count", "4", "--out", str(tmp_path), "--quiet"]) == OK
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    assert main(["sweep", "--count", "4", "--out", str(tmp_path), "--quiet", "--resume"]) == OK
    assert [record["id"] for record in records(tmp_path)] == [case.id for case in random_cases(0, 4)]


def test_failures_from_before_still_count(crooked, tmp_path, capsys):
    assert main(["sweep", "--count", "3", "--backend", "crooked", "--out", str(tmp_path)]) == FAILED
    assert main(["sweep", "--count", "3", "--backend", "crooked", "--out", str(tmp_path), "--resume"]) == FAILED


def test_results_of_another_backend_are_not_mixed(tmp_path, capsys):
    assert main(["sweep", "--count", "1", "--out", str(tmp_path), "--quiet"]) == OK
    assert main(["sweep", "--count", "1", "--out", str(tmp_path), "--backend", "golden", "--resume"]) == USAGE
    assert "expected results of backend golden, got cpu" in capsys.readouterr().err
    assert main(["sweep", "--count", "1", "--out", str(tmp_path)]) == USAGE
    assert "--resume continues it" in capsys.readouterr().err


def test_an_interrupt_loses_nothing(tmp_path):
    """A real Ctrl-C in a real process, then the rest of the sweep."""
    command = [sys.executable, "-m", "npu_flash_attention.cli", "sweep", "--out", str(tmp_path), "--quiet"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--count", "5000"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log = tmp_path / "results.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and log.read_bytes().count(b"\n") > 4):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, errors
    assert "interrupted" in errors and "Traceback" not in errors
    done = records(tmp_path)
    assert len(done) >= 4
    assert json.loads((tmp_path / "summary.json").read_text())["interrupted"]
    count = len(done) + 3
    assert main(["sweep", "--out", str(tmp_path), "--count", str(count), "--resume", "--quiet"]) == OK
    assert records(tmp_path)[: len(done)] == done
    assert [record["id"] for record in records(tmp_path)] == [case.id for case in random_cases(0, count)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "--backend", "abacus"], "backend: expected one of"),
        (["sweep", "--backend", "npu"], "backend 'npu'"),
        (["sweep", "--resume"], "--resume: expected --out"),
        (["sweep", "--count", "-1"], "--count: expected 0 or more, got -1"),
        (["sweep", "--count", "many"], "invalid int value"),
        (["sweep", "--case", "{"], "--case: expected JSON"),
        (["sweep", "--case", "[1]"], "--case: expected a JSON object"),
        (["sweep", "--case", '{"colour": 3}'], "got 'colour'"),
        (["sweep", "--case", '{"heads": "two"}'], "heads: expected int, got 'two'"),
        (["sweep", "--file", "missing.yaml"], "missing.yaml"),
        (["sweep", "--filter", "no such thing"], "nothing matches"),
        (["sweep", "--case", "{}", "--layout", "BSH"], "expected one source of calls"),
        (["sweep", "--layout", "BXH"], "layout: expected one of"),
        (["sweep", "--seq", "1,x"], "--seq: expected a whole number, got 'x'"),
        (["explain", "--mode", "9"], "sparse_mode value must be in range"),
        (["explain", "--mode", "9"], "aclnn status 561002"),
        (["explain", "--head-dim", "1000"], "expected a head size of 1 to 768"),
        (["explain", "--sequence", "1"], "--sequence: expected 0 to 0, got 1"),
        (["explain", "--width", "0"], "--width"),
        (["explain", "--heads", "2.5"], "--heads: expected a whole number"),
        (["dance"], "invalid choice"),
    ],
)
def test_a_wrong_command_is_told_so_without_a_traceback(arguments, message, capsys):
    assert main(arguments) == USAGE
    text = capsys.readouterr().err
    assert message in text and "Traceback" not in text


def test_a_sweep_of_refused_calls_only_is_not_a_success(capsys):
    assert main(["sweep", "--mode", "7", "--layout", "BNSD"]) == USAGE
    assert "refused" in capsys.readouterr().out


def test_files_that_are_no_cases_are_refused(tmp_path, capsys):
    for name, text in (("a.yaml", "- 1"), ("b.toml", "x ="), ("c.txt", ""), ("d.yaml", "cases: 3"), ("e.yaml", "{")):
        path = tmp_path / name
        path.write_text(text)
        assert main(["sweep", "--file", str(path)]) == USAGE
        assert name in capsys.readouterr().err


def test_help_and_version(capsys):
    for arguments in (["--help"], ["sweep", "--help"], ["explain", "--help"]):
        assert main(arguments) == OK
        assert "exit codes" in capsys.readouterr().out
    assert main(["--version"]) == OK
    assert npu_flash_attention.__version__ in capsys.readouterr().out
    assert main([]) == USAGE
    assert "sweep" in capsys.readouterr().out


# ---- explain ----


def test_explain_prints_the_problem_and_the_mask(capsys):
    flags = "--layout TND --q-lens 3,0,4 --kv-lens 5,2,4 --mode 3 --heads 4 --kv-heads 2 --sequence 2 --dtype float16"
    assert main(["explain", *flags.split()]) == OK
    lines = capsys.readouterr().out.splitlines()
    text = "\n".join(lines)
    assert "Sq 3, Skv 5; sees -3 <= column - row <= 2" in text
    assert lines[-5:-1] == ["#...", "##..", "###.", "####"]
    assert "not golden" in text and "4 query heads on 2" in text


def test_explain_draws_a_png(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "mask.png"
    assert (
        main(["explain", "--mode", "4", "--seq", "300", "--pre-tokens", "20", "--next-tokens", "5", "--png", str(path)])
        == OK
    )
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 2000


def test_explain_without_matplotlib_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["explain", "--mode", "2", "--png", str(tmp_path / "x.png")]) == USAGE
    assert "npu_flash_attention[plot]" in capsys.readouterr().err


def test_explain_takes_sizes_that_no_memory_holds(capsys):
    assert (
        main(
            [
                "explain",
                "--mode",
                "4",
                "--seq",
                "1000000",
                "--heads",
                "256",
                "--pre-tokens",
                "4096",
                "--next-tokens",
                "0",
            ]
        )
        == OK
    )
    text = capsys.readouterr().out
    assert "a character stands for" in text and "TFLOP" in text
