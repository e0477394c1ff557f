"""Timings of the CPU backend beside the best PyTorch way of doing the same work: `python -m benchmarks --help`."""
