"""`python -m benchmarks kernels`: the AscendC kernels in the simulator's timeline, beside what limits them.

A row runs on all cores of an Ascend910B2, GM in L2, each core at its own bandwidth, with and without the start-up costs
of instructions ("heads"). Its makespan is the longest of the timeline and the two times in which the chip moves all bytes
read and written; its utilisation is useful FLOPs over what the cubes could do in that time.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from npu_flash_attention.backends import simulator

from . import page
from .registry import Inputs, Row, make_inputs

SOC = "Ascend910B2"
CORES, MHZ = 24, 1800
CUBE_FLOPS, READ_RATE, WRITE_RATE = 8192, 110, 86  # a cycle and core; bytes
STATISTICS_BYTES = 64  # a row: eight columns of maximum and sum
KEY_TILE = 128  # columns of a product of the backward: backward_schedule.h


@dataclasses.dataclass(frozen=True)
class Case:
    """One kernel on one call, and the utilisation wanted of it without and with heads, in percent."""

    row: Row
    backward: bool = False
    wanted: tuple[float, float] = (0, 0)
    microseconds: float = 0  # wanted at most, heads or not
    seq_q: int = 0  # rows, where they are fewer than keys
    deterministic: bool = False

    @property
    def name(self) -> str:
        kernel = "backward" if self.backward else "forward"
        return f"{kernel} {self.row.name}{' deterministic' if self.deterministic else ''}"

    @property
    def flops(self) -> float:
        rows = self.seq_q or self.row.seq
        scores = self.row.seq * rows / (2 if self.row.causal else 1)
        return (10 if self.backward else 4) * self.row.heads * scores * self.row.dim


def _row(name: str, seq: int, heads: int = 24, dim: int = 128, **options: Any) -> Row:
    return Row(name, (0, 0), seq=seq, heads=heads, kv_heads=heads, dim=dim, dtype=torch.float16, **options)


CASES = (
    Case(_row("N24 S2048 D128", 2048), wanted=(75, 65)),
    Case(_row("N24 S2048 D128 causal", 2048, causal=True), wanted=(60, 45)),
    Case(_row("N24 S2048 D128", 2048), backward=True, wanted=(88, 70)),
    Case(_row("N24 S2048 D128 causal", 2048, causal=True), backward=True, wanted=(78, 58)),
    Case(_row("N24 S2048 D128", 2048), backward=True, deterministic=True),
    Case(_row("N24 S8192 D128", 8192), wanted=(80, 70)),
    Case(_row("N1 S32768 D128", 32768, heads=1), wanted=(65, 58)),
    Case(_row("N24 S4096 D64", 4096, dim=64), wanted=(50, 40)),
    Case(_row("N24 S4096 D64", 4096, dim=64), backward=True, wanted=(60, 48)),
    Case(
        _row("N24 S4096 D128 pse + mask + dropout", 4096, dense_bias=True, dense_mask=True, dropout=0.1),
        wanted=(0, 35),
    ),
    Case(_row("N8 S1024 D128", 1024, heads=8), microseconds=25),
    Case(_row("N8 Sq1 Skv32768 D128", 32768, heads=8), seq_q=1),
    Case(_row("N1 Sq16 Skv131072 D128", 131072, heads=1), seq_q=16),
)


@dataclasses.dataclass
class Run:
    """One kernel's timeline, cycles of the chip."""

    cycles: float
    bytes: dict[str, int]
    tiling: dict[str, Any]
    pipes: dict[tuple[str, str], tuple[float, float]]
    summary: str
    trace: str
    seconds: float  # it took here

    @property
    def read_floor(self) -> float:
        return (self.bytes["GM->UB"] + self.bytes["GM->L1"]) / CORES / READ_RATE

    @property
    def write_floor(self) -> float:
        return (self.bytes["UB->GM"] + self.bytes["L0C->GM"]) / CORES / WRITE_RATE

    @property
    def makespan(self) -> float:
        return max(self.cycles, self.read_floor, self.write_floor)

    def work(self, core: str, pipe: str) -> float:
        """Mean over the cores, without heads."""
        return self.pipes[core, pipe][1] * self.cycles

    @property
    def busiest(self) -> str:
        (core, pipe), (busy, _) = max(self.pipes.items(), key=lambda item: item[1][0])
        return f"{core} {pipe} {busy * self.cycles / self.makespan:.0%}"


def inputs_of(case: Case) -> Inputs:
    inputs = make_inputs(case.row)
    if case.seq_q:
        inputs.query = inputs.query[:, :, : case.seq_q].contiguous()
    return inputs


def run(case: Case, inputs: Inputs, heads: bool, trace: bool = False) -> Run:
    """Runs a case on the simulator, GM in L2; with `trace`, its timeline is kept."""
    options = simulator.OPTIONS
    before = dataclasses.replace(options)
    options.soc, options.checks, options.timeline = SOC, False, True
    options.heads, options.warm_l2, options.contention = heads, True, False
    torch.use_deterministic_algorithms(case.deterministic)
    try:
        backend = simulator.SimulatorBackend()
        call = inputs.call()
        problem = call.build_problem()
        started = time.perf_counter()
        if case.backward:
            out = inputs.query  # statistics and values of no meaning: the timeline does not depend on them
            statistics = torch.ones(*inputs.query.shape[:3], 8)
            needs = (True, True, True, False, False, False, False)
            backend.backward(call, problem, inputs.dy, statistics, statistics, out, needs)
        else:
            backend.forward(call, problem)
        result = simulator.last_run
        return Run(
            result["cycles"],
            result["bytes"],
            result["tiling"],
            result["pipes"],
            result["summary"],
            result["trace"]() if trace else "",
            time.perf_counter() - started,
        )
    finally:
        torch.use_deterministic_algorithms(False)
        for field in dataclasses.fields(before):
            setattr(options, field.name, getattr(before, field.name))


def least_bytes(case: Case, tiling: dict[str, Any]) -> float:
    """What the kernel has to move through GM under its tiling."""
    row = case.row
    rows_in_all, block_rows = case.seq_q or row.seq, tiling["tiles"] * tiling["tile_rows"]
    total = 0.0
    for begin in range(0, rows_in_all, block_rows):
        rows = min(block_rows, rows_in_all - begin)
        columns = begin + rows + row.seq - rows_in_all if row.causal else row.seq
        block = _backward_block if case.backward else _forward_block
        total += block(row, tiling, rows, columns)
    if case.backward:  # dK and dV of all keys: fp32 sums to gradients
        total += 2 * row.seq * row.dim * (4 + row.dtype.itemsize)
    return row.heads * total


def _forward_block(row: Row, tiling: dict[str, Any], rows: int, columns: int) -> float:
    """S, P and P V there and back, Q, K and V once a block.

    The cube computes sixteen rows at least; blocks that share their rows leave fp32 results to be joined.
    """
    element = row.dtype.itemsize
    modifiers = (element if row.dense_bias else 0) + (1 if row.dense_mask else 0) + (1 / 8 if row.dropout else 0)
    stages = -(-columns // tiling["stage_columns"])
    parts = -(-stages // tiling["part_stages"])
    computed = -(-rows // 16) * 16
    total = computed * (columns * (2 * 4 + 2 * element) + 2 * row.dim * 4 * stages) + rows * columns * modifiers
    total += (parts * row.dim + row.dim) * rows * element + rows * STATISTICS_BYTES
    total += 2 * columns * row.dim * element
    return total + (2 * parts * computed * (row.dim + 2) * 4 if parts > 1 else 0)


def _backward_block(row: Row, tiling: dict[str, Any], rows: int, columns: int) -> float:
    """S, dP, P and dS there and back, dS twice, for tiles of 128 x 128 that see anything.

    Per block, Q and dY come once to the cube, dY and Y once for D, K and V once; K once more for each tile of rows that
    it is a part of dQ of. dQ leaves in fp32 once a group of stages, dK and dV once a block.
    """
    element, tile, width = row.dtype.itemsize, tiling["tile_rows"], row.dim
    total = 0.0
    for begin in range(0, rows, tile):
        height = min(tile, rows - begin)
        seen = -(-(columns - rows + begin + height if row.causal else columns) // KEY_TILE) * KEY_TILE
        groups = -(-seen // (tiling["group_stages"] * tiling["stage_columns"]))
        total += height * seen * (2 * 4 + 2 * 4 + 5 * element) + seen * width * element
        total += height * width * 4 * groups
    total += 4 * rows * width * element + rows * STATISTICS_BYTES + rows * width * (4 + element)
    return total + 2 * columns * width * (element + 4)


def measure(case: Case, traces: Path | None) -> list[str]:
    """The cells of a row; of two lines where both are wanted."""
    inputs = inputs_of(case)
    runs = [run(case, inputs, heads, trace=traces is not None) for heads in (False, True)]
    if traces is not None:
        traces.mkdir(parents=True, exist_ok=True)
        for timeline, heads in zip(runs, ("no_heads", "heads"), strict=True):
            (traces / f"{case.name.replace(' ', '_').replace('+', 'and')}_{heads}.json").write_text(timeline.trace)
    bare = runs[0]
    ideal = case.flops / CUBE_FLOPS / CORES
    reached = []
    for timeline, wanted in zip(runs, case.wanted, strict=True):
        share = 100 * ideal / timeline.makespan
        goal = f" (>= {wanted:g})" if wanted else ""
        reached.append(f"**{share:.1f} %**{goal}{' missed' if share < wanted else ''}")
    times = [timeline.makespan / MHZ for timeline in runs]
    goal = f" (<= {case.microseconds:g})" if case.microseconds else ""
    lines = (
        bare.work("AIC", "M"),
        bare.work("AIC", "FIX"),
        bare.work("AIV", "V"),
        bare.read_floor,
        bare.write_floor,
    )
    moved = sum(bare.bytes[path] for path in ("GM->UB", "GM->L1", "UB->GM", "L0C->GM"))
    tiles = case.flops / (10 if case.backward else 4) / case.row.dim / 128**2
    traffic = f"{moved / tiles / 1024:.0f} ({moved / least_bytes(case, bare.tiling):.2f}x)"
    return [
        case.name,
        *reached,
        " / ".join(f"{t:.1f}" for t in times) + goal,
        *(f"{100 * ideal / line:.0f}" for line in lines),
        " / ".join(timeline.busiest for timeline in runs),
        traffic,
        f"{sum(timeline.seconds for timeline in runs):.0f} s",
    ]


HEAD = [
    "| kernel, B1, fp16 | no heads | heads | us, no heads / heads | cube | Fixpipe | vector | reads | writes "
    "| busiest pipe, no heads / heads | KiB a tile (of the least) | took |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks kernels", description=__doc__)
    parser.add_argument("--rows", default="", help="only rows whose name contains this text")
    parser.add_argument("--trace", type=Path, help="write a trace of each run, for ui.perfetto.dev, to this folder")
    parser.add_argument("--write", action="store_true", help="write these rows into the table of docs/benchmarks.md")
    options = parser.parse_args(arguments)
    print("\n".join(HEAD), flush=True)
    for case in CASES:
        if options.rows not in case.name:
            continue
        line = "| " + " | ".join(measure(case, options.trace)) + " |"
        print(line, flush=True)
        if options.write:
            rows = page.rows_of("kernels") | {case.name: line}
            table = [rows[known.name] for known in CASES if known.name in rows]
            page.write_block("kernels", "python -m benchmarks kernels --write", HEAD + table)
    return 0
