#!/usr/bin/env python3
"""Sets everything up in ./.venv and runs a job there. Needs Python >= 3.10 with venv, a C++ compiler and nothing else.

    python3 dev.py demo     train a small transformer through npu_fusion_attention, on the CPU
    python3 dev.py test     the test suite (further arguments go to pytest)
    python3 dev.py lint     formatters, linters and the type checker
    python3 dev.py shell -- COMMAND...   any command in the environment

--here uses the Python that runs this script instead of ./.venv. NPU_FA_TORCH names the torch to install
(default: torch==2.13.0); to get a build without CUDA, point pip at PyTorch's CPU index with PIP_INDEX_URL.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
TORCH = os.environ.get("NPU_FA_TORCH", "torch==2.13.0")
BUILD_REQUIREMENTS = ["setuptools>=64", "cmake>=3.18", "ninja", "pybind11>=2.12"]

JOBS = {
    "demo": [["{python}", "docs/examples/train_character_model.py"]],
    "test": [["{python}", "-m", "pytest"]],
    "lint": [
        ["{python}", "-m", "ruff", "check", "."],
        ["{python}", "-m", "ruff", "format", "--check", "."],
        ["{python}", "-m", "mypy"],
        ["{python}", "tools/clang_format.py", "--check"],
    ],
    "shell": [[]],
}


def run(command: list[str]) -> None:
    """Runs a command in the folder of this script, the environment's programs (cmake, ninja) first in PATH."""
    print("$", " ".join(command), flush=True)
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path})
    if result.returncode != 0:
        sys.exit(result.returncode)


def environment(here: bool) -> Path:
    """The interpreter of the environment, made when it is missing."""
    if here:
        return Path(sys.executable)
    python = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.EnvBuilder(with_pip=True).create(VENV)
    return python


def install(python: Path, extras: str) -> None:
    has_torch = subprocess.run([str(python), "-c", "import torch"], stderr=subprocess.DEVNULL).returncode == 0
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(pip + BUILD_REQUIREMENTS + ([] if has_torch else [TORCH, "numpy"]))
    run([*pip, "--no-build-isolation", f".[{extras}]"])


def main() -> None:
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(f"Python: expected 3.10 or newer, got {sys.version.split()[0]}")
    if importlib.util.find_spec("venv") is None:
        sys.exit("Python: the venv module is missing (Debian: apt-get install python3-venv)")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--here", action="store_true", help="use the running Python instead of ./.venv")
    parser.add_argument("--no-install", action="store_true", help="the environment is up to date")
    options, rest = parser.parse_known_args()
    python = environment(options.here)
    if not options.no_install:
        install(python, "test,dev" if options.job == "lint" else "test")
    for command in JOBS[options.job]:
        run([part.format(python=python) for part in command] + [part for part in rest if part != "--"])


if __name__ == "__main__":
    main()
