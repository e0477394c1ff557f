"""The ways in which PyTorch does a row's work. Each gives a forward and a backward to time; the fastest counts.

All are scaled_dot_product_attention. What it needs beside the inputs (a float mask that holds mask, bias or window) is
made beforehand and not timed. Sequences of different lengths are a loop, or one padded batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from .registry import Inputs

# The unfused path holds all scores several times over.
MATH_SCORES = 1 << 26


@dataclasses.dataclass
class Rival:
    name: str
    forward: Callable[[], object]
    backward: Callable[[], object]


def rivals(inputs: Inputs) -> Iterator[Rival]:
    row = inputs.row
    if row.lengths:
        yield _loop(inputs)
        yield _padded(inputs)
        return
    mask = _float_mask(inputs)
    backends = {"flash": SDPBackend.FLASH_ATTENTION}
    if row.heads * row.seq * row.seq <= MATH_SCORES:
        backends["math"] = SDPBackend.MATH
    for name, backend in backends.items():
        if name == "flash" and row.dropout:
            continue  # it has none
        for repeat in (False, True) if row.kv_heads < row.heads else (False,):
            yield _sdpa(inputs, name + (" repeated KV" if repeat else ""), backend, mask, repeat)


def _float_mask(inputs: Inputs) -> Tensor | None:
    row = inputs.row
    if not (row.window or row.dense_bias or row.dense_mask or row.slopes):
        return None
    i, j = torch.arange(row.seq)[:, None], torch.arange(row.seq)[None, :]
    hidden = torch.zeros(row.seq, row.seq, dtype=torch.bool)
    if row.causal or row.window:
        hidden |= j > i
    if row.window:
        hidden |= j < i - row.window
    if inputs.hidden is not None:
        hidden |= inputs.hidden
    mask = torch.zeros(1, 1, row.seq, row.seq)
    if inputs.bias is not None:
        mask = inputs.bias.float()
    if inputs.slopes is not None:
        mask = -inputs.slopes.view(1, -1, 1, 1) * (i - j).abs()
    return mask.masked_fill(hidden, -torch.inf).to(row.dtype)


def _sdpa(inputs: Inputs, name: str, backend: SDPBackend, mask: Tensor | None, repeat: bool) -> Rival:
    row = inputs.row
    group = row.heads // row.kv_heads

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if repeat:
            key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=mask,
                dropout_p=row.dropout,
                is_causal=row.causal and mask is None,
                enable_gqa=group > 1 and not repeat,
            )

    return _timed(name, attend, (inputs.query, inputs.key, inputs.value), inputs.dy)


def _loop(inputs: Inputs) -> Rival:
    row = inputs.row
    ends = torch.tensor(row.lengths).cumsum(0).tolist()

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        parts = []
        for length, end in zip(row.lengths, ends, strict=True):
            q, k, v = (t[end - length : end].transpose(0, 1).unsqueeze(0) for t in (query, key, value))
            parts.append(scaled_dot_product_attention(q, k, v, is_causal=True)[0].transpose(0, 1))
        return torch.cat(parts)

    return _timed("flash, a loop", attend, (inputs.query, inputs.key, inputs.value), inputs.dy)


def _padded(inputs: Inputs) -> Rival:
    """Padding at the end of a causal sequence is seen by nobody, so it needs no mask; filling it is not timed."""
    lengths = inputs.row.lengths

    def pad(t: Tensor) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(t.split(lengths), batch_first=True).transpose(1, 2).contiguous()

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return scaled_dot_product_attention(query, key, value, is_causal=True)

    padded = tuple(pad(t) for t in (inputs.query, inputs.key, inputs.value))
    return _timed("flash, padded", attend, padded, pad(inputs.dy))


def _timed(name: str, attend: Callable[..., Tensor], tensors: tuple[Tensor, ...], dy: Tensor) -> Rival:
    leaves = tuple(t.clone().requires_grad_() for t in tensors)
    graph: list[Tensor] = []

    def forward() -> Tensor:
        with torch.no_grad():
            return attend(*tensors)

    def backward() -> object:
        if not graph:
            graph.append(attend(*leaves))
        return torch.autograd.grad(graph[0], leaves, dy, retain_graph=True)

    return Rival(name, forward, backward)
