"""What is on this machine, what works, and what does not although it should: `npu-flash-attention doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import ascend, package
from .finding import BROKEN, MISSING, OK, Finding

__all__ = ["BROKEN", "MISSING", "OK", "Finding", "as_text", "examine"]


def examine(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> list[Finding]:
    """Looks at everything, computes a small call on each backend, and changes nothing.

    Args:
        root: where the file system starts.
        environment: instead of os.environ.
    """
    return [*package.findings(), *ascend.findings(root, environment), *package.backends()]


def as_text(findings: list[Finding]) -> str:
    """One line for each finding under its topic, with advice where there is some; at the end what is broken."""
    lines: list[str] = []
    width = max(len(finding.name) for finding in findings)
    topic = None
    for finding in findings:
        if finding.topic != topic:
            topic = finding.topic
            lines += ["", topic] if lines else [topic]
        lines.append(f"  {finding.state:<7}  {finding.name:<{width}}  {finding.text}")
        if finding.advice:
            lines.append(f"  {'':<7}  {'':<{width}}  -> {finding.advice}")
    broken = [finding.name for finding in findings if finding.state == BROKEN]
    lines += ["", f"broken: {', '.join(broken)}" if broken else "nothing is broken"]
    return "\n".join(lines)
