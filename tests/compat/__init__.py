"""Scripts written for torch_npu, run through the stand-in."""
