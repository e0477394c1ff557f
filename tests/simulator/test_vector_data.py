"""Filling, copying, gathering and rearranging."""

from __future__ import annotations

import numpy as np
import pytest
from vector_call import COUNT, MASK_BITS, MASK_COUNT, Call, get, put, run
from vector_model import Operand, active_lanes, elementwise

AREA = 8 * 1024
IMAGE = 3 * AREA
DTYPES = {
    "half": np.float16, "bfloat16": np.uint16, "float": np.float32, "int16": np.int16, "uint16": np.uint16,
    "int32": np.int32, "uint32": np.uint32,
}  # fmt: skip
DUPLICATE, COPY, BRCB, GATHER, GATHER_MASK, CREATE_VEC_INDEX = range(6)


def raw_type(name):
    return np.dtype(f"u{np.dtype(DTYPES[name]).itemsize}")


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("form", [COUNT, MASK_COUNT, MASK_BITS])
def test_duplicate(kernels, name, form):
    dtype = np.dtype(DTYPES[name])
    lanes = 256 // dtype.itemsize
    value = np.float32(3).view(np.uint32) >> 16 if name == "bfloat16" else 3
    image = np.full(IMAGE, 0x99, np.uint8)
    call = Call(op=DUPLICATE, form=form, count=lanes + 3, repeat=2, scalar=3.0, mask=(lanes - 3, 0))
    call.block_strides, call.repeat_strides = ((1, 1, 1), (8, 8, 8)) if form == COUNT else ((2, 1, 1), (20, 8, 8))
    if form == MASK_BITS:
        call.mask = (0xF0F0, 0)
    pairs = {
        COUNT: active_lanes(lanes, counter=lanes + 3),
        MASK_COUNT: active_lanes(lanes, repeats=2, count=lanes - 3),
        MASK_BITS: active_lanes(lanes, repeats=2, bits=(0xF0F0, 0)),
    }[form]
    expected = image.copy()
    dst = Operand(dtype, 0, call.block_strides[0], call.repeat_strides[0])
    elementwise(expected, lambda: dtype.type(value), dst, [], pairs)
    after, _ = run(kernels, f"vector_data_{name}", image, call)
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("form", [MASK_COUNT, MASK_BITS])
def test_copy(kernels, name, form):
    raw = raw_type(name)
    lanes = 256 // raw.itemsize
    image = np.random.default_rng(0).integers(0, 256, IMAGE, dtype=np.uint8)
    mask = (lanes - 5, 0) if form == MASK_COUNT else (0xFFFF0000FFFF0001, 0)
    call = Call(op=COPY, form=form, mask=mask, repeat=3, src0=AREA, block_strides=(2, 3, 1), repeat_strides=(17, 30, 0))
    pairs = active_lanes(lanes, repeats=3, **({"count": mask[0]} if form == MASK_COUNT else {"bits": mask}))
    expected = image.copy()
    elementwise(expected, lambda a: a, Operand(raw, 0, 2, 17), [Operand(raw, AREA, 3, 30)], pairs)
    after, _ = run(kernels, f"vector_data_{name}", image, call)
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("name", DTYPES)
def test_brcb_spreads_eight_elements_over_eight_blocks(kernels, name):
    raw = raw_type(name)
    image = np.random.default_rng(1).integers(0, 256, IMAGE, dtype=np.uint8)
    call = Call(op=BRCB, repeat=2, src0=AREA, block_strides=(2, 1, 1), repeat_strides=(17, 8, 8))
    expected = image.copy()
    source = get(image, AREA, raw, 16)
    for repeat in range(2):
        for block in range(8):
            put(expected, (repeat * 17 + block * 2) * 32, np.full(32 // raw.itemsize, source[repeat * 8 + block]))
    after, _ = run(kernels, f"vector_data_{name}", image, call)
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("form", [COUNT, MASK_COUNT, MASK_BITS])
def test_gather_takes_byte_offsets(kernels, name, form):
    raw = raw_type(name)
    lanes = 256 // raw.itemsize
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, IMAGE, dtype=np.uint8)
    offsets = (rng.integers(0, 500, 2 * lanes) * raw.itemsize).astype(np.uint32)
    put(image, 2 * AREA, offsets)
    call = Call(op=GATHER, form=form, count=lanes + 5, repeat=2, src0=AREA, src1=2 * AREA, extra={18: 64})
    call.mask, call.repeat_strides = (lanes - 4, 0), ((8, 8, 8) if form == COUNT else (10, 8, 8))
    if form == MASK_BITS:
        call.mask = (0x8001, 0)
    pairs = {
        COUNT: active_lanes(lanes, counter=lanes + 5),
        MASK_COUNT: active_lanes(lanes, repeats=2, count=lanes - 4),
        MASK_BITS: active_lanes(lanes, repeats=2, bits=(0x8001, 0)),
    }[form]
    expected = image.copy()
    dst = Operand(raw, 0, 1, call.repeat_strides[0])
    for repeat, lane in pairs:
        at = AREA + 64 + int(offsets[repeat * lanes + lane])
        dst.store(expected, repeat, lane, image[at : at + raw.itemsize].view(raw)[0])
    after, _ = run(kernels, f"vector_data_{name}", image, call)
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("name", ["uint16", "uint32"])
def test_gatherb_takes_blocks(kernels, name):
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, IMAGE, dtype=np.uint8)
    offsets = (rng.integers(0, 60, 16) * 32).astype(np.uint32)
    put(image, 2 * AREA, offsets)
    call = Call(repeat=2, src0=AREA, src1=2 * AREA, block_strides=(2, 1, 1), repeat_strides=(16, 8, 8))
    expected = image.copy()
    for i, offset in enumerate(offsets):
        put(expected, (i // 8 * 16 + i % 8 * 2) * 32, image[AREA + offset : AREA + offset + 32])
    after, _ = run(kernels, f"vector_gatherb_{name}", image, call)
    np.testing.assert_array_equal(after, expected)


PATTERNS = {1: (2, 0), 2: (2, 1), 3: (4, 0), 4: (4, 1), 5: (4, 2), 6: (4, 3), 7: (1, 0)}  # step, first


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_gather_mask_built_in_patterns(kernels, name, pattern):
    raw = raw_type(name)
    lanes = 256 // raw.itemsize
    image = np.random.default_rng(4).integers(0, 256, IMAGE, dtype=np.uint8)
    call = Call(op=GATHER_MASK, repeat=2, src0=AREA, repeat_strides=(8, 9, 0), extra={16: 0, 17: pattern, 18: 0})
    step, first = PATTERNS[pattern]
    rows = [get(image, AREA + r * 9 * 32, raw, lanes)[first::step] for r in range(2)]
    kept = np.concatenate(rows)
    expected = image.copy()
    put(expected, 0, kept)
    after, parameters = run(kernels, f"vector_data_{name}", image, call)
    np.testing.assert_array_equal(after, expected)
    assert parameters[20] == kept.size


@pytest.mark.parametrize("name", ["half", "float"])
@pytest.mark.parametrize("bit_stride", [0, 1])
def test_gather_mask_with_bits_in_memory_in_counter_mode(kernels, name, bit_stride):
    """Each repeat looks at `mask` elements and goes on in the pattern by its own stride."""
    raw = raw_type(name)
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, IMAGE, dtype=np.uint8)
    elements = 70
    call = Call(
        op=GATHER_MASK, count=elements, repeat=2, src0=AREA, src1=2 * AREA, repeat_strides=(8, 11, bit_stride),
        extra={16: 1, 18: 1},
    )  # fmt: skip
    kept = []
    for repeat in range(2):
        row = get(image, AREA + repeat * 11 * 32, raw, elements)
        bits = np.unpackbits(image[2 * AREA + repeat * bit_stride * 32 :][: (elements + 7) // 8], bitorder="little")
        kept.append(row[bits[:elements].astype(bool)])
    expected = image.copy()
    put(expected, 0, np.concatenate(kept))
    after, parameters = run(kernels, f"vector_data_{name}", image, call)
    np.testing.assert_array_equal(after, expected)
    assert parameters[20] == sum(part.size for part in kept)


@pytest.mark.parametrize("name", ["half", "float", "int16", "int32"])
@pytest.mark.parametrize("form", [COUNT, MASK_COUNT, MASK_BITS])
def test_create_vec_index(kernels, name, form):
    dtype = np.dtype(DTYPES[name])
    lanes = 256 // dtype.itemsize
    image = np.full(IMAGE, 0x44, np.uint8)
    call = Call(op=CREATE_VEC_INDEX, form=form, count=lanes * 2 + 3, repeat=2, scalar=5.0, mask=(lanes - 1, 0))
    call.block_strides, call.repeat_strides = ((1, 1, 1), (8, 8, 8)) if form == COUNT else ((2, 1, 1), (16, 8, 8))
    if form == MASK_BITS:
        call.mask = (0xF1, 0)
    pairs = {
        COUNT: active_lanes(lanes, counter=call.count),
        MASK_COUNT: active_lanes(lanes, repeats=2, count=lanes - 1),
        MASK_BITS: active_lanes(lanes, repeats=2, bits=(0xF1, 0)),
    }[form]
    expected = image.copy()
    dst = Operand(dtype, 0, call.block_strides[0], call.repeat_strides[0])
    for repeat, lane in pairs:
        dst.store(expected, repeat, lane, dtype.type(5 + repeat * lanes + lane))
    after, _ = run(kernels, f"vector_data_{name}", image, call)
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("name", ["half", "int16"])
@pytest.mark.parametrize("dst", [0, AREA])
def test_transpose_of_a_square_also_in_place(kernels, name, dst):
    image = np.random.default_rng(6).integers(0, 256, IMAGE, dtype=np.uint8)
    expected = image.copy()
    put(expected, dst, get(image, AREA, np.uint16, 256).reshape(16, 16).T)
    after, _ = run(kernels, f"vector_transpose_{name}", image, Call(dst=dst, src0=AREA))
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize(("name", "raw"), [("int8", np.uint8), ("half", np.uint16), ("float", np.uint32)])
def test_5hd_transposes_sixteen_blocks(kernels, name, raw):
    image = np.random.default_rng(7).integers(0, 256, IMAGE, dtype=np.uint8)
    call = Call(repeat=2, src0=AREA, repeat_strides=(16, 16, 8), extra={16: 1, 17: 0})
    expected = image.copy()
    for repeat in range(2):
        blocks = get(image, AREA + repeat * 512, raw, 512 // np.dtype(raw).itemsize).reshape(16, -1)
        if raw is np.uint8:  # low half in, high half out
            for i, column in enumerate(blocks[:, :16].T):
                put(expected, repeat * 512 + i * 32 + 16, column)
        else:
            put(expected, repeat * 512, np.ascontiguousarray(blocks.T))
    after, _ = run(kernels, f"vector_5hd_{name}", image, call)
    np.testing.assert_array_equal(after, expected)


def test_a_single_5hd_repeat_starts_one_stride_in(kernels):
    """The manual's surprise: with repeatTimes 1 the strides are added once."""
    image = np.random.default_rng(8).integers(0, 256, IMAGE, dtype=np.uint8)
    expected = image.copy()
    blocks = get(image, AREA + 3 * 32, np.uint16, 256).reshape(16, 16)
    put(expected, 2 * 32, np.ascontiguousarray(blocks.T))
    after, _ = run(kernels, "vector_5hd_half", image, Call(repeat=1, src0=AREA, repeat_strides=(2, 3, 8)))
    np.testing.assert_array_equal(after, expected)
