"""The AscendC kernels on a simulated chip."""

from typing import Any

from ._C import Problem

class KernelFault(RuntimeError):
    """What a kernel did against the rules of the hardware."""

    kind: str  # as in docs/simulator.md, such as ErrorSync2
    line: int  # of the kernel
    instruction: str
    operand: str

def forward(
    problem: Problem,
    tensors: dict[str, tuple[int, int]],
    *,
    soc: str = "Ascend910B2",
    cores: int = 0,
    checks: bool = True,
    timeline: bool = False,
    heads: bool = True,
    warm_l2: bool = False,
    contention: bool = True,
    threads: int = 0,
) -> dict[str, Any]:
    """Runs flash_attention_score. `tensors` maps names to (address, bytes); a name that is missing is an absent tensor.

    Returns:
        What the launch reported: instructions, printed, and with `timeline` cycles, microseconds, summary, bytes (by
        path), pipes ((core, pipe) -> shares of the makespan it is busy and works) and trace (a function that gives the
        trace as JSON).

    Raises:
        KernelFault: the kernel broke a rule.
        ValueError: the chip is not known, or the problem does not fit it.
    """

def backward(
    problem: Problem,
    tensors: dict[str, tuple[int, int]],
    *,
    deterministic: bool = False,
    soc: str = "Ascend910B2",
    cores: int = 0,
    checks: bool = True,
    timeline: bool = False,
    heads: bool = True,
    warm_l2: bool = False,
    contention: bool = True,
    threads: int = 0,
) -> dict[str, Any]:
    """Runs flash_attention_score_grad; `tensors`, result and errors as in forward.

    With checks and without dpse, sums of the deterministic mode that nothing orders are faults.

    dq, dk, dv and their rope parts get the rows of every sequence, dsink all heads. dpse is float32, laid out as pse,
    and added to.
    """

def backward_tiling(
    problem: Problem, *, soc: str = "Ascend910B2", cores: int = 0, deterministic: bool = False
) -> dict[str, Any]:
    """The fields of BackwardTiling (op_kernel/backward_schedule.h), and the bytes of L1 and UB it takes.

    Raises:
        ValueError: the chip is not known, or the problem does not fit it.
    """

def forward_tiling(problem: Problem, *, soc: str = "Ascend910B2", cores: int = 0) -> dict[str, Any]:
    """The fields of Tiling (op_kernel/schedule.h), first_block as a list, and the bytes of L1 and UB it takes.

    Raises:
        ValueError: the chip is not known, or the problem does not fit it.
    """
