"""The table of docs/kernel_mutations.md."""

from __future__ import annotations

from collections.abc import Mapping

import compiled

from .table import MUTATIONS

PAGE = compiled.ROOT / "docs" / "kernel_mutations.md"
_HEAD = "| bug | in | the first call that notices | by |\n|---|---|---|---|\n"


def rows() -> dict[tuple[str, str], tuple[str, str]]:
    """(what is wrong, file) -> (call, how it is noticed), as the page has them."""
    lines = PAGE.read_text(encoding="utf-8").partition(_HEAD)[2].splitlines()
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {(what, file): (call, by) for what, file, call, by in cells}


def row_of(answer: str) -> tuple[str, str]:
    """(call, how it is noticed): a kind of fault, or the result that is wrong."""
    call, _, how = answer.partition(": ")
    if how.startswith("wrong "):
        return call, f"wrong {how.removeprefix('wrong ').partition('[')[0].partition(':')[0]}"
    return call, how.partition(" ")[0] if how else answer


def write(answers: Mapping[str, str]) -> None:
    """Rewrites the page's table from what was said of each mutation."""
    lines = []
    for mutation in MUTATIONS:
        call, by = row_of(answers[mutation.name])
        lines.append(f"| {mutation.what} | `{mutation.file}` | {call} | {by} |\n")
    above = PAGE.read_text(encoding="utf-8").partition(_HEAD)[0]
    PAGE.write_text(above + _HEAD + "".join(lines), encoding="utf-8")
