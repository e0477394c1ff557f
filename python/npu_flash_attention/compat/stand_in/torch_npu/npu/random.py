"""The npu's generator is the CPU's, and with it the package's generator of dropout."""

import npu_flash_attention
import torch

__all__ = [
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
]


def manual_seed(seed):
    # Not torch.manual_seed, which calls this to seed its devices.
    torch.default_generator.manual_seed(int(seed))
    npu_flash_attention.manual_seed(int(seed))


manual_seed_all = manual_seed


def seed():
    torch.seed()


seed_all = seed


def initial_seed():
    return torch.initial_seed()


def get_rng_state(device="npu"):
    return torch.get_rng_state()


def set_rng_state(new_state, device="npu"):
    torch.set_rng_state(new_state)


def get_rng_state_all():
    from . import device_count

    return [get_rng_state() for _ in range(device_count())]


def set_rng_state_all(new_states):
    for state in new_states:
        set_rng_state(state)
