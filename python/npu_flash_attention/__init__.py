"""FlashAttentionScore and FlashAttentionScoreGrad for Ascend NPUs, on any machine.

The functions have torch_npu's names and meaning; `golden` is the float64 model every backend is judged by. Importing
the package needs torch only: the compiled core loads with the first call that needs it.
"""

from . import golden
from .api import (
    npu_flash_attention,
    npu_fusion_attention,
    npu_fusion_attention_grad,
    npu_fusion_attention_grad_v2,
    npu_fusion_attention_grad_v3,
    npu_fusion_attention_v2,
    npu_fusion_attention_v3,
)
from .backends import backend, get_backend, set_backend
from .errors import AttentionError
from .explain import Explanation, explain
from .rng import get_rng_state, manual_seed, set_rng_state
from .updates import _npu_dropout_gen_mask, npu_attention_update, npu_dropout_gen_mask, npu_ring_attention_update

__version__ = "0.1.0"

__all__ = [
    "AttentionError",
    "Explanation",
    "_npu_dropout_gen_mask",
    "backend",
    "explain",
    "get_backend",
    "get_rng_state",
    "golden",
    "manual_seed",
    "npu_attention_update",
    "npu_dropout_gen_mask",
    "npu_flash_attention",
    "npu_fusion_attention",
    "npu_fusion_attention_grad",
    "npu_fusion_attention_grad_v2",
    "npu_fusion_attention_grad_v3",
    "npu_fusion_attention_v2",
    "npu_fusion_attention_v3",
    "npu_ring_attention_update",
    "set_backend",
    "set_rng_state",
]
