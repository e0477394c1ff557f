"""The stubs of the compiled modules declare what they have, no more and no less."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import npu_flash_attention
import pytest


def declared(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names = {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {
        node.target.id: node for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return names


def public(owner: object) -> set[str]:
    return {name for name in vars(owner) if not name.startswith("_")}


@pytest.mark.parametrize("name", ["_C", "_S", "_cpu"])
def test_stub_matches_the_compiled_module(name: str) -> None:
    compiled = importlib.import_module(f"npu_flash_attention.{name}")
    module = declared(ast.parse((Path(npu_flash_attention.__path__[0]) / f"{name}.pyi").read_text()).body)
    assert set(module) == public(compiled)
    for name, node in module.items():
        if isinstance(node, ast.FunctionDef):
            signature = getattr(compiled, name).__doc__.splitlines()[0]
            arguments = [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]
            assert arguments == re.findall(r"[(,] ?(\w+): ", signature), signature
    for class_name, node in module.items():
        # An exception's attributes are set when it is raised.
        if isinstance(node, ast.ClassDef) and not issubclass(getattr(compiled, class_name), BaseException):
            assert set(declared(node.body)) == public(getattr(compiled, class_name)), class_name
