"""How exact is exact enough: the error budget that every comparison with the golden model uses.

    |got - golden|  <=  2 x max |plain - golden|  +  floor           for each element
    rms(got - golden)  <=  2 x rms(plain - golden)  +  rms(floor)    for the whole tensor

`plain` is ordinary PyTorch attention in the same dtype (`sweep.plain`): an implementation may lose at most twice what
PyTorch loses. Where plain is exact by luck (one key, a probability of 1) the floor remains: what one rounding of each
intermediate that the operator itself prescribes may cost, to first order, element by element (`sweep.floors`).
float64 is judged absolutely: 1e-9, relative for elements above 1. NaN is never within any budget. An infinity of the
right sign counts as the smallest magnitude that rounds to it (65520 in float16): it passes where the exact value is
beyond the range of the dtype, or so close to its end that a result within the budget may be.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

PLAIN_FACTOR = 2.0
FLOAT64_ERROR = 1e-9


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One tensor against its golden value. Errors are absolute; `ratio` is the worst error as a part of its budget."""

    name: str
    error: float
    plain_error: float
    ratio: float
    failure: str | None = None  # what is wrong and where, None if all is well

    @property
    def ok(self) -> bool:
        return self.failure is None


def compare(
    name: str,
    got: Tensor,
    golden: Tensor,
    plain: Tensor | None = None,
    floor: Tensor | None = None,
) -> Comparison:
    """Judges a result.

    Args:
        name: what is compared, for messages.
        got: the result, of any dtype; float64 is judged by FLOAT64_ERROR.
        golden: its exact value, float64, of got's shape.
        plain: the same by plain PyTorch in got's precision (not needed for float64).
        floor: float64, broadcast to got's shape (not needed for float64).

    Returns:
        A Comparison whose `failure` names the index, both values and the budget.
    """
    if got.shape != golden.shape:
        return _failed(name, f"{name}: expected shape {list(golden.shape)}, got {list(got.shape)}")
    if got.numel() == 0:
        return Comparison(name, 0.0, 0.0, 0.0)
    exact = got.dtype == torch.float64
    digits = 12 if exact else 9  # enough to see an error that is refused
    golden = golden.detach().double()
    shown = got
    got = torch.where(golden.to(got.dtype).isinf() & _overflows(got, golden), golden, _least_magnitude(got, golden))
    if not bool(got.isfinite().all()):
        at = _index(int((~got.isfinite()).flatten().int().argmax()), got.shape)
        count = int((~got.isfinite()).sum())
        return _failed(
            name,
            f"{name}[{_text(at)}]: expected {golden[at]:.9g}, got {got[at]:.9g} ({count} of {got.numel()} elements are "
            "not finite)",
        )
    error = (got - golden).abs()
    if exact:
        plain_error, rms_budget = 0.0, None
        budget = FLOAT64_ERROR * golden.abs().clamp(min=1)
        rule = f"{FLOAT64_ERROR:g} x max(1, |expected|)"
    else:
        if plain is None or floor is None:
            raise ValueError(f"{name}: expected plain and floor for a dtype other than float64, got None")
        loss = (plain.detach().double() - golden).abs()
        loss = torch.where(loss.isfinite(), loss, 0.0)  # where plain overflows it sets no standard
        plain_error = float(loss.max())
        floor = floor.expand_as(golden)
        budget = PLAIN_FACTOR * plain_error + floor
        rms_budget = PLAIN_FACTOR * _rms(loss) + _rms(floor)
        rule = f"{PLAIN_FACTOR:g} x plain PyTorch's {plain_error:.3g} + floor"
    # An exact result has ratio 0 whatever its budget, which may be 0.
    ratios = torch.where(error == 0, 0.0, error / budget)
    worst = int(ratios.argmax())
    at, ratio = _index(worst, got.shape), float(ratios.flatten()[worst])
    failure = None
    if ratio > 1:
        failure = (
            f"{name}[{_text(at)}]: expected {golden[at]:.{digits}g}, got {shown[at].double():.{digits}g}: error {error[at]:.3g} is above the "
            f"budget {budget[at]:.3g} ({rule}); {int((ratios > 1).sum())} of {got.numel()} elements are"
        )
    if rms_budget is not None and rms_budget > 0:
        rms_ratio = _rms(error) / rms_budget
        if rms_ratio > 1 and failure is None:
            failure = f"{name}: the rms error {_rms(error):.3g} is above the budget {rms_budget:.3g} (rms of {rule})"
        ratio = max(ratio, rms_ratio)
    return Comparison(name, float(error.max()), plain_error, ratio, failure)


def _overflows(got: Tensor, golden: Tensor) -> Tensor:
    return got.isinf() & (got.sign() == golden.sign())


def _least_magnitude(got: Tensor, golden: Tensor) -> Tensor:
    """`got` as float64, an infinity of golden's sign as the smallest magnitude that rounds to it."""
    info = torch.finfo(got.dtype)
    largest = golden.sign() * info.max * (1 + info.eps / 4)  # half a step above the largest number
    return torch.where(_overflows(got, golden), largest, got.detach().double())


def _failed(name: str, message: str) -> Comparison:
    return Comparison(name, float("inf"), 0.0, float("inf"), message)


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _index(flat: int, shape: torch.Size) -> tuple[int, ...]:
    return tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), shape))


def _text(index: tuple[int, ...]) -> str:
    return ", ".join(map(str, index))
