"""A naive model of the vector unit: one element at a time, straight from the manual's pages on masks and strides.

It shares no code with the simulator and is slow on purpose. Memory is a numpy byte array; an operand is a view of it
with a byte offset, a block stride and a repeat stride (both in data blocks of 32 bytes).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, frexp, inf, isinf, isnan

import numpy as np

BLOCK_BYTES = 32
REPEAT_BYTES = 256


@dataclass
class Operand:
    """Where an operand lives: `offset` is in bytes, strides are in data blocks."""

    dtype: np.dtype
    offset: int = 0
    block_stride: int = 1
    repeat_stride: int = 8

    def __post_init__(self) -> None:
        self.dtype = np.dtype(self.dtype)

    def address(self, repeat: int, element: int) -> int:
        """Byte address of an element of a repeat."""
        per_block = BLOCK_BYTES // self.dtype.itemsize
        block, lane = divmod(element, per_block)
        blocks = repeat * self.repeat_stride + block * self.block_stride
        return self.offset + blocks * BLOCK_BYTES + lane * self.dtype.itemsize

    def load(self, memory: np.ndarray, repeat: int, element: int) -> np.generic:
        at = self.address(repeat, element)
        return memory[at : at + self.dtype.itemsize].view(self.dtype)[0]

    def store(self, memory: np.ndarray, repeat: int, element: int, value: np.generic) -> None:
        at = self.address(repeat, element)
        memory[at : at + self.dtype.itemsize] = np.array([value], self.dtype).view(np.uint8)


def elements_per_repeat(operands: Sequence[Operand]) -> int:
    """A repeat holds as many elements as eight blocks of the widest operand."""
    return REPEAT_BYTES // max(operand.dtype.itemsize for operand in operands)


def lanes_of_count(count: int, lanes: int) -> list[bool]:
    """Normal mode, mask given as a count: the first `count` lanes of each repeat."""
    return [lane < count for lane in range(lanes)]


def lanes_of_bits(mask: Sequence[int], lanes: int) -> list[bool]:
    """Normal mode, mask given bit by bit: mask[0] is lanes 0 to 63, mask[1] the next 64."""
    return [bool((mask[lane // 64] >> (lane % 64)) & 1) for lane in range(lanes)]


def active_lanes(
    lanes: int,
    *,
    repeats: int = 1,
    count: int | None = None,
    bits: Sequence[int] | None = None,
    counter: int | None = None,
) -> list[tuple[int, int]]:
    """The (repeat, lane) pairs that take part. `counter` is counter mode: a total, from which the repeats follow."""
    if counter is not None:
        return [divmod(i, lanes) for i in range(counter)]
    selected = (
        lanes_of_bits(bits, lanes) if bits is not None else lanes_of_count(lanes if count is None else count, lanes)
    )
    return [(repeat, lane) for repeat in range(repeats) for lane in range(lanes) if selected[lane]]


def elementwise(
    memory: np.ndarray,
    function: Callable[..., np.generic],
    dst: Operand,
    sources: Sequence[Operand],
    pairs: Sequence[tuple[int, int]],
) -> None:
    """dst[i] = function(sources[i]...) in place; within a repeat every read comes before every write."""
    by_repeat: dict[int, list[int]] = {}
    for repeat, lane in pairs:
        by_repeat.setdefault(repeat, []).append(lane)
    for repeat in sorted(by_repeat):
        lanes = by_repeat[repeat]
        with np.errstate(all="ignore"):
            results = [function(*(source.load(memory, repeat, lane) for source in sources)) for lane in lanes]
        for lane, result in zip(lanes, results, strict=True):
            dst.store(memory, repeat, lane, result)


def touched_bytes(operand: Operand, pairs: Sequence[tuple[int, int]]) -> set[int]:
    """Every byte of an operand that the (repeat, lane) pairs reach."""
    size = operand.dtype.itemsize
    return {operand.address(repeat, lane) + i for repeat, lane in pairs for i in range(size)}


def fp32_then_round(function: Callable[..., np.float32], dtype: np.dtype) -> Callable[..., np.generic]:
    """Arithmetic of 16-bit floats: computed in fp32, rounded once to nearest even."""
    dtype = np.dtype(dtype)
    return lambda *values: dtype.type(function(*(np.float32(value) for value in values)))


def tree_sum(values: Sequence[np.generic], dtype: np.dtype) -> np.generic:
    """The pairwise tree of the reduction instructions; each step is rounded to `dtype`."""
    dtype = np.dtype(dtype)
    level = [dtype.type(value) for value in values]
    while len(level) > 1:
        with np.errstate(all="ignore"):
            level = [
                dtype.type(np.float32(level[i]) + np.float32(level[i + 1])) if i + 1 < len(level) else level[i]
                for i in range(0, len(level), 2)
            ]
    return level[0]


# ---- rounding, by exact rational arithmetic -------------------------------------------------------------------------


def round_integer(value: float | Fraction, mode: str) -> int:
    """A finite number to an integer; `mode` is the name after CAST_."""
    exact = Fraction(value)
    low = floor(exact)
    if exact == low:
        return low
    above_half = exact - low - Fraction(1, 2)
    return {
        "RINT": low + (1 if above_half > 0 or (above_half == 0 and low % 2) else 0),
        "FLOOR": low,
        "CEIL": low + 1,
        "ROUND": low + (1 if above_half > 0 or (above_half == 0 and exact > 0) else 0),  # a tie goes away from zero
        "TRUNC": low if exact > 0 else low + 1,
        "ODD": low if low % 2 else low + 1,
    }["RINT" if mode == "NONE" else mode]


def round_float(value: float, mode: str, mantissa_bits: int, min_exponent: int, max_finite: float) -> float:
    """A float to the nearest value of a narrower binary format, by scaling to an integer and rounding that."""
    if isnan(value) or isinf(value) or value == 0:
        return value
    _, exponent = frexp(value)  # value = f * 2^exponent with 0.5 <= |f| < 1
    ulp_exponent = max(exponent - 1, min_exponent) - mantissa_bits
    scaled = Fraction(value) / Fraction(2) ** ulp_exponent
    sign = 1 if scaled > 0 else -1
    integer = round_integer(scaled, mode)
    result = Fraction(integer) * Fraction(2) ** ulp_exponent
    if abs(result) > Fraction(max_finite):
        stops = mode in ("TRUNC", "ODD") or (mode == "FLOOR" and sign > 0) or (mode == "CEIL" and sign < 0)
        return sign * (max_finite if stops else inf)
    return float(result) if result else sign * 0.0


def to_half(value: float, mode: str) -> np.float16:
    return np.float16(round_float(value, mode, 10, -14, 65504.0))


def to_bfloat16_bits(value: float, mode: str) -> int:
    """bfloat16 has no numpy type: its 16 bits, as the upper half of an fp32."""
    rounded = np.float32(round_float(value, mode, 7, -126, float(np.uint32(0x7F7F0000).view(np.float32))))
    return int(rounded.view(np.uint32)) >> 16


def saturate(value: int, dtype: np.dtype) -> np.generic:
    info = np.iinfo(dtype)
    return np.dtype(dtype).type(min(max(value, info.min), info.max))
