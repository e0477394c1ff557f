"""What torch_npu has around attention, against formulas written out here; and the attention functions themselves."""

import math

import npu_flash_attention as nfa
import pytest
import torch

pytestmark = pytest.mark.usefixtures("stand_in")

CLOSE = {"rtol": 1e-6, "atol": 1e-6}


def x(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, device="npu")


def test_attention_is_the_packages_own():
    import torch_npu

    for name in ("npu_fusion_attention", "npu_fusion_attention_v2", "npu_fusion_attention_v3", "npu_fusion_attention_grad",
                 "npu_fusion_attention_grad_v2", "npu_fusion_attention_grad_v3", "npu_ring_attention_update",
                 "npu_attention_update", "npu_dropout_gen_mask", "_npu_dropout_gen_mask"):  # fmt: skip
        assert getattr(torch_npu, name) is getattr(nfa, name) is getattr(torch.ops.npu, name), name


def test_rotary_halves_are_a_complex_product():
    import torch_npu

    value, angle = x(2, 3, 4, 8), torch.randn(4, 4)
    cos, sin = (torch.cat([f(angle)] * 2, -1)[None, None] for f in (torch.cos, torch.sin))
    turned = torch.complex(value[..., :4], value[..., 4:]) * torch.polar(torch.ones_like(angle), angle)
    expected = torch.cat([turned.real, turned.imag], -1)
    torch.testing.assert_close(torch_npu.npu_rotary_mul(value, cos, sin), expected, **CLOSE)


def test_rotary_pairs_are_a_complex_product():
    import torch_npu

    value, angle = x(2, 3, 4, 8), torch.randn(4, 4)
    cos, sin = (f(angle).repeat_interleave(2, -1)[None, None] for f in (torch.cos, torch.sin))
    turned = torch.view_as_complex(value.unflatten(-1, (4, 2))) * torch.polar(torch.ones_like(angle), angle)
    got = torch_npu.npu_rotary_mul(value, cos, sin, rotary_mode="interleave")
    torch.testing.assert_close(got, torch.view_as_real(turned).flatten(-2), **CLOSE)


def test_rotary_by_matrix_and_a_wrong_mode():
    import torch_npu

    value, matrix = x(1, 1, 2, 4), torch.randn(4, 4)
    got = torch_npu.npu_rotary_mul(value, torch.tensor(0.0), torch.tensor(1.0), "half", matrix)
    torch.testing.assert_close(got, torch.einsum("bnsd,de->bnse", value, matrix), **CLOSE)
    with pytest.raises(RuntimeError, match="should be half or interleave, but got quarter"):
        torch_npu.npu_rotary_mul(value, value, value, "quarter")


def test_norms():
    import torch_npu

    value, other, gamma = x(2, 3, 8), x(2, 3, 8), x(8)
    inverse = 1 / torch.sqrt((value**2).sum(-1, keepdim=True) / 8 + 1e-5)
    y, rstd = torch_npu.npu_rms_norm(value, gamma, epsilon=1e-5)
    torch.testing.assert_close(y, value * inverse * gamma, **CLOSE)
    torch.testing.assert_close(rstd, inverse, **CLOSE)
    torch.testing.assert_close(
        torch_npu.npu_gemma_rms_norm(value, gamma, 1e-5)[0], value * inverse * (1 + gamma), **CLOSE
    )
    y, _, total = torch_npu.npu_add_rms_norm(value, other, gamma, 1e-5)
    torch.testing.assert_close(total, value + other)
    torch.testing.assert_close(y, torch_npu.npu_rms_norm(value + other, gamma, 1e-5)[0])
    narrow, rstd = torch_npu.npu_rms_norm(value.bfloat16(), gamma.bfloat16())
    assert narrow.dtype == torch.bfloat16 and rstd.dtype == torch.float32


def test_activations():
    import torch_npu

    value = x(3, 8)
    a, b = value[:, :4], value[:, 4:]
    torch.testing.assert_close(torch_npu.npu_swiglu(value), a / (1 + torch.exp(-a)) * b, **CLOSE)
    torch.testing.assert_close(torch_npu.npu_swiglu(value.T, dim=0), torch_npu.npu_swiglu(value).T, **CLOSE)
    gelu = b * 0.5 * (1 + torch.erf(b / math.sqrt(2)))
    out, activated = torch_npu.npu_geglu(value, approximate=0)
    torch.testing.assert_close(activated, gelu, **CLOSE)
    torch.testing.assert_close(out, a * gelu, **CLOSE)
    left, _ = torch_npu.npu_geglu(torch.cat([b, a], -1), approximate=0, activate_left=True)
    torch.testing.assert_close(left, out)
    tanh = b * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (b + 0.044715 * b**3)))
    torch.testing.assert_close(torch_npu.npu_geglu(value)[1], tanh, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch_npu.npu_gelu(b), gelu, **CLOSE)
    torch.testing.assert_close(torch_npu.npu_gelu(b, approximate="tanh"), tanh, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch_npu.npu_fast_gelu(b), b / (1 + torch.exp(-1.702 * b)), **CLOSE)
    torch.testing.assert_close(torch_npu.fast_gelu(b), torch_npu.npu_fast_gelu(b))
    torch.testing.assert_close(torch_npu.npu_silu(b), b / (1 + torch.exp(-b)), **CLOSE)
    in_place = b.clone()
    assert torch_npu.npu_silu_(in_place) is in_place and torch.equal(in_place, torch_npu.npu_silu(b))
    torch.testing.assert_close(torch_npu.npu_mish(b), b * torch.tanh(torch.log1p(torch.exp(b))), **CLOSE)


def test_masked_softmax():
    import torch_npu

    scores, mask = x(1, 1, 3, 3), torch.tensor([[False, True, True], [False, False, True], [True, True, True]])
    got = torch_npu.npu_scaled_masked_softmax(scores, mask, 0.5)
    assert got[0, 0, 0].tolist() == [1, 0, 0]
    weights = torch.exp(0.5 * scores[0, 0, 1, :2])
    torch.testing.assert_close(got[0, 0, 1, :2], weights / weights.sum(), **CLOSE)
    torch.testing.assert_close(got[0, 0, 2], torch.full((3,), 1 / 3))  # all scores are set to the same number
    triangle = torch_npu.npu_scaled_masked_softmax(scores, mask, 0.5, True)
    assert torch.equal(triangle[0, 0, :2], got[0, 0, :2])
    torch.testing.assert_close(triangle[0, 0, 2], torch.softmax(0.5 * scores[0, 0, 2], -1), **CLOSE)


def test_reshaping():
    import torch_npu

    value = torch.arange(144).reshape(2, 3, 4, 6)
    got = torch_npu.npu_confusion_transpose(value, (0, 2, 1, 3), (2, 4, 18), True)
    assert got.shape == (2, 4, 18) and got[1, 2, 7] == value[1, 1, 2, 1]
    got = torch_npu.npu_confusion_transpose(value, (0, 2, 1), (2, 12, 6), False)
    assert got.shape == (2, 6, 12) and got[1, 5, 7] == value[1, 1, 3, 5]
    assert torch_npu.npu_transpose(value, (3, 0, 1, 2))[5, 1, 2, 3] == value[1, 2, 3, 5]
    assert torch_npu.npu_format_cast(value, 29) is value and torch_npu.get_npu_format(value) == 2
    assert torch_npu.npu_dtype_cast(value, torch.float16).dtype == torch.float16
    weight = torch.randn(4, 6)
    torch.testing.assert_close(torch_npu.npu_linear(value[0, 0].float(), weight), value[0, 0].float() @ weight.T)


def test_they_have_gradients():
    import torch_npu

    value, gamma = x(2, 4, dtype=torch.float64).requires_grad_(), x(4, dtype=torch.float64).requires_grad_()
    cos, sin = x(2, 4, dtype=torch.float64), x(2, 4, dtype=torch.float64)
    for function in (torch_npu.npu_swiglu, torch_npu.npu_geglu, torch_npu.npu_fast_gelu):
        assert torch.autograd.gradcheck(function, value)
    assert torch.autograd.gradcheck(lambda v: torch_npu.npu_rotary_mul(v, cos, sin, "interleave"), value)
    leaf, weight = value.detach().float().requires_grad_(), gamma.detach().float().requires_grad_()
    torch_npu.npu_rms_norm(leaf, weight)[0].square().sum().backward()
    inverse = torch.rsqrt(value.square().mean(-1, keepdim=True) + 1e-6)
    (value * inverse * gamma).square().sum().backward()
    torch.testing.assert_close(leaf.grad, value.grad.float(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weight.grad, gamma.grad.float(), rtol=1e-4, atol=1e-5)


def test_fused_optimizers_are_torchs():
    from torch_npu.optim import NpuFusedAdam, NpuFusedAdamW, NpuFusedSGD

    for fused, plain in (
        (NpuFusedAdamW, torch.optim.AdamW),
        (NpuFusedAdam, torch.optim.Adam),
        (NpuFusedSGD, torch.optim.SGD),
    ):
        parameters = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
        optimizers = [kind([parameter], lr=0.1) for kind, parameter in zip((fused, plain), parameters, strict=True)]
        for parameter in parameters:
            parameter.grad = torch.tensor([3.0, 4.0, 0.0])
        assert optimizers[0].clip_grad_norm_fused_(1.0) == 5
        torch.nn.utils.clip_grad_norm_(parameters[1:], 1.0)
        for optimizer in optimizers:
            optimizer.step()
        assert torch.equal(*parameters) and parameters[0][0] != 1


def test_what_is_missing_says_so():
    import torch_npu

    with pytest.raises(
        AttributeError, match=r"torch_npu\.npu_nsa_compress: not in the stand-in.*covers attention.*dir\(torch_npu\)"
    ):
        torch_npu.npu_nsa_compress  # noqa: B018
    with pytest.raises(AttributeError, match=r"torch\.npu\.NPUGraph: not in the stand-in"):
        torch.npu.NPUGraph  # noqa: B018
    assert not hasattr(torch_npu, "npu_nsa_compress")
    with pytest.raises(ImportError):
        from torch_npu import npu_nsa_compress  # noqa: F401
    assert {"npu_fusion_attention", "npu_rms_norm", "npu", "optim"} <= set(dir(torch_npu))
