"""Builds the simulator, its Python module and the test kernels, once a session and only what changed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build_folder() -> Path:
    """NPU_FA_SIMULATOR_BUILD, or a folder of this checkout and interpreter under the system's temporary folder."""
    if folder := os.environ.get("NPU_FA_SIMULATOR_BUILD"):
        return Path(folder)
    key = hashlib.sha256(f"{ROOT}{sys.executable}{os.getuid()}".encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"npu_fa_simulator_{key}"


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}")


def build_target(folder: Path, target: str) -> None:
    jobs = os.environ.get("NPU_FA_BUILD_JOBS", str(os.cpu_count() or 1))
    run("cmake", "--build", str(folder), "-j", jobs, "--target", target)


class Kernels:
    """The kernels of tests/simulator/kernels; a family is built when one of its kernels is first looked for."""

    def __init__(self, simulator: ModuleType, folder: Path) -> None:
        self._simulator = simulator
        self._folder = folder
        self._libraries: dict[str, object] = {}

    def _library(self, family: str) -> object:
        if family not in self._libraries:
            try:
                build_target(self._folder, f"{family}_test_kernels")
                self._libraries[family] = self._simulator.Library(str(self._folder / f"{family}_test_kernels.so"))
            except RuntimeError as error:
                self._libraries[family] = error  # once is enough
        if isinstance(self._libraries[family], RuntimeError):
            pytest.fail(str(self._libraries[family]), pytrace=False)
        return self._libraries[family]

    def launch(self, name: str, args: list, **options):
        """Run kernel `name` on numpy arrays; see `_simulator.Library.launch`."""
        family = "machine" if self._is_machine_kernel(name) else "instruction"
        return self._library(family).launch(name, args, **options)

    def _is_machine_kernel(self, name: str) -> bool:
        folder = Path(__file__).parent / "kernels"
        files = [file for file in folder.glob("*.cpp") if not file.name.startswith(("vector", "cube"))]
        return name.startswith("fault_") or any(f"void {name}(" in file.read_text() for file in files)


@pytest.fixture(scope="session")
def built() -> Path:
    """The build folder, with the Python module in it."""
    folder = build_folder()
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    run(
        *("cmake", "-S", str(ROOT / "simulator"), "-B", str(folder), *generator),
        *("-DNPU_FA_BUILD_SIMULATOR_TESTS=ON", f"-DPython_EXECUTABLE={sys.executable}"),
    )
    build_target(folder, "_simulator")
    return folder


@pytest.fixture(scope="session")
def simulator(built: Path) -> ModuleType:
    """The extension module `_simulator`."""
    path = next(built.glob("_simulator*.so"))
    spec = importlib.util.spec_from_file_location("_simulator", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def kernels(simulator: ModuleType, built: Path) -> Kernels:
    """`kernels.launch(name, [arrays...], block_dim=..., ...)` runs a kernel of tests/simulator/kernels."""
    return Kernels(simulator, built)
