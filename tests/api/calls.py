"""Named calls with every feature of the operator, for tests that go over all of them."""

from __future__ import annotations

import dataclasses

from strategies import Example

BASE = Example("BNSD", (3, 3), (4, 4), heads=2, kv_heads=1, dim=3, value_dim=2)
PACKED = Example("TND", (2, 0, 3), (3, 1, 4), heads=2, kv_heads=1, dim=3, value_dim=2)


def _base(**changes: object) -> Example:
    return dataclasses.replace(BASE, **changes)  # type: ignore[arg-type]


def _packed(**changes: object) -> Example:
    return dataclasses.replace(PACKED, **changes)  # type: ignore[arg-type]


SQUARE = {"q_lens": (3, 3), "kv_lens": (3, 3)}

CALLS: dict[str, Example] = {
    "plain": BASE,
    "BSND": _base(layout="BSND"),
    "BSH": _base(layout="BSH"),
    "SBH": _base(layout="SBH"),
    "mask": _base(mask="B1S"),
    "causal": _base(mask="compressed", mode=3),
    "band": _base(layout="BSH", mask="compressed", mode=4, pre_tokens=2, next_tokens=0),
    "prefix": _base(mask="compressed", mode=6, prefix=(1, 4)),
    "rows that see nothing": _base(q_lens=(4, 4), kv_lens=(2, 2), mask="compressed", mode=3, sink=False),
    "pse": _base(pse="BNSS"),
    "pse shared by the batch": _base(layout="SBH", pse="1NSS", pse_type=0),
    "pse shared by the rows": _base(pse="BN1S"),
    "slopes": _base(pse="N", pse_type=2, starts=(3, 5), **SQUARE),
    "slopes of each batch, square root": _base(layout="BSND", pse="BN", pse_type=3, **SQUARE),
    "sink": _base(sink=True, mask="compressed", mode=2),
    "dropout": _base(dropout="generated"),
    "dropout given": _base(dropout="given", layout="BSND"),
    "packed": PACKED,
    "packed by token": _packed(by_token=True),
    "packed causal": _packed(mask="compressed", mode=3),
    "packed mode 7": _packed(mask="compressed", mode=7, next_tokens=-1, pre_tokens=4),
    "packed mode 8": _packed(mask="compressed", mode=8, next_tokens=0, pre_tokens=3),
    "packed dropout and sink": _packed(dropout="generated", sink=True),
    "packed pse": _packed(q_lens=(2, 3), kv_lens=(3, 4), pse="packed"),
    "packed pse shared by the rows": _packed(q_lens=(2, 3), kv_lens=(3, 4), pse="packed_row", pse_type=0),
    "rope": _packed(rope=2, mask="compressed", mode=3),
    "no rows": _base(q_lens=(0, 0)),
    "no columns": _base(kv_lens=(0, 0)),
}
