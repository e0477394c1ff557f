"""Tests of the stand-in run in a process of their own: torch does not forget a device name."""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch


def _prepare() -> None:
    from npu_flash_attention import compat

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)  # fills what torch.empty returns with NaN, as for every other test
    compat.install()


def _call(function: Callable[..., None], arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    function(**arguments)


@pytest.fixture(scope="session")
def stand_in() -> Iterator[concurrent.futures.Executor]:
    """A process in which the stand-in is installed."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context, initializer=_prepare) as pool:
        yield pool


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Sends tests that use the fixture `stand_in` there."""
    if "stand_in" not in pyfuncitem.fixturenames:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    pyfuncitem.funcargs["stand_in"].submit(_call, pyfuncitem.function, arguments).result()
    return True


def run_python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` as a user would call it, with the package under test on its path."""
    import npu_flash_attention

    package = str(Path(npu_flash_attention.__file__).parents[1])
    path = os.pathsep.join([package, *filter(None, [environment.pop("PYTHONPATH", "")])])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


RUNNER = ("-m", "npu_flash_attention.compat")


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    return run_python


@pytest.fixture
def runner() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python -m npu_flash_attention.compat ARGUMENTS`."""
    return functools.partial(run_python, *RUNNER)
