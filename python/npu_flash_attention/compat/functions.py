"""Functions of torch_npu that models call around attention, in plain torch.

They follow the formulas of the vendor's manual, compute in float32 where the inputs are narrower, and return the dtype
of the input; gradients are autograd's. They make a script run and its numbers right to rounding, not bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_ND = 2  # the plain, dense format; the only one a CPU has
_HIDDEN = -1e4  # what a masked score is set to


def npu_rotary_mul(
    input: Tensor, r1: Tensor, r2: Tensor, rotary_mode: str = "half", rotate: Tensor | None = None
) -> Tensor:
    """r1 * input + r2 * rotated(input): rotary position embedding, r1 the cosines and r2 the sines.

    Args:
        input: [B, N, S, D] or another order of four axes; r1, r2 broadcast to it.
        rotary_mode: "half" turns element d with d + D/2, "interleave" 2d with 2d + 1.
        rotate: [D, D]; the rotated input is input @ rotate, whatever the mode.
    """
    if rotate is not None:
        return r1 * input + r2 * (input @ rotate)
    if rotary_mode == "half":
        first, second = input.chunk(2, dim=-1)
        return r1 * input + r2 * torch.cat((-second, first), dim=-1)
    if rotary_mode == "interleave":
        return r1 * input + r2 * torch.stack((-input[..., 1::2], input[..., ::2]), dim=-1).flatten(-2)
    raise RuntimeError(f"The rotary_mode of npu_rotary_mul should be half or interleave, but got {rotary_mode}")


def npu_rms_norm(self: Tensor, gamma: Tensor, epsilon: float = 1e-6) -> tuple[Tensor, Tensor]:
    """(self / rms(self) * gamma, 1 / rms(self)), the mean over the axes of gamma; the second in float32."""
    axes = tuple(range(-gamma.dim(), 0))
    x = self.float()
    inverse = torch.rsqrt(x.square().mean(axes, keepdim=True) + epsilon)
    return (x * inverse * gamma.float()).to(self.dtype), inverse


def npu_gemma_rms_norm(self: Tensor, gamma: Tensor, epsilon: float = 1e-6) -> tuple[Tensor, Tensor]:
    """`npu_rms_norm` with the factor 1 + gamma."""
    return npu_rms_norm(self, 1 + gamma.float(), epsilon)


def npu_add_rms_norm(x1: Tensor, x2: Tensor, gamma: Tensor, epsilon: float = 1e-6) -> tuple[Tensor, Tensor, Tensor]:
    """(y, rstd, x) with x = x1 + x2 and (y, rstd) = `npu_rms_norm`(x)."""
    x = x1 + x2
    return *npu_rms_norm(x, gamma, epsilon), x


def npu_swiglu(self: Tensor, dim: int = -1) -> Tensor:
    """silu(a) * b for the halves a, b of self along `dim`."""
    a, b = self.chunk(2, dim=dim)
    return F.silu(a) * b


def npu_geglu(self: Tensor, dim: int = -1, approximate: int = 1, activate_left: bool = False) -> tuple[Tensor, Tensor]:
    """(a * gelu(b), gelu(b)) for the halves a, b of self along `dim`, exchanged with `activate_left`.

    Args:
        approximate: 1 takes the tanh formula, 0 the exact one.
    """
    a, b = self.chunk(2, dim=dim)
    if activate_left:
        a, b = b, a
    activated = F.gelu(b, approximate="tanh" if approximate else "none")
    return a * activated, activated


def npu_gelu(self: Tensor, *, approximate: str = "none") -> Tensor:
    return F.gelu(self, approximate=approximate)


def npu_fast_gelu(self: Tensor) -> Tensor:
    """self * sigmoid(1.702 self)."""
    return self * torch.sigmoid(1.702 * self)


fast_gelu = npu_fast_gelu


def npu_silu(self: Tensor) -> Tensor:
    return F.silu(self)


def npu_silu_(self: Tensor) -> Tensor:
    """`npu_silu` in place."""
    return F.silu(self, inplace=True)


def npu_mish(self: Tensor) -> Tensor:
    return F.mish(self)


def npu_scaled_masked_softmax(x: Tensor, mask: Tensor, scale: float = 1.0, fixed_triu_mask: bool = False) -> Tensor:
    """softmax(scale * x) along the last axis; scores become -1e4 where mask is True.

    Args:
        mask: bool, broadcasts to x.
        fixed_triu_mask: hide what lies above the diagonal instead of reading `mask`.
    """
    if fixed_triu_mask:
        mask = torch.ones(x.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
    return torch.softmax((x.float() * scale).masked_fill(mask, _HIDDEN), dim=-1).to(x.dtype)


def npu_confusion_transpose(self: Tensor, perm: Sequence[int], shape: Sequence[int], transpose_first: bool) -> Tensor:
    """permute then reshape, or with `transpose_first` False reshape then permute; contiguous."""
    if transpose_first:
        return self.permute(*perm).contiguous().view(*shape)
    return self.reshape(*shape).permute(*perm).contiguous()


def npu_transpose(self: Tensor, perm: Sequence[int], require_contiguous: bool = True) -> Tensor:
    """The permuted tensor, contiguous."""
    return self.permute(*perm).contiguous()


def npu_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(input, weight, bias)


def npu_dtype_cast(input: Tensor, dtype: torch.dtype) -> Tensor:
    return input.to(dtype)


def npu_format_cast(self: Tensor, acl_format: int) -> Tensor:
    """self: memory formats of the device have no meaning here."""
    return self


def npu_format_cast_(self: Tensor, acl_format: int | Tensor) -> Tensor:
    """self, as `npu_format_cast`."""
    return self


def get_npu_format(self: Tensor) -> int:
    """2, which is ND."""
    return _ND


ALL = {
    function.__name__: function
    for function in (
        npu_rotary_mul,
        npu_rms_norm,
        npu_gemma_rms_norm,
        npu_add_rms_norm,
        npu_swiglu,
        npu_geglu,
        npu_gelu,
        npu_fast_gelu,
        npu_silu,
        npu_silu_,
        npu_mish,
        npu_scaled_masked_softmax,
        npu_confusion_transpose,
        npu_transpose,
        npu_linear,
        npu_dtype_cast,
        npu_format_cast,
        npu_format_cast_,
        get_npu_format,
    )
} | {"fast_gelu": fast_gelu}
