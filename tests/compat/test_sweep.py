"""A sweep over a backend of the device npu: its tensors are there, and lie in memory as the case says."""

import pytest
import torch
from npu_flash_attention import backends
from npu_flash_attention.sweep.cases import Case
from npu_flash_attention.sweep.check import run
from npu_flash_attention.sweep.generate import random_cases
from npu_flash_attention.sweep.inputs import build

pytestmark = pytest.mark.usefixtures("stand_in")


class Card(backends.native.NativeBackend):
    """The CPU's kernels, for tensors that were moved to the npu: here a copy on the CPU."""

    name, device = "npu", "npu"
    seen: list = []

    def unavailable(self):
        return None

    def forward(self, call, problem):
        self.seen.append(call)
        return super().forward(call, problem)


def test_a_sweep_runs_on_tensors_of_the_device():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backends.BACKENDS, "npu", Card())
        moved = []
        to = torch.Tensor.to
        patch.setattr(
            torch.Tensor, "to", lambda self, *args, **kwargs: (moved.append(args), to(self, *args, **kwargs))[1]
        )
        for case in random_cases(5, 30):
            moved.clear()
            outcome = run(case, "npu")
            assert outcome.status == "ok", (case.id, outcome.message)
            assert moved.count(("npu",)) >= 4
    assert len(Card.seen) >= 30


@pytest.mark.parametrize("memory", ["contiguous", "sliced", "transposed", "expanded", "fused", "last_strided"])
def test_moved_tensors_lie_as_they_did(memory):
    case = Case(layout="TND", heads=2, kv_heads=2, q_lens=(3, 4), kv_lens=(5, 6), memory=memory, mask="compressed",
                sparse_mode=3, pse="packed", sink=True, dropout="external", keep_prob=0.5, lengths_as="tensor")  # fmt: skip
    inputs = build(case)
    there = inputs.on("npu")
    for name in ("query", "key", "value", "dy", "pse", "sink", "atten_mask", "dropout_mask"):
        old, new = (vars(i).get(name, i.options.get(name)) for i in (inputs, there))
        assert torch.equal(old, new) and old.data_ptr() != new.data_ptr(), name
        assert old.stride() == new.stride() and old.storage_offset() == new.storage_offset(), name
    assert there.options["actual_seq_qlen"] is inputs.options["actual_seq_qlen"]
    assert inputs.on("cpu") is inputs
