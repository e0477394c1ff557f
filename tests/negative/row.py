"""One row of the table: a refusal as one change to a valid call.

A row names the valid call (valid_calls.py), what changes in it, the entry points that must refuse, a pattern of the
message and the aclnn status. `legal` is the nearest change that is accepted, where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .valid_calls import ENTRIES

NULL, INVALID, TILING = 161001, 161002, 561002
# The vendor's users see either code where its tiling refuses.
ACCEPTED = {NULL: {NULL}, INVALID: {INVALID}, TILING: {TILING, 561103}}

Changes = dict[str, Any]


@dataclass(frozen=True)
class Row:
    name: str
    valid: str
    changes: Changes
    message: str  # regular expression
    status: int
    entries: tuple[str, ...] = ENTRIES
    legal: Changes = field(default_factory=dict)
    backward_status: int | None = None  # where the backward's is another one
