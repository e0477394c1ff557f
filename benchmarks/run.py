"""Timing: ours and each rival in turn, again and again, so that a slow minute of the machine is everybody's."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable

import torch
from npu_flash_attention.backends import GRADIENTS as GRADIENTS
from npu_flash_attention.backends import native
from torch import Tensor

from .registry import Inputs, Row, make_inputs
from .rivals import rivals


class Ours:
    """The fast CPU backend on a row's call."""

    needs = (True, True, True, False, False, False, False)

    def __init__(self, inputs: Inputs) -> None:
        self.dy = inputs.dy
        self.backend = native.NativeBackend()
        self.call = inputs.call()
        self.problem = self.call.build_problem()
        self.out, self.softmax_max, self.softmax_sum = self.backend.forward(self.call, self.problem)

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        # The user pays for the description of the call too.
        return self.backend.forward(self.call, self.call.build_problem())

    def backward(self) -> tuple[Tensor | None, ...]:
        problem = self.call.build_problem()
        return self.backend.backward(
            self.call, problem, self.dy, self.softmax_max, self.softmax_sum, self.out, self.needs
        )


@dataclasses.dataclass
class Timing:
    """Medians over the repeats, in seconds, of one direction of a row."""

    ours: float
    ours_cpu: float  # of all threads together
    rival: float
    rival_name: str
    ratio: float  # median of the ratios within each repeat
    flops: float

    @property
    def core_gflops(self) -> float:
        """GFLOP per second of one core: what other programs take of the machine is left out."""
        return self.flops / self.ours_cpu * 1e-9


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_direction(ours: Callable[[], object], theirs: dict[str, Callable[[], object]], repeats: int) -> Timing:
    """Warms up, drops all rivals but the fastest (by one more run each), then times the two alternately."""
    ours()
    probes: dict[str, float] = {}
    for name, work in theirs.items():
        seconds(work)
        probes[name] = min(seconds(work), seconds(work)) if len(theirs) > 1 else 0.0
    best = min(probes, key=probes.__getitem__)
    mine, mine_cpu, rival = [], [], []
    for _ in range(repeats):
        mine_cpu.append(cpu_seconds(lambda: mine.append(seconds(ours))))
        rival.append(seconds(theirs[best]))
    ratio = statistics.median(r / m for m, r in zip(mine, rival, strict=True))
    return Timing(statistics.median(mine), statistics.median(mine_cpu), statistics.median(rival), best, ratio, 0.0)


def time_row(row: Row, repeats: int) -> tuple[Timing, Timing]:
    """Forward and backward of a row, after checking that it is right."""
    from .verify import check

    inputs = make_inputs(row)
    ours = Ours(inputs)
    check(inputs, ours)
    ways = list(rivals(inputs))
    forward = time_direction(ours.forward, {way.name: way.forward for way in ways}, repeats)
    backward = time_direction(ours.backward, {way.name: way.backward for way in ways}, repeats)
    forward.flops, backward.flops = float(row.flops), 2.5 * row.flops
    return forward, backward


def gemm_peak(dtype: torch.dtype) -> tuple[float, str]:
    """GFLOP/s of a core's matrix products and whose they are: the best of torch.mm and of the tile products.

    The clock of a process lags by a tick for threads that run, so the products must be long.
    """
    rates: list[float] = []
    wall = 0.3
    used = cpu_seconds(lambda: rates.append(native.module().product_rate(dtype == torch.bfloat16, 1, wall)))
    a = torch.randn(4096, 4096).to(dtype)
    peaks = {
        "tiles in the cache": rates[0] * wall / used,
        "torch.mm 4096": 2 * 4096**3 / cpu_seconds(lambda: a @ a) * 1e-9,
    }
    best = max(peaks, key=peaks.__getitem__)
    return peaks[best], best
