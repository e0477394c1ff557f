"""The dropout generator: (seed, offset) as the NPU's default generator hands them out, tied to torch's."""

from __future__ import annotations

import copy
import io
import threading

import npu_flash_attention as fa
import pytest
import torch
from npu_flash_attention import rng
from torch._subclasses import FakeTensorMode


def draw() -> list[int]:
    return rng.draw().tolist()


def test_draws_step_by_twelve() -> None:
    fa.manual_seed(5)
    assert [draw() for _ in range(3)] == [[5, 0], [5, 12], [5, 24]]
    assert fa.get_rng_state().tolist() == [5, 36]


@pytest.mark.parametrize("seed", (0, 1, -1, 2**31, 2**63 - 1))
def test_torch_manual_seed_is_ours(seed: int) -> None:
    torch.manual_seed(seed)
    assert draw() == [seed, 0]


@pytest.mark.parametrize(("seed", "bits"), ((2**63, -(2**63)), (2**64 - 1, -1), (-5, -5)))
def test_seeds_beyond_63_bits_keep_their_bits(seed: int, bits: int) -> None:
    fa.manual_seed(seed)
    assert draw() == [bits, 0]


def test_torch_seed_draws_a_seed_for_us_too() -> None:
    fa.manual_seed(5)
    seed = torch.seed()
    assert draw()[0] % 2**64 == seed


def test_our_seed_leaves_torch_alone() -> None:
    state = torch.get_rng_state()
    fa.manual_seed(123)
    draw()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.initial_seed() == 0  # conftest's


def test_a_random_number_of_torch_leaves_us_alone() -> None:
    fa.manual_seed(9)
    torch.randn(100)
    assert fa.get_rng_state().tolist() == [9, 0]


def test_states_are_restored_and_are_copies() -> None:
    fa.manual_seed(5)
    draw()
    state = fa.get_rng_state()
    first = [draw(), draw()]
    fa.set_rng_state(state)
    assert [draw(), draw()] == first
    assert state.tolist() == [5, 12]
    state.zero_()
    assert fa.get_rng_state().tolist() == [5, 36]


def test_torch_states_carry_ours() -> None:
    torch.manual_seed(7)
    draw()
    state = torch.get_rng_state()
    first = draw()
    torch.manual_seed(8)
    torch.set_rng_state(state)
    assert draw() == first == [7, 12]


def test_torch_states_carry_ours_through_a_file_and_a_copy() -> None:
    torch.manual_seed(7)
    draw()
    state = torch.get_rng_state()
    file = io.BytesIO()
    torch.save({"rng": state}, file)
    file.seek(0)
    for restored in (torch.load(file, weights_only=True)["rng"], copy.deepcopy(state)):
        torch.manual_seed(8)
        torch.set_rng_state(restored)
        assert draw() == [7, 12]


def test_a_state_of_torch_from_elsewhere_still_loads() -> None:
    """A checkpoint written without this package has no state of ours; torch's part must not suffer."""
    torch.manual_seed(7)
    plain = torch.tensor(torch.get_rng_state().tolist(), dtype=torch.uint8)
    expected = torch.randn(3)
    torch.manual_seed(8)
    torch.set_rng_state(plain)
    assert torch.equal(torch.randn(3), expected)


def test_fork_rng_brings_us_back() -> None:
    torch.manual_seed(7)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(100)
        assert draw() == [100, 0]
    assert draw() == [7, 0]


def test_torch_generators_stay_generators() -> None:
    assert isinstance(torch.default_generator, torch.Generator)
    assert isinstance(torch.random.default_generator, torch.Generator)
    assert torch.randn(2, generator=torch.random.default_generator).shape == (2,)


def test_seeding_the_default_generator_object_is_seeding() -> None:
    fa.manual_seed(5)
    torch.default_generator.manual_seed(77)
    assert draw() == [77, 0]


def test_seeding_inside_a_fake_mode_or_for_another_device_still_seeds() -> None:
    """Scripts seed while they build models without data; importing this package must not stop them."""
    with FakeTensorMode():
        torch.manual_seed(3)
        fa.manual_seed(4)
        torch.set_rng_state(torch.get_rng_state())
    assert draw() == [4, 0]
    with torch.device("meta"):
        torch.manual_seed(5)
        assert fa.get_rng_state().tolist() == [5, 0]
    assert draw() == [5, 0]


def test_other_generators_are_not_ours() -> None:
    fa.manual_seed(5)
    torch.Generator().manual_seed(6)
    assert draw() == [5, 0]


def test_threads_never_share_a_draw() -> None:
    fa.manual_seed(5)
    offsets: list[int] = []

    def work() -> None:
        for _ in range(50):
            offsets.append(draw()[1])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(offsets) == [12 * i for i in range(200)]


@pytest.mark.parametrize(
    "state", ([1, 2], None, torch.tensor([1.0, 2.0]), torch.tensor([1]), torch.tensor([[1, 2]]), torch.tensor(1))
)
def test_states_of_another_kind_are_refused(state: object) -> None:
    fa.manual_seed(5)
    with pytest.raises((TypeError, ValueError), match=r"state: expected .*got"):
        fa.set_rng_state(state)  # type: ignore[arg-type]
    assert fa.get_rng_state().tolist() == [5, 0]


@pytest.mark.parametrize("seed", ("x", None, 1.5, [1]))
def test_seeds_of_another_kind_are_refused(seed: object) -> None:
    fa.manual_seed(5)
    with pytest.raises((TypeError, ValueError), match="seed"):
        fa.manual_seed(seed)  # type: ignore[arg-type]
    assert fa.get_rng_state().tolist() == [5, 0]
