"""Builds the compiled part with CMake; everything else about the package is in pyproject.toml."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()


class CMakeExtension(Extension):
    def __init__(self, name: str) -> None:
        super().__init__(name, sources=[])


class CMakeBuild(build_ext):
    """Runs CMake once per extension; fetches cmake and pybind11 into the build folder where they are missing.

    Under `pip install --no-build-isolation` nobody installs the build requirements, and an environment with torch but
    without cmake is the common one on an Ascend host.
    """

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve() / "cmake"
        build.mkdir(parents=True, exist_ok=True)
        env = dict(os.environ)
        tools = build.parent / "tools"
        cmake = shutil.which("cmake") or self._cmake_of_python(tools, env)
        pybind11 = self._module_path("pybind11", tools)
        configure = [
            cmake,
            "-S",
            str(ROOT),
            "-B",
            str(build),
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11 / 'share' / 'cmake' / 'pybind11'}",
            f"-DCMAKE_BUILD_TYPE={os.environ.get('NPU_FA_BUILD_TYPE', 'Release')}",
        ]
        subprocess.run(configure, check=True, env=env)
        subprocess.run([cmake, "--build", str(build), "--parallel", str(os.cpu_count() or 1)], check=True, env=env)

    def _cmake_of_python(self, tools: Path, env: dict[str, str]) -> str:
        package = self._module_path("cmake", tools)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(package.parent), env.get("PYTHONPATH")]))
        return str(package / "data" / "bin" / "cmake")

    def _module_path(self, name: str, tools: Path) -> Path:
        """Folder of an importable package, installing it into `tools` when it is missing."""
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            return Path(spec.origin).parent
        if not (tools / name).exists():
            subprocess.run([sys.executable, "-m", "pip", "install", "--target", str(tools), name], check=True)
        return tools / name


setup(ext_modules=[CMakeExtension("npu_flash_attention._C")], cmdclass={"build_ext": CMakeBuild})
