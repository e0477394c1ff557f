"""A case: one call of the operator written down as plain values, from which `inputs.build` makes the tensors.

A case is data: it can be named on a command line, stored in a file, and run again on another machine with the same
numbers. Cases come from `generate.random_cases` (any valid call), from a file or from flags (`product`).
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from ..call import UNBOUNDED_TOKENS

LAYOUTS = ("BSH", "SBH", "BSND", "BNSD", "TND")
DTYPES = ("float16", "bfloat16", "float32", "float64")
ENTRIES = ("v1", "v2", "v3")
MASKS = ("none", "SS", "11SS", "B1SS", "BNSS", "expanded", "TT", "compressed")
MASK_CONTENTS = ("causal", "random", "rows", "columns", "zeros", "ones")
BIASES = ("none", "BNSS", "1NSS", "BN1S", "1N1S", "tableB", "table1", "packed", "packed_row", "N", "BN")
DROPOUTS = ("none", "generated", "external", "external_stream")
MEMORIES = ("contiguous", "sliced", "transposed", "expanded", "fused", "last_strided")
VALUES = ("normal", "uniform", "small", "outliers")
# The distributions of acceptance, and inputs that no number is expected of.
ACCEPTANCE_VALUES = ("uniform_tiny", "uniform_wide", "normal_shifted", "outliers_large")
NOT_FINITE = ("all_nan", "all_inf", "all_minus_inf", "some_not_finite")

_CHOICES: dict[str, tuple[Any, ...]] = {
    "layout": LAYOUTS,
    "dtype": DTYPES,
    "entry": ENTRIES,
    "mask": MASKS,
    "mask_dtype": ("bool", "uint8"),
    "mask_content": MASK_CONTENTS,
    "pse": BIASES,
    "dropout": DROPOUTS,
    "memory": MEMORIES,
    "values": VALUES + ACCEPTANCE_VALUES + NOT_FINITE,
    "lengths_as": ("list", "tuple", "tensor"),
    "spelling": ("upper", "lower", "mixed"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One call. Sizes count elements; fields that a layout or mode does not use keep their defaults.

    Batched layouts take `batch`, `q_len`, `kv_len`. TND takes the lengths of its sequences from `q_lens` and `kv_lens`
    or, where these are empty, `batch` sequences of q_len and kv_len.
    """

    layout: str = "BNSD"
    dtype: str = "float32"
    batch: int = 1
    heads: int = 1
    kv_heads: int = 1
    q_len: int = 16
    kv_len: int = 16
    head_dim: int = 16
    value_dim: int = 0  # 0: as head_dim
    q_lens: tuple[int, ...] = ()  # TND: length of each sequence, 0 for an empty one
    kv_lens: tuple[int, ...] = ()
    trailing_zeros: int = 0  # TND: zeros after the last cumulative length
    spare_q: int = 0  # TND: tokens of query beyond the last sequence
    spare_kv: int = 0
    lengths_as: str = "list"  # TND: how the cumulative lengths are passed
    sparse_mode: int = 0
    pre_tokens: int = UNBOUNDED_TOKENS
    next_tokens: int = UNBOUNDED_TOKENS
    prefix: tuple[int, ...] = ()  # modes 5 and 6: one per sequence
    mask: str = "none"  # shape; TT is [sum of Sq, sum of Skv], expanded is B1SS with a head stride of 0
    mask_dtype: str = "bool"
    mask_content: str = "causal"  # of masks that are not compressed
    pse: str = "none"  # shape; table is the compressed ALiBi table, N and BN are slopes
    pse_type: int = 1
    pse_hides: bool = False  # some elements of pse are minus infinity
    q_start: int | None = None  # start indices of pse types 2 and 3
    kv_start: int | None = None
    dropout: str = "none"  # external: bits of one's own; external_stream: the operator's bits, passed as a mask
    keep_prob: float = 1.0
    sink: bool = False
    rope_dim: int = 0
    scale: float = 0.0  # 0: 1 / sqrt(head_dim + rope_dim)
    softmax_layout: str = ""
    memory: str = "contiguous"  # how query, key, value, pse and the mask lie in memory
    poison: bool = False  # NaN in keys and values that no row sees, and in spare tokens
    values: str = "normal"
    spelling: str = "upper"  # letter case of the layout
    entry: str = "v2"  # which of the three functions is called
    seed: int = 1  # of the contents and of the dropout

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if len(self.q_lens) != len(self.kv_lens):
            raise ValueError(f"q_lens, kv_lens: expected equal counts, got {len(self.q_lens)} and {len(self.kv_lens)}")
        if self.q_lens and self.layout != "TND":
            raise ValueError(f"q_lens: expected layout TND, got {self.layout}")
        if self.trailing_zeros and self.lengths and self.lengths[-1] == (0, 0) and not any(map(sum, self.lengths)):
            raise ValueError("trailing_zeros: expected a sequence that is not empty before them")
        for name in ("batch", "q_len", "kv_len", "trailing_zeros", "spare_q", "spare_kv", "rope_dim", "value_dim"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")

    @property
    def lengths(self) -> list[tuple[int, int]]:
        """(Sq, Skv) of each sequence, without those of trailing zeros."""
        if self.q_lens:
            return list(zip(self.q_lens, self.kv_lens, strict=True))
        return [(self.q_len, self.kv_len)] * self.batch

    @property
    def dv(self) -> int:
        return self.value_dim or self.head_dim

    @property
    def scale_value(self) -> float:
        return self.scale or float(self.head_dim + self.rope_dim) ** -0.5

    @property
    def scores(self) -> int:
        """Elements of all score matrices together, a measure of the work."""
        return self.heads * sum(q * k for q, k in self.lengths)

    def changed(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {name: value for name, value in dataclasses.asdict(self).items() if value != defaults[name]}

    def to_json(self) -> str:
        return json.dumps(self.changed(), separators=(",", ":"))

    @property
    def id(self) -> str:
        """Readable name with a hash of every field: equal for equal cases, today and on other machines."""
        parts = [self.layout, {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32", "float64": "fp64"}[self.dtype]]
        parts.append(f"n{self.heads}x{self.kv_heads}")
        lengths = self.lengths
        if len(set(lengths)) == 1:
            parts.append(f"b{len(lengths)}s{lengths[0][0]}x{lengths[0][1]}")
        else:
            parts.append(f"b{len(lengths)}s{max((q for q, _ in lengths), default=0)}var")
        parts.append(f"d{self.head_dim}" + (f"x{self.dv}" if self.dv != self.head_dim else ""))
        if self.mask != "none":
            parts.append(f"m{self.sparse_mode}{self.mask}")
        if self.pse != "none":
            parts.append(f"pse{self.pse_type}{self.pse}")
        parts += [self.dropout] if self.dropout != "none" else []
        parts += [name for name in ("sink", "poison") if getattr(self, name)]
        parts += [f"rope{self.rope_dim}"] if self.rope_dim else []
        return "-".join(parts) + "-" + hashlib.sha256(self.to_json().encode()).hexdigest()[:8]

    def matches(self, pattern: str) -> bool:
        """Whether the pattern is part of the id, matches it as a shell pattern, or is one of the features."""
        return pattern in self.id or fnmatch.fnmatch(self.id, pattern) or pattern in features(self)


def features(case: Case) -> set[str]:
    """What a case exercises, as "group:value" words: groups of the report, and the coverage of a sweep."""
    lengths = case.lengths
    group = case.heads // case.kv_heads
    words = {
        f"layout:{case.layout}",
        f"dtype:{case.dtype}",
        f"entry:{case.entry}",
        f"spelling:{case.spelling}",
        f"mask:{case.mask}",
        f"pse:{case.pse}",
        f"dropout:{case.dropout}",
        f"memory:{case.memory}",
        f"values:{case.values}",
        f"heads:{'mha' if group == 1 else 'mqa' if case.kv_heads == 1 else 'gqa'}",
        f"dim:{'Dv<D' if case.dv < case.head_dim else 'Dv=D'}",
        f"sink:{'yes' if case.sink else 'no'}",
        f"rope:{'yes' if case.rope_dim else 'no'}",
        f"poison:{'yes' if case.poison else 'no'}",
    }
    if case.mask != "none":
        words |= {f"mode:{case.sparse_mode}", f"mask_dtype:{case.mask_dtype}"}
        if case.mask != "compressed":
            words.add(f"mask_content:{case.mask_content}")
        if case.sparse_mode in (0, 4) and not (case.pre_tokens == case.next_tokens == UNBOUNDED_TOKENS):
            words.add(f"tokens:{'negative' if min(case.pre_tokens, case.next_tokens) < 0 else 'window'}")
    else:
        words.add("mode:ignored" if case.sparse_mode else "mode:none")
    if case.pse != "none":
        words.add(f"pse_type:{case.pse_type}")
    words |= {"pse_hides:yes"} if case.pse_hides else set()
    words |= {"start:yes"} if case.q_start is not None or case.kv_start is not None else set()
    words |= {"dim:odd"} if case.head_dim % 16 else set()
    words |= {"dim:large"} if case.head_dim > 256 else set()
    if case.dropout != "none" and case.keep_prob == 1:
        words.add("dropout:mask_with_keep_prob_1")
    if case.layout == "TND":
        words |= {f"statistics:{case.softmax_layout or 'per_sequence'}", f"lengths:{case.lengths_as}"}
        words |= {"tnd:trailing_zeros"} if case.trailing_zeros else set()
        words |= {"tnd:spare_tokens"} if case.spare_q or case.spare_kv else set()
        if lengths and lengths[0] == (0, 0) and any(map(sum, lengths)):
            words.add("tnd:leading_zero")
        words |= {"tnd:empty_sequence"} if any(q == 0 or k == 0 for q, k in lengths) else set()
    words |= {"size:q=kv"} if all(q == k for q, k in lengths) else {"size:q!=kv"}
    words |= {"size:empty"} if case.scores == 0 else set()
    words |= {"size:one_row"} if any(q == 1 for q, _ in lengths) else set()
    words |= {"size:beyond_a_tile"} if any(q > 128 and k > 512 for q, k in lengths) else set()
    return words


def case_from(values: Mapping[str, Any]) -> Case:
    """A case from field values as JSON, YAML or TOML has them.

    Raises:
        ValueError: a name that is no field, or a value of the wrong type.
    """
    hints = get_type_hints(Case)
    converted: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            raise ValueError(f"case: expected a field of a case ({', '.join(hints)}), got {name!r}")
        converted[name] = _convert(name, value, str(hints[name]))
    return Case(**converted)


def _convert(name: str, value: Any, hint: str) -> Any:
    if "tuple" in hint:
        if not isinstance(value, (list, tuple)) or not all(type(v) is int for v in value):
            raise ValueError(f"{name}: expected a list of whole numbers, got {value!r}")
        return tuple(value)
    if value is None and "None" in hint:
        return None
    if "bool" in hint and type(value) is bool:
        return value
    if "float" in hint and type(value) in (int, float):
        return float(value)
    if "int" in hint and type(value) is int:
        return value
    if "str" in hint and isinstance(value, str):
        return value
    raise ValueError(f"{name}: expected {hint.replace('<class ', '').strip(chr(39) + '>')}, got {value!r}")


def product(choices: Mapping[str, Any]) -> Iterator[Case]:
    """The cases of every combination of the listed values; a value that is not a list is used in all of them.

    Fields that are lists themselves (q_lens, kv_lens, prefix) take a list of lists to vary. What is left out follows
    from the rest, see `completed`.
    """
    hints = get_type_hints(Case)
    axes: list[Sequence[Any]] = []
    for name, value in choices.items():
        nested = "tuple" in str(hints.get(name))
        several = isinstance(value, (list, tuple)) and (not nested or any(isinstance(v, (list, tuple)) for v in value))
        axes.append(value if several else [value])
    for combination in itertools.product(*axes):
        yield case_from(completed(dict(zip(choices, combination, strict=True))))


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Field values with the natural companions of those given.

    Keys follow queries in number and length; a sparse mode, a window or a prefix brings the mask without which it would
    mean nothing (`mask: none` says otherwise); slopes bring their pse type; keep_prob below 1 brings dropout.
    """
    values = dict(values)
    for name, model in (("kv_heads", "heads"), ("kv_len", "q_len"), ("kv_lens", "q_lens")):
        if model in values:
            values.setdefault(name, values[model])
    mode = values.get("sparse_mode")
    windowed = "pre_tokens" in values or "next_tokens" in values
    if mode in (2, 3, 4, 6, 7, 8):
        values.setdefault("mask", "compressed")
    elif mode is not None or windowed:
        values.setdefault("mask", "B1SS" if mode == 5 else "SS")
        # The window of mode 0 and the prefix of mode 5 are to show, not a mask on top of them.
        values.setdefault("mask_content", "zeros" if windowed or mode == 5 else "causal")
    if values.get("pse") in ("N", "BN"):
        values.setdefault("pse_type", 2)
    if values.get("keep_prob", 1) != 1:
        values.setdefault("dropout", "generated")
    return values


def cases_from_file(path: Path) -> Iterator[Case]:
    """The cases of a YAML or TOML file: one table of choices, or a list of tables under `cases`; see `product`.

    Raises:
        ValueError: the file is neither, or holds something else.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        content = _parse_toml(path, text)
    elif path.suffix in (".yaml", ".yml", ".json"):
        import yaml

        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{path}: {error}") from error
    else:
        raise ValueError(f"{path}: expected a .yaml, .yml, .json or .toml file")
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a table of choices, got {type(content).__name__}")
    tables = content.get("cases", [content])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"{path}: expected `cases` to be a list of tables")
    for table in tables:
        yield from product(table)


def _parse_toml(path: Path, text: str) -> Any:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[import-not-found, no-redef]
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
