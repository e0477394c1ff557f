"""Python, torch, the compiled parts of this package, and what its backends make of a call."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import sys
from pathlib import Path

import torch

from .. import __version__
from .. import backends as registry
from ..backends import native
from ..sweep.cases import Case
from ..sweep.check import run
from .finding import BROKEN, MISSING, OK, Finding

TOPIC, BACKENDS = f"npu_flash_attention {__version__}", "backends"

_REBUILD = "build it: pip install --no-build-isolation . in the source folder"
_EXTENSIONS = {"_C": "compiled core", "_cpu": "CPU kernels", "_S": "simulator"}
# One call with most of what a call can have: grouped heads, a band, dropout, awkward sizes; small, for the simulator.
_CASE = Case(
    layout="BSND", heads=4, kv_heads=2, q_len=9, kv_len=21, head_dim=24, mask="compressed", sparse_mode=3,
    dropout="generated", keep_prob=0.8,
)  # fmt: skip


def findings() -> list[Finding]:
    return [_python(), _torch(), *(_extension(name, title) for name, title in _EXTENSIONS.items()), _aclnn()]


def _python() -> Finding:
    version, machine = platform.python_version(), f"{platform.system()} {platform.release()} {platform.machine()}"
    facts = {"version": version, "executable": sys.executable, "platform": machine}
    return Finding(TOPIC, "Python", OK, f"{version}, {machine}, {sys.executable}", facts=facts)


def _torch() -> Finding:
    threads = torch.get_num_threads()
    return Finding(
        TOPIC,
        "torch",
        OK,
        f"{torch.__version__}, threads: {threads}, {torch.backends.cpu.get_cpu_capability()}",
        facts={"version": torch.__version__, "threads": threads, "cxx11_abi": torch.compiled_with_cxx11_abi()},
    )


def _extension(name: str, title: str) -> Finding:
    module = f"npu_flash_attention.{name}"
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        others = sorted(path.name for path in Path(__file__).parents[1].glob(f"{name}.*.so"))
        if others:
            text = f"built for another Python: {', '.join(others)}"
            return Finding(TOPIC, title, BROKEN, text, _REBUILD)
        state = MISSING if name == "_S" else BROKEN  # the simulator can be left out of a build
        return Finding(TOPIC, title, state, "not built", _REBUILD)
    facts = {"path": spec.origin}
    try:
        importlib.import_module(module)
    except ImportError as error:
        return Finding(TOPIC, title, BROKEN, f"{spec.origin} does not load: {error}", _REBUILD, facts)
    if name != "_cpu":
        return Finding(TOPIC, title, OK, spec.origin, facts=facts)
    described = native.describe()
    chosen = f"{described['level']}; products: bfloat16 {described['bfloat16_products']}, float32 "
    return Finding(TOPIC, title, OK, chosen + described["float32_products"], facts=facts | described)


def _aclnn() -> Finding:
    if importlib.util.find_spec("npu_flash_attention.aclnn") is None:
        return Finding(TOPIC, "aclnn", MISSING, "this version has no npu_flash_attention.aclnn")
    try:
        importlib.import_module("npu_flash_attention.aclnn")
    except ImportError as error:
        return Finding(TOPIC, "aclnn", BROKEN, f"npu_flash_attention.aclnn does not import: {error}", _REBUILD)
    return Finding(TOPIC, "aclnn", OK, "npu_flash_attention.aclnn imports")


def backends() -> list[Finding]:
    """What each backend makes of a small call, forward and backward, judged by golden."""
    return [_backend(name) for name in registry.BACKENDS]


def _backend(name: str) -> Finding:
    reason = registry.BACKENDS[name].unavailable()
    if reason is not None:
        return Finding(BACKENDS, name, BROKEN if "does not load" in reason else MISSING, reason)
    outcome = run(_CASE, name)
    facts = {"status": outcome.status, "seconds": round(outcome.seconds, 3)}
    if outcome.status == "ok":
        text = f"forward and backward within the error budget of a small call, {outcome.seconds:.2f} s"
        return Finding(BACKENDS, name, OK, text, facts=facts)
    again = f"npu-flash-attention sweep --backend {name} --case '{_CASE.to_json()}' repeats it"
    if outcome.status in ("refused", "skipped"):
        return Finding(BACKENDS, name, MISSING, f"takes no such call: {outcome.message}", again, facts)
    return Finding(BACKENDS, name, BROKEN, outcome.message, again, facts)
