"""The headers that the AscendC compiler makes of kernels, as its manual describes them: aclrtlaunch_<kernel>.h declares a
function that takes the number of cores, the stream, and the kernel's own parameters."""

from __future__ import annotations

import re
from pathlib import Path

_KERNEL = re.compile(r'extern "C" __global__ __aicore__ void (\w+)\(([^)]*)\)')


def kernels(folder: Path) -> dict[str, list[str]]:
    """Parameter names of each kernel in a folder of sources."""
    found = {}
    for file in sorted(folder.glob("*.cpp")):
        for name, parameters in _KERNEL.findall(file.read_text(encoding="utf-8")):
            typed = [parameter.split() for parameter in parameters.split(",")]
            assert all(kind == "GM_ADDR" for kind, _ in typed), name
            found[name] = [parameter for _, parameter in typed]
    return found


def write(source: Path, target: Path) -> None:
    """Writes the header of each kernel of `source` into `target`."""
    for name, parameters in kernels(source).items():
        arguments = "".join(f", void* {parameter}" for parameter in parameters)
        (target / f"aclrtlaunch_{name}.h").write_text(
            '#pragma once\n#include "acl/acl_base.h"\n#ifndef ACLRT_LAUNCH_KERNEL\n'
            "#define ACLRT_LAUNCH_KERNEL(kernel_func) aclrtlaunch_##kernel_func\n#endif\n"
            f'extern "C" uint32_t aclrtlaunch_{name}(uint32_t blockDim, aclrtStream stream{arguments});\n',
            encoding="utf-8",
        )
