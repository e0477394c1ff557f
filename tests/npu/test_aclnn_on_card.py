"""The aclnn layer as a card runs it, runtime_npu.cpp and launch_npu.cpp, on the simulator's ACL runtime and chip."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from npu_build import ROOT, run

EXAMPLES = ROOT / "docs" / "examples" / "aclnn"
TESTS = ROOT / "tests" / "aclnn"


@pytest.fixture(scope="module")
def program(build: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    card = build("simulated_kernels") / "card"
    folder = tmp_path_factory.mktemp("card")

    def compiled(*sources: Path) -> Path:
        target = folder / sources[0].stem
        flags = ("-std=c++17", "-pthread", f"-I{ROOT / 'op_host' / 'aclnn'}", f"-I{ROOT / 'simulator' / 'include'}")
        library = (f"-L{card}", "-lnpu_fa_aclnn_npu", f"-Wl,-rpath,{card}")
        run(os.environ.get("CXX", "c++"), *flags, *sources, *library, "-o", target)
        return target

    return compiled


@pytest.mark.parametrize("name", ["forward", "backward", "varlen"])
def test_example(program: Callable[..., Path], name: str) -> None:
    assert run(program(EXAMPLES / f"{name}.cpp")).splitlines()[-1] == "passed"


def test_random_calls(program: Callable[..., Path]) -> None:
    fuzz = program(*(TESTS / f"{part}.cpp" for part in ("fuzz", "fuzz_mutations", "fuzz_valid")))
    # The toolkit destroys only executors of its own.
    assert "4000 calls, seed 3: passed" in run(fuzz, "4000", "3", "20", "keep")


def test_threads(program: Callable[..., Path]) -> None:
    assert "8 threads, 80 calls, 0 different" in run(program(TESTS / "threads.cpp"), "8", "80")


def test_strided_copies(build: Callable[[str], Path]) -> None:
    run(build("strided_copy_test") / "strided_copy_test")
