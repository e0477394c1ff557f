"""The ACL host runtime: programs of tests/simulator/acl, a case of them in each process; docs/acl.md."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import compiled
import pytest

PROGRAMS = Path(__file__).parent / "acl"
EXIT_CODE = 77


def cases_of(program: str) -> list[str]:
    return re.findall(r"^CASE\((\w+)\)", (PROGRAMS / f"{program}.cpp").read_text(), re.MULTILINE)


def build(folder: Path) -> Path:
    compiled.build_target(folder, *(f"acl_{name}" for name in ("cases", "misuse", "fuzz", "program", "threads")))
    return folder


@pytest.fixture(scope="session")
def programs(built: Path) -> Path:
    """The folder of the programs."""
    return build(built)


def run(folder: Path, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [folder / f"acl_{program}", *arguments]
    surroundings = {**os.environ, **environment}
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=300, check=False)


def check(folder: Path, program: str, *arguments: str) -> str:
    done = run(folder, program, *arguments)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("case", cases_of("cases"))
def test_right_use(programs: Path, case: str) -> None:
    check(programs, "cases", case)


@pytest.mark.parametrize("case", [case for case in cases_of("misuse") if not case.startswith("report_")])
def test_misuse_is_refused(programs: Path, case: str) -> None:
    check(programs, "misuse", case)


def test_program_for_the_card(programs: Path) -> None:
    """Written with the toolkit's headers alone; 0.5 * (0 + ... + 255), and no word of complaint."""
    done = run(programs, "program", ASCEND_SIMULATOR_EXIT_CODE=str(EXIT_CODE))
    assert (done.returncode, done.stdout, done.stderr) == (0, "16320\n", "")


def test_threads_agree_with_one(programs: Path) -> None:
    assert check(programs, "threads", "8", "50") == "400 calls agree\n"


@pytest.mark.parametrize("seed", [1, 2])
def test_random_calls(programs: Path, seed: int) -> None:
    """No crash, only documented statuses, a message with each refusal; and every kind of call is accepted sometimes."""
    assert re.fullmatch(r"\d{5,} calls accepted, \d{5,} refused\n", check(programs, "fuzz", str(seed), "100000"))


REPORTS = {
    "report_nothing": [],
    "report_leaks": [
        "found by aclFinalize:",
        r"\n    stream \d+ of device 0",
        r"\n    event \d+ of device 0",
        r"\n    context \d+ of device 0",
        r"device memory: aclrtMalloc \d+ \(4321 bytes",
        r"host memory: aclrtMallocHost \d+ \(1234 bytes",
        "found by the end of the process:",
        r"aclOpExecutor 0x[0-9a-f]+ of aclnnScale",
        "aclIntArray 0x",
        "0 misuses, 7 leaked objects",
    ],
    "report_leaks_without_finalize": [
        "found by the end of the process:",
        "stream",
        "4321 bytes",
        "0 misuses, 2 leaked objects",
    ],
    "report_unasked_failure": ["a failure that no synchronisation returned: work .* failed: nobody asked", "1 misuses"],
    "report_busy_streams_at_exit": ["stream", "0 misuses, 1 leaked objects"],
    "report_calls_from_statics": [
        "was released by aclrtFree",
        "the message is gone",
        "nobody asked",
        "2 misuses, 0 leaked",
    ],
}


@pytest.mark.parametrize("case", REPORTS)
def test_report_at_the_end(programs: Path, case: str) -> None:
    done = run(programs, "misuse", case, ASCEND_SIMULATOR_EXIT_CODE=str(EXIT_CODE))
    assert done.returncode == (EXIT_CODE if REPORTS[case] else 0)
    place = 0
    for pattern in REPORTS[case]:
        found = re.compile(pattern).search(done.stderr, 0 if pattern[:2] == r"\n" else place)
        assert found, f"{pattern!r} not in order in:\n{done.stderr}"
        place = max(place, found.start())
    assert REPORTS[case] or done.stderr == ""
    assert run(programs, "misuse", case).returncode == 0  # only if asked for


def test_every_report_is_tested() -> None:
    assert [case for case in cases_of("misuse") if case.startswith("report_")] == list(REPORTS)


@pytest.mark.slow
@pytest.mark.parametrize("sanitizers", ["thread", "address;undefined"])
def test_sanitized(sanitizers: str) -> None:
    """All programs built with sanitizers, which end a process with a status of their own for what they find."""
    folder = compiled.build_folder(f"simulator_{sanitizers.split(';')[0]}")
    options = (f"-DASCEND_SIMULATOR_SANITIZE={sanitizers}", "-DASCEND_SIMULATOR_PYTHON=OFF")
    compiled.configure(compiled.ROOT / "simulator", folder, "-DNPU_FA_BUILD_SIMULATOR_TESTS=ON", *options)
    build(folder)
    for program in ("cases", "misuse"):
        for case in cases_of(program):
            check(folder, program, case)
    assert check(folder, "program") == "16320\n"
    assert check(folder, "threads", "8", "100") == "800 calls agree\n"
    if sanitizers != "thread":  # its copies share one buffer of the host's
        check(folder, "fuzz", "3", "200000")


TOOLKIT = os.environ.get("ASCEND_HOME_PATH")


def declarations(header: Path) -> tuple[list[str], dict[str, str]]:
    """The function prototypes of one of our headers, and its enumerators, macros and constants with their values."""
    text = re.sub(r"//[^\n]*", "", header.read_text())
    text = re.sub(r"ACL_DEPRECATED_MESSAGE\(.*?\)", "", text)
    prototypes = re.findall(r"^ACL_FUNC_VISIBILITY ([^;]*;)", text, re.MULTILINE)
    values = dict(re.findall(r"#define (ACL\w*_[A-Z0-9_]+) +(\w+)$", text, re.MULTILINE))
    values |= dict(re.findall(r"static const int (ACL_\w+) = (\d+);", text))
    for body in re.findall(r"typedef enum \w*\s*\{(.*?)\}", text, re.DOTALL):
        following = 0
        for entry in filter(None, (entry.strip() for entry in body.split(","))):
            name, _, value = entry.partition("=")
            following = int(value.strip().rstrip("U"), 0) if value else following
            values[name.strip()] = str(following)
            following += 1
    return prototypes, values


NEWER = ("ACL_HIFLOAT8", "ACL_FLOAT8_E5M2", "ACL_FLOAT8_E4M3FN")  # than the oldest toolkit this is meant for


def comparison(headers: list[str]) -> str:
    """A C++ file that compiles against a toolkit if our declarations and values are the toolkit's own."""
    include = compiled.ROOT / "simulator" / "include"
    lines = [f'#include "{header}"' for header in headers] + ['extern "C" {']
    asserts = []
    for header in [*headers, "acl/error_codes/rt_error_codes.h"]:
        prototypes, values = declarations(include / header)
        lines += prototypes
        asserts += [f"static_assert({name} == {value});" for name, value in values.items() if name not in NEWER]
    return "\n".join([*lines, "}", *asserts, ""])


HEADERS = ["acl/acl.h", "acl/acl_base.h", "acl/acl_rt.h", "aclnn/acl_meta.h", "aclnn/aclnn_base.h",
           "aclnn/opdev/op_errno.h"]  # fmt: skip


def compile_comparison(folder: Path, include: Path) -> subprocess.CompletedProcess[str]:
    source = folder / "comparison.cpp"
    source.write_text(comparison(HEADERS))
    command = ["g++", "-std=c++17", "-fsyntax-only", "-Wno-deprecated-declarations", f"-I{include}", str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_comparison_holds_for_our_own_headers(tmp_path: Path) -> None:
    """The comparison below covers every call, and compiles where nothing differs."""
    folder = compiled.ROOT / "simulator" / "include"
    calls = sum(
        len(re.findall(r"^ACL_FUNC_VISIBILITY", (folder / header).read_text(), re.MULTILINE)) for header in HEADERS
    )
    text = comparison(HEADERS)
    assert text.count(");\n") - text.count("static_assert(") == calls > 100
    done = compile_comparison(tmp_path, folder)
    assert done.returncode == 0, done.stderr[-4000:]


def functions() -> list[str]:
    return [
        prototype.split("(")[0].split()[-1].lstrip("*")
        for header in HEADERS
        for prototype in declarations(compiled.ROOT / "simulator" / "include" / header)[0]
    ]


def test_every_declared_function_is_there(programs: Path, tmp_path: Path) -> None:
    """A program that takes the address of each links."""
    source = tmp_path / "all.cpp"
    lines = [f'#include "{header}"' for header in HEADERS]
    addresses = ", ".join(f"reinterpret_cast<void*>({name})" for name in functions())
    source.write_text(
        "\n".join([*lines, f"void* all[] = {{{addresses}}};", "int main() { return all[0] == nullptr; }"])
    )
    libraries = [str(programs / f"lib{name}.a") for name in ("ascend_acl", "ascend_simulator")]
    include = f"-I{compiled.ROOT / 'simulator' / 'include'}"
    compiled.run("g++", "-std=c++17", "-w", include, str(source), *libraries, "-pthread", "-o", str(tmp_path / "all"))


def test_every_declared_function_is_described() -> None:
    """docs/acl.md names each; `aclrtMemcpy(Async)` names two, `aclGet...` those of operands."""
    text = (compiled.ROOT / "docs" / "acl.md").read_text()
    named = set()
    for name in re.findall(r"`((?:acl|Acl)[\w()]*)`", text):
        named |= {re.sub(r"\(\w+\)", "", name), re.sub(r"[()]", "", name)}
    operands = r"acl(Create|Destroy|Get)\w*(Array|Scalar|List|Tensor|View|Storage|Format|DataType|Addr)\w*"
    assert [name for name in functions() if name not in named and not re.fullmatch(operands, name)] == []


def test_runtime_headers_are_c(tmp_path: Path) -> None:
    source = tmp_path / "program.c"
    source.write_text('#include "acl/acl.h"\nint main(void) { return aclInit(0); }\n')
    include = compiled.ROOT / "simulator" / "include"
    compiled.run("gcc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", f"-I{include}", str(source))


@pytest.mark.skipif(TOOLKIT is None, reason="needs ASCEND_HOME_PATH, a toolkit")
def test_headers_agree_with_the_toolkit(tmp_path: Path) -> None:
    candidates = [Path(TOOLKIT or ""), *Path(TOOLKIT or "").glob("*-linux")]
    include = next(root / "include" for root in candidates if (root / "include" / "acl" / "acl_rt.h").exists())
    done = compile_comparison(tmp_path, include)
    assert done.returncode == 0, done.stderr[-4000:]
