"""Elementwise arithmetic: hand-worked vectors, then random calls against the naive model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vector_call import COUNT, COUNTER, MASK_BITS, MASK_COUNT, OUTSIDE_BITS, Call, get, put, run
from vector_model import Operand, active_lanes, elements_per_repeat, elementwise, fp32_then_round

IMAGE = 24 * 1024  # three areas of 8 KiB: dst, src0, src1
AREA = 8 * 1024
DTYPES = {"half": np.float16, "float": np.float32, "int16": np.int16, "uint16": np.uint16, "int32": np.int32}
DTYPES["uint32"] = np.uint32

BINARY_OPS = ["Add", "Sub", "Mul", "Div", "Max", "Min", "And", "Or", "AddRelu", "SubRelu"]
BINARY_OPS += ["FusedMulAdd", "FusedMulAddRelu"]
UNARY_OPS = ["Abs", "Exp", "Ln", "Sqrt", "Rsqrt", "Reciprocal", "Relu", "Not"]
SCALAR_OPS = ["Adds", "Muls", "Maxs", "Mins", "LeakyRelu", "ShiftLeft", "ShiftRight"]


def is_float(dtype) -> bool:
    return np.issubdtype(dtype, np.floating)


def binary_function(op: str, dtype):
    """f(a, b, old dst) of one element, in the element's own type."""

    def wrap(function):
        with_types = {
            True: fp32_then_round(function, dtype),
            False: lambda *v: np.dtype(dtype).type(np.int64(function(*(int(x) for x in v))) & mask_of(dtype)),
        }
        return with_types[is_float(dtype)]

    def relu(value):
        return value if value > 0 else type(value)(0)

    table = {
        "Add": lambda a, b, c: a + b,
        "Sub": lambda a, b, c: a - b,
        "Mul": lambda a, b, c: a * b,
        "Div": lambda a, b, c: a / b,
        "Max": lambda a, b, c: max(a, b),
        "Min": lambda a, b, c: min(a, b),
        "And": lambda a, b, c: a & b,
        "Or": lambda a, b, c: a | b,
    }
    if op in table:
        return wrap(table[op])
    if op in ("AddRelu", "SubRelu"):
        inner = binary_function(op[:3], dtype)
        return lambda a, b, c: relu(inner(a, b, c))
    fused = {"FusedMulAdd": lambda a, b, c: a * c + b, "FusedMulAddRelu": lambda a, b, c: relu(a * c + b)}
    return wrap(fused[op])


def mask_of(dtype) -> int:
    return (1 << (8 * np.dtype(dtype).itemsize)) - 1


def random_values(rng: np.random.Generator, dtype, count: int) -> np.ndarray:
    if is_float(dtype):
        return (rng.normal(size=count) * 10.0 ** rng.integers(-2, 3, count)).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, count, dtype=dtype, endpoint=True)


def as_integers_wrap(function, dtype):
    """Applies an integer function and keeps the low bits, as two's complement."""

    def apply(*values):
        raw = int(function(*(int(value) for value in values))) & mask_of(dtype)
        return np.array([raw], np.uint64).astype(f"u{np.dtype(dtype).itemsize}").view(dtype)[0]

    return apply


# ---- hand-worked ----------------------------------------------------------------------------------------------------


def test_add_of_130_elements_writes_exactly_130(kernels):
    image = np.full(IMAGE, 0xCD, np.uint8)
    put(image, AREA, np.arange(130, dtype=np.float16))
    put(image, 2 * AREA, np.full(130, 0.5, np.float16))
    after, _ = run(kernels, "vector_binary_half", image, Call(count=130, src0=AREA, src1=2 * AREA))
    np.testing.assert_array_equal(get(after, 0, np.float16, 130), np.arange(130) + np.float16(0.5))
    assert (after[260:AREA] == 0xCD).all()


def test_bit_mask_touches_the_named_lanes_only(kernels):
    """The manual's example: mask [8, 2] is lane 3 and lane 65 of 16-bit elements."""
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, np.full(128, 7, np.int16))
    after, _ = run(kernels, "vector_binary_int16", image, Call(form=MASK_BITS, mask=(8, 2), src0=AREA, src1=2 * AREA))
    assert np.flatnonzero(get(after, 0, np.int16, 256)).tolist() == [3, 65]


def test_strides_are_in_blocks_of_32_bytes(kernels):
    """Destination blocks two apart, repeats 17 apart; 8 floats to a block, 64 to a repeat."""
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, np.arange(1, 129, dtype=np.float32))
    call = Call(
        form=MASK_COUNT,
        mask=(64, 0),
        repeat=2,
        src0=AREA,
        src1=2 * AREA,
        block_strides=(2, 1, 1),
        repeat_strides=(17, 8, 8),
    )
    after, _ = run(kernels, "vector_binary_float", image, call)
    expected = np.zeros(AREA // 4, np.float32)
    for repeat in range(2):
        for block in range(8):
            at = (repeat * 17 + block * 2) * 8
            expected[at : at + 8] = np.arange(8) + 1 + repeat * 64 + block * 8
    np.testing.assert_array_equal(get(after, 0, np.float32, AREA // 4), expected)


def test_counter_mode_ignores_the_repeat_count(kernels):
    """130 half elements in counter mode with repeatTime 1: two repeats, the second with two lanes."""
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, np.ones(256, np.float16))
    call = Call(form=COUNTER, count=130, repeat=1, src0=AREA, src1=2 * AREA)
    after, _ = run(kernels, "vector_binary_half", image, call)
    assert get(after, 0, np.float16, 256).tolist() == [1.0] * 130 + [0.0] * 126


def test_source_repeat_stride_zero_broadcasts(kernels):
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, np.zeros(64 * 3, np.float32))
    put(image, 2 * AREA, np.arange(64, dtype=np.float32))
    call = Call(form=MASK_COUNT, mask=(64, 0), repeat=3, src0=AREA, src1=2 * AREA, repeat_strides=(8, 8, 0))
    after, _ = run(kernels, "vector_binary_float", image, call)
    np.testing.assert_array_equal(get(after, 0, np.float32, 192), np.tile(np.arange(64), 3))


def test_accumulating_over_repeats_through_src1(kernels):
    """dst and src1 equal with a repeat stride of 0: the sum of the repeats, as the manual allows for Add in float."""
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, np.arange(64 * 4, dtype=np.float32))
    call = Call(form=MASK_COUNT, mask=(64, 0), repeat=4, dst=0, src0=AREA, src1=0, repeat_strides=(0, 8, 0))
    after, _ = run(kernels, "vector_binary_float", image, call)
    np.testing.assert_array_equal(get(after, 0, np.float32, 64), np.arange(256).reshape(4, 64).sum(0))


def test_axpy_widens_half_into_float(kernels):
    image = np.zeros(IMAGE, np.uint8)
    put(image, 0, np.full(100, 1.0, np.float32))
    put(image, AREA, np.arange(100, dtype=np.float16))
    after, _ = run(kernels, "vector_accumulate_mixed", image, Call(op=0, count=100, src0=AREA, scalar=0.25))
    np.testing.assert_array_equal(get(after, 0, np.float32, 100), 1 + np.arange(100) / 4)


def test_half_results_are_rounded_once_to_nearest_even(kernels):
    """2049 and 2051 are ties between neighbours 2 apart: 2048 and 2052."""
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, np.array([2048, 2050, 60000, -60000], np.float16))
    put(image, 2 * AREA, np.array([1, 1, 60000, -60000], np.float16))
    after, _ = run(kernels, "vector_binary_half", image, Call(count=4, src0=AREA, src1=2 * AREA))
    assert get(after, 0, np.float16, 4).tolist() == [2048.0, 2052.0, np.inf, -np.inf]


# ---- every instruction against the model ----------------------------------------------------------------------------

BINARY_CASES = [
    (op, name)
    for op in BINARY_OPS
    for name in {
        "Div": ("half", "float"), "And": ("int16", "uint16"), "Or": ("int16", "uint16"),
        "AddRelu": ("half", "float", "int16"), "SubRelu": ("half", "float", "int16"),
        "FusedMulAdd": ("half", "float"), "FusedMulAddRelu": ("half", "float"),
    }.get(op, ("half", "float", "int16", "int32"))
]  # fmt: skip


def model_binary(op: str, dtype, image: np.ndarray, dst: Operand, src0: Operand, src1: Operand, pairs) -> np.ndarray:
    expected = image.copy()
    if is_float(dtype):
        function = binary_function(op, dtype)
    else:
        plain = {
            "Add": lambda a, b, c: a + b, "Sub": lambda a, b, c: a - b, "Mul": lambda a, b, c: a * b,
            "Max": lambda a, b, c: max(a, b), "Min": lambda a, b, c: min(a, b),
            "And": lambda a, b, c: a & b, "Or": lambda a, b, c: a | b,
        }  # fmt: skip
        if op in plain:
            function = as_integers_wrap(plain[op], dtype)
        else:
            inner = as_integers_wrap(plain[op[:3]], dtype)

            def function(a, b, c):
                return max(inner(a, b, c), np.dtype(dtype).type(0))

    elementwise(expected, function, dst, [src0, src1, dst], pairs)
    return expected


@pytest.mark.parametrize(("op", "name"), BINARY_CASES)
@pytest.mark.parametrize("form", [COUNT, MASK_COUNT, MASK_BITS, OUTSIDE_BITS, COUNTER])
def test_binary_in_every_form(kernels, op, name, form):
    dtype = np.dtype(DTYPES[name])
    rng = np.random.default_rng(BINARY_OPS.index(op) * 10 + form)
    image = rng.integers(0, 256, IMAGE, dtype=np.uint8)
    for area in range(3):
        put(image, area * AREA, random_values(rng, dtype, AREA // dtype.itemsize))
    lanes = 256 // dtype.itemsize
    call = Call(op=BINARY_OPS.index(op), form=form, src0=AREA, src1=2 * AREA, repeat=3)
    if form == COUNT:
        call.count = 2 * lanes + 5
        pairs = active_lanes(lanes, counter=call.count)
    elif form == COUNTER:
        call.count = lanes + 9
        call.block_strides, call.repeat_strides = (2, 1, 1), (16, 8, 8)
        pairs = active_lanes(lanes, counter=call.count)
    else:
        call.block_strides, call.repeat_strides = (1, 2, 1), (9, 18, 8)
        if form == MASK_COUNT:
            call.mask = (lanes - 3, 0)
            pairs = active_lanes(lanes, repeats=3, count=lanes - 3)
        else:
            bits = [int(rng.integers(0, 1 << 63)), int(rng.integers(0, 1 << 63))]
            call.mask = (bits[0], bits[1] if lanes > 64 else 0)
            pairs = active_lanes(lanes, repeats=3, bits=bits)
    operands = [Operand(dtype, i * AREA, call.block_strides[i], call.repeat_strides[i]) for i in range(3)]
    expected = model_binary(op, dtype, image, *operands, pairs)
    after, _ = run(kernels, f"vector_binary_{name}", image, call)
    assert_same_bits(after, expected, dtype)


def assert_same_bits(after: np.ndarray, expected: np.ndarray, dtype) -> None:
    """Equal bytes; where both hold a NaN, its payload does not matter."""
    different = after != expected
    if is_float(dtype) and different.any():
        both_nan = np.isnan(after.view(dtype)) & np.isnan(expected.view(dtype))
        different &= ~np.repeat(both_nan, np.dtype(dtype).itemsize)
    assert not different.any(), f"first difference at byte {int(np.flatnonzero(different)[0])}"


UNARY_FUNCTIONS = {
    "Abs": np.abs, "Exp": np.exp, "Ln": np.log, "Sqrt": np.sqrt, "Rsqrt": lambda a: 1 / np.sqrt(a),
    "Reciprocal": lambda a: 1 / a, "Relu": lambda a: np.maximum(a, 0), "Not": np.invert,
}  # fmt: skip


@pytest.mark.parametrize(
    ("op", "name"),
    [(op, name) for op in UNARY_OPS[:7] for name in ("half", "float")]
    + [("Relu", "int32"), ("Not", "int16"), ("Not", "uint16")],
)
@pytest.mark.parametrize("form", [COUNT, MASK_BITS])
def test_unary(kernels, op, name, form):
    dtype = np.dtype(DTYPES[name])
    rng = np.random.default_rng(UNARY_OPS.index(op))
    lanes = 256 // dtype.itemsize
    values = random_values(rng, dtype, 2 * lanes)
    if op in ("Ln", "Sqrt", "Rsqrt", "Reciprocal"):
        values = np.abs(values) + dtype.type(0.125)
    if op == "Exp":
        values = (values / 64).astype(dtype)
    image = np.full(IMAGE, 0x11, np.uint8)
    put(image, AREA, values)
    call = Call(op=UNARY_OPS.index(op), form=form, count=lanes + 7, src0=AREA, repeat=2)
    bits = (0xF0F0F0F0F0F0F0F1, 0xAAAAAAAAAAAAAAAA if lanes > 64 else 0)
    call.mask = bits
    after, _ = run(kernels, f"vector_unary_{name}", image, call)
    with np.errstate(all="ignore"):
        wide = values.astype(np.float32) if is_float(dtype) else values
        expected = UNARY_FUNCTIONS[op](wide).astype(dtype)
    pairs = active_lanes(lanes, counter=lanes + 7) if form == COUNT else active_lanes(lanes, repeats=2, bits=bits)
    touched = np.zeros(2 * lanes, bool)
    for repeat, lane in pairs:
        touched[repeat * lanes + lane] = True
    result = get(after, 0, dtype, 2 * lanes)
    if is_float(dtype):
        # The library's transcendental functions and numpy's may differ by a unit in the last place.
        np.testing.assert_allclose(result[touched], expected[touched], rtol=float(2 * np.finfo(dtype).eps))
    else:
        np.testing.assert_array_equal(result[touched], expected[touched])
    untouched = get(image, 0, dtype, 2 * lanes)[~touched]
    assert result[~touched].tobytes() == untouched.tobytes()


@pytest.mark.parametrize(
    ("op", "name", "scalar"),
    [(op, name, -1.5) for op in SCALAR_OPS[:5] for name in ("half", "float")]
    + [(op, name, -3) for op in SCALAR_OPS[:4] for name in ("int16", "int32")]
    + [(op, name, 3) for op in SCALAR_OPS[5:] for name in ("int16", "uint16", "int32", "uint32")],
)
@pytest.mark.parametrize("form", [COUNT, MASK_COUNT, COUNTER])
def test_scalar(kernels, op, name, scalar, form):
    dtype = np.dtype(DTYPES[name])
    rng = np.random.default_rng(5)
    lanes = 256 // dtype.itemsize
    image = np.zeros(IMAGE, np.uint8)
    put(image, AREA, random_values(rng, dtype, 4 * lanes))
    call = Call(op=SCALAR_OPS.index(op), form=form, count=lanes + 3, src0=AREA, scalar=scalar, repeat=2)
    call.mask = (lanes - 1, 0)
    call.block_strides, call.repeat_strides = ((1, 1, 1), (8, 8, 8)) if form == COUNT else ((1, 2, 1), (8, 16, 8))
    pairs = active_lanes(lanes, count=lanes - 1, repeats=2)
    if form != MASK_COUNT:
        pairs = active_lanes(lanes, counter=lanes + 3)
    table = {
        "Adds": lambda a: a + scalar, "Muls": lambda a: a * scalar, "Maxs": lambda a: max(a, scalar),
        "Mins": lambda a: min(a, scalar), "LeakyRelu": lambda a: a if a >= 0 else a * np.float32(scalar),
        "ShiftLeft": lambda a: a << scalar, "ShiftRight": lambda a: a >> scalar,
    }  # fmt: skip
    if is_float(dtype):
        scalar = np.float32(scalar)
        function = fp32_then_round(table[op], dtype)
    else:
        function = as_integers_wrap(table[op], dtype)
    expected = image.copy()
    elementwise(
        expected, function, Operand(dtype, 0, call.block_strides[0], call.repeat_strides[0]),
        [Operand(dtype, AREA, call.block_strides[1], call.repeat_strides[1])], pairs,
    )  # fmt: skip
    after, _ = run(kernels, f"vector_scalar_{name}", image, call)
    assert_same_bits(after, expected, dtype)


@pytest.mark.parametrize("kernel", ["half", "float", "mixed"])
@pytest.mark.parametrize("op", ["Axpy", "MulAddDst"])
@pytest.mark.parametrize("form", [COUNT, MASK_COUNT, MASK_BITS])
def test_accumulate(kernels, kernel, op, form):
    """dst += src * factor, rounded after the product and after the sum in fp32."""
    dst_type = np.dtype(np.float16 if kernel == "half" else np.float32)
    src_type = np.dtype(np.float32 if kernel == "float" else np.float16)
    rng = np.random.default_rng(9)
    image = np.zeros(IMAGE, np.uint8)
    put(image, 0, random_values(rng, dst_type, AREA // dst_type.itemsize))
    for area in (1, 2):
        put(image, area * AREA, random_values(rng, src_type, AREA // src_type.itemsize))
    lanes = 256 // max(dst_type.itemsize, src_type.itemsize)
    src_blocks = lanes * src_type.itemsize // 32
    call = Call(op=0 if op == "Axpy" else 1, form=form, count=2 * lanes + 1, src0=AREA, src1=2 * AREA, scalar=0.375)
    call.repeat, call.repeat_strides = 2, (8, src_blocks, src_blocks)
    call.mask = (0x123456789ABCDEF1, 0) if form == MASK_BITS else (lanes - 2, 0)
    if form == COUNT:
        pairs = active_lanes(lanes, counter=call.count)
    elif form == MASK_COUNT:
        pairs = active_lanes(lanes, repeats=2, count=lanes - 2)
    else:
        pairs = active_lanes(lanes, repeats=2, bits=call.mask)
    factor = np.float32(0.375)
    function = fp32_then_round(
        (lambda a, b, c: a * factor + c) if op == "Axpy" else (lambda a, b, c: a * b + c), dst_type
    )
    expected = image.copy()
    dst = Operand(dst_type, 0)
    sources = [Operand(src_type, AREA, 1, src_blocks), Operand(src_type, 2 * AREA, 1, src_blocks), dst]
    elementwise(expected, function, dst, sources, pairs)
    after, _ = run(kernels, f"vector_accumulate_{kernel}", image, call)
    assert_same_bits(after, expected, dst_type)


# ---- random calls ---------------------------------------------------------------------------------------------------


@st.composite
def binary_calls(draw):
    op = draw(st.sampled_from(["Add", "Sub", "Mul", "Max", "Min"]))
    name = draw(st.sampled_from(["half", "float", "int16", "int32"]))
    form = draw(st.sampled_from([MASK_COUNT, MASK_BITS, OUTSIDE_BITS, COUNTER]))
    strides = [draw(st.integers(1, 3)), draw(st.integers(0, 3)), draw(st.integers(0, 3))]
    repeats = draw(st.integers(0, 4))
    repeat_strides = [draw(st.integers(8 * strides[0], 30)), draw(st.integers(0, 30)), draw(st.integers(0, 30))]
    lanes = 256 // np.dtype(DTYPES[name]).itemsize
    mask = (draw(st.integers(0, 2**64 - 1)), draw(st.integers(0, 2**64 - 1)))
    if form == MASK_COUNT:
        mask = (draw(st.integers(0, lanes)), 0)
    return op, name, Call(
        op=BINARY_OPS.index(op), form=form, count=draw(st.integers(0, 3 * lanes)), mask=mask, repeat=repeats,
        src0=AREA, src1=2 * AREA, block_strides=tuple(strides), repeat_strides=tuple(repeat_strides),
    ), draw(st.integers(0, 2**32 - 1))  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(binary_calls())
def test_random_binary_calls_agree_with_the_model(kernels, case):
    op, name, call, seed = case
    dtype = np.dtype(DTYPES[name])
    rng = np.random.default_rng(seed)
    image = np.zeros(IMAGE, np.uint8)
    for area in range(3):
        put(image, area * AREA, random_values(rng, dtype, AREA // dtype.itemsize))
    operands = [Operand(dtype, i * AREA, call.block_strides[i], call.repeat_strides[i]) for i in range(3)]
    lanes = elements_per_repeat(operands)
    if call.form == MASK_COUNT:
        pairs = active_lanes(lanes, repeats=call.repeat, count=call.mask[0])
    elif call.form == COUNTER:
        pairs = active_lanes(lanes, counter=call.count)
    else:
        pairs = active_lanes(lanes, repeats=call.repeat, bits=call.mask)
    expected = model_binary(op, dtype, image, *operands, pairs)
    after, _ = run(kernels, f"vector_binary_{name}", image, call)
    assert_same_bits(after, expected, dtype)
