"""Loss scaling, as torch does it on the CPU."""

import torch

__all__ = ["GradScaler"]


class GradScaler(torch.amp.GradScaler):
    def __init__(
        self,
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        dynamic=True,
        enabled=True,
    ):
        if not dynamic:
            growth_interval = 1 << 62  # never reached
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
