"""Runs one vector instruction of a test kernel on an image of the UB, and on the naive model beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

COUNT, MASK_COUNT, MASK_BITS, OUTSIDE_BITS, COUNTER = range(5)
PARAMETERS = 32
SCALAR_UNIT = 1024  # scalars travel in 1/1024


@dataclass
class Call:
    """The parameters of one instruction; strides are in blocks, offsets in bytes. See kernels/vector_image.h."""

    op: int = 0
    form: int = COUNT
    count: int = 0
    mask: tuple[int, int] = (0, 0)
    repeat: int = 1
    dst: int = 0
    src0: int = 0
    src1: int = 0
    block_strides: tuple[int, int, int] = (1, 1, 1)  # dst, src0, src1
    repeat_strides: tuple[int, int, int] = (8, 8, 8)
    scalar: float = 0.0
    extra: dict[int, int] = field(default_factory=dict)  # by parameter number

    def pack(self, image_bytes: int) -> np.ndarray:
        words = np.zeros(PARAMETERS, np.uint64)
        values = [self.op, self.form, self.count, *self.mask, self.repeat, self.dst, self.src0, self.src1]
        values += [*self.block_strides, *self.repeat_strides]
        for i, value in enumerate(values):
            words[i] = value & 0xFFFFFFFFFFFFFFFF
        words[15] = round(self.scalar * SCALAR_UNIT) & 0xFFFFFFFFFFFFFFFF
        for i, value in self.extra.items():
            words[i] = value & 0xFFFFFFFFFFFFFFFF
        words[PARAMETERS - 1] = image_bytes
        return words.view(np.int64)


def run(kernels, name: str, image: np.ndarray, call: Call, **options) -> tuple[np.ndarray, np.ndarray]:
    """Returns the image and the parameters after the kernel; the arguments keep their values."""
    after, parameters = image.copy(), call.pack(image.size)
    kernels.launch(name, [after, parameters], **options)
    return after, parameters


def put(image: np.ndarray, offset: int, values: np.ndarray) -> None:
    raw = np.ascontiguousarray(values).view(np.uint8).reshape(-1)
    image[offset : offset + raw.size] = raw


def get(image: np.ndarray, offset: int, dtype, count: int) -> np.ndarray:
    return image[offset : offset + count * np.dtype(dtype).itemsize].view(dtype).copy()
