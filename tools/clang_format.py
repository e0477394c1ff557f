"""Formats the C++ sources in place, or with --check fails where one is not formatted."""

from __future__ import annotations

import subprocess
import sys

SUFFIXES = (".h", ".cpp")


def main() -> int:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    sources = [path for path in listed if path.endswith(SUFFIXES)]
    flags = ["--dry-run", "--Werror"] if "--check" in sys.argv[1:] else ["-i"]
    return subprocess.run(["clang-format", *flags, *sources]).returncode


if __name__ == "__main__":
    sys.exit(main())
