#!/usr/bin/env python3
"""Writes python/npu_flash_attention/aclnn.pyi, the typed signatures of the aclnn functions; --check only compares."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from npu_flash_attention import aclnn

STUB = Path(__file__).resolve().parents[1] / "python" / "npu_flash_attention" / "aclnn.pyi"

HEAD = '''"""Signatures of `aclnn`. Written by tools/aclnn_stub.py."""

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor

from .aclnn_runtime import AclnnError as AclnnError
from .aclnn_runtime import Executor as Executor
from .aclnn_runtime import Stream as Stream
from .aclnn_runtime import deterministic as deterministic
from .aclnn_runtime import empty_workspace as empty_workspace
from .aclnn_runtime import synchronize as synchronize

class _DLPack(Protocol):
    def __dlpack__(self, *, stream: Any = ...) -> Any: ...

_Array = Tensor | NDArray[Any] | _DLPack

FUNCTIONS: dict[str, tuple[str, ...]]

def kind(parameter: str) -> str: ...
'''

TYPES = {
    "tensor": "_Array | None",
    "list": "Sequence[int] | None",
    "number": "float",
    "integer": "int",
    "text": "str | None",
}


def declared(parameter: inspect.Parameter) -> str:
    default = '""' if parameter.default == "" else repr(parameter.default)
    return f"    {parameter.name}: {TYPES[aclnn.kind(parameter.name)]} = {default},"


def stub() -> str:
    text = HEAD
    for name in aclnn.FUNCTIONS:
        first = getattr(aclnn, f"{name}GetWorkspaceSize")
        parameters = "\n".join(declared(each) for each in inspect.signature(first).parameters.values())
        text += f"def {first.__name__}(\n{parameters}\n) -> tuple[int, Executor]: ...\n"
        text += f"def {name}(\n    workspace: _Array | None,\n    workspace_size: int,\n"
        text += "    executor: Executor | None,\n    stream: Stream | None = None,\n) -> None: ...\n"
    return text


def main() -> int:
    if "--check" in sys.argv[1:]:
        return 0 if STUB.read_text(encoding="utf-8") == stub() else 1
    STUB.write_text(stub(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
