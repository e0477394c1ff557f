"""A compiler that recomputes a checkpointed forward in the backward draws the dropout of the first time."""

from __future__ import annotations

import npu_flash_attention as nfa
import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    out = nfa.npu_fusion_attention(torch.sin(query), key, value, 4, "BNSD", keep_prob=0.5, scale=0.25)[0]
    return out * 2


def two_checkpointed(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    first = checkpoint(attend, query, key, value, use_reentrant=False)
    return checkpoint(attend, first, key, value, use_reentrant=False)


@pytest.mark.parametrize(
    "compiler",
    ["aot_eager", "aot_eager_decomp_partition", pytest.param("inductor", marks=pytest.mark.slow)],
)
def test_recomputed_dropout_is_the_first_dropout(compiler: str) -> None:
    torch._dynamo.reset()
    inputs = [torch.randn(2, 4, 50, 16, requires_grad=True) for _ in range(3)]
    results = []
    for function in (two_checkpointed, torch.compile(two_checkpointed, fullgraph=True, backend=compiler)):
        torch.manual_seed(1)
        out = function(*inputs)
        results.append((out, *torch.autograd.grad(out.square().sum(), inputs), nfa.get_rng_state()))
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-5, atol=1e-5)
