"""Golden sees what the pictures show."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
import torch
from npu_flash_attention import golden

from .pictures import COMPRESSED, NO_MASK, PICTURES, Picture


def drawn(picture: Picture, sequence: int) -> torch.Tensor:
    rows = picture.rows(sequence)
    assert len(rows) in (0, picture.q_lens[sequence])
    assert all(len(row) == picture.kv_lens[sequence] and set(row) <= set("#.") for row in rows)
    shape = picture.q_lens[sequence], picture.kv_lens[sequence]
    return torch.tensor([[c == "#" for c in row] for row in rows], dtype=torch.bool).reshape(shape)


def mask_tensor(picture: Picture) -> torch.Tensor | None:
    if picture.mask == NO_MASK:
        return None
    if picture.mask == COMPRESSED:
        triangle = torch.ones(2048, 2048, dtype=torch.bool).triu(1)
        if picture.sparse_mode != 6:
            return triangle
        lower = torch.zeros(1024, 2048, dtype=torch.bool)
        lower[:, 1024:] = True
        return torch.cat([triangle, lower])

    def digits(text: str) -> torch.Tensor:
        return torch.tensor([[int(c) for c in row] for row in text.split()], dtype=torch.uint8)

    if isinstance(picture.mask, tuple):
        return torch.stack([digits(text)[None] for text in picture.mask])
    return digits(picture.mask)


def call(picture: Picture, heads: int, columns: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments whose scores are all zero, so that a row gives its visible keys equal weight."""
    options = {"atten_mask": mask_tensor(picture), "sparse_mode": picture.sparse_mode, "prefix": picture.prefix}
    options |= {"pre_tokens": picture.pre_tokens, "next_tokens": picture.next_tokens}
    if picture.tnd:
        q_ends, kv_ends = list(accumulate(picture.q_lens)), list(accumulate(picture.kv_lens))
        query, key = torch.zeros(q_ends[-1], heads, columns), torch.zeros(kv_ends[-1], heads, columns)
        # Unused sequences at the end are written as zeros.
        for lengths, ends in ((picture.q_lens, q_ends), (picture.kv_lens, kv_ends)):
            for b in reversed(range(len(ends))):
                if lengths[b]:
                    break
                ends[b] = 0
        options |= {"actual_seq_qlen": q_ends, "actual_seq_kvlen": kv_ends}
        return (query, key, key.clone(), heads, "TND"), options
    assert len(set(picture.q_lens)) == len(set(picture.kv_lens)) == 1
    batches = len(picture.q_lens)
    query = torch.zeros(batches, heads, picture.q_lens[0], columns)
    key = torch.zeros(batches, heads, picture.kv_lens[0], columns)
    return (query, key, key.clone(), heads, "BNSD"), options


def test_every_mode_is_drawn_more_than_once() -> None:
    for mode in range(9):
        assert sum(p.sparse_mode == mode and p.mask != NO_MASK for p in PICTURES) >= 2, mode
    assert len({p.name for p in PICTURES}) == len(PICTURES)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.name)
def test_visible(picture: Picture) -> None:
    arguments, options = call(picture, heads=2, columns=1)
    problem = golden.Problem(*arguments, **options)
    assert [(s.q_len, s.kv_len) for s in problem.sequences] == list(zip(picture.q_lens, picture.kv_lens, strict=True))
    for seq in problem.sequences:
        want = drawn(picture, seq.index)
        for head in range(2):
            assert torch.equal(golden.visible(problem, seq, head), want)
        for row in range(seq.q_len):  # any part of the rows gives that part of the picture
            assert torch.equal(golden.visible(problem, seq, 0, slice(row, row + 1)), want[row : row + 1])


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.name)
def test_the_picture_reaches_the_output(picture: Picture) -> None:
    """With equal scores and unit vectors as values, an output row is its row of the picture over its visible keys."""
    longest = max(picture.kv_lens)
    (query, key, value, heads, layout), options = call(picture, heads=1, columns=longest)
    kv_start = 0
    for b, kv_len in enumerate(picture.kv_lens):
        rows = value[kv_start : kv_start + kv_len, 0] if picture.tnd else value[b, 0]
        rows[:, :kv_len] = torch.eye(kv_len)
        kv_start += kv_len
    out, softmax_max, softmax_sum = golden.forward(query, key, value, heads, layout, softmax_layout="TND", **options)
    q_start = 0
    for b, (q_len, kv_len) in enumerate(zip(picture.q_lens, picture.kv_lens, strict=True)):
        rows = slice(q_start, q_start + q_len)
        got = (out[rows, 0] if picture.tnd else out[b, 0])[:, :kv_len]
        row_max = (softmax_max[rows, 0] if picture.tnd else softmax_max[b, 0])[:, 0]
        row_sum = (softmax_sum[rows, 0] if picture.tnd else softmax_sum[b, 0])[:, 0]
        want = drawn(picture, b).double()
        count = want.sum(dim=1)
        torch.testing.assert_close(got, want / count.clamp(min=1)[:, None])
        torch.testing.assert_close(row_max, torch.where(count > 0, 0.0, golden.EMPTY_ROW_MAX).double())
        torch.testing.assert_close(row_sum, torch.where(count > 0, count, golden.EMPTY_ROW_SUM).double())
        q_start += q_len
