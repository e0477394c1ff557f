"""The dropout generator: a (seed, offset) pair like the NPU's default generator, tied to torch's CPU generator.

`torch.manual_seed` seeds it, as it seeds the generator of every device; `torch.get_rng_state` and
`torch.set_rng_state` carry it along. Activation checkpointing saves and restores the CPU generator with those two, so
a recomputed forward draws the (seed, offset) it drew the first time.

torch has no hook there for a device of ours, so the tie wraps these functions in `torch` and `torch.random`. The state
rides on the tensor that `get_rng_state` returns, as an attribute (copies by `deepcopy`, `pickle` and `torch.save` keep
it, `clone` does not). Seeding that goes round the functions is noticed at the next draw, by its new seed.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable
from typing import Any

import numpy
import torch
from torch import Tensor

from .errors import AttentionError

# The NPU generator hands out 10 counters per call, rounded up to a multiple of 4.
OFFSET_STEP = 12

_TAG = "npu_flash_attention_rng_state"
_lock = threading.Lock()

_numbers = [0, 0]  # seed, offset of the next draw
_torch_seed = torch.initial_seed()  # torch's seed when the state was last set


def manual_seed(seed: int) -> None:
    """Seeds the dropout generator: the next draws are (seed, 0), (seed, 12), (seed, 24), ..."""
    try:
        seed = operator.index(seed) & ((1 << 64) - 1)  # torch takes seeds of either signedness
    except TypeError:
        raise TypeError(f"seed: expected an integer, got {seed!r} ({type(seed).__name__})") from None
    _set(seed - (1 << 64) if seed >= 1 << 63 else seed, 0)


def get_rng_state() -> Tensor:
    """The state, an int64 tensor [seed, offset of the next draw]."""
    return torch.from_numpy(numpy.array(_numbers))


def set_rng_state(state: Tensor) -> None:
    """Restores a state that `get_rng_state` returned."""
    if not isinstance(state, Tensor):
        raise TypeError(f"state: expected an int64 tensor of shape [2], got {type(state).__name__}")
    if state.shape != (2,) or state.dtype != torch.int64:
        raise AttentionError(f"state: expected an int64 tensor of shape [2], got {state.dtype} {list(state.shape)}")
    _set(*state.tolist())


def draw() -> Tensor:
    """int64 [seed, offset] for one call, and moves the generator on."""
    if torch.compiler.is_compiling():
        return torch.ops.npu_flash_attention.draw(torch.empty(0, dtype=torch.int64, device="cpu"))
    return _draw()


def _draw() -> Tensor:
    with _lock:
        if torch.initial_seed() != _torch_seed:
            manual_seed(torch.initial_seed())
        drawn = numpy.array(_numbers)  # torch's own factories would ask the default device and fake modes
        _numbers[1] += OFFSET_STEP
    return torch.from_numpy(drawn)


# For a compiler a draw is a random operation: where it recomputes one, as activation checkpointing asks, it first
# restores torch's generator, and ours with it. `apart` is a tensor of its own for each draw, so that two are not merged.
torch.library.define("npu_flash_attention::draw", "(Tensor apart) -> Tensor", tags=(torch.Tag.nondeterministic_seeded,))


@torch.library.impl("npu_flash_attention::draw", "CompositeExplicitAutograd")
def _(apart: Tensor) -> Tensor:
    return _draw()


@torch.library.register_fake("npu_flash_attention::draw")
def _(apart: Tensor) -> Tensor:
    return apart.new_empty(2)


def _set(seed: int, offset: int) -> None:
    global _torch_seed
    _numbers[:] = seed, offset
    _torch_seed = torch.initial_seed()


def _tied(function: Callable[..., Any], follow: Callable[..., None]) -> Callable[..., Any]:
    """`function` of torch.random, after which `follow(its result, *its arguments)` moves our state along."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        follow(result, *args, *kwargs.values())
        return result

    return wrapper


def _after_manual_seed(result: Any, seed: int) -> None:
    manual_seed(int(seed))


def _after_seed(result: int) -> None:
    manual_seed(result)


def _after_get_state(result: Tensor) -> None:
    setattr(result, _TAG, tuple(_numbers))


def _after_set_state(result: None, state: Tensor) -> None:
    if hasattr(state, _TAG):
        _set(*getattr(state, _TAG))


def _tie() -> None:
    manual_seed(torch.initial_seed())
    followers: dict[str, Callable[..., None]] = {
        "manual_seed": _after_manual_seed,
        "seed": _after_seed,
        "get_rng_state": _after_get_state,
        "set_rng_state": _after_set_state,
    }
    for name, follow in followers.items():
        wrapped = _tied(getattr(torch.random, name), follow)
        setattr(torch.random, name, wrapped)
        setattr(torch, name, wrapped)


_tie()
