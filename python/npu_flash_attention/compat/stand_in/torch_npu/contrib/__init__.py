"""Of torch_npu.contrib the stand-in has transfer_to_npu."""
