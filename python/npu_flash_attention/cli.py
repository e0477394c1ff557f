"""The command line: `npu-flash-attention sweep`, `explain`, `doctor` and `flags`.

Exit codes: 0 all is well, 1 something failed, 2 the command or the call was wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_EPILOG = "exit codes: 0 all is well, 1 something failed, 2 the command or the call was wrong, 130 interrupted"

_SWEEP_EXAMPLES = """examples:
  npu-flash-attention sweep --count 2000 --out results          two thousand random valid calls
  npu-flash-attention sweep --count 2000 --out results --resume go on after an interrupt
  npu-flash-attention sweep --layout BNSD,TND --mode 2,3,4 --dtype float16 --seq 7,130
  npu-flash-attention sweep --count 500 --filter pse_type:3     only those with such a bias
  npu-flash-attention sweep --count 2000 --accept L2 --report report.html --json report.json
"""
_EXPLAIN_EXAMPLES = """examples:
  npu-flash-attention explain --mode 4 --seq 4096 --pre-tokens 512 --next-tokens 0
  npu-flash-attention explain --layout TND --q-lens 3,0,5 --kv-lens 7,2,5 --mode 3 --sequence 2
  npu-flash-attention explain --mode 6 --seq 16 --prefix 5 --png mask.png
"""

_DOCTOR_EXAMPLES = """examples:
  npu-flash-attention doctor                 look, and say what to do
  npu-flash-attention doctor --json > doctor.json   to send along with a report
"""
_FLAGS_EXAMPLES = """examples:
  c++ program.cpp $(npu-flash-attention flags) -o program            on the simulated chip
  c++ -c part.cpp $(npu-flash-attention flags --compile)
  c++ program.cpp $(npu-flash-attention flags --target npu) -I$ASCEND_HOME_PATH/include \\
      -L$ASCEND_HOME_PATH/lib64 -lnnopbase -lascendcl -o program      on a card
"""

# Flags that spell out a call: flag, field of a case, type, help.
_INTEGER, _NUMBER, _TEXT, _LIST = "integer", "number", "text", "list"
_FLAGS: tuple[tuple[str, str, str, str], ...] = (
    ("--layout", "layout", _TEXT, "BNSD, BSND, BSH, SBH or TND"),
    ("--dtype", "dtype", _TEXT, "float16, bfloat16, float32 or float64"),
    ("--batch", "batch", _INTEGER, "number of sequences"),
    ("--heads", "heads", _INTEGER, "query heads"),
    ("--kv-heads", "kv_heads", _INTEGER, "key and value heads (default: as --heads)"),
    ("--seq", "q_len", _INTEGER, "query length"),
    ("--kv-seq", "kv_len", _INTEGER, "key length (default: as --seq)"),
    ("--q-lens", "q_lens", _LIST, "TND: the length of each sequence, as 3,0,5"),
    ("--kv-lens", "kv_lens", _LIST, "TND: the key length of each sequence (default: as --q-lens)"),
    ("--head-dim", "head_dim", _INTEGER, "head size D of query and key"),
    ("--value-dim", "value_dim", _INTEGER, "head size of value, at most D (default: D)"),
    ("--mode", "sparse_mode", _INTEGER, "sparse mode 0 to 8; brings the mask it needs unless --mask none is given"),
    ("--pre-tokens", "pre_tokens", _INTEGER, "window before the diagonal (modes 0, 4, 7, 8)"),
    ("--next-tokens", "next_tokens", _INTEGER, "window after the diagonal"),
    ("--prefix", "prefix", _LIST, "modes 5 and 6: columns that all rows see, one number per sequence"),
    ("--mask", "mask", _TEXT, "shape of the mask: none, SS, 11SS, B1SS, BNSS, expanded, TT (TND) or compressed"),
    ("--mask-content", "mask_content", _TEXT, "causal, random, rows, columns, zeros or ones"),
    ("--pse", "pse", _TEXT, "position bias: none, BNSS, 1NSS, BN1S, 1N1S, tableB, table1, packed, packed_row, N or BN"),
    ("--pse-type", "pse_type", _INTEGER, "1: scale x (s + pse); 0: scale x s + pse; 2, 3: slopes"),
    ("--keep-prob", "keep_prob", _NUMBER, "dropout keeps a score with this probability"),
    ("--dropout", "dropout", _TEXT, "none, generated, external or external_stream"),
    ("--sink", "sink", _INTEGER, "1: one sink logit per head"),
    ("--rope-dim", "rope_dim", _INTEGER, "TND: head size of split rotary parts"),
    ("--scale", "scale", _NUMBER, "factor of the scores (default: 1 / sqrt(D))"),
    ("--softmax-layout", "softmax_layout", _TEXT, "TND: how statistics are stored, empty or TND"),
)


class _HelpFormatter(argparse.HelpFormatter):
    """Folds paragraphs, and leaves examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return "".join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code and raises nothing for a wrong command or call."""
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:  # argparse has printed its message
        return OK if end.code in (0, None) else USAGE
    if not hasattr(arguments, "command"):
        parser.print_help()
        return USAGE
    arguments.command_line = shlex.join(["npu-flash-attention", *(sys.argv[1:] if argv is None else argv)])
    try:
        return arguments.command(arguments)
    except (ValueError, OSError, ImportError, NotImplementedError) as error:
        status = getattr(error, "status", None)
        code = f" (aclnn status {status})" if status else ""
        print(f"npu-flash-attention: error: {error}{code}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(
        prog="npu-flash-attention",
        description="Check and look into npu_fusion_attention, the fused attention of Ascend NPUs, on any machine.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"npu_flash_attention {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_sweep(commands)
    _add_explain(commands)
    _add_doctor(commands)
    _add_flags(commands)
    return parser


def _add_call_flags(parser: argparse.ArgumentParser, several: bool) -> None:
    note = "each flag takes one value or several with commas; every combination is run" if several else ""
    group = parser.add_argument_group("the call", note)
    for flag, field, kind, text in _FLAGS:
        metavar = {_INTEGER: "N", _NUMBER: "X", _TEXT: "WORD", _LIST: "N,N"}[kind]
        group.add_argument(flag, dest=f"call_{field}", metavar=metavar, help=text)


def _call_values(arguments: argparse.Namespace, several: bool) -> dict[str, Any]:
    """Field values of the flags given; lists of values where several are allowed."""
    values: dict[str, Any] = {}
    for flag, field, kind, _ in _FLAGS:
        text = getattr(arguments, f"call_{field}")
        if text is None:
            continue
        if kind == _LIST:
            values[field] = [_number(flag, part, int) for part in text.split(",")]
            continue
        parts = text.split(",") if several else [text]
        parsed = [_parse(flag, field, kind, part) for part in parts]
        values[field] = parsed if several else parsed[0]
    return values


def _parse(flag: str, field: str, kind: str, text: str) -> Any:
    if kind == _TEXT:
        return text.upper() if field in ("layout", "softmax_layout") else text
    value = _number(flag, text, int if kind == _INTEGER else float)
    return bool(value) if field == "sink" else value


def _number(flag: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{flag}: expected {'a whole number' if kind is int else 'a number'}, got {text!r}") from None


# ---------------------------------------------------------------------------------------------------------------------
# sweep
# ---------------------------------------------------------------------------------------------------------------------


def _add_sweep(commands: Any) -> None:
    parser = commands.add_parser(
        "sweep",
        help="run many calls on a backend and compare each result with the golden model",
        description="Runs calls forward and backward on a backend and compares every output and gradient with the "
        "golden float64 model. A result passes when its error is at most twice that of plain PyTorch in the same dtype "
        "plus a rounding floor; float64 must agree to 1e-9. Without further flags the calls are random valid ones.",
        epilog=f"{_SWEEP_EXAMPLES}\n{_EPILOG}",
        formatter_class=_HelpFormatter,
    )
    parser.set_defaults(command=_sweep)
    parser.add_argument("--backend", default="cpu", metavar="NAME", help="which backend to check (default: cpu)")
    source = parser.add_argument_group("which calls")
    source.add_argument("--count", type=int, default=100, metavar="N", help="number of random calls (default: 100)")
    source.add_argument("--seed", type=int, default=0, metavar="N", help="of the random calls (default: 0)")
    source.add_argument(
        "--file",
        type=Path,
        metavar="PATH",
        help="YAML or TOML file: fields with lists of values, all "
        "combinations are run; or a list of such tables under `cases`",
    )
    source.add_argument("--case", metavar="JSON", help="one call, as a failure prints it")
    source.add_argument(
        "--filter",
        metavar="TEXT",
        help="only calls whose id contains or matches TEXT, or which have "
        "the feature TEXT, such as mode:3 or dtype:bfloat16",
    )
    source.add_argument("--list", action="store_true", help="print the ids of the calls and do not run them")
    output = parser.add_argument_group("results")
    output.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for results.jsonl (a line per call, written as it finishes), results.csv and summary.json",
    )
    output.add_argument("--resume", action="store_true", help="continue in --out; calls found there are not run again")
    output.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    _add_acceptance(parser)
    _add_call_flags(parser, several=True)


def _add_acceptance(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "acceptance",
        "the vendor's rules for commercial operators, against PyTorch in the same dtype; random calls then have the "
        "inputs that the level asks for, and what is beyond a limit is run again with other seeds. The exit code is "
        "that of these rules",
    )
    group.add_argument("--accept", metavar="LEVEL", help="L0, L1 or L2 (default with --report or --json: L2)")
    group.add_argument("--report", type=Path, metavar="HTML", help="write the report as a page that needs nothing else")
    group.add_argument("--json", type=Path, metavar="JSON", help="write the report as data, with every case")
    group.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="calls that must give equal bits (default: 3)"
    )
    group.add_argument(
        "--seeds",
        type=int,
        default=200,
        metavar="N",
        help="of a re-check, at least 200; 0 leaves it to --resume (default: 200)",
    )


def _sweep(arguments: argparse.Namespace) -> int:
    from . import backends
    from .sweep.runner import sweep

    settings = _settings(arguments)
    cases, total = _cases(arguments, settings.level if settings else None)
    if arguments.list:
        for case in cases:
            print(case.id)
        return OK
    if arguments.resume and arguments.out is None:
        raise ValueError("--resume: expected --out DIR with the results to continue")
    with backends.backend(arguments.backend):  # says at once that there is no such backend
        pass
    if settings is None:
        reporter = _Reporter(total, arguments.quiet, arguments.backend)
        with reporter:
            result = sweep(cases, arguments.backend, arguments.out, arguments.resume, reporter.add)
        return reporter.finish(result)
    return _accept(arguments, settings, cases, total)


def _settings(arguments: argparse.Namespace) -> Any:
    """The acceptance settings asked for, None for a sweep without."""
    if not (arguments.accept or arguments.report or arguments.json):
        return None
    from .acceptance.examine import Settings

    return Settings((arguments.accept or "L2").upper(), arguments.repeats, arguments.seeds)


def _accept(arguments: argparse.Namespace, settings: Any, cases: Iterable[Any], total: int | None) -> int:
    from .acceptance.examine import Examiner
    from .acceptance.report import ReportWriter
    from .sweep.runner import sweep

    writer = ReportWriter(settings, arguments.backend, arguments.report, arguments.json)
    reporter = _Reporter(total, arguments.quiet, arguments.backend, settings)
    with reporter:
        examiner = Examiner(settings)
        result = sweep(
            cases, arguments.backend, arguments.out, arguments.resume, reporter.add, examiner, rules=settings.level
        )
    code = reporter.finish(result)
    summary = writer.write(result.records, arguments.command_line)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in summary["verdicts"].items() if count)
    print(f"{settings.level}: {summary['verdict']} ({verdicts or 'nothing was judged'})")
    if code == INTERRUPTED or not verdicts:
        return code
    return OK if summary["verdict"] == "accepted" else FAILED


def _cases(arguments: argparse.Namespace, level: str | None) -> tuple[Iterable[Any], int | None]:
    """The calls asked for, and their number where it is known beforehand; `level` is of acceptance."""
    from .acceptance.cases import acceptance_cases
    from .sweep.cases import Case, case_from, cases_from_file, product
    from .sweep.generate import random_cases

    flags = _call_values(arguments, several=True)
    sources = [
        name
        for name, given in (("--file", arguments.file), ("--case", arguments.case), ("flags of a call", flags))
        if given
    ]
    if len(sources) > 1:
        raise ValueError(f"expected one source of calls, got {' and '.join(sources)}")
    if arguments.count < 0:
        raise ValueError(f"--count: expected 0 or more, got {arguments.count}")
    cases: Iterator[Case]
    if arguments.case:
        try:
            values = json.loads(arguments.case)
        except ValueError as error:
            raise ValueError(f"--case: expected JSON: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"--case: expected a JSON object, got {arguments.case}")
        cases = iter([case_from(values)])
    elif arguments.file:
        cases = cases_from_file(arguments.file)
    elif flags:
        cases = product(flags)
    else:
        cases = (
            acceptance_cases(level, arguments.seed, arguments.count)
            if level
            else random_cases(arguments.seed, arguments.count)
        )
        if not arguments.filter:
            return cases, arguments.count
    chosen = [case for case in cases if not arguments.filter or case.matches(arguments.filter)]
    if not chosen:
        raise ValueError(
            "no call to run" + (f": nothing matches --filter {arguments.filter}" if arguments.filter else "")
        )
    return chosen, len(chosen)


class _Reporter:
    """The progress bar, failures as they happen, and the tables at the end."""

    def __init__(self, total: int | None, quiet: bool, backend: str, settings: Any = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.backend = backend
        self.settings = settings  # of acceptance
        self.quiet = quiet
        self.console = Console(highlight=False, markup=False, soft_wrap=True)
        columns = ("sweep", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=self.console, transient=True, disable=quiet or not sys.stdout.isatty())
        self.task = self.bar.add_task("", total=total)
        self.failed = 0

    def __enter__(self) -> _Reporter:
        self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def add(self, record: dict[str, Any], outcome: Any) -> None:
        acceptance = record.get("acceptance")
        if acceptance and acceptance["failures"]:
            self.failed += 1
            more = len(acceptance["failures"]) - 1
            text = acceptance["failures"][0] + (f" (and {more} more)" if more else "")
            self.console.print(f"NOT ACCEPTED {record['id']}\n  {text}\n  {self._reproduction(record)}")
        elif record["status"] == "failed" and not acceptance:
            self.failed += 1
            self.console.print(f"FAILED {record['id']}\n  {record['message']}\n  {self._reproduction(record)}")
        elif record["status"] == "refused":
            self.console.print(f"refused {record['id']}: {record['message']}")
        failed = f"{self.failed} failed" if self.failed else ""
        self.bar.update(self.task, advance=1, description=failed)

    def _reproduction(self, record: dict[str, Any]) -> str:
        if self.settings is not None:
            from .acceptance.summary import command_of

            return command_of(record, self.backend, self.settings)
        case = shlex.quote(json.dumps(record["case"], separators=(",", ":")))
        return f"npu-flash-attention sweep --backend {self.backend} --case {case}"

    def finish(self, result: Any) -> int:
        from .sweep.report import table
        from .sweep.runner import STATUSES

        if not self.quiet and result.records:
            from rich.console import Console

            # A table does not fold; where no width is known it takes what it needs.
            console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
            console.print(table(result.records))
        counts = ", ".join(f"{n} {status}" for status in STATUSES if (n := result.count(status)))
        resumed = f" ({result.resumed} of them from before)" if result.resumed else ""
        print(f"{len(result.records)} calls on {self.backend}: {counts or 'none'}{resumed}")
        if result.interrupted:
            print("interrupted; what is done is kept, --resume continues it", file=sys.stderr)
            return INTERRUPTED
        if result.count("failed"):
            return FAILED
        return OK if result.count("ok") or not result.records else USAGE


# ---------------------------------------------------------------------------------------------------------------------
# explain
# ---------------------------------------------------------------------------------------------------------------------


def _add_explain(commands: Any) -> None:
    parser = commands.add_parser(
        "explain",
        help="say what a call amounts to: backend, bands, strides, FLOPs, a picture of the mask",
        description="Prints which backend takes a call and why others do not, the call in its normal form (a band of "
        "visible columns per sequence, strides, bias, dropout), how much of the score matrix is visible and what it "
        "costs; then draws the mask of one head of one sequence. Nothing is computed.",
        epilog=f"{_EXPLAIN_EXAMPLES}\n{_EPILOG}",
        formatter_class=_HelpFormatter,
    )
    parser.set_defaults(command=_explain)
    _add_call_flags(parser, several=False)
    drawing = parser.add_argument_group("the picture")
    drawing.add_argument("--sequence", type=int, default=0, metavar="N", help="which sequence (default: 0)")
    drawing.add_argument("--head", type=int, default=0, metavar="N", help="which query head (default: 0)")
    drawing.add_argument(
        "--png",
        type=Path,
        metavar="PATH",
        help="write a PNG instead of drawing in the terminal "
        "(takes matplotlib: pip install 'npu_flash_attention[plot]')",
    )
    drawing.add_argument("--width", type=int, default=80, metavar="N", help="columns of the drawing (default: 80)")


def _explain(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from .explain import explain
    from .sweep.cases import case_from, completed
    from .sweep.inputs import describe

    case = case_from(completed(_call_values(arguments, several=False)))
    if arguments.width < 1:
        raise ValueError(f"--width: expected 1 or more, got {arguments.width}")
    query, key, value, options = describe(case)
    explanation = explain(query, key, value, case.heads, case.layout, **options)
    sequences = len(explanation.problem.sequences)
    for name, given, count in (("--sequence", arguments.sequence, sequences), ("--head", arguments.head, case.heads)):
        if not 0 <= given < max(count, 1):
            raise ValueError(f"{name}: expected 0 to {max(count, 1) - 1}, got {given}")
    if sys.stdout.isatty():
        Console(highlight=False, markup=False).print(explanation)
    else:
        print(explanation)
    if sequences == 0:
        return OK
    if arguments.png:
        explanation.save_png(arguments.png, arguments.sequence, arguments.head)
        print(f"wrote {arguments.png}")
    else:
        rows = max(1, arguments.width // 2)
        print(explanation.draw(arguments.sequence, arguments.head, rows, arguments.width))
    return OK


# ---------------------------------------------------------------------------------------------------------------------
# doctor
# ---------------------------------------------------------------------------------------------------------------------


def _add_doctor(commands: Any) -> None:
    parser = commands.add_parser(
        "doctor",
        help="say what is on this machine: torch, compiled parts, toolkit, driver, torch_npu, chip, backends",
        description="Looks at Python, torch, the compiled parts of the package, the Ascend toolkit "
        "(ASCEND_HOME_PATH, ASCEND_TOOLKIT_HOME), driver, devices and torch_npu, and runs a small call forward and "
        "backward on each backend, compared with the golden model. Changes nothing. `missing` is no fault: most "
        "machines have no NPU. `broken` is what is there and does not work; then the exit code is 1.",
        epilog=f"{_DOCTOR_EXAMPLES}\n{_EPILOG}",
        formatter_class=_HelpFormatter,
    )
    parser.set_defaults(command=_doctor)
    parser.add_argument("--json", action="store_true", help="print a JSON object with healthy and findings")


def _doctor(arguments: argparse.Namespace) -> int:
    import dataclasses

    from . import doctor

    findings = doctor.examine()
    healthy = all(finding.state != doctor.BROKEN for finding in findings)
    if arguments.json:
        print(json.dumps({"healthy": healthy, "findings": [dataclasses.asdict(f) for f in findings]}, indent=1))
    else:
        print(doctor.as_text(findings))
    return OK if healthy else FAILED


def _add_flags(commands: Any) -> None:
    parser = commands.add_parser(
        "flags",
        help="print what a C++ program that calls the aclnn functions is compiled and linked with",
        description="Prints the options of compiler and linker for a C++ program that calls the aclnn functions: on "
        "the simulated chip, whose ACL host runtime comes along, or on a card, where the other headers and libraries "
        "are those of the toolkit.",
        epilog=f"{_FLAGS_EXAMPLES}\n{_EPILOG}",
        formatter_class=_HelpFormatter,
    )
    parser.set_defaults(command=_flags)
    parser.add_argument("--target", choices=("simulator", "npu"), default="simulator", help="where the program runs")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--compile", action="store_true", help="only the compiler's")
    only.add_argument("--link", action="store_true", help="only the linker's")


def _flags(arguments: argparse.Namespace) -> int:
    from . import cpp

    flags = [] if arguments.link else cpp.compile_flags(arguments.target)
    flags += [] if arguments.compile else cpp.link_flags(arguments.target)
    print(shlex.join(flags))
    return OK


if __name__ == "__main__":
    sys.exit(main())
