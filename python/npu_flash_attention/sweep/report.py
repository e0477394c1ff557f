"""The worst errors of a sweep by group: dtype, layout, mode, and whatever else a case exercises."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

SHOWN_GROUPS = ("dtype", "layout", "mode", "mask", "pse_type", "dropout", "heads", "sink", "rope", "memory")


@dataclasses.dataclass
class GroupRow:
    """All cases with one feature, such as "layout:TND"."""

    group: str
    value: str
    cases: int = 0
    failed: int = 0
    ratio: float = 0.0  # worst error as a part of its budget; above 1 is a failure, None in JSON is infinite
    result: str = ""  # the result with that ratio
    error: float = 0.0  # its absolute error
    plain_error: float = 0.0
    case: str = ""


def summary(records: Iterable[dict[str, Any]]) -> list[GroupRow]:
    """One row for each feature that occurs, in order of group and value."""
    rows: dict[str, GroupRow] = {}
    for record in records:
        for feature in record["features"]:
            group, value = feature.split(":", 1)
            row = rows.setdefault(feature, GroupRow(group, value))
            row.cases += 1
            row.failed += record["status"] == "failed"
            for name, (error, plain_error, ratio) in record["results"].items():
                if ratio is not None and ratio > row.ratio:
                    row.ratio, row.result, row.case = ratio, name, record["id"]
                    row.error, row.plain_error = error, plain_error
    return [rows[feature] for feature in sorted(rows)]


def table(records: Sequence[dict[str, Any]], groups: Sequence[str] = SHOWN_GROUPS) -> Any:
    """A rich table of the groups named."""
    from rich.table import Table

    view = Table(title="worst errors (ratio: of the budget, above 1 fails)", title_justify="left")
    for name in ("group", "value"):
        view.add_column(name)
    for name in ("cases", "failed", "ratio", "error", "plain"):
        view.add_column(name, justify="right")
    view.add_column("result")
    rows = summary(records)
    for group in groups:
        members = [row for row in rows if row.group == group]
        for index, row in enumerate(members):
            style = "red" if row.failed else None
            view.add_row(
                group if index == 0 else "",
                row.value,
                str(row.cases),
                str(row.failed),
                f"{row.ratio:.3g}",
                f"{row.error:.2e}",
                f"{row.plain_error:.2e}",
                row.result,
                style=style,
                end_section=index == len(members) - 1,
            )
    return view
