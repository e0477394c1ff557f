"""Where the tests of the NPU build find and leave things."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
TORCH = Path(torch.__path__[0])


def cache(name: str) -> Path:
    """A folder of this user that outlives the tests: NPU_FA_TEST_CACHE, or one under the system's temporary folder."""
    base = os.environ.get("NPU_FA_TEST_CACHE") or Path(tempfile.gettempdir()) / f"npu_fa_tests_{os.getuid()}"
    return Path(base) / name


def run(*command: str | Path, **options: object) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
    return done.stdout
