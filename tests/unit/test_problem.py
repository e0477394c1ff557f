"""The compiled problem description: the pictures of the specification, addresses, and what a call becomes."""

from __future__ import annotations

import gc
import weakref
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import torch
from npu_flash_attention import AttentionError, golden
from npu_flash_attention._native import native
from npu_flash_attention.call import Call
from spec.pictures import COMPRESSED, NO_MASK, PICTURES, Picture

KV_HEADS, HEADS, DIM, VALUE_DIM = 2, 4, 8, 3


def compressed(rows: int) -> torch.Tensor:
    triangle = torch.ones(2048, 2048, dtype=torch.bool).triu(1)
    below = torch.zeros(rows - 2048, 2048, dtype=torch.bool)
    below[:, 1024:] = True
    return torch.cat([triangle, below])


def mask_of(picture: Picture) -> torch.Tensor | None:
    if picture.mask == NO_MASK:
        return None
    if picture.mask == COMPRESSED:
        return compressed(3072 if picture.sparse_mode == 6 else 2048)
    texts = picture.mask if isinstance(picture.mask, tuple) else (picture.mask,)
    masks = [torch.tensor([[int(c) for c in row] for row in text.split()], dtype=torch.uint8) for text in texts]
    return torch.stack(masks)[:, None] if isinstance(picture.mask, tuple) else masks[0]


def call_of(picture: Picture, entry: str) -> Call:
    options: dict[str, Any] = {
        "atten_mask": mask_of(picture),
        "sparse_mode": picture.sparse_mode,
        "pre_tokens": picture.pre_tokens,
        "next_tokens": picture.next_tokens,
        "prefix": None if picture.prefix is None else list(picture.prefix),
        "entry": entry,
    }
    if picture.tnd:
        ends = list(accumulate(picture.q_lens)), list(accumulate(picture.kv_lens))
        query, key = torch.zeros(ends[0][-1], 2, 1), torch.zeros(ends[1][-1], 1, 1)
        return Call(query, key, key, 2, "TND", actual_seq_qlen=ends[0], actual_seq_kvlen=ends[1], **options)
    query = torch.zeros(len(picture.q_lens), 2, picture.q_lens[0], 1)
    key = torch.zeros(len(picture.q_lens), 1, picture.kv_lens[0], 1)
    return Call(query, key, key, 2, "BNSD", **options)


def problem_of(picture: Picture) -> tuple[Call, Any]:
    """The call and its compiled problem. Windows that only the gradient accepts are built as a gradient."""
    call = call_of(picture, "forward")
    try:
        return call, call.build_problem()
    except AttentionError:
        call = call_of(picture, "backward")
        shape = (call.query.shape[0], 2, 8) if picture.tnd else (*call.query.shape[:3], 8)
        statistics = torch.zeros(shape)
        return call, call.build_problem(call.query, statistics, statistics)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.name)
def test_pictures(picture: Picture) -> None:
    call, problem = problem_of(picture)
    lengths = list(zip(picture.q_lens, picture.kv_lens, strict=True))
    assert len(problem.sequences) == len(lengths) and problem.q_heads == call.head_num
    assert [(s.q_len, s.kv_len) for s in problem.sequences] == lengths
    for index, sequence in enumerate(problem.sequences):
        if not sequence.q_len or not sequence.kv_len:
            continue
        drawn = np.array([[c == "#" for c in row] for row in picture.rows(index)])
        for head in range(2):
            whole = problem.visible(sequence, (head, head + 1), (0, sequence.q_len), (0, sequence.kv_len))
            np.testing.assert_array_equal(np.ones_like(drawn) if whole is None else whole[0], drawn)
            for row in range(sequence.q_len):
                for column in range(sequence.kv_len):
                    one = problem.visible(sequence, (head, head + 1), (row, row + 1), (column, column + 1))
                    assert (one is None or bool(one)) == drawn[row, column]
        for row in range(sequence.q_len):
            first, last = sequence.visible_kv(row, row + 1)
            assert not drawn[row, :first].any() and not drawn[row, last:].any()
        for column in range(sequence.kv_len):
            first, last = sequence.visible_q(column, column + 1)
            assert not drawn[:first, column].any() and not drawn[last:, column].any()
        assert sequence.visible_area() >= drawn.sum()
        if not problem.has_mask:
            assert sequence.visible_area() == drawn.sum()


LAYOUTS = {
    # layout: (query, key, value) shapes and the strides (batch, row, head) of each, for B 2, Sq 5, Skv 7
    "BNSD": ((2, 4, 5, 8), (2, 2, 7, 8), (2, 2, 7, 3), (160, 8, 40), (112, 8, 56), (42, 3, 21), (60, 3, 15)),
    "BSND": ((2, 5, 4, 8), (2, 7, 2, 8), (2, 7, 2, 3), (160, 32, 8), (112, 16, 8), (42, 6, 3), (60, 12, 3)),
    "BSH": ((2, 5, 32), (2, 7, 16), (2, 7, 6), (160, 32, 8), (112, 16, 8), (42, 6, 3), (60, 12, 3)),
    "SBH": ((5, 2, 32), (7, 2, 16), (7, 2, 6), (32, 64, 8), (16, 32, 8), (6, 12, 3), (12, 24, 3)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_become_strides(layout: str) -> None:
    query, key, value, q_strides, k_strides, v_strides, out_strides = LAYOUTS[layout]
    problem = Call(torch.zeros(query), torch.zeros(key), torch.zeros(value), HEADS, layout.lower()).build_problem()
    strides = problem.strides
    assert (strides["query"], strides["key"], strides["value"]) == (q_strides, k_strides, v_strides)
    assert (strides["dq"], strides["dk"], strides["dv"], strides["out"]) == (
        q_strides,
        k_strides,
        v_strides,
        out_strides,
    )
    assert (problem.q_heads, problem.kv_heads, problem.head_dim, problem.value_dim) == (4, 2, 8, 3)
    assert [(s.batch, s.q_start, s.q_len, s.kv_start, s.kv_len) for s in problem.sequences] == [
        (0, 0, 5, 0, 7),
        (1, 0, 5, 0, 7),
    ]
    assert problem.statistic_rows == 2 * 4 * 5 and problem.drop_bits == 2 * 4 * 5 * 7
    assert [s.statistic_start for s in problem.sequences] == [0, 20]
    assert [problem.kv_head(head) for head in range(4)] == [0, 0, 1, 1]


def test_views_are_described_not_copied() -> None:
    base = torch.zeros(2, 5, 3, 4, 16)
    query = base[:, :, 1, :, :8]  # a slice of a fused projection, last axis dense
    call = Call(query, query, query, 4, "BSND")
    assert call.query.data_ptr() == query.data_ptr()
    assert call.build_problem().strides["query"] == (960, 192, 16)
    expanded = torch.zeros(1, 1, 5, 8).expand(2, 4, 5, 8)
    assert Call(expanded, expanded, expanded, 4, "BNSD").build_problem().strides["key"] == (0, 8, 0)


def test_packed_sequences() -> None:
    query, key = torch.zeros(9, HEADS, DIM), torch.zeros(12, KV_HEADS, DIM)
    call = Call(query, key, key, HEADS, "TND", actual_seq_qlen=[0, 3, 3, 7, 0, 0], actual_seq_kvlen=[0, 4, 5, 9, 0, 0])
    problem = call.build_problem()
    got = [(s.q_start, s.q_len, s.kv_start, s.kv_len, s.statistic_start) for s in problem.sequences]
    assert got == [
        (0, 0, 0, 0, 0), (0, 3, 0, 4, 0), (3, 0, 4, 1, 12), (3, 4, 5, 4, 12), (7, 0, 9, 0, 28), (7, 0, 9, 0, 28),
    ]  # fmt: skip
    # Tokens beyond the last sequence have statistics, and no dropout bits.
    assert problem.statistic_rows == 9 * HEADS
    assert problem.drop_bits == HEADS * (3 * 4 + 4 * 4)
    assert not problem.statistics_by_token
    call.softmax_layout = "TND"
    assert call.build_problem().statistics_by_token


@pytest.mark.parametrize(
    ("pse_type", "pse", "kind", "before"),
    (
        (1, None, "none", True),
        (1, (1, 2, 3, 4), "strided", True),
        (0, (1, 2, 1, 4), "strided", False),
        (2, (2,), "slope", False),
        (3, (1, 2), "slope_sqrt", False),
    ),
)
def test_pse_types_become_kinds(pse_type: int, pse: tuple[int, ...] | None, kind: str, before: bool) -> None:
    rows = 4 if pse_type >= 2 else 3
    query, key = torch.zeros(1, 2, rows, 1), torch.zeros(1, 2, 4, 1)
    bias = None if pse is None else torch.zeros(pse)
    problem = Call(query, key, key, 2, "BNSD", pse=bias, pse_type=pse_type, entry="forward_v2").build_problem()
    assert problem.bias_kind == kind
    assert problem.bias_before_scale == before


@pytest.mark.parametrize("keep_prob", (1.0, 1 - 1e-10, 0.5, 1e-10))
def test_keep_prob(keep_prob: float) -> None:
    query = torch.zeros(1, 1, 40, 1)
    problem = Call(query, query, query, 1, "BNSD", keep_prob=keep_prob, seed=3, offset=12).build_problem()
    none = abs(keep_prob - 1) < 1e-9
    assert problem.dropout_kind == ("none" if none else "philox")
    assert problem.kept_weight == (1 if none else 1 / keep_prob)
    if not none:
        kept = problem.kept(problem.sequences[0], (0, 1), (0, 40), (0, 40))
        share = kept.mean()
        assert share == 0 if keep_prob < 1e-9 else abs(share - keep_prob) < 0.05


@pytest.mark.parametrize("tile", (((0, 2), (0, 3), (0, 5)), ((1, 2), (1, 3), (2, 5)), ((0, 1), (2, 3), (0, 1))))
def test_dropout_bits_of_a_tile_are_golden(tile: tuple[tuple[int, int], ...]) -> None:
    query, key = torch.zeros(6, 2, 1), torch.zeros(10, 2, 1)
    call = Call(
        query,
        key,
        key,
        2,
        "TND",
        actual_seq_qlen=[3, 6],
        actual_seq_kvlen=[5, 10],
        keep_prob=0.4,
        seed=-9,
        offset=2**40,
    )
    problem = call.build_problem()
    reference = golden.Problem(query, key, key, 2, "TND", **call.options())
    (first, last), (top, bottom), (left, right) = tile
    for sequence, expected in zip(problem.sequences, reference.sequences, strict=True):
        got = problem.kept(sequence, *tile)
        for head in range(first, last):
            kept = golden.keep(reference, expected, head, slice(top, bottom))
            assert kept is not None
            np.testing.assert_array_equal(got[head - first], kept[:, left:right].numpy())


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float32, torch.float64))
def test_bias_values_survive_their_dtype(dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, -0.0, 1.5, -2.25, 6.1e-5, 5.9e-8, -65504.0, 3.0]).to(dtype)
    query, key = torch.zeros(1, 1, 1, 1, dtype=dtype), torch.zeros(1, 1, 8, 1, dtype=dtype)
    problem = Call(query, key, key, 1, "BNSD", pse=values.view(1, 1, 1, 8)).build_problem()
    got = problem.bias(problem.sequences[0], (0, 1), (0, 1), (0, 8))
    assert got.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    np.testing.assert_array_equal(got.ravel(), values.double().numpy())


def test_a_problem_keeps_its_tensors_alive() -> None:
    """It reads them whenever it is asked, long after the call is gone."""
    query = torch.zeros(1, 1, 3, 1)
    bits = torch.zeros(2, dtype=torch.uint8)
    call = Call(
        query, query, query, 1, "BNSD", atten_mask=torch.eye(3).bool(), pse=torch.ones(1, 1, 3, 3), dropout_mask=bits
    )
    owners = [weakref.ref(t) for t in (call.atten_mask, call.pse, call.dropout_mask)]
    problem = call.build_problem()
    del call, bits
    gc.collect()
    assert all(owner() is not None for owner in owners)
    got = problem.visible(problem.sequences[0], (0, 1), (0, 3), (0, 3))
    np.testing.assert_array_equal(got[0], ~np.eye(3, dtype=bool))


def test_unreadable_content_is_said_not_read() -> None:
    """A fake tensor has no data; asking for its content must not crash."""
    query = torch.zeros(1, 1, 2, 1)
    arguments = vars(Call(query, query, query, 1, "BNSD")) | dict.fromkeys(
        ("dy", "softmax_max", "softmax_sum", "attention_in")
    )
    for name in ("query", "key", "value"):
        arguments[name] = (0, "float32", (1, 1, 2, 1), (2, 2, 1, 1))
    sequence_of = native().build_problem
    masked = sequence_of(arguments | {"atten_mask": (0, "bool", (2, 2), (2, 1))})
    biased = sequence_of(arguments | {"pse": (0, "float32", (1, 1, 2, 2), (4, 4, 2, 1))})
    dropped = sequence_of(arguments | {"dropout_mask": (0, "uint8", (4,), (1,)), "keep_prob": 0.5})
    for problem, ask in ((masked, "visible"), (biased, "bias"), (dropped, "kept")):
        with pytest.raises(RuntimeError, match="cannot be read"):
            getattr(problem, ask)(problem.sequences[0], (0, 1), (0, 2), (0, 2))
