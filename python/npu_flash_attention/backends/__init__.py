"""Who computes a call: the list of backends, how one is chosen, and why the others are not.

A backend is a module-like object with

    name: str
    unavailable() -> str | None        why it cannot be used on this machine
    rejects(call, problem) -> str | None   why it cannot take this call
    forward(call, problem) -> (attention_out, softmax_max, softmax_sum)
    backward(call, problem, dy, softmax_max, softmax_sum, attention_in, needs) -> seven gradients, None where not needed
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from ..call import Call
from . import cpu, golden, native, npu, simulator

if TYPE_CHECKING:
    from .._C import Problem

GRADIENTS = ("dq", "dk", "dv", "dpse", "dq_rope", "dk_rope", "dsink")


class Backend(Protocol):
    name: str

    def unavailable(self) -> str | None: ...
    def rejects(self, call: Call, problem: Problem) -> str | None: ...
    def forward(self, call: Call, problem: Problem) -> tuple[Tensor, Tensor, Tensor]: ...
    def backward(
        self,
        call: Call,
        problem: Problem,
        dy: Tensor,
        softmax_max: Tensor,
        softmax_sum: Tensor,
        attention_in: Tensor | None,
        needs: Sequence[bool],
    ) -> tuple[Tensor | None, ...]: ...


class _Planned:
    """A name that is reserved for a backend that this build does not have."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    def unavailable(self) -> str | None:
        return self._reason

    def rejects(self, call: Call, problem: Problem) -> str | None:
        return self._reason

    def forward(self, call: Call, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
        raise NotImplementedError(self._reason)

    def backward(self, *args: Any) -> tuple[Tensor | None, ...]:
        raise NotImplementedError(self._reason)


# In order of preference: the first that takes a call gets it. golden is a referee and only runs when it is named.
BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        npu.NpuBackend(),
        _Planned("cuda", "this build has no CUDA kernels"),
        native.NativeBackend(),
        cpu.CpuBackend(),
        simulator.SimulatorBackend(),
        golden.GoldenBackend(),
    )
}
_ONLY_BY_NAME = ("golden", "simulator")

AUTOMATIC = "auto"
_chosen = AUTOMATIC


def set_backend(name: str | None) -> None:
    """Sends all following calls to backend `name`; None or "auto" chooses for each call.

    Raises:
        ValueError: there is no such backend.
        NotImplementedError: it cannot be used on this machine.
    """
    global _chosen
    name = AUTOMATIC if name is None else name
    if name != AUTOMATIC:
        if name not in BACKENDS:
            raise ValueError(f"backend: expected one of {', '.join(BACKENDS)} or {AUTOMATIC}, got {name!r}")
        reason = BACKENDS[name].unavailable()
        if reason is not None:
            raise NotImplementedError(f"backend {name!r}: {reason}")
    _chosen = name


def get_backend() -> str:
    """Name of the backend in force, "auto" when it is chosen for each call."""
    return _chosen


@contextlib.contextmanager
def backend(name: str | None) -> Iterator[None]:
    """Sends the calls of a `with` block to backend `name`; see `set_backend`. Holds for the whole process."""
    global _chosen
    before = _chosen
    set_backend(name)
    try:
        yield
    finally:
        _chosen = before


def verdicts(call: Call, problem: Problem, chosen: str) -> dict[str, str | None]:
    """For each backend None if it would take the call when named, else the reason why not."""
    return {
        name: candidate.unavailable() or candidate.rejects(call, problem)
        for name, candidate in BACKENDS.items()
        if chosen in (AUTOMATIC, name)
    }


def select(call: Call, problem: Problem, chosen: str = AUTOMATIC) -> Backend:
    """The backend that takes a call.

    Raises:
        NotImplementedError: the named backend does not take it, or none does; with each reason.
    """
    reasons = verdicts(call, problem, chosen)
    for name, reason in reasons.items():
        if reason is None and (chosen == name or name not in _ONLY_BY_NAME):
            return BACKENDS[name]
    text = "; ".join(f"{name}: {reason or 'runs only when named'}" for name, reason in reasons.items())
    raise NotImplementedError(f"no backend takes this call ({text})")
