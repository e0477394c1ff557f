"""Runs scripts written for an NPU where there is none: a stand-in for torch_npu, and a device name `npu` for the CPU.

    python -m npu_flash_attention.compat train.py --epochs 2

or, before the libraries that look for torch_npu are imported:

    from npu_flash_attention import compat
    compat.install()

Nothing in the package imports this. What the stand-in covers, and where the CPU cannot play an NPU: docs/compat.md.
"""

from __future__ import annotations

import importlib
import os
import sys

from ..real_torch_npu import STAND_IN
from . import device, real, transfer

__all__ = ["install", "installed", "uninstall"]


def install() -> None:
    """Makes `import torch_npu` find the stand-in and gives torch a device name `npu` that means the CPU.

    Processes started later inherit the stand-in through PYTHONPATH; there it comes to life with `import torch_npu`.

    Raises:
        RuntimeError: the real torch_npu imports here, or this torch is too old.
    """
    if installed():
        return
    real.refuse()
    device.check_torch()
    sys.path.insert(0, STAND_IN)
    os.environ["PYTHONPATH"] = os.pathsep.join([STAND_IN, *_inherited_path()])
    importlib.invalidate_caches()
    try:
        importlib.import_module("torch_npu")
    except BaseException:
        _leave_paths()
        raise


def uninstall() -> None:
    """Takes the stand-in away again; without one nothing happens.

    Tensors, modules and names imported from torch_npu keep working. torch does not forget a device name: afterwards
    `torch.device("npu")` is still understood, and torch.npu says that there is no such device.
    """
    if not installed():
        return
    transfer.disable()
    device.disable()
    for name in [name for name in sys.modules if name.split(".")[0] == "torch_npu"]:
        del sys.modules[name]
    _leave_paths()


def installed() -> bool:
    """Whether the stand-in is what `torch_npu` is in this process."""
    return real.is_stand_in(sys.modules.get("torch_npu"))


def _leave_paths() -> None:
    sys.path[:] = [entry for entry in sys.path if entry != STAND_IN]
    rest = _inherited_path()
    if rest:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)
    importlib.invalidate_caches()


def _inherited_path() -> list[str]:
    """The entries of PYTHONPATH, without ours."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [entry for entry in entries if entry and entry != STAND_IN]
