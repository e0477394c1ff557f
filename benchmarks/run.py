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
    rival: float
    rival_name: str
    ratio: float  # median of the ratios within each repeat
    flops: float

    @property
    def gflops(self) -> float:
        return self.flops / self.ours * 1e-9


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
    mine, rival = [], []
    for _ in range(repeats):
        mine.append(seconds(ours))
        rival.append(seconds(theirs[best]))
    ratio = statistics.median(r / m for m, r in zip(mine, rival, strict=True))
    return Timing(statistics.median(mine), statistics.median(rival), best, ratio, 0.0)


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


def gemm_peak(dtype: torch.dtype, threads: int) -> tuple[float, str]:
    """GFLOP/s of this machine's matrix products and whose they are: the best of torch.mm and of the tile products."""
    sixteen_bit = dtype == torch.bfloat16
    rates = {"tiles in the cache": native.module().product_rate(sixteen_bit, threads, 0.3)}
    for size in (2048, 4096):
        a = torch.randn(size, size).to(dtype)
        work = lambda a=a: a @ a  # noqa: E731
        work()
        rates[f"torch.mm {size}"] = 2 * size**3 / min(seconds(work) for _ in range(3)) * 1e-9
    best = max(rates, key=rates.__getitem__)
    return rates[best], best
