"""Every aclnn function computes what golden says, whatever the case and however its tensors lie in memory."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from npu_flash_attention import aclnn
from npu_flash_attention.sweep import check
from npu_flash_attention.sweep.cases import Case
from npu_flash_attention.sweep.generate import random_case
from npu_flash_attention.sweep.inputs import build

from .calls import functions, results

ROOT = Path(__file__).resolve().parents[2]
HEADERS = ("aclnn_flash_attention_score.h", "aclnn_flash_attention_score_grad.h")


def judged(case: Case, choice: int) -> None:
    inputs = build(dataclasses.replace(case, poison=False))
    for comparison in check.judge(inputs, results(inputs, choice)):
        assert not comparison.failure, f"{case}: {comparison.failure}"


@pytest.mark.parametrize("index", range(36))
def test_random_calls(index: int) -> None:
    case = random_case(29, index)
    if case.dtype == "float64":
        case = dataclasses.replace(case, dtype="bfloat16" if case.rope_dim else "float32")
    try:
        judged(case, index)
    except aclnn.AclnnError as error:
        assert error.status == 561002 and "fit the core's memories" in error.message, error
        pytest.skip(error.message)


@pytest.mark.slow
@pytest.mark.parametrize("index", range(400))
def test_many_random_calls(index: int) -> None:
    test_random_calls(1000 + index)


PLAIN = Case(batch=2, heads=4, kv_heads=2, q_len=20, kv_len=33, head_dim=24, value_dim=16, dtype="float16", seed=5)
PACKED = dataclasses.replace(PLAIN, layout="TND", q_lens=(7, 0, 13), kv_lens=(9, 4, 20))
ROPED = dataclasses.replace(
    PACKED,
    rope_dim=8,
    dtype="bfloat16",
    mask="compressed",
    sparse_mode=3,
    mask_content="causal",
    q_lens=(7, 13),
    kv_lens=(9, 20),
)
CASES = {
    "aclnnFlashAttentionScore": PLAIN,
    "aclnnFlashAttentionScoreV2": dataclasses.replace(PLAIN, pse="N", pse_type=2, kv_len=20, q_start=3),
    "aclnnFlashAttentionScoreV3": dataclasses.replace(PLAIN, sink=True, layout="BSH"),
    "aclnnFlashAttentionVarLenScore": PACKED,
    "aclnnFlashAttentionVarLenScoreV2": dataclasses.replace(PACKED, pse="N", pse_type=3),
    "aclnnFlashAttentionVarLenScoreV3": ROPED,
    "aclnnFlashAttentionVarLenScoreV4": dataclasses.replace(PACKED, softmax_layout="TND"),
    "aclnnFlashAttentionVarLenScoreV5": dataclasses.replace(ROPED, sink=True, softmax_layout="TND"),
}


@pytest.mark.parametrize("forward", CASES)
def test_each_function(forward: str) -> None:
    """With what it is there for, and its backward."""
    inputs = build(CASES[forward])
    backward = forward.replace("VarLenScore", "UnpaddingScoreGrad").replace("tionScore", "tionScoreGrad")
    # Numbers that lead `results` to the two functions.
    names = functions(inputs, False), functions(inputs, True)
    choice = next(
        i for i in range(64) if names[0][i % len(names[0])] == forward and names[1][i % len(names[1])] == backward
    )
    for comparison in check.judge(inputs, results(inputs, choice)):
        assert not comparison.failure, comparison.failure


def test_every_function_of_the_headers_is_there() -> None:
    """With the parameters of the header, in its order."""
    text = "".join((ROOT / "op_host" / "aclnn" / "aclnnop" / header).read_text() for header in HEADERS)
    declared = {}
    for name, parameters in re.findall(r"aclnnStatus (\w+)GetWorkspaceSize\(([^;]*)\);", text):
        names = [re.sub(r".*[ *]", "", parameter.strip()) for parameter in parameters.split(",")][:-2]
        declared[name] = tuple(snake(each) for each in names)
    assert declared == aclnn.FUNCTIONS
    assert set(aclnn.FUNCTIONS) == {name for name in aclnn.__all__ if name in aclnn.FUNCTIONS}


def snake(name: str) -> str:
    name = name.removesuffix("Optional")
    name = name.removesuffix("Out") if name != "softmaxOut" else name
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=Q)(?=Len)", "_", name).lower().replace("_qlen", "_q_len")


def test_the_stub_says_what_there_is() -> None:
    command = [sys.executable, str(ROOT / "tools" / "aclnn_stub.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run python tools/aclnn_stub.py"


def test_tokens_of_nobody_are_zero() -> None:
    inputs = build(dataclasses.replace(PACKED, spare_q=3, spare_kv=2))
    got = results(inputs, 0)
    for name in ("attention_out", "softmax_max", "softmax_sum", "dq"):
        assert not got[name][-3:].any(), name
    for name in ("dk", "dv"):
        assert not got[name][-2:].any(), name
    assert all(torch.isfinite(tensor).all() for tensor in got.values())
