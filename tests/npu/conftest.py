"""What these tests compile against and run: torch_npu's headers from its wheel, and the binding with the simulator
behind it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import launch_headers
import pytest
import torch
from npu_build import ROOT, TORCH, cache, run

TORCH_NPU = "torch_npu==2.13.0"
# Headers do not differ between Pythons; the wheel of this one is there whatever Python runs the tests.
WHEEL = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--only-binary=:all:", "--no-deps")


@pytest.fixture(scope="session")
def torch_npu() -> Path:
    """The folder torch_npu of the wheel: its headers and its library. It is never imported."""
    if not torch.__version__.startswith("2.13."):
        pytest.skip(f"{TORCH_NPU} is made for torch 2.13, this is {torch.__version__}")
    folder = cache(TORCH_NPU.replace("==", "-"))
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"]
        done = subprocess.run([*pip, *WHEEL, "-d", str(folder), TORCH_NPU], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            text = f"pip cannot download {TORCH_NPU}: {done.stderr[-2000:]}"
            # An index that somebody chose, PyTorch's say, need not have it.
            elsewhere = os.environ.get("NPU_FA_OFFLINE") or os.environ.get("PIP_INDEX_URL")
            pytest.skip(text) if elsewhere else pytest.fail(text, pytrace=False)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            wanted = [
                n for n in archive.namelist() if n.startswith("torch_npu/include/") or n.endswith("/libtorch_npu.so")
            ]
            archive.extractall(folder, wanted)
        wheel.unlink()
        (folder / "complete").touch()
    return folder / "torch_npu"


@pytest.fixture(scope="session")
def build() -> Callable[[str], Path]:
    """Builds a target of tests/npu and returns the folder it is in."""
    key = hashlib.sha256(f"{ROOT}{TORCH}".encode()).hexdigest()[:12]
    folder = cache(f"build_{key}")
    headers = folder / "launch_headers"
    headers.mkdir(parents=True, exist_ok=True)
    launch_headers.write(ROOT / "op_kernel", headers)
    generator = ("-G", "Ninja") if shutil.which("ninja") else ()
    options = (f"-DTORCH_ROOT={TORCH}", f"-DLAUNCH_HEADERS={headers}")
    run("cmake", "-S", ROOT / "tests" / "npu", "-B", folder, *options, *generator)

    def target(name: str) -> Path:
        run("cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1), "--target", name)
        return folder

    return target


@pytest.fixture(scope="session")
def simulated_npu(build: Callable[[str], Path]) -> None:
    """The launch operators for device cpu, with a simulated chip behind them."""
    torch.ops.load_library(str(build("simulated_npu") / "simulated_npu.so"))
