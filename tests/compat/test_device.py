"""`npu` is understood wherever a device can be named, and means the CPU."""

import copy
import io
import pickle
import sys
import threading

import pytest
import torch
from torch import nn

pytestmark = pytest.mark.usefixtures("stand_in")

FACTORIES = {
    "empty": lambda device: torch.empty(3, device=device),
    "zeros": lambda device: torch.zeros(3, device=device),
    "tensor": lambda device: torch.tensor([3.0], device=device),
    "as_tensor": lambda device: torch.as_tensor([3.0], device=device),
    "asarray": lambda device: torch.asarray([3.0], device=device),
    "randn": lambda device: torch.randn(3, device=device),
    "randn_like": lambda device: torch.randn_like(torch.ones(3), device=device),
    "randint": lambda device: torch.randint(0, 3, (3,), device=device),
    "randperm": lambda device: torch.randperm(3, device=device),
    "arange": lambda device: torch.arange(3, device=device),
    "linspace": lambda device: torch.linspace(0, 1, 3, device=device),
    "full": lambda device: torch.full((3,), 1.0, device=device),
    "eye": lambda device: torch.eye(3, device=device),
    "triu_indices": lambda device: torch.triu_indices(3, 3, device=device),
    "hann_window": lambda device: torch.hann_window(3, device=device),
    "sparse": lambda device: torch.sparse_coo_tensor([[0]], [1.0], (3,), device=device, check_invariants=True),
    "new_zeros": lambda device: torch.ones(3).new_zeros(3, device=device),
    "new_tensor": lambda device: torch.ones(3).new_tensor([3], device=device),
    "to": lambda device: torch.ones(3).to(device),
    "to dtype": lambda device: torch.ones(3).to(device, torch.float16),
    "to keyword": lambda device: torch.ones(3).to(device=device, non_blocking=True),
    "npu()": lambda device: torch.ones(3).npu(),
    "Linear": lambda device: nn.Linear(3, 3, device=device).weight,
    "Module.to": lambda device: nn.Linear(3, 3).to(device).weight,
    "Module.npu": lambda device: nn.Linear(3, 3).npu().weight,
    "Module.to_empty": lambda device: nn.Linear(3, 3, device="meta").to_empty(device=device).weight,
    "LSTM": lambda device: nn.LSTM(3, 3, device=device).weight_hh_l0,
    "packed": lambda device: nn.utils.rnn.pack_sequence([torch.ones(2)]).to(device).data,
    "Generator": lambda device: torch.Generator(device),
}


@pytest.mark.parametrize("what", FACTORIES)
def test_made_or_moved_there_it_is_on_the_cpu(what):
    for device in ("npu", "npu:0", torch.device("npu"), torch.device("npu", 0)):
        made = FACTORIES[what](device)
        assert made.device == torch.device("cpu"), device


def test_the_name_is_a_device():
    assert torch.device("npu:0").type == "npu" and torch.device("npu:0").index == 0
    assert torch.ones(2).is_npu and nn.utils.rnn.pack_sequence([torch.ones(2)]).is_npu
    assert not torch.ones(2, device="meta").is_npu
    assert pickle.loads(pickle.dumps(torch.device("npu:0"))) == torch.device("npu:0")


def test_moving_copies_and_keeps_the_graph():
    x = torch.ones(3, requires_grad=True)
    moved = x.npu()
    moved.mul(2).sum().backward()
    assert moved.data_ptr() != x.data_ptr() and not moved.is_leaf and x.grad.tolist() == [2, 2, 2]


def test_parameters_stay_leaves():
    model = nn.Linear(3, 3)
    weight = model.weight
    assert model.to("npu").weight is weight and weight.is_leaf and weight.requires_grad
    torch.optim.AdamW(model.npu().parameters())


def test_other_devices_are_left_alone():
    assert torch.zeros(2, device="meta").is_meta and torch.ones(2).to("meta").is_meta
    with pytest.raises((RuntimeError, AssertionError)):
        torch.zeros(2, device="xpu")


def test_contexts_and_default_device():
    with torch.device("npu"):
        assert torch.zeros(2).device.type == "cpu" and torch.tensor([1.0]).device.type == "cpu"
    torch.set_default_device("npu:0")
    try:
        assert torch.zeros(2).device.type == "cpu"
    finally:
        torch.set_default_device(None)


def test_other_threads():
    made = []
    thread = threading.Thread(target=lambda: made.append(torch.ones(2, device="npu").device))
    thread.start()
    thread.join()
    assert made == [torch.device("cpu")]


def test_torchscript():
    scripted = torch.jit.trace(lambda x: x + torch.zeros(3, device="npu:0"), torch.ones(3))
    assert scripted(torch.ones(3)).device.type == "cpu"


def test_checkpoints_go_both_ways():
    model = nn.Linear(3, 3).npu()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    for location in ("npu", "npu:0", torch.device("npu"), {"cpu": "npu:0"}, "cpu", None):
        file.seek(0)
        state = torch.load(file, map_location=location)
        assert torch.equal(state["weight"], model.weight) and state["weight"].device.type == "cpu"


def test_a_checkpoint_written_on_an_npu():
    file = io.BytesIO()
    storage = torch.ones(3)
    tag = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: "npu:0"
    try:
        torch.save(storage, file)
    finally:
        torch.serialization.location_tag = tag
    assert b"npu:0" in file.getvalue()
    file.seek(0)
    assert torch.equal(torch.load(file), storage)


def test_generators_are_generators_and_reproducible():
    generator = torch.Generator(device="npu")
    assert isinstance(generator, torch.Generator) and isinstance(torch.default_generator, torch.Generator)
    first = torch.randn(4, generator=generator.manual_seed(3), device="npu")
    assert torch.equal(first, torch.randn(4, generator=torch.Generator().manual_seed(3)))


def test_autocast_is_that_of_the_cpu():
    linear, x = nn.Linear(4, 4).npu(), torch.ones(2, 4, device="npu")
    for context, dtype in (
        (torch.autocast("npu", dtype=torch.bfloat16), torch.bfloat16),
        (torch.autocast(device_type="npu"), torch.float16),
        (torch.amp.autocast("npu", torch.bfloat16), torch.bfloat16),
        (torch.npu.amp.autocast(dtype=torch.bfloat16), torch.bfloat16),
        (torch.npu.amp.autocast(), torch.float16),
        (torch.autocast("npu", enabled=False), torch.float32),
    ):
        with context:
            assert linear(x).dtype == dtype
            assert torch.is_autocast_enabled("npu") == (dtype != torch.float32)
            assert dtype == torch.float32 or torch.get_autocast_dtype("npu") == dtype
        assert not torch.is_autocast_enabled("npu")


def test_custom_autograd_functions_cast_their_inputs():
    class Double(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="npu", cast_inputs=torch.bfloat16)
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        @torch.amp.custom_bwd(device_type="npu")
        def backward(ctx, gradient):
            return 2 * gradient

    with torch.autocast("npu", dtype=torch.bfloat16):
        assert Double.apply(torch.ones(2)).dtype == torch.bfloat16


def test_gradient_scaling():
    from torch.npu.amp import GradScaler

    for scaler in (torch.npu.amp.GradScaler(init_scale=4.0), torch.amp.GradScaler("npu", init_scale=4.0)):
        weight = nn.Parameter(torch.ones(2))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        scaler.scale(weight.sum()).backward()
        assert weight.grad.tolist() == [4, 4]
        scaler.step(optimizer)
        scaler.update()
        assert weight.tolist() == [0, 0]
    assert isinstance(GradScaler(), torch.amp.GradScaler)


def test_recomputed_activations_draw_the_same_dropout():
    import torch_npu

    def attend(x):
        return torch_npu.npu_fusion_attention(x, x, x, 2, "BNSD", keep_prob=0.5)[0]

    x = torch.randn(1, 2, 16, 8).npu().detach().requires_grad_()
    gradients = []
    for run in (
        attend,
        *(lambda t, r=r: torch.utils.checkpoint.checkpoint(attend, t, use_reentrant=r) for r in (0, 1)),
    ):
        torch.manual_seed(4)
        gradients.append(torch.autograd.grad(run(x).square().sum(), x)[0] if run is attend else _gradient(run, x))
    assert torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[0], gradients[2])


def _gradient(run, x):
    leaf = x.detach().clone().requires_grad_()
    run(leaf).square().sum().backward()
    return leaf.grad


def test_data_loaders_pin_and_move():
    loader = torch.utils.data.DataLoader(torch.arange(6), batch_size=3, pin_memory=True, num_workers=1)
    assert [batch.npu(non_blocking=True).tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5]]


def test_compiled_code_takes_tensors_of_the_npu():
    import torch_npu

    compiled = torch.compile(lambda x: torch_npu.npu_fusion_attention(x, x, x, 2, "BNSD")[0] + 1, backend="eager")
    x = torch.randn(1, 2, 5, 8, device="npu")
    assert torch.equal(compiled(x), torch_npu.npu_fusion_attention(x, x, x, 2, "BNSD")[0] + 1)


def test_modules_can_be_copied():
    model = nn.Linear(2, 2).npu()
    assert torch.equal(copy.deepcopy(model).weight, model.weight)


def test_it_is_what_libraries_look_for():
    import importlib.util

    import torch_npu

    assert importlib.util.find_spec("torch_npu").origin == torch_npu.__file__
    assert sys.modules["torch_npu.npu"] is torch.npu is torch_npu.npu
    assert torch.accelerator.current_accelerator() == torch.device("npu") and torch.accelerator.device_count() == 1
    torch.accelerator.synchronize()
    torch.accelerator.empty_cache()
    assert torch.get_device_module("npu") is torch.npu
