"""Each fault provoked once, named and placed; its nearest legal neighbour runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parent / "kernels" / "faults.cpp"

# kernel -> (fault, instruction, operand, cores)
CASES = {
    "gm_read_bounds": ("ErrorRead3", "DataCopy", "src", 1),
    "gm_write_bounds": ("ErrorWrite2", "DataCopy", "dst", 1),
    "gm_unknown_address": ("ErrorRead3", "DataCopy", "src", 1),
    "write_read_only": ("ErrorWriteReadOnly", "DataCopy", "dst", 1),
    "ub_write_bounds": ("ErrorWrite2", "Duplicate", "dst", 1),
    "ub_read_bounds": ("ErrorRead3", "Adds", "src", 1),
    "tensor_index": ("ErrorArgument", "LocalTensor::operator[]", "", 1),
    "uninitialised": ("ErrorRead2", "Adds", "src", 1),
    "padding_garbage": ("ErrorRead2", "Adds", "src", 1),
    "read_misaligned": ("ErrorRead4", "Adds", "src", 1),
    "gm_read_misaligned": ("ErrorRead4", "DataCopy", "src", 1),
    "write_misaligned": ("ErrorWrite4", "DataCopy", "dst", 1),
    "copy_count": ("ErrorArgument", "DataCopy", "count", 1),
    "copy_block_count": ("ErrorArgument", "DataCopy", "blockCount", 1),
    "copy_wrapped_stride": ("ErrorArgument", None, None, 1),
    "repeat_range": ("ErrorArgument", None, None, 1),
    "mask_range": ("ErrorArgument", "Duplicate", "mask", 1),
    "ub_size": ("ErrorBuffer", "InitBuffer", "", 1),
    "buffer_request": ("ErrorBuffer", "TBuf::Get", "", 1),
    "buffer_number": ("ErrorBuffer", "InitBuffer", "", 1),
    "alloc_too_many": ("ErrorBuffer", "AllocTensor", "", 1),
    "free_twice": ("ErrorFree", "FreeTensor", "", 1),
    "free_foreign": ("ErrorFree", "FreeTensor", "", 1),
    "deque_empty": ("ErrorQueue", "DeQue", "", 1),
    "enque_depth": ("ErrorQueue", "EnQue", "", 1),
    "leak": ("ErrorLeak", "TPipe", "", 1),
    "use_after_free": ("ErrorRead1", "Adds", "src", 1),
    "reuse_is_uninitialised": ("ErrorRead2", "Adds", "src", 1),
    "event_id": ("ErrorArgument", "SetFlag", "", 1),
    "set_twice": ("ErrorSync4", "SetFlag", "", 1),
    "set_before_wait": ("ErrorSync4", "SetFlag", "", 1),
    "wait_without_set": ("ErrorSync3", "WaitFlag", "", 1),
    "set_without_wait": ("ErrorSync3", "SetFlag", "", 1),
    "event_of_other_core": ("ErrorCore", "SetFlag", "", 1),
    "barrier_scalar": ("ErrorArgument", "PipeBarrier", "", 1),
    "vector_barrier": ("ErrorSync1", "Adds", "src", 1),
    "masked_race": ("ErrorSync2", "DataCopy", "src", 1),
    "strided_race": ("ErrorSync2", "DataCopy", "src", 1),
    "byte_race": ("ErrorSync2", "SetValue", "tensor", 1),
    "read_then_overwrite": ("ErrorSync2", "DataCopy", "dst", 1),
    "gm_order_in_core": ("ErrorSync2", "DataCopy", "src", 1),
    "gm_overlapping_stores": ("ErrorSync1", "DataCopy", "dst", 1),
    "scalar_write": ("ErrorSync2", "Adds", "src", 1),
    "flag_of_tpipe": ("ErrorSync4", "SetFlag", "", 1),
    "wide_rows": ("ErrorArgument", None, None, 1),
    "part_of_a_fractal": ("ErrorArgument", "LoadData", "kExtension", 1),
    "vector_on_cube_core": (("ErrorCore", "ErrorPosition"), "Duplicate", None, 1),
    "cores_out_of_reach": ("ErrorArgument", "CrossCoreSetFlag", "", 1),
    "gm_two_writers": ("ErrorGmOverlap", "DataCopy", "dst", 2),
    "gm_atomic_writers": ("ErrorGmOverlap", "DataCopy", "dst", 2),
    "gm_read_other_core": (("ErrorSync2",), "DataCopy", None, 2),
    "deadlock": ("ErrorDeadlock", "", "", 2),
    "cross_flag_depth": ("ErrorSync4", "CrossCoreSetFlag", "", 1),
    "cross_flag_id": ("ErrorArgument", "CrossCoreSetFlag", "", 1),
    "cross_flag_left": ("ErrorSync3", "CrossCoreSetFlag", "", 1),
    "cross_flag_and_sync_all": ("ErrorArgument", "SyncAll", "", 1),
    "wrong_producer": ("ErrorSync2", "DataCopy", None, 2),
    "scalar_cache": ("ErrorCache", "DataCopyPad", "src", 1),
    "stale_cache": ("ErrorCache", "GetValue", "tensor", 1),
    "kernel_assert": ("ErrorAssert", "assert", "", 1),
    "position": ("ErrorPosition", "DataCopy", "dst", 1),
    "raw_tensor": ("ErrorBuffer", "LocalTensor", "", 1),
}
# Found when all cores have ended; operator[] cannot take a location and names the instruction before it.
NO_LINE = {"cross_flag_left", "tensor_index"}


def body(name: str) -> range:
    """Lines of a case in the source."""
    lines = SOURCE.read_text().splitlines()
    begin = next(i for i, text in enumerate(lines, 1) if re.match(rf"(CUBE_)?KERNEL\({name}\)", text))
    end = next(
        (i for i, text in enumerate(lines[begin:], begin + 1) if re.match(r"(CUBE_)?KERNEL\(", text)), len(lines) + 1
    )
    return range(begin, end)


def launch(kernels, name: str, broken: bool, cores: int, **options):
    x = np.arange(4096, dtype=np.float32)
    x.flags.writeable = False
    y = np.zeros(4096, np.float32)
    tiling = np.array([int(broken)] + [0] * 7, np.int32)
    result = kernels.launch(f"fault_{name}", [x, y, tiling], block_dim=cores, **options)
    return result, y


def test_every_case_has_a_kernel() -> None:
    assert set(re.findall(r"^(?:CUBE_)?KERNEL\((\w+)\) {", SOURCE.read_text(), re.M)) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_broken_program_is_caught(simulator, kernels, name: str) -> None:
    kind, instruction, operand, cores = CASES[name]
    with pytest.raises(simulator.SimulatorFault) as caught:
        launch(kernels, name, True, cores)
    fault = caught.value
    assert fault.kind == kind or fault.kind in kind and isinstance(kind, tuple), str(fault)
    assert instruction in (None, fault.instruction)
    assert operand in (None, fault.operand)
    assert fault.core.startswith("block "), "a fault names its core"
    if name not in NO_LINE:
        assert Path(fault.file).name == "faults.cpp"
        assert fault.line in body(name) or name == "leak", "a fault names the line of the kernel"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("threads", [1, 2])
def test_legal_neighbour_runs(kernels, name: str, threads: int) -> None:
    launch(kernels, name, False, CASES[name][3], threads=threads)


def test_race_names_both_sides(simulator, kernels) -> None:
    with pytest.raises(simulator.SimulatorFault) as caught:
        launch(kernels, "read_then_overwrite", True, 1)
    store, load = [i for i in body("read_then_overwrite") if "DataCopy(" in SOURCE.read_text().splitlines()[i - 1]][1:]
    assert caught.value.line == load
    assert f"faults.cpp:{store} (pipe MTE3)" in caught.value.detail
    assert caught.value.memory == "UB" and caught.value.address == 0 and caught.value.pipe == "MTE2"


def test_deadlock_says_who_waits_for_whom(simulator, kernels) -> None:
    with pytest.raises(simulator.SimulatorFault) as caught:
        launch(kernels, "deadlock", True, 2)
    assert "block 0 AIV waits at" in caught.value.detail
    assert "cross-core flag 3 from block 1 AIV (has ended)" in caught.value.detail


@pytest.mark.parametrize("name", ["gm_two_writers", "deadlock", "wrong_producer", "vector_barrier"])
def test_the_report_does_not_depend_on_threads(simulator, kernels, name: str) -> None:
    reports = set()
    for threads in (1, 2):
        with pytest.raises(simulator.SimulatorFault) as caught:
            launch(kernels, name, True, CASES[name][3], threads=threads)
        reports.add((caught.value.kind, caught.value.line))
    assert len(reports) == 1


def test_without_checks_memory_stays_protected(simulator, kernels) -> None:
    """Bounds are the simulator's own safety and always on; the rest is not looked at."""
    with pytest.raises(simulator.SimulatorFault, match="ErrorRead3"):
        launch(kernels, "gm_read_bounds", True, 1, checks=False)
    launch(kernels, "vector_barrier", True, 1, checks=False)
    launch(kernels, "uninitialised", True, 1, checks=False)


def test_wrong_calls_of_the_launch(simulator, kernels) -> None:
    x = np.zeros(64, np.float32)
    with pytest.raises(simulator.SimulatorFault, match="soc: expected one of Ascend910B1"):
        kernels.launch("fault_event_id", [x, x.copy(), x.copy()], soc="Ascend310")
    with pytest.raises(simulator.SimulatorFault, match="block_dim: expected 1 or more, got 0"):
        kernels.launch("fault_event_id", [x, x.copy(), x.copy()], block_dim=0)
    with pytest.raises(simulator.SimulatorFault, match="overlap in memory"):
        kernels.launch("fault_event_id", [x, x[8:], x.copy()])
    with pytest.raises(ValueError, match="C-contiguous"):
        kernels.launch("fault_event_id", [x[::2], x.copy(), x.copy()])
    with pytest.raises(ValueError, match="kernel_type: expected one of auto"):
        kernels.launch("fault_event_id", [x], kernel_type="cube")
