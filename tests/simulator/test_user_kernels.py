"""Kernels as their authors write them: right values, no fault on correct code, every dropped order caught."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

MIXED = Path(__file__).parent / "kernels" / "user_mixed.cpp"


def to_bfloat16(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bits of x truncated to bfloat16, and their value."""
    bits = (np.ascontiguousarray(x, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return bits, (bits.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize(("rows", "columns", "blocks"), [(50, 200, 24), (7, 64, 3), (5, 130, 48), (9, 1000, 4)])
def test_layernorm(kernels, rows: int, columns: int, blocks: int) -> None:
    rng = np.random.default_rng(columns)
    x = rng.normal(size=(rows, columns)).astype(np.float16)
    gamma, beta = rng.normal(size=(2, columns)).astype(np.float32)
    y = np.zeros_like(x)
    tiling = np.array([rows, columns], np.int32)
    kernels.launch("user_layernorm", [x, gamma, beta, y, tiling], block_dim=blocks, uninitialised=[3])
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5) * gamma + beta
    np.testing.assert_allclose(y, expected, rtol=2**-10, atol=2**-14)


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("transposed", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize(("m", "n", "k"), [(37, 53, 71), (2, 1, 1), (100, 33, 130), (16, 32, 48)])
def test_matmul_with_tails(kernels, m: int, n: int, k: int, transposed: str, blocks: int) -> None:
    """The rows of a tail stay unwritten in L1 and pass through LoadData; only Mmad may not use them."""
    rng = np.random.default_rng(m)
    bits_a, a = to_bfloat16(rng.normal(size=(k, m) if transposed[0] == "t" else (m, k)))
    bits_b, b = to_bfloat16(rng.normal(size=(n, k) if transposed[1] == "t" else (k, n)))
    c = np.zeros((m, n), np.float32)
    tiling = np.array([m, n, k, transposed[0] == "t", transposed[1] == "t"], np.uint32)
    kernels.launch("user_matmul", [bits_a, bits_b, c, tiling], block_dim=blocks)
    expected = (a.T if transposed[0] == "t" else a) @ (b.T if transposed[1] == "t" else b)
    np.testing.assert_allclose(c, expected, rtol=0, atol=k * 2**-22 * 16)


def run_mixed(kernels, tiles: int, blocks: int, **options):
    rng = np.random.default_rng(tiles)
    q = rng.normal(size=(blocks * 32, 32)).astype(np.float16)
    k, v = rng.normal(size=(2, tiles * 64, 32)).astype(np.float16)
    out = np.zeros((blocks * 32, 32), np.float32)
    workspace = np.zeros(blocks * 3 * 32 * 64 * 6, np.uint8)
    arrays = [q, k, v, out, workspace, np.array([tiles], np.int32)]
    result = kernels.launch("user_mixed", arrays, block_dim=blocks, uninitialised=[3, 4], **options)
    weights = np.exp(q.astype(np.float64) @ k.astype(np.float64).T / 4)
    expected = weights @ v.astype(np.float64)
    np.testing.assert_allclose(out, expected, rtol=0, atol=2**-10 * (weights @ np.abs(v)).max())
    return result, out


@pytest.mark.parametrize(("tiles", "blocks"), [(1, 1), (2, 1), (3, 2), (7, 4), (8, 24)])
def test_a_chain_through_rings_of_three_slots(kernels, tiles: int, blocks: int) -> None:
    run_mixed(kernels, tiles, blocks)


def test_the_chain_is_the_same_on_any_number_of_threads(kernels) -> None:
    runs = [run_mixed(kernels, 5, 8, timeline=True, threads=threads) for threads in (1, 2, 3, 1)]
    traces = {result.timeline.chrome_trace() for result, _ in runs}
    assert len(traces) == 1
    assert all(np.array_equal(out, runs[0][1]) for _, out in runs)


SYNCHRONISATION = re.compile(r"^\s*(SetFlag|WaitFlag|PipeBarrier|CrossCoreSetFlag|CrossCoreWaitFlag)[<(]")


@pytest.mark.parametrize(
    "line", [i for i, text in enumerate(MIXED.read_text().splitlines(), 1) if SYNCHRONISATION.match(text)]
)
def test_no_order_of_the_chain_can_be_left_out(kernels, simulator, line: int) -> None:
    with pytest.raises(simulator.SimulatorFault):
        run_mixed(kernels, 7, 2, drop=[(MIXED.name, line)])


def test_times_do_not_depend_on_where_the_host_puts_the_arrays(kernels) -> None:
    """Shifted by 32 bytes, an array would straddle other lines of L2."""
    traces = set()
    for shift in (0, 32, 96):
        x, y = (np.zeros(4096 + 1024, np.uint8) for _ in range(2))
        start = [-array.ctypes.data % 512 + shift for array in (x, y)]
        arrays = [array[at : at + 256].view(np.float32) for array, at in zip((x, y), start, strict=True)]
        result = kernels.launch("user_older_calls", arrays, timeline=True)
        traces.add(result.timeline.chrome_trace())
    assert len(traces) == 1


def test_older_calls(kernels) -> None:
    x = np.arange(3, 67, dtype=np.float32)
    y = np.zeros_like(x)
    result = kernels.launch("user_older_calls", [x, y], uninitialised=[1])
    np.testing.assert_array_equal(y, 2 * x + x[0])
    assert "PrintTimeStamp desc 7: " in result.output


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0x0100000000000020, [2, 62, 7, 6, 5, 0]),  # the manual's examples
        (0, [0, 64, 64, 63, -1, 0]),
        (-1, [64, 0, 0, 63, 0, -1]),
        (-256, [56, 8, 0, 55, 8, 0]),
    ],
)
def test_scalar_functions(kernels, value: int, expected: list[int]) -> None:
    """Counts of bits 1 and 0, leading zeros, copies of the sign bit, lowest 1 and 0; 2.5 rounded away and to even, -2.5 down."""
    y = np.zeros(9, np.int64)
    kernels.launch("user_scalar_functions", [np.array([value], np.int64), y])
    np.testing.assert_array_equal(y, [*expected, 3, 2, -3])
