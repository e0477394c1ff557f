"""Time and memory against the sequence length, one head of 64: the plot of docs/benchmarks.md.

Each point runs in a process of its own, because the peak of a process's memory never falls.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import torch
from torch.nn.functional import scaled_dot_product_attention

from .registry import Row, make_inputs
from .run import Ours, seconds

LENGTHS = tuple(2**n for n in range(9, 18))
WINDOW = 1024
# PyTorch has no window but a mask of S x S, whose bytes end its line; dense lines end where a point takes minutes.
LINES = {
    "window 1024": LENGTHS,
    "dense": LENGTHS[:-2],
    "PyTorch dense": LENGTHS[:-3],
    "PyTorch window 1024": LENGTHS[:-3],
}


def measure(line: str, seq: int, threads: int) -> dict[str, float]:
    """Seconds of forward and backward, and the peak of memory beyond inputs and outputs in MiB."""
    command = [sys.executable, "-m", "benchmarks.curve", line, str(seq), str(threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _point(line: str, seq: int, threads: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    window = WINDOW if "window" in line else 0
    inputs = make_inputs(Row("curve", (0, 0), seq=seq, dim=64, heads=1, kv_heads=1, window=window))
    repeats = 5 if seq <= 4096 else 2
    small = make_inputs(Row("warm up", (0, 0), seq=256, dim=64, heads=1, kv_heads=1))
    if line.startswith("PyTorch"):
        _torch(small)
        mask = _window_mask(seq) if window else None
        return _with_memory(lambda: _torch(inputs, mask), mask, repeats)
    _ours(small)
    return _with_memory(lambda: _ours(inputs), None, repeats)


def _ours(inputs):  # type: ignore[no-untyped-def]
    results = []
    forward = seconds(lambda: results.append(Ours(inputs)))
    backward = seconds(lambda: results.append(results[0].backward()))
    ours, gradients = results
    return forward, backward, (ours.out, ours.softmax_max, ours.softmax_sum, *gradients[:3])


def _torch(inputs, mask=None):  # type: ignore[no-untyped-def]
    leaves = [t.requires_grad_() for t in (inputs.query, inputs.key, inputs.value)]
    results = []
    forward = seconds(lambda: results.append(scaled_dot_product_attention(*leaves, attn_mask=mask)))
    backward = seconds(lambda: results.extend(torch.autograd.grad(results[0], leaves, inputs.dy)))
    return forward, backward, tuple(results)


def _window_mask(seq: int) -> torch.Tensor:
    i, j = torch.arange(seq)[:, None], torch.arange(seq)[None, :]
    return (j <= i) & (j >= i - WINDOW)


def _with_memory(work, extra, repeats):  # type: ignore[no-untyped-def]
    """The memory of the first run, and the best time of all."""
    ctypes.CDLL(None).malloc_trim(0)  # or memory that was freed but kept would hide some of what the call takes
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
    before = _status("VmRSS")
    forward, backward, outputs = work()
    held = sum(t.numel() * t.element_size() for t in outputs)
    extra_bytes = 0 if extra is None else extra.numel() * extra.element_size()
    peak = (_status("VmHWM") - before - held + extra_bytes) / 2**20
    for _ in range(repeats - 1):
        again = work()
        forward, backward = min(forward, again[0]), min(backward, again[1])
    return {"forward": forward, "backward": backward, "memory": max(peak, 0.0)}


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def plot(points: dict[str, dict[int, dict[str, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (time_axes, memory_axes) = plt.subplots(1, 2, figsize=(11, 4.5), constrained_layout=True)
    for line, by_length in points.items():
        colour = "tab:blue" if "window" in line else "tab:red"
        style = {"color": colour, "linestyle": "--" if "PyTorch" in line else "-", "marker": "o", "markersize": 4}
        lengths = sorted(by_length)
        label = line if "PyTorch" in line else f"cpu {line}"
        times = [by_length[n]["forward"] + by_length[n]["backward"] for n in lengths]
        time_axes.plot(lengths, times, label=label, **style)
        memory_axes.plot(lengths, [max(by_length[n]["memory"], 0.1) for n in lengths], label=label, **style)
    memory_axes.axhline(64, color="grey", linewidth=1, linestyle=":")
    memory_axes.annotate("64 MiB", (LENGTHS[0], 64), textcoords="offset points", xytext=(0, 4), color="grey")
    for axes, title, unit in (
        (time_axes, "Time, forward + backward", "seconds"),
        (memory_axes, "Memory beyond inputs and outputs", "MiB"),
    ):
        axes.set(title=title, xlabel="sequence length S", ylabel=unit, xscale="log", yscale="log")
        axes.set_xticks(LENGTHS, [str(n) if n < 1024 else f"{n // 1024}K" for n in LENGTHS])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    print(json.dumps(_point(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
