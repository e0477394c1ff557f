"""What a refused call raises."""

from __future__ import annotations


class AttentionError(RuntimeError, ValueError):
    """A call that the operator refuses.

    Derives from `RuntimeError`, which scripts written for torch_npu expect, and from `ValueError`.

    Attributes:
        status: the aclnn status code of the refusal: 161001 (a required tensor is missing), 161002 (refused by the
            argument checks) or 561002 (refused by the tiling).
    """

    def __init__(self, message: str, status: int = 161002) -> None:
        super().__init__(message)
        self.status = status
