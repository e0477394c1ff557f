"""Access to the compiled core, deferred so that `golden` and `errors` import without it."""

from __future__ import annotations

import importlib
from types import ModuleType


def native() -> ModuleType:
    """The compiled core `_C`; an ImportError that says how to build it where it is missing."""
    try:
        return importlib.import_module("npu_flash_attention._C")
    except ImportError as error:
        raise ImportError(
            "npu_flash_attention: the compiled core is missing or was built for another Python "
            f"({error}); run `pip install --no-build-isolation .` in the source folder. "
            "npu_flash_attention.golden works without it."
        ) from error
