"""Reductions of a repeat, a block, a pair and a whole tensor."""

from __future__ import annotations

import numpy as np
import pytest
from vector_call import COUNT, MASK_BITS, MASK_COUNT, Call, get, put, run
from vector_model import Operand, active_lanes, lanes_of_bits, lanes_of_count, tree_sum

AREA = 32 * 1024
IMAGE = 3 * AREA  # dst, src, work
WORK = 2 * AREA
DTYPES = {"half": np.float16, "float": np.float32}
WHOLE_MAX, WHOLE_MIN, WHOLE_SUM, BLOCK_MAX, BLOCK_MIN, BLOCK_SUM, PAIR_SUM = range(7)
TENSOR_MAX, TENSOR_MIN, TENSOR_SUM, REPEAT_SUM = range(7, 11)
VALUE_INDEX, INDEX_VALUE, ONLY_VALUE, ONLY_INDEX = range(4)


def image_of(dtype, seed=0, elements=6000):
    """Values with repeats, so that ties happen."""
    rng = np.random.default_rng(seed)
    image = np.full(IMAGE, 0x3C, np.uint8)
    put(image, AREA, (rng.integers(-40, 40, elements) / 8).astype(dtype))
    return image


def call_of(
    op, form, mask, repeat, dst_stride=1, block_stride=1, repeat_stride=8, order=0, index=0, registers=0, count=0
):
    return Call(
        op=op, form=form, mask=mask, repeat=repeat, count=count, src0=AREA, block_strides=(1, block_stride, 1),
        repeat_strides=(8, repeat_stride, 8), extra={16: order, 17: dst_stride, 18: WORK, 19: index, 20: registers},
    )  # fmt: skip


def lane_table(image, dtype, repeats, selected, block_stride=1, repeat_stride=8):
    """Values of each repeat; None where the mask is off."""
    src = Operand(dtype, AREA, block_stride, repeat_stride)
    return [[src.load(image, r, i) if on else None for i, on in enumerate(selected)] for r in range(repeats)]


def selection(form, mask, lanes):
    return lanes_of_bits(mask, lanes) if form == MASK_BITS else lanes_of_count(mask[0], lanes)


def sum_of(values, dtype):
    return tree_sum([np.dtype(dtype).type(0) if v is None else v for v in values], dtype)


def extreme(values, maximum):
    """The first lane that holds the extreme."""
    present = [(i, v) for i, v in enumerate(values) if v is not None]
    best = max(v for _, v in present) if maximum else min(v for _, v in present)
    return next(i for i, v in present if v == best), best


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("form", [MASK_COUNT, MASK_BITS])
@pytest.mark.parametrize("op", [WHOLE_SUM, REPEAT_SUM])
def test_whole_sum(kernels, name, form, op):
    dtype = np.dtype(DTYPES[name])
    lanes = 256 // dtype.itemsize
    form = MASK_COUNT if op == REPEAT_SUM else form
    mask = (0xF00000000000000F, 0xFF if lanes > 64 else 0) if form == MASK_BITS else (lanes - 9, 0)
    image = image_of(dtype)
    after, _ = run(
        kernels, f"vector_reduce_{name}", image,
        call_of(op, form, mask, 5, dst_stride=3, block_stride=2, repeat_stride=16),
    )  # fmt: skip
    rows = lane_table(image, dtype, 5, selection(form, mask, lanes), 2, 16)
    expected = image.copy()
    for repeat, row in enumerate(rows):
        put(expected, repeat * 3 * dtype.itemsize, np.array([sum_of(row, dtype)]))
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("op", [WHOLE_MAX, WHOLE_MIN])
@pytest.mark.parametrize("order", [VALUE_INDEX, INDEX_VALUE, ONLY_VALUE, ONLY_INDEX])
def test_whole_extreme_in_each_order(kernels, name, op, order):
    """Ties go to the first lane; the destination stride counts results of the order's own width."""
    dtype = np.dtype(DTYPES[name])
    index_type = np.dtype(f"u{dtype.itemsize}")
    lanes = 256 // dtype.itemsize
    image = image_of(dtype, seed=op)
    after, _ = run(
        kernels, f"vector_reduce_{name}", image, call_of(op, MASK_COUNT, (lanes - 2, 0), 4, dst_stride=2, order=order)
    )
    expected = image.copy()
    for repeat, row in enumerate(lane_table(image, dtype, 4, lanes_of_count(lanes - 2, lanes))):
        lane, value = extreme(row, op == WHOLE_MAX)
        parts = {
            VALUE_INDEX: [np.array([value]), np.array([lane], index_type)],
            INDEX_VALUE: [np.array([lane], index_type), np.array([value])],
            ONLY_VALUE: [np.array([value])],
            ONLY_INDEX: [np.array([lane], np.uint32)],
        }[order]
        raw = np.concatenate([part.view(np.uint8) for part in parts])
        put(expected, repeat * 2 * raw.size, raw)
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("op", [BLOCK_MAX, BLOCK_MIN, BLOCK_SUM])
@pytest.mark.parametrize("form", [MASK_COUNT, MASK_BITS])
def test_block_reduce_skips_blocks_without_lanes(kernels, name, op, form):
    dtype = np.dtype(DTYPES[name])
    lanes, per_block = 256 // dtype.itemsize, 32 // dtype.itemsize
    mask = (0x00FF00010000FFFF, 0x8000 if lanes > 64 else 0) if form == MASK_BITS else (per_block * 5 + 1, 0)
    image = image_of(dtype, seed=op)
    after, _ = run(kernels, f"vector_reduce_{name}", image, call_of(op, form, mask, 3, dst_stride=2, repeat_stride=9))
    expected = image.copy()
    for repeat, row in enumerate(lane_table(image, dtype, 3, selection(form, mask, lanes), 1, 9)):
        for block in range(8):
            values = row[block * per_block : (block + 1) * per_block]
            if all(v is None for v in values):
                continue
            value = sum_of(values, dtype) if op == BLOCK_SUM else extreme(values, op == BLOCK_MAX)[1]
            put(expected, (repeat * 16 + block) * dtype.itemsize, np.array([value]))
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("form", [MASK_COUNT, MASK_BITS])
def test_pair_sum_skips_pairs_without_lanes(kernels, name, form):
    dtype = np.dtype(DTYPES[name])
    lanes = 256 // dtype.itemsize
    mask = (0x9 | 1 << 63, 0) if form == MASK_BITS else (lanes - 3, 0)
    image = image_of(dtype)
    after, _ = run(kernels, f"vector_reduce_{name}", image, call_of(PAIR_SUM, form, mask, 3, dst_stride=2))
    expected = image.copy()
    for repeat, row in enumerate(lane_table(image, dtype, 3, selection(form, mask, lanes))):
        for pair in range(lanes // 2):
            values = row[2 * pair : 2 * pair + 2]
            if any(v is not None for v in values):
                put(expected, repeat * 256 + pair * dtype.itemsize, np.array([sum_of(values, dtype)]))
    np.testing.assert_array_equal(after, expected)


def test_the_sum_of_a_repeat_is_a_tree(kernels):
    """Half: 128 ones and a 2048 in lane 0. In order each 1 would be lost to 2048; the tree keeps most of them."""
    image = image_of(np.float16)
    put(image, AREA, np.array([2048] + [1] * 127, np.float16))
    after, _ = run(kernels, "vector_reduce_half", image, call_of(WHOLE_SUM, MASK_COUNT, (128, 0), 1))
    assert get(after, 0, np.float16, 1)[0] == tree_sum(np.array([2048] + [1] * 127, np.float16), np.float16)
    assert get(after, 0, np.float16, 1)[0] > 2150


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("op", [TENSOR_MAX, TENSOR_MIN])
@pytest.mark.parametrize("form", [COUNT, MASK_COUNT, MASK_BITS])
@pytest.mark.parametrize("index", [0, 1])
def test_tensor_extreme(kernels, name, op, form, index):
    dtype = np.dtype(DTYPES[name])
    index_type = np.dtype(f"u{dtype.itemsize}")
    lanes = 256 // dtype.itemsize
    repeats = 9
    image = image_of(dtype, seed=form)
    mask = (lanes - 1, 0) if form == MASK_COUNT else (0xFFFFFFFFFFFFFFF0, 0x1 if lanes > 64 else 0)
    after, _ = run(
        kernels, f"vector_reduce_{name}", image,
        call_of(op, form, mask, repeats, index=index, count=lanes * 4 + 10, repeat_stride=9 if form != COUNT else 8),
    )  # fmt: skip
    if form == COUNT:
        flat = get(image, AREA, dtype, lanes * 4 + 10)
        position, value = extreme(list(flat), op == TENSOR_MAX)
    else:
        per_repeat = 9 * 32 // dtype.itemsize
        rows = lane_table(image, dtype, repeats, selection(form, mask, lanes), 1, 9)
        flat = [None] * (repeats * per_repeat)
        for repeat, row in enumerate(rows):
            for lane, v in enumerate(row):
                if v is not None:
                    flat[repeat * per_repeat + lane] = v
        position, value = extreme(flat, op == TENSOR_MAX)
    assert get(after, 0, dtype, 1)[0] == value
    if index:
        assert get(after, dtype.itemsize, index_type, 1)[0] == position
    else:
        assert (after[dtype.itemsize : 64] == 0x3C).all()


@pytest.mark.parametrize("name", DTYPES)
def test_tensor_sum_adds_repeats_in_order_or_over_a_tree(kernels, name):
    dtype = np.dtype(DTYPES[name])
    lanes = 256 // dtype.itemsize
    image = image_of(dtype)
    flat = get(image, AREA, dtype, lanes * 7)
    rows = [tree_sum(flat[r * lanes : (r + 1) * lanes], dtype) for r in range(7)]
    in_order = rows[0]
    for row in rows[1:]:
        in_order = dtype.type(np.float32(in_order) + np.float32(row))
    after, parameters = run(
        kernels, f"vector_reduce_{name}", image, call_of(TENSOR_SUM, COUNT, (0, 0), 1, count=lanes * 7, registers=1)
    )
    assert get(after, 0, dtype, 1)[0] == in_order
    assert parameters[20:21].view(dtype)[0] == in_order  # GetAccVal
    after, _ = run(kernels, f"vector_reduce_{name}", image, call_of(TENSOR_SUM, MASK_COUNT, (lanes, 0), 7))
    zeros = [dtype.type(0)] * (lanes - 7)
    assert get(after, 0, dtype, 1)[0] == tree_sum(rows + zeros, dtype)


def test_registers_hold_the_extreme_of_all_repeats(kernels):
    image = image_of(np.float32)
    put(image, AREA + (64 + 17) * 4, np.array([99.0], np.float32))
    _, parameters = run(kernels, "vector_reduce_float", image, call_of(WHOLE_MAX, MASK_COUNT, (64, 0), 3, registers=1))
    assert parameters[20:21].view(np.float32)[0] == 99.0
    assert parameters[21] == 64 + 17


@pytest.mark.parametrize(("elements", "fits"), [(16, True), (8, False)])
def test_the_work_buffer_must_hold_the_first_round(kernels, simulator, elements, fits):
    """Eight repeats of float without index: 16 values and indices, two blocks."""
    image = image_of(np.float32)
    call = call_of(TENSOR_MAX, MASK_COUNT, (64, 0), 8)
    call.extra[18] = IMAGE - elements * 4
    if fits:
        run(kernels, "vector_reduce_float", image, call)
        return
    with pytest.raises(simulator.SimulatorFault, match="sharedTmpBuffer") as fault:
        run(kernels, "vector_reduce_float", image, call)
    assert fault.value.kind == "ErrorWrite2"


def test_masked_lanes_are_not_read(kernels):
    """active_lanes and the kernel agree that the mask's lanes are all that counts: the others hold NaN."""
    image = image_of(np.float32)
    values = np.full(128, np.nan, np.float32)
    for repeat, lane in active_lanes(64, repeats=2, bits=(0x5, 0)):
        values[repeat * 64 + lane] = lane + 1
    put(image, AREA, values)
    after, _ = run(kernels, "vector_reduce_float", image, call_of(WHOLE_SUM, MASK_BITS, (0x5, 0), 2))
    assert get(after, 0, np.float32, 2).tolist() == [4.0, 4.0]
