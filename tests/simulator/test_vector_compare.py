"""Compare and Select: bits from values and values from bits."""

from __future__ import annotations

import numpy as np
import pytest
from vector_call import COUNT, MASK_BITS, MASK_COUNT, OUTSIDE_BITS, Call, get, put, run
from vector_model import Operand, active_lanes

AREA = 8 * 1024
IMAGE = 4 * AREA  # dst, src0, src1, bits
BITS = 3 * AREA
DTYPES = {"half": np.float16, "float": np.float32, "int32": np.int32}
MODES = {"LT": np.less, "GT": np.greater, "EQ": np.equal, "LE": np.less_equal, "GE": np.greater_equal}
MODES["NE"] = np.not_equal
COMPARE, COMPARE_SCALAR, COMPARE_REGISTER, SELECT_TENSOR, SELECT_SCALAR = range(5)


def small_values(rng, dtype, count):
    """Few distinct values, so that equality happens."""
    return rng.integers(-3, 4, count).astype(dtype)


def lane_values(image, operand, repeats, lanes):
    return np.array([[operand.load(image, r, i) for i in range(lanes)] for r in range(repeats)])


@pytest.mark.parametrize(("name", "mode"), [(n, m) for n in ("half", "float") for m in MODES] + [("int32", "EQ")])
@pytest.mark.parametrize("form", [COUNT, MASK_COUNT, MASK_BITS])
@pytest.mark.parametrize("op", [COMPARE, COMPARE_SCALAR])
def test_compare_packs_a_bit_per_lane_and_ignores_the_mask(kernels, name, mode, form, op):
    dtype = np.dtype(DTYPES[name])
    rng = np.random.default_rng(3)
    lanes, repeats = 256 // dtype.itemsize, 3
    image = np.full(IMAGE, 0xEE, np.uint8)
    for area in (1, 2):
        put(image, area * AREA, small_values(rng, dtype, AREA // dtype.itemsize))
    call = Call(op=op, form=form, count=lanes * repeats, repeat=repeats, src0=AREA, src1=2 * AREA, scalar=1.0)
    call.extra = {16: list(MODES).index(mode), 17: BITS}
    call.mask = (5, 0)  # reserved on this chip
    if form != COUNT:
        call.block_strides, call.repeat_strides = (1, 2, 1), (8, 16, 9)
    if op == COMPARE_SCALAR and form != COUNT:
        call.block_strides, call.repeat_strides = (1, 2, 1), (8, 16, 8)
    after, _ = run(kernels, f"vector_compare_{name}", image, call)
    a = lane_values(image, Operand(dtype, AREA, call.block_strides[1], call.repeat_strides[1]), repeats, lanes)
    b = lane_values(image, Operand(dtype, 2 * AREA, call.block_strides[2], call.repeat_strides[2]), repeats, lanes)
    expected = np.packbits(MODES[mode](a, b if op == COMPARE else dtype.type(1)).reshape(-1), bitorder="little")
    np.testing.assert_array_equal(get(after, BITS, np.uint8, expected.size), expected)
    assert (after[BITS + expected.size :] == 0xEE).all() and (after[:AREA] == 0xEE).all()


def test_compare_is_false_for_nan_except_not_equal(kernels):
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, np.full(64, np.nan, np.float32))
    for mode, expected in (("LT", 0), ("GE", 0), ("EQ", 0), ("NE", 255)):
        call = Call(op=COMPARE, count=64, src0=AREA, src1=2 * AREA, extra={16: list(MODES).index(mode), 17: BITS})
        after, _ = run(kernels, "vector_compare_float", image, call)
        assert get(after, BITS, np.uint8, 8).tolist() == [expected] * 8


@pytest.mark.parametrize("name", ["half", "float"])
def test_compare_into_the_register_honours_the_mask(kernels, name):
    dtype = np.dtype(DTYPES[name])
    lanes = 256 // dtype.itemsize
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, np.arange(lanes).astype(dtype))
    put(image, 2 * AREA, np.full(lanes, 10, dtype))
    call = Call(op=COMPARE_REGISTER, form=MASK_COUNT, mask=(6, 0), src0=AREA, src1=2 * AREA)
    call.extra = {16: list(MODES).index("LT"), 17: BITS}
    after, _ = run(kernels, f"vector_compare_{name}", image, call)
    # Lanes 0..9 hold, the mask keeps 0..5.
    assert get(after, BITS, np.uint8, 16).tolist() == [0b00111111] + [0] * 15


@pytest.mark.parametrize("name", ["half", "float"])
@pytest.mark.parametrize(
    ("mode", "form"), [(m, f) for m in (0, 2) for f in (COUNT, MASK_COUNT, MASK_BITS)] + [(0, OUTSIDE_BITS)]
)
def test_select_between_tensors(kernels, name, mode, form):
    """Mode 0 uses the first repeat's worth of bits again and again; mode 2 goes on through them."""
    dtype = np.dtype(DTYPES[name])
    rng = np.random.default_rng(mode + form)
    lanes, repeats = 256 // dtype.itemsize, 3
    image = np.full(IMAGE, 0x77, np.uint8)
    for area in (1, 2):
        put(image, area * AREA, rng.normal(size=AREA // dtype.itemsize).astype(dtype))
    bits = rng.integers(0, 256, lanes * repeats // 8 + 16, dtype=np.uint8)
    put(image, BITS, bits)
    call = Call(op=SELECT_TENSOR, form=form, count=2 * lanes + 11, repeat=repeats, src0=AREA, src1=2 * AREA)
    call.extra = {16: mode, 17: BITS}
    call.mask = (0xFF00FF00FF00FF01, 0x123456789ABCDEF0 if lanes > 64 else 0)
    if form != COUNT:
        call.block_strides, call.repeat_strides = (1, 1, 2), (9, 8, 16)
    if form == COUNT:
        pairs = active_lanes(lanes, counter=call.count)
    elif form == MASK_COUNT:
        call.mask = (lanes - 5, 0)
        pairs = active_lanes(lanes, repeats=repeats, count=lanes - 5)
    else:
        pairs = active_lanes(lanes, repeats=repeats, bits=call.mask)
    operands = [Operand(dtype, i * AREA, call.block_strides[i], call.repeat_strides[i]) for i in range(3)]
    expected = image.copy()
    for repeat, lane in pairs:
        at = lane if mode == 0 else repeat * lanes + lane
        chosen = operands[1] if bits[at // 8] >> (at % 8) & 1 else operands[2]
        operands[0].store(expected, repeat, lane, chosen.load(image, repeat, lane))
    after, _ = run(kernels, f"vector_compare_{name}", image, call)
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("name", ["half", "float"])
@pytest.mark.parametrize("form", [COUNT, MASK_COUNT, MASK_BITS])
def test_select_between_tensor_and_scalar(kernels, name, form):
    dtype = np.dtype(DTYPES[name])
    rng = np.random.default_rng(1)
    lanes, repeats = 256 // dtype.itemsize, 2
    image = np.full(IMAGE, 0x77, np.uint8)
    put(image, AREA, rng.normal(size=AREA // dtype.itemsize).astype(dtype))
    bits = rng.integers(0, 256, lanes * repeats // 8, dtype=np.uint8)
    put(image, BITS, bits)
    call = Call(op=SELECT_SCALAR, form=form, count=lanes + 3, repeat=repeats, src0=AREA, scalar=-2.5)
    call.extra = {16: 1, 17: BITS}
    call.mask = (0x8000000000000003, 0) if form == MASK_BITS else (lanes - 1, 0)
    pairs = {
        COUNT: active_lanes(lanes, counter=lanes + 3),
        MASK_COUNT: active_lanes(lanes, repeats=repeats, count=lanes - 1),
        MASK_BITS: active_lanes(lanes, repeats=repeats, bits=call.mask),
    }[form]
    dst, src = Operand(dtype, 0), Operand(dtype, AREA)
    expected = image.copy()
    for repeat, lane in pairs:
        at = repeat * lanes + lane
        value = src.load(image, repeat, lane) if bits[at // 8] >> (at % 8) & 1 else dtype.type(-2.5)
        dst.store(expected, repeat, lane, value)
    after, _ = run(kernels, f"vector_compare_{name}", image, call)
    np.testing.assert_array_equal(after, expected)
