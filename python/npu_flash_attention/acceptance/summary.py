"""What a sweep under the rules of acceptance amounts to: counts, worst cases, and how much of the standard was run."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..sweep.cases import case_from
from . import rules
from .cases import DISTRIBUTIONS, model_of
from .examine import FAILED, PENDING, RECHECKED, UNCLEAR, VERDICTS, Settings

GROUPS = {
    "dtype": "dtype",
    "layout": "layout",
    "mode": "sparse mode",
    "mask": "mask",
    "pse": "position bias",
    "dropout": "dropout",
    "heads": "heads",
    "D": "head size D",
    "S": "longest sequence",
    "values": "inputs",
    "model": "model shapes",
    "memory": "memory",
    "sink": "sink",
    "entry": "entry point",
}
WORST = 20
_EDGES = {"D": (16, 32, 64, 128, 256), "S": (1, 16, 64, 128, 512)}
_ELEMENTS = 1_000_000


def command_of(record: dict[str, Any], backend: str, settings: Settings) -> str:
    """The command that repeats a case under the same rules."""
    case = shlex.quote(json.dumps(record["case"], separators=(",", ":")))
    return (
        f"npu-flash-attention sweep --backend {backend} --accept {settings.level} --repeats {settings.repeats} "
        f"--seeds {settings.seeds} --case {case}"
    )


def judged(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record.get("acceptance")]


def summarise(records: Sequence[dict[str, Any]], backend: str, settings: Settings) -> dict[str, Any]:
    """The summary as plain data.

    Args:
        records: of `sweep.runner.sweep`, with an `acceptance` where the rules were applied.
        backend: that was swept.
        settings: under which it was.
    """
    level = rules.LEVELS[settings.level]
    accepted = judged(records)
    others = Counter(record["status"] for record in records if not record.get("acceptance"))
    verdicts = Counter(record["acceptance"]["verdict"] for record in accepted)
    crashed = [record for record in records if record["status"] == "failed" and not record.get("acceptance")]
    bad = verdicts[FAILED] + len(crashed)
    coverage = _coverage(accepted, level, settings)
    return {
        "verdict": "not accepted"
        if bad or not accepted
        else "undecided"
        if verdicts[UNCLEAR] + verdicts[PENDING]
        else "accepted",
        "complete": all(row["met"] for row in coverage),
        "cases": len(records),
        "verdicts": {name: verdicts[name] for name in VERDICTS},
        "not_judged": dict(others),
        "budget_failed": sum(record["status"] == "failed" for record in accepted),
        "rules": _rules(accepted, level),
        "operators": _operators(accepted),
        "coverage": coverage,
        "groups": {group: rows for group in GROUPS if (rows := _group(accepted, group))},
        "failed": [
            _line(record, backend, settings)
            for record in [*crashed, *(r for r in accepted if r["acceptance"]["verdict"] == FAILED)]
        ],
        "lists": {
            verdict: [
                _line(record, backend, settings) for record in accepted if record["acceptance"]["verdict"] == verdict
            ]
            for verdict in (UNCLEAR, PENDING, RECHECKED)
        },
        "worst": _worst(accepted, level, backend, settings),
    }


def features_of(record: dict[str, Any]) -> set[str]:
    """The features of a record, with ranges of D and S and the model whose shape it has."""
    case = case_from(record["case"])
    longest = max((max(pair) for pair in case.lengths), default=0)
    model = model_of(case)
    words = set(record["features"]) | {f"D:{_range('D', case.head_dim)}", f"S:{_range('S', longest)}"}
    return words | ({f"model:{model}"} if model else set())


def _range(name: str, value: int) -> str:
    lower = 0
    for edge in _EDGES[name]:
        if value <= edge:
            return str(edge) if edge - lower <= 1 else f"{lower + 1} to {edge}"
        lower = edge
    return f"above {lower}"


def _order(text: str) -> tuple[int, str]:
    """Ranges by number, words by letter."""
    digits = "".join(c for c in text.split(" to ")[0] if c.isdigit())
    return (int(digits) if digits else 0) + (text.startswith("above")), text


def ratio_of(result: dict[str, Any], name: str) -> float:
    value = result["ratios"][name]
    return math.inf if value is None else value


def _group(records: Sequence[dict[str, Any]], group: str) -> list[dict[str, Any]]:
    members: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        for feature in features_of(record):
            name, value = feature.split(":", 1)
            if name == group:
                members.setdefault(value, []).append(record)
    rows = []
    for value in sorted(members, key=_order):
        found = members[value]
        verdicts = Counter(record["acceptance"]["verdict"] for record in found)
        worst = [max_ratio(record, "RMSE") for record in found]
        rows.append(
            {
                "value": value,
                "cases": len(found),
                "verdicts": {name: verdicts[name] for name in VERDICTS},
                "rmse": [number if math.isfinite(number) else None for number in worst],
            }
        )
    return rows


def max_ratio(record: dict[str, Any], name: str) -> float:
    """The largest ratio of a case's results."""
    return max((ratio_of(result, name) for result in record["acceptance"]["results"].values()), default=0.0)


def _results(records: Iterable[dict[str, Any]]) -> Iterable[tuple[dict[str, Any], str, dict[str, Any]]]:
    for record in records:
        for name, result in record["acceptance"]["results"].items():
            yield record, name, result


def _rules(records: Sequence[dict[str, Any]], level: rules.Level) -> list[dict[str, Any]]:
    """A row for each rule: what it judged, what was beyond it at first and what after the re-check."""
    rows = []
    everything = list(_results(records))
    for name, limit in level.limits.items():
        first = sum(name in result["beyond"] for _, _, result in everything)
        checks = [check for record in records for check in record["acceptance"]["rechecks"] if check["ratio"] == name]
        values = sorted(ratio_of(result, name) for _, _, result in everything)
        rows.append(
            {
                "rule": "small values, errors against the benchmark" if name == "small" else f"{name} ratio",
                "limit": f"at most {limit:g}",
                "judged": len(everything),
                "unit": "outputs",
                "first": first,
                "failed": sum(not check["passed"] for check in checks),
                "pending": first - len(checks),
                "median": _quantile(values, 0.5),
                "p99": _quantile(values, 0.99),
            }
        )
    wrong = sum(result["not_finite"]["wrong"] > 0 for _, _, result in everything)
    rows.append(_plain_row("infinity and NaN", "as golden or the benchmark", len(everything), "outputs", wrong))
    differing = sum(any("other bits" in text for text in record["acceptance"]["failures"]) for record in records)
    rows.append(_plain_row("determinism", "equal bits", len(records), "cases", differing))
    return rows


def _plain_row(rule: str, limit: str, judged_count: int, unit: str, failed: int) -> dict[str, Any]:
    return {
        "rule": rule,
        "limit": limit,
        "judged": judged_count,
        "unit": unit,
        "first": failed,
        "failed": failed,
        "pending": 0,
    }


def _quantile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    value = values[min(len(values) - 1, int(share * len(values)))]
    return value if math.isfinite(value) else None


def _operators(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each operator, output and dtype."""
    members: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    failing: Counter[tuple[str, str, str]] = Counter()
    for record, name, result in _results(records):
        key = (result["operator"], name, result["dtype"])
        members.setdefault(key, []).append(result)
        failing[key] += any(text.startswith(f"{name}:") for text in record["acceptance"]["failures"])
    order = list(dict.fromkeys(name for _, name, _ in members))
    rows = []
    for key in sorted(members, key=lambda key: (key[0], order.index(key[1]), key[2])):
        found = members[key]
        rows.append(
            {
                "operator": key[0],
                "output": key[1],
                "dtype": key[2],
                "cases": len(found),
                "elements": sum(result["elements"] for result in found),
                "beyond": sum(bool(result["beyond"]) for result in found),
                "failed": failing[key],
                "single": sum(result["single"] for result in found),
                "ratios": {
                    name: _quantile(sorted(ratio_of(result, name) for result in found), 0.5) for name in rules.RATIOS
                },
                "worst": {
                    metric: max(result["ours"][metric.lower()] for result in found) for metric in rules.RATIOS[:3]
                },
            }
        )
    return rows


def _coverage(records: Sequence[dict[str, Any]], level: rules.Level, settings: Settings) -> list[dict[str, Any]]:
    """What the standard asks for at this level, and what was run."""
    cases = [case_from(record["case"]) for record in records]
    dtypes = Counter(case.dtype for case in cases)
    least = min((dtypes[dtype] for dtype in ("float16", "bfloat16", "float32")), default=0)
    elements = sum(result["elements"] for _, _, result in _results(records))
    values = {case.values for case in cases}
    wanted = set(DISTRIBUTIONS[level.name])
    special = {"all_nan", "all_inf", "all_minus_inf", "some_not_finite"}
    empty = sum(case.scores == 0 for case in cases)
    models = sum(model_of(case) is not None for case in cases)
    rechecked = any(record["acceptance"]["rechecks"] for record in records)

    def row(what: str, asked: str, done: str, met: bool) -> dict[str, Any]:
        return {"what": what, "asked": asked, "done": done, "met": met}

    rows = [
        row("cases", f"at least {level.cases:,}", f"{len(cases):,}", len(cases) >= level.cases),
        row(
            "cases of each dtype",
            f"at least {level.cases_per_dtype:,}",
            ", ".join(f"{dtype} {count:,}" for dtype, count in sorted(dtypes.items())),
            least >= level.cases_per_dtype,
        ),
        row("elements of the outputs", f"at least {_ELEMENTS:,}", f"{elements:,}", elements >= _ELEMENTS),
        row(
            "calls of each case, equal bits",
            f"{level.repeats:,}",
            f"{settings.repeats:,}",
            settings.repeats >= level.repeats,
        ),
        row(
            "input distributions",
            ", ".join(f"{name} {share:.0%}" for name, share in DISTRIBUTIONS[level.name].items()),
            ", ".join(
                f"{name} {sum(c.values == name for c in cases) / max(len(cases), 1):.0%}" for name in sorted(wanted)
            ),
            wanted <= values,
        ),
        row(
            "inputs of NaN and infinity",
            "all NaN, all inf, all -inf, some of each",
            ", ".join(f"{name} {sum(c.values == name for c in cases)}" for name in sorted(special)),
            special <= values,
        ),
        row("empty tensors", "some", f"{empty} cases without a score", empty > 0),
    ]
    if level.name == "L2":
        share = models / max(len(cases), 1)
        rows.append(row("shapes of real models", "a third", f"{models:,} cases ({share:.0%})", share >= 0.3))
    if rechecked:
        met = settings.seeds >= rules.FEWEST_SEEDS
        rows.append(row("seeds of a re-check", "at least 200, 1000 advised", f"{settings.seeds:,}", met))
    return rows


def _line(record: dict[str, Any], backend: str, settings: Settings) -> dict[str, Any]:
    acceptance = record.get("acceptance") or {"failures": [record["message"]], "rechecks": []}
    return {
        "id": record["id"],
        "failures": acceptance["failures"],
        "rechecks": acceptance["rechecks"],
        "command": command_of(record, backend, settings),
    }


def _worst(
    records: Sequence[dict[str, Any]], level: rules.Level, backend: str, settings: Settings
) -> list[dict[str, Any]]:
    """The outputs whose ratios are furthest beyond their limits, one for each case."""
    found = []
    for record in records:
        results = record["acceptance"]["results"]
        if not results:
            continue
        share, name, ratio = max(
            (ratio_of(result, ratio) / limit, name, ratio)
            for name, result in results.items()
            for ratio, limit in level.limits.items()
        )
        found.append((share, record["id"], record, name, ratio))
    found.sort(key=lambda item: item[:2], reverse=True)
    rows = []
    for share, _, record, name, ratio in found[:WORST]:
        result = record["acceptance"]["results"][name]
        rows.append(
            {
                "id": record["id"],
                "verdict": record["acceptance"]["verdict"],
                "output": name,
                "ratio": ratio,
                "share": share if math.isfinite(share) else None,
                "ours": result["ours"],
                "benchmark": result["benchmark"],
                "element": result["worst"],
                "command": command_of(record, backend, settings),
            }
        )
    return rows
