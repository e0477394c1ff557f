"""Values of the wrong type are refused by the name of the argument, not by the insides of torch or of the core."""

from __future__ import annotations

import random
from typing import Any

import npu_flash_attention as fa
import numpy as np
import pytest
import torch

from .valid_calls import BACKWARD, ENTRIES, VALID, call, takes, with_statistics

INSIDES = ("Unable to cast", "incompatible function arguments", "Expected a value of type", "object has no attribute")

TENSORS = {"a string": "x", "a number": 3.5, "an array": np.zeros((2, 4, 6, 8), np.float32), "a list": [1, 2]}
INTEGERS = {"a string": "2", "a float": 2.0, "None": None, "a list": [2], "2**63": 2**63, "-2**63 - 1": -(2**63) - 1}
NUMBERS = {"a string": "0.5", "None": None, "a list": [0.5], "a complex number": 1j}
LISTS = {
    "a number": 3,
    "a string": "ab",
    "floats": [1.5, 2.5],
    "None inside": [None, 2],
    "nested": [[1, 2]],
    "huge": [2**70],
}
STRINGS = {"None": None, "a number": 3, "bytes": b"BNSD"}

WRONG = [
    (name, what, value)
    for names, values in (
        (("query", "key", "value", "pse", "atten_mask", "sink", "dropout_mask", "query_rope", "key_rope"), TENSORS),
        (("dy", "softmax_max", "softmax_sum", "attention_in"), TENSORS),
        (("query", "key", "value", "dy"), {"None": None}),
        (("head_num", "pre_tokens", "next_tokens", "sparse_mode", "pse_type", "seed", "offset"), INTEGERS),
        (("scale", "keep_prob"), NUMBERS),
        (("prefix", "actual_seq_qlen", "actual_seq_kvlen", "q_start_idx", "kv_start_idx"), LISTS),
        (("input_layout", "softmax_layout"), STRINGS),
    )
    for name in names
    for what, value in values.items()
]


def valid_for(entry: str, name: str) -> dict[str, Any]:
    arguments = VALID["tnd" if name.startswith("actual") else "bnsd"]()
    arguments["keep_prob"] = 0.5
    return with_statistics(arguments) if entry in BACKWARD else arguments


def applies(entry: str, name: str, value: Any) -> bool:
    """Whether the entry point reads this parameter and has no other use for the value."""
    if entry in BACKWARD and name == "dropout_mask":
        return False  # the gradient regenerates the mask
    if entry == "grad_v3" and name in ("seed", "offset") and value is None:
        return False  # its default
    return takes(entry, valid_for(entry, name) | {name: value})


@pytest.mark.parametrize(
    ("name", "value", "entry"),
    [
        pytest.param(name, value, entry, id=f"{name}={what}-{entry}")
        for name, what, value in WRONG
        for entry in ENTRIES
        if applies(entry, name, value)
    ],
)
def test_a_wrong_type_is_named(name: str, value: Any, entry: str) -> None:
    arguments = valid_for(entry, name) | {name: value}
    fa.manual_seed(17)
    with pytest.raises((TypeError, fa.AttentionError)) as caught:
        call(entry, arguments)
    text = str(caught.value)
    # Names as the caller spelt them: v1 says pre_tockens, the gradient scale_value.
    spelt = {"pre_tokens": "pre_to", "next_tokens": "next_to"}.get(name, name)
    assert spelt in text and "got" in text, text
    assert not any(inside in text for inside in INSIDES), text
    assert len(text) < 500
    assert fa.get_rng_state().tolist() == [17, 0]


@pytest.mark.parametrize("entry", ("v1", "v2", "v3"))
@pytest.mark.parametrize("kind", ("sparse", "nested", "quantized", "complex"))
def test_tensors_of_other_kinds_are_refused(kind: str, entry: str) -> None:
    arguments = VALID["bnsd"]()
    query = arguments["query"]
    arguments["query"] = {
        "sparse": lambda: query.to_sparse(),
        "nested": lambda: torch.nested.nested_tensor([query[0], query[1]]),
        "quantized": lambda: torch.quantize_per_tensor(query, 0.1, 0, torch.qint8),
        "complex": lambda: query.to(torch.complex64),
    }[kind]()
    with pytest.raises((TypeError, fa.AttentionError)) as caught:
        call(entry, arguments)
    assert "query" in str(caught.value) or "key: expected dtype" in str(caught.value)


@pytest.mark.parametrize("entry", ENTRIES)
def test_numbers_of_other_libraries_are_numbers(entry: str) -> None:
    """Scripts compute these from configurations and tensors."""
    arguments = VALID["tnd"]()
    if entry in BACKWARD:
        arguments = with_statistics(arguments)
    expected = call(entry, arguments | {"scale": 0.5, "pre_tokens": 3, "sparse_mode": 0, "keep_prob": 1.0})
    kinds: dict[str, Any] = {
        "head_num": np.int64(4),
        "scale": np.float32(0.5),
        "pre_tokens": np.int32(3),
        "sparse_mode": torch.tensor(0),
        "keep_prob": 1,
    }
    got = call(entry, arguments | kinds)
    assert torch.equal(got[0], expected[0])


@pytest.mark.parametrize("entry", ("v1", "v2", "grad", "grad_v2"))
@pytest.mark.parametrize(
    "lengths",
    (tuple, np.array, lambda ends: torch.tensor(ends, dtype=torch.int32), lambda ends: [np.int32(e) for e in ends],
     lambda ends: [torch.tensor(e) for e in ends], torch.tensor),
    ids=("tuple", "array", "int32 tensor", "numpy integers", "tensors", "tensor"),
)  # fmt: skip
def test_lengths_of_any_kind(entry: str, lengths: Any) -> None:
    arguments = VALID["tnd"]()
    if entry in BACKWARD:
        arguments = with_statistics(arguments)
    expected = call(entry, arguments)
    kinds = {name: lengths(arguments[name]) for name in ("actual_seq_qlen", "actual_seq_kvlen")}
    assert torch.equal(call(entry, arguments | kinds)[0], expected[0])


@pytest.mark.parametrize("entry", ("v3", "grad_v3"))
def test_v3_takes_tensors_of_lengths_only(entry: str) -> None:
    arguments = VALID["tnd"]()
    if entry in BACKWARD:
        arguments = with_statistics(arguments)
    ends = arguments["actual_seq_qlen"]
    with pytest.raises(TypeError, match=r"actual_seq_qlen.*[Ll]ist"):
        call(entry, arguments | {"actual_seq_qlen": _List(ends)})
    with pytest.raises(TypeError, match=r"actual_seq_qlen.*tuple"):
        call(entry, arguments | {"actual_seq_qlen": tuple(ends)})
    with pytest.raises((TypeError, fa.AttentionError), match=r"actual_seq_qlen.*float32"):
        call(entry, arguments | {"actual_seq_qlen": torch.tensor(ends, dtype=torch.float32)})


class _List(list):  # call() turns plain lists into tensors
    pass


# What a fuzzer puts anywhere. No answer but a result, an AttentionError, a TypeError or a NotImplementedError is right.
GARBAGE: list[Any] = [
    None, True, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 2**64, 0.0, -0.5, 1.5, float("nan"), float("inf"), 1e308, 1j,
    "", "TND", "bnsd", "x" * 1000, "\0", "\ud800", b"", [], [0], [-1], [2, 1], [2**62, 2**62], ["a"], [[1]], (), (6, 12),
    {}, {"a": 1}, set(), object(), len, torch.float32, torch.tensor(1), torch.tensor([]), torch.tensor([6]),
    torch.zeros(0, 4, 6, 8), torch.zeros(2, 4, 6, 0), torch.zeros(2, 0, 6, 8), torch.ones(2, 4, 6, 8),
    torch.ones(2, 4, 6, 7, dtype=torch.bool), torch.ones(6, 7, dtype=torch.uint8), torch.ones(4), torch.ones(2, 4),
    torch.full((2, 4, 6, 8), float("nan")), torch.ones(2, 4, 6, 8, dtype=torch.float16), torch.ones(6, 4, 8),
    torch.ones(1).expand(2, 4, 6, 8), torch.ones(2, 4, 8, 6).transpose(2, 3), torch.ones(1).expand(2**20, 2**20, 2**20, 1),
    torch.ones(2, 4, 6, 8, device="meta"), torch.ones(2, 4, 6, 8).to_sparse(), np.ones(3), np.int64(7), np.float64("nan"),
]  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("seed", range(4))
def test_garbage_is_refused_in_words(entry: str, seed: int) -> None:
    rng = random.Random(f"{entry} {seed}")
    names = (
        "bnsd",
        "bsh",
        "tnd",
        "causal",
        "pse",
        "slopes",
        "prefix_full",
        "rope",
        "sink",
        "masked_tnd",
        "dropout_mask",
    )
    for _ in range(150):
        arguments = VALID[rng.choice(names)]()
        if entry in BACKWARD:
            arguments = with_statistics(arguments)
        if not takes(entry, arguments):
            continue
        for _ in range(rng.choice((1, 1, 2, 3))):
            arguments[rng.choice(tuple(arguments))] = rng.choice(GARBAGE)
        try:
            call(entry, arguments)
        except (fa.AttentionError, NotImplementedError, TypeError) as error:
            text = str(error)
            assert text and not any(inside in text for inside in INSIDES), text
