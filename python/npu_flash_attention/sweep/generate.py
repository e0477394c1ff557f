"""Random valid calls. Each rule of validation is respected by construction, so that a refused case is a bug.

A case depends on (seed, index) alone: the hundredth case of a sweep is the same whether or not the others ran.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from .cases import DTYPES, LAYOUTS, UNBOUNDED_TOKENS, Case

_LENGTHS = (1, 2, 3, 5, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 80, 100, 127, 128, 129, 130)
_LONG = (257, 512, 513, 600, 1000, 1023)
_TABLE_LENGTHS = (1024, 1025, 1100, 1300)  # of the compressed ALiBi table
_DIMS = (1, 2, 3, 5, 8, 15, 16, 17, 24, 31, 32, 33, 40, 48, 63, 64, 72, 80, 88, 96, 100, 128, 130, 192, 256)
_LARGE_DIMS = (257, 320, 512, 576, 700, 768)
_SCORES = 60_000  # of a usual case: the sweep is to be quick
_LONG_SCORES = 1_500_000


def random_cases(seed: int, count: int, start: int = 0) -> Iterator[Case]:
    """`count` distinct valid cases."""
    seen: set[str] = set()
    for index in range(start, start + count):
        attempt = 0
        while (case := random_case(seed, index, attempt)).id in seen:
            attempt += 1
        seen.add(case.id)
        yield case


def random_case(seed: int, index: int, attempt: int = 0) -> Case:
    """The valid case number `index` of a seed."""
    return _Draw(random.Random(f"{seed}:{index}:{attempt}")).case()


class _Draw:
    """The fields of one case, drawn in an order in which each knows those it depends on."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.fields: dict[str, Any] = {}

    def case(self) -> Case:
        f, rng = self.fields, self.rng
        f["layout"] = rng.choice((*LAYOUTS, "TND", "TND"))
        f["dtype"] = rng.choice(DTYPES)
        f["spelling"] = rng.choice(("upper", "upper", "lower", "mixed"))
        f["values"] = rng.choice(("normal", "normal", "uniform", "small", "outliers"))
        f["seed"] = rng.randrange(1, 1 << 62)
        self.tnd = f["layout"] == "TND"
        f["kv_heads"] = rng.choice((1, 1, 2, 3, 4))
        f["heads"] = f["kv_heads"] * rng.choice((1, 1, 2, 3, 4))
        f["head_dim"] = rng.choice(_LARGE_DIMS) if self.chance(0.06) else rng.choice(_DIMS)
        if self.chance(0.4):
            f["value_dim"] = rng.randint(1, f["head_dim"])
        f["scale"] = rng.choice((0.0, 0.0, 0.0, 0.5 / f["head_dim"] ** 0.5, 1.0 if f["head_dim"] <= 16 else 0.05))
        f["sink"] = self.chance(0.2)
        f["memory"] = rng.choice(
            ("contiguous", "contiguous", "sliced", "transposed", "expanded", "fused", "last_strided")
        )
        table = self.chance(0.015)  # a compressed ALiBi table
        rope = self.tnd and not table and f["dtype"] in ("bfloat16", "float64") and self.chance(0.2)
        self.slopes = not table and not rope and self.chance(0.12)
        self.mode = self.draw_mode(table, rope)
        self.masked = table or rope or self.chance(0.75)
        self.draw_lengths(table)
        if table:
            self.draw_table()
        elif rope:
            f["rope_dim"] = rng.randint(1, f["head_dim"])
        else:
            self.draw_bias()
        self.draw_visibility()
        if not rope:
            self.draw_dropout()
        self.draw_entry()
        f["poison"] = f["memory"] != "expanded" and self.chance(0.15)
        return Case(**f)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def draw_mode(self, table: bool, rope: bool) -> int:
        if table:
            return self.rng.choice((2, 3))
        modes = [0, 1, 2, 3, 4, 6, 7, 8] if self.tnd else [0, 0, 1, 2, 3, 4, 5, 6]
        if rope:
            modes.remove(6)
        if self.slopes:
            modes = [mode for mode in modes if mode != 7]
        return self.rng.choice(modes)

    # ---- lengths ----

    def draw_lengths(self, table: bool) -> None:
        f, rng = self.fields, self.rng
        f["batch"] = rng.choice((1, 1, 2, 3))
        if table:
            f["heads"] = f["kv_heads"] = rng.choice((1, 2))
            f["head_dim"], f["batch"] = min(f["head_dim"], 64), 1
            f["value_dim"] = min(f.get("value_dim", 0), 64)
        limit = _SCORES
        if self.chance(0.03) and not table:
            f["kv_heads"], f["batch"] = rng.choice((1, 1, 2)), 1
            f["heads"] = f["kv_heads"] * rng.choice((1, 1, 2))
            limit = _LONG_SCORES
        if self.tnd:
            self.draw_sequences(table, limit)
            return
        if table:
            f["q_len"] = f["kv_len"] = rng.choice(_TABLE_LENGTHS)
            return
        most = limit // (f["batch"] * f["heads"])
        f["q_len"], f["kv_len"] = self.draw_pair(most, equal=self.slopes)
        if self.chance(0.03):
            f[rng.choice(("batch", "q_len") if self.slopes else ("batch", "q_len", "kv_len"))] = 0
            f["kv_len"] = f["q_len"] if self.slopes else f["kv_len"]

    def draw_pair(self, most: int, equal: bool = False) -> tuple[int, int]:
        """(Sq, Skv) with at most so many scores."""
        pool = _LONG if most >= _LONG_SCORES // 8 else _LENGTHS
        while True:
            q, k = self.rng.choice(pool), self.rng.choice(pool)
            if equal or self.chance(0.4):
                k = q
            if q * k <= most:
                return q, k
            pool = _LENGTHS

    def draw_sequences(self, table: bool, limit: int) -> None:
        f, rng = self.fields, self.rng
        count = rng.choice((1, 2, 3, 4, 5, 6) if limit == _SCORES else (1, 2))
        if table:
            lengths = [rng.choice(_TABLE_LENGTHS)] + rng.choices(_LENGTHS, k=rng.choice((0, 1, 2)))
            rng.shuffle(lengths)
            pairs = [(length, length) for length in lengths]
        else:
            most = limit // f["heads"] // count
            pairs = [self.draw_pair(most, equal=self.slopes and self.mode == 8) for _ in range(count)]
            pairs = [self.ordered(pair) for pair in pairs]
            # Positional biases packed per sequence do without empty sequences; slopes and the rest do not mind them.
            self.empties = self.chance(0.35)
            if self.empties:
                for at in sorted(rng.sample(range(len(pairs)), k=rng.choice((1, min(2, len(pairs)))))):
                    q, k = pairs[at]
                    kinds = [(0, 0), (0, k)] + ([(q, 0)] if self.mode != 3 else [])
                    pairs[at] = rng.choice(kinds)
                if self.chance(0.4):
                    pairs.insert(0, (0, 0))
        if any(map(sum, pairs)) and self.chance(0.25):
            f["trailing_zeros"] = rng.choice((1, 2))
        if self.chance(0.25):
            f["spare_q"], f["spare_kv"] = rng.choice((0, 1, 5)), rng.choice((0, 1, 9))
        f["q_lens"], f["kv_lens"] = tuple(q for q, _ in pairs), tuple(k for _, k in pairs)
        f["softmax_layout"] = rng.choice(("", "", "TND"))
        f["lengths_as"] = rng.choice(("list", "tuple", "tensor"))
        f["batch"], f["q_len"], f["kv_len"] = 1, 16, 16  # unused

    def ordered(self, pair: tuple[int, int]) -> tuple[int, int]:
        """Modes 3 and 7 want Sq <= Skv in layout TND."""
        return (min(pair), max(pair)) if self.mode in (3, 7) else pair

    @property
    def lengths(self) -> list[tuple[int, int]]:
        """(Sq, Skv) of each sequence, those of trailing zeros included."""
        f = self.fields
        if self.tnd:
            return [*zip(f["q_lens"], f["kv_lens"], strict=True), *[(0, 0)] * f.get("trailing_zeros", 0)]
        return [(f["q_len"], f["kv_len"])] * f["batch"]

    @property
    def busy(self) -> list[tuple[int, int]]:
        return [(q, k) for q, k in self.lengths if q > 0 and k > 0]

    # ---- position bias ----

    def draw_table(self) -> None:
        self.fields["pse"] = self.rng.choice(("tableB", "table1"))
        self.fields["pse_type"] = self.rng.choice((0, 1))

    def draw_bias(self) -> None:
        f, rng = self.fields, self.rng
        if self.slopes:
            f["pse"], f["pse_type"] = rng.choice(("N", "BN")), rng.choice((2, 3))
            self.draw_starts()
            return
        if self.chance(0.6):
            return
        if not self.tnd:
            f["pse"] = rng.choice(("BNSS", "1NSS", "BN1S", "1N1S"))
        elif self.empties or not self.busy:
            return
        else:
            f["pse"] = rng.choice(("packed", "packed_row"))
        f["pse_type"] = rng.choice((0, 1))
        f["pse_hides"] = self.chance(0.2)

    def draw_starts(self) -> None:
        f, rng = self.fields, self.rng
        if self.chance(0.5):
            f["q_start"] = rng.choice((0, 1, 7, 1000, -3))
            if self.chance(0.8):
                f["kv_start"] = rng.choice((0, 2, 7, 1024))
        if self.mode == 8 and self.masked:  # there Sq - Skv of the first sequence equals kv_start - q_start
            f["kv_start"] = f.get("q_start")

    # ---- mask and tokens ----

    def draw_visibility(self) -> None:
        f, rng = self.fields, self.rng
        f["sparse_mode"] = self.mode
        if not self.masked:  # then mode and tokens mean nothing
            f["sparse_mode"] = self.mode if self.chance(0.3) else 0
            if self.chance(0.3):
                f["pre_tokens"], f["next_tokens"] = rng.choice(((65536, 65536), (0, 0), (-5, 3), (10, -2)))
            return
        f["mask_dtype"] = rng.choice(("bool", "uint8"))
        if self.mode in (0, 1, 5):
            self.draw_dense_mask()
        else:
            f["mask"] = "compressed"
        tokens = {0: self.default_tokens, 4: self.band_tokens, 7: self.last_band, 8: self.first_band}
        if self.mode in tokens:
            f["pre_tokens"], f["next_tokens"] = tokens[self.mode]()
        elif self.chance(0.3):  # ignored
            f["pre_tokens"], f["next_tokens"] = rng.choice(((65536, 0), (1, 1), (-9, -9)))
        if self.mode == 6 or (self.mode == 5 and self.chance(0.6)):
            f["prefix"] = tuple(rng.randint(0 if q > k else k - q, k) for q, k in self.lengths)

    def draw_dense_mask(self) -> None:
        f, rng = self.fields, self.rng
        if self.tnd:
            forms = ["SS", "TT", "11SS", "B1SS", "BNSS", "expanded"]
        elif self.mode == 5:
            forms = ["B1SS", "BNSS", "expanded"] + (["SS", "11SS"] if f["batch"] == 1 else [])
        else:
            forms = ["SS", "11SS", "B1SS", "BNSS", "expanded"]
        f["mask"] = rng.choice(forms)
        f["mask_content"] = rng.choice(("causal", "random", "random", "rows", "columns", "zeros", "ones"))

    def default_tokens(self) -> tuple[int, int]:
        """Mode 0: a window from the top-left corner."""
        far = max((q for q, _ in self.lengths), default=0), max((k for _, k in self.lengths), default=0)
        kind = self.rng.choice(("unbounded", "causal", "far", "window", "window"))
        if kind == "unbounded":
            return UNBOUNDED_TOKENS, UNBOUNDED_TOKENS
        if kind == "causal":
            return far[0] + self.rng.choice((0, 5)), 0
        if kind == "far":
            return far[0] + 3, far[1] + 2
        if not self.tnd:
            return self.top_left_window(*(self.lengths[0] if self.lengths else (0, 0)))
        least = max((q - k for q, k in self.busy), default=0)  # Skv + pre_tokens >= Sq everywhere
        pre = max(least, self.rng.randint(-3, far[0] + 2))
        return pre, self.rng.randint(max(0, -pre), max(0, -pre) + far[1] + 2)

    def top_left_window(self, q: int, k: int) -> tuple[int, int]:
        """Tokens before and after the diagonal that leave a window within Sq x Skv scores."""
        kind = self.rng.choice(("both", "both", "below", "above"))
        if kind == "below" and q > 1:  # the window ends left of the diagonal
            after = -self.rng.randint(1, q - 1)
            return self.rng.randint(-after, q + 2), after
        if kind == "above" and k > 1:  # the window starts right of the diagonal
            before = -self.rng.randint(1, k - 1)
            return before, self.rng.randint(-before, k + 2)
        return self.rng.randint(0, q + 2), self.rng.randint(0, k + 2)

    def band_tokens(self) -> tuple[int, int]:
        """Mode 4: a band from the bottom-right corner."""
        if not self.tnd:
            q, k = self.lengths[0] if self.lengths else (self.fields["q_len"], self.fields["kv_len"])
            before, after = self.top_left_window(q, k)
            return before + (k - q), after - (k - q)
        pre = self.rng.randint(0, max((k for _, k in self.lengths), default=0) + 2)
        least = max([q - k for q, k in self.busy] + [-pre])
        return pre, self.rng.randint(least, max(least, 0) + 20)

    def last_band(self) -> tuple[int, int]:
        """Mode 7: the last sequence is a band below the bottom-right diagonal."""
        q, k = self.busy[-1] if self.busy else (0, 0)
        return k + self.rng.choice((0, 3, 65536)), self.rng.randint(q - k, 0)

    def first_band(self) -> tuple[int, int]:
        """Mode 8: the first sequence is a band."""
        q, k = self.busy[0] if self.busy else (0, 0)
        return k + self.rng.choice((0, 3, 65536)), self.rng.randint(q - k, max(q - k, 0) + 10)

    # ---- dropout and entry point ----

    def draw_dropout(self) -> None:
        f, rng = self.fields, self.rng
        if self.chance(0.55):
            return
        f["dropout"] = rng.choice(("generated", "generated", "external", "external_stream"))
        f["keep_prob"] = rng.choice((0.99, 0.9, 0.8, 0.5, 0.3, 0.1))
        if f["dropout"] == "external" and self.chance(0.3):
            f["keep_prob"] = 1.0

    def draw_entry(self) -> None:
        f = self.fields
        entries = ["v2"]
        if f.get("pse_type", 1) == 1 and not f.get("rope_dim"):
            entries.append("v1")
            if f.get("dropout", "none") in ("none", "generated"):
                entries.append("v3")
        f["entry"] = self.rng.choice(entries)
        if f["entry"] == "v3" and self.tnd:
            f["lengths_as"] = "tensor"
