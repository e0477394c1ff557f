"""The figures of an acceptance report, as SVG text."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import rules
from .examine import (
    FAILED,
    HISTOGRAM_BINS,
    HISTOGRAM_FIRST,
    HISTOGRAM_STEP,
    PASSED,
    PENDING,
    RECHECKED,
    UNCLEAR,
    Settings,
)
from .summary import judged, ratio_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {PASSED: "#2e7d4f", RECHECKED: "#8fbf6a", PENDING: "#c9ccd1", UNCLEAR: "#e0a72e", FAILED: "#c0392b"}
_DTYPES = {"float16": "#3b6fb6", "bfloat16": "#7a4fa3", "float32": "#c7762b"}
_OURS, _BENCHMARK = "#3b6fb6", "#8a8a8a"
_OUTPUTS = ("attention_out", "softmax_max", "softmax_sum", "dq", "dk", "dv")
_SMALLEST_RATIO, _LARGEST_RATIO = 1e-3, 1e3


def new_figure(width: float, height: float) -> Figure:
    """An empty figure.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("a report takes matplotlib: pip install 'npu_flash_attention[report]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def svg(figure: Figure) -> str:
    """The figure as an `<svg>` element; equal figures give equal text."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "npu_flash_attention", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def figures(records: Sequence[dict[str, Any]], summary: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """SVG by name: "ratios", "errors", and "groups" with one for each group that has several values."""
    accepted = judged(records)
    return {
        "ratios": svg(_ratios(accepted, settings)),
        "errors": svg(_errors(accepted)),
        "groups": {group: svg(_group(rows, settings)) for group, rows in summary["groups"].items() if len(rows) > 1},
    }


def _tidy(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _ratios(records: Sequence[dict[str, Any]], settings: Settings) -> Figure:
    """How the ratios are distributed, an output of a case being one sample."""
    figure = new_figure(11, 3.2)
    limits = rules.LEVELS[settings.level].limits
    for number, name in enumerate(rules.RATIOS[:3]):
        axes = figure.add_subplot(1, 3, number + 1)
        for dtype, colour in _DTYPES.items():
            values = sorted(
                min(max(ratio_of(result, name), _SMALLEST_RATIO), _LARGEST_RATIO)
                for record in records
                for result in record["acceptance"]["results"].values()
                if result["dtype"] == dtype
            )
            if values:
                axes.step(values, np.arange(1, len(values) + 1) / len(values), where="post", color=colour, label=dtype)
        axes.axvline(limits[name], color=COLOURS[FAILED], linewidth=1, linestyle="--")
        axes.set_xscale("log")
        axes.set_xlim(_SMALLEST_RATIO, _LARGEST_RATIO)
        axes.set_ylim(0, 1.02)
        axes.set_title(f"{name}, ours / benchmark (limit {limits[name]:g})", fontsize=9)
        axes.grid(alpha=0.25)
        _tidy(axes)
        if number == 0:
            axes.set_ylabel("share of outputs at or below", fontsize=8)
            axes.legend(fontsize=8, frameon=False, loc="upper left")
    return figure


def _errors(records: Sequence[dict[str, Any]]) -> Figure:
    """Histograms of the elements' relative errors, ours and the benchmark's, but for those that are exact."""
    edges = HISTOGRAM_FIRST + HISTOGRAM_STEP * np.arange(HISTOGRAM_BINS)
    counts: dict[tuple[str, str], np.ndarray] = {}
    for record in records:
        for name, result in record["acceptance"]["results"].items():
            total = counts.setdefault((name, result["dtype"]), np.zeros((2, HISTOGRAM_BINS)))
            for bin, ours, benchmark in result["histogram"]:
                total[0, bin] += ours
                total[1, bin] += benchmark
    dtypes = [dtype for dtype in _DTYPES if any(key[1] == dtype for key in counts)]
    names = [name for name in _OUTPUTS if any(key[0] == name for key in counts)]
    figure = new_figure(11, 1.55 * max(len(names), 1) + 0.3)
    for row, name in enumerate(names):
        for column, dtype in enumerate(dtypes):
            if (name, dtype) not in counts:
                continue
            total = counts[name, dtype]
            axes = figure.add_subplot(len(names), len(dtypes), row * len(dtypes) + column + 1)
            share = total / max(total[0].sum(), 1)
            exact, theirs = share[:, 0].copy()
            share[:, 0] = 0
            axes.bar(edges, share[0], width=HISTOGRAM_STEP, align="edge", color=_OURS, alpha=0.75, label="ours")
            axes.step(edges, share[1], where="post", color=_BENCHMARK, linewidth=1.1, label="benchmark")
            single = math.log10(rules.SINGLE[_dtype(dtype)])
            axes.axvline(single, color=COLOURS[UNCLEAR], linewidth=1, linestyle=":")
            axes.axvline(single + 1, color=COLOURS[FAILED], linewidth=1, linestyle=":")
            axes.set_title(f"{name}, {dtype}", fontsize=8, loc="left", pad=2)
            axes.set_title(
                f"exact: {exact:.0%}, benchmark {theirs:.0%}", fontsize=7, loc="right", pad=2, color=_BENCHMARK
            )
            axes.set_yticks([])
            axes.set_xlim(HISTOGRAM_FIRST, HISTOGRAM_FIRST + HISTOGRAM_STEP * HISTOGRAM_BINS)
            axes.set_xticks([-9, -6, -3, 0], ["$10^{-9}$", "$10^{-6}$", "$10^{-3}$", "1"])
            _tidy(axes)
            axes.spines["left"].set_visible(False)
    if figure.axes:
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8, frameon=False
        )
    return figure


def _dtype(name: str) -> Any:
    import torch

    return getattr(torch, name)


def _group(rows: Sequence[dict[str, Any]], settings: Settings) -> Figure:
    """Verdicts, and the largest RMSE ratio of each case, by the values of a group."""
    figure = new_figure(11, 0.34 * len(rows) + 1.0)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.6))
    places = np.arange(len(rows))[::-1]
    start = np.zeros(len(rows))
    for verdict, colour in COLOURS.items():
        share = np.array([row["verdicts"][verdict] / row["cases"] for row in rows])
        left.barh(places, share, left=start, color=colour, height=0.7, label=verdict)
        start += share
    left.set_yticks(places, [f"{row['value']}  ({row['cases']})" for row in rows])
    left.set_xlim(0, 1)
    left.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    left.set_title("verdicts", fontsize=9, loc="left")
    for place, row in zip(places, rows, strict=True):
        values = [_LARGEST_RATIO if value is None else value for value in row["rmse"]]
        low, first, median, third, high = np.clip(
            np.percentile(values, (5, 25, 50, 75, 95)), _SMALLEST_RATIO, _LARGEST_RATIO
        )
        right.hlines(place, low, high, color=_OURS, linewidth=1)
        right.hlines(place, first, third, color=_OURS, linewidth=7, alpha=0.55)
        right.plot(median, place, "|", color="#222222", markersize=9, markeredgewidth=1.6)
    right.axvline(rules.LEVELS[settings.level].rmse, color=COLOURS[FAILED], linewidth=1, linestyle="--")
    right.set_xscale("log")
    right.set_xlim(_SMALLEST_RATIO, _LARGEST_RATIO)
    right.set_title("largest RMSE ratio of a case: median, quartiles, 5 % to 95 %", fontsize=9, loc="left")
    right.grid(axis="x", alpha=0.25)
    for axes in (left, right):
        _tidy(axes)
    return figure
