"""The vendor's software and the chip: toolkit, driver, devices, torch_npu. Files are read, nothing is loaded."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .. import real_torch_npu
from .finding import BROKEN, MISSING, OK, Finding

TOPIC = "Ascend"

# What the toolkit's set_env.sh sets, the first that is set counts; and where an installation is without it.
_VARIABLES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")
_USUAL_PLACES = ("usr/local/Ascend/cann", "usr/local/Ascend/ascend-toolkit/latest")
# Below the toolkit: files with its version, and its compiler of kernels, in the releases there have been.
_VERSION_FILES = (
    "*-linux/ascend_toolkit_install.info",
    "version.info",
    "version.cfg",
    "*-linux/include/version/cann_version.h",
    "include/version/cann_version.h",
)
_COMPILERS = ("compiler/ccec_compiler/bin", "*-linux/ccec_compiler/bin", "tools/ccec_compiler/bin", "bin")
_HEADERS = ("*-linux/include/acl/acl.h", "include/acl/acl.h")
_SET_VERSION = re.compile(r"^(?:version|.*_installed_version|#define CANN_VERSION_STR)[\s=\[\"]+([\w.]+)", re.I | re.M)

_DRIVER = "usr/local/Ascend/driver/version.info"
_DEVICES = "dev/davinci[0-9]*"
_SMI_CHIP = re.compile(r"^\|\s*\d+\s+([\w-]+)\s*\|\s*([A-Za-z]+)\s*\|", re.M)

_ASK_TORCH_NPU = """
import json, torch
devices = [torch.npu.get_device_name(i) for i in range(torch.npu.device_count())] if torch.npu.is_available() else []
print(json.dumps({"version": torch_npu.__version__, "devices": devices}))
"""


def findings(root: Path, environment: Mapping[str, str] | None = None) -> list[Finding]:
    environment = os.environ if environment is None else environment
    toolkit, driver, devices = _toolkit(root, environment), _driver(root), _devices(root)
    if driver.state == OK and devices.state == MISSING:
        advice = "give the process the devices; for a container: --device /dev/davinci0 --device /dev/davinci_manager"
        devices = Finding(TOPIC, devices.name, BROKEN, "there is a driver, but no /dev/davinci*", advice)
    has_ascend = OK in (toolkit.state, driver.state)
    return [toolkit, driver, devices, _chips(environment, has_driver=driver.state == OK), _torch_npu(has_ascend)]


def _toolkit(root: Path, environment: Mapping[str, str]) -> Finding:
    variable = next((name for name in _VARIABLES if environment.get(name)), None)
    if variable is None:
        found = next((root / place for place in _USUAL_PLACES if (root / place).is_dir()), None)
        if found is None:
            return Finding(
                TOPIC, "toolkit", MISSING, f"{' and '.join(_VARIABLES)} are not set, nothing in /usr/local/Ascend"
            )
        script = next((path for path in (found / "set_env.sh", found.parent / "set_env.sh") if path.exists()), None)
        advice = f"source {script}" if script else f"set ASCEND_HOME_PATH={found}"
        return Finding(TOPIC, "toolkit", MISSING, f"{found} is there, but {_VARIABLES[0]} is not set", advice)
    home = Path(environment[variable])
    if not home.is_dir():
        text = f"{variable}={home}: there is no such folder"
        return Finding(TOPIC, "toolkit", BROKEN, text, f"unset {variable}, or source the toolkit's set_env.sh")
    version = _version(home)
    compiler = _first(home, [f"{folder}/{name}" for folder in _COMPILERS for name in ("bisheng", "ccec")])
    headers = _first(home, _HEADERS)
    facts = {"path": str(home), "variable": variable, "version": version, "compiler": compiler and str(compiler)}
    parts = [f"{version or 'version unknown'} in {home} ({variable})", f"compiler {compiler or 'none'}"]
    if version is None and compiler is None and headers is None:
        text = f"{variable}={home}: no toolkit there (neither version file, compiler nor acl/acl.h)"
        return Finding(TOPIC, "toolkit", BROKEN, text, "source the toolkit's set_env.sh", facts)
    if compiler is None:
        advice = "kernels cannot be built with it: install the full toolkit, not only its runtime"
        return Finding(TOPIC, "toolkit", OK, ", ".join(parts), advice, facts)
    return Finding(TOPIC, "toolkit", OK, ", ".join(parts), facts=facts)


def _driver(root: Path) -> Finding:
    file = root / _DRIVER
    if not file.exists():
        return Finding(TOPIC, "driver", MISSING, f"no {file}")
    version = _version_in(file)
    return Finding(TOPIC, "driver", OK, f"{version or 'version unknown'} ({file})", facts={"version": version})


def _devices(root: Path) -> Finding:
    nodes = sorted(str(path) for path in root.glob(_DEVICES))
    if not nodes:
        return Finding(TOPIC, "devices", MISSING, f"no {root / 'dev'}/davinci*")
    return Finding(TOPIC, "devices", OK, " ".join(nodes), facts={"nodes": nodes})


def _chips(environment: Mapping[str, str], has_driver: bool) -> Finding:
    """What npu-smi says; without a driver it is not expected to be there."""
    program = shutil.which("npu-smi", path=environment.get("PATH"))
    if program is None:
        return Finding(TOPIC, "npu-smi", MISSING, "not in PATH")
    bad = BROKEN if has_driver else MISSING
    try:
        process = subprocess.run([program, "info"], capture_output=True, text=True, timeout=60, env=dict(environment))
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(TOPIC, "npu-smi", bad, f"{program} info: {error}")
    said = (process.stdout + process.stderr).strip()
    if process.returncode != 0:
        last = said.splitlines()[-1] if said else "nothing"
        return Finding(TOPIC, "npu-smi", bad, f"{program} info failed with exit code {process.returncode}: {last}")
    chips = [{"name": name, "health": health} for name, health in _SMI_CHIP.findall(said)]
    text = ", ".join(f"{chip['name']} {chip['health']}" for chip in chips) or "lists no chip"
    sick = [chip["name"] for chip in chips if chip["health"] != "OK"]
    state = BROKEN if sick else OK if chips else bad
    return Finding(TOPIC, "npu-smi", state, text, facts={"chips": chips})


def _torch_npu(has_ascend: bool) -> Finding:
    where = real_torch_npu.find()
    if where is None:
        advice = "scripts that import it run with python -m npu_flash_attention.compat, on the CPU"
        return Finding(TOPIC, "torch_npu", MISSING, "not installed", advice)
    reason, output = real_torch_npu.run(_ASK_TORCH_NPU)
    if reason is not None:
        state = BROKEN if has_ascend else MISSING
        text = f"installed ({where}), but does not import: {reason}"
        return Finding(TOPIC, "torch_npu", state, text, facts={"path": where})
    facts = json.loads(output.strip().splitlines()[-1]) | {"path": where}
    devices = ", ".join(facts["devices"]) or "no device"
    return Finding(TOPIC, "torch_npu", OK, f"{facts['version']}: {devices} ({where})", facts=facts)


def _version(home: Path) -> str | None:
    for pattern in _VERSION_FILES:
        for file in sorted(home.glob(pattern)):
            version = _version_in(file)
            if version:
                return version
    return None


def _version_in(file: Path) -> str | None:
    match = _SET_VERSION.search(file.read_text(encoding="utf-8", errors="replace"))
    return match[1] if match else None


def _first(home: Path, patterns: list[str] | tuple[str, ...]) -> Path | None:
    return next((path for pattern in patterns for path in sorted(home.glob(pattern))), None)
