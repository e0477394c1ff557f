"""Whether the real torch_npu is here: it is never hidden behind the stand-in where it works."""

from __future__ import annotations

import importlib.machinery
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

STAND_IN = str(Path(__file__).parent / "stand_in")  # the folder on sys.path in which `torch_npu` is the stand-in

_TIMEOUT_S = 300


def is_stand_in(module: ModuleType | None) -> bool:
    return module is not None and (getattr(module, "__file__", None) or "").startswith(STAND_IN + os.sep)


def find() -> str | None:
    """Where the real torch_npu is installed, None where it is not. Imports nothing."""
    spec = importlib.machinery.PathFinder.find_spec("torch_npu", _other_paths())
    return None if spec is None else spec.origin or "a folder without __init__.py"


def import_error() -> str | None:
    """Why the real torch_npu does not import, None when it does. Tried in a process of its own, once per call."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_other_paths())}
    command = [sys.executable, "-c", "import torch_npu"]
    try:
        tried = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"the import took more than {_TIMEOUT_S} s"
    if tried.returncode == 0:
        return None
    lines = [line for line in tried.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"the import ended with exit code {tried.returncode}"


def refuse() -> None:
    """Raises where the real torch_npu imports; warns where it is installed and does not.

    Raises:
        RuntimeError: with where it is and what to do.
    """
    loaded = sys.modules.get("torch_npu")
    if loaded is not None and not is_stand_in(loaded):
        raise RuntimeError(_text(getattr(loaded, "__file__", None) or "already imported"))
    where = find()
    if where is None:
        return
    reason = import_error()
    if reason is None:
        raise RuntimeError(_text(where))
    warnings.warn(
        f"torch_npu is installed ({where}) but does not import ({reason}); its stand-in takes its place", stacklevel=3
    )


def _text(where: str) -> str:
    return (
        f"npu_flash_attention.compat: the real torch_npu imports here ({where}), and a stand-in would hide it. "
        "Run the script without the stand-in, or use an environment that has no torch_npu"
    )


def _other_paths() -> list[str]:
    return [entry for entry in sys.path if entry != STAND_IN]
