"""What only a card can run compiles: against the headers of torch_npu, and against launch headers made of our kernels."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import launch_headers
import pytest
from npu_build import ROOT, TORCH, run

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-fPIC")
OURS = (f"-I{ROOT / 'op_host'}", f"-I{ROOT / 'op_kernel'}")
SYSTEM = (f"-isystem{TORCH / 'include'}", f"-isystem{TORCH / 'include' / 'torch' / 'csrc' / 'api' / 'include'}")


def compiled(source: Path, to: Path, *options: str) -> Path:
    target = to / f"{source.stem}.o"
    run(os.environ.get("CXX", "c++"), "-c", source, "-o", target, *WARNINGS, *OURS, *options)
    return target


def symbols(binary: Path, kind: str, *options: str) -> set[str]:
    """Names of a kind of symbol, as nm gives it: U is undefined, T a function, W weak."""
    lines = run("nm", *options, binary).splitlines()
    return {line.split()[-1].split("@")[0] for line in lines if re.search(rf" [{kind}] ", line)}


@pytest.fixture(scope="module")
def binding(torch_npu: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("binding")
    return compiled(
        ROOT / "python" / "csrc" / "bind_npu.cpp", folder, "-std=c++20", *SYSTEM, f"-isystem{torch_npu / 'include'}"
    )


def test_binding_finds_what_it_calls_in_the_library(binding: Path, torch_npu: Path) -> None:
    needed = {name for name in symbols(binding, "U") if re.match(r"_ZNK?(7c10_npu|6at_npu)", name)}
    assert any("getCurrentNPUStream" in name for name in needed), needed
    assert any("RunOpApiV2" in name for name in needed), needed
    lacking = needed - symbols(torch_npu / "lib" / "libtorch_npu.so", "TWV", "-D")
    assert not lacking


@pytest.fixture(scope="module")
def launch(torch_npu: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("launch")
    return compiled(ROOT / "op_host" / "launch_npu.cpp", folder, "-std=c++17", f"-isystem{torch_npu / 'include'}")


def test_run_time_calls_are_in_one_file(launch: Path, binding: Path) -> None:
    def of_the_runtime(names: set[str]) -> set[str]:
        return {name for name in names if name.startswith("acl")}

    assert {"aclrtMemcpyAsync", "aclrtMallocHost", "aclrtGetSocName"} <= of_the_runtime(symbols(launch, "U"))
    assert not of_the_runtime(symbols(binding, "U"))
    callers = [
        path.name
        for path in [*sorted((ROOT / "op_host").glob("*.cpp")), ROOT / "python" / "csrc" / "bind_npu.cpp"]
        if re.search(r"\bacl(rt|mdl)?[A-Z]\w+\(", path.read_text(encoding="utf-8"))
    ]
    assert callers == ["launch_npu.cpp"]


def test_kernel_entries_fit_the_kernels(torch_npu: Path, tmp_path: Path) -> None:
    launch_headers.write(ROOT / "op_kernel", tmp_path)
    options = ("-std=c++17", f"-isystem{torch_npu / 'include'}", f"-I{tmp_path}")
    entries = compiled(ROOT / "op_host" / "kernel_entries.cpp", tmp_path, *options)
    kernels = set(launch_headers.kernels(ROOT / "op_kernel"))
    assert kernels
    assert {name for name in symbols(entries, "U") if "aclrtlaunch" in name} == {f"aclrtlaunch_{k}" for k in kernels}
    assert {f"npu_fa_{kernel}" for kernel in kernels} <= symbols(entries, "T")
    launcher = (ROOT / "op_host" / "launch_npu.cpp").read_text(encoding="utf-8")
    assert {f"npu_fa_{kernel}" for kernel in kernels} == set(re.findall(r'"(npu_fa_\w+)"', launcher))


def configure(tmp_path: Path, *options: str) -> str:
    """What CMake says when it refuses."""
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path / "build"), "-DNPU_FA_BUILD_PYTHON=OFF", *options]
    environment = {k: v for k, v in os.environ.items() if k not in ("ASCEND_HOME_PATH", "NPU_FA_SOC")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0
    return " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        ((), ("-DNPU_FA_SOC=Ascend910B2",), "there is no toolkit: source its set_env.sh"),
        ((), ("-DNPU_FA_SOC=Ascend910B2", "-DASCEND_HOME_PATH={}/nowhere"), "nowhere, which is no folder"),
        ((), ("-DNPU_FA_SOC=Ascend910B2", "-DASCEND_HOME_PATH={}/toolkit"), "with the AscendC compiler, got"),
        (("ascendc.cmake",), ("-DNPU_FA_SOC=Ascend910B2", "-DASCEND_HOME_PATH={}/toolkit"), "lib64/libascendcl.so"),
        (
            ("ascendc.cmake", "libascendcl.so"),
            ("-DNPU_FA_SOC=Ascend910B2;Ascend310P", "-DASCEND_HOME_PATH={}/toolkit"),
            "NPU_FA_SOC: expected chips of op_host/platform.cpp, got Ascend310P",
        ),
    ],
)
def test_cmake_says_what_is_missing(
    files: tuple[str, ...], options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    places = {"ascendc.cmake": "compiler/tikcpp/ascendc_kernel_cmake", "libascendcl.so": "lib64"}
    (tmp_path / "toolkit").mkdir()
    for name in files:
        folder = tmp_path / "toolkit" / places[name]
        folder.mkdir(parents=True)
        (folder / name).touch()
    assert said in configure(tmp_path, *(option.format(tmp_path) for option in options))


# The functions of the toolkit's ascendc.cmake that its manual names, with host functions for kernels.
ASCENDC_CMAKE = """
if(NOT SOC_VERSION OR NOT RUN_MODE STREQUAL npu OR NOT IS_DIRECTORY ${ASCEND_CANN_PACKAGE_PATH})
  message(FATAL_ERROR "the toolkit was not told what to build for")
endif()
function(ascendc_library target type)
  if(NOT ARGN MATCHES "flash_attention_score.cpp" OR NOT ARGN MATCHES "flash_attention_score_grad.cpp")
    message(FATAL_ERROR "kernels are missing: ${ARGN}")
  endif()
  add_library(${target} ${type} @TESTS@/recording_kernels.cpp)
  target_include_directories(${target} PUBLIC @HEADERS@ @ACL@)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()
function(ascendc_include_directories target scope)
  if(NOT EXISTS ${ARGN}/forward.h)
    message(FATAL_ERROR "no kernels in ${ARGN}")
  endif()
endfunction()
"""


def test_cmake_builds_the_kernels_for_each_chip(tmp_path: Path) -> None:
    toolkit, headers, build = tmp_path / "toolkit", tmp_path / "headers", tmp_path / "build"
    scripts = toolkit / "compiler" / "tikcpp" / "ascendc_kernel_cmake"
    for folder in (scripts, toolkit / "lib64", headers, build):
        folder.mkdir(parents=True)
    (toolkit / "lib64" / "libascendcl.so").touch()
    launch_headers.write(ROOT / "op_kernel", headers)
    places = {"TESTS": ROOT / "tests" / "npu", "HEADERS": headers, "ACL": ROOT / "simulator" / "include"}
    text = ASCENDC_CMAKE
    for name, folder in places.items():
        text = text.replace(f"@{name}@", str(folder))
    (scripts / "ascendc.cmake").write_text(text, encoding="utf-8")
    options = ("-DNPU_FA_SOC=Ascend910B2;Ascend910_9391", f"-DASCEND_HOME_PATH={toolkit}", "-DNPU_FA_BUILD_PYTHON=OFF")
    run("cmake", "-S", ROOT, "-B", build, *options)
    targets = ("npu_fa_kernels_Ascend910B2", "npu_fa_kernels_Ascend910_9391")
    run("cmake", "--build", build, "--target", *targets)
    installed = (build / "cmake_install.cmake").read_text(encoding="utf-8")
    for soc in ("ascend910b2", "ascend910_9391"):
        assert str(build / f"libnpu_fa_kernels_{soc}.so") in installed
        functions = symbols(build / f"libnpu_fa_kernels_{soc}.so", "T", "-D")
        assert functions >= {
            f"npu_fa_{name}" for name in ("flash_attention_score", "flash_attention_score_grad", "strided_copy")
        }


def configured_for_a_card(tmp_path: Path, nnopbase: bytes, *options: str) -> dict[str, str]:
    """The commands that compile libnpu_fa_aclnn_npu, by source, with a toolkit whose library has these bytes."""
    toolkit = tmp_path / "toolkit"
    for name in ("compiler/tikcpp/ascendc_kernel_cmake/ascendc.cmake", "include/aclnn/opdev/common_types.h"):
        (toolkit / name).parent.mkdir(parents=True)
        (toolkit / name).touch()
    (toolkit / "lib64").mkdir()
    (toolkit / "lib64" / "libascendcl.so").touch()
    (toolkit / "lib64" / "libnnopbase.so").write_bytes(nnopbase)
    target = ("-DNPU_FA_SOC=Ascend910B2", f"-DASCEND_HOME_PATH={toolkit}", "-DNPU_FA_BUILD_PYTHON=OFF")
    run("cmake", "-S", ROOT, "-B", tmp_path / "b", *target, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options)
    commands = json.loads((tmp_path / "b" / "compile_commands.json").read_text(encoding="utf-8"))
    return {Path(c["file"]).name: c["command"] for c in commands if "npu_fa_aclnn_npu.dir" in c["command"]}


@pytest.mark.parametrize(
    ("symbol", "abi"),
    [(b"_Z23ReportErrorMessageInnerRKSsPKcz", 0), (b"_Z23ReportErrorMessageInnerRKNSt7__cxx1112basic_stringIcE", 1)],
)
def test_only_the_toolkits_strings_are_the_toolkits(symbol: bytes, abi: int, tmp_path: Path) -> None:
    commands = configured_for_a_card(tmp_path, b"\x7fELF" + b"\0" * 64 + symbol + b"\0")
    assert {"runtime_npu.cpp", "toolkit.cpp", "launch_npu.cpp", "phases.cpp"} <= set(commands)
    assert "runtime_simulator.cpp" not in commands
    assert f"-D_GLIBCXX_USE_CXX11_ABI={abi}" in commands["toolkit.cpp"]
    assert not any("_GLIBCXX_USE_CXX11_ABI" in c for name, c in commands.items() if name != "toolkit.cpp")


@pytest.mark.parametrize("errors", [False, True])
def test_warnings_are_errors_where_asked_for(errors: bool, tmp_path: Path) -> None:
    commands = configured_for_a_card(tmp_path, b"", f"-DNPU_FA_WERROR={'ON' if errors else 'OFF'}")
    assert all("-Wextra" in c and ("-Werror" in c) == errors for c in commands.values())


@pytest.mark.skipif(not os.environ.get("ASCEND_HOME_PATH"), reason="needs a toolkit's headers in ASCEND_HOME_PATH")
def test_the_aclnn_library_of_a_card_asks_the_toolkit_only_for_what_it_declares(tmp_path: Path) -> None:
    real, toolkit = Path(os.environ["ASCEND_HOME_PATH"]), tmp_path / "toolkit"
    (toolkit / "lib64").mkdir(parents=True)
    for folder in real.iterdir():
        if folder.name.endswith("-linux") or folder.name == "include":
            (toolkit / folder.name).symlink_to(folder)
    script = toolkit / "compiler" / "tikcpp" / "ascendc_kernel_cmake" / "ascendc.cmake"
    script.parent.mkdir(parents=True)
    script.touch()
    (tmp_path / "nothing.cpp").touch()
    for name in ("ascendcl", "nnopbase"):
        library = toolkit / "lib64" / f"lib{name}.so"
        run(os.environ.get("CXX", "c++"), "-shared", "-fPIC", tmp_path / "nothing.cpp", "-o", library)
    options = ("-DNPU_FA_SOC=Ascend910B2", f"-DASCEND_HOME_PATH={toolkit}", "-DNPU_FA_BUILD_PYTHON=OFF")
    run("cmake", "-S", ROOT, "-B", tmp_path / "b", "-DNPU_FA_WERROR=ON", *options)
    run("cmake", "--build", tmp_path / "b", "--parallel", "2", "--target", "npu_fa_aclnn_npu")
    library = tmp_path / "b" / "libnpu_fa_aclnn_npu.so"
    functions = {name for name in symbols(library, "T", "-D") if name.startswith("aclnn")}
    assert len(functions) == 32 and functions == symbols(library, "TWDBRV", "-D")
    headers = "".join(
        header.read_text(encoding="utf-8", errors="replace")
        for folder in real.glob("**/include")
        for part in ("acl", "aclnn")
        for header in (folder / part).rglob("*.h")
    )
    needed = {name for name in symbols(library, "U", "-D") if "acl" in name or "Report" in name}
    assert {"_ZNK8aclArrayIlE7GetDataEv", "_ZNK8aclArrayIlE4SizeEv"} <= needed
    for name in needed:
        plain = re.fullmatch(r"_Z(?:NK8aclArrayIlE)?\d+(\w+?)(?:Ev|RKSsPKcz)", name)
        assert re.search(rf"\b{plain[1] if plain else name}\(", headers), name
