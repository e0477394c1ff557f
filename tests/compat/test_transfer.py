"""transfer_to_npu: scripts that say cuda run on the npu."""

import importlib
import io

import pytest
import torch
from npu_flash_attention.compat import transfer
from torch import nn

pytestmark = pytest.mark.usefixtures("stand_in")


def test_a_script_for_cuda():
    import torch_npu

    had_cuda = torch.cuda.is_available()
    assert not torch.ones(1).is_cuda
    importlib.import_module("torch_npu.contrib.transfer_to_npu")
    transfer.enable(torch_npu.npu)  # the import does it once per process
    try:
        _script()
    finally:
        transfer.disable()
    assert not torch.ones(1).is_cuda and torch.cuda.is_available() == had_cuda
    if had_cuda:
        assert torch.zeros(1, device="cuda").is_cuda
    else:
        with pytest.raises((RuntimeError, AssertionError)):
            torch.zeros(1, device="cuda")


def _script():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    assert device.type == "cuda"
    model = nn.Linear(3, 3).cuda().to(device)
    x, target = torch.randn(2, 3, device="cuda:0"), torch.zeros(2, 3).to(device, non_blocking=True)
    assert x.is_cuda and x.cuda().device.type == "cpu" and torch.tensor([1.0], device=device).device.type == "cpu"
    scaler = torch.cuda.amp.GradScaler(init_scale=2.0)
    with torch.cuda.stream(torch.cuda.Stream()), torch.autocast("cuda", dtype=torch.bfloat16):
        assert torch.is_autocast_enabled("cuda") and model(x).dtype == torch.bfloat16
        loss = (model(x) - target).square().mean()
    scaler.scale(loss).backward()
    scaler.step(torch.optim.SGD(model.parameters(), lr=0.1))
    torch.amp.GradScaler("cuda").scale(loss.detach())
    torch.cuda.synchronize()
    torch.cuda.manual_seed_all(3)
    assert torch.cuda.device_count() == 1 and torch.cuda.memory_allocated() == 0
    assert torch.cuda.get_device_name(0) == torch.npu.get_device_name()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    assert torch.load(file, map_location="cuda:0")["weight"].device.type == "cpu"
    assert torch.Generator("cuda").device.type == "cpu" and isinstance(torch.default_generator, torch.Generator)
    with torch.device("cuda"):
        assert torch.zeros(2).device.type == "cpu"
    compiled = torch.compile(torch.sin, backend="eager")
    assert torch.equal(compiled(x), x.sin())
    assert torch.jit.script(_script) is _script  # like the original, which cannot be scripted either
