"""The documentation is true: its examples run and print what it says, its generated parts are up to date, its links lead
somewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import npu_flash_attention
import pytest
from npu_flash_attention import cli

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (
    "quickstart",
    "semantics",
    "api",
    "differences",
    "architecture",
    "libraries",
    "testing",
    "compat",
    "npu",
    "aclnn",
    "precision",
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")


def read(page: str) -> str:
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def examples(page: str) -> list[tuple[str, str | None]]:
    """(python code, the output that the page claims or None) of each python block, in order.

    The code keeps its line numbers in the page, so that a traceback points there.
    """
    text = read(page)
    fences = list(FENCE.finditer(text))
    found = []
    for fence, following in itertools.zip_longest(fences, fences[1:]):
        if fence[1] != "python":
            continue
        adjacent = following is not None and following[1] == "text" and following.start() - fence.end() == 2
        code = "\n" * text.count("\n", 0, fence.start(2)) + fence[2]
        found.append((code, following[2] if adjacent and following is not None else None))
    return found


def printed(code: str, page: str, names: dict[str, Any]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, str(DOCS / f"{page}.md"), "exec"), names)
    return out.getvalue()


@pytest.mark.parametrize("page", PAGES)
def test_examples_run_and_print_what_the_page_says(page: str) -> None:
    names: dict[str, Any] = {"__name__": f"docs_{page}"}
    for code, expected in examples(page):
        output = printed(code, page, names)
        assert output == (expected or ""), code.strip()
    assert npu_flash_attention.get_backend() == "auto", f"docs/{page}.md leaves a backend chosen"


@pytest.mark.parametrize("page", ["quickstart", "semantics", "differences"])
def test_pages_that_claim_to_show_behaviour_have_examples(page: str) -> None:
    assert len(examples(page)) >= 3


def test_an_example_that_prints_something_else_is_noticed() -> None:
    assert printed("print(6 * 7)", "page", {}) == "42\n"
    with pytest.raises(AssertionError):
        printed("assert False", "page", {})


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_up_to_date(generate: ModuleType) -> None:
    assert generate.stale() == [], "run python docs/generate.py"


def test_a_changed_block_is_noticed(generate: ModuleType) -> None:
    page = read("semantics")
    assert generate.regenerated(page) == page
    first = generate.MARKER.search(page)
    assert first is not None
    spoilt = page[: first.start(4)] + page[first.start(4) : first.end(4)].replace("#", ".") + page[first.end(4) :]
    assert spoilt != page
    assert generate.regenerated(spoilt) == page


def test_an_old_overview_is_noticed(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert generate.drawn_fingerprint() == generate.fingerprint()
    panels = generate.overview_panels()
    monkeypatch.setattr(generate, "overview_panels", lambda: panels[1:])
    assert generate.stale() == ["pictures/sparse_modes.png"]


def test_the_overview_can_be_drawn(generate: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(generate, "OVERVIEW", tmp_path / "pictures" / "overview.png")
    assert generate.drawn_fingerprint() is None
    generate.draw_overview()
    assert generate.drawn_fingerprint() == generate.fingerprint()


def test_every_mode_has_its_picture(generate: ModuleType) -> None:
    drawn = {m[3] for m in generate.MARKER.finditer(read("semantics")) if m[2] == "picture"}
    assert drawn == set(generate.PICTURES)
    assert {f"mode-{mode}" for mode in range(9)} < drawn


def test_every_public_name_is_in_the_reference(generate: ModuleType) -> None:
    described = {m[3].split(".")[0] for m in generate.MARKER.finditer(read("api")) if m[2] == "api"}
    assert set(npu_flash_attention.__all__) <= described


def test_case_files_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [fence[2] for page in PAGES for fence in FENCE.finditer(read(page)) if fence[1] == "yaml"]
    assert files
    for text in files:
        (tmp_path / "cases.yaml").write_text(text)
        assert cli.main(["sweep", "--file", str(tmp_path / "cases.yaml"), "--quiet"]) == cli.OK
        assert re.fullmatch(r"(\d+) calls on cpu: \1 ok\n", capsys.readouterr().out)


def test_commands_know_their_flags() -> None:
    """Every `npu-flash-attention` line of a console block that is not run has flags that exist."""
    lines = [
        line.removeprefix("$ npu-flash-attention ")
        for page in PAGES
        for fence in FENCE.finditer(read(page))
        if fence[1] == "console"
        for line in fence[2].splitlines()
        if line.startswith("$ npu-flash-attention ")
    ]
    assert lines
    for line in lines:
        cli._parser().parse_args(shlex.split(line))  # exits where a flag is unknown


@pytest.mark.parametrize("page", ["architecture", "libraries", "testing"])
def test_files_that_pages_name_exist(page: str) -> None:
    named = re.findall(r"`((?:op_kernel|op_host|python|simulator|tests|docs|benchmarks)/[\w./-]*)`", read(page))
    assert named
    for name in named:
        assert (DOCS.parent / name).exists(), f"docs/{page}.md: {name}"


def test_architecture_names_every_module_of_the_package() -> None:
    package = Path(npu_flash_attention.__file__).parent
    modules = {path.relative_to(package).as_posix() for path in package.glob("**/*.py")}
    stand_in = {module for module in modules if module.startswith("compat/stand_in/")}
    modules = modules - stand_in | {"compat/stand_in/"}  # one idea, in the files of the module that it stands for
    page = read("architecture")
    for module in sorted(modules - {"__init__.py", "sweep/__init__.py"}):
        shown = module.removeprefix("sweep/") if module.startswith("sweep/") else f"python/npu_flash_attention/{module}"
        assert f"`{shown}`" in page, f"docs/architecture.md does not say what {module} is for"


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in (m[1] or m[2] for m in LINK.finditer(FENCE.sub("", path.read_text(encoding="utf-8")))):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        page = path.parent / target if target else path
        assert page.exists(), f"{path.name}: {link}"
        if anchor and page.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
            assert anchor in [_anchor(title) for title in titles], f"{path.name}: {link}"


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
