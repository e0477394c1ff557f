"""The AscendC kernels on the simulator, all checks on, against the golden model."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import npu_flash_attention as fa
import pytest
import simulated
import torch
from npu_flash_attention import rng
from npu_flash_attention.backends import simulator
from npu_flash_attention.precision import compare
from npu_flash_attention.sweep import check
from npu_flash_attention.sweep.cases import Case
from npu_flash_attention.sweep.generate import random_case, random_cases
from npu_flash_attention.sweep.inputs import build
from torch import Tensor

pytestmark = pytest.mark.skipif(
    simulator.SimulatorBackend().unavailable() is not None, reason="built without the simulator backend"
)
CAUSAL = torch.triu(torch.ones(2048, 2048), 1).bool()


@pytest.fixture(autouse=True)
def few_cores() -> Iterator[None]:
    with simulated.options(cores=3, threads=1):
        yield


def forward(q: Tensor, k: Tensor, v: Tensor, **options: object) -> tuple[Tensor, ...]:
    with fa.backend("simulator"):
        return fa.npu_fusion_attention(q, k, v, q.size(1), "BNSD", scale=q.size(-1) ** -0.5, **options)[:3]


def qkv(heads: int, rows: int, columns: int, dim: int, dtype: torch.dtype = torch.float16) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    return tuple(torch.randn(1, heads, length, dim).to(dtype) for length in (rows, columns, columns))


def check_case(case: Case) -> None:
    """Forward and backward, through autograd and by the explicit grad op."""
    outcome = check.run(case, "simulator")
    if outcome.status == "skipped":
        assert case.dtype == "float64" or max(case.head_dim, case.value_dim) > 512, outcome.message
        pytest.skip(outcome.message)
    assert outcome.status == "ok", f"{outcome.message}\n--case '{case.to_json()}'"


@pytest.mark.parametrize("index", range(60))
def test_random_calls_agree_with_golden(index: int) -> None:
    check_case(random_case(11, index))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 1500, 50))
@pytest.mark.parametrize("cores", [2, 24])
def test_hundreds(start: int, cores: int) -> None:
    simulator.OPTIONS.cores = cores
    for case in random_cases(seed=100 + cores, count=50, start=start):
        with contextlib.suppress(pytest.skip.Exception):
            check_case(case)


@pytest.mark.parametrize("pse", ["table1", "tableB"])
def test_gradient_of_a_table_that_sequences_share(pse: str) -> None:
    lengths = (1100, 70)
    fields = {"q_lens": lengths, "kv_lens": lengths, "mask": "compressed", "sparse_mode": 3, "pse": pse}
    check_case(Case(layout="TND", dtype="float16", heads=1, kv_heads=1, head_dim=24, **fields))


@pytest.mark.parametrize(("shape", "shared"), [((1, 2, 20, 30), True), ((2, 2, 1, 30), True), ((2, 2, 20, 30), False)])
def test_a_gradient_without_an_order_is_refused_in_deterministic_mode(shape: tuple[int, ...], shared: bool) -> None:
    query, key, value = (torch.randn(2, 2, length, 16).half() for length in (20, 30, 30))
    pse = torch.randn(shape).half().requires_grad_()
    torch.use_deterministic_algorithms(True)
    with fa.backend("simulator"):
        out = fa.npu_fusion_attention(query, key, value, 2, "BNSD", pse=pse)[0]
        if shared:
            with pytest.raises(NotImplementedError, match=r"pse: under .* got shape \[.*no fixed order"):
                out.sum().backward()
            torch.use_deterministic_algorithms(True, warn_only=True)
            with pytest.warns(UserWarning, match="no fixed order"):
                out.sum().backward()
        else:
            out.sum().backward()
    assert pse.grad is not None and pse.grad.abs().sum() > 0


CALLS = {
    "dense": {},
    "causal": {"atten_mask": CAUSAL, "sparse_mode": 2},
    "dropout and sink": {"keep_prob": 0.8, "sink": torch.tensor([0.5, -1.0, 2.0])},
}


def run_of(call: str, cores: int, threads: int) -> tuple[Tensor, ...]:
    simulator.OPTIONS.cores, simulator.OPTIONS.threads = cores, threads
    rng.manual_seed(5)
    return forward(*qkv(3, 300, 600, 72), **CALLS[call])


@pytest.mark.parametrize("call", CALLS)
def test_results_depend_neither_on_cores_nor_on_threads(call: str) -> None:
    expected = run_of(call, cores=3, threads=1)
    for cores, threads in ((3, 1), (3, 2), (3, 8), (1, 1), (2, 2), (24, 1), (24, 3)):
        for got, reference in zip(run_of(call, cores, threads), expected, strict=True):
            assert torch.equal(got, reference), (cores, threads)


def gradients(*tensors: Tensor, **options: object) -> tuple[Tensor, ...]:
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    out = forward(*leaves, **options)[0]
    return torch.autograd.grad(out, leaves, torch.sin(torch.arange(out.numel())).view(out.shape).to(out.dtype))


@pytest.mark.parametrize("call", CALLS)
def test_gradients_repeat_whatever_the_number_of_threads(call: str) -> None:
    runs = []
    for threads in (1, 1, 2, 3):
        simulator.OPTIONS.threads = threads
        rng.manual_seed(5)
        runs.append(gradients(*qkv(3, 300, 600, 72), **CALLS[call]))
    for run in runs[1:]:
        for got, expected in zip(run, runs[0], strict=True):
            assert torch.equal(got, expected)


ROWS = {
    "all the same": lambda heads: heads[:, :, :1].expand(1, 2, 40, 64),
    "overlapping": lambda heads: heads.as_strided((1, 2, 40, 64), (0, 2560, 1, 1)),
    "far apart": lambda heads: heads.repeat(1, 1, 1, 1100)[..., :64],
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("place", range(3))
def test_rows_at_any_stride(rows: str, place: int) -> None:
    tensors = list(qkv(2, 40, 40, 64))
    tensors[place] = ROWS[rows](tensors[place])
    expected = gradients(*(tensor.contiguous() for tensor in tensors))
    for got, reference in zip(gradients(*tensors), expected, strict=True):
        assert torch.equal(got, reference)


def test_only_what_is_asked_for_comes_back() -> None:
    query, key, value = qkv(2, 40, 50, 24)
    (dk,) = torch.autograd.grad(forward(query, key.requires_grad_(), value)[0].sum(), [key])
    assert torch.equal(dk, gradients_of_sum(query, key, value)[1])


def gradients_of_sum(*tensors: Tensor) -> tuple[Tensor, ...]:
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    return torch.autograd.grad(forward(*leaves)[0].sum(), leaves)


RING = Case(dtype="float16", heads=4, kv_heads=2, q_len=150, kv_len=260, head_dim=40, value_dim=24, seed=3)


@pytest.mark.parametrize("with_output", [True, False], ids=["attention_in", "no attention_in"])
def test_parts_of_a_ring_add_up(with_output: bool) -> None:
    """Statistics of all keys, in the form (log-sum-exp, 1), with the keys of one part at a time."""
    inputs = build(RING)
    by = check.references(inputs)
    lse = (by.exact["softmax_max"] + by.exact["softmax_sum"].log()).float()
    out = by.exact["attention_out"].to(inputs.query.dtype)
    tensors = inputs.query, inputs.key, inputs.value
    sums = {"dq": torch.zeros(inputs.query.shape, dtype=torch.float64)}
    parts: dict[str, list[Tensor]] = {"dk": [], "dv": []}
    for columns in (slice(0, 100), slice(100, 260)) if with_output else (slice(0, 260),):
        part = (tensors[0], *(tensor[:, :, columns].contiguous() for tensor in tensors[1:]))
        with fa.backend("simulator"):
            dq, dk, dv, *_ = fa.npu_fusion_attention_grad(
                *part,
                inputs.dy,
                RING.heads,
                "BNSD",
                softmax_max=lse,
                softmax_sum=torch.ones_like(lse),
                attention_in=out if with_output else None,
                scale_value=RING.scale_value,
            )
        sums["dq"] += dq
        parts["dk"].append(dk)
        parts["dv"].append(dv)
    sums |= {name: torch.cat(each, dim=2) for name, each in parts.items()}
    for name, got in sums.items():
        floor = 2 * by.floor[name]  # rounded twice where two parts or two outputs are
        comparison = compare(name, got.float(), by.exact[name], by.plain[name], floor)
        assert not comparison.failure, comparison.failure


@pytest.mark.parametrize("fields", [{"q_len": 0}, {"kv_len": 0}, {"batch": 0}], ids=str)
def test_nothing_to_do(fields: dict[str, int]) -> None:
    check_case(dataclasses.replace(RING, **fields))


def test_gradients_of_rows_that_see_nothing_are_zero() -> None:
    dq, dk, dv = gradients(*qkv(1, 200, 100, 64), atten_mask=CAUSAL, sparse_mode=3)
    assert not dq[:, :, :100].any() and dq[:, :, 101:].any()
    dq, dk, dv = gradients(*qkv(1, 100, 200, 64), atten_mask=CAUSAL, sparse_mode=2)
    assert not dk[:, :, 100:].any() and not dv[:, :, 100:].any() and dk[:, :, :100].any()


def test_rows_that_see_nothing_follow_the_rule() -> None:
    out, row_max, row_sum = forward(*qkv(1, 200, 100, 64), atten_mask=CAUSAL, sparse_mode=3)
    assert not out[:, :, :100].any()
    assert (row_max[:, :, :100] == torch.finfo(torch.float32).min).all()
    assert (row_sum[:, :, :100] == torch.finfo(torch.float32).max).all()
    assert out[:, :, 100:].any()


def test_a_nan_makes_nan_of_its_row_and_of_no_other() -> None:
    q, k, v = qkv(1, 40, 70, 16)
    q[0, 0, 3, 5] = torch.nan
    for result in forward(q, k, v):
        assert result[0, 0, 3].isnan().all()
        assert result.isnan().sum() == result.size(-1)


def test_causal_skips_the_upper_triangle() -> None:
    simulator.OPTIONS.cores, simulator.OPTIONS.timeline = 1, True
    forward(*qkv(1, 2048, 2048, 128))
    dense = simulator.last_run["bytes"]["L0C->GM"]
    forward(*qkv(1, 2048, 2048, 128), atten_mask=CAUSAL, sparse_mode=2)
    assert simulator.last_run["bytes"]["L0C->GM"] < 0.65 * dense
