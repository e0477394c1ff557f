"""Every row of the table: the call is refused as the row says, nothing has changed, and the valid call is valid."""

from __future__ import annotations

import re
from typing import Any

import npu_flash_attention as fa
import pytest
import torch

from .row import ACCEPTED, Row
from .rows import NOT_HERE, ROWS
from .valid_calls import BACKWARD, ENTRIES, FORWARD, VALID, Arguments, call, takes, with_statistics


def arguments_for(row: Row, entry: str, changes: dict[str, Any]) -> Arguments:
    """The valid call of a row for an entry point, with changes; with dropout wherever it is not in the way."""
    arguments = VALID[row.valid]()
    if entry in BACKWARD:
        arguments = with_statistics(arguments)
    if row.valid != "rope":
        arguments.setdefault("keep_prob", 0.5)
    return arguments | changes


CASES = [
    pytest.param(row, entry, id=f"{row.name}-{entry}")
    for row in ROWS
    for entry in row.entries
    if takes(entry, arguments_for(row, entry, row.changes))
]
LEGAL = [
    pytest.param(row, entry, id=f"{row.name}-{entry}")
    for row in ROWS
    for entry in row.entries
    if row.legal and takes(entry, arguments_for(row, entry, row.legal))
]


@pytest.mark.parametrize(("row", "entry"), CASES)
def test_refused(row: Row, entry: str) -> None:
    arguments = arguments_for(row, entry, row.changes)
    fa.manual_seed(17)
    torch_state = torch.get_rng_state()
    with pytest.raises(fa.AttentionError) as caught:
        call(entry, arguments)
    assert isinstance(caught.value, RuntimeError) and isinstance(caught.value, ValueError)
    assert re.search(row.message, str(caught.value)), str(caught.value)
    status = row.backward_status if entry in BACKWARD and row.backward_status else row.status
    assert caught.value.status in ACCEPTED[status]
    assert fa.get_rng_state().tolist() == [17, 0]
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize(("row", "entry"), LEGAL)
def test_the_nearest_legal_call_is_accepted(row: Row, entry: str) -> None:
    call(entry, arguments_for(row, entry, row.legal))


def valid_arguments(name: str, entry: str) -> Arguments:
    return with_statistics(VALID[name]()) if entry in BACKWARD else VALID[name]()


@pytest.mark.parametrize(
    ("name", "entry"),
    [(name, entry) for name in VALID for entry in ENTRIES if takes(entry, valid_arguments(name, entry))],
)
def test_the_valid_calls_are_valid(name: str, entry: str) -> None:
    """So that it is the change, and nothing else, that a row's refusal is about."""
    arguments = valid_arguments(name, entry)
    outputs = call(entry, arguments)
    assert all(bool(t.isfinite().all()) for t in outputs if isinstance(t, torch.Tensor))


def test_every_row_is_tried() -> None:
    tried = {case.values[0].name for case in CASES}
    assert tried == {row.name for row in ROWS}
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(NOT_HERE.values())


# One pattern per condition of operator.md 5.1-5.5 and torch-api.md section 8, against which the table is complete.
CONDITIONS = """
head_num must > 0|query should be 3 or 4|key should be 3 or 4|value should be 3 or 4|query_rope should be 3 or 4
key_rope should be 3 or 4|dy should be 3 or 4|cannot be empty|keep_prob value must be|input_layout is empty
only supported softmax_layout=TND|softmax_layout=TND only supported when|\\[0,5\\) or \\(5,8\\]|\\[0,6\\]
must be the same and cannot be empty|input_layout should be BSH|not greater than 1M|tensor must be on CPU
tensor must be 1-dimensional|exactly one element|to call .item|Expected integer dtype|same device
"""


def test_the_torch_level_texts_are_all_there() -> None:
    patterns = [row.message.replace("\\", "") for row in ROWS]
    for condition in CONDITIONS.replace("\\", "").strip().replace("\n", "|").split("|"):
        assert any(condition in pattern for pattern in patterns), condition


def test_the_forward_checks_before_it_draws_and_the_backward_never_draws() -> None:
    fa.manual_seed(3)
    for entry in FORWARD:
        call(entry, VALID["bnsd"]() | {"keep_prob": 0.5})
    assert fa.get_rng_state().tolist() == [3, 36]
    for entry in BACKWARD:
        call(entry, with_statistics(VALID["bnsd"]()) | {"keep_prob": 0.5})
    assert fa.get_rng_state().tolist() == [3, 36]
