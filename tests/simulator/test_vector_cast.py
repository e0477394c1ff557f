"""Cast: every pair, every rounding mode, bit for bit against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from vector_call import COUNT, COUNTER, MASK_BITS, MASK_COUNT, Call, get, put, run
from vector_model import Operand, active_lanes, round_integer, saturate, to_bfloat16_bits, to_half

AREA = 16 * 1024
IMAGE = 3 * AREA
ROUND_MODES = ["NONE", "RINT", "FLOOR", "CEIL", "ROUND", "TRUNC", "ODD"]
FIVE = ROUND_MODES[1:6]
# bfloat16 travels as uint16 bits.
DTYPES = {
    "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "half": np.float16, "float": np.float32, "bfloat16": np.uint16,
}  # fmt: skip
# The manual's table for Atlas A2: source, destination, modes.
TABLE = [
    ("int8", "half", ["NONE"]), ("uint8", "half", ["NONE"]),
    ("int16", "half", FIVE + ["NONE"]), ("int16", "float", ["NONE"]),
    ("half", "int8", FIVE + ["NONE"]), ("half", "uint8", FIVE + ["NONE"]), ("half", "int16", FIVE),
    ("half", "int32", FIVE), ("half", "float", ["NONE"]),
    ("bfloat16", "int32", FIVE), ("bfloat16", "float", ["NONE"]),
    ("int32", "int16", ["NONE"]), ("int32", "float", FIVE + ["NONE"]), ("int32", "int64", ["NONE"]),
    ("float", "int16", FIVE), ("float", "half", FIVE + ["ODD", "NONE"]), ("float", "bfloat16", FIVE),
    ("float", "int32", FIVE), ("float", "float", FIVE), ("float", "int64", FIVE),
    ("int64", "int32", ["NONE"]), ("int64", "float", FIVE),
]  # fmt: skip


def values_of(name: str, count: int, rng) -> np.ndarray:
    """Ties, neighbours of ties, limits, subnormals, infinities, and random bits."""
    dtype = np.dtype(DTYPES[name])
    if np.issubdtype(dtype, np.integer) and name != "bfloat16":
        info = np.iinfo(dtype)
        edge = [info.min, info.max, 0, 1, info.max - 1, info.max // 2 + 1]
        if dtype.itemsize >= 4:
            edge += [(1 << 24) + 1, (1 << 24) + 3, (1 << 25) + 2, -(1 << 24) - 1, 40000, -40000]
        return np.concatenate(
            [np.array(edge, dtype), rng.integers(info.min, info.max, count - len(edge), dtype, endpoint=True)]
        )
    edge = [0.5, 1.5, 2.5, -0.5, -1.5, 127.5, 128.5, -128.5, 255.5, 0.0, -0.0, 32767.5, 1e-8, -1e-8, 6.1e-5]
    edge += [65504, 65519, 65520, -65520, 1e10, -1e10, np.inf, -np.inf, 0.49999997, 2.0**-25, 2.0**-24 * 1.5, 1e30]
    with np.errstate(over="ignore"):
        wide = np.concatenate(
            [edge, rng.normal(size=count - len(edge)) * 10.0 ** rng.integers(-6, 7, count - len(edge))]
        )
        wide = wide.astype(np.float32)
        if name == "half":
            return wide.astype(np.float16)
    if name == "bfloat16":
        return (wide.view(np.uint32) >> 16).astype(np.uint16)
    return wide


def as_number(name: str, value):
    if name == "bfloat16":
        return float(np.array([int(value) << 16], np.uint32).view(np.float32)[0])
    return float(value) if np.issubdtype(DTYPES[name], np.floating) else int(value)


def converted(source: str, target: str, value, mode: str):
    number = as_number(source, value)
    if target == "bfloat16":
        return np.uint16(to_bfloat16_bits(number, mode))
    if target == "half":
        return to_half(number, mode)
    if target == "float":
        if source == "float":
            return (
                np.float32(number) if np.isinf(number) else np.float32(np.copysign(round_integer(number, mode), number))
            )
        return np.float32(to_float(number, mode))
    dtype = np.dtype(DTYPES[target])
    if isinstance(number, float) and np.isinf(number):
        info = np.iinfo(dtype)
        return dtype.type(info.max if number > 0 else info.min)
    return saturate(round_integer(number, mode), dtype)


def to_float(number, mode: str) -> float:
    """To fp32; only integers beyond 24 bits lose anything."""
    if isinstance(number, float):
        return number
    drop = max(0, abs(number).bit_length() - 24)
    return float(round_integer(Fraction(number, 1 << drop), mode) * (1 << drop))


@pytest.mark.parametrize(("source", "target", "mode"), [(s, t, m) for s, t, modes in TABLE for m in modes])
def test_every_pair_and_mode(kernels, source, target, mode):
    rng = np.random.default_rng(7)
    values = values_of(source, 600, rng)
    image = np.full(IMAGE, 0x5A, np.uint8)
    put(image, AREA, values)
    call = Call(form=COUNT, count=600, src0=AREA, extra={16: ROUND_MODES.index(mode)})
    after, _ = run(kernels, f"vector_cast_{source}_to_{target}", image, call)
    dtype = np.dtype(DTYPES[target])
    result = get(after, 0, dtype, 600)
    expected = np.array([converted(source, target, value, mode) for value in values], dtype)
    different = np.flatnonzero(result.view(f"u{dtype.itemsize}") != expected.view(f"u{dtype.itemsize}"))
    assert different.size == 0, [(values[i], result[i], expected[i]) for i in different[:5]]
    assert (after[600 * dtype.itemsize : AREA] == 0x5A).all()


@pytest.mark.parametrize(("source", "target"), [(s, t) for s, t, _ in TABLE])
def test_every_mode_outside_the_table_is_refused(kernels, simulator, source, target):
    allowed = next(modes for s, t, modes in TABLE if (s, t) == (source, target))
    image = np.zeros(IMAGE, np.uint8)
    for number, mode in enumerate(ROUND_MODES):
        if mode in allowed:
            continue
        call = Call(form=COUNT, count=64, src0=AREA, extra={16: number})
        with pytest.raises(simulator.SimulatorFault, match="roundMode") as fault:
            run(kernels, f"vector_cast_{source}_to_{target}", image, call)
        assert fault.value.kind == "ErrorArgument"


@pytest.mark.parametrize("form", [MASK_COUNT, MASK_BITS, COUNTER])
@pytest.mark.parametrize(
    ("source", "target"), [("half", "float"), ("float", "half"), ("half", "int32"), ("half", "uint8")]
)
def test_strides_and_masks_follow_the_wider_type(kernels, source, target, form):
    """A repeat holds as many lanes as eight blocks of the wider type; the narrower side fills fewer blocks."""
    rng = np.random.default_rng(11)
    src_type, dst_type = np.dtype(DTYPES[source]), np.dtype(DTYPES[target])
    lanes = 256 // max(src_type.itemsize, dst_type.itemsize)
    image = np.full(IMAGE, 0x33, np.uint8)
    put(image, AREA, (rng.normal(size=2000) * 50).astype(src_type))
    call = Call(form=form, repeat=3, src0=AREA, count=2 * lanes + 7, extra={16: 1 if target != "float" else 0})
    call.block_strides = (2, 1, 1)
    call.repeat_strides = (17, 9, 1)
    call.mask = (lanes - 7, 0)
    if form == MASK_COUNT:
        pairs = active_lanes(lanes, repeats=3, count=lanes - 7)
    elif form == MASK_BITS:
        call.mask = (0xAAAAAAAAAAAAAAAB, 0x5555555500000001 if lanes > 64 else 0)
        pairs = active_lanes(lanes, repeats=3, bits=call.mask)
    else:
        pairs = active_lanes(lanes, counter=call.count)
    dst, src = Operand(dst_type, 0, 2, 17), Operand(src_type, AREA, 1, 9)
    expected = image.copy()
    for repeat, lane in pairs:
        dst.store(expected, repeat, lane, converted(source, target, src.load(image, repeat, lane), "RINT"))
    after, _ = run(kernels, f"vector_cast_{source}_to_{target}", image, call)
    np.testing.assert_array_equal(after, expected)


def test_int32_to_half_multiplies_by_the_deq_scale(kernels):
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, np.array([1, -3, 1000, 70000, 1 << 20], np.int32))
    after, _ = run(kernels, "vector_cast_int32_to_half", image, Call(count=5, src0=AREA, scalar=0.125))
    assert get(after, 0, np.float16, 5).tolist() == [0.125, -0.375, 125.0, 8752.0, np.inf]


def test_a_cast_in_place_may_narrow_but_not_widen(kernels, simulator):
    image = np.zeros(IMAGE, np.uint8)
    put(image, 0, np.arange(256, dtype=np.float32))
    after, _ = run(kernels, "vector_cast_float_to_half", image, Call(count=256, extra={16: 1}))
    assert get(after, 0, np.float16, 256).tolist() == list(range(256))
    with pytest.raises(simulator.SimulatorFault) as fault:
        run(kernels, "vector_cast_half_to_float", image, Call(count=256))
    assert fault.value.kind == "ErrorOverlap"


def test_fused_casts(kernels):
    image = np.zeros(IMAGE, np.uint8)
    a = np.array([100.4, 100, -5, 2.5, 0.5], np.float16)
    b = np.array([0, 100, 1, 1, 1], np.float16)
    put(image, AREA, a)
    put(image, 2 * AREA, b)
    after, _ = run(
        kernels, "vector_relu_cast_half_to_int8", image, Call(count=5, src0=AREA, src1=2 * AREA, extra={18: 1})
    )
    assert get(after, 0, np.int8, 5).tolist() == [100, 127, 0, 4, 2]  # 3.5 and 1.5 are ties
    after, _ = run(
        kernels, "vector_relu_cast_half_to_int8", image, Call(count=5, src0=AREA, src1=2 * AREA, extra={18: 2})
    )
    assert get(after, 0, np.int8, 5).tolist() == [100, 0, 0, 2, 0]
    after, _ = run(kernels, "vector_mul_cast_uint8", image, Call(count=5, src0=AREA, src1=2 * AREA))
    assert get(after, 0, np.uint8, 5).tolist() == [0, 255, 0, 2, 0]
    put(image, AREA, np.array([1.0, 70000.0, -3.0], np.float32))
    put(image, 2 * AREA, np.array([0.00048828125, 0.0, 1.0], np.float32))
    after, _ = run(
        kernels, "vector_relu_cast_float_to_half", image, Call(count=3, src0=AREA, src1=2 * AREA, extra={18: 1})
    )
    assert get(after, 0, np.float16, 3).tolist() == [1.0, np.inf, 0.0]
