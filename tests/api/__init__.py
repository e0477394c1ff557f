"""What a script written for torch_npu relies on."""
