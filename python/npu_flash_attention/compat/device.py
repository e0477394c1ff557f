"""The device name `npu`, which means the CPU.

`npu` becomes the name of PyTorch's PrivateUse1 device, the slot that torch keeps for devices from outside and the one
torch_npu takes. No kernels are registered for it except one fallback for every operator: it runs the operator again
with the CPU for each `npu` among the arguments. So the translation happens in torch's dispatcher, behind every way of
naming a device, in every thread and in forked workers, and what never names a device does not pass through it.

A few things ask for a device without calling an operator: generators, autocast, pinned memory, DistributedDataParallel,
checkpoints. Those are patched, and the patches are undone by `disable`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .patches import Patches

CPU = torch.device("cpu")

_patches = Patches()
_fallback: torch.library.Library | None = None
_registered: list[Any] = []  # what torch holds for good: it has no way to unregister a device


def check_torch() -> None:
    """Raises RuntimeError where this torch cannot have a device that is written in Python."""
    if not hasattr(torch._C, "_acc"):
        raise RuntimeError(
            "npu_flash_attention.compat: expected a torch that takes devices written in Python, as 2.13 does, "
            f"got torch {torch.__version__}"
        )


def enable(npu: ModuleType, functions: dict[str, Callable[..., Any]]) -> None:
    """Gives torch the device, with `npu` as torch.npu and `functions` as torch.ops.npu."""
    global _fallback
    check_torch()
    _register_name(npu)
    _fallback = torch.library.Library("_", "IMPL")
    _fallback.fallback(_on_cpu, "PrivateUse1")
    _patch_tensors_and_modules()
    _patch_autocast()
    _patch_distributed()
    _patches.set(torch, "Generator", _Generator)
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats", "reset_accumulated_memory_stats"):
        if hasattr(torch.accelerator, name):
            _patches.set(torch.accelerator, name, renewed(getattr(npu, name)))
    for name, function in functions.items():
        _patches.set(torch.ops.npu, name, function)


def disable() -> None:
    """Undoes `enable`, except for the name itself."""
    global _fallback
    _patches.undo()
    _fallback = None  # a library takes its kernels along
    _set_module(_absent())


def is_npu(device: Any) -> bool:
    """Whether `device`, of any type, names the npu."""
    if isinstance(device, torch.device):
        return device.type == "npu"
    return isinstance(device, str) and device.partition(":")[0] == "npu"


def on_cpu(device: Any) -> Any:
    """`device` with the CPU for the npu; anything else as it is."""
    if not is_npu(device):
        return device
    return "cpu" if isinstance(device, str) else CPU


def _on_cpu(operator: Any, *args: Any, **kwargs: Any) -> Any:
    """The npu's kernel for every operator."""
    return operator(*(on_cpu(value) for value in args), **{name: on_cpu(value) for name, value in kwargs.items()})


# ---------------------------------------------------------------------------------------------------------------------
# The name
# ---------------------------------------------------------------------------------------------------------------------


def _register_name(npu: ModuleType) -> None:
    _set_module(npu)
    if _registered:
        return
    torch.utils.rename_privateuse1_backend("npu")

    class Guard(torch._C._acc.DeviceGuard):
        def type_(self) -> Any:
            return torch._C._autograd.DeviceType.PrivateUse1

    class Hooks(torch._C._acc.PrivateUse1Hooks):
        def is_available(self) -> bool:
            return _fallback is not None

        def has_primary_context(self, index: int) -> bool:
            return _fallback is not None

        def is_built(self) -> bool:
            return _fallback is not None

    _registered.extend([Guard(), Hooks()])
    torch._C._acc.register_python_privateuseone_device_guard(_registered[0])
    torch._C._acc.register_python_privateuseone_hook(_registered[1])
    torch.serialization.register_package(-1, lambda storage: None, _restored)  # before those that would look for a card
    if torch.distributed.is_available():
        torch.distributed.Backend.register_backend("hccl", _gloo, extended_api=False, devices=["cpu", "npu"])


def _set_module(module: ModuleType) -> None:
    """Makes `module` torch.npu, and its submodules those of torch.npu."""
    torch.npu = module  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.startswith("torch.npu.")]:
        del sys.modules[name]
    prefix = module.__name__ + "."
    submodules = {name: loaded for name, loaded in sys.modules.items() if name.startswith(prefix)}
    sys.modules.update({"torch.npu." + name.removeprefix(prefix): loaded for name, loaded in submodules.items()})
    sys.modules["torch.npu"] = module
    torch.get_device_module.cache_clear()  # it would remember the module before


def _absent() -> ModuleType:
    """torch.npu where no npu is: what torch itself asks of a device that it has a name for."""
    module = ModuleType("torch.npu")
    no = ("is_available", "is_initialized", "_is_in_bad_fork")
    vars(module).update({name: lambda: False for name in no}, device_count=lambda: 0, manual_seed_all=lambda seed: None)
    return module


# ---------------------------------------------------------------------------------------------------------------------
# What names a device and is no operator
# ---------------------------------------------------------------------------------------------------------------------


def _patch_tensors_and_modules() -> None:
    def to_npu(self: Any, device: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
        return self.to("npu", non_blocking=non_blocking, **kwargs)

    _patches.set(Tensor, "npu", to_npu)
    _patches.set(Tensor, "is_npu", property(lambda self: self.device.type == "cpu"))
    _patches.set(Tensor, "pin_memory", lambda self, device=None: self)  # all of the npu's memory is the host's
    _patches.set(torch.nn.Module, "npu", lambda self, device=None: self.to("npu"))
    _patches.set(torch.nn.utils.rnn.PackedSequence, "npu", lambda self, *args, **kwargs: self.to("cpu"))
    _patches.set(torch.nn.utils.rnn.PackedSequence, "is_npu", property(lambda self: self.data.is_npu))


class _GeneratorType(type(torch.Generator)):  # type: ignore[misc]
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, torch._C.Generator)


class _Generator(torch.Generator, metaclass=_GeneratorType):
    """torch.Generator, for which the npu's are the CPU's."""

    def __new__(cls, device: Any = "cpu") -> torch.Generator:  # type: ignore[misc]
        return torch._C.Generator(on_cpu(device))


def _patch_autocast() -> None:
    """Autocast of the npu is autocast of the CPU; its dtype is float16 unless the script says otherwise."""
    autocast = torch.amp.autocast_mode.autocast
    before = autocast.__init__

    @functools.wraps(before)
    def init(self: Any, device_type: str, dtype: torch.dtype | None = None, *args: Any, **kwargs: Any) -> None:
        if is_npu(device_type):
            device_type, dtype = "cpu", dtype or torch.float16
        before(self, device_type, dtype, *args, **kwargs)

    _patches.set(autocast, "__init__", init)
    for owner, names in (
        (torch, ("is_autocast_enabled", "get_autocast_dtype", "set_autocast_enabled", "set_autocast_dtype")),
        (torch.amp, ("custom_fwd", "custom_bwd", "is_autocast_available")),
        (torch.amp.autocast_mode, ("custom_fwd", "custom_bwd", "is_autocast_available")),
    ):
        for name in names:
            _patches.set(owner, name, _of_cpu(getattr(owner, name)))


def renewed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Another function that does the same: torch's compiler takes one under two of its names for a mistake."""

    @functools.wraps(function)
    def other(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return other


def _of_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, called with the CPU for the npu."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return _on_cpu(function, *args, **kwargs)

    return wrapper


def _restored(storage: Any, location: str) -> Any:
    """For torch.load: what lay on an npu, or shall lie there, is on the CPU."""
    return storage.cpu() if _fallback is not None and is_npu(location) else None


# ---------------------------------------------------------------------------------------------------------------------
# torch.distributed
# ---------------------------------------------------------------------------------------------------------------------


def _gloo(store: Any, rank: int, size: int, timeout: Any) -> Any:
    return torch.distributed.ProcessGroupGloo(store, rank, size, timeout=timeout)


def _patch_distributed() -> None:
    if not torch.distributed.is_available():
        return
    parallel = torch.nn.parallel.DistributedDataParallel
    before, signature = parallel.__init__, inspect.signature(parallel.__init__)

    @functools.wraps(before)
    def init(*args: Any, **kwargs: Any) -> None:
        bound = signature.bind(*args, **kwargs)
        if all(parameter.device.type == "cpu" for parameter in bound.arguments["module"].parameters()):
            for name in ("device_ids", "output_device"):  # say which of the devices, and the CPU is one
                bound.arguments.pop(name, None)
        before(*bound.args, **bound.kwargs)

    _patches.set(parallel, "__init__", init)
