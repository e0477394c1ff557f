"""Random programs against the definition of happens-before, worked out by searching the graph of starts and ends.

The simulator keeps vector clocks and forgets what later accesses make superfluous. Here nothing is clever: every
instruction has a start and an end, flags and barriers are nodes between them, and two accesses to a byte are ordered if
there is a path. Both must agree on the first instruction of every program that races.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest

EVENTS = [
    "MTE2_V",
    "V_MTE2",
    "MTE3_V",
    "V_MTE3",
    "MTE3_MTE2",
    "MTE2_MTE3",
    "S_V",
    "V_S",
    "S_MTE2",
    "MTE2_S",
    "S_MTE3",
    "MTE3_S",
]
BARRIERS = ("V", "MTE2", "MTE3", "ALL")
OVERLAPPING = {"V", "MTE2", "MTE3"}  # a dependent instruction needs a barrier even after its own pipe
SET, WAIT, BARRIER = 7, 8, 9


@dataclass
class Step:
    code: tuple[int, int, int, int]
    pipe: str = ""
    reads: int = 0  # bit per float of the tensor
    writes: int = 0


def span(begin: int, count: int) -> int:
    return ((1 << count) - 1) << begin


def random_step(rng: random.Random) -> Step:
    a, b = 8 * rng.randrange(12), 8 * rng.randrange(1, 4)
    kind = rng.randrange(8)
    if kind == 0:
        return Step((0, a, b, 0), "V", writes=span(a, b))
    if kind == 1:
        low, high = rng.getrandbits(31), rng.getrandbits(31)
        return Step((1, a, low, high), "V", writes=(low | high << 32) << a)
    if kind == 2:
        other = rng.choice([a, a + 128])
        return Step((2, a, other, b), "V", reads=span(other, b), writes=span(a, b))
    if kind in (3, 4):
        return Step((3, a, b, 0), "MTE2", writes=span(a, b))
    if kind in (5, 6):
        return Step((4, a, b, 0), "MTE3", reads=span(a, b))
    a += rng.randrange(8)
    return (
        Step((5, a, 0, 0), "S", reads=span(a, 1)) if rng.random() < 0.5 else Step((6, a, 0, 0), "S", writes=span(a, 1))
    )


def random_program(rng: random.Random, length: int) -> list[Step]:
    """Accesses at random, each given the flags and barriers it needs just before it, and no more."""
    program: list[Step] = []
    while len(program) < length:
        step = random_step(rng)
        while race := first_race([*program, step]):
            kind, pipe = rng.choice(sorted(race[1]))
            if kind == "ErrorSync1":
                program.append(Step((BARRIER, BARRIERS.index(pipe), 0, 0)))
            else:
                event = EVENTS.index(f"{pipe}_{step.pipe}")
                flags = [Step((SET, event, index, 0)) for index in rng.sample(range(8), 8)]
                flag = next((flag for flag in flags if not first_race([*program, flag])), None)
                if flag is None:
                    program.append(Step((BARRIER, BARRIERS.index("ALL"), 0, 0)))
                else:
                    program += [flag, Step((WAIT, *flag.code[1:]))]
        program.append(step)
    return program


def mutated(rng: random.Random, program: list[Step]) -> list[Step]:
    """The program without one of its barriers, or without one set and its wait, which follows at once."""
    syncs = [i for i, step in enumerate(program) if step.code[0] in (SET, BARRIER)]
    if not syncs:
        return program
    at = rng.choice(syncs)
    return program[:at] + program[at + (2 if program[at].code[0] == SET else 1) :]


def first_race(program: list[Step]) -> tuple[int, set[tuple[str, str]]] | None:
    """Index of the first instruction not ordered after what it has to be; for each of those the fault and its pipe."""
    after: dict[tuple, set[tuple]] = {}  # node -> nodes reachable in one step
    ends: dict[str, list[tuple]] = {pipe: [] for pipe in ("S", "V", "MTE2", "MTE3")}
    last: dict[str, set[tuple]] = {pipe: set() for pipe in ends}  # nodes the pipe's next instruction starts after
    sets: dict[tuple[int, int], tuple] = {}
    waits: dict[tuple[int, int], tuple] = {}

    def edge(source: tuple, target: tuple) -> None:
        after.setdefault(source, set()).add(target)

    def follow(pipe: str, node: tuple) -> None:
        for before in last[pipe]:
            edge(before, node)
        last[pipe] = {node}

    def ordered(source: tuple, target: tuple) -> bool:
        seen, stack = {source}, [source]
        while stack:
            node = stack.pop()
            if node == target:
                return True
            stack.extend(new for new in after.get(node, ()) if new not in seen and not seen.add(new))
        return False

    for number, step in enumerate(program):
        op, a, b, _ = step.code
        if step.pipe:
            start, end = ("start", number), ("end", number)
            follow(step.pipe, start)
            edge(start, end)
            faults = set()
            for earlier, other in enumerate(program[:number]):
                clash = (other.writes & (step.reads | step.writes)) or (other.reads & step.writes)
                if not clash or not other.pipe or ordered(("end", earlier), start):
                    continue
                write_first = other.writes & (step.reads | step.writes)
                if not write_first and other.pipe in (step.pipe, "S"):
                    continue  # starts in order; a scalar load is complete when the next instruction is issued
                same = other.pipe == step.pipe
                if same and step.pipe not in OVERLAPPING:
                    continue  # the scalar unit sees its own stores
                faults.add(("ErrorSync1" if same else "ErrorSync2", other.pipe))
            if faults:
                return number, faults
            ends[step.pipe].append(end)
        elif op == SET:
            pipe, node = EVENTS[a].split("_")[0], ("set", number)
            for end in ends[pipe]:
                edge(end, node)
            for before in last[pipe]:
                edge(before, node)  # but the pipe's next instruction does not wait for the flag to be set
            if (a, b) in waits and not ordered(waits[a, b], node):
                return number, {("ErrorSync4", EVENTS[a].split("_")[1])}  # the flag may still be raised
            sets[a, b] = node
        elif op == WAIT:
            pipe, node = EVENTS[a].split("_")[1], ("wait", number)
            edge(sets[a, b], node)
            follow(pipe, node)
            waits[a, b] = node
            if pipe == "S":  # which issues the instructions of all pipes
                for held in last.values():
                    held.add(node)
        else:
            node = ("barrier", number)
            for pipe in ends if BARRIERS[a] == "ALL" else [BARRIERS[a]]:
                for end in ends[pipe]:
                    edge(end, node)
                follow(pipe, node)
    return None


def launch(kernels, program: list[Step]) -> None:
    code = [step.code for step in program]
    if code and code[-1][0] == SET:
        code.append((WAIT, *code[-1][1:]))  # flags must balance when a kernel ends
    array = np.array([len(code)] + [number for step in code for number in step], np.int64).astype(np.int32)
    y = np.zeros(512 * max(len(code), 1), np.float32)
    kernels.launch("random_order", [np.zeros(512, np.float32), y, array])


SEEDS = range(150)


def programs(seed: int) -> tuple[list[Step], list[Step]]:
    rng = random.Random(seed)
    program = random_program(rng, rng.randrange(10, 40))
    return program, mutated(rng, program)


@pytest.mark.parametrize("seed", SEEDS)
def test_checker_agrees_with_the_graph(simulator, kernels, seed: int) -> None:
    program, mutant = programs(seed)
    launch(kernels, program)
    race = first_race(mutant)
    if race is None:  # what was left out is implied by the rest
        launch(kernels, mutant)
        return
    number, faults = race
    launch(kernels, mutant[:number])
    with pytest.raises(simulator.SimulatorFault) as caught:
        launch(kernels, mutant[: number + 1])
    assert caught.value.kind in {kind for kind, _ in faults}


def test_most_mutants_race_and_some_do_not() -> None:
    races = sum(first_race(programs(seed)[1]) is not None for seed in SEEDS)
    assert len(SEEDS) / 2 < races < len(SEEDS)
