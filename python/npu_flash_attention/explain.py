"""What a call amounts to: who computes it, who does not and why, and what is left of it after normalisation."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

from torch import Tensor

from . import backends, drawing
from .api import npu_fusion_attention_v2
from .call import Call, is_fake

_SHOWN_SEQUENCES = 8
_COUNTED_SCORES = 1 << 27  # elements of a dense mask that are worth counting
# Options that change nothing about the problem.
_WITHOUT_EFFECT = ("padding_mask", "inner_precise", "gen_mask_parallel", "sync")


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Of one call. `print` it, or give it to rich."""

    call: Call
    problem: Any  # the compiled core's Problem
    backend: str | None  # who takes the call now, None if nobody does
    reasons: dict[str, str]  # why each of the others does not
    visible_scores: int  # of all heads and sequences
    all_scores: int
    exact: bool  # False where the content of a mask was not counted, only the band

    @property
    def visible_fraction(self) -> float:
        """Visible part of all scores, 0 for a call without any."""
        return self.visible_scores / self.all_scores if self.all_scores else 0.0

    @property
    def forward_flops(self) -> int:
        """2 for each multiply-add of S = QK^T and O = PV over the visible scores."""
        p = self.problem
        return 2 * self.visible_scores * (p.head_dim + p.rope_dim + p.value_dim)

    @property
    def backward_flops(self) -> int:
        """The same for S again, dP = dO V^T, dV = P^T dO, dQ = dS K and dK = dS^T Q."""
        p = self.problem
        return 2 * self.visible_scores * (3 * (p.head_dim + p.rope_dim) + 2 * p.value_dim)

    def rows(self) -> list[tuple[str, str]]:
        """(title, text) of everything there is to say."""
        p, call = self.problem, self.call
        rows = [("backend", self.backend or "none takes this call")]
        rows += [(f"  not {name}", reason) for name, reason in self.reasons.items()]
        dims = f"D {p.head_dim}" + (f" + {p.rope_dim} rope" if p.rope_dim else "") + f", Dv {p.value_dim}"
        dtype = str(call.query.dtype).removeprefix("torch.")
        rows.append(("call", f"{call.input_layout.upper()} {dtype}, {p.q_heads} query heads on {p.kv_heads}, {dims}"))
        rows.append(("scale", f"{p.scale:.9g}"))
        rows += self._sequence_rows()
        rows.append(("mask", self._mask_text()))
        rows.append(("bias", self._bias_text()))
        rows.append(("dropout", self._dropout_text()))
        rows.append(("sink", "one logit per head" if p.has_sink else "none"))
        rows.append(("statistics", "[T, N, 8]" if p.statistics_by_token else "[N, Sq, 8] sequence by sequence"))
        for name in ("query", "key", "value", *(("query_rope", "key_rope") if p.rope_dim else ())):
            batch, row, head = p.strides[name]
            rows.append((f"{name} strides", f"batch {batch}, row {row}, head {head}"))
        amount = f"{self.visible_fraction:.4%} of {self.all_scores} scores"
        rows.append(("visible", amount if self.exact else f"at most {amount} (by the band; the mask hides more)"))
        most = "" if self.exact else "at most "
        rows.append(("forward", most + _flops(self.forward_flops)))
        rows.append(("backward", most + _flops(self.backward_flops)))
        return rows

    def _sequence_rows(self) -> list[tuple[str, str]]:
        sequences = self.problem.sequences
        rows = []
        for index, seq in enumerate(sequences[:_SHOWN_SEQUENCES]):
            lo, hi, prefix = seq.band
            band = f"{lo} <= column - row <= {hi}" + (f" or column < {prefix}" if prefix else "")
            if lo <= 1 - seq.q_len and hi >= seq.kv_len - 1:
                band = "every column"
            position = f", columns shifted by {seq.position_shift}" if seq.position_shift else ""
            rows.append((f"sequence {index}", f"Sq {seq.q_len}, Skv {seq.kv_len}; sees {band}{position}"))
        if len(sequences) > _SHOWN_SEQUENCES:
            rows.append(("", f"... and {len(sequences) - _SHOWN_SEQUENCES} more sequences"))
        return rows

    def _mask_text(self) -> str:
        if self.call.atten_mask is None:
            mode = self.call.sparse_mode
            return "none: everything is visible" + (f", sparse_mode {mode} has no effect" if mode else "")
        if self.problem.has_mask:
            shape = list(self.call.atten_mask.shape)
            return f"sparse_mode {self.call.sparse_mode}: the band, and the mask of shape {shape} on top"
        return f"sparse_mode {self.call.sparse_mode}: the band says it all, the mask tensor is a pattern"

    def _bias_text(self) -> str:
        kinds = {
            "none": "none",
            "strided": "a dense matrix, broadcast by strides",
            "packed": "packed matrices, one per sequence",
            "packed_row": "packed rows, one per sequence",
            "diagonal": "a compressed ALiBi table",
            "diagonal_tnd": "a compressed ALiBi table",
            "slope": "- slope x distance",
            "slope_sqrt": "- slope x sqrt(distance)",
        }
        kind = self.problem.bias_kind
        if kind == "none":
            return "none"
        return kinds[kind] + (", scale x (s + bias)" if self.problem.bias_before_scale else ", scale x s + bias")

    def _dropout_text(self) -> str:
        p = self.problem
        kinds = {
            "none": "none",
            "bits": f"a mask of {p.drop_bits} bits, kept scores times {p.kept_weight:.6g}",
            "philox": f"keeps {p.keep_prob:g} of {p.drop_bits} scores, generated from seed and offset",
        }
        return kinds[p.dropout_kind]

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(title) for title, _ in rows)
        return "\n".join(f"{title:<{width}}  {text}" for title, text in rows)

    def __rich__(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table(show_header=False, box=None, pad_edge=False)
        for title, text in self.rows():
            table.add_row(Text(title, style="bold" if not title.startswith(" ") else "dim"), Text(text))
        return table

    def draw(self, sequence: int = 0, head: int = 0, max_rows: int = 40, max_columns: int = 80) -> str:
        """The mask in characters, see `drawing.draw`."""
        return drawing.draw(self.problem, sequence, head, max_rows, max_columns)

    def save_png(self, path: Path | str, sequence: int = 0, head: int = 0) -> None:
        """The mask as a PNG, see `drawing.save_png`."""
        drawing.save_png(self.problem, Path(path), sequence, head)


def explain(query: Tensor, key: Tensor, value: Tensor, head_num: int, input_layout: str, **options: Any) -> Explanation:
    """Says what `npu_fusion_attention_v2` would do with the same arguments, without doing it.

    Args:
        query, key, value, head_num, input_layout, **options: as in `npu_fusion_attention_v2`. Fake tensors will do; the
            content of query, key and value is not read.

    Returns:
        An Explanation: backend and reasons, the normalised problem, visible scores, FLOPs, pictures of the mask.

    Raises:
        AttentionError: the call is not valid, as the operator itself would say.
        TypeError: an option that the operator does not have.
    """
    inspect.signature(npu_fusion_attention_v2).bind(query, key, value, head_num, input_layout, **options)
    arguments = {name: value for name, value in options.items() if name not in _WITHOUT_EFFECT}
    for name in ("prefix", "actual_seq_qlen", "actual_seq_kvlen", "q_start_idx", "kv_start_idx"):
        if arguments.get(name) is not None:
            arguments[name] = [int(v) for v in arguments[name]]
    call = Call(query, key, value, head_num, input_layout, entry="forward_v2", **arguments)
    problem = call.build_problem()
    backend, reasons = _who(call, problem)
    visible, exact = _visible_scores(call, problem)
    everything = problem.q_heads * sum(seq.q_len * seq.kv_len for seq in problem.sequences)
    return Explanation(call, problem, backend, reasons, visible, everything, exact)


def _who(call: Call, problem: Any) -> tuple[str | None, dict[str, str]]:
    chosen = backends.get_backend()
    try:
        taker = backends.select(call, problem, chosen).name
    except NotImplementedError:
        taker = None
    reasons = {}
    for name, reason in backends.verdicts(call, problem, backends.AUTOMATIC).items():
        if name != taker:
            other = "it runs only when it is named" if chosen == backends.AUTOMATIC else f"{chosen} was named"
            reasons[name] = reason or (f"{taker} comes first" if _automatic(name) and taker else other)
    return taker, reasons


def _automatic(name: str) -> bool:
    return name not in backends._ONLY_BY_NAME and backends.get_backend() == backends.AUTOMATIC


def _visible_scores(call: Call, problem: Any) -> tuple[int, bool]:
    """Number of visible scores of all heads, and whether a mask's content was counted too."""
    heads, sequences = problem.q_heads, problem.sequences
    if not problem.has_mask:
        return heads * sum(seq.visible_area() for seq in sequences), True
    scores = heads * sum(seq.q_len * seq.kv_len for seq in sequences)
    readable = call.atten_mask is not None and not is_fake(call.atten_mask) and call.atten_mask.device.type == "cpu"
    if scores > _COUNTED_SCORES or not readable:
        return heads * sum(seq.visible_area() for seq in sequences), False
    count = 0
    for seq in sequences:
        for head in range(heads):
            visible = problem.visible(seq, (head, head + 1), (0, seq.q_len), (0, seq.kv_len))
            count += seq.q_len * seq.kv_len if visible is None else int(visible.sum())
    return count, True


def _flops(count: int) -> str:
    for unit, size in (("TFLOP", 10**12), ("GFLOP", 10**9), ("MFLOP", 10**6)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} FLOP"
