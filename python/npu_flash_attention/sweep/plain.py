"""Plain PyTorch attention, with autograd: what somebody would write without the operator.

In the inputs' own dtype it sets the standard of precision; in float64 it is a check of the golden model's formulas,
with which it shares the rules (who sees what, bias, dropout) but none of the mathematics.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from .. import golden
from .inputs import Inputs

# Gradient of each differentiable input, under the operator's names.
GRADIENT_OF = {
    "query": "dq",
    "key": "dk",
    "value": "dv",
    "pse": "dpse",
    "query_rope": "dq_rope",
    "key_rope": "dk_rope",
    "sink": "dsink",
}


def plain(inputs: Inputs, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """attention_out, softmax_max, softmax_sum and the gradients by name, computed in `dtype` (default: the inputs').

    The statistics are computed in float32 at least, as they are returned. Inputs must be free of NaN.
    """
    dtype = dtype or inputs.query.dtype
    leaves = {
        name: tensor.detach().to(dtype if dtype == torch.float64 else tensor.dtype).clone().requires_grad_()
        for name, tensor in inputs.differentiable().items()
    }
    out = _forward(_problem(inputs, leaves), dtype)
    out.backward(inputs.dy.to(dtype))
    results = {"attention_out": out.detach()}
    for name, leaf in leaves.items():
        results[GRADIENT_OF[name]] = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    with torch.no_grad():
        results |= _statistics(_problem(inputs, {name: leaf.detach().to(wide) for name, leaf in leaves.items()}), wide)
    return results


def _problem(inputs: Inputs, tensors: dict[str, Tensor]) -> golden.Problem:
    """The problem with some tensors, by argument name, in place of the inputs' own."""
    options = inputs.options | {name: t for name, t in tensors.items() if name not in ("query", "key", "value")}
    changed = dataclasses.replace(
        inputs, query=tensors["query"], key=tensors["key"], value=tensors["value"], options=options
    )
    return changed.problem()


@dataclasses.dataclass
class Scores:
    """Of one head of one sequence."""

    q: Tensor  # [Sq, D + rope]
    k: Tensor  # [Skv, D + rope]
    bias: Tensor | None  # [Sq, Skv]
    x: Tensor  # [Sq, Skv]: scaled and biased; minus infinity where hidden
    seen: Tensor  # bool [Sq, Skv]


def scores(problem: golden.Problem, seq: golden.Sequence, head: int, dtype: torch.dtype) -> Scores:
    rows = slice(0, seq.q_len)
    q_parts = [golden.query_part(t, seq, head, rows) for t in (problem.q, problem.q_rope) if t is not None]
    k_parts = [problem.kv_part(t, seq, head) for t in (problem.k, problem.k_rope) if t is not None]
    q, k = torch.cat(q_parts, 1).to(dtype), torch.cat(k_parts, 1).to(dtype)
    x, bias = q @ k.T, golden.bias(problem, seq, head)
    if bias is None:
        x = x * problem.scale
    else:
        bias = bias.to(dtype)
        x = (x + bias) * problem.scale if problem.pse_type == 1 else x * problem.scale + bias
    seen = golden.visible(problem, seq, head) & (x != -torch.inf)
    return Scores(q, k, bias, torch.where(seen, x, -torch.inf), seen)


def _forward(problem: golden.Problem, dtype: torch.dtype) -> Tensor:
    out = torch.zeros(problem.out_shape, dtype=dtype)
    # Keeps the graph of a call that has no scores at all.
    out = out + 0 * problem.query.sum().to(dtype)
    y = problem.heads_first(out, problem.head_num)
    for seq, head in problem.work():
        s = scores(problem, seq, head, dtype)
        logits = s.x
        if problem.sink is not None:
            logits = torch.cat([logits, problem.sink[head].to(dtype).expand(seq.q_len, 1)], dim=1)
        empty = (logits == -torch.inf).all(dim=1, keepdim=True)
        p = torch.softmax(logits.masked_fill(empty, 0), dim=1)[:, : seq.kv_len]
        p = torch.where(s.seen, p, 0)
        kept = golden.keep(problem, seq, head)
        if kept is not None:
            p = torch.where(kept, p / problem.keep_prob, 0)
        v = problem.kv_part(problem.v, seq, head).to(dtype)
        golden.query_part(y, seq, head, slice(0, seq.q_len)).copy_(p @ v)
    return out


def _statistics(problem: golden.Problem, dtype: torch.dtype) -> dict[str, Tensor]:
    row_max = torch.zeros(problem.statistics_shape, dtype=dtype)
    row_sum = torch.zeros(problem.statistics_shape, dtype=dtype)
    for seq, head in problem.work():
        logits = scores(problem, seq, head, dtype).x
        if problem.sink is not None:
            logits = torch.cat([logits, problem.sink[head].to(dtype).expand(seq.q_len, 1)], dim=1)
        m = logits.amax(dim=1, keepdim=True)
        empty = m == -torch.inf
        l = torch.exp(logits - m.masked_fill(empty, 0)).sum(dim=1, keepdim=True)
        problem.statistic_rows(row_max, seq)[head] = m.masked_fill(empty, golden.EMPTY_ROW_MAX)
        problem.statistic_rows(row_sum, seq)[head] = l.masked_fill(empty, golden.EMPTY_ROW_SUM)
    return {"softmax_max": row_max, "softmax_sum": row_sum}
