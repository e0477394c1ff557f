"""Where Python values enter: wrong types are named in the caller's words before torch or the compiled core sees them.

A value of the wrong type is a TypeError, as a schema mismatch is for torch; one out of range is an AttentionError.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from .errors import AttentionError

INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def is_fake(tensor: Tensor) -> bool:
    return isinstance(tensor, torch._subclasses.FakeTensor)


def tensor(name: str, value: Any, like: Tensor) -> None:
    """`value` is a dense tensor on the device of `like`."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {_shown(value)}")
    if value.layout != torch.strided or value.is_nested:
        raise AttentionError(f"{name}: expected a dense tensor, got layout {value.layout}")
    if value.device.type != like.device.type:
        raise AttentionError(
            "Expected all tensors to be on the same device. "
            f"Expected {like.device.type} tensor, please check whether the input tensor device is correct: "
            f"{name} is on {value.device}"
        )


def integer(name: str, value: Any) -> int:
    """`value` as a 64-bit integer; symbolic integers pass as they are."""
    if isinstance(value, torch.SymInt):
        return value  # type: ignore[return-value]
    if not isinstance(value, int):
        try:
            value = operator.index(value)
        except TypeError:
            raise TypeError(f"{name}: expected an integer, got {_shown(value)}") from None
    if not -(1 << 63) <= value < 1 << 63:
        raise AttentionError(f"{name}: expected an integer of 64 bits, got {value}", 561002)
    return value


def integers(name: str, values: Any) -> list[int] | None:
    """`values`, an iterable of integers or None, as a list."""
    if values is None:
        return None
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: expected a sequence of integers, got {_shown(values)}")
    return [integer(f"{name}[{i}]", value) for i, value in enumerate(values)]


def integer_tensor(name: str, value: Tensor) -> Tensor:
    """`value` as a 1-D tensor of integers on the CPU."""
    if value.device.type != "cpu":
        raise AttentionError(f"{name}: tensor must be on CPU, got {value.device}")
    if value.dim() != 1:
        raise AttentionError(f"{name}: tensor must be 1-dimensional, got {value.dim()} dimensions")
    if value.dtype not in INTEGERS:
        raise AttentionError(f"{name}: expected integers, got {value.dtype}")
    return value


def number(name: str, value: Any) -> float:
    """`value` as a float; symbolic floats pass as they are."""
    if isinstance(value, bool | int | float | torch.SymFloat | torch.SymInt):
        return value  # type: ignore[return-value]
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {_shown(value)}") from None


def text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a string, got {_shown(value)}")
    if not value.isascii():
        raise AttentionError(f"{name}: expected ASCII text, got {value!r}")


def _shown(value: Any) -> str:
    """A value short enough for a message, and its type."""
    shown = repr(value) if isinstance(value, str | bytes | int | float | type(None)) else "a value"
    return f"{shown[:60]} ({type(value).__name__})"
