"""Fast CPU kernels of npu_flash_attention."""

from ._C import Problem

def forward(problem: Problem, tensors: dict[str, int | None], threads: int) -> None:
    """Fills out, softmax_max and softmax_sum of the problem. `tensors` maps names to addresses or None."""

def backward(problem: Problem, tensors: dict[str, int | None], threads: int, deterministic: bool) -> None:
    """Fills the gradients whose addresses are given; adds to dpse and dsink."""

def describe() -> dict[str, str]:
    """The instruction-set level in use and who multiplies the matrices."""

def product_rate(bfloat16: bool, threads: int, seconds: float) -> float:
    """GFLOP/s of the matrix products on tiles in the cache."""

def exp2(x: int, y: int, count: int) -> None:
    """The kernels' exponential of `count` float32 at address x, written to y."""
