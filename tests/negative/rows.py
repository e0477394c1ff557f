"""The whole table, and the rows of the vendor's that have no counterpart behind Python functions."""

from __future__ import annotations

from .rows_arguments import ARGUMENTS
from .rows_beyond import BEYOND_THE_VENDOR
from .rows_masks import MASKS, TOKENS
from .rows_pse import PSE
from .rows_shapes import SHAPES, STATISTICS
from .rows_torch import TORCH_LEVEL

ROWS = [*TORCH_LEVEL, *ARGUMENTS, *SHAPES, *PSE, *MASKS, *TOKENS, *STATISTICS, *BEYOND_THE_VENDOR]

# Rows of the vendor's tables that have no counterpart behind Python functions.
NOT_HERE: dict[str, str] = {
    "5.1 executor, workspaceSize or an output tensor is null": "Python functions own them; tests of the C API have them",
    "5.1, 5.3 query, key, value, dy null": "they have no default, so None is a TypeError: test_types.py",
    "5.1 NZ formats": "torch CPU tensors have strides only",
    "5.1 VarLen layout other than TND": "one function serves both; lengths beside another layout are refused",
    "5.1 more than 20000 sequences": "a warning of the vendor's about its kernel's tables; nothing is limited here",
    "5.1 rope shapes that need padding": "padding belongs to the vendor's kernels; every head size runs here",
    "5.1 level-0 returned null": "an internal failure of the vendor's two layers",
    "5.1 softmaxOutLayout same_as_input": "the C spelling; Python says TND",
    "5.2 TND counts differ": "refused earlier, with the torch level's text",
    "5.3 attentionIn null": "accepted: ring attention calls the gradient without it",
    "5.3 dq, dk, dv, dsink ranks": "outputs are made by the function",
    "5.4 keepProb < 1 without a dropMask": "the gradient functions regenerate it from seed and offset",
    "5.4 zero dimensions": "empty tensors are accepted and give empty or zero results, as operator.md section 4 has it",
    "8.9 softmax_layout or sink without the newer CANN": "there is no CANN to lack them",
    "8 Ascend950 not support": "no chip",
}
