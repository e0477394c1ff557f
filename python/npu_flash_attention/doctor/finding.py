"""One thing that the doctor has looked at."""

from __future__ import annotations

import dataclasses
from typing import Any

OK, MISSING, BROKEN = "ok", "missing", "broken"


@dataclasses.dataclass(frozen=True)
class Finding:
    """state: OK; MISSING, which is no fault (most machines have no NPU); BROKEN: it is there and does not work."""

    topic: str
    name: str
    state: str
    text: str
    advice: str = ""
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)  # the same for programs: versions, paths, names
