"""Bugs put into the kernels on purpose are noticed: docs/kernel_mutations.md."""

from __future__ import annotations

import pytest
from kernel_mutations import page
from kernel_mutations.build import SOUND, build, mutated
from kernel_mutations.run import caught
from kernel_mutations.table import MUTATIONS
from npu_flash_attention.backends import simulator

pytestmark = pytest.mark.skipif(
    simulator.SimulatorBackend().unavailable() is not None, reason="built without the simulator backend"
)
OFTEN = (
    *("scores_wait_dropped", "last_key_lost", "band_one_further", "kept_weight_missing"),
    *("weights_wait_dropped", "keys_stored_not_added", "gradients_of_the_wrong_head", "d_not_subtracted"),
)


def test_the_table_fits_the_kernels() -> None:
    for mutation in MUTATIONS:
        assert mutation.replace in mutated(mutation)
    names = [mutation.name for mutation in MUTATIONS]
    assert len(names) == len(set(names)) and set(OFTEN) < set(names)


def test_the_page_has_a_row_for_each() -> None:
    assert list(page.rows()) == [(mutation.what, mutation.file) for mutation in MUTATIONS]


def test_some_bugs_are_noticed() -> None:
    chosen = [mutation for mutation in MUTATIONS if mutation.name in OFTEN]
    sound = [each for each in SOUND if each.dtype == "float16"]
    modules = build([*sound, *chosen])
    assert [caught(each, modules[each.name]) for each in sound] == ["", "", ""]
    assert [mutation.name for mutation in chosen if not caught(mutation, modules[mutation.name])] == []


@pytest.mark.slow
def test_every_bug_is_noticed_as_the_page_says() -> None:
    modules = build([*SOUND, *MUTATIONS])
    for sound in SOUND:
        assert not caught(sound, modules[sound.name])
    found = {(m.what, m.file): page.row_of(caught(m, modules[m.name])) for m in MUTATIONS}
    assert found == page.rows()
