"""Draws a timeline as a picture: a row per core and pipe, a bar per instruction."""

from __future__ import annotations

from typing import Any

PIPES = ("MTE2", "MTE1", "M", "FIX", "V", "MTE3", "S")
COLOURS = {"MTE2": "#4c78a8", "MTE1": "#72b7b2", "M": "#e45756", "FIX": "#f58518", "V": "#54a24b", "MTE3": "#b279a2"}


def draw(timeline: Any, path: str, cores: int = 3, until: float | None = None) -> None:
    """Write a PNG of the first `cores` cores of a `_simulator.Timeline`, up to cycle `until`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    used = {
        (core, pipe) for core, pipe, name, begin, end, _ in timeline.events if end > begin and name != "PipeBarrier"
    }
    shown = sorted({core for core, _ in used})[:cores]
    rows = [(core, pipe) for core in shown for pipe in PIPES if (core, pipe) in used]
    figure, axes = pyplot.subplots(figsize=(9, 0.3 * len(rows) + 0.9), dpi=80)
    for core, pipe, _, begin, end, _ in timeline.events:
        if (core, pipe) in rows:
            axes.broken_barh(
                [(begin, end - begin)], (rows.index((core, pipe)) - 0.4, 0.8), color=COLOURS.get(pipe, "grey")
            )
    axes.set_yticks(range(len(rows)), [f"{core} {pipe}" for core, pipe in rows], fontsize=7)
    axes.set_xlim(0, until or timeline.cycles)
    axes.set_xlabel("cycles")
    axes.invert_yaxis()
    axes.grid(axis="x", linewidth=0.3)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
