"""`python -m benchmarks`: checks and times the rows of registry.py on the CPU; `python -m benchmarks kernels`: the
simulator's timeline of the AscendC kernels (kernels.py). Both write their tables into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
from pathlib import Path

import torch
from npu_flash_attention.backends import native

from . import curve, kernels, page
from .registry import ROWS, Row
from .run import Timing, gemm_peak, time_row


def main() -> int:
    if sys.argv[1:2] == ["kernels"]:
        return kernels.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", default="", help="only rows whose name contains this text")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9, help="timed runs of each side; medians are reported")
    parser.add_argument("--curve", action="store_true", help="also measure time and memory against S, and plot them")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and docs/benchmarks.png")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    lines = [*_machine(arguments.threads), "", *_table_head()]
    print("\n".join(lines), flush=True)
    missed = 0
    for row in ROWS:
        if arguments.rows.lower() not in row.name.lower():
            continue
        forward, backward = time_row(row, arguments.repeats)
        missed += (forward.ratio < row.wanted[0]) + (backward.ratio < row.wanted[1])
        line = _table_row(row, forward, backward, _peaks())
        lines.append(line)
        print(line, flush=True)
    if arguments.curve:
        points = {
            name: {seq: curve.measure(name, seq, arguments.threads) for seq in lengths}
            for name, lengths in curve.LINES.items()
        }
        text = ["", "![Time and memory against the sequence length](benchmarks.png)", "", *_curve_table(points)]
        lines += text
        print("\n".join(text))
        if arguments.write:
            curve.plot(points, page.PAGE.with_suffix(".png"))
    if arguments.write:
        page.write_block("cpu", "python -m benchmarks " + shlex.join(sys.argv[1:]), lines)
    print(f"{missed} of the wanted ratios missed" if missed else "every wanted ratio reached")
    return 0


_measured: dict[torch.dtype, tuple[float, str]] = {}


def _peaks() -> dict[torch.dtype, tuple[float, str]]:
    """The best seen so far: the caches that other programs take can only make a peak look lower."""
    for dtype in (torch.bfloat16, torch.float32):
        now = gemm_peak(dtype)
        _measured[dtype] = max(now, _measured.get(dtype, now))
    return _measured


def _machine(threads: int) -> list[str]:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    products = native.describe()
    peaks = _peaks()
    bf16, fp32 = peaks[torch.bfloat16], peaks[torch.float32]
    return [
        f"{model}, {threads} threads, PyTorch {torch.__version__}; kernels {products['level']}, products by "
        f"{products['bfloat16_products']} (bfloat16) and {products['float32_products']} (float32).",
        f"GEMM peak of a core: {bf16[0]:.0f} GFLOP/s in bfloat16 ({bf16[1]}), {fp32[0]:.0f} in float32 ({fp32[1]}).",
    ]


def _table_head() -> list[str]:
    return [
        "| row (B1 H8 S2048 bfloat16 unless said) | forward | wanted | GFLOP/s of a core | of peak | backward "
        "| wanted | GFLOP/s of a core | of peak | beside |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]


def _table_row(row: Row, forward: Timing, backward: Timing, peaks: dict[torch.dtype, tuple[float, str]]) -> str:
    # float16 is multiplied in float32, see docs/cpu.md.
    peak = peaks[torch.bfloat16 if row.dtype == torch.bfloat16 else torch.float32][0]
    cells = [row.name]
    for timing, wanted in ((forward, row.wanted[0]), (backward, row.wanted[1])):
        reached = "" if timing.ratio >= wanted else " (missed)"
        cells += [
            f"**{timing.ratio:.2f}x**{reached} ({timing.ours * 1e3:.1f} ms, {timing.rival * 1e3:.1f} ms)",
            f"{wanted:g}x",
            f"{timing.core_gflops:.0f}",
            f"{timing.core_gflops / peak:.0%}",
        ]
    names = {forward.rival_name, backward.rival_name}
    cells.append(" / ".join((forward.rival_name, backward.rival_name)) if len(names) > 1 else forward.rival_name)
    return "| " + " | ".join(cells) + " |"


def _curve_table(points: dict[str, dict[int, dict[str, float]]]) -> list[str]:
    head = ["| S | " + " | ".join(points) + " |", "|---" * (len(points) + 1) + "|"]
    for seq in curve.LENGTHS:
        cells = []
        for by_length in points.values():
            p = by_length.get(seq)
            cells.append("" if p is None else f"{p['forward'] + p['backward']:.3f} s, {p['memory']:.1f} MiB")
        head.append(f"| {seq} | " + " | ".join(cells) + " |")
    return head


if __name__ == "__main__":
    sys.exit(main())
