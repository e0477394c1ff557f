"""The stand-in never hides a torch_npu that works."""

from __future__ import annotations

import os
import sys
import warnings
from types import ModuleType

from .. import real_torch_npu
from ..real_torch_npu import STAND_IN

_looked = False


def is_stand_in(module: ModuleType | None) -> bool:
    return module is not None and (getattr(module, "__file__", None) or "").startswith(STAND_IN + os.sep)


def refuse() -> None:
    """Raises where the real torch_npu imports; warns where it is installed and does not.

    Raises:
        RuntimeError: with where it is and what to do.
    """
    global _looked
    loaded = sys.modules.get("torch_npu")
    if loaded is not None and not is_stand_in(loaded):
        raise RuntimeError(_text(getattr(loaded, "__file__", None) or "already imported"))
    where = real_torch_npu.find()
    _looked = True
    if where is None:
        return
    reason, _ = real_torch_npu.run()
    if reason is None:
        raise RuntimeError(_text(where))
    warnings.warn(
        f"torch_npu is installed ({where}) but does not import ({reason}); its stand-in takes its place", stacklevel=3
    )


def refuse_once() -> None:
    """`refuse` in a process where nobody has done it: one that inherited the stand-in."""
    if not _looked:
        refuse()


def _text(where: str) -> str:
    return (
        f"npu_flash_attention.compat: the real torch_npu imports here ({where}), and a stand-in would hide it. "
        "Run the script without the stand-in, or use an environment that has no torch_npu"
    )
