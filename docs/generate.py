#!/usr/bin/env python3
"""Writes the generated parts of the documentation from the code.

    python docs/generate.py            rewrite every generated block and docs/pictures/sparse_modes.png
    python docs/generate.py --check    fail, and say where, if something would change

A page marks a block with a line `<!-- generated: KIND NAME -->` and ends it with `<!-- end generated -->`. KIND is
`picture` (who sees whom, from PICTURES below), `api` (signature and docstring of a public name) or `command` (a command
line of COMMANDS and what it prints). Pictures are asked of both voices on the rules, the compiled core and golden, and are
refused where the two differ.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import inspect
import io
import re
import shlex
import struct
import sys
import zlib
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import npu_flash_attention
import torch
from npu_flash_attention import api, cli, golden
from npu_flash_attention.call import UNBOUNDED_TOKENS, Call

DOCS = Path(__file__).resolve().parent
OVERVIEW = DOCS / "pictures" / "sparse_modes.png"
MARKER = re.compile(r"(<!-- generated: (\w+) ([\w.-]+) -->\n)(.*?)(<!-- end generated -->)", re.DOTALL)

# ---------------------------------------------------------------------------------------------------------------------
# Pictures
# ---------------------------------------------------------------------------------------------------------------------

TRIANGLE = torch.ones(2048, 2048, dtype=torch.bool).triu(1)
PREFIX_TILE = torch.arange(2048).expand(1024, 2048) >= 1024
PREFIX_MASK = torch.cat([TRIANGLE, PREFIX_TILE])


@dataclass
class Panel:
    """One call, drawn sequence by sequence."""

    caption: str
    mode: int
    q_lens: tuple[int, ...]
    kv_lens: tuple[int, ...]
    mask: str | None = "compressed"  # None: no mask; "compressed"; or rows of digits, 1 = hidden
    options: dict[str, Any] = field(default_factory=dict)

    def call(self) -> Call:
        options: dict[str, Any] = {"sparse_mode": self.mode, "atten_mask": self._mask(), **self.options}
        q, kv = self.q_lens, self.kv_lens
        if len(q) == 1:
            query, key = torch.zeros(1, 1, q[0], 8), torch.zeros(1, 1, kv[0], 8)
            return Call(query, key, key, 1, "BNSD", **options)
        query, key = torch.zeros(sum(q), 1, 8), torch.zeros(sum(kv), 1, 8)
        options |= {"actual_seq_qlen": list(accumulate(q)), "actual_seq_kvlen": list(accumulate(kv))}
        return Call(query, key, key, 1, "TND", **options)

    def _mask(self) -> torch.Tensor | None:
        if self.mask is None:
            return None
        if self.mask == "compressed":
            return PREFIX_MASK if self.mode == 6 else TRIANGLE
        mask = torch.tensor([[digit == "1" for digit in row] for row in self.mask.split()])
        return mask[None, None] if self.mode == 5 else mask

    def visible(self) -> list[torch.Tensor]:
        """Bool [Sq, Skv] of each sequence, on which the compiled core and golden agree."""
        call = self.call()
        problem = call.build_problem()
        model = golden.Problem(call.query, call.key, call.value, call.head_num, call.input_layout, **call.options())
        pictures = []
        for ours, theirs in zip(problem.sequences, model.sequences, strict=True):
            tile = problem.visible(ours, (0, 1), (0, ours.q_len), (0, ours.kv_len))
            everything = torch.ones(ours.q_len, ours.kv_len, dtype=torch.bool)
            picture = everything if tile is None else torch.from_numpy(tile)[0]
            if not torch.equal(picture, golden.visible(model, theirs)):
                raise AssertionError(f"{self.caption}: the compiled core and golden do not see the same")
            pictures.append(picture)
        return pictures


def tokens(pre: int = UNBOUNDED_TOKENS, following: int = UNBOUNDED_TOKENS) -> dict[str, Any]:
    return {"pre_tokens": pre, "next_tokens": following}


SHAPES = (("Sq = Skv = 5", 5, 5), ("Sq 4, Skv 6", 4, 6), ("Sq 6, Skv 4", 6, 4))
OPEN_4_6 = "000000 " * 4
HOLES = "010000 000010 100001 001000"


def per_shape(mode: int, **options: Any) -> list[Panel]:
    return [Panel(caption, mode, (q,), (kv,), options=options) for caption, q, kv in SHAPES]


PICTURES: dict[str, list[Panel]] = {
    "no-mask": [Panel("sparse_mode 3, atten_mask None", 3, (4,), (6,), None)],
    "mode-0": [
        Panel("mask", 0, (4,), (6,), HOLES),
        Panel("window, pre 1, next 2", 0, (4,), (6,), OPEN_4_6, tokens(1, 2)),
        Panel("mask and window", 0, (4,), (6,), HOLES, tokens(1, 2)),
    ],
    "mode-1": [Panel("mask, whatever pre and next are", 1, (4,), (6,), HOLES, tokens(0, 0))],
    "mode-2": per_shape(2),
    "mode-3": per_shape(3),
    "mode-4": per_shape(4, **tokens(2, 1)),
    "mode-5": [
        Panel("prefix 3, open mask", 5, (5,), (5,), "00000 " * 5, {"prefix": [3]}),
        Panel("prefix 3, mask with holes", 5, (5,), (5,), "01000 00000 10000 00010 00001", {"prefix": [3]}),
    ],
    "mode-6": [
        Panel("prefix 3, Sq = Skv = 5", 6, (5,), (5,), options={"prefix": [3]}),
        Panel("prefix 4, Sq 4, Skv 6", 6, (4,), (6,), options={"prefix": [4]}),
        Panel("prefix 0, Sq 6, Skv 4", 6, (6,), (4,), options={"prefix": [0]}),
    ],
    "mode-7": [Panel("next -2", 7, (3, 3, 3), (3, 4, 6), options=tokens(following=-2))],
    "mode-8": [Panel("next 1", 8, (4, 3, 3), (6, 3, 4), options=tokens(following=1))],
}


def picture_text(name: str) -> str:
    """Panels side by side: '#' visible, '.' hidden; rows are queries, columns keys."""
    columns: list[list[str]] = []
    for panel in PICTURES[name]:
        for index, picture in enumerate(panel.visible()):
            rows = [" ".join("#" if seen else "." for seen in row) for row in picture.tolist()]
            caption = panel.caption
            if len(panel.q_lens) > 1:
                caption = f"sequence {index}" + (f" ({panel.caption})" if index == 0 else "")
                caption += f", {panel.q_lens[index]} x {panel.kv_lens[index]}"
            columns.append([caption, "", *rows])
    height = max(map(len, columns))
    widths = [max(map(len, column)) for column in columns]
    lines = (
        "    ".join(
            (column[line] if line < len(column) else "").ljust(width)
            for column, width in zip(columns, widths, strict=True)
        )
        for line in range(height)
    )
    return "```text\n" + "\n".join(line.rstrip() for line in lines) + "\n```\n"


# ---------------------------------------------------------------------------------------------------------------------
# The overview
# ---------------------------------------------------------------------------------------------------------------------


def overview_panels() -> list[tuple[str, str, Panel]]:
    """(title, rule, call) of each picture of the PNG."""
    q, kv = 10, 14
    everything = ("0" * kv + " ") * q
    padded = ("00110000010000 ") * q  # a few keys that nobody sees
    blocks = " ".join("".join("1" if (i // 2 + j // 3) % 3 == 0 else "0" for j in range(kv)) for i in range(q))

    def one(mode: int, mask: str | None = "compressed", **options: Any) -> Panel:
        return Panel(f"mode {mode}", mode, (q,), (kv,), mask, options)

    lengths = ((4, 3, 5), (4, 4, 7))
    return [
        ("no atten_mask", "everything, in every mode", one(3, None)),
        ("0  default", "mask and i - pre <= j <= i + next", one(0, everything, **tokens(3, 4))),
        ("1  all mask", "the mask alone", one(1, blocks)),
        ("2  left-up causal", "j <= i", one(2)),
        ("3  right-down causal", "j <= i + Skv - Sq", one(3)),
        ("4  band", "pre 3 and next 1 around right-down", one(4, **tokens(3, 1))),
        ("5  prefix, full mask", "mask and (mode 3 or j < 7)", one(5, padded, prefix=[7])),
        ("6  prefix, compressed", "mode 3 or j < 9", one(6, prefix=[9])),
        ("7  TND, last apart", "mode 3; last: mode 4, next -2", Panel("", 7, *lengths, options=tokens(following=-2))),
        (
            "8  TND, first apart",
            "mode 2; first: mode 4, next -1",
            Panel("", 8, (3, 5, 4), (6, 5, 3), options=tokens(following=-1)),
        ),
    ]


def fingerprint() -> str:
    """What the overview shows, as a short text: it goes into the PNG, where --check finds it."""
    digest = hashlib.sha256()
    for title, rule, panel in overview_panels():
        digest.update(f"{title}|{rule}|".encode())
        for picture in panel.visible():
            digest.update(f"{list(picture.shape)}{picture.int().flatten().tolist()}".encode())
    return digest.hexdigest()[:16]


def draw_overview() -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.colors import ListedColormap

    outside, hidden, seen = "#ffffff", "#e4e7eb", "#1f5fa8"
    figure, axes = pyplot.subplots(2, 5, figsize=(15, 6.4), constrained_layout=True)
    for axis, (title, rule, panel) in zip(axes.flat, overview_panels(), strict=True):
        canvas = torch.zeros(sum(panel.q_lens), sum(panel.kv_lens), dtype=torch.int64)
        row = column = 0
        for picture in panel.visible():
            rows, columns = picture.shape
            canvas[row : row + rows, column : column + columns] = 1 + picture.long()
            row, column = row + rows, column + columns
        axis.imshow(canvas.numpy(), cmap=ListedColormap([outside, hidden, seen]), vmin=0, vmax=2)
        axis.set_xticks([x - 0.5 for x in range(canvas.shape[1] + 1)], minor=True)
        axis.set_yticks([y - 0.5 for y in range(canvas.shape[0] + 1)], minor=True)
        axis.grid(which="minor", color="white", linewidth=1)
        axis.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
        axis.set_title(title, fontsize=12, fontweight="bold", loc="left", pad=20)
        axis.text(0, 1.03, rule, transform=axis.transAxes, fontsize=10, color="#444444")
        axis.set_xlabel("keys j", fontsize=9)
        axis.set_ylabel("queries i", fontsize=9)
        axis.spines[:].set_visible(False)
        axis.set_anchor("N")
    figure.suptitle("Who sees whom: blue = visible, grey = hidden, white = other sequences (TND)", fontsize=13)
    OVERVIEW.parent.mkdir(exist_ok=True)
    figure.savefig(OVERVIEW, dpi=100, metadata={"Description": fingerprint(), "Software": None})
    pyplot.close(figure)


def drawn_fingerprint() -> str | None:
    """The Description that the PNG carries."""
    if not OVERVIEW.exists():
        return None
    data, at = OVERVIEW.read_bytes(), 8
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        if kind in (b"tEXt", b"zTXt", b"iTXt") and body.startswith(b"Description\0"):
            text = body.split(b"\0", 1)[1]
            return (zlib.decompress(text[1:]) if kind == b"zTXt" else text).decode("latin-1").strip("\0")
        at += length + 12
    return None


# ---------------------------------------------------------------------------------------------------------------------
# API
# ---------------------------------------------------------------------------------------------------------------------

SECTIONS = ("Args:", "Returns:", "Raises:", "Attributes:")


def signature_text(name: str, function: Any) -> str:
    """The signature as code, one parameter a line where it is long."""
    signature = inspect.signature(function)
    parts: list[str] = []
    keyword_only = False
    for parameter in signature.parameters.values():
        if parameter.name == "self" and parameter.annotation is parameter.empty:
            continue  # of a method; _npu_dropout_gen_mask has a tensor of that name
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            parts.append("*")
        text = parameter.name
        if parameter.kind is parameter.VAR_POSITIONAL:
            text = "*" + text
        if parameter.kind is parameter.VAR_KEYWORD:
            text = "**" + text
        if parameter.annotation is not parameter.empty:
            text += f": {parameter.annotation}"
        if parameter.default is not parameter.empty:
            text += f" = {parameter.default!r}"
        parts.append(text)
    returns = "" if signature.return_annotation is signature.empty else f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(parts)}){returns}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"
    return f"```text\n{line}\n```\n"


def docstring_markdown(text: str) -> str:
    """A docstring with Args/Returns/Raises sections as Markdown: entries become bullets, indented blocks stay as typed."""
    lines: list[str] = []
    section = ""
    for line in inspect.cleandoc(text).splitlines():
        if line in SECTIONS:
            section = line
            lines += [f"**{line.rstrip(':')}**", ""]
        elif section in ("Args:", "Raises:", "Attributes:") and re.match(r"    \S", line):
            names, _, rest = line.strip().partition(":")
            lines.append(f"- `{names}`:{_escaped(rest)}")
        elif section and line.startswith("        "):
            lines.append("  " + _escaped(line.strip()))
        elif section and line.startswith("    "):
            lines.append(_escaped(line.strip()))
        else:
            if line:
                section = ""
            lines.append(_escaped(line))
    return "\n".join(lines) + "\n"


def _escaped(line: str) -> str:
    """Asterisks outside of backticks are products, not emphasis."""
    return "`".join(part if i % 2 else part.replace("*", "\\*") for i, part in enumerate(line.split("`")))


def api_text(name: str) -> str:
    """Signature and docstring of a name of the package, of golden.NAME, or the shapes every entry point shares."""
    if name == "shapes":
        return "```text\n" + inspect.cleandoc(api.__doc__ or "").split("\n\n", 1)[1] + "\n```\n"
    target: Any = npu_flash_attention
    for part in name.split("."):
        target = getattr(target, part)
    doc = inspect.getdoc(target)
    if not doc:
        raise AssertionError(f"{name}: a public name without a docstring")
    return signature_text(name, target) + "\n" + docstring_markdown(doc)


# ---------------------------------------------------------------------------------------------------------------------
# Commands
# ---------------------------------------------------------------------------------------------------------------------

COMMANDS = {
    "explain": "explain --layout TND --q-lens 16,8 --kv-lens 16,12 --heads 8 --kv-heads 2 --head-dim 64 --mode 3 --sequence 1",
    "refused": "explain --layout BNSD --heads 8 --kv-heads 3",
    "sweep": "sweep --layout BNSD,TND --mode 2,3 --seq 63 --keep-prob 1,0.9 --quiet",
}


def command_text(name: str) -> str:
    """A command line of the package with what it prints and, unless it is 0, its exit code."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = cli.main(shlex.split(COMMANDS[name]))
    printed = "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
    if code != 0:
        printed += f"$ echo $?\n{code}\n"
    return f"```console\n$ npu-flash-attention {COMMANDS[name]}\n{printed}```\n"


# ---------------------------------------------------------------------------------------------------------------------
# Pages
# ---------------------------------------------------------------------------------------------------------------------

KINDS = {"picture": picture_text, "api": api_text, "command": command_text}


def regenerated(page: str) -> str:
    return MARKER.sub(lambda m: f"{m[1]}\n{KINDS[m[2]](m[3]).strip()}\n\n{m[5]}", page)


def stale() -> list[str]:
    """What `python docs/generate.py` would change."""
    pages = (path for path in sorted(DOCS.glob("*.md")))
    found = [path.name for path in pages if (text := path.read_text(encoding="utf-8")) != regenerated(text)]
    if drawn_fingerprint() != fingerprint():
        found.append(str(OVERVIEW.relative_to(DOCS)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if something is stale")
    options = parser.parse_args()
    names = stale()
    if options.check:
        for name in names:
            print(f"docs/{name}: stale; run python docs/generate.py", file=sys.stderr)
        return 1 if names else 0
    for name in names:
        path = DOCS / name
        if path == OVERVIEW:
            draw_overview()
        else:
            path.write_text(regenerated(path.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"docs/{name}: rewritten")
    return 0


if __name__ == "__main__":
    sys.exit(main())
