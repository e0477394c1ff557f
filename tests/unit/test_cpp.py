"""What `npu-flash-attention flags` prints; tests/aclnn compiles programs with it."""

from __future__ import annotations

import shlex
from pathlib import Path

import npu_flash_attention
import pytest
from npu_flash_attention import cpp
from npu_flash_attention.cli import OK, USAGE, main

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(npu_flash_attention.__path__[0])
built = pytest.mark.skipif(not (PACKAGE / "libnpu_fa_aclnn.so").exists(), reason="built without the aclnn library")


@built
def test_the_headers_of_the_installation_are_those_of_the_sources() -> None:
    for sources, installed in zip(
        (ROOT / "op_host" / "aclnn", ROOT / "simulator" / "include"), cpp.include_dirs(), strict=True
    ):
        folders = ("aclnnop",) if sources.name == "aclnn" else ("acl", "aclnn")
        headers = [header for folder in folders for header in (sources / folder).rglob("*.h")]
        assert headers
        for header in headers:
            assert (installed / header.relative_to(sources)).read_text() == header.read_text()


@built
def test_the_parts_make_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for only in ((), ("--compile",), ("--link",)):
        assert main(["flags", *only]) == OK
        said[only] = shlex.split(capsys.readouterr().out)
    assert said[()] == said["--compile",] + said["--link",]
    assert f"-I{PACKAGE / 'include' / 'simulator'}" in said["--compile",]
    assert "-lnpu_fa_aclnn" in said["--link",]


def test_a_target_that_was_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(cpp, "_PACKAGE", tmp_path)
    assert main(["flags", "--target", "npu"]) == USAGE
    assert "no libnpu_fa_aclnn_npu.so; build with NPU_FA_SOC" in capsys.readouterr().err
    (tmp_path / "libnpu_fa_aclnn_npu.so").touch()
    assert cpp.include_dirs("npu") == [tmp_path / "include"]  # acl/ and aclnn/ are the toolkit's
    assert "-lnpu_fa_aclnn_npu" in cpp.link_flags("npu")
    with pytest.raises(ValueError, match="target: expected simulator or npu, got 'gpu'"):
        cpp.library("gpu")
