"""Builds the simulator, its Python module and the test kernels, once a session and only what changed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import compiled
import pytest


class Kernels:
    """The kernels of tests/simulator/kernels; a family is built when one of its kernels is first looked for."""

    def __init__(self, simulator: ModuleType, folder: Path) -> None:
        self._simulator = simulator
        self._folder = folder
        self._libraries: dict[str, object] = {}

    def _library(self, family: str) -> object:
        if family not in self._libraries:
            try:
                compiled.build_target(self._folder, f"{family}_test_kernels")
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
    given = os.environ.get("NPU_FA_SIMULATOR_BUILD")
    folder = Path(given) if given else compiled.build_folder("simulator")
    compiled.configure(compiled.ROOT / "simulator", folder, "-DNPU_FA_BUILD_SIMULATOR_TESTS=ON")
    compiled.build_target(folder, "_simulator")
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
