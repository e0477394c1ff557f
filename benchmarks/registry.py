"""What is timed: one row is one call of the operator, with the ratios that are asked of it."""

from __future__ import annotations

import dataclasses
import random

import torch
from npu_flash_attention.call import Call
from torch import Tensor

TRIANGLE = torch.triu(torch.ones(2048, 2048, dtype=torch.bool), 1)  # the compressed mask of modes 2, 3 and 4


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    wanted: tuple[float, float]  # forward and backward: times as fast as PyTorch
    seq: int = 2048
    dim: int = 128
    heads: int = 8
    kv_heads: int = 8
    dtype: torch.dtype = torch.bfloat16
    causal: bool = False
    window: int = 0  # rows see so many keys up to their own
    dropout: float = 0.0
    dense_bias: bool = False  # [1, N, S, S] in the inputs' dtype
    dense_mask: bool = False  # [S, S]; hides a random tenth
    slopes: bool = False  # ALiBi
    lengths: tuple[int, ...] = ()  # TND

    @property
    def scores(self) -> int:
        """Visible (row, key) pairs of one head."""
        if self.lengths:
            return sum(n * (n + 1) // 2 for n in self.lengths)
        if self.window:
            return sum(min(i + 1, self.window + 1) for i in range(self.seq))
        return self.seq * (self.seq + 1) // 2 if self.causal else self.seq * self.seq

    @property
    def flops(self) -> int:
        """Of the forward's two products over visible scores; the backward has five."""
        return 4 * self.heads * self.scores * self.dim


@dataclasses.dataclass
class Inputs:
    row: Row
    query: Tensor  # [1, N, S, D], or [T, N, D]
    key: Tensor
    value: Tensor
    dy: Tensor
    bias: Tensor | None = None  # [1, N, S, S]
    hidden: Tensor | None = None  # [S, S]
    slopes: Tensor | None = None  # [N]

    def call(self) -> Call:
        row = self.row
        options: dict[str, object] = {}
        if row.window:
            options |= {"atten_mask": TRIANGLE, "sparse_mode": 4, "pre_tokens": row.window, "next_tokens": 0}
        elif row.causal:
            options |= {"atten_mask": TRIANGLE, "sparse_mode": 3}
        if self.hidden is not None:
            options |= {"atten_mask": self.hidden, "sparse_mode": 1}
        if self.bias is not None:
            options |= {"pse": self.bias, "pse_type": 0}
        if self.slopes is not None:
            options |= {"pse": self.slopes, "pse_type": 2}
        if row.dropout:
            options |= {"keep_prob": 1 - row.dropout, "seed": 1}
        if row.lengths:
            ends = torch.tensor(row.lengths).cumsum(0).tolist()
            options |= {"actual_seq_qlen": ends, "actual_seq_kvlen": ends}
        layout = "TND" if row.lengths else "BNSD"
        return Call(self.query, self.key, self.value, row.heads, layout, scale=row.dim**-0.5, **options)  # type: ignore[arg-type]


def make_inputs(row: Row) -> Inputs:
    torch.manual_seed(0)

    def tensor(heads: int) -> Tensor:
        shape = (sum(row.lengths), heads, row.dim) if row.lengths else (1, heads, row.seq, row.dim)
        return torch.randn(shape).to(row.dtype)

    inputs = Inputs(row, tensor(row.heads), tensor(row.kv_heads), tensor(row.kv_heads), tensor(row.heads))
    if row.dense_bias:
        inputs.bias = torch.randn(1, row.heads, row.seq, row.seq).to(row.dtype)
    if row.dense_mask:
        inputs.hidden = torch.rand(row.seq, row.seq) < 0.1
    if row.slopes:
        inputs.slopes = 2.0 ** (-8.0 / row.heads * torch.arange(1, row.heads + 1))
    return inputs


def _ragged_lengths() -> tuple[int, ...]:
    """16 lengths from 64 to 1024."""
    generator = random.Random(0)
    return (64, 1024, *(generator.randint(64, 1024) for _ in range(14)))


ROWS = (
    Row("D128 dense", (1.15, 1.6)),
    Row("D128 causal", (1.6, 1.8), causal=True),
    Row("D64 dense", (1.2, 1.6), dim=64),
    Row("D64 causal", (1.6, 1.8), dim=64, causal=True),
    Row("D128 float32 dense", (1.05, 1.4), dtype=torch.float32),
    Row("D128 float32 causal", (1.5, 1.6), dtype=torch.float32, causal=True),
    Row("D128 float16 dense", (1.15, 1.3), dtype=torch.float16),
    Row("D128 dropout 0.1", (12, 8), dropout=0.1),
    Row("D128 pse + mask + dropout", (8, 6), dense_bias=True, dense_mask=True, dropout=0.1),
    Row("D128 ALiBi slopes causal", (3, 3), slopes=True, causal=True),
    Row("S8192 D128 window 512", (8, 8), seq=8192, window=512),
    Row("TND 16 x 64..1024 causal", (2, 2), lengths=_ragged_lengths(), causal=True),
    Row("GQA 8:1 D128 causal", (1.6, 1.8), kv_heads=1, causal=True),
)
