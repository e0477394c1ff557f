"""Runs cases one after another; each result is on disk before the next case starts.

A folder of results holds

    results.jsonl   first line: what was run (backend, versions); then one line for each case, appended as it finishes
    results.csv     one row for each result of each case, written at the end, on an interrupt too
    summary.json    counts and the worst results by group, written with the CSV
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TextIO

import torch

from .. import __version__
from .cases import Case, case_from, features
from .check import Evidence, Outcome, run
from .report import summary

STATUSES = ("ok", "failed", "refused", "skipped")
_CSV_FIELDS = ("layout", "dtype", "sparse_mode", "mask", "pse", "pse_type", "dropout")  # of the case
_CSV_COLUMNS = ("id", "status", *_CSV_FIELDS, "result", "error", "plain_error", "ratio", "message")


class ResultsError(ValueError):
    """The folder of results cannot be used as asked."""


@dataclasses.dataclass
class Run:
    """What a sweep did: one record for each case, of this run and of those it resumed."""

    records: list[dict[str, Any]]
    interrupted: bool = False
    resumed: int = 0  # records that were there before

    def count(self, status: str) -> int:
        return sum(record["status"] == status for record in self.records)


class Accept(Protocol):
    """Rules beside the package's own; see `check.run`."""

    def __call__(self, evidence: Evidence, backend: str) -> dict[str, Any] | None: ...

    def unfinished(self, record: dict[str, Any]) -> bool:
        """Whether a case must run again although the results have it."""


def sweep(
    cases: Iterable[Case],
    backend: str,
    out: Path | None = None,
    resume: bool = False,
    progress: Callable[[dict[str, Any], Outcome | None], None] | None = None,
    accept: Accept | None = None,
    rules: str = "",
) -> Run:
    """Runs the cases on a backend. An interrupt (Ctrl-C) ends the sweep and keeps what is done.

    Args:
        out: folder for the results, made where missing; None keeps them in memory.
        resume: continue in a folder that has results; cases found there are not run again.
        progress: called with the record of each case, and its Outcome where it ran now.
        accept: judges the results by further rules, see `check.run`; such a verdict is kept in the record.
        rules: a name for these rules; results under others are not continued.

    Raises:
        ResultsError: `out` has results and resume is False, or they are of another backend or under other rules.
    """
    header = {"backend": backend, "torch": torch.__version__, "version": __version__}
    header |= {"rules": rules} if rules else {}
    done: dict[str, dict[str, Any]] = {}
    log: TextIO | None = None
    if out is not None:
        log, done = _open_log(out, header, resume)
    result = Run([])
    try:
        for case in cases:
            record, outcome = done.get(case.id), None
            if record is not None and not (accept and accept.unfinished(record)):
                result.resumed += 1
            else:
                outcome = run(case, backend, accept)
                record = record_of(outcome)
                if log is not None:
                    _append(log, record)
            result.records.append(record)
            if progress is not None:
                progress(record, outcome)
    except KeyboardInterrupt:
        result.interrupted = True
    finally:
        if log is not None:
            log.close()
    if out is not None:
        _write_tables(out, header, result)
    return result


def record_of(outcome: Outcome) -> dict[str, Any]:
    """An Outcome as JSON has it; infinity, which JSON lacks, becomes None."""
    worst = outcome.worst
    record = {
        "id": outcome.case.id,
        "status": outcome.status,
        "seconds": round(outcome.seconds, 4),
        "message": outcome.message,
        "worst": worst.name if worst else None,
        "results": {c.name: [_finite(c.error), _finite(c.plain_error), _finite(c.ratio)] for c in outcome.comparisons},
        "features": sorted(features(outcome.case)),
        "case": outcome.case.changed(),
    }
    return record if outcome.acceptance is None else record | {"acceptance": outcome.acceptance}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _append(log: TextIO, record: dict[str, Any]) -> None:
    log.write(json.dumps(record) + "\n")
    log.flush()


def _open_log(out: Path, header: dict[str, Any], resume: bool) -> tuple[TextIO, dict[str, dict[str, Any]]]:
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.jsonl"
    if not path.exists():
        log = path.open("w", encoding="utf-8")
        _append(log, {"sweep": header | {"started": time.strftime("%Y-%m-%dT%H:%M:%S")}})
        return log, {}
    if not resume:
        raise ResultsError(f"{path} exists: --resume continues it, another --out starts afresh")
    records, intact = _read_log(path)
    first = records.pop(0).get("sweep", {}) if records else {}
    if first.get("backend") != header["backend"]:
        raise ResultsError(f"{path}: expected results of backend {header['backend']}, got {first.get('backend')}")
    if first.get("rules") != header.get("rules"):
        raise ResultsError(f"{path}: expected results under {header.get('rules')}, got {first.get('rules')}")
    with path.open("r+b") as file:
        file.truncate(intact)  # a line that was cut short by the end of its process
    return path.open("a", encoding="utf-8"), {record["id"]: record for record in records}


def _read_log(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Records, and the number of bytes up to the last whole line."""
    records, intact = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or not line.endswith(b"\n"):
            break
        records.append(record)
        intact += len(line)
    return records, intact


def _write_tables(out: Path, header: dict[str, Any], result: Run) -> None:
    with (out / "results.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_CSV_COLUMNS)
        for record in result.records:
            case = case_from(record["case"])
            what = (record["id"], record["status"], *(getattr(case, field) for field in _CSV_FIELDS))
            for name, values in record["results"].items() or [("", ("", "", ""))]:
                writer.writerow((*what, name, *values, record["message"]))
    content = header | {
        "interrupted": result.interrupted,
        "counts": {status: result.count(status) for status in STATUSES},
        "groups": [dataclasses.asdict(row) for row in summary(result.records)],
    }
    (out / "summary.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
