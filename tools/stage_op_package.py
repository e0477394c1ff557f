#!/usr/bin/env python3
"""Makes a CANN operator project of the kernels: the toolkit's own project template with our files in it.

    python tools/stage_op_package.py --toolkit $ASCEND_HOME_PATH --out build/op_package --unit ascend910b
    build/op_package/build.sh            # leaves build_out/custom_opp_*.run

The operators are NpuFaFlashAttentionScore and NpuFaFlashAttentionScoreGrad of vendor npu_fa, beside the toolkit's own.
--vendor-names gives them the toolkit's names instead, so that they take the place of its operators.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path("tools") / "op_project_templates" / "ascendc" / "customize"
UNITS = ("ascend910b", "ascend910_93")
OPERATORS = {"forward": "FlashAttentionScore", "backward": "FlashAttentionScoreGrad"}
PREFIX = "NpuFa"
HOST_SOURCES = ("problem_builder", "visibility", "bias", "platform", "tiling", "backward_tiling", "copy_plan", "launch")
NOT_PACKED = ("launch_simulator.h", "kernel_entries.h")  # of other ways to launch


class StageError(ValueError):
    """The project cannot be made as asked."""


def kernel_name(operator: str) -> str:
    """File and function of an operator's kernel, as the toolkit derives them from its type."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operator).lower()


def stage(toolkit: Path, out: Path, units: list[str], vendor: str, vendor_names: bool) -> None:
    """Writes the project into the new folder `out`.

    Raises:
        StageError: the toolkit has no template, a unit is not known, or `out` is there already.
    """
    template = toolkit / TEMPLATE
    if not (template / "CMakePresets.json").is_file():
        raise StageError(f"toolkit: expected a folder with {TEMPLATE}, got {toolkit}")
    if unknown := [unit for unit in units if unit not in UNITS]:
        raise StageError(f"unit: expected {' or '.join(UNITS)}, got {', '.join(unknown)}")
    if out.exists():
        raise StageError(f"out: expected a folder that is not there yet, got {out}")
    operators = {kind: name if vendor_names else PREFIX + name for kind, name in OPERATORS.items()}
    shutil.copytree(template, out)
    _set_up(out, toolkit, units, vendor)
    _copy_host(out / "op_host", operators)
    _copy_kernels(out / "op_kernel", operators)


def _set_up(out: Path, toolkit: Path, units: list[str], vendor: str) -> None:
    """The template's options; its C++11 becomes the C++17 of our sources."""
    presets = json.loads((out / "CMakePresets.json").read_text(encoding="utf-8"))
    variables = presets["configurePresets"][0]["cacheVariables"]
    values = {"ASCEND_COMPUTE_UNIT": ";".join(units), "vendor_name": vendor, "ASCEND_CANN_PACKAGE_PATH": str(toolkit)}
    values["ENABLE_TEST"] = "False"
    for name, value in values.items():
        variables[name]["value"] = value
    (out / "CMakePresets.json").write_text(json.dumps(presets, indent=4) + "\n", encoding="utf-8")
    for file in sorted((out / "cmake").glob("*.cmake")):
        text = file.read_text(encoding="utf-8")
        if "-std=c++11" in text:
            file.write_text(text.replace("-std=c++11", "-std=c++17"), encoding="utf-8")


def _copy_host(to: Path, operators: dict[str, str]) -> None:
    host, registration = ROOT / "op_host", ROOT / "op_host" / "op_registration"
    files = [host / f"{name}.cpp" for name in HOST_SOURCES]
    files += [file for file in host.glob("*.h") if file.name not in NOT_PACKED]
    files += [*registration.glob("*.cpp"), *registration.glob("*.h")]
    to.mkdir(exist_ok=True)
    for file in files:
        shutil.copy(file, to / file.name)
    names = to / "op_names.h"
    text = names.read_text(encoding="utf-8")
    for kind, operator in operators.items():
        text, count = re.subn(rf"(#define NPU_FA_{kind.upper()}_OP) \w+", rf"\1 {operator}", text)
        assert count == 1, kind
    names.write_text(text, encoding="utf-8")


def _copy_kernels(to: Path, operators: dict[str, str]) -> None:
    to.mkdir(exist_ok=True)
    for file in (ROOT / "op_kernel").glob("*.h"):
        shutil.copy(file, to / file.name)
    for kind, operator in operators.items():
        text = (ROOT / "op_host" / "op_registration" / "kernels" / f"{kind}.cpp.in").read_text(encoding="utf-8")
        name = kernel_name(operator)
        (to / f"{name}.cpp").write_text(text.replace("@KERNEL@", name), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toolkit", type=Path, required=True, help="folder of the toolkit (ASCEND_HOME_PATH)")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--unit", nargs="+", default=["ascend910b"], help=f"of {', '.join(UNITS)}")
    parser.add_argument("--vendor", default="npu_fa", help="folder below the toolkit's opp/vendors")
    parser.add_argument("--vendor-names", action="store_true", help="take the place of the toolkit's operators")
    options = parser.parse_args()
    try:
        stage(options.toolkit, options.out, options.unit, options.vendor, options.vendor_names)
    except StageError as error:
        sys.exit(f"stage_op_package: {error}")


if __name__ == "__main__":
    main()
