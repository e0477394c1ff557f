"""What a C++ program that calls the aclnn functions is compiled and linked with.

`target` is `"simulator"`, the simulated chip and its ACL host runtime, or `"npu"`, a card, for which this build needs
`NPU_FA_SOC` and the program the headers and libraries of its toolkit.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_LIBRARIES = {"simulator": "npu_fa_aclnn", "npu": "npu_fa_aclnn_npu"}


def include_dirs(target: str = "simulator") -> list[Path]:
    """Folders of headers: `aclnnop/`, and for the simulator its `acl/` and `aclnn/`.

    Raises:
        ValueError: there is no such target.
        FileNotFoundError: this installation was built without the library of the target.
    """
    library(target)
    include = _PACKAGE / "include"
    return [include, include / "simulator"] if target == "simulator" else [include]


def library(target: str = "simulator") -> Path:
    """The shared library with the functions. Raises as `include_dirs`."""
    if target not in _LIBRARIES:
        raise ValueError(f"target: expected {' or '.join(_LIBRARIES)}, got {target!r}")
    path = _PACKAGE / f"lib{_LIBRARIES[target]}.so"
    if not path.exists():
        how = "; build with NPU_FA_SOC (docs/npu.md)" if target == "npu" else ""
        raise FileNotFoundError(f"this installation has no {path.name}{how}")
    return path


def compile_flags(target: str = "simulator") -> list[str]:
    """Options of the C++ compiler. Raises as `include_dirs`."""
    return [f"-I{folder}" for folder in include_dirs(target)]


def link_flags(target: str = "simulator") -> list[str]:
    """Options of the linker, which belong behind the sources. Raises as `include_dirs`."""
    folder = library(target).parent
    return [f"-L{folder}", f"-l{_LIBRARIES[target]}", f"-Wl,-rpath,{folder}", "-pthread"]
