"""What `from torch_npu.contrib import transfer_to_npu` asks for: scripts that say cuda run on the npu, which is the CPU.

Like the original, this replaces `cuda` by `npu` in the arguments of the functions that take a device, and the functions
of torch.cuda by those of torch.npu; and like the original it turns torch.jit.script off, which cannot see through that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils._device import _device_constructors

from .device import renewed
from .patches import Patches

_patches = Patches()

_TENSOR = ("to", "new_empty", "new_empty_strided", "new_full", "new_ones", "new_tensor", "new_zeros", "pin_memory")
_MODULE = ("to", "to_empty")
_AUTOCAST = ("is_autocast_enabled", "get_autocast_dtype", "set_autocast_enabled", "set_autocast_dtype")


def enable(npu: ModuleType) -> None:
    """Takes effect once; `npu` is torch.npu."""
    if _patches:
        return
    constructors = _device_constructors()  # torch compares with these; it has to have listed them before
    names = [name for name, value in vars(torch).items() if callable(value) and _is_in(value, constructors)]
    for owner, functions in (
        (torch, (*names, "load", "set_default_device", *_AUTOCAST)),
        (Tensor, _TENSOR),
        (torch.nn.Module, _MODULE),
        (torch.amp, ("custom_fwd", "custom_bwd")),
        (torch.amp.autocast_mode.autocast, ("__init__",)),
        (torch.amp.GradScaler, ("__init__",)),
        (torch.utils._device.DeviceContext, ("__init__",)),
        (torch.nn.parallel.DistributedDataParallel, ("__init__",)),
    ):
        for name in functions:
            _patches.set(owner, name, _of_npu(getattr(owner, name)))
    _patches.set(torch, "Generator", _generator(torch.Generator))
    if torch.distributed.is_available():
        for owner in (torch.distributed, torch.distributed.distributed_c10d):
            _patches.set(owner, "init_process_group", _of_npu(owner.init_process_group))
    _patches.set(Tensor, "cuda", Tensor.npu)  # type: ignore[attr-defined]
    _patches.set(Tensor, "is_cuda", Tensor.is_npu)  # type: ignore[attr-defined]
    _patches.set(torch.nn.Module, "cuda", torch.nn.Module.npu)  # type: ignore[attr-defined]
    for name in npu.__all__:
        value = getattr(npu, name)
        _patches.set(torch.cuda, name, value if isinstance(value, type) else renewed(value))
    for name in ("autocast", "GradScaler"):
        _patches.set(torch.cuda.amp, name, getattr(npu.amp, name))
    _patches.set(torch.jit, "script", lambda obj, *args, **kwargs: obj)


def disable() -> None:
    _patches.undo()


def _is_in(function: Any, functions: Any) -> bool:
    try:
        return function in functions
    except TypeError:  # not hashable
        return False


def _of_npu(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, called with npu for cuda and with hccl for nccl."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_renamed, args), **{name: _renamed(value) for name, value in kwargs.items()})

    return wrapper


def _renamed(value: Any) -> Any:
    if isinstance(value, torch.device) and value.type == "cuda":
        return torch.device("npu") if value.index is None else torch.device("npu", value.index)
    if isinstance(value, str) and value.partition(":")[0] in ("cuda", "nccl"):
        return value.replace("cuda", "npu").replace("nccl", "hccl")
    return value


def _generator(generator: Any) -> Any:
    class Generator(generator):
        def __new__(cls, device: Any = "cpu") -> torch.Generator:  # type: ignore[misc]
            return generator(_renamed(device))

    return Generator
