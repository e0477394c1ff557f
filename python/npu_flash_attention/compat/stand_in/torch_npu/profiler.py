"""torch's profiler under the names of torch_npu's: what it sees is the CPU."""

import types

import torch
from torch.profiler import ProfilerAction, schedule

__all__ = [
    "AiCMetrics",
    "ExportType",
    "HostSystem",
    "ProfilerAction",
    "ProfilerActivity",
    "ProfilerLevel",
    "_ExperimentalConfig",
    "profile",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


def _names(text):
    return types.SimpleNamespace(**{name: name for name in text.split()})


_CPU = torch.profiler.ProfilerActivity.CPU
ProfilerActivity = types.SimpleNamespace(CPU=_CPU, NPU=_CPU)
# Choices of the device's profiler: they can be made, and change nothing.
ProfilerLevel = _names("Level0 Level1 Level2 Level_none")
AiCMetrics = _names(
    "PipeUtilization ArithmeticUtilization Memory MemoryL0 MemoryUB ResourceConflictRatio L2Cache MemoryAccess AiCoreNone"
)
ExportType = _names("Text Db")
HostSystem = _names("CPU MEM DISK NETWORK OSRT NUMA")


class _ExperimentalConfig:
    def __init__(self, **options):
        self.options = options


class profile(torch.profiler.profile):
    """torch.profiler.profile of the CPU; `experimental_config` is of the device and changes nothing."""

    def __init__(self, *, activities=None, experimental_config=None, **options):
        super().__init__(activities=[_CPU], **options)


def supported_activities():
    return {_CPU}


def tensorboard_trace_handler(dir_name, worker_name=None, analyse_flag=True, async_mode=False):
    """torch's; `analyse_flag` and `async_mode` are of the device's analysis and change nothing."""
    return torch.profiler.tensorboard_trace_handler(dir_name, worker_name)
