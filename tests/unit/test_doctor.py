"""`npu-flash-attention doctor` on made-up machines: what it finds, what it calls broken, and what it advises."""

import json
import sys
from pathlib import Path

import pytest
from npu_flash_attention import backends, doctor
from npu_flash_attention.cli import FAILED, OK, USAGE, main
from npu_flash_attention.doctor import ascend, package

ARCH = "aarch64-linux"


def write(path: Path, text: str = "", executable: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if executable:
        path.chmod(0o755)
    return path


def found(root: Path, **environment: str) -> dict[str, doctor.Finding]:
    """What the doctor says about a machine whose file system starts at `root`."""
    return {finding.name: finding for finding in ascend.findings(root, environment)}


@pytest.fixture(autouse=True)
def no_torch_npu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ascend.real_torch_npu, "find", lambda: None)


# ---- the command ----


def test_on_this_machine_nothing_is_broken(capsys):
    assert main(["doctor"]) == OK
    text = capsys.readouterr().out
    assert text.endswith("nothing is broken\n")
    assert all(f"  {name} " in text for name in (*backends.BACKENDS, "toolkit", "driver", "torch_npu", "compiled core"))


def test_as_json(capsys):
    assert main(["doctor", "--json"]) == OK
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is True
    by_name = {finding["name"]: finding for finding in report["findings"]}
    assert by_name["Python"]["facts"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert by_name["cpu"]["state"] == "ok" and by_name["cpu"]["facts"]["status"] == "ok"
    assert by_name["npu"]["state"] == "missing" and by_name["npu"]["text"]
    assert by_name["CPU kernels"]["facts"]["level"]


def test_help(capsys):
    assert main(["doctor", "--help"]) == OK
    assert "exit code is 1" in " ".join(capsys.readouterr().out.split())
    assert main(["doctor", "--frob"]) == USAGE


def test_a_core_that_does_not_load_is_broken(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "npu_flash_attention._C", None)
    assert main(["doctor"]) == FAILED
    text = capsys.readouterr().out
    assert "broken: compiled core, " in text and "-> build it: pip install" in text
    broken = text.splitlines()[-1]
    assert "cpu_plain" in broken and "golden" in broken and "Python" not in broken


def test_a_library_that_is_there_and_fails_says_why(monkeypatch):
    def fail(name):
        raise ImportError("undefined symbol: _ZN3Foo")

    monkeypatch.setattr(package.importlib, "import_module", fail)
    finding = package._extension("_cpu", "CPU kernels")
    assert finding.state == doctor.BROKEN and "does not load: undefined symbol: _ZN3Foo" in finding.text


def test_a_backend_that_computes_something_else_is_broken(monkeypatch, capsys):
    class Crooked:
        def __getattr__(self, name):
            return getattr(backends.native.NativeBackend(), name)

        def forward(self, call, problem):
            out, softmax_max, softmax_sum = backends.native.NativeBackend().forward(call, problem)
            return out * 1.001, softmax_max, softmax_sum

    monkeypatch.setitem(backends.BACKENDS, "cpu", Crooked())
    assert main(["doctor", "--json"]) == FAILED
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is False
    (broken,) = [finding for finding in report["findings"] if finding["state"] == "broken"]
    assert broken["name"] == "cpu" and "above the budget" in broken["text"] and "--backend cpu" in broken["advice"]


def test_a_binding_that_is_built_and_does_not_load_is_broken(monkeypatch):
    reason = "the NPU binding does not load (libascendcl.so: cannot open shared object file)"
    monkeypatch.setattr(type(backends.BACKENDS["npu"]), "unavailable", lambda self: reason)
    assert package._backend("npu").state == doctor.BROKEN and package._backend("npu").text == reason


# ---- the toolkit ----


def toolkit(home: Path, version_file: str, text: str, compiler: str = "compiler/ccec_compiler/bin/bisheng") -> Path:
    write(home / version_file, text)
    if compiler:
        write(home / compiler, executable=True)
    return home


@pytest.mark.parametrize(
    ("version_file", "text", "compiler", "version"),
    [
        (f"{ARCH}/ascend_toolkit_install.info", "package_name=Ascend-cann-toolkit\nversion=8.1.RC1\narch=aarch64\n",
         f"{ARCH}/ccec_compiler/bin/ccec", "8.1.RC1"),
        ("x86_64-linux/ascend_toolkit_install.info", "version=8.5.0\n", "tools/ccec_compiler/bin/bisheng", "8.5.0"),
        ("version.cfg", "# version: 1.0\ntoolkit_installed_version=[7.0.0:7.0.RC1]\n", "bin/bisheng", "7.0.0"),
        ("version.info", "Version=9.0.0\n", "compiler/ccec_compiler/bin/bisheng", "9.0.0"),
        (f"{ARCH}/include/version/cann_version.h", '#define CANN_VERSION_STR "8.1.RC1"\n', "bin/ccec", "8.1.RC1"),
    ],
)  # fmt: skip
def test_versions_of_toolkits(tmp_path, version_file, text, compiler, version):
    home = toolkit(tmp_path / "cann", version_file, text, compiler)
    finding = found(tmp_path, ASCEND_HOME_PATH=str(home))["toolkit"]
    assert finding.state == doctor.OK and not finding.advice
    expected = {"path": str(home), "variable": "ASCEND_HOME_PATH", "version": version, "compiler": str(home / compiler)}
    assert finding.facts == expected
    assert version in finding.text and str(home) in finding.text


def test_the_older_variable_and_which_one_counts(tmp_path):
    first, second = (toolkit(tmp_path / name, "version.info", f"Version={name}.0\n") for name in ("8", "9"))
    assert found(tmp_path, ASCEND_TOOLKIT_HOME=str(second))["toolkit"].facts["version"] == "9.0"
    both = found(tmp_path, ASCEND_TOOLKIT_HOME=str(second), ASCEND_HOME_PATH=str(first))["toolkit"]
    assert both.facts["version"] == "8.0" and both.facts["variable"] == "ASCEND_HOME_PATH"
    empty = found(tmp_path, ASCEND_TOOLKIT_HOME=str(second), ASCEND_HOME_PATH="")["toolkit"]
    assert empty.facts["version"] == "9.0"


def test_a_toolkit_without_a_compiler(tmp_path):
    home = toolkit(tmp_path / "nnrt", "version.info", "Version=8.1.0\n", compiler="")
    finding = found(tmp_path, ASCEND_HOME_PATH=str(home))["toolkit"]
    assert finding.state == doctor.OK and finding.facts["compiler"] is None and "full toolkit" in finding.advice


def test_a_variable_that_leads_nowhere_is_broken(tmp_path):
    finding = found(tmp_path, ASCEND_HOME_PATH=str(tmp_path / "gone"))["toolkit"]
    assert finding.state == doctor.BROKEN and "there is no such folder" in finding.text and "unset" in finding.advice
    (tmp_path / "empty").mkdir()
    finding = found(tmp_path, ASCEND_TOOLKIT_HOME=str(tmp_path / "empty"))["toolkit"]
    assert finding.state == doctor.BROKEN and "no toolkit there" in finding.text


@pytest.mark.parametrize("place", ["usr/local/Ascend/cann", "usr/local/Ascend/ascend-toolkit/latest"])
def test_a_toolkit_that_is_not_switched_on(tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    finding = found(tmp_path)["toolkit"]
    assert finding.state == doctor.MISSING and finding.advice == f"set ASCEND_HOME_PATH={tmp_path / place}"
    script = write((tmp_path / place).parent / "set_env.sh")
    assert found(tmp_path)["toolkit"].advice == f"source {script}"


def test_no_toolkit_at_all(tmp_path):
    findings = found(tmp_path, PATH=str(tmp_path))
    assert {finding.state for finding in findings.values()} == {doctor.MISSING}
    assert "ASCEND_HOME_PATH and ASCEND_TOOLKIT_HOME are not set" in findings["toolkit"].text
    assert "npu_flash_attention.compat" in findings["torch_npu"].advice


# ---- driver, devices, chip ----


@pytest.fixture
def driver(tmp_path):
    write(tmp_path / "usr/local/Ascend/driver/version.info", "Version=25.0.rc1.1\nascendhal_version=7.35.23\n")
    return tmp_path


def test_driver_and_devices(driver):
    findings = found(driver)
    assert findings["driver"].state == doctor.OK and findings["driver"].facts["version"] == "25.0.rc1.1"
    assert findings["devices"].state == doctor.BROKEN and "--device /dev/davinci0" in findings["devices"].advice
    for name in ("davinci0", "davinci1", "davinci_manager"):
        write(driver / "dev" / name)
    devices = found(driver)["devices"]
    assert devices.state == doctor.OK and devices.facts["nodes"] == [
        str(driver / "dev" / f"davinci{i}") for i in (0, 1)
    ]


SMI = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 25.0.rc1                 Version: 25.0.rc1.1                                           |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B2               | OK            | 93.8        40                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3363 / 65536         |
+===========================+===============+====================================================+
| 1     910B2               | {health:<13} | 90.1        41                0    / 0             |
| 0                         | 0000:01:00.0  | 0           0    / 0          3363 / 65536         |
+===========================+===============+====================================================+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 0       0                 | 12345         | python                   | 3200                    |
+===========================+===============+====================================================+
"""


def smi(folder: Path, text: str, code: int = 0) -> str:
    write(folder / "table", text)
    write(
        folder / "npu-smi",
        f'#!/bin/sh\nwhile read -r line; do echo "$line"; done < {folder}/table\nexit {code}\n',
        True,
    )
    return str(folder)


def test_chips(driver, tmp_path):
    path = smi(tmp_path / "bin", SMI.format(health="OK"))
    finding = found(driver, PATH=path)["npu-smi"]
    assert finding.state == doctor.OK and finding.facts["chips"] == [{"name": "910B2", "health": "OK"}] * 2
    finding = found(driver, PATH=smi(tmp_path / "bin", SMI.format(health="Alarm")))["npu-smi"]
    assert finding.state == doctor.BROKEN and "910B2 Alarm" in finding.text


def test_an_npu_smi_that_fails(driver, tmp_path):
    path = smi(tmp_path / "bin", "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)\n", 255)
    finding = found(driver, PATH=path)["npu-smi"]
    assert finding.state == doctor.BROKEN and "exit code 255: DrvMngGetConsoleLogLevel failed" in finding.text
    elsewhere = tmp_path / "no driver"
    elsewhere.mkdir()
    assert found(elsewhere, PATH=path)["npu-smi"].state == doctor.MISSING
    assert found(driver, PATH=smi(tmp_path / "bin", "nothing\n"))["npu-smi"].state == doctor.BROKEN


# ---- torch_npu ----


@pytest.fixture
def torch_npu(tmp_path, monkeypatch):
    """Installs a package torch_npu with the text given."""
    monkeypatch.undo()  # finds it for real

    def install(text: str) -> str:
        path = write(tmp_path / "site" / "torch_npu" / "__init__.py", text)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return str(path)

    return install


def test_torch_npu_that_works(torch_npu, tmp_path):
    text = """
import types, torch
__version__ = "2.13.0"
torch.npu = types.SimpleNamespace(is_available=lambda: True, device_count=lambda: 2, get_device_name=lambda i: f"Ascend910B{i + 1}")
print("a library that talks")
"""
    where = torch_npu(text)
    finding = found(tmp_path)["torch_npu"]
    assert finding.state == doctor.OK and where in finding.text
    assert finding.facts == {"version": "2.13.0", "devices": ["Ascend910B1", "Ascend910B2"], "path": where}


def test_torch_npu_that_does_not_import(torch_npu, driver):
    where = torch_npu("raise ImportError('libascend_hal.so: cannot open shared object file')\n")
    finding = found(driver)["torch_npu"]
    assert finding.state == doctor.BROKEN and where in finding.text and "libascend_hal.so" in finding.text
    (driver / "usr/local/Ascend/driver/version.info").unlink()
    assert found(driver)["torch_npu"].state == doctor.MISSING  # as it should be on a machine without the rest
