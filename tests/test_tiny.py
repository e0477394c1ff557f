"""Under ten seconds: the package imports, one call runs forward and backward and agrees with golden."""

from __future__ import annotations

import npu_flash_attention
import torch
from npu_flash_attention import golden


def test_causal_call_agrees_with_golden() -> None:
    query, key, value = (torch.randn(2, 3, 130, 24, dtype=torch.float64, requires_grad=True) for _ in range(3))
    mask = torch.triu(torch.ones(2048, 2048), 1).bool()
    options = {"atten_mask": mask, "sparse_mode": 2, "scale": 0.2, "keep_prob": 0.8}
    out, softmax_max, softmax_sum, _, seed, offset, _ = npu_flash_attention.npu_fusion_attention(
        query, key, value, 3, "BNSD", **options
    )
    inputs = [t.detach() for t in (query, key, value)]
    expected = golden.forward(*inputs, 3, "BNSD", **options, seed=seed, offset=offset)
    torch.testing.assert_close(out, expected.attention_out, rtol=0, atol=1e-12)
    torch.testing.assert_close(softmax_max, expected.softmax_max, rtol=0, atol=1e-12)
    dy = torch.randn_like(out)
    out.backward(dy)
    gradients = golden.backward(
        *inputs,
        dy,
        3,
        "BNSD",
        softmax_max=softmax_max,
        softmax_sum=softmax_sum,
        attention_in=out.detach(),
        **options,
        seed=seed,
        offset=offset,
    )
    for tensor, gradient in zip((query, key, value), (gradients.dq, gradients.dk, gradients.dv), strict=True):
        torch.testing.assert_close(tensor.grad, gradient, rtol=0, atol=1e-12)
