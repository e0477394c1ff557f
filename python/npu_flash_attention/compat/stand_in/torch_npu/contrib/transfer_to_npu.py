"""Imported for its effect: cuda means npu from here on."""

from npu_flash_attention.compat import transfer as _transfer

import torch_npu

_transfer.enable(torch_npu.npu)
