"""The fast CPU backend: against its readable twin and golden at sizes of several tiles, the same bits at every run and
thread count, every instruction-set level, and memory that does not grow with S x S."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
import torch
from npu_flash_attention.backends import cpu, golden, native
from npu_flash_attention.call import Call
from npu_flash_attention.sweep.cases import Case
from npu_flash_attention.sweep.check import judge, operator_results, run
from npu_flash_attention.sweep.inputs import build
from torch import Tensor

NATIVE = native.NativeBackend()
pytestmark = pytest.mark.skipif(NATIVE.unavailable() is not None, reason=str(NATIVE.unavailable()))

ALL = (True,) * 7
TRIANGLE = torch.triu(torch.ones(2048, 2048, dtype=torch.bool), 1)
# Lengths on both sides of a tile's edges: 64 lanes, 128 keys of the forward, 256 of the backward.
LONG = Case(layout="BSND", heads=4, kv_heads=2, q_len=333, kv_len=523, head_dim=40, value_dim=24)

FEATURES: dict[str, dict[str, object]] = {
    "dense": {},
    "causal": {"sparse_mode": 3, "mask": "compressed", "q_len": 523},
    "band": {"sparse_mode": 4, "mask": "compressed", "q_len": 523, "pre_tokens": 70, "next_tokens": 5},
    "prefix": {"sparse_mode": 6, "mask": "compressed", "q_len": 523, "prefix": (200,)},
    "mask": {"mask": "B1SS", "mask_content": "random", "sparse_mode": 1},
    "bias": {"pse": "1NSS", "pse_hides": True},
    "row bias": {"pse": "BN1S", "batch": 2},
    "table": {"pse": "table1", "q_len": 1100, "kv_len": 1100, "sparse_mode": 2, "mask": "compressed", "heads": 2},
    "slopes": {"pse": "BN", "pse_type": 2, "batch": 2, "kv_len": 333},
    "root slopes": {"pse": "N", "pse_type": 3, "kv_len": 333, "q_start": 3, "kv_start": 7},
    "dropout bits": {"dropout": "external", "keep_prob": 0.8},
    "dropout": {"dropout": "generated", "keep_prob": 0.8, "kv_len": 521},
    "sink": {"sink": True, "kv_heads": 1},
    "everything": {
        "mask": "BNSS",
        "mask_content": "random",
        "sparse_mode": 1,
        "pse": "BNSS",
        "pse_type": 0,
        "dropout": "generated",
        "keep_prob": 0.9,
        "sink": True,
    },
    "varlen": {
        "layout": "TND",
        "q_lens": (1, 200, 0, 65, 300),
        "kv_lens": (3, 200, 0, 70, 513),
        "sparse_mode": 3,
        "mask": "compressed",
        "spare_q": 5,
        "spare_kv": 3,
    },
    "rope": {
        "layout": "TND",
        "q_lens": (150, 300),
        "kv_lens": (150, 513),
        "sparse_mode": 3,
        "mask": "compressed",
        "rope_dim": 8,
    },
    "poison": {"poison": True, "mask": "SS", "mask_content": "columns", "sparse_mode": 1},
}


def case_of(feature: str, dtype: str) -> Case:
    # Rope goes with bfloat16 only.
    dtype = "bfloat16" if feature == "rope" and dtype != "float64" else dtype
    return dataclasses.replace(LONG, dtype=dtype, **FEATURES[feature])  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("feature", FEATURES)
def test_several_tiles_against_golden(feature: str, dtype: str) -> None:
    check(feature, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("feature", ["causal", "everything", "varlen"])
def test_widened_products_against_golden(feature: str, dtype: str) -> None:
    check(feature, dtype)


def check(feature: str, dtype: str) -> None:
    case = case_of(feature, dtype)
    outcome = run(case, NATIVE.name)
    assert outcome.status == "ok", f"{outcome.status}: {outcome.message}\n--case '{case.to_json()}'"


def attention(seq: int = 300, kv_seq: int = 420, dtype: torch.dtype = torch.float32, **options: object) -> Call:
    heads, kv_heads, dim = 4, 2, 64
    query = torch.randn(2, heads, seq, dim).to(dtype)
    key, value = torch.randn(2, kv_heads, kv_seq, dim).to(dtype), torch.randn(2, kv_heads, kv_seq, dim).to(dtype)
    return Call(query, key, value, heads, "BNSD", scale=dim**-0.5, **options)  # type: ignore[arg-type]


def results(
    call: Call, backend: object = NATIVE, keep_y: bool = True, needs: Sequence[bool] = ALL
) -> list[Tensor | None]:
    """Outputs and gradients of a call."""
    problem = call.build_problem()
    out, softmax_max, softmax_sum = backend.forward(call, problem)  # type: ignore[attr-defined]
    dy = torch.linspace(-1, 1, out.numel()).view(out.shape).to(out.dtype)
    gradients = backend.backward(  # type: ignore[attr-defined]
        call, problem, dy, softmax_max, softmax_sum, out if keep_y else None, needs
    )
    return [out, softmax_max, softmax_sum, *gradients]


def assert_same_bits(got: Sequence[Tensor | None], expected: Sequence[Tensor | None]) -> None:
    for position, (g, e) in enumerate(zip(got, expected, strict=True)):
        assert (g is None) == (e is None)
        if g is not None and e is not None:
            assert torch.equal(g, e), f"result {position} differs"


def assert_near(got: Sequence[Tensor | None], expected: Sequence[Tensor | None], tolerance: float) -> None:
    for position, (g, e) in enumerate(zip(got, expected, strict=True)):
        assert (g is None) == (e is None)
        if g is not None and e is not None:
            error = (g.double() - e.double()).square().mean().sqrt() / e.double().square().mean().sqrt()
            assert error <= tolerance, f"result {position}: {error:.3g} > {tolerance:g}"


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


CALLS: dict[str, dict[str, object]] = {
    "dense": {},
    "causal": {"atten_mask": TRIANGLE, "sparse_mode": 3},
    "dropout": {"keep_prob": 0.7, "seed": 3},
    "shared bias": {"pse": torch.randn(1, 4, 1, 420), "sink": torch.randn(4)},
}


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_twins_agree(options: dict[str, object], dtype: torch.dtype) -> None:
    call = attention(dtype=dtype, **options)
    if call.pse is not None:
        call.pse = call.pse.to(dtype)
    assert_near(results(call), results(call, cpu.CpuBackend()), 1e-6 if dtype == torch.float32 else 6e-3)


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_same_bits_at_every_thread_count(options: dict[str, object], dtype: torch.dtype, threads: None) -> None:
    """conftest.py turns deterministic algorithms on."""
    call = attention(dtype=dtype, **options)
    if call.pse is not None:
        call.pse = call.pse.to(dtype)
    torch.set_num_threads(1)
    expected = results(call)
    for count in (1, 2, 3, 5, 8):
        torch.set_num_threads(count)
        assert_same_bits(results(call), expected)


def test_same_bits_at_every_run_without_deterministic_algorithms(threads: None) -> None:
    call = attention(seq=1000, kv_seq=1000)
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(3)
    expected = results(call)
    for _ in range(5):
        assert_same_bits(results(call), expected)


def test_parts_of_the_keys_add_up(threads: None) -> None:
    """One head on many threads: the keys are divided, and the gradient of the queries is summed from the parts."""
    torch.use_deterministic_algorithms(False)
    query, key, value = (torch.randn(1, 1, 1100, 32, dtype=torch.float64) for _ in range(3))
    call = Call(query, key, value, 1, "BNSD", scale=0.2)
    torch.set_num_threads(1)
    whole = results(call)
    torch.set_num_threads(8)
    assert_near(results(call), whole, 1e-14)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, {"keep_prob": 0.5, "seed": 9}, {"atten_mask": TRIANGLE, "sparse_mode": 2}])
def test_gradients_without_the_output(dtype: torch.dtype, options: dict[str, object]) -> None:
    """attention_in = None: D is summed from P * dP instead."""
    call = attention(dtype=dtype, **options)
    assert_near(results(call, keep_y=False), results(call), 1e-13 if dtype == torch.float64 else 6e-3)


@pytest.mark.parametrize("wanted", range(7))
def test_only_what_is_needed(wanted: int) -> None:
    call = attention(
        seq=100, kv_seq=100, dtype=torch.float64, pse=torch.randn(4).float(), pse_type=2, sink=torch.randn(4)
    )
    needs = [position == wanted for position in range(7)]
    everything = results(call)
    for position, (got, full) in enumerate(zip(results(call, needs=needs)[3:], everything[3:], strict=True)):
        if position == wanted and full is not None:
            assert got is not None and torch.equal(got, full)
        else:
            assert got is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_hidden_keys_and_queries_may_hold_anything(dtype: torch.dtype, bad: float) -> None:
    """Rows do not see keys 100.. nor do keys see the rows that a mask hides from all of them."""
    call = attention(dtype=dtype)
    hidden = torch.zeros(300, 420, dtype=torch.bool)
    hidden[:, 100:] = True
    call = dataclasses.replace(call, atten_mask=hidden, sparse_mode=1)
    expected = results(call)
    call.key[:, :, 100:] = bad
    call.value[:, :, 100:] = bad
    got = results(call)
    assert_same_bits(got[:4], expected[:4])
    assert got[4] is not None and got[5] is not None
    assert not got[4][:, :, 100:].any() and not got[5][:, :, 100:].any()


def test_a_seen_nan_reaches_exactly_the_rows_that_see_it() -> None:
    call = attention(seq=200, kv_seq=200, atten_mask=TRIANGLE, sparse_mode=2)
    call.value[0, 0, 150, 3] = torch.nan  # kv head 0 serves query heads 0 and 1
    out, _, _ = NATIVE.forward(call, call.build_problem())
    expected, _, _ = golden.GoldenBackend().forward(call, call.build_problem())
    assert torch.equal(out.isnan(), expected.isnan())
    assert out[0, :2, 150:, 3].isnan().all() and not out[0, :2, :150].isnan().any()


def test_foreign_statistics() -> None:
    """Ring attention hands over the maximum and sum of all its parts."""
    call = attention(dtype=torch.float64)
    problem = call.build_problem()
    out, m, l = NATIVE.forward(call, problem)
    dy = torch.randn_like(out)
    got = NATIVE.backward(call, problem, dy, m + 1, l * 2, out, ALL)
    want = golden.GoldenBackend().backward(call, problem, dy, m + 1, l * 2, out, ALL)
    assert_near(got[:3], want[:3], 1e-13)


def test_exponential() -> None:
    """The error that vec.h states: 2^x within 1e-7, and the edges of its range."""
    x = torch.linspace(-126, 127, 100_003)
    y = torch.empty_like(x)
    native.module().exp2(x.data_ptr(), y.data_ptr(), x.numel())
    exact = torch.exp2(x.double())
    assert ((y.double() - exact) / exact).abs().max() < 1e-7
    edges = torch.tensor([-torch.inf, -1000.0, 129.0, torch.inf, torch.nan, 0.0])
    got = torch.empty_like(edges)
    native.module().exp2(edges.data_ptr(), got.data_ptr(), edges.numel())
    assert got[:2].tolist() == [0.0, 0.0] and got[2:4].tolist() == [torch.inf, torch.inf]
    assert got[4].isnan() and got[5] == 1.0


def test_float32_sums_run_over_few_terms() -> None:
    """A score of 700 equal signs, summed term by term, would be twice as far off."""
    torch.manual_seed(0)
    q, k = torch.rand(1, 1, 64, 700), torch.rand(1, 1, 1, 700)
    call = Call(q, k, k, 1, "BNSD", scale=1.0)
    out, maximum, _ = NATIVE.forward(call, call.build_problem())
    exact = (q.double() * k.double()).sum(dim=3)
    one_after_another = (q * k).numpy().cumsum(axis=3, dtype="float32")[..., -1]
    ours, plain = (
        (x.double() - exact).square().mean().sqrt() for x in (maximum[..., 0], torch.from_numpy(one_after_another))
    )
    assert ours < plain / 2


SWEEP = """
import sys, torch
torch.set_num_threads(1)
from npu_flash_attention.backends import native
from npu_flash_attention.sweep.check import run
from npu_flash_attention.sweep.generate import random_cases
print(native.describe()["level"], native.describe()["float32_products"])
for case in random_cases(seed=7, count={count}):
    outcome = run(case, "{name}")
    assert outcome.status == "ok", f"{{outcome.message}} {{case.to_json()}}"
"""

SWITCHES: dict[str, dict[str, str]] = {
    "ATen default": {"ATEN_CPU_CAPABILITY": "default"},
    "ATen avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "oneDNN SSE41": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "oneDNN AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "oneDNN AVX512_CORE": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "kernels avx512": {"NPU_FA_CPU_LEVEL": "avx512"},
    "plain products": {"NPU_FA_CPU_PRODUCTS": "plain"},
    "all plain": {"NPU_FA_CPU_LEVEL": "plain", "NPU_FA_CPU_PRODUCTS": "plain"},
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_instruction_set_is_right(switch: str, request: pytest.FixtureRequest) -> None:
    count = 200 if request.config.getoption("--slow") else 10
    environment = {**os.environ, **SWITCHES[switch], "PYTHONPATH": os.pathsep.join(sys.path)}
    script = SWEEP.format(count=count, name=NATIVE.name)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    level, products = done.stdout.split()
    if switch in ("ATen default", "all plain"):
        assert level == "plain"
    if "plain" in switch.split():
        assert products == "plain"


def test_levels_agree_within_rounding(tmp_path: object) -> None:
    """The levels may order their sums differently, no more."""
    script = """
import sys, torch
torch.manual_seed(0)
from npu_flash_attention.backends.native import NativeBackend
from npu_flash_attention.call import Call
q, k, v, dy = (torch.randn(1, 2, 300, 64) for _ in range(4))
call = Call(q, k, v, 2, "BNSD", scale=0.125, keep_prob=0.9, seed=4)
backend, problem = NativeBackend(), call.build_problem()
out, m, l = backend.forward(call, problem)
torch.save([out, *backend.backward(call, problem, dy, m, l, out, (True,) * 3 + (False,) * 4)[:3]], sys.argv[1])
"""
    saved = []
    for level in ("plain", "avx2", "avx512", "avx512_bf16"):
        path = f"{tmp_path}/{level}.pt"
        environment = {**os.environ, "NPU_FA_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", script, path], env=environment, check=True)
        saved.append(torch.load(path))
    for other in saved[1:]:
        assert_near(other, saved[0], 1e-6)


MEMORY = """
import ctypes, torch
from pathlib import Path
from npu_flash_attention.backends.native import NativeBackend
from npu_flash_attention.call import Call
torch.set_num_threads(2)
def status(field):
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(field))
    return int(line.split()[1]) * 1024
backend = NativeBackend()
def both(seq, **options):
    q, k, v, dy = (torch.randn(1, 1, seq, 64).bfloat16() for _ in range(4))
    call = Call(q, k, v, 1, "BNSD", scale=0.125, **options)
    problem = call.build_problem()
    ctypes.CDLL(None).malloc_trim(0)  # or memory that was freed but kept would hide some of what the call takes
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    out = backend.forward(call, problem)
    gradients = backend.backward(call, problem, dy, out[1], out[2], out[0], (True,) * 3 + (False,) * 4)
    held = sum(t.numel() * t.element_size() for t in (*out, *gradients[:3]))
    return (status("VmHWM") - before - held) / 2**20
mask = torch.triu(torch.ones(2048, 2048, dtype=torch.bool), 1)
both(256)
print(both({seq}, **({options})))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seq", "options"),
    [(131072, "dict(atten_mask=mask, sparse_mode=4, pre_tokens=1024, next_tokens=0)"), (16384, "dict()")],
)
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs /proc/self/clear_refs")
def test_memory_is_linear(seq: int, options: str) -> None:
    """Forward and backward of a long head within 64 MiB beyond inputs and outputs."""
    script = MEMORY.replace("{seq}", str(seq)).replace("{options}", options)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 64


def test_a_perturbed_kernel_would_be_seen() -> None:
    """The judge of the sweep is not blind at these sizes: one wrong element fails."""
    inputs = build(case_of("dense", "bfloat16"))
    found = operator_results(inputs)
    assert not any(c.failure for c in judge(inputs, found))
    found["attention_out"][0, 100, 2, 7] += 0.5
    assert any(c.failure for c in judge(inputs, {"attention_out": found["attention_out"]}))
