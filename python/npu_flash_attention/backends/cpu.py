"""FlashAttention by blocks in plain tensor code: the readable CPU backend.

Scores exist one tile of all heads at a time (memory O(S)); tiles outside a sequence's band are never visited; every sum
runs in one fixed order, so equal calls give equal bits. 16-bit inputs are computed in float32 and rounded once.
The rules of visibility, bias and dropout come from the compiled core, a tile at a time.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .._native import native
from ..call import Call, output_shapes
from .golden import statistics_dtype

if TYPE_CHECKING:
    from .._C import Problem
    from .._C import Sequence as Segment

_COLUMNS = 512  # of a tile; a row block is as tall as _TILE_SCORES allows
_ROWS = 128
_TILE_SCORES = 1 << 22


class CpuBackend:
    name = "cpu_plain"

    def unavailable(self) -> str | None:
        return None

    def rejects(self, call: Call, problem: Problem) -> str | None:
        return None if call.query.device.type == "cpu" else f"query is on {call.query.device}, cpu_plain runs on cpu"

    def forward(self, call: Call, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
        return _forward(call, problem)

    def backward(
        self,
        call: Call,
        problem: Problem,
        dy: Tensor,
        softmax_max: Tensor,
        softmax_sum: Tensor,
        attention_in: Tensor | None,
        needs: Sequence[bool],
    ) -> tuple[Tensor | None, ...]:
        return _backward(call, problem, dy, softmax_max, softmax_sum, attention_in, needs)


def _forward(call: Call, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    views = _Views(call, problem)
    out_shape, statistics_shape = output_shapes(call.query, call.key, call.value, call.head_num, call.input_layout)
    out = call.query.new_zeros(out_shape)
    statistics = statistics_dtype(call.query.dtype)
    row_max = torch.zeros(problem.statistic_rows, 8, dtype=statistics)
    row_sum = torch.zeros(problem.statistic_rows, 8, dtype=statistics)
    for sequence in problem.sequences:
        if sequence.kv_len == 0:
            continue
        out_rows = views.rows(out, "out", sequence)
        max_rows = statistic_view(row_max, problem, sequence)
        sum_rows = statistic_view(row_sum, problem, sequence)
        for rows in _blocks(0, sequence.q_len, _row_block(problem)):
            state = _OnlineSoftmax(problem, rows, views.dtype)
            for tile in views.tiles(sequence, rows):
                state.add(tile)
            result, block_max, block_sum = state.finish(views.sink)
            out_rows[:, rows[0] : rows[1]] = result.to(out.dtype)
            max_rows[:, rows[0] : rows[1]] = block_max.unsqueeze(-1).to(statistics)
            sum_rows[:, rows[0] : rows[1]] = block_sum.unsqueeze(-1).to(statistics)
    return out, row_max.view(statistics_shape), row_sum.view(statistics_shape)


class _OnlineSoftmax:
    """Running maximum m, sum l and unnormalised output o of one block of rows: [heads, rows(, Dv)]."""

    def __init__(self, problem: Problem, rows: tuple[int, int], dtype: torch.dtype) -> None:
        shape = (problem.q_heads, rows[1] - rows[0])
        self.problem = problem
        self.m = torch.full(shape, -math.inf, dtype=dtype)
        self.l = torch.zeros(shape, dtype=dtype)
        self.o = torch.zeros(*shape, problem.value_dim, dtype=dtype)

    def add(self, tile: _Tile) -> None:
        x = tile.scores()
        m = torch.maximum(self.m, x.amax(-1))
        p = torch.exp(x - _finite(m).unsqueeze(-1))
        rescale = torch.exp(self.m - _finite(m))
        self.l = self.l * rescale + p.sum(-1)
        self.o = self.o * rescale.unsqueeze(-1) + tile.times_keys(tile.drop(p), tile.value)
        self.m = m

    def finish(self, sink: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """(output, maximum, sum); rows that saw nothing follow the empty-row rule of semantics.h."""
        if sink is not None:
            m = torch.maximum(self.m, sink.unsqueeze(-1))
            rescale = torch.exp(self.m - _finite(m))
            self.l = self.l * rescale + torch.exp(sink.unsqueeze(-1) - _finite(m))
            self.o = self.o * rescale.unsqueeze(-1)
            self.m = m
        empty = self.m == -math.inf
        out = self.o / self.l.masked_fill(empty, 1).unsqueeze(-1)
        return (
            out,
            self.m.masked_fill(empty, native().EMPTY_ROW_MAX),
            self.l.masked_fill(empty, native().EMPTY_ROW_SUM),
        )


def _backward(
    call: Call,
    problem: Problem,
    dy: Tensor,
    softmax_max: Tensor,
    softmax_sum: Tensor,
    attention_in: Tensor | None,
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    need_pse, need_sink = needs[3], needs[6]
    if need_pse and call.pse is not None and not call.pse.is_contiguous():
        call = dataclasses.replace(call, pse=call.pse.contiguous())  # its gradient is addressed like pse itself
        problem = call.build_problem(dy, softmax_max, softmax_sum, attention_in)
    views = _Views(call, problem)
    dy, softmax_max, softmax_sum = dy.contiguous(), softmax_max.contiguous(), softmax_sum.contiguous()
    attention_in = None if attention_in is None else attention_in.contiguous()
    dq = torch.zeros(call.query.shape, dtype=views.dtype)
    dk = torch.zeros(call.key.shape, dtype=views.dtype)
    dv = torch.zeros(call.value.shape, dtype=views.dtype)
    dq_rope = None if call.query_rope is None else torch.zeros(call.query_rope.shape, dtype=views.dtype)
    dk_rope = None if call.key_rope is None else torch.zeros(call.key_rope.shape, dtype=views.dtype)
    dpse = torch.zeros(call.pse.shape, dtype=views.dtype) if need_pse and call.pse is not None else None
    dsink = torch.zeros(problem.q_heads, dtype=views.dtype) if need_sink and views.sink is not None else None
    for sequence in problem.sequences:
        if sequence.kv_len == 0:
            continue
        dy_rows = views.rows(dy, "out", sequence)
        y_rows = None if attention_in is None else views.rows(attention_in, "out", sequence)
        max_rows = statistic_view(softmax_max, problem, sequence)
        sum_rows = statistic_view(softmax_sum, problem, sequence)
        for rows in _blocks(0, sequence.q_len, _row_block(problem)):
            block = slice(*rows)
            dy_block = dy_rows[:, block].to(views.dtype)
            m, l = (t[:, block, 0].to(views.dtype) for t in (max_rows, sum_rows))
            if y_rows is not None:
                delta = (dy_block * y_rows[:, block].to(views.dtype)).sum(-1)
            else:
                delta = sum(
                    (
                        _where_nonzero(p := tile.probabilities(m, l), p * tile.output_gradient(dy_block)).sum(-1)
                        for tile in views.tiles(sequence, rows)
                    ),
                    start=torch.zeros(dy_block.shape[:2], dtype=views.dtype),
                )
            dq_block = torch.zeros(problem.q_heads, rows[1] - rows[0], views.qk_dim, dtype=views.dtype)
            for tile in views.tiles(sequence, rows):
                p = tile.probabilities(m, l)
                columns = slice(*tile.columns)
                dv_rows = views.keys(dv, "dv", sequence)
                dv_rows[:, columns] += tile.times_queries(tile.drop(p), dy_block)
                ds = _where_nonzero(p, p * (tile.output_gradient(dy_block) - delta.unsqueeze(-1)))
                dq_block += tile.times_keys(ds, tile.key)
                dk_tile = tile.times_queries(ds, tile.query) * problem.scale
                views.keys(dk, "dk", sequence)[:, columns] += dk_tile[..., : problem.head_dim]
                if dk_rope is not None:
                    views.keys(dk_rope, "dk_rope", sequence)[:, columns] += dk_tile[..., problem.head_dim :]
                if dpse is not None:
                    score_gradient = ds * problem.scale if problem.bias_before_scale else ds
                    problem.add_bias_gradient(
                        sequence,
                        tile.heads,
                        rows,
                        tile.columns,
                        score_gradient.contiguous().numpy(),
                        dpse.view(-1).numpy(),
                    )
            dq_block *= problem.scale
            views.rows(dq, "dq", sequence)[:, block] = dq_block[..., : problem.head_dim]
            if dq_rope is not None:
                views.rows(dq_rope, "dq_rope", sequence)[:, block] = dq_block[..., problem.head_dim :]
            if dsink is not None and views.sink is not None:
                dsink -= (torch.exp(views.sink.unsqueeze(-1) - m) / l * delta).sum(-1)
    gradients = (dq, dk, dv, dpse, dq_rope, dk_rope, dsink)
    inputs = (call.query, call.key, call.value, call.pse, call.query_rope, call.key_rope, call.sink)
    return tuple(
        gradient.to(tensor.dtype) if need and gradient is not None and tensor is not None else None
        for gradient, tensor, need in zip(gradients, inputs, needs, strict=True)
    )


@dataclasses.dataclass
class _Tile:
    """Scores of rows x columns of one sequence for all heads, computed from [heads, rows | columns, dim] blocks."""

    problem: Problem
    sequence: Segment
    rows: tuple[int, int]
    columns: tuple[int, int]
    query: Tensor
    key: Tensor
    value: Tensor
    hidden: Tensor | None = None

    def __post_init__(self) -> None:
        visible = self.problem.visible(self.sequence, self.heads, self.rows, self.columns)
        self.hidden = None if visible is None else ~torch.from_numpy(visible)

    @property
    def heads(self) -> tuple[int, int]:
        return (0, self.problem.q_heads)

    def scores(self) -> Tensor:
        """x of the operator: scaled and biased products, -inf where hidden."""
        problem = self.problem
        x = self._by_group(self.query).matmul(self.key.transpose(1, 2)).view(self._shape)
        if problem.bias_kind == "none":
            x = x * problem.scale
        else:
            bias = torch.from_numpy(problem.bias(self.sequence, self.heads, self.rows, self.columns))
            x = (x + bias) * problem.scale if problem.bias_before_scale else x * problem.scale + bias
        return x if self.hidden is None else x.masked_fill(self.hidden, -math.inf)

    def probabilities(self, m: Tensor, l: Tensor) -> Tensor:
        """exp(x - m) / l from given statistics, 0 where hidden."""
        x = self.scores()
        return (torch.exp(x - m.unsqueeze(-1)) / l.unsqueeze(-1)).masked_fill(x == -math.inf, 0)

    def drop(self, p: Tensor) -> Tensor:
        if self.problem.dropout_kind == "none":
            return p
        kept = torch.from_numpy(self.problem.kept(self.sequence, self.heads, self.rows, self.columns))
        return (p * self.problem.kept_weight).masked_fill(~kept, 0)

    def output_gradient(self, dy: Tensor) -> Tensor:
        """Gradient of the probabilities: dropout applied to dY V^T."""
        return self.drop(self._by_group(dy).matmul(self.value.transpose(1, 2)).view(self._shape))

    def times_keys(self, weights: Tensor, keys: Tensor) -> Tensor:
        """weights [heads, rows, columns] x keys [kv heads, columns, dim] -> [heads, rows, dim]."""
        product = self._product(self._by_group(weights), keys, lambda seen: self._by_group(seen))
        return product.view(*weights.shape[:2], -1)

    def times_queries(self, weights: Tensor, queries: Tensor) -> Tensor:
        """weights^T [columns, rows] x queries [heads, rows, dim], summed over each group -> [kv heads, columns, dim]."""
        transposed = self._by_group(weights).transpose(1, 2)
        return self._product(transposed, self._by_group(queries), lambda seen: self._by_group(seen).transpose(1, 2))

    def _product(self, weights: Tensor, values: Tensor, shape: Callable[[Tensor], Tensor]) -> Tensor:
        """weights x values, in which a value behind a hidden score adds nothing, whatever it holds.

        0 * NaN is not 0: values that are not finite are left out of the product, and what sees one becomes NaN.
        """
        finite = torch.isfinite(values)
        product = weights.matmul(values.where(finite, 0))
        if bool(finite.all()):
            return product
        seen = shape((self.scores() != -math.inf).to(values.dtype))
        return product.masked_fill(seen.matmul((~finite).to(values.dtype)) > 0, math.nan)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (self.problem.q_heads, self.rows[1] - self.rows[0], self.columns[1] - self.columns[0])

    def _by_group(self, t: Tensor) -> Tensor:
        """[heads, rows, dim] -> [kv heads, group * rows, dim]: the heads of a group share their keys."""
        return t.reshape(self.problem.kv_heads, -1, t.size(-1))


class _Views:
    """Strided [heads, length, dim] views of a sequence in each tensor, and the tiles of a block of rows."""

    def __init__(self, call: Call, problem: Problem) -> None:
        self.call = call
        self.problem = problem
        self.dtype = torch.float64 if call.query.dtype == torch.float64 else torch.float32
        self.sink = None if call.sink is None else call.sink.to(self.dtype)
        self.qk_dim = problem.head_dim + problem.rope_dim
        self._strides = problem.strides

    def rows(self, tensor: Tensor, name: str, sequence: Segment) -> Tensor:
        dim = {"query": self.problem.head_dim, "dq": self.problem.head_dim, "out": self.problem.value_dim}
        return self._view(tensor, name, sequence, self.problem.q_heads, sequence.q_start, sequence.q_len, dim)

    def keys(self, tensor: Tensor, name: str, sequence: Segment) -> Tensor:
        dim = {"key": self.problem.head_dim, "dk": self.problem.head_dim}
        dim |= {"value": self.problem.value_dim, "dv": self.problem.value_dim}
        return self._view(tensor, name, sequence, self.problem.kv_heads, sequence.kv_start, sequence.kv_len, dim)

    def _view(
        self, tensor: Tensor, name: str, sequence: Segment, heads: int, start: int, length: int, dim: dict[str, int]
    ) -> Tensor:
        batch, row, head = self._strides[name]
        offset = tensor.storage_offset() + sequence.batch * batch + start * row
        return tensor.as_strided((heads, length, dim.get(name, self.problem.rope_dim)), (head, row, 1), offset)

    def tiles(self, sequence: Segment, rows: tuple[int, int]) -> Iterator[_Tile]:
        query = self._with_rope(
            self.rows(self.call.query, "query", sequence), self.call.query_rope, "query_rope", self.rows, sequence, rows
        )
        for columns in _blocks(*sequence.visible_kv(*rows), _COLUMNS):
            key = self._with_rope(
                self.keys(self.call.key, "key", sequence), self.call.key_rope, "key_rope", self.keys, sequence, columns
            )
            value = self.keys(self.call.value, "value", sequence)[:, slice(*columns)].to(self.dtype)
            yield _Tile(self.problem, sequence, rows, columns, query, key, value)

    def _with_rope(
        self, base: Tensor, rope: Tensor | None, name: str, view: Any, sequence: Segment, block: tuple[int, int]
    ) -> Tensor:
        parts = [base] if rope is None else [base, view(rope, name, sequence)]
        return torch.cat([part[:, slice(*block)].to(self.dtype) for part in parts], dim=-1)


def statistic_view(statistic: Tensor, problem: Problem, sequence: Segment) -> Tensor:
    """[heads, rows, 8] of a sequence in contiguous softmax_max or softmax_sum."""
    by_token = problem.statistics_by_token
    head, row = (1, problem.q_heads) if by_token else (sequence.q_len, 1)
    shape = (problem.q_heads, sequence.q_len, 8)
    return statistic.as_strided(shape, (head * 8, row * 8, 1), sequence.statistic_start * 8)


def _row_block(problem: Problem) -> int:
    return max(1, min(_ROWS, _TILE_SCORES // (problem.q_heads * _COLUMNS)))


def _blocks(begin: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(begin, end, size):
        yield start, min(start + size, end)


def _where_nonzero(p: Tensor, product: Tensor) -> Tensor:
    """product with 0 where p is 0, so that what a row does not see cannot make it NaN."""
    return product.masked_fill(p == 0, 0)


def _finite(m: Tensor) -> Tensor:
    """m with -inf replaced by 0, so that exp(-inf - m) is 0 rather than NaN."""
    return m.masked_fill(m == -math.inf, 0)
