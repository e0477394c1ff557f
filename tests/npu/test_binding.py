"""The backend `npu` with a simulated chip in the place of the card: everything but torch_npu's stream is what runs there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import npu_flash_attention as fa
import pytest
import torch
from npu_flash_attention import _C, backends
from npu_flash_attention.backends import npu
from npu_flash_attention.call import Call
from npu_flash_attention.compat.real import STAND_IN
from npu_flash_attention.sweep import check
from npu_flash_attention.sweep.generate import random_case
from npu_flash_attention.sweep.inputs import build
from torch import Tensor


class OnCpu(npu.NpuBackend):
    device = "cpu"

    def unavailable(self) -> None:
        return None


@pytest.fixture
def card(simulated_npu: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(backends.BACKENDS, "npu", OnCpu())
    with backends.backend("npu"):
        yield


ON_THE_CHIP = [index for index in range(40) if random_case(29, index).dtype != "float64"][:16]


@pytest.mark.parametrize("index", ON_THE_CHIP)
def test_random_calls_agree_with_golden(index: int, card: None) -> None:
    """Outputs, statistics and every gradient, through autograd and the explicit grad functions."""
    case = random_case(29, index)
    inputs = build(case, hidden=False)  # docs/kernels.md, limits
    try:
        results = check.operator_results(inputs)
    except NotImplementedError as reason:
        assert max(case.head_dim, case.value_dim) > 256, reason
        pytest.skip(str(reason))
    failures = [c.failure for c in check.judge(inputs, results) if c.failure]
    assert not failures, f"{case}: {failures}"


def test_generated_dropout_is_that_of_the_other_backends(card: None) -> None:
    q, k, v = (torch.randn(1, 2, 48, 32).half() for _ in range(3))
    options = {"scale": 0.2, "keep_prob": 0.7, "seed": 11, "offset": 5}
    out = fa.npu_fusion_attention_v2(q, k, v, 2, "BNSD", **options)[0]
    with backends.backend("golden"):
        expected = fa.npu_fusion_attention_v2(q, k, v, 2, "BNSD", **options)[0]
    torch.testing.assert_close(out, expected, atol=2e-3, rtol=2e-3)


def plan_of(q: Tensor) -> tuple[Tensor, int]:
    blob, workspace = _C.plan_forward(Call(q, q, q, q.size(1), "BNSD").build_problem(), "Ascend910B2")
    return torch.frombuffer(bytearray(blob), dtype=torch.uint8), workspace


def launch(q: Tensor, workspace: Tensor, inputs: int = 9, outputs: int = 3, plan: Tensor | None = None) -> None:
    blob, _ = plan_of(q)
    statistics = torch.empty(*q.shape[:3], 8)
    torch.ops.npu_flash_attention.launch_forward(
        blob if plan is None else plan,
        workspace,
        ([q, q, q] + [None] * 6)[:inputs],
        [torch.empty_like(q), statistics, statistics.clone()][:outputs],
    )


def test_a_launch_that_cannot_be_is_refused(simulated_npu: None) -> None:
    q = torch.randn(1, 1, 16, 16).half()
    plan, bytes_ = plan_of(q)
    memory = npu._workspace(bytes_, q)
    launch(q, memory)
    with pytest.raises(RuntimeError, match="launch: expected 9 inputs, got 8"):
        launch(q, memory, inputs=8)
    with pytest.raises(RuntimeError, match="launch: expected 3 outputs, got 2"):
        launch(q, memory, outputs=2)
    with pytest.raises(RuntimeError, match="expected plan as bytes on the CPU"):
        launch(q, memory, plan=plan.float())
    with pytest.raises(ValueError, match="workspace: expected an address that is a multiple of 512"):
        launch(q, npu._workspace(bytes_ + 64, q)[64:])
    with pytest.raises(ValueError, match=f"workspace: expected {bytes_} bytes, got {bytes_ - 512}"):
        launch(q, memory[:-512])
    with pytest.raises(ValueError, match=f"plan: expected .* got {plan.numel() - 8} bytes"):
        launch(q, memory, plan=plan[:-8])


def test_launches_on_the_acl_runtime(build: Callable[[str], Path]) -> None:
    """launch_npu.cpp runs, on a simulated runtime: blobs in flight, threads, refusals."""
    done = subprocess.run([build("launch_npu_test") / "launch_npu_test"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def module(available: bool, **attributes: object) -> ModuleType:
    made = ModuleType("torch_npu")
    made.npu = ModuleType("torch_npu.npu")  # type: ignore[attr-defined]
    made.npu.is_available = lambda: available  # type: ignore[attr-defined]
    vars(made).update(attributes)
    return made


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (ModuleNotFoundError("No module named 'torch_npu'", name="torch_npu"), "^torch_npu is not installed$"),
        (ModuleNotFoundError("No module named 'acl'", name="acl"), "torch_npu does not import .No module named 'acl'"),
        (ImportError("libhccl.so: cannot open"), "torch_npu does not import .ImportError: libhccl.so"),
        (module(True, __file__=f"{STAND_IN}/torch_npu/__init__.py"), "stand-in"),
        (module(False), "^torch_npu finds no NPU$"),
        (module(True), "no NPU binding .build with ASCEND_HOME_PATH and NPU_FA_SOC"),
    ],
)
def test_what_is_missing_is_said(found: ModuleType | Exception, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(name: str) -> ModuleType:
        assert name == "torch_npu"
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(npu.importlib, "import_module", imported)
    npu.missing.cache_clear()
    try:
        with pytest.raises(NotImplementedError, match=r"^backend 'npu': "), backends.backend("npu"):
            pass
        said = npu.missing()
    finally:
        npu.missing.cache_clear()
    assert said is not None
    assert re.search(reason, said), said


def test_a_chip_without_plans_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_npu", module(True))
    monkeypatch.setattr(npu, "LIBRARY", Path(__file__))
    monkeypatch.setattr(torch.ops, "load_library", lambda path: None)
    chip = SimpleNamespace(launch_soc=lambda: "Ascend310P3")
    monkeypatch.setattr(torch.ops, "npu_flash_attention", chip, raising=False)
    npu.missing.cache_clear()
    try:
        assert re.match("the chip is Ascend310P3, and the kernels are for Ascend910B1, ", str(npu.missing()))
        chip.launch_soc = lambda: "Ascend910B4"
        npu.missing.cache_clear()
        assert npu.missing() == "this build has no kernels for Ascend910B4 (build with NPU_FA_SOC=Ascend910B4)"
    finally:
        npu.missing.cache_clear()
