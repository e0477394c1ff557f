r"""The floor of the error budget: what single roundings may cost, to first order, element by element.

Let a = 2^-24 be the unit roundoff of the float32 in which scores are computed, and u that of the result's dtype, to
which the operator rounds P and dS before their products and every result; t is half its smallest subnormal number. With S_ij = scale (|q_i|.|k_j| (+ |bias|)),
W_ij = c_ij p_ij (see `golden`) and magnitudes in place of signed values:

    r_i      = a (2 sqrt(D) max_j S_ij + sqrt(n) + 2) + u      relative, of p_ij and of what is summed with it:
                                                   the score, the maximum, exp, sums of n terms, the rounding of P
    e(y_i)   = sum_j (r_i W_ij + t) |v_j| + u |y_i| + t
    e(D_i)   = norm_d(|dy_id| e(y_id)) + a sqrt(Dv) |dy_i|.|y_i|      D is taken from the y that the forward returned
    e(ds_ij) = r_i |ds_ij| + p_ij (a sqrt(Dv) c_ij |dy_i|.|v_j| + e(D_i)) + t
    e(dq_i)  = scale sum_j e(ds_ij) |k_j| + u |dq_i| + t      e(dk_j) likewise
    e(dv_j)  = sum_i (r_i W_ij + t) |dy_i| + u |dv_j| + t
    e(m_i)   = a (sqrt(D) max_j S_ij + |m_i|)      e(l_i) = r'_i l_i with r' = r without u
    e(dsink) = norm_i(p_sink,i (r'_i |D_i| + e(D_i))) + a |dsink|

The square roots are the probabilistic bound of a sum of n terms in any order (Higham and Mary, "A new approach to
probabilistic rounding error analysis", 2019), and so are the norms: roundings of different elements are independent;
n is the longest sum behind a gradient, max(Sq N / N2, Skv).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .. import golden
from .inputs import Inputs
from .plain import scores

_ARITHMETIC = 2.0**-24


@torch.no_grad()
def floors(inputs: Inputs, exact: dict[str, Tensor]) -> dict[str, Tensor]:
    """Float64 floors for every result in `exact` (the golden values, by name). Inputs must be free of NaN."""
    problem = inputs.problem()
    heads = problem.head_num
    a, u = _ARITHMETIC, torch.finfo(inputs.query.dtype).eps / 2
    tiny = torch.finfo(inputs.query.dtype).smallest_normal * u
    # Results rounded once, to begin with. The statistics, dsink and gradients of slopes are float32.
    wide = {"softmax_max", "softmax_sum", "dsink"} | ({"dpse"} if problem.pse_type in (2, 3) else set())
    floor = {name: a * t.abs() if name in wide else u * t.abs() + tiny for name, t in exact.items()}
    bias_error = torch.zeros_like(floor["dpse"]) if "dpse" in floor else None
    sink_error = torch.zeros_like(floor["dsink"]) if "dsink" in floor else None  # squared

    def view(name: str, query_side: bool) -> Tensor | None:
        return problem.heads_first(floor[name], heads if query_side else None) if name in floor else None

    y_view = problem.heads_first(exact["attention_out"], heads)
    dy_view = problem.heads_first(inputs.dy, heads)
    out_floor, dv_floor = view("attention_out", True), view("dv", False)
    assert out_floor is not None and dv_floor is not None
    q_views = [v for v in (view("dq", True), view("dq_rope", True)) if v is not None]
    k_views = [v for v in (view("dk", False), view("dk_rope", False)) if v is not None]
    scale = abs(problem.scale)

    for seq, head in problem.work():
        rows = slice(0, seq.q_len)
        s = scores(problem, seq, head, torch.float64)
        v = problem.value_rows(seq, head).abs()
        dy = golden.query_part(dy_view, seq, head, rows).double()
        y = golden.query_part(y_view, seq, head, rows)
        m = problem.statistic_rows(exact["softmax_max"], seq)[head, :, :1]
        l = problem.statistic_rows(exact["softmax_sum"], seq)[head, :, :1]
        p = torch.where(s.seen, torch.exp(s.x - m) / l, 0.0)
        kept = golden.keep(problem, seq, head)
        c = 1.0 if kept is None else kept / problem.keep_prob

        size = scale * (s.q.abs() @ s.k.abs().T)
        if s.bias is not None:
            size = size + torch.where(s.seen, s.bias.abs(), 0.0) * (scale if problem.pse_type == 1 else 1.0)
        largest = torch.where(s.seen, size, 0.0).amax(dim=1, keepdim=True)
        if problem.sink is not None:
            largest = largest.clamp(min=float(problem.sink[head].abs()))
        score_terms, value_terms = s.q.shape[1] ** 0.5, v.shape[1] ** 0.5
        summed = max(seq.q_len * heads // problem.kv_heads, seq.kv_len) ** 0.5
        unrounded = a * (2 * score_terms * largest + summed + 2)
        relative = unrounded + u

        out_error = golden.query_part(out_floor, seq, head, rows)
        out_error += relative * ((c * p) @ v) + tiny * v.sum(dim=0)
        d_error = (dy * out_error).norm(dim=1, keepdim=True)
        d_error += a * value_terms * (dy * y).abs().sum(dim=1, keepdim=True)
        d = (dy * y).sum(dim=1, keepdim=True)
        ds = p * (c * (dy @ problem.value_rows(seq, head).T) - d)
        ds_error = relative * ds.abs() + p * (a * value_terms * c * (dy.abs() @ v.T) + d_error) + tiny
        ds_error = torch.where(s.seen, ds_error, 0.0)
        _add_columns([golden.query_part(t, seq, head, rows) for t in q_views], scale * (ds_error @ s.k.abs()))
        _add_columns([problem.kv_part(t, seq, head) for t in k_views], scale * (ds_error.T @ s.q.abs()))
        problem.kv_part(dv_floor, seq, head).add_((relative * c * p + tiny).T @ dy.abs())
        if bias_error is not None:
            factor = scale if problem.pse_type == 1 else 1.0
            golden.add_bias_gradient(problem, bias_error, seq, head, rows, factor * ds_error)
        if problem.sink is not None and sink_error is not None:
            p_sink = torch.exp(problem.sink[head].double() - m) / l
            sink_error[head] += (p_sink * (unrounded * d.abs() + d_error)).square().sum()
        problem.statistic_rows(floor["softmax_max"], seq)[head] += a * score_terms * largest
        problem.statistic_rows(floor["softmax_sum"], seq)[head] += unrounded * l
    if sink_error is not None:
        floor["dsink"] += sink_error.sqrt()
    if bias_error is not None:
        floor["dpse"] += bias_error.abs()
    return floor


def _add_columns(parts: list[Tensor], error: Tensor) -> None:
    """Adds the columns of an error to the head and rope parts that were joined for the scores."""
    for part, columns in zip(parts, error.split([t.shape[1] for t in parts], dim=1), strict=True):
        part.add_(columns)
