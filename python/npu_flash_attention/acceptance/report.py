"""The acceptance report: one HTML file that needs nothing else, and the same as JSON."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from . import rules
from .examine import VERDICTS, Settings
from .figures import COLOURS, figures, new_figure
from .summary import GROUPS, summarise


class ReportWriter:
    """Where a report goes, and whether it can: made before a sweep, so that hours do not end in a missing library.

    Raises:
        ImportError: `html` is given and matplotlib or Jinja2 is not installed.
        FileNotFoundError: the folder of a file does not exist.
    """

    def __init__(self, settings: Settings, backend: str, html: Path | None, json_file: Path | None) -> None:
        self.settings, self.backend, self.html, self.json_file = settings, backend, html, json_file
        for path in (html, json_file):
            if path is not None and not path.parent.is_dir():
                raise FileNotFoundError(f"{path}: expected a folder {path.parent}")
        if html is not None:
            new_figure(1, 1)
            _template()

    def write(self, records: Sequence[dict[str, Any]], command: str = "") -> dict[str, Any]:
        """Writes the files and returns the summary."""
        summary = summarise(records, self.backend, self.settings)
        about = {
            "backend": self.backend,
            "level": self.settings.level,
            "repeats": self.settings.repeats,
            "seeds": self.settings.seeds,
            "benchmark": f"PyTorch {torch.__version__} on the CPU, operation by operation in the dtype of the inputs",
            "version": __version__,
            "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
            "finished": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "command": command,
        }
        if self.json_file is not None:
            content = {"about": about, "summary": summary, "cases": list(records)}
            self.json_file.write_text(json.dumps(content) + "\n", encoding="utf-8")
        if self.html is not None:
            text = _template().render(
                about=about,
                summary=summary,
                figures=figures(records, summary, self.settings),
                level=rules.LEVELS[self.settings.level],
                rules=rules,
                groups=GROUPS,
                verdicts=VERDICTS,
                colours=COLOURS,
            )
            self.html.write_text(text, encoding="utf-8")
        return summary


def _template() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise ImportError("a report takes Jinja2: pip install 'npu_flash_attention[report]'") from error
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["number"] = _number
    source = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    return environment.from_string(source)


def _number(value: float | None) -> str:
    """Three digits; None is what JSON makes of infinity."""
    return "∞" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
