"""The instruction list is complete, documented, and no instruction on it is without a test kernel."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("instruction_table", ROOT / "simulator/python/instruction_table.py")
instruction_table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(instruction_table)

KERNELS = "\n".join(path.read_text() for path in (ROOT / "tests/simulator/kernels").iterdir())
NAMES = sorted({name for name, *_ in instruction_table.instructions()})


def test_the_list_is_what_the_library_was_built_with(simulator) -> None:
    built = [tuple(re.sub(r"\s*/\s*", "/", text) for text in entry) for entry in simulator.instructions()]
    assert sorted(built) == sorted(instruction_table.instructions())


@pytest.mark.parametrize(
    "name,header", sorted({(name, header) for name, _, _, header in instruction_table.instructions()})
)
def test_the_header_has_the_instruction(name: str, header: str) -> None:
    assert re.search(rf"\b{name}\b", (ROOT / "simulator" / header).read_text())


@pytest.mark.parametrize("name", NAMES)
def test_every_instruction_is_run_by_a_test_kernel(name: str) -> None:
    # Directly, or through a macro that takes the name.
    assert re.search(rf"\b{name}\s*(<|\(|,|\))", KERNELS), f"no kernel in tests/simulator/kernels uses {name}"


def test_the_document_has_the_current_table() -> None:
    text = instruction_table.DOCUMENT.read_text()
    assert text == instruction_table.document(text), "run python simulator/python/instruction_table.py --write"
