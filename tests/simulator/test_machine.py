"""Copies, queues, cross-core order, atomics and debugging against values worked out from the manual's definitions."""

from __future__ import annotations

import numpy as np
import pytest


def test_queue_kernel_on_several_cores(kernels) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 4096)).astype(np.float32)
    z = np.zeros_like(x)
    kernels.launch("add_queue", [x, y, z, np.array([4096], np.int32)], block_dim=4)
    np.testing.assert_array_equal(z, x + y)


@pytest.mark.parametrize("blocks,length,source,middle,target", [(1, 4, 0, 0, 0), (3, 2, 1, 2, 3), (7, 1, 0, 1, 0)])
def test_strided_copy(kernels, blocks: int, length: int, source: int, middle: int, target: int) -> None:
    """blockLen and the gaps srcStride, dstStride count 32 bytes, 16 halves; a gap lies between end and start."""
    x = np.arange(1, 2049, dtype=np.float16)
    y = np.zeros(2048, np.float16)
    kernels.launch("copy_strided", [x, y, np.array([blocks, length, source, middle, target], np.int32)])
    want = np.zeros_like(y)
    for block in range(blocks):
        for i in range(length * 16):
            want[block * (length + target) * 16 + i] = x[block * (length + source) * 16 + i]
    np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize(
    "elements,left,right,pad", [(5, 0, 0, 1), (5, 2, 1, 1), (8, 0, 8, 1), (3, 1, 0, 1), (5, 0, 0, 0)]
)
def test_padded_copy(kernels, elements: int, left: int, right: int, pad: int) -> None:
    """Rows of `elements` floats, two floats apart in GM, each filled up to 32 bytes; one free block between rows in UB."""
    blocks = 3
    x = np.arange(1, 65, dtype=np.float32)
    image = np.full(4096, np.nan, np.float32)
    y = np.full(64, np.nan, np.float32)
    kernels.launch("copy_pad", [x, image, y, np.array([blocks, elements * 4, 8, left, right, pad], np.int32)])
    row = -(-(left + elements + right) // 8) * 8
    if pad:
        want = np.full(4096, -1, np.float32)
        for block in range(blocks):
            start = block * (row + 8)
            data = x[block * (elements + 2) :][:elements]
            # With no padding asked for, the hardware repeats the first element of the block.
            want[start : start + row] = data[0] if left == right == 0 else 7
            want[start + left : start + left + elements] = data
        np.testing.assert_array_equal(image, want)
    if left == right == 0:
        want = np.concatenate([x[block * (elements + 2) :][:elements] for block in range(blocks)])
        np.testing.assert_array_equal(y[: want.size], want)
        assert np.isnan(y[want.size :]).all()


@pytest.mark.parametrize(
    "params",
    [
        (1, 16, 32, 0, 32, 16, 1, 0),
        (1, 5, 20, 0, 40, 8, 1, 0),  # a tail of four columns, filled up with zeros
        (2, 2, 24, 144, 48, 11, 2, 96),  # the example of the manual
    ],
)
def test_nd_to_nz(kernels, params: tuple[int, ...]) -> None:
    matrices, rows, columns, source_matrix, source_row, c0_stride, n_stride, target_matrix = params
    x = np.zeros(2048 + 16384, np.float16)
    x[:2048] = np.arange(1, 2049)
    y = np.full(16384, np.nan, np.float16)
    kernels.launch("nd_to_nz", [x, y, np.array(params, np.int32)])
    want = np.zeros_like(y)
    for matrix in range(matrices):
        for n in range(rows):
            for d in range(-(-columns // 16) * 16):
                to = matrix * target_matrix + d // 16 * c0_stride * 16 + n * n_stride * 16 + d % 16
                want[to] = x[matrix * source_matrix + n * source_row + d] if d < columns else 0
    np.testing.assert_array_equal(y, want)


def test_slices(kernels) -> None:
    """The manual's example: startIndex 16, endIndex 70, gap 7, bursts of 3 blocks (24 floats), rows 0 and 2 of 3."""
    x = np.arange(3 * 87, dtype=np.float32).reshape(3, 87)
    packed, y = np.zeros((2, 48), np.float32), np.zeros((3, 87), np.float32)
    kernels.launch("copy_slices", [x, packed, y])
    want = np.stack([np.concatenate([x[row, 16:40], x[row, 47:71]]) for row in (0, 2)])
    np.testing.assert_array_equal(packed, want)
    spread = np.zeros_like(x)
    for row in (0, 2):
        spread[row, 16:40], spread[row, 47:71] = x[row, 16:40], x[row, 47:71]
    np.testing.assert_array_equal(y, spread)


@pytest.mark.parametrize("params", [(1, 16, 32, 1, 16, 32, 1), (2, 5, 48, 4, 20, 50, 300)])
def test_nz_to_nd(kernels, params: tuple[int, ...]) -> None:
    matrices, rows, columns, source_matrix, source_strip, row_pitch, target_matrix = params
    x = np.arange(1, 4097, dtype=np.float16)
    y = np.full(2048, np.nan, np.float16)
    kernels.launch("nz_to_nd", [x, y, np.array(params, np.int32)])
    want = np.full_like(y, np.nan)
    for matrix in range(matrices):
        for n in range(rows):
            for d in range(columns):
                element = x[matrix * source_matrix * 256 + (d // 16 * source_strip + n) * 16 + d % 16]
                want[matrix * target_matrix + n * row_pitch + d] = element
    np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("kernel,dtype", [("atomic_float", np.float32), ("atomic_half", np.float16)])
@pytest.mark.parametrize("op", [0, 1, 2])
def test_atomics(kernels, kernel: str, dtype: type, op: int) -> None:
    cores = 5
    y = np.full(64, 0.5, dtype)
    kernels.launch(kernel, [y, np.array([op], np.int32)], block_dim=cores, threads=2)
    values = [dtype(np.float32(core + 1) * np.float32(0.3)) for core in range(cores)]
    want = dtype(0.5)
    for value in values:
        want = dtype(want + value) if op == 0 else max(want, value) if op == 1 else min(want, value)
    np.testing.assert_array_equal(y, np.full(64, want, dtype))


def test_atomic_sums_do_not_depend_on_threads(kernels) -> None:
    blocks = 6
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((2 * blocks, 40, 8)) * 10.0 ** rng.integers(-3, 4, (2 * blocks, 40, 8))).astype(np.float32)
    sums = set()
    for threads in (1, 2, 3, 6):
        for _ in range(3):
            y = np.zeros(8, np.float32)
            kernels.launch("atomic_order", [x, y], block_dim=blocks, threads=threads)
            sums.add(y.tobytes())
    assert len(sums) == 1
    np.testing.assert_allclose(np.frombuffer(sums.pop(), np.float32), x.astype(np.float64).sum((0, 1)), rtol=1e-3)


def test_atomics_without_an_order_can_be_refused(kernels, simulator) -> None:
    x = np.ones((2, 40, 8), np.float32)
    with pytest.raises(simulator.SimulatorFault, match="ErrorGmOverlap.*write after a write by DataCopy"):
        kernels.launch("atomic_order", [x, np.zeros(8, np.float32)], ordered_atomics=True)
    single = x[:1]  # one core adds in its own order
    y = np.zeros(8, np.float32)
    kernels.launch("atomic_order", [single, y], kernel_type="aiv_only", ordered_atomics=True)
    np.testing.assert_array_equal(y, 40)


def test_a_flag_that_comes_back_orders_a_core_with_itself(kernels, simulator) -> None:
    y = np.zeros(32, np.float32)
    kernels.launch("flag_and_back", [y, np.array([1], np.int32)], block_dim=2)
    np.testing.assert_array_equal(y, 2)
    with pytest.raises(simulator.SimulatorFault, match="ErrorSync1.*write after a write by DataCopy"):
        kernels.launch("flag_and_back", [y, np.array([0], np.int32)], block_dim=2)


@pytest.mark.parametrize("threads", [1, 2])
def test_ring_of_cores(kernels, threads: int) -> None:
    y = np.zeros((6, 8), np.float32)
    kernels.launch("ring", [y, np.zeros(8 * 64, np.int32)], block_dim=6, threads=threads)
    np.testing.assert_array_equal(y, np.repeat(np.arange(1, 7, dtype=np.float32)[:, None], 8, 1))


@pytest.mark.parametrize("threads", [1, 2])
def test_cores_take_turns(kernels, threads: int) -> None:
    cores = 4
    y = np.zeros(8, np.float32)
    kernels.launch("take_turns", [y, np.zeros(8 * cores, np.int32)], block_dim=cores, threads=threads)
    want = 0
    for _ in range(3):
        for core in range(cores):
            want = 2 * want + core
    assert (y == want).all()


def test_small_calls(simulator, kernels) -> None:
    y = np.zeros(8, np.float32)
    kernels.launch("small_calls", [y, np.array([0], np.int32)])
    assert y.tolist() == [221, 2, 2, 1, 1, 1, 1, 1]
    with pytest.raises(simulator.SimulatorFault, match="elements of 2 bytes, the copy on 4"):
        kernels.launch("small_calls", [y, np.array([1], np.int32)])
    with pytest.raises(simulator.SimulatorFault, match="ErrorAssert: Trap"):
        kernels.launch("small_calls", [y, np.array([2], np.int32)])


@pytest.mark.parametrize("how", [0, 1, 2])
@pytest.mark.parametrize("threads", [1, 2])
def test_all_cores_meet(kernels, how: int, threads: int) -> None:
    cores = 5
    y = np.zeros((3, cores, 8), np.float32)
    z = np.zeros_like(y)
    args = [y, z, np.zeros(8 * 64, np.int32), np.array([how], np.int32)]
    kernels.launch("meet", args, block_dim=cores, threads=threads)
    want = (np.arange(1, cores + 1) % cores)[None, :, None] + 100 * np.arange(3)[:, None, None] + np.zeros((1, 1, 8))
    np.testing.assert_array_equal(z, want)


@pytest.mark.parametrize("threads", [1, 2])
def test_mixed_cores_meet(kernels, threads: int) -> None:
    blocks = 3
    y = np.zeros((2 * blocks + 2, 8), np.float32)
    kernels.launch("meet_mixed", [y], block_dim=blocks, threads=threads)
    np.testing.assert_array_equal(y[:, 0], [1, 2, 3, 4, 5, 6, 6, 2])


def test_cores_know_who_they_are(kernels) -> None:
    y = np.zeros((2, 3, 16), np.int32)
    kernels.launch("identity", [y], block_dim=2)
    # GetBlockIdx * 1000 + GetBlockNum * 100 + GetSubBlockIdx * 10 + (1: AIC, 2: AIV); an AIV counts 2 * block + sub block
    assert y[:, :, 0].tolist() == [[201, 202, 1212], [1201, 2202, 3212]]
    y[:] = 0
    kernels.launch("identity", [y], block_dim=2, kernel_type="mix_aic_1_1")
    assert y[:, :, 0].tolist() == [[201, 202, 0], [1201, 1202, 0]]


def test_kernel_type_by_tiling_key(kernels) -> None:
    for key, value in ((1, 10), (2, 20)):
        y = np.zeros((4, 16), np.int32)
        kernels.launch("by_key", [y], block_dim=3, tiling_key=key)
        assert y[:, 0].tolist() == [value] * 3 + [0]


def test_debug_output(kernels) -> None:
    x = np.arange(16, dtype=np.float16) + 0.5
    tiling = np.zeros(2, np.int32)
    tiling[0] = 7
    tiling.view(np.float32)[1] = 0.25
    result = kernels.launch("debug_output", [x, tiling], block_dim=2, threads=2)
    for core in range(2):
        assert f"core {core} count 7 scale 0.25 first 0.5 grows 1\n" in result.output
    assert result.output.count("DumpTensor desc 5") == 2
    assert "0.5 1.5 2.5 3.5\n" in result.output
    assert result.output.index("core 0") < result.output.index("core 1")


def test_soc_table(simulator) -> None:
    table = {entry["name"]: entry for entry in simulator.soc_table()}
    assert table["Ascend910B2"] == {
        "name": "Ascend910B2",
        "aic": 24,
        "aiv": 48,
        "mhz": 1800,
        "l2_bytes": 192 << 20,
        "hbm_bytes": 64 << 30,
    }
    assert {"Ascend910B1", "Ascend910B3", "Ascend910B4", "Ascend910_9391"} <= set(table)
