"""torch.npu of the stand-in: one device per process of the node, made of the host.

Everything runs when it is called, so there is nothing to wait for, and nothing is allocated on a device.
"""

import os
import types

import torch

from . import amp as amp
from . import memory as memory
from . import random as random
from . import streams as streams
from .memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_cached,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_cached,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_accumulated_memory_stats,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)
from .random import (
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)
from .streams import (
    Event,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    set_stream,
    stream,
)

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "default_stream",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "get_amp_supported_dtype",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "get_rng_state_all",
    "init",
    "initial_seed",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_stats",
    "memory_summary",
    "reset_accumulated_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_device",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "set_rng_state_all",
    "set_stream",
    "stream",
    "synchronize",
    "utilization",
]

_NAME = "Ascend910B2 (stand-in on the CPU)"
_current = 0

# Switches of the device's compiler and its number formats: they can be set and read, and change nothing.
config = types.SimpleNamespace(allow_internal_format=False)
matmul = types.SimpleNamespace(allow_hf32=False)
conv = types.SimpleNamespace(allow_hf32=True)


def is_available():
    return True


def is_initialized():
    return True


def init():
    pass


_lazy_init = init


def _is_in_bad_fork():
    return False  # forked processes work


def device_count():
    """One; under torchrun one per process of this node, so that `set_device(local_rank)` is right."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _index(device):
    if device is None:
        return _current
    if isinstance(device, int):
        index = device
    else:
        named = torch.device(device)
        if named.type not in ("npu", "cuda", "cpu"):
            raise ValueError(f"device: expected an npu, got {named}")
        index = _current if named.index is None else named.index
    if not 0 <= index < device_count():
        raise RuntimeError(f"device: expected npu:0 to npu:{device_count() - 1}, got npu:{index}")
    return index


def current_device():
    return _current


def set_device(device):
    global _current
    _current = _index(device)


class device:
    """Context in which another device is the current one."""

    def __init__(self, device):
        self.idx = _index(device)

    def __enter__(self):
        self.before = current_device()
        set_device(self.idx)

    def __exit__(self, *exception):
        set_device(self.before)


class device_of(device):
    def __init__(self, obj):
        super().__init__(None)


def synchronize(device=None):
    _index(device)


def ipc_collect():
    pass


def utilization(device=None):
    return 0


def get_device_name(device=None):
    _index(device)
    return _NAME


def get_device_capability(device=None):
    return None  # as on the device, which has none


def get_device_properties(device=None):
    _index(device)
    return types.SimpleNamespace(name=_NAME, total_memory=mem_get_info()[1], major=0, minor=0, multi_processor_count=0)


def is_bf16_supported(including_emulation=False):
    return True


def get_amp_supported_dtype():
    return [torch.float16, torch.bfloat16, torch.float32]


def is_autocast_enabled():
    return torch.is_autocast_enabled("npu")


def get_autocast_dtype():
    return torch.get_autocast_dtype("npu")


def set_option(option):
    """Accepted: options of the device's compiler change nothing here."""
    if not isinstance(option, dict):
        raise TypeError(f"option: expected a dict, got {type(option).__name__}")


def set_compile_mode(jit_compile=False):
    """Accepted, as `set_option`."""


def is_jit_compile_false():
    return True


def __getattr__(name):
    raise AttributeError(
        f"torch.npu.{name}: not in the stand-in of npu_flash_attention.compat; torch.npu.__all__ lists what is"
    )
