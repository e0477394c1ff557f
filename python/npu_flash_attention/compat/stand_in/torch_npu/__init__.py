"""Not torch_npu: the stand-in of npu_flash_attention.compat, where `npu` means the CPU (docs/compat.md)."""

import npu_flash_attention as _package
import torch as _torch
from npu_flash_attention.compat import device as _device
from npu_flash_attention.compat import functions as _functions
from npu_flash_attention.compat import real as _real

from . import contrib as contrib
from . import npu as npu
from . import optim as optim
from . import profiler as profiler

_real.refuse_once()
_attention = {name: getattr(_package, name) for name in _package.__all__ if name.startswith(("npu_", "_npu_"))}
_FUNCTIONS = _attention | _functions.ALL
globals().update(_FUNCTIONS)
_device.enable(npu, _FUNCTIONS)

__version__ = f"{_torch.__version__.partition('+')[0]}+stand.in"


def __getattr__(name: str):
    raise AttributeError(
        f"torch_npu.{name}: not in the stand-in of npu_flash_attention.compat, which covers attention and what models "
        "call around it; dir(torch_npu) lists what there is"
    )


def __dir__() -> list[str]:
    return [*_FUNCTIONS, "__version__", "contrib", "npu", "optim", "profiler"]
