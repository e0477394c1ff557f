"""Kernels as a user writes them: right values, no faults, and every flag of theirs is needed and missed when gone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

KERNELS = Path(__file__).parent / "kernels"
SYNC = re.compile(r"(SetFlag|WaitFlag)<HardEvent::(\w+)>\((.+)\);|(PipeBarrier)<|(CrossCore\w+Flag)\S*\((\w+)\);")


def matmul_case(blocks: int = 2) -> tuple[str, list, np.ndarray, np.ndarray, dict]:
    rng = np.random.default_rng(1)
    m, k, n = 128 * blocks * 2, 384, 256
    a = rng.standard_normal((m, k)).astype(np.float16)
    b = rng.standard_normal((k, n)).astype(np.float16)
    c = np.zeros((m, n), np.float32)
    tiling = np.array([m, k, n], np.int32)
    want = a.astype(np.float64) @ b.astype(np.float64)
    return "sample_matmul", [a, b, c, tiling], c, want, {"block_dim": blocks}


def softmax_case(blocks: int = 3) -> tuple[str, list, np.ndarray, np.ndarray, dict]:
    x = np.random.default_rng(2).standard_normal((13, 640)).astype(np.float32) * 4
    y = np.zeros_like(x)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    tiling = np.array(x.shape, np.int32)
    return "sample_softmax", [x, y, tiling], y, e / e.sum(1, keepdims=True), {"block_dim": blocks}


def mixed_case(blocks: int = 2) -> tuple[str, list, np.ndarray, np.ndarray, dict]:
    rng = np.random.default_rng(3)
    m = 128 * blocks * 5
    a = rng.standard_normal((m, 128)).astype(np.float16)
    b = rng.standard_normal((128, 128)).astype(np.float16)
    c = np.zeros((m, 128), np.float32)
    slots = np.full((blocks, 2, 128, 128), np.nan, np.float32)
    want = np.exp(0.125 * (a.astype(np.float64) @ b.astype(np.float64)))
    options = {"block_dim": blocks, "uninitialised": [3]}
    return "sample_mixed", [a, b, c, slots, np.array([m], np.int32)], c, want, options


CASES = {"matmul": matmul_case, "softmax": softmax_case, "mixed": mixed_case}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("checks", [True, False])
def test_values(kernels, case: str, checks: bool) -> None:
    name, args, got, want, options = CASES[case]()
    kernels.launch(name, args, checks=checks, **options)
    # A float sum of up to 384 products of halves, and an exponent of it.
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_threads_do_not_change_a_bit(kernels, case: str) -> None:
    results = []
    for threads in (1, 2, 3):
        name, args, got, _, options = CASES[case](blocks=3)
        kernels.launch(name, args, threads=threads, **options)
        results.append(got.copy())
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


@dataclass(frozen=True)
class Mutation:
    case: str
    what: str
    lines: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.case}-{self.what}"


def mutations(case: str) -> list[Mutation]:
    """Each synchronising line alone, and each event (with its id where all ids are numbers) as a whole."""
    single, events = [], {}
    for number, text in enumerate((KERNELS / f"sample_{case}.cpp").read_text().splitlines(), start=1):
        match = SYNC.search(text)
        if match is None:
            continue
        call, event, index, barrier, cross, flag = match.groups()
        single.append(Mutation(case, f"line{number}-{call or barrier or cross}", (number,)))
        if event:
            events.setdefault(event, []).append((index, number))
        elif cross:
            events.setdefault(flag, []).append(("", number))
    groups = []
    for event, uses in events.items():
        groups.append(Mutation(case, f"all-{event}", tuple(number for _, number in uses)))
        if all(index.isdigit() for index, _ in uses):
            for index in sorted({index for index, _ in uses}):
                groups.append(Mutation(case, f"all-{event}-{index}", tuple(n for i, n in uses if i == index)))
    return single + groups


MUTATIONS = [mutation for case in CASES for mutation in mutations(case)]
ORDER_FAULTS = {"ErrorSync1", "ErrorSync2", "ErrorSync3", "ErrorSync4", "ErrorGmOverlap", "ErrorDeadlock", "ErrorRead2"}


def caught(simulator, kernels, mutation: Mutation) -> str | None:
    """The name of the fault when the mutation's lines are left out, None when the kernel runs through."""
    name, args, _, _, options = CASES[mutation.case]()
    drop = [(f"sample_{mutation.case}.cpp", line) for line in mutation.lines]
    try:
        kernels.launch(name, args, drop=drop, **options)
    except simulator.SimulatorFault as fault:
        return fault.kind
    return None


def test_there_is_something_to_mutate() -> None:
    assert len(MUTATIONS) > 60
    assert {m.case for m in MUTATIONS} == set(CASES)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_missing_flag_is_caught(simulator, kernels, mutation: Mutation) -> None:
    assert caught(simulator, kernels, mutation) in ORDER_FAULTS


@pytest.mark.parametrize("mutation", [m for m in MUTATIONS if "all-" in m.what], ids=str)
def test_a_missing_pair_is_a_race(simulator, kernels, mutation: Mutation) -> None:
    """Nothing is unpaired when set and wait are both gone: only the order of the accesses can tell."""
    assert caught(simulator, kernels, mutation) in {"ErrorSync1", "ErrorSync2", "ErrorGmOverlap", "ErrorRead2"}
