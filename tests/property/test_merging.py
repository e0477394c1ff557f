"""Attention over parts of the keys, merged by its statistics, is attention over all of them."""

from __future__ import annotations

import dataclasses
from functools import reduce
from itertools import accumulate
from typing import Any

import npu_flash_attention as fa
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import Example, differentiate, examples, forward, output_gradient
from torch import Tensor

Part = tuple[Tensor, Tensor, Tensor]
SBH_FLOAT32 = examples(layouts=("SBH",), modes=(1,), biases=False, dropouts=("none",), empty=False, dtype=torch.float32)


def merge(first: Part, second: Part) -> Part:
    return fa.npu_ring_attention_update(*first, *second)


def parts(example: Example, cuts: list[int]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A call in SBH with a full mask, and the calls over consecutive blocks of its keys."""
    example = dataclasses.replace(example, sink=False, mask="S")
    call = example.arguments()
    ends = [*sorted(min(cut, example.kv_lens[0]) for cut in cuts), example.kv_lens[0]]
    blocks = []
    for start, end in zip([0, *ends], ends, strict=False):
        if start < end:
            block = {name: call[name][start:end] for name in ("key", "value")}
            blocks.append(call | block | {"atten_mask": call["atten_mask"][:, start:end]})
    return call, blocks


@given(SBH_FLOAT32, st.lists(st.integers(0, 9), max_size=3))
def test_blocks_of_keys_merge_to_the_whole(example: Example, cuts: list[int]) -> None:
    call, blocks = parts(example, cuts)
    whole = forward(call)
    merged = reduce(merge, (forward(block) for block in blocks))
    for got, expected in zip(merged, whole, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@given(SBH_FLOAT32, st.integers(0, 9), st.integers(0, 9))
def test_the_order_of_merging_is_nothing(example: Example, first: int, second: int) -> None:
    results = [forward(block) for block in parts(example, [first, second])[1]]
    left, right = reduce(merge, results), reduce(lambda a, b: merge(b, a), reversed(results))
    backwards = reduce(merge, reversed(results))
    for other in (right, backwards):
        for got, expected in zip(other, left, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@given(
    examples(layouts=("SBH",), modes=(1,), dropouts=("none",), empty=False, biases=False),
    st.lists(st.integers(0, 9), max_size=3),
    st.booleans(),
)
def test_gradients_of_blocks_with_merged_statistics_add_up(example: Example, cuts: list[int], lse: bool) -> None:
    """What ring attention does: each step sees some keys, the statistics and the output of all of them."""
    call, blocks = parts(example, cuts)
    out, row_max, row_sum = forward(call)
    dy = output_gradient(out)
    _, expected = differentiate(call, dy)
    if lse:  # the same statistics written as max = log-sum-exp, sum = 1; rows that saw nothing keep theirs
        empty = row_max < -1e30
        row_max = torch.where(empty, row_max, row_max + row_sum.log())
        row_sum = torch.where(empty, row_sum, 1.0)
    statistics = {"softmax_max": row_max, "softmax_sum": row_sum, "attention_in": out}
    dq = torch.zeros_like(call["query"])
    dk, dv = [], []
    for block in blocks:
        given_block = {
            name: block[name] for name in ("query", "key", "value", "head_num", "input_layout", "atten_mask")
        }
        gradients = fa.npu_fusion_attention_grad(
            **given_block, dy=dy, scale_value=call["scale"], sparse_mode=1, **statistics
        )
        dq += gradients[0]
        dk.append(gradients[1])
        dv.append(gradients[2])
    for name, got in (("query", dq), ("key", torch.cat(dk)), ("value", torch.cat(dv))):
        torch.testing.assert_close(got, expected[name], rtol=1e-9, atol=1e-9, msg=lambda m, n=name: f"d{n}: {m}")


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.integers(1, 3),
    st.sampled_from(("", "TND")),
    st.sampled_from((torch.float16, torch.bfloat16, torch.float32)),
)
def test_packed_sequences_merge_like_single_ones(lens: list[int], heads: int, layout: str, dtype: torch.dtype) -> None:
    """TND in both orders of the statistics against SBH, sequence by sequence."""
    ends = list(accumulate(lens))
    generator = torch.Generator().manual_seed(sum(lens) + heads)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    packed: list[Part] = []
    single: list[list[Part]] = []
    for _ in range(2):
        singles = [
            (random(s, 1, heads * 4).to(dtype), random(1, heads, s, 1).expand(-1, -1, -1, 8),
             random(1, heads, s, 1).exp().expand(-1, -1, -1, 8))
            for s in lens
        ]  # fmt: skip
        single.append(singles)
        out = torch.cat([o.view(-1, heads, 4) for o, _, _ in singles])
        if layout == "TND":
            statistics = [torch.cat([part[i][0].transpose(0, 1) for part in singles]) for i in (1, 2)]
        else:
            statistics = [torch.cat([part[i][0].reshape(-1, 8) for part in singles]).view(-1, heads, 8) for i in (1, 2)]
        packed.append((out, *statistics))
    got = fa.npu_ring_attention_update(
        *packed[0], *packed[1], input_layout="TND", input_softmax_layout=layout, actual_seq_qlen=torch.tensor(ends)
    )
    merged = [merge(first, second) for first, second in zip(*single, strict=True)]
    assert got[0].dtype == dtype
    assert torch.equal(got[0], torch.cat([out.view(-1, heads, 4) for out, _, _ in merged]))
    for i in (1, 2):
        if layout == "TND":
            expected = torch.cat([part[i][0].transpose(0, 1) for part in merged])
        else:
            expected = torch.cat([part[i][0].reshape(-1, 8) for part in merged]).view(-1, heads, 8)
        assert torch.equal(got[i], expected)


@given(st.integers(1, 5), st.integers(0, 4), st.randoms(use_true_random=False))
def test_attention_update_merges_by_log_sum_exp(count: int, rows: int, random: Any) -> None:
    generator = torch.Generator().manual_seed(random.randrange(1000))
    query, key = torch.randn(rows, 8, generator=generator), torch.randn(count * 3, 8, generator=generator)
    value = torch.randn(count * 3, 8, generator=generator)
    scores = query @ key.T
    lse = [part.logsumexp(1) for part in scores.split(3, dim=1)]
    outs = [part.softmax(1) @ v for part, v in zip(scores.split(3, dim=1), value.split(3), strict=True)]
    out, total = fa.npu_attention_update(lse, outs, 1)
    torch.testing.assert_close(out, scores.softmax(1) @ value, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(total, scores.logsumexp(1), rtol=1e-5, atol=1e-6)
    again, none = fa.npu_attention_update(tuple(lse), tuple(outs), 0)
    assert none is None and torch.equal(again, out)
