"""Where the real torch_npu is, and whether it imports; the stand-in of `compat` does not count."""

from __future__ import annotations

import importlib.machinery
import os
import subprocess
import sys
from pathlib import Path

STAND_IN = str(Path(__file__).parent / "compat" / "stand_in")  # the folder in which `torch_npu` is the stand-in

_TIMEOUT_S = 300


def find() -> str | None:
    """The file of the installed torch_npu, None where there is none. Imports nothing."""
    spec = importlib.machinery.PathFinder.find_spec("torch_npu", _paths())
    return None if spec is None else spec.origin or "a folder without __init__.py"


def run(then: str = "") -> tuple[str | None, str]:
    """Imports torch_npu in a process of its own and runs the statements `then` after it.

    Returns:
        why that failed, None where it did not, and what was printed.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_paths())}
    command = [sys.executable, "-c", f"import torch_npu\n{then}"]
    try:
        process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"it took more than {_TIMEOUT_S} s", ""
    if process.returncode == 0:
        return None, process.stdout
    lines = [line for line in process.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"the process ended with exit code {process.returncode}", process.stdout


def _paths() -> list[str]:
    return [entry for entry in sys.path if entry != STAND_IN]
