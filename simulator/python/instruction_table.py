"""The table of supported instructions in docs/simulator.md, made from simulator/instruction_list.h and its parts.

python simulator/python/instruction_table.py            print it
python simulator/python/instruction_table.py --write    put it into docs/simulator.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SIMULATOR = Path(__file__).resolve().parents[1]
DOCUMENT = SIMULATOR.parent / "docs" / "simulator.md"
LISTS = ("instruction_list.h", "instructions/instruction_list_vector.h", "instructions/instruction_list_cube.h")
ENTRY = re.compile(r"^\s*X\((\w+), ([\w ,-]+?), ([\w*/-]+), ([\w/.]+)\)", re.M)
BEGIN, END = "<!-- instructions: begin -->", "<!-- instructions: end -->"


def instructions() -> list[tuple[str, str, str, str]]:
    """(name, family, pipe, header) of every instruction, in the order of the lists."""
    return [match.groups() for name in LISTS for match in ENTRY.finditer((SIMULATOR / name).read_text())]


def table() -> str:
    families: dict[tuple[str, str], list[str]] = {}
    for name, family, pipe, _ in instructions():
        families.setdefault((family, pipe), []).append(f"`{name}`")
    rows = [f"| {family} | {pipe} | {', '.join(names)} |" for (family, pipe), names in families.items()]
    return "\n".join(["| family | pipe | instructions |", "|---|---|---|", *rows])


def document(text: str) -> str:
    """`text` with the table between its markers renewed."""
    head, rest = text.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        DOCUMENT.write_text(document(DOCUMENT.read_text()))
    else:
        print(table())
