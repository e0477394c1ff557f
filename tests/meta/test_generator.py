"""The random calls: deterministic, valid, and of every kind the operator knows."""

import collections
import json

import pytest
from npu_flash_attention.call import Call
from npu_flash_attention.sweep.cases import (
    BIASES,
    DROPOUTS,
    DTYPES,
    ENTRIES,
    LAYOUTS,
    MASK_CONTENTS,
    MASKS,
    MEMORIES,
    VALUES,
    case_from,
    features,
)
from npu_flash_attention.sweep.generate import random_case, random_cases
from npu_flash_attention.sweep.inputs import build

EXPECTED = {
    *(f"layout:{name}" for name in LAYOUTS),
    *(f"dtype:{name}" for name in DTYPES),
    *(f"entry:{name}" for name in ENTRIES),
    *(f"mask:{name}" for name in MASKS),
    *(f"mask_content:{name}" for name in MASK_CONTENTS),
    *(f"mask_dtype:{name}" for name in ("bool", "uint8")),
    *(f"pse:{name}" for name in BIASES),
    *(f"pse_type:{number}" for number in range(4)),
    *(f"mode:{number}" for number in range(9)),
    *("mode:none", "mode:ignored", "tokens:window", "tokens:negative"),
    *(f"dropout:{name}" for name in (*DROPOUTS, "mask_with_keep_prob_1")),
    *(f"memory:{name}" for name in MEMORIES),
    *(f"values:{name}" for name in VALUES),
    *(f"heads:{name}" for name in ("mha", "gqa", "mqa")),
    *(f"dim:{name}" for name in ("Dv<D", "Dv=D", "odd", "large")),
    *(f"{name}:{answer}" for name in ("sink", "rope", "poison") for answer in ("yes", "no")),
    *(f"spelling:{name}" for name in ("upper", "lower", "mixed")),
    *(f"lengths:{name}" for name in ("list", "tuple", "tensor")),
    *(f"tnd:{name}" for name in ("leading_zero", "empty_sequence", "trailing_zeros", "spare_tokens")),
    *("statistics:per_sequence", "statistics:TND", "start:yes", "pse_hides:yes"),
    *(f"size:{name}" for name in ("q=kv", "q!=kv", "empty", "one_row", "beyond_a_tile")),
}
RARE = {"pse:tableB", "pse:table1"}  # large by nature


def test_equal_seeds_give_equal_cases() -> None:
    assert list(random_cases(7, 50)) == list(random_cases(7, 50))
    assert list(random_cases(7, 50)) != list(random_cases(8, 50))


def test_a_case_does_not_depend_on_those_before_it() -> None:
    assert list(random_cases(7, 5, start=20)) == list(random_cases(7, 25))[20:]
    assert random_case(7, 20) == next(random_cases(7, 1, start=20))


def test_every_feature_occurs() -> None:
    cases = list(random_cases(seed=0, count=2000))
    assert len({case.id for case in cases}) == 2000
    counts = collections.Counter(feature for case in cases for feature in features(case))
    assert set(counts) >= EXPECTED, f"missing: {EXPECTED - set(counts)}"
    assert set(counts) <= EXPECTED, f"not expected here: {set(counts) - EXPECTED}"
    scarce = {name: counts[name] for name in EXPECTED if counts[name] < (10 if name in RARE else 25)}
    assert scarce == {}


def test_pairs_of_features_occur() -> None:
    """Every mode meets every layout it goes with, every dtype, and each kind of bias and dropout."""
    pairs = collections.Counter()
    for case in random_cases(seed=0, count=2000):
        words = features(case)
        modes = [word for word in words if word.startswith("mode:")]
        pairs.update((mode, word) for mode in modes for word in words)
    for mode in range(9):
        for dtype in DTYPES:
            assert pairs[f"mode:{mode}", f"dtype:{dtype}"] > 0
        for layout in LAYOUTS:
            exists = layout == "TND" if mode in (7, 8) else layout != "TND" or mode != 5
            assert (pairs[f"mode:{mode}", f"layout:{layout}"] > 0) == exists
        for dropout in ("generated", "external"):
            assert pairs[f"mode:{mode}", f"dropout:{dropout}"] > 0
        for pse_type in (0, 1, 2, 3) if mode != 7 else (0, 1):
            assert pairs[f"mode:{mode}", f"pse_type:{pse_type}"] > 0
        assert pairs[f"mode:{mode}", "heads:gqa"] > 0


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_every_case_is_valid(start: int) -> None:
    for case in random_cases(seed=0, count=100, start=start):
        inputs = build(case)
        options = dict(inputs.options)
        for name in ("actual_seq_qlen", "actual_seq_kvlen"):
            options[name] = None if options[name] is None else [int(end) for end in options[name]]
        entry = "forward_v2" if case.entry == "v2" else "forward"
        Call(inputs.query, inputs.key, inputs.value, case.heads, case.layout, entry=entry, **options).build_problem()


def test_a_case_survives_being_written_down() -> None:
    for case in random_cases(seed=9, count=200):
        again = case_from(json.loads(case.to_json()))
        assert again == case and again.id == case.id


def test_ids_stay_what_they_are() -> None:
    """Results on disk are found again by id: this one may change only together with the meaning of its case."""
    case = case_from({"layout": "TND", "q_lens": [3, 0], "kv_lens": [5, 2], "sparse_mode": 2, "mask": "compressed"})
    assert case.id == "TND-fp32-n1x1-b2s3var-d16-m2compressed-a35f930e"


def test_inputs_are_reproducible() -> None:
    for case in random_cases(seed=10, count=20):
        first, second = build(case), build(case)
        for name, tensor in first.differentiable().items():
            other = second.differentiable()[name]
            assert tensor.equal(other) or tensor.isnan().any()
            assert tensor.stride() == other.stride()
