"""Each precondition of a vector instruction, provoked once, and its nearest legal neighbour accepted."""

from __future__ import annotations

import numpy as np
import pytest
from vector_call import COUNT, MASK_BITS, MASK_COUNT, Call, put, run

IMAGE = 24 * 1024
AREA = 8 * 1024


def filled() -> np.ndarray:
    return np.zeros(IMAGE, np.uint8)


def binary(**changes) -> Call:
    return Call(**({"form": MASK_COUNT, "mask": (64, 0), "repeat": 2, "src0": AREA, "src1": 2 * AREA} | changes))


# kernel, broken call, kind, what the message names, legal neighbour
CASES = {
    "destination not at a block": (
        "vector_binary_float", binary(dst=16), "ErrorWrite4", "dst", binary(dst=32)),
    "source not at a block": (
        "vector_binary_float", binary(src1=2 * AREA + 4), "ErrorRead4", "src1", binary(src1=2 * AREA + 32)),
    "last repeat beyond the tensor": (
        "vector_binary_float", binary(src1=2 * AREA, repeat=33, dst=0), "ErrorRead3", "src1", binary(repeat=32)),
    "destination beyond the tensor": (
        "vector_binary_float", binary(dst=IMAGE - 256, src0=0, src1=0), "ErrorWrite2", "dst",
        binary(dst=IMAGE - 512, src0=0, src1=0)),
    "stride beyond the tensor": (
        "vector_binary_float", binary(repeat_strides=(8, 8, 250), repeat=3), "ErrorRead3", "src1",
        binary(repeat_strides=(8, 8, 120), repeat=3)),
    "destination block stride of 0": (
        "vector_binary_float", binary(block_strides=(0, 1, 1)), "ErrorArgument", "block stride", binary()),
    "partial overlap within a repeat": (
        "vector_binary_float", binary(dst=AREA + 32, repeat=1), "ErrorOverlap", "src0", binary(dst=AREA, repeat=1)),
    "a repeat reads what an earlier one wrote": (
        "vector_binary_float", binary(dst=AREA + 256, repeat=2), "ErrorOverlap", "src0",
        binary(dst=AREA + 512, repeat=2)),
    "accumulating through src0": (
        "vector_binary_float", binary(dst=AREA, repeat_strides=(0, 0, 8)), "ErrorOverlap", "src0",
        binary(dst=2 * AREA, src1=2 * AREA, repeat_strides=(0, 8, 0))),
    "accumulating int16 through src1": (
        "vector_binary_int16", binary(dst=2 * AREA, repeat_strides=(0, 8, 0)), "ErrorOverlap", "src1",
        binary(dst=2 * AREA, repeat_strides=(8, 8, 8))),
    "half sources overlap a float destination": (
        "vector_accumulate_mixed", Call(op=0, count=64, dst=AREA, src0=AREA), "ErrorOverlap", "src",
        Call(op=0, count=64, dst=0, src0=AREA)),
    "shift by the width": (
        "vector_scalar_int32", Call(op=5, count=8, src0=AREA, scalar=32), "ErrorArgument", "scalarValue",
        Call(op=5, count=8, src0=AREA, scalar=31)),
    "negative count": (
        "vector_binary_float", Call(form=COUNT, count=-1, src0=AREA, src1=2 * AREA), "ErrorArgument", "count",
        Call(form=COUNT, count=0, src0=AREA, src1=2 * AREA)),
    "compare of a ragged count": (
        "vector_compare_float", Call(op=0, count=65, src0=AREA, src1=2 * AREA, extra={16: 0, 17: 0}), "ErrorArgument",
        "count", Call(op=0, count=128, src0=AREA, src1=2 * AREA, extra={16: 0, 17: 0})),
    "int32 compared for order": (
        "vector_compare_int32", Call(op=0, count=64, src0=AREA, src1=2 * AREA, extra={16: 0, 17: 0}), "ErrorArgument",
        "cmpMode", Call(op=0, count=64, src0=AREA, src1=2 * AREA, extra={16: 2, 17: 0})),
    "two tensors in the scalar mode of Select": (
        "vector_compare_float", Call(op=3, count=64, src0=AREA, src1=2 * AREA, extra={16: 1, 17: 4096}),
        "ErrorArgument", "selMode", Call(op=3, count=64, src0=AREA, src1=2 * AREA, extra={16: 2, 17: 4096})),
    "more than 255 repeats of a reduction": (
        "vector_reduce_float", Call(op=0, form=MASK_COUNT, mask=(1, 0), repeat=256, extra={17: 0}), "ErrorArgument",
        "repeatTime", Call(op=0, form=MASK_COUNT, mask=(1, 0), repeat=90, dst=IMAGE - 1024, extra={17: 1})),
    "value and index not at a pair": (
        "vector_reduce_float", Call(op=0, form=MASK_COUNT, mask=(64, 0), dst=4, src0=AREA, extra={17: 1}),
        "ErrorWrite4", "dst", Call(op=0, form=MASK_COUNT, mask=(64, 0), dst=8, src0=AREA, extra={17: 1})),
    "a single value at any element": (
        "vector_reduce_half", Call(op=2, form=MASK_COUNT, mask=(64, 0), dst=1, src0=AREA, extra={17: 1}),
        "ErrorWrite4", "dst", Call(op=2, form=MASK_COUNT, mask=(64, 0), dst=2, src0=AREA, extra={17: 1})),
    "block results not at their eight": (
        "vector_reduce_half", Call(op=5, form=MASK_COUNT, mask=(128, 0), dst=8, src0=AREA, extra={17: 1}),
        "ErrorWrite4", "dst", Call(op=5, form=MASK_COUNT, mask=(128, 0), dst=16, src0=AREA, extra={17: 1})),
    "a reduction reads what an earlier repeat wrote": (
        "vector_reduce_float",
        Call(op=5, form=MASK_COUNT, mask=(64, 0), repeat=2, dst=AREA + 256, src0=AREA, extra={17: 1}),
        "ErrorOverlap", "src", Call(op=5, form=MASK_COUNT, mask=(64, 0), repeat=2, dst=AREA, src0=AREA, extra={17: 1})),
    "a sum of pairs reads what an earlier repeat wrote": (
        "vector_reduce_float",
        Call(op=6, form=MASK_COUNT, mask=(64, 0), repeat=3, dst=AREA + 384, src0=AREA, extra={17: 1}),
        "ErrorOverlap", "src", Call(op=6, form=MASK_COUNT, mask=(64, 0), repeat=3, dst=AREA, src0=AREA, extra={17: 1})),
    "Brcb onto its source": (
        "vector_data_float", Call(op=2, repeat=1, dst=AREA, src0=AREA), "ErrorOverlap", "src",
        Call(op=2, repeat=1, dst=0, src0=AREA)),
    "gather base between elements": (
        "vector_data_float", Call(op=3, count=8, src0=AREA, src1=2 * AREA, extra={18: 2}), "ErrorRead4", "srcBaseAddr",
        Call(op=3, count=8, src0=AREA, src1=2 * AREA, extra={18: 4})),
    "copy repeat stride beyond 12 bits": (
        "vector_data_float", Call(op=1, form=MASK_COUNT, mask=(8, 0), src0=AREA, repeat_strides=(4096, 1, 1)),
        "ErrorArgument", "dstRepeatSize",
        Call(op=1, form=MASK_COUNT, mask=(8, 0), src0=AREA, repeat_strides=(4095, 1, 1))),
    "pattern 0": (
        "vector_data_float", Call(op=4, src0=AREA, extra={17: 0}), "ErrorArgument", "src1Pattern",
        Call(op=4, src0=AREA, extra={17: 7})),
    "counter mode of GatherMask without elements": (
        "vector_data_float", Call(op=4, count=0, src0=AREA, extra={17: 1, 18: 1}), "ErrorArgument", "mask",
        Call(op=4, count=1, src0=AREA, extra={17: 1, 18: 1})),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_fault_and_its_legal_neighbour(kernels, simulator, case):
    kernel, broken, kind, names, legal = CASES[case]
    with pytest.raises(simulator.SimulatorFault, match=names) as fault:
        run(kernels, kernel, filled(), broken)
    assert fault.value.kind == kind
    run(kernels, kernel, filled(), legal)


def test_a_gather_offset_outside_the_source(kernels, simulator):
    image = filled()
    put(image, 2 * AREA, np.array([IMAGE - AREA - 4, 0], np.uint32))
    run(kernels, "vector_data_float", image, Call(op=3, count=2, src0=AREA, src1=2 * AREA))
    put(image, 2 * AREA, np.array([IMAGE - AREA, 0], np.uint32))
    with pytest.raises(simulator.SimulatorFault, match="src") as fault:
        run(kernels, "vector_data_float", image, Call(op=3, count=2, src0=AREA, src1=2 * AREA))
    assert fault.value.kind == "ErrorRead3"


@pytest.mark.parametrize("mode", [1, 2])
def test_select_needs_its_own_corner_of_ub(kernels, simulator, mode):
    """Modes 1 and 2 use UB bytes 184 Ki to 192 Ki; a buffer of 184 KiB leaves them free, a larger one does not."""
    call = Call(op=4 if mode == 1 else 3, count=64, src0=AREA, src1=AREA, extra={16: mode, 17: 2 * AREA})
    run(kernels, "vector_compare_float", np.zeros(184 * 1024, np.uint8), call)
    with pytest.raises(simulator.SimulatorFault, match="184320|188416") as fault:
        run(kernels, "vector_compare_float", np.zeros(184 * 1024 + 32, np.uint8), call)
    assert fault.value.kind == "ErrorOverlap"


ORDER_MISTAKES = {
    1: "ErrorSync1", 2: "ErrorSync2", 3: "ErrorArgument", 4: "ErrorSync2", 5: "ErrorRead2", 6: "ErrorArgument",
    7: "ErrorArgument", 8: "ErrorSync2", 9: "ErrorArgument", 10: "ErrorSync2",
}  # fmt: skip


def test_the_correct_kernel_runs(kernels):
    image = filled()
    put(image, 4096, np.arange(64, dtype=np.float32))
    after, parameters = run(kernels, "vector_order", image, Call())
    np.testing.assert_array_equal(after[:256].view(np.float32), np.arange(64) + 2)
    assert parameters[20] == 4


@pytest.mark.parametrize("mistake", ORDER_MISTAKES)
def test_each_mistake_in_order_or_encoding_is_caught(kernels, simulator, mistake):
    with pytest.raises(simulator.SimulatorFault) as fault:
        run(kernels, "vector_order", filled(), Call(extra={16: mistake, 17: 4}))
    assert fault.value.kind == ORDER_MISTAKES[mistake], str(fault.value)
    assert fault.value.line > 0


def test_masked_off_lanes_may_be_uninitialised(kernels, simulator):
    """The mask decides what is read: lanes that are off may lie on bytes nobody wrote."""
    call = Call(form=MASK_BITS, mask=(0xFF, 0), repeat=1, src0=AREA, src1=2 * AREA)
    run(kernels, "vector_binary_float", filled(), call)
