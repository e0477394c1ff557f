"""_C.pyi declares what the compiled core has, no more and no less."""

from __future__ import annotations

import ast
from pathlib import Path

import npu_flash_attention
from npu_flash_attention import _C

STUB = Path(npu_flash_attention.__path__[0]) / "_C.pyi"


def declared(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names = {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {
        node.target.id: node for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return names


def public(owner: object) -> set[str]:
    return {name for name in vars(owner) if not name.startswith("_")}


def test_stub_matches_the_compiled_core() -> None:
    module = declared(ast.parse(STUB.read_text()).body)
    assert set(module) == public(_C)
    for name, node in module.items():
        if isinstance(node, ast.ClassDef):
            assert set(declared(node.body)) == public(getattr(_C, name)), name
