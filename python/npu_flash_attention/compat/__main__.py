"""python -m npu_flash_attention.compat [-m] SCRIPT [ARGS...]"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence

from . import install

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Installs the stand-in and runs the script as `python` would; returns an exit code where it could not."""
    parser = argparse.ArgumentParser(
        prog="python -m npu_flash_attention.compat",
        description="Runs a script written for torch_npu on a machine without an NPU: `import torch_npu` finds a "
        "stand-in, and the device `npu` means the CPU. Refuses where the real torch_npu imports.",
        usage="%(prog)s [-h] [-m] SCRIPT [ARGS...]",
    )
    parser.add_argument("-m", dest="module", action="store_true", help="SCRIPT is a module, as for `python -m`")
    parser.add_argument("script", metavar="SCRIPT", help="path of the script")
    parser.add_argument("arguments", metavar="ARGS", nargs=argparse.REMAINDER, help="arguments of the script")
    options = parser.parse_args(argv)
    if not options.module and not os.path.exists(options.script):
        print(f"npu_flash_attention.compat: there is no file {options.script}", file=sys.stderr)
        return USAGE_ERROR
    if not options.module and not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(os.path.abspath(options.script))  # where `python -m` puts the working folder
    try:
        install()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    print("npu_flash_attention.compat: torch_npu is a stand-in here, and npu means the CPU", file=sys.stderr)
    sys.argv = [options.script, *options.arguments]
    if options.module:
        runpy.run_module(options.script, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(options.script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
