"""The operator package: the project is whole, its kernels fit its definitions, its shapes are those of the package."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from npu_build import ROOT, run
from npu_flash_attention.call import output_shapes

REGISTRATION = ROOT / "op_host" / "op_registration"
# Of the vendor's operators, out of the headers of its graph library.
LENGTHS = ("prefix", "actual_seq_qlen", "actual_seq_kvlen", "q_start_idx", "kv_start_idx")
MASKS = ("drop_mask", "padding_mask", "atten_mask")
FORWARD_IN = ("query", "key", "value", "real_shift", *MASKS, *LENGTHS)
FORWARD_OUT = ("softmax_max", "softmax_sum", "softmax_out", "attention_out")
SAVED = ("softmax_max", "softmax_sum", "softmax_in", "attention_in")
BACKWARD_IN = ("query", "key", "value", "dy", "pse_shift", *MASKS, *SAVED, *LENGTHS)
BACKWARD_OUT = ("dq", "dk", "dv", "dpse")
ATTRIBUTES = [
    "scale_value",
    "keep_prob",
    "pre_tockens",
    "next_tockens",
    "head_num",
    "input_layout",
    "inner_precise",
    "sparse_mode",
    "pse_type",
]
PRESETS = ("ASCEND_COMPUTE_UNIT", "vendor_name", "ASCEND_CANN_PACKAGE_PATH", "ENABLE_TEST", "ENABLE_BINARY_PACKAGE")


def stager() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stage_op_package", ROOT / "tools" / "stage_op_package.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def toolkit(tmp_path: Path) -> Path:
    """What staging asks of a toolkit's template: presets, and CMake files that ask for C++11."""
    template = tmp_path / "toolkit" / "tools" / "op_project_templates" / "ascendc" / "customize"
    for folder in ("cmake", "op_host", "op_kernel"):
        (template / folder).mkdir(parents=True)
    presets = {"configurePresets": [{"cacheVariables": {name: {"value": "theirs"} for name in PRESETS}}]}
    (template / "CMakePresets.json").write_text(json.dumps(presets))
    (template / "cmake" / "func.cmake").write_text("execute_process(COMMAND g++ -shared -std=c++11 x)\n")
    (template / "op_host" / "CMakeLists.txt").write_text("# theirs\n")
    return tmp_path / "toolkit"


def test_every_file_of_the_project_is_there(toolkit: Path, tmp_path: Path) -> None:
    out = tmp_path / "project"
    stager().stage(toolkit, out, ["ascend910b"], "npu_fa", vendor_names=False)
    assert (out / "op_host" / "CMakeLists.txt").read_text() == "# theirs\n"
    for folder, others in (("op_host", ["op_kernel"]), ("op_kernel", [])):
        here = {file.name for part in (folder, *others) for file in (out / part).iterdir()}
        for file in (out / folder).glob("*.*"):
            for name in re.findall(r'#include "([^"]+)"', file.read_text()):
                of_the_toolkit = name == "kernel_operator.h" or name.startswith(("register/", "tiling/platform/"))
                assert of_the_toolkit or name in here, f"{folder}/{file.name} includes {name}"
    sources = {file.stem for file in (out / "op_host").glob("*.cpp")}
    assert {"op_forward", "op_backward", "graph_call", "output_shapes"} <= sources
    # Whatever the host's CMake target compiles, the project has.
    listed = re.search(r"set\(NPU_FA_HOST_SOURCES ([^)]*)\)", (ROOT / "CMakeLists.txt").read_text())
    assert listed is not None
    assert {Path(name).stem for name in listed[1].split()} <= sources


def test_host_sources_of_the_project_need_no_other_folder(toolkit: Path, tmp_path: Path) -> None:
    out = tmp_path / "project"
    stager().stage(toolkit, out, ["ascend910b"], "npu_fa", vendor_names=False)
    for name in stager().HOST_SOURCES:
        source = out / "op_host" / f"{name}.cpp"
        run(os.environ.get("CXX", "c++"), "-std=c++17", "-fsyntax-only", f"-I{out / 'op_kernel'}", source)


@pytest.mark.parametrize("vendor_names", [False, True])
def test_names_and_options(vendor_names: bool, toolkit: Path, tmp_path: Path) -> None:
    out = tmp_path / "project"
    stager().stage(toolkit, out, ["ascend910b", "ascend910_93"], "mine", vendor_names)
    prefix = "" if vendor_names else "NpuFa"
    names = (out / "op_host" / "op_names.h").read_text()
    assert f"#define NPU_FA_FORWARD_OP {prefix}FlashAttentionScore\n" in names
    assert f"#define NPU_FA_BACKWARD_OP {prefix}FlashAttentionScoreGrad\n" in names
    kernel = "flash_attention_score" if vendor_names else "npu_fa_flash_attention_score"
    for name in (kernel, f"{kernel}_grad"):
        assert f"__aicore__ void {name}(" in (out / "op_kernel" / f"{name}.cpp").read_text()
    assert len(list((out / "op_kernel").glob("*.cpp"))) == 2
    (preset,) = json.loads((out / "CMakePresets.json").read_text())["configurePresets"]
    values = {name: variable["value"] for name, variable in preset["cacheVariables"].items()}
    assert values["ASCEND_COMPUTE_UNIT"] == "ascend910b;ascend910_93"
    assert values["vendor_name"] == "mine"
    assert values["ASCEND_CANN_PACKAGE_PATH"] == str(toolkit)
    assert "-std=c++17" in (out / "cmake" / "func.cmake").read_text()


def test_what_cannot_be_staged_is_refused(toolkit: Path, tmp_path: Path) -> None:
    tool = [sys.executable, str(ROOT / "tools" / "stage_op_package.py")]

    def said(*options: str | Path) -> str:
        done = subprocess.run([*tool, *map(str, options)], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        return done.stderr

    assert "toolkit: expected a folder with tools" in said("--toolkit", tmp_path, "--out", tmp_path / "x")
    assert "got ascend310p" in said("--toolkit", toolkit, "--out", tmp_path / "x", "--unit", "ascend310p")
    assert "that is not there yet" in said("--toolkit", toolkit, "--out", tmp_path)


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs"), [("forward", FORWARD_IN, FORWARD_OUT), ("backward", BACKWARD_IN, BACKWARD_OUT)]
)
def test_kernel_and_tiling_agree_about_the_inputs(kind: str, inputs: tuple[str], outputs: tuple[str]) -> None:
    text = (REGISTRATION / "kernels" / f"{kind}.cpp.in").read_text()
    parameters = re.search(r"@KERNEL@\(([^)]*)\)", text)
    assert parameters is not None
    assert parameters[1].replace("GM_ADDR", "").replace(",", " ").split() == [*inputs, *outputs, "workspace", "tiling"]
    indices = re.search(rf"k{kind.title()}Inputs = {{([^}}]*)}}", (REGISTRATION / "graph_call.h").read_text())
    assert indices is not None
    pse = "real_shift" if kind == "forward" else "pse_shift"
    read = [pse, "drop_mask", "atten_mask", *LENGTHS]
    assert [int(index) for index in indices[1].split(",")] == [inputs.index(name) for name in read]


def test_attributes_are_defined_in_the_order_in_which_they_are_read() -> None:
    assert re.findall(r'op\.Attr\("(\w+)"\)', (REGISTRATION / "graph_call.cpp").read_text()) == ATTRIBUTES
    order = re.search(r"enum Attribute : size_t {([^}]*)}", (REGISTRATION / "graph_call.h").read_text())
    assert order is not None
    named = [name.strip()[1:].lower() for name in order[1].split(",") if name.strip()]
    assert named == [name.replace("_value", "").replace("tockens", "tokens").replace("_", "") for name in ATTRIBUTES]


CALLS = """
#include <cstdio>
#include "output_shapes.h"
using npu_fa::graph::ForwardShapes;
static void Print(const std::vector<int64_t>& sizes) {
  for (const int64_t size : sizes) std::printf("%lld,", static_cast<long long>(size));
}
int main() {
  for (const char* layout : {"BSH", "SBH", "BNSD", "BSND", "TND", "bNsD"}) {
    const bool four = layout[1] == 'N' && layout[0] != 'T' || layout[3] != 0;
    for (const int64_t kv : {2, 4}) {
      const auto shapes = four ? ForwardShapes(layout, 4, {3, 4, 5, 16}, {3, kv, 7, 16}, {3, kv, 7, 8})
                               : layout[0] == 'T' ? ForwardShapes(layout, 4, {9, 4, 16}, {11, kv, 16}, {11, kv, 8})
                                                  : ForwardShapes(layout, 4, {3, 5, 64}, {3, 7, kv * 16}, {3, 7, kv * 8});
      Print(shapes.out); std::printf(" "); Print(shapes.statistics); std::printf("\\n");
    }
  }
  const auto unknown = ForwardShapes("BSH", 4, {-1, 5, -1}, {-1, 7, -1}, {-1, 7, -1});
  Print(unknown.out); std::printf(" "); Print(unknown.statistics); std::printf("\\n");
  const bool refused = ForwardShapes("BNSD", 4, {3, 4, 5}, {3, 4, 5}, {3, 4, 5}).out.empty() &&
                       ForwardShapes("NOPE", 4, {3, 4, 5}, {3, 4, 5}, {3, 4, 5}).out.empty();
  return refused ? 0 : 1;
}
"""


def test_inferred_shapes_are_those_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "calls.cpp").write_text(CALLS)
    compiler = os.environ.get("CXX", "c++")
    sources = (tmp_path / "calls.cpp", REGISTRATION / "output_shapes.cpp")
    run(compiler, "-std=c++17", f"-I{REGISTRATION}", *sources, "-o", tmp_path / "calls")
    *known, unknown = run(tmp_path / "calls").splitlines()
    expected = []
    for layout, kv in itertools.product(("BSH", "SBH", "BNSD", "BSND", "TND", "bNsD"), (2, 4)):
        sizes = {
            "BSH": ((3, 5, 64), (3, 7, kv * 16), (3, 7, kv * 8)),
            "TND": ((9, 4, 16), (11, kv, 16), (11, kv, 8)),
        }.get(layout.replace("SBH", "BSH"), ((3, 4, 5, 16), (3, kv, 7, 16), (3, kv, 7, 8)))
        shapes = output_shapes(*(torch.empty(size, device="meta") for size in sizes), 4, layout)
        expected.append(" ".join("".join(f"{size}," for size in shape) for shape in shapes))
    assert known == expected
    assert unknown == "-1,5,-1, -1,4,5,8,"
