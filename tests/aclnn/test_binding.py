"""The aclnn functions from Python: what they take, what they refuse, and how long things live."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from typing import Any

import npu_flash_attention as fa
import numpy as np
import pytest
import torch
from npu_flash_attention import aclnn
from torch import Tensor

from .calls import output

B, N, SQ, SKV, D = 1, 2, 12, 20, 16


def tensors(dtype: torch.dtype = torch.float16, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"query": (B, N, SQ, D), "key": (B, N, SKV, D), "value": (B, N, SKV, D)}
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}


def outputs(dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    statistics = (B, N, SQ, 8)
    return {
        "softmax_max": output(statistics, torch.float32),
        "softmax_sum": output(statistics, torch.float32),
        "attention_out": output((B, N, SQ, D), dtype),
    }


OPTIONS: dict[str, Any] = {"scale_value": 0.25, "head_num": N, "input_layout": "BNSD"}


def plan(**changes: Any) -> tuple[int, aclnn.Executor]:
    return aclnn.aclnnFlashAttentionScoreGetWorkspaceSize(**(tensors() | outputs() | OPTIONS | changes))


def forward(inputs: dict[str, Any], results: dict[str, Any], stream: aclnn.Stream | None) -> None:
    size, executor = aclnn.aclnnFlashAttentionScoreGetWorkspaceSize(**inputs, **results, **OPTIONS)
    aclnn.aclnnFlashAttentionScore(aclnn.empty_workspace(size), size, executor, stream)


def expected(inputs: dict[str, Tensor]) -> Tensor:
    with fa.backend("golden"):
        return fa.npu_fusion_attention(*inputs.values(), N, "BNSD", scale=0.25)[0]


def assert_close(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got.double(), wanted.double(), rtol=0, atol=4e-3 if got.dtype == torch.float16 else 2e-2)


class OnlyDLPack:
    """A producer that is neither torch nor numpy."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor

    def __dlpack__(self, **options: Any) -> Any:
        return self._tensor.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._tensor.__dlpack_device__()


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: t.numpy(), OnlyDLPack], ids=["torch", "numpy", "dlpack"])
def test_tensors_of_every_kind(wrap: Any) -> None:
    inputs, results = tensors(), outputs()
    with aclnn.Stream() as stream:
        forward({name: wrap(t) for name, t in inputs.items()}, {name: wrap(t) for name, t in results.items()}, stream)
        stream.synchronize()
    assert_close(results["attention_out"], expected(inputs))


def test_bfloat16_by_dlpack() -> None:
    inputs, results = tensors(torch.bfloat16), outputs(torch.bfloat16)
    with aclnn.Stream() as stream:
        forward({name: OnlyDLPack(t) for name, t in inputs.items()}, results, stream)
        stream.synchronize()
    assert_close(results["attention_out"], expected(inputs))


def test_views_of_numpy_arrays() -> None:
    packed = np.random.default_rng(0).standard_normal((B, SKV, 3, N, D)).astype(np.float16)
    inputs = {name: packed[:, :, i].transpose(0, 2, 1, 3) for i, name in enumerate(("query", "key", "value"))}
    results = {name: t[:, :, :1].expand(-1, -1, SKV, -1).contiguous() for name, t in outputs().items()}
    with aclnn.Stream() as stream:
        forward(inputs, results, stream)
        stream.synchronize()
    assert_close(results["attention_out"], expected({name: torch.from_numpy(t) for name, t in inputs.items()}))


def test_parameters_by_position() -> None:
    inputs, results = tensors(), outputs()
    size, executor = aclnn.aclnnFlashAttentionScoreGetWorkspaceSize(
        *inputs.values(), None, None, None, None, None, 0.25, 1.0, 2147483647, 2147483647, N, "BNSD", 0, 0,
        results["softmax_max"], results["softmax_sum"], None, results["attention_out"],
    )  # fmt: skip
    with aclnn.Stream() as stream:
        aclnn.aclnnFlashAttentionScore(aclnn.empty_workspace(size), size, executor, stream)
        stream.synchronize()
    assert_close(results["attention_out"], expected(inputs))


def test_the_default_stream() -> None:
    inputs, results = tensors(), outputs()
    forward(inputs, results, None)
    aclnn.synchronize()
    assert_close(results["attention_out"], expected(inputs))


def test_nothing_that_a_launch_needs_goes_away() -> None:
    inputs, results = tensors(), outputs()
    wanted = expected(inputs)
    with aclnn.Stream() as stream:
        for _ in range(5):
            forward({name: t.clone() for name, t in inputs.items()}, results, stream)
            gc.collect()
        stream.synchronize()
    assert_close(results["attention_out"], wanted)


def test_a_repeatable_executor() -> None:
    inputs, results = tensors(), outputs()
    size, executor = aclnn.aclnnFlashAttentionScoreGetWorkspaceSize(**inputs, **results, **OPTIONS)
    executor.set_repeatable()
    workspace = aclnn.empty_workspace(size)
    with aclnn.Stream() as stream:
        for seed in (1, 2):
            for name, tensor in tensors(seed=seed).items():
                inputs[name].copy_(tensor)
            aclnn.aclnnFlashAttentionScore(workspace, size, executor, stream)
            stream.synchronize()
            assert_close(results["attention_out"], expected(inputs))
    executor.destroy()


PLAN_ON_A_CHIP = """
import torch
from npu_flash_attention import aclnn
query = torch.randn(1, 64, 128, 64).half()
statistics = [torch.empty(1, 64, 128, 8) for _ in range(2)]
tensors = dict(zip(("softmax_max", "softmax_sum"), statistics), attention_out=torch.empty_like(query))
size, executor = aclnn.aclnnFlashAttentionScoreGetWorkspaceSize(
    query, query, query, head_num=64, input_layout="BNSD", **tensors)
with aclnn.Stream() as stream:
    aclnn.aclnnFlashAttentionScore(aclnn.empty_workspace(size), size, executor, stream)
    stream.synchronize()
print(size)
"""


def on_a_chip(soc: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ASCEND_SIMULATOR_SOC": soc}
    return subprocess.run(
        [sys.executable, "-c", PLAN_ON_A_CHIP], env=environment, capture_output=True, text=True, check=False
    )


def test_the_plan_is_for_the_chip_that_is_there() -> None:
    sizes = {}
    for soc in ("Ascend910B2", "Ascend910B4"):  # 24 and 20 cores
        done = on_a_chip(soc)
        assert done.returncode == 0, done.stderr
        sizes[soc] = int(done.stdout)
    assert sizes["Ascend910B2"] > sizes["Ascend910B4"] > 0
    assert "expected a chip the simulator knows, got Ascend310P3" in on_a_chip("Ascend310P3").stderr


def test_an_executor_is_good_for_one_launch() -> None:
    size, executor = plan()
    workspace = aclnn.empty_workspace(size)
    with aclnn.Stream() as stream:
        aclnn.aclnnFlashAttentionScore(workspace, size, executor, stream)
        with pytest.raises(aclnn.AclnnError, match="launched already") as caught:
            aclnn.aclnnFlashAttentionScore(workspace, size, executor, stream)
    assert caught.value.status == 161002


@pytest.mark.parametrize(
    ("workspace", "less", "status"), [(None, 0, 161001), ("given", 1, 161002)], ids=["null", "too small"]
)
def test_the_workspace_is_checked(workspace: str | None, less: int, status: int) -> None:
    size, executor = plan()
    memory = None if workspace is None else aclnn.empty_workspace(size)
    with aclnn.Stream() as stream, pytest.raises(aclnn.AclnnError, match="workspace") as caught:
        aclnn.aclnnFlashAttentionScore(memory, size - less, executor, stream)
    assert caught.value.status == status


def test_another_functions_executor_and_none() -> None:
    size, executor = plan()
    workspace = aclnn.empty_workspace(size)
    with pytest.raises(aclnn.AclnnError, match="aclnnFlashAttentionScore") as caught:
        aclnn.aclnnFlashAttentionScoreV2(workspace, size, executor)
    assert caught.value.status == 161002
    with pytest.raises(aclnn.AclnnError) as caught:
        aclnn.aclnnFlashAttentionScore(workspace, size, None)
    assert caught.value.status == 161001


REFUSED = {
    "query": ({"query": None}, 161001, "query: expected a pointer, got null"),
    "layout": ({"input_layout": None}, 161001, "inputLayout"),
    "lower case": ({"input_layout": "bnsd"}, 161002, 'inputLayout: expected BSH, SBH, BSND or BNSD, got "bnsd"'),
    "heads": ({"head_num": 3}, 561002, "headNum: expected query's 2 heads"),
    "dtype": ({"key": torch.zeros(B, N, SKV, D)}, 161002, "key: expected dtype float16 like query, got float32"),
    "mask": ({"atten_mask": torch.zeros(B, 1, 1, SKV).bool()}, 561002, "attenMask"),
    "drop mask": ({"drop_mask": torch.zeros(3).byte()}, 561002, "dropMask: expected at least 60 bytes"),
    "keep_prob": ({"keep_prob": 0.0}, 561002, "keepProb"),
    "output": ({"attention_out": torch.zeros(B, N, SQ, D + 1).half()}, 161002, "attentionOut: expected shape"),
}


@pytest.mark.parametrize(("changes", "status", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals(changes: dict[str, Any], status: int, message: str) -> None:
    with pytest.raises(aclnn.AclnnError) as caught:
        plan(**changes)
    error = caught.value
    assert (error.status, error.name) == (status, aclnn_name(status))
    assert message in error.message and error.message.startswith("aclnnFlashAttentionScoreGetWorkspaceSize: ")
    assert isinstance(error, fa.AttentionError) and isinstance(error, RuntimeError) and isinstance(error, ValueError)


def aclnn_name(status: int) -> str:
    names = {161001: "PARAM_NULLPTR", 161002: "PARAM_INVALID", 561002: "INNER_TILING_ERROR"}
    return f"ACLNN_ERR_{names[status]}"


def test_the_other_status_of_the_tiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPU_FA_TILING_STATUS", "561103")
    with pytest.raises(aclnn.AclnnError) as caught:
        plan(keep_prob=0.0)
    assert (caught.value.status, caught.value.name) == (561103, "ACLNN_ERR_INNER_NULLPTR")
    with pytest.raises(aclnn.AclnnError) as caught:
        plan(head_num=0)
    assert caught.value.status == 161002


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": [1.0]}, "query"),
        ({"head_num": "2"}, "head_num"),
        ({"scale_value": None}, "scale_value"),
        ({"prefix": 3}, "prefix"),
    ],
)
def test_values_of_the_wrong_type(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        plan(**changes)


def test_without_keys_the_outputs_are_zero() -> None:
    inputs, results = tensors(), outputs()
    inputs |= {name: inputs[name][:, :, :0] for name in ("key", "value")}
    with aclnn.Stream() as stream:
        forward(inputs, results, stream)
        stream.synchronize()
    assert not any(t.any() for t in results.values())


def test_without_queries_there_is_nothing_to_do() -> None:
    inputs, results = tensors(), outputs()
    size, executor = aclnn.aclnnFlashAttentionScoreGetWorkspaceSize(
        inputs["query"][:, :, :0], inputs["key"], inputs["value"], **OPTIONS,
        **{name: t[:, :, :0] for name, t in results.items()},
    )  # fmt: skip
    assert size == 0
    with aclnn.Stream() as stream:
        aclnn.aclnnFlashAttentionScore(None, 0, executor, stream)
        stream.synchronize()
    assert all(t.isnan().all() for t in results.values())


def test_deterministic_gradients_repeat() -> None:
    inputs = tensors()
    results = outputs()
    gradients = []
    with aclnn.Stream() as stream, aclnn.deterministic():
        forward(inputs, results, stream)
        for _ in range(2):
            out = {name: output(inputs[source].shape, torch.float16) for name, source in GRADIENTS.items()}
            saved = {"attention_in": results["attention_out"]} | {k: results[k] for k in ("softmax_max", "softmax_sum")}
            size, executor = aclnn.aclnnFlashAttentionScoreGradGetWorkspaceSize(
                inputs["query"],
                inputs["key"],
                inputs["value"],
                torch.ones(B, N, SQ, D).half(),
                **saved,
                **out,
                **OPTIONS,
            )
            aclnn.aclnnFlashAttentionScoreGrad(aclnn.empty_workspace(size), size, executor, stream)
            gradients.append(out)
        stream.synchronize()
    for name in GRADIENTS:
        assert torch.equal(gradients[0][name], gradients[1][name]) and torch.isfinite(gradients[0][name]).all()


GRADIENTS = {"dq": "query", "dk": "key", "dv": "value"}


def test_threads_with_streams_of_their_own() -> None:
    wrong: list[str] = []

    def work(seed: int) -> None:
        inputs = tensors(seed=seed)
        wanted = alone[seed]
        with aclnn.Stream() as stream:
            for _ in range(3):
                results = outputs()
                forward(inputs, results, stream)
                stream.synchronize()
                if not torch.equal(results["attention_out"], wanted):
                    wrong.append(f"seed {seed}")

    alone = []
    for seed in range(4):
        results = outputs()
        forward(tensors(seed=seed), results, None)
        aclnn.synchronize()
        alone.append(results["attention_out"])
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
