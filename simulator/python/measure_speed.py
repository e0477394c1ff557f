"""Measures the simulator itself on the sample kernels: values only, with checks, with a timeline.

python simulator/python/measure_speed.py BUILD    BUILD: a build with NPU_FA_BUILD_SIMULATOR_TESTS=ON
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

REPEATS = 5


def best(call: Callable[[], object]) -> float:
    """Seconds of the fastest of a few calls."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def cases() -> dict[str, tuple[str, list, int, float, str]]:
    """name -> (kernel, arguments, blocks, work in units of 1e9 or 1e6, unit)."""
    rng = np.random.default_rng(0)
    half = [rng.standard_normal((1024, 1024)).astype(np.float16) for _ in range(2)]
    rows = rng.standard_normal((2048, 4096)).astype(np.float32)
    m = 128 * 64
    a, b = rng.standard_normal((m, 128)).astype(np.float16), rng.standard_normal((128, 128)).astype(np.float16)
    square, product = np.zeros((1024, 1024), np.float32), np.zeros((m, 128), np.float32)
    slots = np.zeros((4, 2, 128, 128), np.float32)
    ints = [np.array(values, np.int32) for values in ((1024, 1024, 1024), rows.shape, (m,))]
    return {
        "matmul": ("sample_matmul", [*half, square, ints[0]], 2, 2 * 1024**3 / 1e9, "GFLOP/s"),
        # Five vector instructions see every element: two reductions, Adds, Exp, Muls.
        "softmax": ("sample_softmax", [rows, np.zeros_like(rows), ints[1]], 2, 5 * rows.size / 1e6, "M elements/s"),
        "mixed": ("sample_mixed", [a, b, product, slots, ints[2]], 4, 2 * m * 128 * 128 / 1e9, "GFLOP/s"),
    }


def main(build: Path) -> None:
    sys.path.insert(0, str(build))
    import _simulator

    kernels = _simulator.Library(str(build / "machine_test_kernels.so"))
    modes = {"values": {"checks": False}, "checks": {}, "timeline": {"checks": False, "timeline": True}}
    for name, (kernel, arguments, blocks, work, unit) in cases().items():
        base = 0.0
        for mode, options in modes.items():
            seconds = best(lambda: kernels.launch(kernel, arguments, block_dim=blocks, threads=1, **options))  # noqa: B023
            base = base or seconds
            print(f"{name:8} {mode:9} {seconds * 1e3:8.1f} ms  {work / seconds:8.1f} {unit:13} {seconds / base:5.2f}x")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
