"""Equal calls give equal bits, and no result depends on what memory held before."""

import contextlib
from collections.abc import Iterator

import pytest
import torch
from npu_flash_attention import backend
from npu_flash_attention.sweep.cases import Case
from npu_flash_attention.sweep.check import operator_results
from npu_flash_attention.sweep.generate import random_cases
from npu_flash_attention.sweep.inputs import build

CASES = list(random_cases(seed=3, count=40))


@contextlib.contextmanager
def fresh_memory(filled: bool) -> Iterator[None]:
    """torch.empty and its kin return NaN (the largest value for integers), or whatever was there.

    Both in deterministic mode: without it the order of sums may be another.
    """
    mode = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = filled
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode)
        torch.utils.deterministic.fill_uninitialized_memory = fill


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def results(case: Case, name: str) -> dict[str, bytes]:
    with backend(name):
        return {result: bits(tensor) for result, tensor in operator_results(build(case)).items()}


def test_the_poison_works() -> None:
    with fresh_memory(filled=True):
        assert torch.empty(1000).isnan().all() and torch.ones(3).new_empty(1000).isnan().all()


@pytest.mark.parametrize("name", ["cpu", "golden"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_uninitialised_memory_is_never_read(case: Case, name: str) -> None:
    with fresh_memory(filled=False):
        expected = results(case, name)
    with fresh_memory(filled=True):
        assert results(case, name) == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_repeats_are_equal(case: Case) -> None:
    first = results(case, "cpu")
    assert all(results(case, "cpu") == first for _ in range(3))


def test_the_grad_op_gives_what_autograd_gives() -> None:
    compared = 0
    for case in CASES:
        got = results(case, "cpu")
        explicit = {name.removeprefix("grad."): value for name, value in got.items() if name.startswith("grad.")}
        for name, value in explicit.items():
            compared += 1
            assert value == got[name], f"{case.id}: {name}"
    assert compared > 3 * len(CASES) // 2
