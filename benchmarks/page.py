"""The measured parts of docs/benchmarks.md: each stands between two marks, and everything else is written by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def rows_of(name: str) -> dict[str, str]:
    """The lines of the table in block `name`, by their first cell."""
    block = PAGE.read_text().partition(f"<!-- measured: {name} -->")[2].partition(f"<!-- end {name} -->")[0]
    lines = [line for line in block.splitlines() if line.startswith("|")]
    return {line.split("|")[1].strip(): line for line in lines[2:]}


def write_block(name: str, command: str, lines: Sequence[str]) -> None:
    """Replaces the page's block `name`. Raises ValueError when the page has none."""
    begin, end = f"<!-- measured: {name} -->\n", f"<!-- end {name} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    text = "\n".join([f"Written by `{command}`.", "", *lines])
    page, found = pattern.subn(lambda _: f"{begin}\n{text}\n\n{end}", PAGE.read_text())
    if found != 1:
        raise ValueError(f"{PAGE.name}: expected one block `{name}`, got {found}")
    PAGE.write_text(page)
