"""The command; see the package."""

from __future__ import annotations

import sys

from . import page
from .build import SOUND, build
from .run import caught
from .table import MUTATIONS


def main() -> int:
    known = {mutation.name: mutation for mutation in MUTATIONS}
    if unknown := set(sys.argv[1:]) - set(known):
        print(f"mutation: expected some of {', '.join(known)}, got {', '.join(unknown)}", file=sys.stderr)
        return 2
    chosen = [known[name] for name in sys.argv[1:]] or list(MUTATIONS)
    kinds = {(mutation.dtype, mutation.backward, mutation.deterministic) for mutation in chosen}
    sound = [each for each in SOUND if (each.dtype, each.backward, each.deterministic) in kinds]
    modules = build([*sound, *chosen])
    for each in sound:
        if answer := caught(each, modules[each.name]):
            print(f"without a bug, {answer}")
            return 1
    answers = {}
    for mutation in chosen:
        answers[mutation.name] = caught(mutation, modules[mutation.name])
        print(f"{mutation.name:28} {answers[mutation.name][:120] or 'SURVIVED'}", flush=True)
    count = sum(map(bool, answers.values()))
    print(f"{count} of {len(chosen)} caught")
    if count < len(chosen):
        return 1
    if len(chosen) == len(MUTATIONS):
        page.write(answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
