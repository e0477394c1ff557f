"""The fused optimizers of torch_npu under their names, as torch's own."""

import torch

__all__ = ["NpuFusedAdam", "NpuFusedAdamW", "NpuFusedSGD"]


class _Fused(torch.optim.Optimizer):
    def clip_grad_norm_fused_(self, max_norm, norm_type=2):
        """torch.nn.utils.clip_grad_norm_ over all parameters of the optimizer."""
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)


class NpuFusedAdam(_Fused, torch.optim.Adam):
    """torch.optim.Adam."""


class NpuFusedAdamW(_Fused, torch.optim.AdamW):
    """torch.optim.AdamW."""


class NpuFusedSGD(_Fused, torch.optim.SGD):
    """torch.optim.SGD."""
