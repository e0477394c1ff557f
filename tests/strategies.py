"""Hypothesis strategies for valid calls of the operator, small and plain enough to shrink and to read.

An `Example` is data; `Example.arguments()` makes the tensors, under the names of `npu_fusion_attention_v2`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import npu_flash_attention as fa
import torch
from hypothesis import strategies as st
from torch import Tensor

UNBOUNDED = 2147483647
BATCHED = ("BNSD", "BSND", "BSH", "SBH")
LAYOUTS = (*BATCHED, "TND")
FULL_MASK_MODES = (0, 1, 5)
DIFFERENTIABLE = ("query", "key", "value", "pse", "query_rope", "key_rope", "sink")

Lengths = tuple[int, ...]


@lru_cache
def triangle() -> Tensor:
    """The standard compressed mask."""
    return torch.ones(2048, 2048, dtype=torch.bool).triu(1)


@lru_cache
def prefix_triangle() -> Tensor:
    """The standard compressed mask of mode 6."""
    below = torch.zeros(1024, 2048, dtype=torch.bool)
    below[:, 1024:] = True
    return torch.cat([triangle(), below])


@dataclasses.dataclass(frozen=True)
class Example:
    """One valid call. Batched layouts have one (equal) length per batch, so that every layout reads alike."""

    layout: str
    q_lens: Lengths
    kv_lens: Lengths
    heads: int
    kv_heads: int
    dim: int
    value_dim: int
    mode: int = 0
    mask: str = "none"  # none, compressed, or a full mask: S, 11S, B1S, BNS
    pre_tokens: int = UNBOUNDED
    next_tokens: int = UNBOUNDED
    prefix: Lengths | None = None
    pse: str = "none"  # none, BNSS, 1NSS, BN1S, 1N1S, packed, packed_row, N, BN (slopes)
    pse_type: int = 1
    starts: tuple[int, int] | None = None
    rope: int = 0
    sink: bool = False
    dropout: str = "none"  # none, generated, given
    by_token: bool = False
    dtype: torch.dtype = torch.float64
    seed: int = 1

    @property
    def batch(self) -> int:
        return len(self.q_lens)

    @property
    def scores(self) -> int:
        """Number of scores of the call."""
        return self.heads * sum(q * kv for q, kv in zip(self.q_lens, self.kv_lens, strict=True))

    def arguments(self) -> dict[str, Any]:
        """The call: exactly what npu_fusion_attention_v2 takes."""
        generator = torch.Generator().manual_seed(self.seed)

        def random(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(self.dtype)

        call: dict[str, Any] = {
            "query": self._tokens(random, self.q_lens, self.heads, self.dim),
            "key": self._tokens(random, self.kv_lens, self.kv_heads, self.dim),
            "value": self._tokens(random, self.kv_lens, self.kv_heads, self.value_dim),
            "head_num": self.heads,
            "input_layout": self.layout,
            "scale": 0.6,
            "sparse_mode": self.mode,
            "pre_tokens": self.pre_tokens,
            "next_tokens": self.next_tokens,
            "atten_mask": self._mask(generator),
            "pse_type": self.pse_type,
        }
        if self.layout == "TND":
            call |= {
                "actual_seq_qlen": list(accumulate(self.q_lens)),
                "actual_seq_kvlen": list(accumulate(self.kv_lens)),
            }
            call["softmax_layout"] = "TND" if self.by_token else ""
        if self.prefix is not None:
            call["prefix"] = list(self.prefix)
        if self.pse != "none":
            call["pse"] = random(*self._pse_shape())
            if self.pse_type >= 2:
                call["pse"] = call["pse"].to(torch.float64 if self.dtype == torch.float64 else torch.float32)
        if self.starts is not None:
            call["q_start_idx"], call["kv_start_idx"] = ([start] for start in self.starts)
        if self.rope:
            call["query_rope"] = self._tokens(random, self.q_lens, self.heads, self.rope)
            call["key_rope"] = self._tokens(random, self.kv_lens, self.kv_heads, self.rope)
        if self.sink:
            call["sink"] = random(self.heads).to(torch.float64 if self.dtype == torch.float64 else torch.float32)
        if self.dropout != "none":
            call |= {"keep_prob": 0.7, "seed": 1000 + self.seed, "offset": 24}
        if self.dropout == "given":
            size = (self.scores + 7) // 8
            call["dropout_mask"] = torch.randint(0, 256, (size,), generator=generator, dtype=torch.uint8)
        return call

    def _tokens(self, random: Any, lens: Lengths, heads: int, dim: int) -> Tensor:
        if self.layout == "TND":
            return random(sum(lens), heads, dim)
        return from_bnsd(random(len(lens), heads, lens[0], dim), self.layout)

    def _mask(self, generator: torch.Generator) -> Tensor | None:
        if self.mask == "none":
            return None
        if self.mask == "compressed":
            return prefix_triangle() if self.mode == 6 else triangle()
        rows, columns = max(self.q_lens), max(self.kv_lens)
        shape = {"S": (rows, columns), "11S": (1, 1, rows, columns), "B1S": (self.batch, 1, rows, columns)}
        shape["BNS"] = (self.batch, self.heads, rows, columns)
        return torch.rand(shape[self.mask], generator=generator) < 0.3

    def _pse_shape(self) -> Lengths:
        b, n, rows, columns = self.batch, self.heads, self.q_lens[0], self.kv_lens[0]
        return {
            "BNSS": (b, n, rows, columns),
            "1NSS": (1, n, rows, columns),
            "BN1S": (b, n, 1, columns),
            "1N1S": (1, n, 1, columns),
            "packed": (self.scores,),
            "packed_row": (n * sum(self.kv_lens),),
            "N": (n,),
            "BN": (b, n),
        }[self.pse]


def from_bnsd(tensor: Tensor, layout: str) -> Tensor:
    """A [B, N, S, D] tensor in another batched layout."""
    order = {"BNSD": (0, 1, 2, 3), "BSND": (0, 2, 1, 3), "BSH": (0, 2, 1, 3), "SBH": (2, 0, 1, 3)}
    moved = tensor.permute(order[layout]).contiguous()
    return moved.flatten(2) if layout in ("BSH", "SBH") else moved


def to_bnsd(tensor: Tensor, layout: str, heads: int) -> Tensor:
    """The inverse of `from_bnsd`."""
    if layout in ("BSH", "SBH"):
        tensor = tensor.unflatten(2, (heads, tensor.shape[2] // heads))
    order = {"BNSD": (0, 1, 2, 3), "BSND": (0, 2, 1, 3), "BSH": (0, 2, 1, 3), "SBH": (1, 2, 0, 3)}
    return tensor.permute(order[layout])


def forward(call: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """attention_out, softmax_max, softmax_sum."""
    return fa.npu_fusion_attention_v2(**call)[:3]


def differentiate(call: dict[str, Any], dy: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """attention_out and, through autograd, the gradients of sum(dy * attention_out) by name."""
    leaves = {
        name: call[name].detach().clone().requires_grad_() for name in DIFFERENTIABLE if call.get(name) is not None
    }
    out = fa.npu_fusion_attention_v2(**(call | leaves))[0]
    out.backward(output_gradient(out) if dy is None else dy)
    return out.detach(), {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def output_gradient(out: Tensor) -> Tensor:
    """Some dy for an output of this shape."""
    return torch.randn(out.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64).to(out.dtype)


def _window(q_lens: Lengths, kv_lens: Lengths, mode: int, tnd: bool) -> st.SearchStrategy[tuple[int, int]]:
    """(pre_tokens, next_tokens) that the operator accepts for these lengths (operator.md 2.5)."""
    busy = [(q, kv) for q, kv in zip(q_lens, kv_lens, strict=True) if q and kv]
    reach = max((*q_lens, *kv_lens, 1)) + 1
    token = st.integers(-reach, reach) | st.just(UNBOUNDED)

    def accepted(tokens: tuple[int, int]) -> bool:
        pre, following = tokens
        if not busy:
            return pre >= 0 and following >= 0
        if tnd and mode == 0:
            fits = following >= 0 and all(kv + pre >= q for q, kv in busy) and (pre >= 0 or following >= -pre)
            return fits
        if tnd:  # mode 4
            return pre >= 0 and pre + following >= 0 and all(q - following <= kv for q, kv in busy)
        q, kv = busy[0]
        shift = kv - q if mode == 4 else 0
        pre, following = pre - shift, following + shift
        if pre < 0 and following < 0:
            return False
        if pre < 0 and not (following >= -pre and -pre < kv):
            return False
        return not (following < 0 and not (-following <= pre and -following < q))

    return st.tuples(token, token).filter(accepted)


@st.composite
def examples(
    draw: st.DrawFn,
    layouts: Sequence[str] = LAYOUTS,
    modes: Sequence[int] = tuple(range(9)),
    biases: bool = True,
    dropouts: Sequence[str] = ("none", "generated", "given"),
    ropes: bool = True,
    empty: bool = True,
    dtype: torch.dtype = torch.float64,
) -> Example:
    """Any valid call: layouts, lengths, heads, masks of every mode, biases, sink, ropes, dropout."""
    layout = draw(st.sampled_from(layouts))
    tnd = layout == "TND"
    mode = draw(st.sampled_from([m for m in modes if (m != 5 if tnd else m < 7)]))
    masked = draw(st.booleans()) or mode in (7, 8)
    bias = draw(st.sampled_from(("none", "elements", "slopes"))) if biases else "none"
    if bias == "slopes" and masked and mode == 7:
        bias = "none"

    least = 0 if empty and not (tnd and bias == "elements") else 1
    lengths = st.integers(least, 9)
    count = draw(st.integers(1, 4 if tnd else 3))
    if tnd:
        q_lens = draw(st.lists(lengths, min_size=count, max_size=count))
        kv_lens = draw(st.lists(lengths, min_size=count, max_size=count))
    else:
        q_lens, kv_lens = [draw(lengths)] * count, [draw(lengths)] * count
    square = bias == "slopes" and (not tnd or (masked and mode == 8))
    if square:
        kv_lens = list(q_lens)
    elif tnd and masked and mode in (3, 7):
        kv_lens = [max(q, kv) for q, kv in zip(q_lens, kv_lens, strict=True)]
    elif tnd and masked and mode == 8:
        kv_lens = [kv and max(q, kv) for q, kv in zip(q_lens, kv_lens, strict=True)]
    lens = tuple(q_lens), tuple(kv_lens)
    kv_heads = draw(st.integers(1, 2))
    dim = draw(st.sampled_from((1, 3, 8)))
    fields: dict[str, Any] = {
        "heads": kv_heads * draw(st.integers(1, 3)),
        "kv_heads": kv_heads,
        "dim": dim,
        "value_dim": draw(st.integers(1, dim)),
        "mode": mode,
        "sink": draw(st.booleans()),
        "by_token": tnd and draw(st.booleans()),
        "dtype": dtype,
        "seed": draw(st.integers(1, 5)),
    }
    if masked:
        fields |= draw(_masks(*lens, mode, tnd))
    if bias == "elements":
        shapes = ("packed", "packed_row") if tnd else ("BNSS", "1NSS", "BN1S", "1N1S")
        fields |= {"pse": draw(st.sampled_from(shapes)), "pse_type": draw(st.sampled_from((0, 1)))}
    elif bias == "slopes":
        start = draw(st.none() | st.integers(-20, 20))
        apart = 0 if square and tnd else draw(st.integers(-3, 3))
        fields |= {"pse": draw(st.sampled_from(("N", "BN"))), "pse_type": draw(st.sampled_from((2, 3)))}
        fields["starts"] = None if start is None else (start, start + apart)
    if ropes and tnd and masked and mode != 6 and bias == "none" and draw(st.booleans()):
        fields["rope"] = draw(st.integers(1, dim))
    else:
        fields["dropout"] = draw(st.sampled_from(dropouts))
    return Example(layout, *lens, **fields)


@st.composite
def _masks(draw: st.DrawFn, q_lens: Lengths, kv_lens: Lengths, mode: int, tnd: bool) -> dict[str, Any]:
    """The fields of an Example that say what is visible."""
    fields: dict[str, Any] = {"mask": "compressed"}
    if mode in FULL_MASK_MODES:
        shapes = ("B1S", "BNS") if mode == 5 else ("S", "11S", "B1S", "BNS")
        fields["mask"] = draw(st.sampled_from(shapes))
    if mode in (0, 4):
        fields["pre_tokens"], fields["next_tokens"] = draw(_window(q_lens, kv_lens, mode, tnd))
    if mode == 6 or (mode == 5 and draw(st.booleans())):
        bounds = [(0 if q > kv else kv - q, kv) for q, kv in zip(q_lens, kv_lens, strict=True)]
        fields["prefix"] = tuple(draw(st.integers(low, high)) for low, high in bounds)
    busy = [(q, kv) for q, kv in zip(q_lens, kv_lens, strict=True) if q and kv]
    if mode in (7, 8) and busy:
        q, kv = busy[-1] if mode == 7 else busy[0]
        fields["next_tokens"] = draw(st.integers(q - kv, 0 if mode == 7 else 9))
        fields["pre_tokens"] = kv + draw(st.integers(0, 3))
    elif mode in (7, 8):
        fields["next_tokens"] = 0
    return fields
