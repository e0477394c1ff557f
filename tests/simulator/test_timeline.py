"""Times worked out by hand from the cost model's table, and what a trace must contain."""

from __future__ import annotations

import json

import numpy as np
import pytest

# Sources beside the numbers in simulator/machine/cost_model.h and soc.cpp.
L2_READ, UB_TO_L2, DDR, CORES = 110, 64, 32, 24
VECTOR_FP32, EXP = 64, 32
KB32 = 32768


def timeline(kernels, name: str, arrays: int, blocks: int = 1, **options):
    args = [np.zeros(65536 * blocks // 4, np.float32) for _ in range(arrays)]
    return kernels.launch(name, args, block_dim=blocks, timeline=True, **options).timeline


def test_a_chain_adds_up(kernels) -> None:
    t = timeline(kernels, "timeline_chain", 2, heads=False, warm_l2=True)
    load, add, store = KB32 / L2_READ, 8192 / VECTOR_FP32, KB32 / UB_TO_L2
    assert t.cycles == pytest.approx(load + add + store)
    assert t.busy(aic=False)["MTE2"] == pytest.approx(load / t.cycles)
    assert t.busy(aic=False)["V"] == pytest.approx(add / t.cycles)
    assert t.path_bytes["GM->UB"] == KB32 and t.path_bytes["UB->GM"] == KB32
    assert t.critical_pipe == "MTE3"
    assert t.microseconds == pytest.approx(t.cycles / 1800)
    assert {pipe: t.critical[pipe] for pipe in ("MTE2", "V", "MTE3")} == pytest.approx(
        {"MTE2": load, "V": add, "MTE3": store}
    )
    assert t.critical_wait == pytest.approx(0)


def test_heads_are_what_the_table_says(kernels) -> None:
    bare = timeline(kernels, "timeline_chain", 2, heads=False, warm_l2=True)
    heads = timeline(kernels, "timeline_chain", 2, heads=True, warm_l2=True)
    # Two copies, one vector instruction, two flags, the barrier of ~TPipe; what is issued meanwhile is hidden.
    assert heads.cycles - bare.cycles == pytest.approx(60 + 20 + 14 + 20 + 60 + 10 + 2)


def test_launch_cost_comes_first(kernels) -> None:
    bare = timeline(kernels, "timeline_chain", 2, heads=False, warm_l2=True)
    launched = timeline(kernels, "timeline_chain", 2, heads=False, warm_l2=True, launch_cost=True)
    assert launched.microseconds - bare.microseconds == pytest.approx(8)


def test_pipes_overlap(kernels) -> None:
    t = timeline(kernels, "timeline_overlap", 1, heads=False, warm_l2=True)
    assert t.cycles == pytest.approx(max(KB32 / L2_READ, 8192 / VECTOR_FP32 + 8192 / EXP))
    assert t.critical_pipe == "V"


def test_l2_is_shared_by_those_who_use_it(kernels) -> None:
    alone = timeline(kernels, "timeline_read", 1, 1, heads=False, warm_l2=True)
    few = timeline(kernels, "timeline_read", 1, CORES, heads=False, warm_l2=True)
    all_cores = timeline(kernels, "timeline_read", 1, 2 * CORES, heads=False, warm_l2=True)
    assert alone.cycles == pytest.approx(65536 / L2_READ)
    assert few.cycles == pytest.approx(alone.cycles), "24 cores use exactly what the chip has"
    assert all_cores.cycles == pytest.approx(2 * alone.cycles), "48 get half each"


def test_without_contention_everybody_moves_at_its_own_rate(kernels) -> None:
    alone = timeline(kernels, "timeline_read", 1, 1, heads=False, warm_l2=True)
    crowd = timeline(kernels, "timeline_read", 1, 2 * CORES, heads=False, contention=False)
    assert crowd.cycles == pytest.approx(alone.cycles)


def test_cold_data_comes_through_ddr(kernels) -> None:
    blocks = 2 * CORES
    cold = timeline(kernels, "timeline_read", 1, blocks, heads=False)
    assert cold.cycles == pytest.approx(65536 * blocks / (DDR * CORES), rel=1e-3)
    assert cold.ddr_bytes == pytest.approx(65536 * blocks, rel=1e-3)
    # 4 cores together stay below what DDR has: the path of each core is the limit.
    assert timeline(kernels, "timeline_read", 1, 4, heads=False).cycles == pytest.approx(65536 / L2_READ, rel=1e-3)


def mixed(kernels, **options):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((128 * 12, 128)).astype(np.float16)
    b = rng.standard_normal((128, 128)).astype(np.float16)
    c = np.zeros((128 * 12, 128), np.float32)
    slots = np.zeros((2, 2, 128, 128), np.float32)
    args = [a, b, c, slots, np.array([128 * 12], np.int32)]
    return kernels.launch("sample_mixed", args, block_dim=2, timeline=True, **options).timeline


def test_cross_core_flags_order_the_trace(kernels) -> None:
    t = mixed(kernels)
    for block in range(2):
        stores = sorted(e[4] for e in t.events if e[0] == f"block {block} AIC" and e[2] == "Fixpipe")
        loads = sorted(
            e[3] for e in t.events if e[0] == f"block {block} AIV 0" and e[2] == "DataCopy" and e[1] == "MTE2"
        )
        assert len(stores) == len(loads) == 6
        for store, load in zip(stores, loads, strict=True):
            assert load >= store + 300, "a flag between cores takes 300 cycles"


def test_a_replay_is_repeatable(kernels) -> None:
    first, second = mixed(kernels, threads=1), mixed(kernels, threads=2)
    assert first.cycles == second.cycles
    assert first.events == second.events


def test_instructions_of_a_pipe_do_not_overlap(kernels) -> None:
    t = mixed(kernels)
    by_pipe: dict = {}
    for core, pipe, _, begin, end, _ in t.events:
        by_pipe.setdefault((core, pipe), []).append((begin, end))
    assert len(by_pipe) > 8
    for spans in by_pipe.values():
        spans.sort()
        assert all(end <= begin + 1e-6 for (_, end), (begin, _) in zip(spans, spans[1:], strict=False))
    total = sum(t.critical.values()) + t.critical_wait
    assert total == pytest.approx(t.cycles), "the critical path explains the makespan"


def test_chrome_trace(kernels) -> None:
    t = mixed(kernels)
    trace = json.loads(t.chrome_trace())["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in trace if e["ph"] == "M" and e["name"] == "process_name"}
    assert sorted(names.values()) == sorted(f"block {b} {c}" for b in range(2) for c in ("AIC", "AIV 0", "AIV 1"))
    events = [e for e in trace if e["ph"] == "X"]
    assert len(events) == len([e for e in t.events if e[4] > e[3]])
    assert all(e["dur"] > 0 and e["ts"] >= 0 and ".cpp:" in e["args"]["line"] for e in events)
    assert max(e["ts"] + e["dur"] for e in events) <= t.microseconds + 1e-3
    assert "a model, not a measurement" in t.summary()


def test_tracing_does_not_change_values(kernels) -> None:
    x = np.arange(16384, dtype=np.float32)
    y, z = np.zeros_like(x), np.zeros_like(x)
    kernels.launch("timeline_chain", [x, y])
    kernels.launch("timeline_chain", [x, z], timeline=True, checks=False)
    np.testing.assert_array_equal(y, z)
    np.testing.assert_array_equal(y[:8192], x[:8192] + 1)
