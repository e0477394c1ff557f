"""Runs the battery on mutated kernels, each in a process of its own: a bug may crash it or never end."""

from __future__ import annotations

import importlib.util
import multiprocessing
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import npu_flash_attention
import torch
from npu_flash_attention.backends import simulator

from . import battery
from .table import Mutation

_SECONDS = 120  # of a whole battery, which takes two or three


def caught(mutation: Mutation, module: Path) -> str:
    """What the first call that notices the bug says; empty when none does."""
    for name in battery.names(mutation.dtype):
        battery.prepared(name)  # here, so that every process has them
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(module, mutation, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_SECONDS):
            return f"no end within {_SECONDS} s"
        return ours.recv()
    except EOFError:
        process.join()
        return f"the process ended with code {process.exitcode}"
    finally:
        process.kill()
        process.join()


def _run(module: Path, mutation: Mutation, answer: Connection) -> None:
    torch.set_num_threads(1)
    # dpse that scores share has no order there: a warning, which the battery does not mind
    torch.use_deterministic_algorithms(mutation.deterministic, warn_only=True)
    # pybind11 does not initialise a module again that is loaded under the same name.
    spec = importlib.util.spec_from_file_location("mutant._S", module)
    assert spec is not None and spec.loader is not None
    mutant = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mutant)
    sys.modules["npu_flash_attention._S"] = npu_flash_attention._S = mutant  # type: ignore[attr-defined]
    simulator.OPTIONS.cores, simulator.OPTIONS.threads = 3, 1
    for name in battery.names(mutation.dtype):
        if said := battery.complaint(name, mutation.backward):
            answer.send(f"{name}: {said}")
            return
    answer.send("")
