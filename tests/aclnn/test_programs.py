"""C++ programs against the headers and the library: the examples, random calls, many threads."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import npu_flash_attention
import pytest
from npu_flash_attention import cpp

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(npu_flash_attention.__path__[0])
EXAMPLES = ROOT / "docs" / "examples" / "aclnn"
TESTS = ROOT / "tests" / "aclnn"
Build = Callable[..., Path]

pytestmark = pytest.mark.skipif(not (PACKAGE / "libnpu_fa_aclnn.so").exists(), reason="built without the aclnn library")


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("aclnn")

    def compiled(name: str, *sources: Path) -> Path:
        program = folder / name
        flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror"]
        run(
            os.environ.get("CXX", "c++"), *cpp.compile_flags(), *flags, *sources, *cpp.link_flags(), "-o", program
        )  # fmt: skip
        return program

    return compiled


@pytest.mark.parametrize("name", ["forward", "backward", "varlen"])
def test_example(build: Build, name: str) -> None:
    output = run(build(name, EXAMPLES / f"{name}.cpp"))
    assert output.splitlines()[-1] == "passed"
    assert "[acl]" not in output  # nothing misused, nothing leaked


def test_random_calls_get_the_status_of_the_specification(build: Build) -> None:
    fuzz = build("fuzz", *(TESTS / f"{part}.cpp" for part in ("fuzz", "fuzz_mutations", "fuzz_valid")))
    output = run(fuzz, "4000", "20", "25")
    assert "4000 calls, seed 20: passed" in output
    assert "never:" not in output  # every rule was broken
    launched = re.search(r"launched: (\d+)", output)
    assert launched is not None and int(launched[1]) >= 20


def test_threads_get_what_one_thread_gets(build: Build) -> None:
    output = run(build("threads", TESTS / "threads.cpp"), "8", "80")
    assert "8 threads, 80 calls, 0 different" in output
    assert "[acl]" not in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sanitizer", "program"),
    [("address;undefined", ("aclnn_fuzz", "100000", "1", "200")), ("thread", ("aclnn_threads", "8", "1000"))],
)
def test_under_sanitizers(tmp_path: Path, sanitizer: str, program: tuple[str, ...]) -> None:
    options = ["-DNPU_FA_BUILD_PYTHON=OFF", "-DNPU_FA_BUILD_ACLNN_PROGRAMS=ON", f"-DNPU_FA_SANITIZE={sanitizer}"]
    run("cmake", "-S", ROOT, "-B", tmp_path, *options)
    run("cmake", "--build", tmp_path, "-j", "2", "--target", program[0])
    run(tmp_path / program[0], *program[1:])
