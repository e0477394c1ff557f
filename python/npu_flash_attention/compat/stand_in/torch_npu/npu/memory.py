"""Memory of the device: there is none beside the host's, so all its statistics are 0."""

import collections
import os


def _zero(device=None):
    return 0


def _nothing(device=None):
    pass


memory_allocated = max_memory_allocated = memory_reserved = max_memory_reserved = _zero
memory_cached = max_memory_cached = _zero
reset_peak_memory_stats = reset_max_memory_allocated = reset_max_memory_cached = _nothing
reset_accumulated_memory_stats = _nothing


def empty_cache():
    pass


def memory_stats(device=None):
    """Every statistic there may be is 0."""
    return collections.defaultdict(int)


def memory_summary(device=None, abbreviated=False):
    return "npu_flash_attention.compat: the npu is the CPU and has no memory of its own"


def mem_get_info(device=None):
    """(free, total) bytes of the host."""
    page = os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page


def set_per_process_memory_fraction(fraction, device=None):
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction: expected 0 to 1, got {fraction}")
