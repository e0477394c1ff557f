"""The CPU backend under AddressSanitizer and UndefinedBehaviorSanitizer: built apart, one sweep in a process of its own.

CI builds the plainest and the best level, which together have every line of the kernels; --slow builds all four.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import npu_flash_attention
import pybind11
import pytest
from npu_flash_attention.backends.native import NativeBackend

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which(os.environ.get("CXX", "g++"))
LIBRARIES = ("libasan.so", "libubsan.so", "libstdc++.so")


def library(name: str) -> str | None:
    """Where the compiler keeps a library; None where it has none."""
    if COMPILER is None:
        return None
    found = subprocess.run([COMPILER, f"-print-file-name={name}"], capture_output=True, text=True, check=False)
    path = Path(found.stdout.strip())
    return str(path) if path.is_absolute() and path.exists() else None


pytestmark = [
    pytest.mark.skipif(NativeBackend().unavailable() is not None, reason=str(NativeBackend().unavailable())),
    pytest.mark.skipif(not all(map(library, LIBRARIES)), reason="no compiler with address and undefined sanitizers"),
    pytest.mark.skipif(not (ROOT / "CMakeLists.txt").exists(), reason="no sources"),
]

SWEEP = """
import sys, torch
torch.set_num_threads(2)
from npu_flash_attention.backends import native
from npu_flash_attention.sweep.check import run
from npu_flash_attention.sweep.generate import random_cases
print(native.describe()["level"])
for case in random_cases(seed=3, count={count}):
    if case.scores > 200_000:
        continue
    outcome = run(case, "cpu")
    assert outcome.status == "ok", f"{{outcome.message}} {{case.to_json()}}"
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder with the package, its Python files linked and its extensions instrumented."""
    folder = tmp_path_factory.mktemp("sanitized")
    build, target = folder / "build", folder / "npu_flash_attention"
    target.mkdir()
    source = Path(npu_flash_attention.__path__[0])
    for entry in source.iterdir():
        if entry.name != "__pycache__" and ".so" not in entry.suffixes:
            (target / entry.name).symlink_to(entry)
    configure = [
        *("cmake", "-S", str(ROOT), "-B", str(build), "-DNPU_FA_SANITIZE=address;undefined"),
        *("-DCMAKE_CXX_FLAGS_RELEASE=-O1", "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF"),
        *(f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"),
        f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target}",
        *(["-G", "Ninja"] if shutil.which("ninja") else []),
    ]
    if not request.config.getoption("--slow"):
        configure.append("-DNPU_FA_CPU_LEVELS=plain;avx512_bf16")
    jobs = os.environ.get("NPU_FA_BUILD_JOBS", str(os.cpu_count() or 1))
    for command in (configure, ["cmake", "--build", str(build), "-j", jobs, "--target", "_cpu", "_C"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return folder


def sanitized(script: str, package: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "LD_PRELOAD": " ".join(str(library(name)) for name in LIBRARIES),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python and PyTorch keep much of what they allocate
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(package),
        **variables,
    }
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)


def test_the_sanitizer_is_at_work(package: Path) -> None:
    """Reading one element past a buffer ends the process, and the report says where."""
    script = """
import numpy as np
from npu_flash_attention.backends import native
x = np.zeros(1 << 12, dtype=np.float32)
y = np.zeros(1 << 12, dtype=np.float32)
native.module().exp2(x.ctypes.data, y.ctypes.data, (1 << 12) + 64)
"""
    done = sanitized(script, package)
    assert done.returncode != 0 and "heap-buffer-overflow" in done.stderr, done.stderr[-2000:]


@pytest.mark.parametrize("level", ["", "plain"], ids=["best level", "plain"])
def test_sweep_without_a_fault(package: Path, level: str, request: pytest.FixtureRequest) -> None:
    count = 500 if request.config.getoption("--slow") else 60 if not level else 30
    done = sanitized(SWEEP.format(count=count), package, **({"NPU_FA_CPU_LEVEL": level} if level else {}))
    assert done.returncode == 0, done.stderr[-4000:]
    assert not level or done.stdout.strip() == level
