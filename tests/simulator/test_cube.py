"""LoadData, Mmad and Fixpipe: every way in, every data type, every way out, and the faults on the way."""

from __future__ import annotations

import numpy as np
import pytest

# The parameters of kernels/cube_matmul.cpp, in their order there.
PARAMETERS = [
    *("m", "n", "k", "load_a", "load_b", "rounds", "unit_flag", "hf32", "hf32_ties_to_zero", "relu", "dst_stride"),
    *("bias", "src_stride", "store_n", "store_m", "channel_split", "bytes_a", "bytes_b", "nd_num", "src_nd_stride"),
    *("dst_nd_stride", "barrier", "offset_a", "offset_c", "quant_low", "quant_high", "more_n", "more_k"),
]
P = {name: i for i, name in enumerate(PARAMETERS)}
A_2D, A_3D, A_3D_TRANSPOSED, A_2D_TRANSPOSED, A_SQUARES = range(5)
B_2D, B_3D, B_2D_TRANSPOSED, B_SQUARES = range(4)
DEPTH = {"half": 16, "bfloat16": 16, "float": 8, "int8": 32}


def up(value: int, to: int) -> int:
    return -(-value // to) * to


def to_bits(name: str, values: np.ndarray) -> np.ndarray:
    """The bytes of a matrix in the kernel's type; bfloat16 values are cut to 8 significant bits beforehand."""
    if name == "half":
        return values.astype(np.float16)
    if name == "bfloat16":
        return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return values.astype({"float": np.float32, "int8": np.int8}[name])


def nz(matrix: np.ndarray, depth: int, rows_to: int = 16) -> np.ndarray:
    """[R, C] to strips of `depth` columns, rows padded: the NZ layout of L1."""
    rows, columns = up(matrix.shape[0], rows_to), up(matrix.shape[1], depth)
    padded = np.zeros((rows, columns), matrix.dtype)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return np.ascontiguousarray(padded.reshape(rows, columns // depth, depth).transpose(1, 0, 2))


def squares(matrix: np.ndarray, depth: int, column_major: bool) -> np.ndarray:
    """[R, C] to 16 x 16 squares of fractals of `depth` columns; squares ordered down the columns or along the rows."""
    rows, columns = up(matrix.shape[0], 16), up(matrix.shape[1], 16)
    padded = np.zeros((rows, columns), matrix.dtype)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    blocks = padded.reshape(rows // 16, 16, columns // 16, 16 // depth, depth)
    order = (2, 0, 3, 1, 4) if column_major else (0, 2, 3, 1, 4)
    return np.ascontiguousarray(blocks.transpose(order))


def layout_a(name: str, a: np.ndarray, load: int) -> np.ndarray:
    depth = DEPTH[name]
    bits = to_bits(name, a)
    if load in (A_2D, A_3D):
        return nz(bits, depth)
    if load == A_3D_TRANSPOSED:
        wide = np.zeros((a.shape[1], up(a.shape[0], 16)), bits.dtype)
        wide[:, : a.shape[0]] = bits.T
        return nz(wide, depth)
    if load == A_2D_TRANSPOSED:
        return nz(bits.T, depth)
    return squares(bits.T, depth, column_major=True)


def layout_b(name: str, b: np.ndarray, load: int) -> np.ndarray:
    depth = DEPTH[name]
    bits = to_bits(name, b)
    if load == B_2D:
        return nz(bits.T, depth)
    if load == B_3D:
        wide = np.zeros((b.shape[0], up(b.shape[1], 16)), bits.dtype)
        wide[:, : b.shape[1]] = bits
        return nz(wide, depth)
    if load == B_2D_TRANSPOSED:
        return nz(bits, depth)
    return squares(bits, depth, column_major=False)


def multiply(kernels, kernel, name, a, b, out, bias=None, load_a=A_2D, load_b=B_2D, options=None, **parameters):
    """Runs the kernel; `out` is the GM result and is changed in place."""
    (m, k), n = a.shape, b.shape[1]
    left, right = layout_a(name, a, load_a), layout_b(name, b, load_b)
    values = {
        "m": m, "n": n, "k": k, "load_a": load_a, "load_b": load_b, "rounds": 1, "dst_stride": out.shape[-1],
        "src_stride": up(m, 16), "store_n": n, "store_m": m, "bytes_a": left.nbytes, "bytes_b": right.nbytes,
        "nd_num": 1, "barrier": 1, "bias": int(bias is not None),
    } | parameters  # fmt: skip
    words = np.zeros(len(P), np.int64)
    for key, value in values.items():
        words[P[key]] = value
    acc = np.int32 if name == "int8" else np.float32
    row = np.zeros(up(n, 16), acc)
    if bias is not None:
        row[:n] = bias
    kernels.launch(kernel, [left.reshape(-1), right.reshape(-1), out, row, words], **(options or {}))
    return out


def matrices(name: str, m: int, n: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Small integers over 4: exact in every type and in the sum, so results can be compared bit for bit."""
    rng = np.random.default_rng(seed)
    scale = 1 if name == "int8" else 4
    return (
        rng.integers(-8, 9, (m, k)).astype(np.float32) / scale,
        rng.integers(-8, 9, (k, n)).astype(np.float32) / scale,
    )


SHAPES = [(16, 16, 16), (32, 48, 64), (30, 40, 70), (17, 1, 5), (128, 128, 128), (100, 20, 33)]
WAYS = {
    "half": [(a, b) for a in (A_2D, A_3D, A_3D_TRANSPOSED, A_2D_TRANSPOSED, A_SQUARES) for b in range(4)],
    "bfloat16": [(A_2D, B_2D), (A_3D, B_3D), (A_3D_TRANSPOSED, B_2D_TRANSPOSED)],
    "float": [(A_2D, B_2D), (A_3D, B_3D), (A_3D_TRANSPOSED, B_3D), (A_SQUARES, B_SQUARES)],
    "int8": [(A_2D, B_2D), (A_3D, B_2D)],
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "way"), [(n, w) for n, ways in WAYS.items() for w in ways], ids=str)
def test_matmul_through_every_load(kernels, name, way, shape):
    m, n, k = shape
    a, b = matrices(name, m, n, k)
    out = np.full((m, n + 3), -77, np.int32 if name == "int8" else np.float32)
    multiply(kernels, f"cube_{name}", name, a, b, out, load_a=way[0], load_b=way[1])
    np.testing.assert_array_equal(out[:, :n], a @ b)
    assert (out[:, n:] == -77).all()


@pytest.mark.parametrize("name", ["half", "float", "int8"])
def test_a_row_vector_lies_flat_in_l0a(kernels, name):
    """m = 1 is the vector mode: A is k plain elements, however many fractals are loaded."""
    k, n = 4 * DEPTH[name], 33
    a, b = matrices(name, 1, n, k)
    out = np.zeros((1, n), np.int32 if name == "int8" else np.float32)
    left = np.zeros(4 * 16 * DEPTH[name], np.float32)  # the four fractals the kernel's load moves
    left[:k] = a[0]
    values = to_bits(name, left)
    right = layout_b(name, b, B_2D)
    words = np.zeros(len(P), np.int64)
    for key, value in {
        "m": 1, "n": n, "k": k, "rounds": 1, "dst_stride": n, "src_stride": 16, "store_n": n, "store_m": 1,
        "bytes_a": values.nbytes, "bytes_b": right.nbytes, "nd_num": 1,
    }.items():  # fmt: skip
        words[P[key]] = value
    kernels.launch(f"cube_{name}", [values, right.reshape(-1), out, np.zeros(48, out.dtype), words])
    np.testing.assert_array_equal(out, a @ b)


@pytest.mark.parametrize("unit_flag", [0, 3])
@pytest.mark.parametrize("rounds", [1, 3])
def test_accumulation_and_unit_flags(kernels, unit_flag, rounds):
    """With unit flags no M_FIX flag is set at all: the cube and Fixpipe order themselves block by block."""
    a, b = matrices("half", 40, 50, 60)
    out = np.zeros((40, 50), np.float32)
    multiply(kernels, "cube_half", "half", a, b, out, rounds=rounds, unit_flag=unit_flag)
    np.testing.assert_array_equal(out, rounds * (a @ b))


def test_bias_starts_the_accumulation(kernels):
    a, b = matrices("half", 20, 24, 32)
    bias = np.arange(24, dtype=np.float32)
    out = np.zeros((20, 24), np.float32)
    multiply(kernels, "cube_half", "half", a, b, out, bias=bias, rounds=2)
    np.testing.assert_array_equal(out, bias + 2 * (a @ b))


def hf32(values: np.ndarray, ties_to_zero: bool) -> np.ndarray:
    """11 mantissa bits, to nearest."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    kept, lost = bits >> 12, bits & 0xFFF
    up_ = (lost > 0x800) | ((lost == 0x800) & (kept & 1 == 1) & (not ties_to_zero))
    return ((kept + up_) << 12).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("ties_to_zero", [0, 1])
def test_hf32_rounds_the_inputs_to_eleven_bits(kernels, ties_to_zero):
    a = np.zeros((16, 16), np.float32)
    np.fill_diagonal(a, 1)
    rng = np.random.default_rng(0)
    b = rng.normal(size=(16, 16)).astype(np.float32)
    b[0] = np.float32(1 + 2.0**-12)  # a tie between 1 and 1 + 2^-11
    b[1] = np.float32(1 + 3 * 2.0**-12)  # a tie whose even side is up
    out = np.zeros((16, 16), np.float32)
    multiply(kernels, "cube_float", "float", a, b, out, hf32=1, hf32_ties_to_zero=ties_to_zero)
    np.testing.assert_array_equal(out, hf32(b, bool(ties_to_zero)))
    multiply(kernels, "cube_float", "float", a, b, out)
    np.testing.assert_array_equal(out, b)


def test_fixpipe_narrows_to_nearest_even(kernels):
    a = np.eye(16, dtype=np.float32)
    b = np.random.default_rng(1).normal(size=(16, 16)).astype(np.float16).astype(np.float32)
    b[0, :3] = [2047, 1, 65504]
    a[0, 0] = 2  # 4094, 2 and infinity in half
    exact = a @ b
    out = np.zeros((16, 16), np.float16)
    multiply(kernels, "cube_half_to_half", "half", a, b, out)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(out, exact.astype(np.float16))
    out = np.zeros((16, 16), np.uint16)
    multiply(kernels, "cube_half_to_bfloat16", "half", a, b, out)
    bits = exact.view(np.uint32).astype(np.uint64)
    np.testing.assert_array_equal(out, ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16))


def test_fixpipe_relu_and_quantisation(kernels):
    a, b = matrices("half", 16, 32, 16)
    out = np.zeros((16, 32), np.float32)
    multiply(kernels, "cube_half", "half", a, b, out, relu=1)
    np.testing.assert_array_equal(out, np.maximum(a @ b, 0))
    # scale 0.5, offset 3, signed: bits 0..31, 37..45 and 46 of the word.
    word = int(np.float32(0.5).view(np.uint32)) | 3 << 37 | 1 << 46
    small = np.zeros((16, 32), np.int8)
    multiply(kernels, "cube_half_to_int8", "half", a, b, small, quant_low=word & 0xFFFFFFFF, quant_high=word >> 32)
    expected = np.clip(np.rint((a @ b) * np.float32(0.5)) + 3, -128, 127)
    np.testing.assert_array_equal(small, expected)
    a, b = matrices("int8", 16, 32, 64)
    halves = np.zeros((16, 32), np.float16)
    multiply(
        kernels, "cube_int8_to_half", "int8", a, b, halves, quant_low=int(np.float32(0.25).view(np.uint32)), relu=1
    )
    np.testing.assert_array_equal(halves, np.maximum((a @ b) * 0.25, 0).astype(np.float16))


@pytest.mark.parametrize("kernel", ["cube_half_nz", "cube_half_to_half_nz"])
def test_fixpipe_keeps_nz_with_its_own_strip_stride(kernels, kernel):
    """dstStride counts 32 bytes between strips of 16 columns."""
    dtype = np.dtype(np.float16 if "to_half" in kernel else np.float32)
    a, b = matrices("half", 20, 48, 16)
    strip_rows = 24
    out = np.zeros((3, strip_rows, 16), dtype)
    multiply(kernels, kernel, "half", a, b, out, dst_stride=strip_rows * 16 * dtype.itemsize // 32)
    exact = (a @ b).reshape(20, 3, 16).transpose(1, 0, 2)
    np.testing.assert_array_equal(out[:, :20], exact.astype(dtype))
    assert (out[:, 20:] == 0).all()


def test_fixpipe_channel_split_halves_the_strips(kernels):
    a, b = matrices("half", 16, 24, 16)
    out = np.zeros((3, 16, 8), np.float32)
    multiply(kernels, "cube_half_nz", "half", a, b, out, dst_stride=16, channel_split=1, store_n=24)
    np.testing.assert_array_equal(out, (a @ b).reshape(16, 3, 8).transpose(1, 0, 2))


def test_fixpipe_stores_several_matrices(kernels):
    """Two matrices of 16 columns out of one product: srcNdStride in fractals, dstNdStride in elements."""
    a, b = matrices("half", 32, 32, 16)
    out = np.zeros((2, 32, 20), np.float32)
    multiply(
        kernels, "cube_half", "half", a, b, out, store_n=16, nd_num=2, src_nd_stride=2, dst_nd_stride=32 * 20,
        dst_stride=20,
    )  # fmt: skip
    exact = a @ b
    np.testing.assert_array_equal(out[0, :, :16], exact[:, :16])
    np.testing.assert_array_equal(out[1, :, :16], exact[:, 16:])


# ---- registers and constants -----------------------------------------------------------------------------------------


def test_a_convolution_is_one_image_to_column_load(kernels):
    """3 x 3, padding 1 with the value 0.5 from its register, 32 channels in two blocks of an NC1HWC0 image."""
    height, width, channels, outputs = 6, 7, 32, 16
    rng = np.random.default_rng(3)
    image = rng.integers(-4, 5, (channels, height, width)).astype(np.float32) / 2
    weights = rng.integers(-4, 5, (channels, 3, 3, outputs)).astype(np.float32) / 2
    blocked = image.reshape(2, 16, height, width).transpose(0, 2, 3, 1).astype(np.float16)
    # Columns run over channel block, filter row, filter column, channel.
    columns = weights.reshape(2, 16, 3, 3, outputs).transpose(0, 2, 3, 1, 4).reshape(-1, outputs)
    out = np.zeros((height * width, outputs), np.float32)
    right = nz(columns.T.astype(np.float16), 16)
    kernels.launch("cube_convolution", [np.ascontiguousarray(blocked).reshape(-1), right.reshape(-1), out])
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), constant_values=0.5)
    expected = np.zeros((height, width, outputs), np.float32)
    for row in range(3):
        for column in range(3):
            window = padded[:, row : row + height, column : column + width]
            expected += np.einsum("chw,co->hwo", window, weights[:, row, column])
    np.testing.assert_array_equal(out.reshape(expected.shape), expected)


def test_constants_in_l1_and_l0(kernels):
    out = np.zeros((16, 16), np.float32)
    kernels.launch("cube_constants", [out])
    assert (out == 6 * 32).all()


def test_names_of_cann_9(kernels):
    """Left: HF32 with ties to zero drops 2^-12; right: full precision keeps it."""
    out = np.zeros((16, 32), np.float32)
    kernels.launch("cube_names_of_9", [out])
    assert (out[:, :16] == 16).all()
    assert (out[:, 16:] == 16 + 16 / 4096).all()


# ---- faults, each with its nearest legal neighbour ------------------------------------------------------------------

FAULTS = [
    # kernel, shape (m, n, k), parameters that break a rule, kind, what the message names, legal neighbour
    ("cube_half", (32, 32, 32), {"offset_a": 128}, "ErrorWrite4", "dst", {"offset_a": 256}),
    ("cube_half", (32, 32, 32), {"offset_c": 128}, "ErrorWrite4", "dst", {"offset_c": 256}),
    ("cube_half", (32, 32, 32), {"rounds": 2, "barrier": 0}, "ErrorSync1", "PIPE_M", {"rounds": 2}),
    ("cube_half", (32, 32, 32), {"unit_flag": 1}, "ErrorArgument", "unitFlag", {"unit_flag": 3}),
    ("cube_half", (32, 32, 32), {"dst_stride": 0}, "ErrorArgument", "dstStride", {}),
    ("cube_half", (32, 32, 32), {"dst_stride": 31}, "ErrorOverlap", "overlap", {"dst_stride": 32}),
    ("cube_half", (32, 32, 32), {"src_stride": 16}, "ErrorArgument", "srcStride", {}),
    ("cube_half", (32, 32, 32), {"store_n": 48}, "ErrorRead", "src", {"store_n": 32}),
    ("cube_half", (32, 20, 32), {"store_n": 32}, "ErrorRead2", "src", {"store_n": 20}),
    ("cube_half_nz", (32, 32, 32), {"store_n": 24}, "ErrorArgument", "nSize", {"store_n": 16}),
    ("cube_half_nz", (32, 32, 32), {"channel_split": 1, "store_n": 20}, "ErrorArgument", "nSize", None),
    ("cube_wrong_quant", (16, 16, 16), {}, "ErrorArgument", "quantPre", None),
]


@pytest.mark.parametrize(("kernel", "shape", "broken", "kind", "names", "legal"), FAULTS, ids=lambda v: str(v)[:40])
def test_faults(kernels, simulator, kernel, shape, broken, kind, names, legal):
    m, n, k = shape
    a, b = matrices("half", m, n, k)

    def go(parameters):
        base = {"dst_stride": 64 if kernel != "cube_half_nz" else 2 * 64}
        out = np.zeros((256, 64), np.float32)
        multiply(kernels, kernel, "half", a, b, out, **(base | parameters))

    with pytest.raises(simulator.SimulatorFault, match=names) as fault:
        go(broken)
    assert fault.value.kind.startswith(kind)
    if legal is not None:
        go(legal)


def test_a_large_product_needs_no_barrier_between_accumulations(kernels):
    """(m/16) * (n/16) = 12: the pipe orders the second Mmad by itself."""
    a, b = matrices("half", 64, 48, 32)
    out = np.zeros((64, 48), np.float32)
    multiply(kernels, "cube_half", "half", a, b, out, rounds=2, barrier=0)
    np.testing.assert_array_equal(out, 2 * (a @ b))


@pytest.mark.parametrize(
    ("more", "names"), [({"more_k": 5}, "fm"), ({"more_n": 16}, "filter"), ({"more_k": 16, "more_n": 3}, "fm")]
)
def test_mmad_reads_no_more_than_was_loaded(kernels, simulator, more, names):
    """Also a tail of a fractal is read: five more in depth are ten bytes of each row of the next one."""
    a, b = matrices("half", 16, 16, 32)
    out = np.zeros((16, 16), np.float32)
    with pytest.raises(simulator.SimulatorFault, match=names) as fault:
        multiply(kernels, "cube_half", "half", a, b, out, **more)
    assert (fault.value.kind, fault.value.instruction) == ("ErrorRead2", "Mmad")


def test_the_input_of_a_load_must_have_been_copied(kernels, simulator):
    a, b = matrices("half", 16, 16, 32)
    out = np.zeros((16, 16), np.float32)
    with pytest.raises(simulator.SimulatorFault) as fault:
        multiply(kernels, "cube_half", "half", a, b, out, bytes_a=a.size)  # half of A's bytes
    assert fault.value.kind == "ErrorRead2"
