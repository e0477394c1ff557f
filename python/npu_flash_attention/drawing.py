"""Pictures of who sees what: in the terminal, or as a PNG where matplotlib is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, PARTLY, VISIBLE = 0, 1, 2
_CHARACTERS = {HIDDEN: ".", PARTLY: "+", VISIBLE: "#"}


def cells(problem: Any, sequence: int, head: int, max_rows: int, max_columns: int) -> np.ndarray:
    """int8 [rows, columns] of HIDDEN, PARTLY or VISIBLE, exact up to the given size.

    A cell of a larger picture covers several rows and columns; of its rows the first, middle and last are looked at, so
    that a sequence of a million tokens can be drawn.
    """
    seq = problem.sequences[sequence]
    row_edges, column_edges = _edges(seq.q_len, max_rows), _edges(seq.kv_len, max_columns)
    picture = np.zeros((len(row_edges) - 1, len(column_edges) - 1), dtype=np.int8)
    if picture.size == 0:
        return picture
    for row, (begin, end) in enumerate(zip(row_edges[:-1], row_edges[1:], strict=True)):
        looked_at = sorted({begin, (begin + end) // 2, end - 1})
        seen = np.concatenate([_row(problem, seq, head, q) for q in looked_at])
        every = np.logical_and.reduceat(seen.all(axis=0), column_edges[:-1])
        some = np.logical_or.reduceat(seen.any(axis=0), column_edges[:-1])
        picture[row] = np.where(every, VISIBLE, np.where(some, PARTLY, HIDDEN))
    return picture


def _edges(length: int, most: int) -> np.ndarray:
    return np.linspace(0, length, min(length, most) + 1).round().astype(np.int64)


def _row(problem: Any, seq: Any, head: int, q: int) -> np.ndarray:
    """bool [1, Skv]."""
    visible = problem.visible(seq, (head, head + 1), (int(q), int(q) + 1), (0, seq.kv_len))
    return np.ones((1, seq.kv_len), dtype=bool) if visible is None else visible[0]


def draw(problem: Any, sequence: int = 0, head: int = 0, max_rows: int = 40, max_columns: int = 80) -> str:
    """The mask of one head of one sequence in characters: # visible, . hidden, + some of both."""
    picture = cells(problem, sequence, head, max_rows, max_columns)
    seq = problem.sequences[sequence]
    if picture.size == 0:
        return f"sequence {sequence} has no scores (Sq {seq.q_len}, Skv {seq.kv_len})"
    lines = ["".join(_CHARACTERS[int(cell)] for cell in row) for row in picture]
    legend = "rows are queries, columns are keys: # visible, . hidden"
    if picture.shape != (seq.q_len, seq.kv_len):
        height, width = seq.q_len / picture.shape[0], seq.kv_len / picture.shape[1]
        legend += f", + both; a character stands for about {height:.1f} x {width:.1f} scores"
    return "\n".join([*lines, legend])


def save_png(problem: Any, path: Path, sequence: int = 0, head: int = 0) -> None:
    """The mask of one head of one sequence as a PNG.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("drawing a PNG takes matplotlib: pip install 'npu_flash_attention[plot]'") from error
    seq = problem.sequences[sequence]
    picture = cells(problem, sequence, head, 1024, 1024)
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot(
        xlabel="key (column)", ylabel="query (row)", title=f"visible scores, sequence {sequence}, head {head}"
    )
    if picture.size:
        extent = (0, seq.kv_len, seq.q_len, 0)
        axes.imshow(picture, cmap="Blues", vmin=HIDDEN, vmax=VISIBLE, extent=extent, interpolation="nearest")
    figure.savefig(path, dpi=120, format="png")
