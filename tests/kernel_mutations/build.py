"""A module _S for each mutation: op_kernel with its bug, everything else as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import compiled

from .table import Mutation

KERNELS = compiled.ROOT / "op_kernel"
_TYPES = {"float16": "half", "bfloat16": "bfloat16_t", "float32": "float"}
# The kernels as they are.
SOUND = tuple(
    Mutation(name, "nothing", "policy.h", "", "", backward, dtype, deterministic)
    for name, backward, dtype, deterministic in (
        ("sound_forward", False, "float16", False),
        ("sound_backward", True, "float16", False),
        ("sound_deterministic", True, "float16", True),
        ("sound_forward_bfloat16", False, "bfloat16", False),
        ("sound_backward_bfloat16", True, "bfloat16", False),
    )
)


def mutated(mutation: Mutation) -> str:
    """The text of the file with the bug in it.

    Raises:
        ValueError: the table does not fit the kernels any more.
    """
    text = (KERNELS / mutation.file).read_text(encoding="utf-8")
    if not mutation.search:
        return text
    pattern = re.compile(r"\s+".join(map(re.escape, mutation.search.split())))  # however its lines are broken
    if (count := len(pattern.findall(text))) != 1:
        raise ValueError(
            f"{mutation.name}: expected {mutation.search!r} once in op_kernel/{mutation.file}, got {count} times; "
            "tests/kernel_mutations/table.py has to follow the kernels"
        )
    return pattern.sub(lambda _: mutation.replace, text)


def build(mutations: Sequence[Mutation]) -> dict[str, Path]:
    """The modules by the mutations' names; only what changed is compiled."""
    folder = compiled.build_folder("kernel_mutations")
    for mutation in mutations:
        _write(mutation, folder / "kernels" / mutation.name)
    compiled.configure(Path(__file__).parent, folder, f"-DMUTANTS={folder / 'kernels'}")
    compiled.build_target(folder, *(mutation.name for mutation in mutations))
    return {m.name: next((folder / "modules" / m.name).glob("_S*.so")) for m in mutations}


def _write(mutation: Mutation, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in KERNELS.glob("*.*"):
        text = mutated(mutation) if source.name == mutation.file else source.read_text(encoding="utf-8")
        if source.name == "policy.h":
            text = _with_instances_of(mutation.dtype, text)
        if source.suffix == ".cpp" and source.stem.endswith("_grad") != mutation.backward:
            text = f'extern "C" void {source.stem}() {{}}\n'  # the kernel that is not called has but its name
        target = folder / source.name
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
    for stale in {path.name for path in folder.iterdir()} - {path.name for path in KERNELS.iterdir()}:
        (folder / stale).unlink()


def _with_instances_of(dtype: str, policies: str) -> str:
    """policy.h with the kernel instances of one element type only."""
    others = "|".join(name for key, name in _TYPES.items() if key != dtype)
    return re.sub(rf"X\(\d+, (?:{others}), [^)]*\)", "", policies)
