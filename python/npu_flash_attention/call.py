"""One call of the operator as Python holds it: tensors and the vendor's options, before they become a Problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from . import border
from ._native import native
from .border import is_fake

UNBOUNDED_TOKENS = 2147483647


_LAST_AXIS_CONTIGUOUS = ("query", "key", "value", "query_rope", "key_rope")


@dataclasses.dataclass
class Call:
    """Arguments of the forward; shapes and meaning as in `npu_fusion_attention_v2`."""

    query: Tensor
    key: Tensor
    value: Tensor
    head_num: int
    input_layout: str
    pse: Tensor | None = None
    atten_mask: Tensor | None = None
    query_rope: Tensor | None = None
    key_rope: Tensor | None = None
    sink: Tensor | None = None
    dropout_mask: Tensor | None = None
    scale: float = 1.0
    keep_prob: float = 1.0
    pre_tokens: int = UNBOUNDED_TOKENS
    next_tokens: int = UNBOUNDED_TOKENS
    prefix: Sequence[int] | None = None
    actual_seq_qlen: list[int] | None = None
    actual_seq_kvlen: list[int] | None = None
    sparse_mode: int = 0
    pse_type: int = 1
    q_start_idx: Sequence[int] | None = None
    kv_start_idx: Sequence[int] | None = None
    softmax_layout: str = ""
    seed: int = 0
    offset: int = 0
    entry: str = "forward"  # whose checks apply: forward, forward_v2, backward or backward_v2

    def __post_init__(self) -> None:
        for name in ("query", "key", "value"):
            border.tensor(name, getattr(self, name), self.query)
        for name in ("pse", "atten_mask", "query_rope", "key_rope", "sink", "dropout_mask"):
            if getattr(self, name) is not None:
                border.tensor(name, getattr(self, name), self.query)
        for name in ("head_num", "pre_tokens", "next_tokens", "sparse_mode", "pse_type", "seed", "offset"):
            setattr(self, name, border.integer(name, getattr(self, name)))
        for name in ("prefix", "q_start_idx", "kv_start_idx"):
            setattr(self, name, border.integers(name, getattr(self, name)))
        for name in ("scale", "keep_prob"):
            setattr(self, name, border.number(name, getattr(self, name)))
        for name in ("input_layout", "softmax_layout"):
            border.text(name, getattr(self, name))

    def options(self) -> dict[str, Any]:
        """Everything but query, key and value, under the names of `golden.forward`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in ("query", "key", "value", "head_num", "input_layout", "entry"):
            del fields[name]
        return fields

    def build_problem(
        self,
        dy: Tensor | None = None,
        softmax_max: Tensor | None = None,
        softmax_sum: Tensor | None = None,
        attention_in: Tensor | None = None,
    ) -> Any:
        """Validates the call; returns the compiled core's Problem or raises AttentionError.

        Tensors whose strides cannot be said (a last axis that is not contiguous) are replaced by copies, after the
        call was found valid.
        """
        statistics = {"dy": dy, "softmax_max": softmax_max, "softmax_sum": softmax_sum, "attention_in": attention_in}
        copied = [name for name in _LAST_AXIS_CONTIGUOUS if not _last_axis_is_contiguous(getattr(self, name))]
        if self.dropout_mask is not None and not self.dropout_mask.is_contiguous():
            copied.append("dropout_mask")
        if self.pse is not None and self.pse_type < 2 and self.pse.dim() == 1 and not self.pse.is_contiguous():
            copied.append("pse")  # packed elements of TND
        if copied:
            native().build_problem(self._described(statistics, copied), None)
        for name in copied:
            setattr(self, name, getattr(self, name).contiguous())
        # The problem reads these where its rules need their content.
        read = (self.atten_mask, self.pse, self.dropout_mask)
        return native().build_problem(self._described(statistics, []), read)

    def _described(self, statistics: dict[str, Tensor | None], copied: list[str]) -> dict[str, Any]:
        """The builder's arguments, taking the tensors in `copied` as if they were copied already."""
        arguments = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | statistics
        for name, value in arguments.items():
            if isinstance(value, Tensor):
                address, dtype, sizes, strides = describe(value)
                arguments[name] = (
                    (0, dtype, sizes, (*strides[:-1], 1)) if name in copied else (address, dtype, sizes, strides)
                )
        return arguments


def _last_axis_is_contiguous(tensor: Tensor | None) -> bool:
    return tensor is None or tensor.dim() == 0 or tensor.size(-1) <= 1 or tensor.stride(-1) == 1


def describe(tensor: Tensor) -> tuple[int, str, tuple[int, ...], tuple[int, ...]]:
    """(address or 0 where the content cannot be read, dtype name, sizes, strides)."""
    readable = tensor.device.type == "cpu" and not is_fake(tensor) and tensor.numel() > 0
    return (
        tensor.data_ptr() if readable else 0,
        str(tensor.dtype).removeprefix("torch."),
        tuple(tensor.shape),
        tuple(tensor.stride()),
    )


def output_shapes(
    query: Tensor, key: Tensor, value: Tensor, head_num: int, input_layout: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of attention_out and of softmax_max, from shapes alone (sizes may be symbolic)."""
    layout = input_layout.upper()
    q = query.shape
    if layout == "TND":
        return (*q[:-1], value.shape[-1]), (q[0], q[1], 8)
    if layout == "BNSD":
        return (*q[:-1], value.shape[-1]), (q[0], q[1], q[2], 8)
    if layout == "BSND":
        return (*q[:-1], value.shape[-1]), (q[0], q[2], q[1], 8)
    if layout not in ("BSH", "SBH"):
        raise ValueError(f"The input_layout should be BSH/SBH/BNSD/BSND/TND(case-insensitive), but got {input_layout}")
    kv_heads = key.shape[-1] // (q[-1] // head_num)
    batch, rows = (q[0], q[1]) if layout == "BSH" else (q[1], q[0])
    return (*q[:-1], head_num * (value.shape[-1] // kv_heads)), (batch, head_num, rows, 8)
