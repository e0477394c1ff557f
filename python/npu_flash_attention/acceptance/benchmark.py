"""The benchmark of acceptance: both operators as chains of PyTorch's operations, in the dtype of the inputs.

A chain does what the operator is defined to do, one operation after another, and each operation rounds its result to
the dtype of the inputs; only the softmax and its statistics are computed in float32, as PyTorch does. The second chain
is FlashAttentionScoreGrad, not autograd: it takes the output and the statistics of the first, and D from dy * y.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .. import golden
from ..sweep.inputs import Inputs
from ..sweep.plain import GRADIENT_OF, scores


@torch.no_grad()
def benchmark(inputs: Inputs) -> dict[str, Tensor]:
    """attention_out, softmax_max, softmax_sum and the gradients by name, in the dtypes the operators return them in."""
    problem = inputs.problem()
    dtype, heads = inputs.query.dtype, problem.head_num
    results = {
        "attention_out": torch.zeros(problem.out_shape, dtype=dtype),
        "softmax_max": torch.zeros(problem.statistics_shape),
        "softmax_sum": torch.zeros(problem.statistics_shape),
    }
    leaves = {GRADIENT_OF[name]: tensor for name, tensor in inputs.differentiable().items()}
    sums = {name: torch.zeros(tensor.shape) for name, tensor in leaves.items()}  # over heads, and over what pse shares
    y_view = problem.heads_first(results["attention_out"], heads)
    dy_view = problem.heads_first(inputs.dy, heads)
    dq_views = [problem.heads_first(sums[name], heads) for name in ("dq", "dq_rope") if name in sums]
    dk_views = [problem.heads_first(sums[name]) for name in ("dk", "dk_rope") if name in sums]
    dv_view = problem.heads_first(sums["dv"])

    for seq, head in problem.work():
        rows = slice(0, seq.q_len)
        s = scores(problem, seq, head, dtype)
        v, dy = problem.kv_part(problem.v, seq, head), golden.query_part(dy_view, seq, head, rows)
        kept = golden.keep(problem, seq, head)

        x = s.x.float()
        sink = None if problem.sink is None else problem.sink[head].float()
        m = x.amax(dim=1, keepdim=True) if seq.kv_len else x.new_full((seq.q_len, 1), -torch.inf)
        m = m if sink is None else torch.maximum(m, sink)
        empty = m == -torch.inf
        reference = m.masked_fill(empty, 0)
        l = torch.exp(x - reference).sum(dim=1, keepdim=True)
        l = l if sink is None else l + torch.exp(sink - reference)
        p = torch.where(s.seen, torch.exp(x - reference) / l, 0.0).to(dtype)
        y = _dropped(p, kept, problem.keep_prob) @ v
        golden.query_part(y_view, seq, head, rows).copy_(y)
        problem.statistic_rows(results["softmax_max"], seq)[head] = m.masked_fill(empty, golden.EMPTY_ROW_MAX)
        problem.statistic_rows(results["softmax_sum"], seq)[head] = l.masked_fill(empty, golden.EMPTY_ROW_SUM)

        dp = _dropped(dy @ v.T, kept, problem.keep_prob)
        d = (dy * y).sum(dim=1, keepdim=True, dtype=torch.float32)
        ds = torch.where(s.seen, p * (dp - d), 0.0).to(dtype)
        problem.kv_part(dv_view, seq, head).add_(_dropped(p, kept, problem.keep_prob).T @ dy)
        _add_columns([golden.query_part(view, seq, head, rows) for view in dq_views], (ds @ s.k) * problem.scale)
        _add_columns([problem.kv_part(view, seq, head) for view in dk_views], (ds.T @ s.q) * problem.scale)
        if "dpse" in sums:
            dbias = (ds * problem.scale if problem.pse_type == 1 else ds).float()
            golden.add_bias_gradient(problem, sums["dpse"], seq, head, rows, dbias)
        if sink is not None:
            sums["dsink"][head] -= (torch.exp(sink - reference) / l * d).sum()
    return results | {name: total.to(leaves[name].dtype) for name, total in sums.items()}


def _dropped(x: Tensor, kept: Tensor | None, keep_prob: float) -> Tensor:
    return x if kept is None else torch.where(kept, x / keep_prob, 0.0).to(x.dtype)


def _add_columns(parts: list[Tensor], gradient: Tensor) -> None:
    """Adds the columns of a gradient to the head and rope parts that were joined for the scores."""
    for part, columns in zip(parts, gradient.split([t.shape[1] for t in parts], dim=1), strict=True):
        part.add_(columns)
