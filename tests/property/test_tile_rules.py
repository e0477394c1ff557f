"""The compiled rules of visibility against golden's, on every small shape: element by element, by tiles, by area."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from npu_flash_attention import AttentionError, golden
from npu_flash_attention._native import native
from npu_flash_attention.call import Call

UNBOUNDED = 2147483647
LENGTHS = range(0, 5)
TOKENS = (UNBOUNDED, -3, -2, -1, 0, 1, 2, 3)


def compiled(call: Call, mask: bool) -> Any:
    """The call's compiled Problem. A compressed mask goes in by its shape alone: what it holds is known."""
    arguments = {
        name: value for name, value in vars(call).items() if not isinstance(value, torch.Tensor)
    } | dict.fromkeys(("dy", "softmax_max", "softmax_sum", "attention_in"))
    for name in ("query", "key", "value"):
        tensor = getattr(call, name)
        arguments[name] = (0, "float32", tuple(tensor.shape), tuple(tensor.stride()))
    if mask:
        rows = 3072 if call.sparse_mode == 6 else 2048
        arguments["atten_mask"] = (0, "bool", (rows, 2048), (2048, 1))
    return native().build_problem(arguments)


def batched(q_len: int, kv_len: int, **options: Any) -> Call:
    query, key = torch.zeros(1, 1, q_len, 1), torch.zeros(1, 1, kv_len, 1)
    return Call(query, key, key, 1, "BNSD", **options)


def packed(q_lens: tuple[int, ...], kv_lens: tuple[int, ...], **options: Any) -> Call:
    q_ends, kv_ends = list(itertools.accumulate(q_lens)), list(itertools.accumulate(kv_lens))
    query, key = torch.zeros(q_ends[-1], 1, 1), torch.zeros(kv_ends[-1], 1, 1)
    return Call(query, key, key, 1, "TND", actual_seq_qlen=q_ends, actual_seq_kvlen=kv_ends, **options)


def shapes_and_modes() -> list[tuple[str, list[Call]]]:
    """Every way to say a band, over every small shape, by name."""
    cases: list[tuple[str, list[Call]]] = []
    for mode in (2, 3):
        cases.append((f"mode {mode}", [batched(q, kv, sparse_mode=mode) for q in LENGTHS for kv in LENGTHS]))
    windows = [
        batched(q, kv, sparse_mode=4, pre_tokens=pre, next_tokens=following)
        for q in LENGTHS for kv in LENGTHS for pre in TOKENS for following in TOKENS
    ]  # fmt: skip
    cases.append(("mode 4", windows))
    prefixes = [
        batched(q, kv, sparse_mode=6, prefix=[prefix]) for q in LENGTHS for kv in LENGTHS for prefix in range(kv + 1)
    ]
    cases.append(("mode 6", prefixes))
    pairs = list(itertools.product(range(4), repeat=2))
    two = [((a, b), (c, d)) for (a, b), (c, d) in itertools.product(pairs, repeat=2)]
    for mode in (2, 3):
        cases.append((f"TND mode {mode}", [packed(*lens, sparse_mode=mode) for lens in two]))
    for mode in (4, 7, 8):
        calls = [
            packed(*lens, sparse_mode=mode, pre_tokens=pre, next_tokens=following)
            for lens in two for pre in (UNBOUNDED, 0, 2) for following in (-2, -1, 0, 1, UNBOUNDED)
        ]  # fmt: skip
        cases.append((f"TND mode {mode}", calls))
    calls = [packed(*lens, sparse_mode=6, prefix=[p, r]) for lens in two for p in range(3) for r in (0, 2)]
    cases.append(("TND mode 6", calls))
    return cases


@pytest.mark.parametrize(("name", "calls"), shapes_and_modes(), ids=lambda x: x if isinstance(x, str) else "")
def test_bands_are_golden(name: str, calls: list[Call]) -> None:
    accepted = 0
    for call in calls:
        try:
            problem = compiled(call, mask=True)
        except AttentionError:
            continue  # a shape that the mode refuses: tests/negative
        accepted += 1
        options = call.options() | {"atten_mask": torch.zeros(1)}  # present; golden works from the mode
        reference = golden.Problem(call.query, call.key, call.value, 1, call.input_layout, **options)
        assert len(problem.sequences) == len(reference.sequences)
        for sequence, expected in zip(problem.sequences, reference.sequences, strict=True):
            assert (sequence.q_len, sequence.kv_len) == (expected.q_len, expected.kv_len)
            check_sequence(problem, sequence, golden.visible(reference, expected).numpy())
    assert accepted >= len(calls) / 8


def check_sequence(problem: Any, sequence: Any, visible: np.ndarray) -> None:
    q_len, kv_len = visible.shape
    assert sequence.visible_area() == visible.sum()
    if q_len and kv_len:
        np.testing.assert_array_equal(tile(problem, sequence, (0, q_len), (0, kv_len)), visible)
    for begin, end in itertools.combinations(range(q_len + 1), 2):
        first, last = sequence.visible_kv(begin, end)
        columns = np.flatnonzero(visible[begin:end].any(axis=0))
        assert 0 <= first <= last <= kv_len
        # Nothing outside is visible; the range is as narrow as the visible columns, which have no hole before a prefix.
        assert columns.size == 0 or (first <= columns[0] and columns[-1] < last)
        assert (last - first) == (columns[-1] - columns[0] + 1 if columns.size else 0)
    for begin, end in itertools.combinations(range(kv_len + 1), 2):
        first, last = sequence.visible_q(begin, end)
        rows = np.flatnonzero(visible[:, begin:end].any(axis=1))
        assert 0 <= first <= last <= q_len
        assert rows.size == 0 or (first <= rows[0] and rows[-1] < last)
        assert (last - first) == (rows[-1] - rows[0] + 1 if rows.size else 0)
    for rows in itertools.combinations(range(q_len + 1), 2):
        for columns in itertools.combinations(range(kv_len + 1), 2):
            part = visible[slice(*rows), slice(*columns)]
            got = tile(problem, sequence, rows, columns)
            np.testing.assert_array_equal(got, part)
            whole = problem.visible(sequence, (0, 1), rows, columns) is None
            assert not whole or part.all()  # "everything is visible" is never said of a tile with something hidden


def tile(problem: Any, sequence: Any, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    got = problem.visible(sequence, (0, 1), rows, columns)
    return np.ones((rows[1] - rows[0], columns[1] - columns[0]), bool) if got is None else got[0]


@pytest.mark.parametrize("mode", (0, 1, 5))
@pytest.mark.parametrize("shape", ("S", "11S", "B1S", "BNS"))
def test_full_masks_are_golden(mode: int, shape: str) -> None:
    generator = torch.Generator().manual_seed(mode)
    for q_len, kv_len, pre, following in itertools.product((1, 3, 4), (1, 2, 5), (UNBOUNDED, 0, 2), (UNBOUNDED, 0, 1)):
        sizes = {"S": (), "11S": (1, 1), "B1S": (2, 1), "BNS": (2, 3)}[shape]
        if mode == 5 and shape in ("S", "11S"):
            continue
        mask = torch.rand(*sizes, q_len, kv_len, generator=generator) < 0.4
        query, key = torch.zeros(2, 3, q_len, 1), torch.zeros(2, 1, kv_len, 1)
        prefix = [max(kv_len - q_len, 0), kv_len] if mode == 5 and pre == 0 else None
        options = {"atten_mask": mask, "pre_tokens": pre, "next_tokens": following, "prefix": prefix}
        call = Call(query, key, key, 3, "BNSD", sparse_mode=mode, **options)
        problem = call.build_problem()
        reference = golden.Problem(query, key, key, 3, "BNSD", **call.options())
        for sequence, expected in zip(problem.sequences, reference.sequences, strict=True):
            got = problem.visible(sequence, (0, 3), (0, q_len), (0, kv_len))
            for head in range(3):
                picture = golden.visible(reference, expected, head).numpy()
                np.testing.assert_array_equal(got[min(head, len(got) - 1)] if got is not None else True, picture)


@pytest.mark.parametrize("strides", ("plain", "transposed", "expanded", "every second"))
def test_masks_are_read_by_their_strides(strides: str) -> None:
    q_len, kv_len = 4, 6
    mask = torch.rand(2, 3, q_len, kv_len, generator=torch.Generator().manual_seed(0)) < 0.4
    mask = {
        "plain": lambda: mask,
        "transposed": lambda: mask.transpose(2, 3).contiguous().transpose(2, 3),
        "expanded": lambda: mask[:, :1, :1].expand(2, 3, q_len, kv_len),
        "every second": lambda: mask.repeat_interleave(2, dim=3)[..., ::2],
    }[strides]()
    query, key = torch.zeros(2, 3, q_len, 1), torch.zeros(2, 3, kv_len, 1)
    problem = Call(query, key, key, 3, "BNSD", sparse_mode=1, atten_mask=mask).build_problem()
    for batch, sequence in enumerate(problem.sequences):
        got = problem.visible(sequence, (0, 3), (0, q_len), (0, kv_len))
        expected = ~mask[batch].numpy()
        np.testing.assert_array_equal(np.broadcast_to(got, expected.shape), expected)
