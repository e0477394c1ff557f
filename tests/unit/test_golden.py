"""The golden model against autograd over a plain dense formula, against finite differences, and against itself."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from npu_flash_attention import golden
from torch import Tensor

TIGHT = {"rtol": 1e-11, "atol": 1e-12}
TRIANGLE = torch.ones(2048, 2048, dtype=torch.bool).triu(1)


@pytest.fixture
def gen() -> torch.Generator:
    return torch.Generator().manual_seed(20)


def close(got: Tensor | None, want: Tensor | None, **tolerances: Any) -> None:
    assert got is not None and want is not None
    torch.testing.assert_close(got, want.detach(), **(tolerances or TIGHT))


def plain_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float = 1.0,
    bias: Tensor | None = None,
    bias_first: bool = True,
    hidden: Tensor | None = None,
    keep: Tensor | None = None,
    keep_prob: float = 1.0,
    sink: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Dense attention [B, N, Sq, Dv] and its log-sum-exp, for autograd. Every row must see something."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    s = torch.einsum("bnid,bnjd->bnij", q, k)
    bias = torch.zeros(()) if bias is None else bias
    s = (s + bias) * scale if bias_first else s * scale + bias
    if hidden is not None:
        s = s.masked_fill(hidden, -math.inf)
    if sink is not None:
        s = torch.cat([s, sink[None, :, None, None].expand(*s.shape[:3], 1)], dim=-1)
    lse, p = torch.logsumexp(s, -1), torch.softmax(s, -1)[..., : k.shape[2]]
    if keep is not None:
        p = p * keep / keep_prob
    return p @ v, lse


def unpack(bits: Tensor, shape: tuple[int, ...]) -> Tensor:
    return torch.stack([bits >> i & 1 for i in range(8)], 1).flatten()[: math.prod(shape)].reshape(shape).double()


def both(inputs: tuple[Any, ...], dy: Tensor, **options: Any) -> tuple[golden.Forward, golden.Backward]:
    """Forward, then backward from what the forward gave."""
    query, key, value, heads, layout = inputs
    out = golden.forward(*inputs, **options)
    saved = {"softmax_max": out.softmax_max, "softmax_sum": out.softmax_sum, "attention_in": out.attention_out}
    return out, golden.backward(query, key, value, dy, heads, layout, **saved, **options)


class Example:
    """A call in BNSD with everything that can have a gradient, and the same call for `plain_attention`."""

    def __init__(self, gen: torch.Generator, feature: str) -> None:
        batches, heads, kv_heads, q_len, kv_len, dim, value_dim = 2, 4, 2, 5, 7, 6, 3
        if feature in ("slopes", "square_root_slopes"):
            kv_len = q_len

        def new(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=gen, dtype=torch.float64)

        self.heads, self.scale = heads, 0.4
        self.leaves = {
            "query": new(batches, heads, q_len, dim),
            "key": new(batches, kv_heads, kv_len, dim),
            "value": new(batches, kv_heads, kv_len, value_dim),
        }
        self.dy = new(batches, heads, q_len, value_dim)
        self.options: dict[str, Any] = {"scale": self.scale}
        self.plain: dict[str, Any] = {"scale": self.scale}
        i, j = torch.arange(q_len)[:, None], torch.arange(kv_len)[None, :]
        if feature in ("causal", "everything"):
            self.options |= {"atten_mask": TRIANGLE, "sparse_mode": 3}
            self.plain["hidden"] = j > i + kv_len - q_len
        if feature == "mask":
            hidden = torch.rand(batches, heads, q_len, kv_len, generator=gen) < 0.4
            hidden[..., 0] = False
            self.options |= {"atten_mask": hidden.to(torch.uint8)}
            self.plain["hidden"] = hidden
        if feature in ("dropout", "everything"):
            shape = (batches, heads, q_len, kv_len)
            self.options |= {"keep_prob": 0.7, "seed": 5, "offset": 24}
            bits = golden.dropout_bits(math.prod(shape), 5, 24, 0.7)
            self.plain |= {"keep": unpack(bits, shape), "keep_prob": 0.7}
        if feature in ("sink", "everything"):
            self.leaves["sink"] = new(heads)
        if feature in ("rope", "everything"):
            self.leaves["query_rope"] = new(batches, heads, q_len, 2)
            self.leaves["key_rope"] = new(batches, kv_heads, kv_len, 2)
        shapes = {
            "pse_bnss": (batches, heads, q_len, kv_len),
            "pse_bn1s": (batches, heads, 1, kv_len),
            "pse_1nss": (1, heads, q_len, kv_len),
            "pse_1n1s": (1, heads, 1, kv_len),
            "everything": (batches, heads, q_len, kv_len),
            "pse_after_scale": (1, heads, q_len, kv_len),
        }
        self.plain_bias: Callable[[Tensor], Tensor] = lambda pse: pse
        if feature in shapes:
            self.leaves["pse"] = new(*shapes[feature])
            self.options["pse_type"] = 0 if feature == "pse_after_scale" else 1
        if feature == "slopes":
            self.leaves["pse"] = new(heads)
            self.options |= {"pse_type": 2, "q_start_idx": [4], "kv_start_idx": [1]}
            self.plain_bias = lambda pse: -pse[None, :, None, None] * (j + 1 - i - 4).abs()
        if feature == "square_root_slopes":
            self.leaves["pse"] = new(batches, heads)
            self.options |= {"pse_type": 3}
            self.plain_bias = lambda pse: -pse[:, :, None, None] * (j - i).abs().double().sqrt()

    def golden_both(self) -> tuple[golden.Forward, golden.Backward]:
        extra = {name: t for name, t in self.leaves.items() if name not in ("query", "key", "value")}
        inputs = (self.leaves["query"], self.leaves["key"], self.leaves["value"], self.heads, "BNSD")
        return both(inputs, self.dy, **extra, **self.options)

    def golden_loss(self) -> float:
        return (self.golden_both()[0].attention_out * self.dy).sum().item()

    def plain_both(self) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        leaves = {name: t.clone().requires_grad_() for name, t in self.leaves.items()}
        q, k = leaves["query"], leaves["key"]
        if "query_rope" in leaves:
            q, k = torch.cat([q, leaves["query_rope"]], -1), torch.cat([k, leaves["key_rope"]], -1)
        if "pse" in leaves:
            self.plain |= {"bias": self.plain_bias(leaves["pse"])}
            self.plain["bias_first"] = self.options["pse_type"] == 1
        out, lse = plain_attention(q, k, leaves["value"], sink=leaves.get("sink"), **self.plain)
        out.backward(self.dy)
        return out, lse, {name: t.grad for name, t in leaves.items() if t.grad is not None}


def gradients(grads: golden.Backward) -> dict[str, Tensor | None]:
    names = ("query", "key", "value", "pse", "query_rope", "key_rope", "sink")
    return {name: grad for name, grad in zip(names, grads, strict=True) if grad is not None}


FEATURES = ["none", "causal", "mask", "dropout", "sink", "rope", "pse_bnss", "pse_bn1s", "pse_1nss", "pse_1n1s"]
FEATURES += ["pse_after_scale", "slopes", "square_root_slopes", "everything"]


@pytest.mark.parametrize("feature", FEATURES)
def test_against_autograd(gen: torch.Generator, feature: str) -> None:
    example = Example(gen, feature)
    out, grads = example.golden_both()
    want, lse, want_grads = example.plain_both()
    close(out.attention_out, want)
    close(out.softmax_max[..., 0] + out.softmax_sum[..., 0].log(), lse)
    assert out.softmax_max.shape == (*lse.shape, 8)
    assert torch.equal(out.softmax_max, out.softmax_max[..., :1].expand(*lse.shape, 8))
    assert torch.equal(out.softmax_sum, out.softmax_sum[..., :1].expand(*lse.shape, 8))
    got = gradients(grads)
    assert got.keys() == want_grads.keys() == example.leaves.keys()
    for name in got:
        close(got[name], want_grads[name])


@pytest.mark.parametrize(
    "feature", ["everything", "mask", "pse_bn1s", "pse_after_scale", "slopes", "square_root_slopes"]
)
def test_against_finite_differences(gen: torch.Generator, feature: str) -> None:
    """Central differences along every coordinate of the small inputs and along some of the large ones."""
    example, step = Example(gen, feature), 1e-5
    _, grads = example.golden_both()
    for name, grad in gradients(grads).items():
        assert grad is not None
        flat = example.leaves[name].view(-1)
        for index in torch.randperm(flat.numel(), generator=gen)[:12].tolist():
            kept = flat[index].item()
            flat[index] = kept + step
            above = example.golden_loss()
            flat[index] = kept - step
            below = example.golden_loss()
            flat[index] = kept
            assert (above - below) / (2 * step) == pytest.approx(grad.view(-1)[index].item(), rel=1e-7, abs=1e-8), name


def to_layout(x: Tensor, layout: str) -> Tensor:
    """A contiguous BNSD tensor in another layout."""
    match layout.upper():
        case "BNSD":
            return x
        case "BSND":
            return x.transpose(1, 2).contiguous()
        case "BSH":
            return x.transpose(1, 2).flatten(2)
        case "SBH":
            return x.permute(2, 0, 1, 3).flatten(2)
    return x.transpose(1, 2).flatten(0, 1)  # TND with equal lengths


@pytest.mark.parametrize("layout", ["BSND", "bsh", "SBH", "sbh", "TND", "tnd", "bnsd"])
def test_layouts_agree(gen: torch.Generator, layout: str) -> None:
    """Rope, sink, dropout, grouped heads, Dv < D: the same numbers in every layout."""
    example = Example(gen, "everything")
    out, grads = example.golden_both()
    leaves = {name: to_layout(t, layout) if t.dim() == 4 and name != "pse" else t for name, t in example.leaves.items()}
    query, key, value, pse = (leaves.pop(name) for name in ("query", "key", "value", "pse"))
    options = dict(example.options)
    if layout.upper() == "TND":
        q_len, kv_len = example.leaves["query"].shape[2], example.leaves["key"].shape[2]
        options |= {"actual_seq_qlen": [q_len, 2 * q_len], "actual_seq_kvlen": (kv_len, 2 * kv_len)}
        pse = pse.flatten()
    inputs = (query, key, value, example.heads, layout)
    got, got_grads = both(inputs, to_layout(example.dy, layout), pse=pse, **leaves, **options)
    close(got.attention_out, to_layout(out.attention_out, layout), rtol=0, atol=0)
    for name in ("softmax_max", "softmax_sum"):
        got_statistic, statistic = getattr(got, name), getattr(out, name)
        if layout.upper() == "TND":  # stored per sequence as [N, S, 8]
            assert got_statistic.shape == (10, 4, 8)
            got_statistic = got_statistic.reshape(statistic.shape)
        close(got_statistic, statistic, rtol=0, atol=0)
    for name, grad in gradients(grads).items():
        assert grad is not None
        want = grad if grad.dim() < 4 else grad.flatten() if name == "pse" else to_layout(grad, layout)
        if name == "pse" and layout.upper() != "TND":
            want = grad
        close(gradients(got_grads)[name], want, rtol=0, atol=0)


def test_chunks_do_not_matter(gen: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    example = Example(gen, "everything")
    out, grads = example.golden_both()
    for scores in (1, 15):  # one row at a time; two rows, with one left over
        monkeypatch.setattr(golden, "CHUNK_SCORES", scores)
        again, grads_again = example.golden_both()
        for got, want in zip((*again, *grads_again), (*out, *grads), strict=True):
            close(got, want)


def test_inputs_are_read_only_and_graphs_are_not_built(gen: torch.Generator) -> None:
    example = Example(gen, "everything")
    before = {name: t.clone() for name, t in example.leaves.items()}
    for t in example.leaves.values():
        t.requires_grad_()
    out, grads = example.golden_both()
    assert not any(t.requires_grad for t in (*out, *grads) if t is not None)
    assert all(torch.equal(t, before[name]) for name, t in example.leaves.items())


def test_strided_inputs_and_other_dtypes(gen: torch.Generator) -> None:
    base = torch.randn(2, 3, 7, 24, generator=gen).to(torch.bfloat16)
    parts = base[..., 0:8], base[..., 8:16], base[..., 16:20]  # views into one projection
    dy = torch.randn(2, 3, 7, 1, generator=gen, dtype=torch.float16).expand(2, 3, 7, 4)
    out, grads = both((*parts, 3, "BNSD"), dy, scale=0.35)
    copies = tuple(t.contiguous().double() for t in parts)
    want, want_grads = both((*copies, 3, "BNSD"), dy.contiguous().double(), scale=0.35)
    for got, expected in zip((*out, *grads[:3]), (*want, *want_grads[:3]), strict=True):
        assert got is not None and got.dtype == torch.float64 and got.is_contiguous()
        close(got, expected, rtol=0, atol=0)


# ---------------------------------------------------------------------------------------------------------------------
# Rows and keys that must not touch each other
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_hidden_keys_may_hold_anything(gen: torch.Generator, poison: float) -> None:
    q, k, v = (torch.randn(1, 2, 6, 4, generator=gen, dtype=torch.float64) for _ in range(3))
    dy = torch.randn(1, 2, 6, 4, generator=gen, dtype=torch.float64)
    options = {"atten_mask": torch.zeros(6, 6, dtype=torch.bool), "sparse_mode": 1}
    options["atten_mask"][:, 2] = True
    clean, clean_grads = both((q, k, v, 2, "BNSD"), dy, **options)
    k[:, :, 2], v[:, :, 2] = poison, poison
    dirty, dirty_grads = both((q, k, v, 2, "BNSD"), dy, **options)
    for got, want in zip((*dirty, *dirty_grads[:3]), (*clean, *clean_grads[:3]), strict=True):
        assert got is not None and want is not None and torch.equal(got, want)
    saved = {"softmax_max": dirty.softmax_max, "softmax_sum": dirty.softmax_sum}
    for got, want in zip(golden.backward(q, k, v, dy, 2, "BNSD", **saved, **options)[:3], clean_grads[:3], strict=True):
        close(got, want)


def test_nan_reaches_exactly_the_rows_that_see_it(gen: torch.Generator) -> None:
    """Key 3 of a causal call is NaN: rows 0 to 2 do not notice, nor do the gradients of the keys only they touch."""
    q, k, v, dy = (torch.randn(1, 1, 6, 4, generator=gen, dtype=torch.float64) for _ in range(4))
    options = {"atten_mask": TRIANGLE, "sparse_mode": 2}
    clean, clean_grads = both((q, k, v, 1, "BNSD"), dy, **options)
    for poisoned in ("key", "value"):
        bad_k, bad_v = k.clone(), v.clone()
        (bad_k if poisoned == "key" else bad_v)[0, 0, 3, 1] = math.nan
        dirty, dirty_grads = both((q, bad_k, bad_v, 1, "BNSD"), dy, **options)
        assert torch.equal(dirty.attention_out[:, :, :3], clean.attention_out[:, :, :3])
        assert dirty.attention_out[:, :, 3:].isnan().any(dim=-1).all()
        assert torch.equal(dirty_grads.dq[:, :, :3], clean_grads.dq[:, :, :3])
        assert dirty_grads.dq[:, :, 3:].isnan().any(dim=-1).all()


def test_nan_query_rows_stay_out_of_the_gradients_of_keys_they_do_not_see(gen: torch.Generator) -> None:
    q, k, v, dy = (torch.randn(1, 1, 6, 4, generator=gen, dtype=torch.float64) for _ in range(4))
    options = {"atten_mask": TRIANGLE, "sparse_mode": 2}
    _, clean = both((q, k, v, 1, "BNSD"), dy, **options)
    q[0, 0, 2] = math.nan  # sees keys 0 to 2
    dy[0, 0, 2] = math.nan
    _, dirty = both((q, k, v, 1, "BNSD"), dy, **options)
    for name in ("dk", "dv"):
        assert torch.equal(getattr(dirty, name)[:, :, 3:], getattr(clean, name)[:, :, 3:])
        assert getattr(dirty, name)[:, :, :3].isnan().all()


@pytest.mark.parametrize("how", ["mask", "band", "pse"])
@pytest.mark.parametrize("with_sink", [False, True])
def test_rows_that_see_nothing(gen: torch.Generator, how: str, with_sink: bool) -> None:
    q = torch.randn(1, 2, 4, 3, generator=gen, dtype=torch.float64)
    k, v = (torch.randn(1, 2, 3, 3, generator=gen, dtype=torch.float64) for _ in range(2))
    dy = torch.full_like(q, 3.0)
    empty = slice(0, 1)
    options: dict[str, Any] = {}
    if how == "mask":
        empty = slice(1, 3)
        options["atten_mask"] = torch.tensor([[0] * 3, [1] * 3, [1] * 3, [0] * 3], dtype=torch.uint8)
    elif how == "band":
        options |= {"atten_mask": TRIANGLE, "sparse_mode": 3}
    else:
        pse = torch.zeros(1, 2, 4, 3, dtype=torch.float64)
        pse[:, :, 0] = -math.inf
        options["pse"] = pse
    sink = torch.tensor([0.5, -2.0]) if with_sink else None
    out, grads = both((q, k, v, 2, "BNSD"), dy, sink=sink, **options)
    assert torch.equal(out.attention_out[:, :, empty], torch.zeros_like(out.attention_out[:, :, empty]))
    for head in range(2):
        row_max, row_sum = out.softmax_max[0, head, empty], out.softmax_sum[0, head, empty]
        assert (row_max == (golden.EMPTY_ROW_MAX if sink is None else sink[head])).all()
        assert (row_sum == (golden.EMPTY_ROW_SUM if sink is None else 1.0)).all()
    assert (grads.dq[:, :, empty] == 0).all()
    for t in (*out, *grads):
        assert t is None or t.isfinite().all()
    # The other rows, and all gradients of the keys, are those of a call without the empty rows.
    rest = [row for row in range(4) if not empty.start <= row < empty.stop]
    want_out, _ = plain_attention(q[:, :, rest], k, v, sink=None if sink is None else sink.double(), hidden=None)
    if how != "band":
        close(out.attention_out[:, :, rest], want_out)
    some = {"atten_mask": TRIANGLE, "sparse_mode": 3} if how == "band" else {}
    _, want = both((q[:, :, rest], k, v, 2, "BNSD"), dy[:, :, rest], sink=sink, **some)
    close(grads.dk, want.dk)
    close(grads.dv, want.dv)
    if grads.dsink is not None:
        close(grads.dsink, want.dsink)


def test_minus_infinity_hides_like_the_mask(gen: torch.Generator) -> None:
    q, k, v, dy = (torch.randn(1, 2, 5, 3, generator=gen, dtype=torch.float64) for _ in range(4))
    hidden = torch.rand(1, 2, 5, 5, generator=gen) < 0.5
    pse = torch.zeros(1, 2, 5, 5).masked_fill(hidden, -math.inf)
    masked, masked_grads = both((q, k, v, 2, "BNSD"), dy, atten_mask=hidden)
    biased, biased_grads = both((q, k, v, 2, "BNSD"), dy, pse=pse)
    for got, want in zip((*biased, *biased_grads[:3]), (*masked, *masked_grads[:3]), strict=True):
        close(got, want)
    assert biased_grads.dpse is not None and (biased_grads.dpse[hidden] == 0).all()
    # Hidden by either means, a value may hold anything.
    last = torch.zeros(5).index_fill(0, torch.tensor([4]), -math.inf).expand(1, 2, 5, 5)
    clean, clean_grads = both((q, k, v, 2, "BNSD"), dy, pse=last)
    v[:, :, 4] = math.nan
    dirty, dirty_grads = both((q, k, v, 2, "BNSD"), dy, pse=last)
    for got, want in zip((*dirty, *dirty_grads[:4]), (*clean, *clean_grads[:4]), strict=True):
        close(got, want)


def test_a_sink_of_minus_infinity_is_no_sink(gen: torch.Generator) -> None:
    q, k, v, dy = (torch.randn(1, 2, 5, 3, generator=gen, dtype=torch.float64) for _ in range(4))
    options = {"atten_mask": torch.ones(5, 5).tril(-1).bool().logical_not(), "sparse_mode": 1}  # row 0 sees nothing
    without, without_grads = both((q, k, v, 2, "BNSD"), dy, **options)
    with_sink, with_grads = both((q, k, v, 2, "BNSD"), dy, sink=torch.full((2,), -math.inf), **options)
    for got, want in zip((*with_sink, *with_grads[:3]), (*without, *without_grads[:3]), strict=True):
        close(got, want)
    assert with_grads.dsink is not None and (with_grads.dsink == 0).all()


# ---------------------------------------------------------------------------------------------------------------------
# Statistics of other origin
# ---------------------------------------------------------------------------------------------------------------------


def test_backward_of_parts_with_merged_statistics(gen: torch.Generator) -> None:
    """Two blocks of keys, as in ring attention: with the statistics of all keys, their gradients add up."""
    q, k, v, dy = (torch.randn(2, 2, 6, 4, generator=gen, dtype=torch.float64) for _ in range(4))
    whole, want = both((q, k, v, 2, "BNSD"), dy, scale=0.5)
    saved = {"softmax_max": whole.softmax_max, "softmax_sum": whole.softmax_sum, "attention_in": whole.attention_out}
    parts = [
        golden.backward(q, k[:, :, rows], v[:, :, rows], dy, 2, "BNSD", scale=0.5, **saved)
        for rows in (slice(0, 2), slice(2, 6))
    ]
    close(parts[0].dq + parts[1].dq, want.dq)
    close(torch.cat([p.dk for p in parts], dim=2), want.dk)
    close(torch.cat([p.dv for p in parts], dim=2), want.dv)


def test_backward_from_log_sum_exp(gen: torch.Generator) -> None:
    example = Example(gen, "everything")
    out, want = example.golden_both()
    extra = {name: t for name, t in example.leaves.items() if name not in ("query", "key", "value")}
    tensors = [example.leaves[name] for name in ("query", "key", "value")]
    lse = out.softmax_max + out.softmax_sum.log()
    saved = {"softmax_max": lse, "softmax_sum": torch.ones_like(lse)}
    for attention_in in (out.attention_out, None):  # without it, D is the sum of p * dp, which is the same number
        got = golden.backward(
            *tensors, example.dy, 4, "BNSD", attention_in=attention_in, **saved, **extra, **example.options
        )
        for got_grad, want_grad in zip(got, want, strict=True):
            close(got_grad, want_grad)


# ---------------------------------------------------------------------------------------------------------------------
# Packed sequences and empty tensors
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("softmax_layout", ["", "TND"])
@pytest.mark.parametrize("kind", [list, tuple, torch.tensor])
def test_packed_sequences_are_separate_calls(
    gen: torch.Generator, softmax_layout: str, kind: Callable[..., Any]
) -> None:
    """Empty first, middle and last sequences, one without keys, unused tokens at the end, grouped heads."""
    q_ends, kv_ends = [0, 3, 3, 5, 9, 0], [0, 4, 5, 5, 9, 0]
    query = torch.randn(11, 4, 3, generator=gen, dtype=torch.float64)
    key, value = (torch.randn(12, 2, 3, generator=gen, dtype=torch.float64) for _ in range(2))
    dy = torch.randn(11, 4, 3, generator=gen, dtype=torch.float64)
    query[9:], key[9:], value[9:], dy[9:] = (math.nan,) * 4  # unused tokens
    sink = torch.randn(4, generator=gen, dtype=torch.float64)
    options = {"scale": 0.5, "atten_mask": TRIANGLE, "sparse_mode": 3, "sink": sink}
    lengths = {"actual_seq_qlen": kind(q_ends), "actual_seq_kvlen": kind(kv_ends)}
    out, grads = both((query, key, value, 4, "TND"), dy, softmax_layout=softmax_layout, **lengths, **options)
    want_out, want_max, want_sum = (torch.zeros_like(t) for t in out)
    want_dq, want_dk, want_dv = (torch.zeros_like(t) for t in (query, key, value))
    want_dsink = torch.zeros_like(sink)
    for q_rows, kv_rows in ((slice(0, 3), slice(0, 4)), (slice(5, 9), slice(5, 9))):
        one = [t.transpose(0, 1)[None] for t in (query[q_rows], key[kv_rows], value[kv_rows], dy[q_rows])]
        piece, piece_grads = both((*one[:3], 4, "BNSD"), one[3], **options)
        want_out[q_rows] = piece.attention_out[0].transpose(0, 1)
        for want, got in ((want_max, piece.softmax_max), (want_sum, piece.softmax_sum)):
            want[q_rows] = got[0].transpose(0, 1) if softmax_layout else got[0].reshape(-1, 4, 8)
        want_dq[q_rows] = piece_grads.dq[0].transpose(0, 1)
        want_dk[kv_rows], want_dv[kv_rows] = (g[0].transpose(0, 1) for g in (piece_grads.dk, piece_grads.dv))
        assert piece_grads.dsink is not None
        want_dsink += piece_grads.dsink
    expected = (want_out, want_max, want_sum, want_dq, want_dk, want_dv, want_dsink)
    for got, want in zip((*out, *grads[:3], grads.dsink), expected, strict=True):
        close(got, want)


@pytest.mark.parametrize("compressed_rows", [True, False])
def test_gradient_of_packed_biases(gen: torch.Generator, compressed_rows: bool) -> None:
    q_lens, kv_lens = [2, 3], [4, 1]
    query, key, value = (torch.randn(5, 2, 3, generator=gen, dtype=torch.float64) for _ in range(3))
    dy = torch.randn(5, 2, 3, generator=gen, dtype=torch.float64)
    rows = [1, 1] if compressed_rows else q_lens
    pse = torch.randn(sum(2 * r * c for r, c in zip(rows, kv_lens, strict=True)), generator=gen, dtype=torch.float64)
    options = {"actual_seq_qlen": [2, 5], "actual_seq_kvlen": [4, 5]}
    out, grads = both((query, key, value, 2, "TND"), dy, pse=pse, **options)
    want, used = [], 0
    for b, (q_rows, kv_rows) in enumerate(((slice(0, 2), slice(0, 4)), (slice(2, 5), slice(4, 5)))):
        shape = (1, 2, rows[b], kv_lens[b])
        one = [t.transpose(0, 1)[None] for t in (query[q_rows], key[kv_rows], value[kv_rows], dy[q_rows])]
        part = pse[used : used + math.prod(shape)].reshape(shape)
        piece, piece_grads = both((*one[:3], 2, "BNSD"), one[3], pse=part)
        close(out.attention_out[q_rows], piece.attention_out[0].transpose(0, 1))
        assert piece_grads.dpse is not None
        want.append(piece_grads.dpse.flatten())
        used += math.prod(shape)
    close(grads.dpse, torch.cat(want))


def test_compressed_bias_is_the_dense_one(gen: torch.Generator) -> None:
    """1100 rows of a bias that depends on i - j: 1024 of them are enough, and the gradients agree by diagonals."""
    size = 1100
    q, k, v, dy = (torch.randn(1, 1, size, 4, generator=gen, dtype=torch.float64) for _ in range(4))
    by_distance = torch.randn(2 * size - 1, generator=gen, dtype=torch.float64)
    i, j = torch.arange(size)[:, None], torch.arange(size)[None, :]
    full = by_distance[i - j + size - 1][None, None]
    options = {"atten_mask": TRIANGLE, "sparse_mode": 2, "scale": 0.5}
    dense, dense_grads = both((q, k, v, 1, "BNSD"), dy, pse=full, **options)
    small, small_grads = both((q, k, v, 1, "BNSD"), dy, pse=full[:, :, -1024:], **options)
    tokens = [t[0].transpose(0, 1) for t in (q, k, v, dy)]
    lengths = {"actual_seq_qlen": [size], "actual_seq_kvlen": [size]}
    packed, packed_grads = both((*tokens[:3], 1, "TND"), tokens[3], pse=full[:, :, -1024:], **options, **lengths)
    close(small.attention_out, dense.attention_out)
    close(packed.attention_out[:, 0], dense.attention_out[0, 0])
    close(small_grads.dq, dense_grads.dq)
    assert dense_grads.dpse is not None
    for distance in (0, 5, 75, 76, 1000, size - 1):
        want = torch.diagonal(dense_grads.dpse[0, 0], -distance).sum()
        for grads in (small_grads, packed_grads):
            assert grads.dpse is not None and grads.dpse.shape == (1, 1, 1024, size)
            close(torch.diagonal(grads.dpse[0, 0], size - 1024 - distance).sum(), want)


@pytest.mark.parametrize("layout", ["BNSD", "BSND", "BSH", "SBH"])
@pytest.mark.parametrize(("batches", "q_len", "kv_len"), [(0, 3, 4), (2, 0, 4), (2, 3, 0), (2, 0, 0)])
def test_empty_tensors(layout: str, batches: int, q_len: int, kv_len: int) -> None:
    query, dy = (to_layout(torch.ones(batches, 4, q_len, d), layout) for d in (3, 2))
    key, value = (to_layout(torch.ones(batches, 2, kv_len, d), layout) for d in (3, 2))
    out, grads = both((query, key, value, 4, layout), dy, sink=torch.ones(4))
    assert out.attention_out.shape == dy.shape and out.softmax_max.shape == (batches, 4, q_len, 8)
    assert [g.shape for g in grads[:3] if g is not None] == [query.shape, key.shape, value.shape]
    assert all(t is None or (t == 0).all() for t in (*out, *grads))


def test_mask_shapes(gen: torch.Generator) -> None:
    q, k, v, dy = (torch.randn(2, 3, 5, 4, generator=gen, dtype=torch.float64) for _ in range(4))
    full = torch.rand(2, 3, 5, 5, generator=gen) < 0.5
    full[..., 0] = False
    for mask in (full, full[:, :1], full[:1, :1], full[0, 0]):
        for given in (mask, mask.to(torch.uint8), mask.to(torch.uint8) * 255):
            out, grads = both((q, k, v, 3, "BNSD"), dy, atten_mask=given)
            leaves = [t.clone().requires_grad_() for t in (q, k, v)]
            want, _ = plain_attention(*leaves, hidden=mask.expand(2, 3, 5, 5))
            want.backward(dy)
            close(out.attention_out, want)
            for got, leaf in zip(grads[:3], leaves, strict=True):
                close(got, leaf.grad)


def test_compressed_masks_are_never_read() -> None:
    """Content and size of a compressed mask do not matter: the mode's formula does. Lengths may exceed 2048."""
    query, key = torch.zeros(1, 1, 2, 1), torch.arange(3000.0).reshape(1, 1, 3000, 1)
    out = golden.forward(query, key, key, 1, "BNSD", atten_mask=torch.zeros(2048, 2048), sparse_mode=3)
    assert out.softmax_sum[0, 0, :, 0].tolist() == [2999, 3000]


def test_a_sequence_of_8192_stays_well_under_a_gibibyte() -> None:
    """Measured in a process of its own, against the same process before the call."""
    program = """
import resource, torch
from npu_flash_attention import golden
torch.set_num_threads(1)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
x = torch.randn(1, 1, 8192, 8)
golden.forward(x[:, :, :9], x[:, :, :9], x[:, :, :9], 1, "BNSD")
before = peak()
out = golden.forward(x, x, x, 1, "BNSD", keep_prob=0.9)
golden.backward(x, x, x, x, 1, "BNSD", keep_prob=0.9, softmax_max=out.softmax_max, softmax_sum=out.softmax_sum)
print(peak() - before)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(golden.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 512


def test_golden_stands_alone() -> None:
    """The file runs by itself: no compiled extension, nothing else of the package."""
    program = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("referee", {golden.__file__!r})
referee = sys.modules["referee"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(referee)
import torch
x = torch.ones(1, 1, 2, 3)
assert referee.forward(x, x, x, 1, "BNSD").attention_out.tolist() == [[[[1.0] * 3] * 2]]
assert not any(name.startswith("npu_flash_attention") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd="/")
