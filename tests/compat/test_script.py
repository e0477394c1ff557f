"""`python -m npu_flash_attention.compat`: scripts, their arguments and children, and when it refuses."""

import os
import re
import sys
import types
from pathlib import Path

import pytest
from npu_flash_attention import compat, real_torch_npu
from npu_flash_attention.compat import real
from npu_flash_attention.compat.__main__ import main

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "train_on_npu.py"


def test_the_example_trains(runner, tmp_path):
    result = runner(str(EXAMPLE), "--steps", "12", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    losses = [float(value) for value in re.findall(r"loss (\d\.\d+)", result.stdout)]
    assert len(losses) == 12 and losses[-1] < losses[0] - 0.3
    assert re.search(r"\d\.\d s, 0 MiB on npu:0", result.stdout)
    assert "torch_npu is a stand-in here" in result.stderr


SHOW = """
import os, sys
import torch, torch_npu
print(sys.argv, sys.path[1] == os.path.dirname(os.path.abspath(__file__)), __name__, torch.ones(1).npu().device)
sys.exit(3)
"""


def test_a_script_sees_what_python_would_give_it_and_sets_the_exit_code(runner, tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "show.py").write_text(SHOW)
    result = runner("scripts/show.py", "--steps", "3", "-m", cwd=tmp_path)
    assert result.stdout == "['scripts/show.py', '--steps', '3', '-m'] True __main__ cpu\n", result.stderr
    assert result.returncode == 3
    (tmp_path / "show.py").write_text(SHOW)
    result = runner("-m", "show", "--steps", cwd=tmp_path)
    assert result.stdout.endswith("show.py', '--steps'] True __main__ cpu\n"), result.stderr


def test_processes_that_it_starts_inherit_it(runner, tmp_path):
    (tmp_path / "parallel.py").write_text(
        """
import os, subprocess, sys, torch, torch_npu
import torch.distributed as dist

def train(rank):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    torch.npu.set_device(rank)
    dist.init_process_group("hccl", init_method=f"file://{os.getcwd()}/store", rank=rank, world_size=2,
                            device_id=torch.device("npu", rank))
    model = torch.nn.Linear(3, 1, bias=False).to(f"npu:{rank}")
    model = torch.nn.parallel.DistributedDataParallel(model, device_ids=[rank], output_device=rank)
    model(torch.full((1, 3), float(rank), device=f"npu:{rank}")).sum().backward()
    total = torch.full((1,), float(rank + 1), device="npu")
    dist.all_reduce(total)
    dist.barrier()
    ranks = [None, None]
    dist.all_gather_object(ranks, rank)
    assert ranks == [0, 1]
    with open(f"rank{rank}", "w") as file:
        file.write(f"{model.module.weight.grad.tolist()} {total.item()}")
    dist.destroy_process_group()

if __name__ == "__main__":
    torch.multiprocessing.spawn(train, nprocs=2)
    code = "import torch_npu, torch; print(torch.ones(1).npu().is_npu)"
    print(subprocess.check_output([sys.executable, "-c", code], text=True).strip())
"""
    )
    result = runner("parallel.py", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "True\n"
    assert {(tmp_path / f"rank{rank}").read_text() for rank in (0, 1)} == {"[[0.5, 0.5, 0.5]] 3.0"}


def test_it_can_be_taken_away(python, tmp_path):
    (tmp_path / "away.py").write_text(
        """
import os, sys
import npu_flash_attention, torch
assert "npu_flash_attention.compat" not in sys.modules and not hasattr(torch, "npu"), "the package alone brings it"
from npu_flash_attention import compat, real_torch_npu

had_cuda = torch.cuda.is_available()
before = {name: getattr(torch, name) for name in ("Generator", "load", "zeros", "is_autocast_enabled")}
assert not compat.installed() and "torch_npu" not in sys.modules
compat.uninstall()
for _ in range(2):
    compat.install()
    compat.install()
    import torch_npu
    from torch_npu.contrib import transfer_to_npu
    assert compat.installed() and torch.ones(2).npu().is_cuda and torch.cuda.is_available()
    assert torch.accelerator.is_available()
    del torch_npu, transfer_to_npu
    compat.uninstall()
    assert not compat.installed() and torch.cuda.is_available() == had_cuda and not torch.npu.is_available()
    assert before == {name: getattr(torch, name) for name in before}
    assert not hasattr(torch.Tensor, "npu") and not hasattr(torch.nn.Module, "npu") and not torch.ones(1).is_cuda
    assert not hasattr(torch.ops.npu, "npu_fusion_attention")
    assert not any("stand_in" in entry for entry in [*sys.path, os.environ.get("PYTHONPATH", "")])
    for device in ("npu", "npu:0"):
        try:
            torch.zeros(2, device=device)
        except (RuntimeError, NotImplementedError):
            pass
        else:
            raise AssertionError("npu still means the CPU")
    try:
        import torch_npu
    except ImportError:
        pass
    else:
        raise AssertionError("torch_npu still imports")
    x = torch.ones(3, requires_grad=True)
    torch.utils.checkpoint.checkpoint(torch.sin, x, use_reentrant=True).sum().backward()
    assert not torch.accelerator.is_available()
    loader = torch.utils.data.DataLoader(torch.arange(2), pin_memory=True)
    assert [batch.item() for batch in loader] == [0, 1]
print("away")
"""
    )
    result = python("away.py", cwd=tmp_path)
    assert result.stdout == "away\n", result.stderr


@pytest.fixture
def torch_npu(tmp_path, monkeypatch):
    """Puts a package torch_npu with the text given in front of everything else."""

    def install(text):
        (tmp_path / "site" / "torch_npu").mkdir(parents=True)
        (tmp_path / "site" / "torch_npu" / "__init__.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return str(tmp_path / "site" / "torch_npu" / "__init__.py")

    return install


def test_it_refuses_where_torch_npu_imports(torch_npu, tmp_path, capsys, monkeypatch):
    where = torch_npu("__version__ = '2.13.0'\n")
    assert real_torch_npu.find() == where and real_torch_npu.run() == (None, "")
    with pytest.raises(
        RuntimeError, match="the real torch_npu imports here.*Run the script without the stand-in"
    ) as error:
        compat.install()
    assert where in str(error.value)
    (tmp_path / "script.py").write_text("raise AssertionError('was run')")
    monkeypatch.syspath_prepend(str(tmp_path))  # as `python -m` does with the working folder
    assert main([str(tmp_path / "script.py")]) == 2
    assert where in capsys.readouterr().err and not compat.installed()


def test_it_refuses_where_torch_npu_is_imported_already(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_npu", types.ModuleType("torch_npu"))
    with pytest.raises(RuntimeError, match="the real torch_npu imports here"):
        compat.install()


def test_a_process_that_inherits_the_stand_in_refuses_too(python, torch_npu, tmp_path):
    site = str(Path(torch_npu("__version__ = '2.13.0'\n")).parents[1])
    result = python("-c", "import torch_npu", cwd=tmp_path, PYTHONPATH=os.pathsep.join([real.STAND_IN, site]))
    assert result.returncode == 1 and f"the real torch_npu imports here ({site}" in result.stderr


def test_a_torch_npu_that_does_not_import_is_named(torch_npu):
    where = torch_npu("raise ImportError('libhccl.so: cannot open shared object file')\n")
    with pytest.warns(UserWarning, match="does not import .ImportError: libhccl.so: cannot open") as warnings:
        real.refuse()
    assert where in str(warnings[0].message)


def test_a_script_that_is_not_there(capsys):
    assert main(["no/such/script.py"]) == 2
    assert "there is no file no/such/script.py" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Refuses where the real torch_npu imports" in capsys.readouterr().out.replace("\n", " ")
