"""The dropout generator: a (seed, offset) pair like the NPU's default generator, tied to torch's CPU generator.

`torch.manual_seed` seeds it, as it seeds the generator of every device; `torch.get_rng_state` and
`torch.set_rng_state` carry it along. Activation checkpointing saves and restores the CPU generator with those two, so
a recomputed forward draws the (seed, offset) it drew the first time.

The tie replaces `torch.random.default_generator`, the one object through which those functions act, by a proxy.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor

# The NPU generator hands out 10 counters per call, rounded up to a multiple of 4.
OFFSET_STEP = 12

_TAG = "npu_flash_attention_rng_state"
_lock = threading.Lock()

# int64 [seed, offset]. A tensor, so that under torch.compile a draw is data of the graph and not a constant of it.
_state = torch.zeros(2, dtype=torch.int64)
_step = torch.tensor([0, OFFSET_STEP])


def manual_seed(seed: int) -> None:
    """Seeds the dropout generator: the next draws are (seed, 0), (seed, 12), (seed, 24), ..."""
    _state.copy_(torch.tensor([_to_int64(int(seed)), 0]))


def get_rng_state() -> Tensor:
    """The state, an int64 tensor [seed, offset of the next draw]."""
    return _state.clone()


def set_rng_state(state: Tensor) -> None:
    """Restores a state that `get_rng_state` returned."""
    if state.shape != (2,) or state.dtype != torch.int64:
        raise ValueError(f"state: expected an int64 tensor of shape [2], got {state.dtype} {list(state.shape)}")
    _state.copy_(state)


def draw() -> Tensor:
    """int64 [seed, offset] for one call, and moves the generator on."""
    if torch.compiler.is_compiling():
        drawn = _state.clone()
        _state.add_(_step)
        return drawn
    with _lock:
        drawn = _state.clone()
        _state.add_(_step)
    return drawn


def _to_int64(seed: int) -> int:
    """A 64-bit pattern as int64; torch accepts seeds of either signedness."""
    seed &= (1 << 64) - 1
    return seed - (1 << 64) if seed >= 1 << 63 else seed


class _TiedGenerator:
    """torch's default CPU generator whose seeding and states include the dropout generator's."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    def manual_seed(self, seed: int) -> Any:
        result = self._generator.manual_seed(seed)
        manual_seed(seed)
        return result

    def seed(self) -> int:
        seed = self._generator.seed()
        manual_seed(seed)
        return seed

    def get_state(self) -> Tensor:
        state = self._generator.get_state()
        setattr(state, _TAG, tuple(_state.tolist()))
        return state

    def set_state(self, state: Tensor) -> Any:
        self._generator.set_state(state)
        if hasattr(state, _TAG):
            _state.copy_(torch.tensor(getattr(state, _TAG)))
        return self


def _tie() -> None:
    if not isinstance(torch.random.default_generator, _TiedGenerator):
        manual_seed(torch.random.initial_seed())
        torch.random.default_generator = _TiedGenerator(torch.random.default_generator)  # type: ignore[assignment]


_tie()
