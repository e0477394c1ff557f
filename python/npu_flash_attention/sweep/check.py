"""Runs one case on one backend, forward and backward, and judges every result by the golden model."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import api, backends, golden, rng
from ..errors import AttentionError
from ..precision import Comparison, compare
from .cases import NOT_FINITE, Case
from .floors import floors
from .inputs import Inputs, build
from .plain import GRADIENT_OF, plain

# A chip multiplies hidden values with weights of zero, so they have to be finite there: docs/kernels.md, limits.
_MULTIPLY_HIDDEN = ("simulator", "npu")


@dataclasses.dataclass
class Outcome:
    """What became of a case: `status` is ok, failed, refused (the call is not valid) or skipped (not by this backend)."""

    case: Case
    status: str
    seconds: float
    comparisons: list[Comparison] = dataclasses.field(default_factory=list)
    message: str = ""  # the first thing that is wrong
    acceptance: dict[str, Any] | None = None  # by the rules of `acceptance`, where these were asked for

    @property
    def worst(self) -> Comparison | None:
        return max(self.comparisons, key=lambda c: c.ratio, default=None)


@dataclasses.dataclass
class Evidence:
    """What a case is judged by."""

    inputs: Inputs
    results: dict[str, Tensor]  # of the backend
    by: References


def run(case: Case, backend: str, accept: Callable[[Evidence, str], dict[str, Any] | None] | None = None) -> Outcome:
    """Calls the operator on `backend`; never raises for what the operator does.

    `accept` judges the same results by other rules; what it returns becomes the outcome's `acceptance`.
    """
    start = time.perf_counter()
    acceptance: dict[str, Any] | None = None

    def outcome(status: str, message: str = "", comparisons: list[Comparison] | None = None) -> Outcome:
        return Outcome(case, status, time.perf_counter() - start, comparisons or [], message, acceptance)

    try:
        inputs, results = call(case, backend)
        by = references(inputs)
        comparisons = judge(inputs, results, backend == "golden", by)
        if accept is not None:
            acceptance = accept(Evidence(inputs, results, by), backend)
    except AttentionError as error:
        return outcome("refused", f"AttentionError ({error.status}): {error}")
    except NotImplementedError as error:
        return outcome("skipped", str(error))
    except Exception as error:  # a crash is a result of the sweep, not its end
        where = traceback.extract_tb(error.__traceback__)[-1]
        return outcome("failed", f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})")
    failures = [c.failure for c in comparisons if c.failure]
    return outcome("failed" if failures else "ok", failures[0] if failures else "", comparisons)


def call(case: Case, backend: str, autograd: bool = True) -> tuple[Inputs, dict[str, Tensor]]:
    """The inputs of a case, on the host, and what a backend makes of them; see `operator_results`."""
    inputs = build(case, hidden=backend not in _MULTIPLY_HIDDEN)
    with backends.backend(backend):
        return inputs, operator_results(inputs.on(getattr(backends.BACKENDS[backend], "device", "cpu")), autograd)


def operator_results(inputs: Inputs, autograd: bool = True) -> dict[str, Tensor]:
    """Every result of forward and backward by name, on the host; those of the explicit grad op carry "grad." before it.

    Without `autograd` gradients come from the grad op alone, where there is one for the case.
    """
    case = inputs.case
    leaves = {name: _leaf(tensor) for name, tensor in inputs.differentiable().items()}
    state = rng.get_rng_state()
    try:
        rng.manual_seed(case.seed)  # v3 has no seed of its own
        forward = call_forward(inputs, leaves)
    finally:
        rng.set_rng_state(state)
    out, softmax_max, softmax_sum = forward[:3]
    results = {"attention_out": out, "softmax_max": softmax_max, "softmax_sum": softmax_sum}
    explicit_too = case.dropout != "external"  # the grad ops know no mask but the one that seed and offset name
    if autograd or not explicit_too:
        gradients = torch.autograd.grad(out, list(leaves.values()), inputs.dy)
        results |= {GRADIENT_OF[name]: grad for name, grad in zip(leaves, gradients, strict=True)}
    if explicit_too:
        explicit = call_backward(inputs, out.detach(), softmax_max, softmax_sum, *forward[4:6])
        results |= {f"grad.{name}": tensor for name, tensor in explicit.items()}
    return {name: tensor.detach().cpu() for name, tensor in results.items()}


def _leaf(tensor: Tensor) -> Tensor:
    """The same memory as a leaf of autograd."""
    return tensor.detach().requires_grad_()


def layout_text(case: Case) -> str:
    if case.spelling == "lower":
        return case.layout.lower()
    return case.layout.capitalize() if case.spelling == "mixed" else case.layout


def call_forward(inputs: Inputs, tensors: dict[str, Tensor]) -> tuple[Any, ...]:
    """The entry point that the case names; `tensors` replaces the differentiable inputs."""
    case = inputs.case
    options = inputs.options | {name: t for name, t in tensors.items() if name not in ("query", "key", "value")}
    function: Any = {
        "v1": api.npu_fusion_attention,
        "v2": api.npu_fusion_attention_v2,
        "v3": api.npu_fusion_attention_v3,
    }[case.entry]
    if case.entry == "v3":
        options = _drop(options, "dropout_mask", "seed", "offset")
    options = _as_entry(case, options)
    return function(tensors["query"], tensors["key"], tensors["value"], case.heads, layout_text(case), **options)


def call_backward(
    inputs: Inputs, out: Tensor, softmax_max: Tensor, softmax_sum: Tensor, seed: Any, offset: Any
) -> dict[str, Tensor]:
    """The explicit grad op that belongs to the case's entry point, on the forward's results."""
    case = inputs.case
    options = _drop(inputs.options, "dropout_mask", "scale")
    options |= {
        "scale_value": inputs.options["scale"],
        "softmax_max": softmax_max,
        "softmax_sum": softmax_sum,
        "attention_in": out,
        "seed": seed,
        "offset": offset,
    }
    if case.dropout == "external_stream":
        options |= {"seed": inputs.options["seed"], "offset": inputs.options["offset"]}
    function: Any = {
        "v1": api.npu_fusion_attention_grad,
        "v2": api.npu_fusion_attention_grad_v2,
        "v3": api.npu_fusion_attention_grad_v3,
    }[case.entry]
    gradients = function(
        inputs.query, inputs.key, inputs.value, inputs.dy, case.heads, layout_text(case), **_as_entry(case, options)
    )
    names = ["dq", "dk", "dv", "dpse", "dq_rope", "dk_rope", "dsink"]
    if case.entry != "v2":
        names = ["dq", "dk", "dv", "dpse", "dsink"]
    expected = {GRADIENT_OF[name] for name in inputs.differentiable()}
    return {name: grad for name, grad in zip(names, gradients, strict=True) if name in expected}


def _drop(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def _as_entry(case: Case, options: dict[str, Any]) -> dict[str, Any]:
    """Options under the names of the entry point: v1 and v3 spell the tokens their own way and lack v2's additions."""
    if case.entry == "v2":
        return options
    options = _drop(options, "query_rope", "key_rope", "pse_type", "q_start_idx", "kv_start_idx")
    options["pre_tockens"], options["next_tockens"] = options.pop("pre_tokens"), options.pop("next_tokens")
    return options


def golden_results(inputs: Inputs) -> dict[str, Tensor]:
    """The exact results by name, float64."""
    case = inputs.case
    arguments = (case.heads, case.layout)
    forward = golden.forward(inputs.query, inputs.key, inputs.value, *arguments, **inputs.options)
    backward = golden.backward(
        inputs.query,
        inputs.key,
        inputs.value,
        inputs.dy,
        *arguments,
        softmax_max=forward.softmax_max,
        softmax_sum=forward.softmax_sum,
        attention_in=forward.attention_out,
        **inputs.options,
    )
    results = forward._asdict() | backward._asdict()
    return {name: tensor for name, tensor in results.items() if tensor is not None}


@dataclasses.dataclass
class References:
    """What the results of a case are judged by, by name."""

    exact: dict[str, Tensor]  # float64
    plain: dict[str, Tensor]  # of plain PyTorch in the case's dtype; none for float64
    floor: dict[str, Tensor]  # nor where inputs are not finite


def references(inputs: Inputs) -> References:
    exact = golden_results(inputs)
    if inputs.query.dtype == torch.float64 or inputs.case.values in NOT_FINITE:
        return References(exact, {}, {})
    return References(exact, plain(clean(inputs)), floors(clean(inputs), exact))


def clean(inputs: Inputs) -> Inputs:
    """The same without the NaN that a case hides where nobody looks."""
    return build(inputs.case, poison=False) if inputs.case.poison else inputs


def judge(
    inputs: Inputs, results: dict[str, Tensor], referee: bool = False, by: References | None = None
) -> list[Comparison]:
    """Compares results with the golden model; with `referee`, the golden model with plain PyTorch in float64 too.

    by: the references of the inputs where they are at hand.
    """
    by = by or references(inputs)
    comparisons = [_check_dtypes(inputs, results)]
    if inputs.case.values in NOT_FINITE:  # there is no error to have a budget
        return comparisons
    for name, got in results.items():
        base = name.removeprefix("grad.")
        comparisons.append(compare(name, got, by.exact[base], by.plain.get(base), by.floor.get(base)))
    if referee:
        independent = plain(clean(inputs), torch.float64)
        comparisons += [compare(f"golden.{name}", by.exact[name], independent[name]) for name in by.exact]
    return comparisons


def _check_dtypes(inputs: Inputs, results: dict[str, Tensor]) -> Comparison:
    wide = torch.float64 if inputs.query.dtype == torch.float64 else torch.float32
    expected = {"attention_out": inputs.query.dtype, "softmax_max": wide, "softmax_sum": wide}
    expected |= {GRADIENT_OF[name]: tensor.dtype for name, tensor in inputs.differentiable().items()}
    for name, tensor in results.items():
        want = expected[name.removeprefix("grad.")]
        if tensor.dtype != want:
            failure = f"{name}: expected dtype {want}, got {tensor.dtype}"
            return Comparison("dtypes", float("inf"), 0.0, float("inf"), failure)
    return Comparison("dtypes", 0.0, 0.0, 0.0)
