"""C++ that tests build for themselves with CMake, once a checkout and interpreter and only what changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build_folder(name: str) -> Path:
    """A folder of this checkout and interpreter under the system's temporary folder."""
    key = hashlib.sha256(f"{ROOT}{sys.executable}{os.getuid()}".encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"npu_fa_{name}_{key}"


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}")


def configure(source: Path, folder: Path, *definitions: str) -> None:
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    python = f"-DPython_EXECUTABLE={sys.executable}"
    run("cmake", "-S", str(source), "-B", str(folder), *generator, python, *definitions)


def build_target(folder: Path, *targets: str) -> None:
    jobs = os.environ.get("NPU_FA_BUILD_JOBS", str(os.cpu_count() or 1))
    run("cmake", "--build", str(folder), "-j", jobs, "--target", *targets)
