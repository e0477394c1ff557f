"""Two ways to say the same attention give the same numbers, forward and backward."""

from __future__ import annotations

import dataclasses
import math
from itertools import accumulate
from typing import Any

import npu_flash_attention as fa
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import (
    BATCHED,
    UNBOUNDED,
    Example,
    differentiate,
    examples,
    forward,
    from_bnsd,
    output_gradient,
    to_bnsd,
    triangle,
)
from torch import Tensor

Gradients = dict[str, Tensor]


def close(got: Tensor, expected: Tensor, name: str, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance, msg=lambda text: f"{name}: {text}")


def same(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Output, statistics and gradients of two calls over the same tensors agree."""
    for name, got, expected in zip(("out", "max", "sum"), forward(first), forward(second), strict=True):
        close(got, expected, name)
    gradients, expected_gradients = differentiate(first)[1], differentiate(second)[1]
    for name in gradients.keys() & expected_gradients.keys():
        close(gradients[name], expected_gradients[name], f"d{name}")


@given(examples(layouts=("BNSD",)), st.sampled_from(BATCHED[1:]))
def test_layouts_agree_after_transposing(example: Example, layout: str) -> None:
    call = example.arguments()
    heads = {"query": example.heads, "key": example.kv_heads, "value": example.kv_heads}
    moved = call | {"input_layout": layout} | {name: from_bnsd(call[name], layout) for name in heads}
    out, *statistics = forward(call)
    moved_out, *moved_statistics = forward(moved)
    close(to_bnsd(moved_out, layout, example.heads), out, "out")
    for got, expected in zip(moved_statistics, statistics, strict=True):
        assert got.shape == (example.batch, example.heads, example.q_lens[0], 8)
        close(got, expected, "statistics")
    dy = output_gradient(out)
    _, gradients = differentiate(call, dy)
    _, moved_gradients = differentiate(moved, from_bnsd(dy, layout))
    for name, gradient in moved_gradients.items():
        back = to_bnsd(gradient, layout, heads[name]) if name in heads else gradient
        close(back, gradients[name], f"d{name}")


@given(examples(layouts=("TND",), modes=(0, 1, 2, 3, 4, 6), biases=False, dropouts=("none",)))
def test_packed_sequences_are_their_sequences_one_by_one(example: Example) -> None:
    assume(not (example.mode == 4 and example.mask == "compressed" and 0 in (*example.q_lens, *example.kv_lens)))
    call = example.arguments()
    out, row_max, row_sum = forward(call)
    dy = output_gradient(out)
    _, gradients = differentiate(call, dy)
    expected = {name: torch.zeros_like(gradient) for name, gradient in gradients.items()}
    q_ends, kv_ends = [0, *accumulate(example.q_lens)], [0, *accumulate(example.kv_lens)]
    for i in range(example.batch):
        rows, columns = slice(*q_ends[i : i + 2]), slice(*kv_ends[i : i + 2])
        if rows.start == rows.stop or columns.start == columns.stop:
            assert not out[rows].any()
            continue
        parts = {"query": rows, "query_rope": rows, "key": columns, "key_rope": columns, "value": columns}
        one = call | {name: call[name][part] for name, part in parts.items() if call.get(name) is not None}
        one |= {"actual_seq_qlen": [example.q_lens[i]], "actual_seq_kvlen": [example.kv_lens[i]]}
        if example.prefix is not None:
            one["prefix"] = [example.prefix[i]]
        if example.mask in ("S", "11S", "B1S", "BNS"):
            mask = call["atten_mask"]
            if mask.dim() == 4:
                mask = mask[i if mask.shape[0] > 1 else 0][None]
            one["atten_mask"] = mask[..., : example.q_lens[i], : example.kv_lens[i]]
        alone, alone_max, alone_sum = forward(one)
        close(out[rows], alone, "out")
        for packed, single in ((row_max, alone_max), (row_sum, alone_sum)):
            if example.by_token:
                close(packed[rows], single, "statistics")
            else:  # kept [N, S, 8] sequence by sequence
                flat = slice(rows.start * example.heads, rows.stop * example.heads)
                close(packed.flatten(0, 1)[flat], single.flatten(0, 1), "statistics")
        for name, gradient in differentiate(one, dy[rows])[1].items():
            if name in parts:
                expected[name][parts[name]] = gradient
            else:
                expected[name] += gradient
    for name, gradient in gradients.items():
        close(gradient, expected[name], f"d{name}")


@given(examples(layouts=("BNSD",), modes=(0,), biases=False, empty=False))
def test_mode_2_is_mode_0_with_the_triangle(example: Example) -> None:
    call = dataclasses.replace(example, mask="none", pre_tokens=UNBOUNDED, next_tokens=UNBOUNDED).arguments()
    rows, columns = example.q_lens[0], example.kv_lens[0]
    full = torch.ones(rows, columns, dtype=torch.bool).triu(1)
    same(call | {"sparse_mode": 2, "atten_mask": triangle()}, call | {"sparse_mode": 0, "atten_mask": full})
    same(
        call | {"sparse_mode": 2, "atten_mask": triangle()},
        call | {"sparse_mode": 0, "atten_mask": full, "pre_tokens": rows, "next_tokens": 0},
    )


@given(examples(modes=(3,), biases=False, empty=False))
def test_mode_3_is_mode_4_without_limit_before_and_none_after(example: Example) -> None:
    call = dataclasses.replace(example, mask="compressed").arguments()
    if example.layout == "TND":
        assume(all(q <= kv for q, kv in zip(example.q_lens, example.kv_lens, strict=True)))
    same(call | {"sparse_mode": 3}, call | {"sparse_mode": 4, "pre_tokens": UNBOUNDED, "next_tokens": 0})


@given(examples(modes=(3,), biases=False, empty=False))
def test_mode_6_with_the_least_prefix_is_mode_3(example: Example) -> None:
    call = dataclasses.replace(example, mask="compressed", rope=0).arguments()
    if example.layout == "TND":
        assume(all(q <= kv for q, kv in zip(example.q_lens, example.kv_lens, strict=True)))
    least = [max(kv - q, 0) for q, kv in zip(example.q_lens, example.kv_lens, strict=True)]
    tall = dataclasses.replace(example, mode=6, mask="compressed", rope=0, prefix=tuple(least)).arguments()
    # For Sq <= Skv the least prefix is what the first row sees anyway; above, it is none at all.
    same(call | {"sparse_mode": 3}, tall)


@given(examples(layouts=BATCHED))
def test_grouped_heads_are_repeated_keys(example: Example) -> None:
    group = example.heads // example.kv_heads
    call = example.arguments()
    repeated = dict(call)
    for name in ("key", "value"):
        heads_first = to_bnsd(call[name], example.layout, example.kv_heads)
        repeated[name] = from_bnsd(heads_first.repeat_interleave(group, dim=1), example.layout)
    out, gradients = differentiate(call)
    repeated_out, repeated_gradients = differentiate(repeated)
    close(repeated_out, out, "out")
    for name, gradient in repeated_gradients.items():
        if name in ("key", "value"):
            split = to_bnsd(gradient, example.layout, example.heads).unflatten(1, (example.kv_heads, group))
            gradient = from_bnsd(split.sum(2), example.layout)
        close(gradient, gradients[name], f"d{name}")


@given(examples(layouts=("BNSD",), biases=False, empty=False), st.floats(-30, 30))
def test_a_constant_added_to_the_scores_of_a_row_changes_nothing(example: Example, constant: float) -> None:
    example = dataclasses.replace(example, sink=False)
    call = example.arguments() | {"pse_type": 0}
    rows, columns = example.q_lens[0], example.kv_lens[0]
    shift = torch.arange(rows, dtype=torch.float64).cos()[:, None] * constant
    pse = output_gradient(torch.zeros(1, example.heads, rows, columns, dtype=torch.float64))
    plain, shifted = call | {"pse": pse}, call | {"pse": pse + shift}
    out, row_max, row_sum = forward(plain)
    shifted_out, shifted_max, shifted_sum = forward(shifted)
    close(shifted_out, out, "out", 1e-9)
    close(shifted_sum, row_sum, "sum", 1e-9)
    empty = row_max < -1e30
    close((shifted_max - row_max).masked_fill(empty, 0), shift.expand_as(row_max).masked_fill(empty, 0), "max", 1e-9)
    gradients, shifted_gradients = differentiate(plain)[1], differentiate(shifted)[1]
    for name, gradient in gradients.items():
        close(shifted_gradients[name], gradient, f"d{name}", 1e-9)


@given(examples(biases=False, dropouts=("none",), ropes=False), st.randoms(use_true_random=False))
def test_the_order_of_the_keys_is_nothing_without_a_mask(example: Example, random: Any) -> None:
    call = dataclasses.replace(example, mask="none").arguments()
    axis = {"BNSD": 2, "BSND": 1, "BSH": 1, "SBH": 0, "TND": 0}[example.layout]
    order, start = [], 0
    for length in example.kv_lens if example.layout == "TND" else example.kv_lens[:1]:
        part = list(range(start, start + length))
        random.shuffle(part)
        order += part
        start += length
    index = torch.tensor(order, dtype=torch.int64)
    shuffled = call | {name: call[name].index_select(axis, index) for name in ("key", "value")}
    out, gradients = differentiate(call)
    shuffled_out, shuffled_gradients = differentiate(shuffled)
    close(shuffled_out, out, "out")
    for name, gradient in shuffled_gradients.items():
        expected = gradients[name].index_select(axis, index) if name in ("key", "value") else gradients[name]
        close(gradient, expected, f"d{name}")


@given(examples(layouts=("BNSD", "BSND"), modes=(0, 1), empty=False), st.sampled_from((math.nan, math.inf, -math.inf)))
def test_hidden_keys_may_hold_anything(example: Example, poison: float) -> None:
    call = dataclasses.replace(example, mask="11S").arguments()
    last = example.kv_lens[0] - 1
    call["atten_mask"][..., last] = True
    axis = 2 if example.layout == "BNSD" else 1
    poisoned = dict(call)
    for name in ("key", "value"):
        poisoned[name] = call[name].clone()
        poisoned[name].select(axis, last).fill_(poison)
    same(poisoned, call)
    # The gradient without attention_in sums over the keys once more.
    out, row_max, row_sum = forward(call)
    if example.dropout == "given":
        return
    options = {
        name: value for name, value in call.items() if name not in ("query", "key", "value", "scale", "dropout_mask")
    } | {"scale_value": call["scale"], "softmax_max": row_max, "softmax_sum": row_sum, "dy": output_gradient(out)}

    def gradients(arguments: dict[str, Any]) -> tuple[Any, ...]:
        return fa.npu_fusion_attention_grad_v2(**{n: arguments[n] for n in ("query", "key", "value")}, **options)

    for got, expected in zip(gradients(poisoned), gradients(call), strict=True):
        if expected is not None:
            close(got, expected, "gradient without attention_in")


@given(examples(layouts=("BNSD",), modes=(1,), empty=False), st.sampled_from((math.nan, math.inf)))
def test_rows_that_see_nothing_may_hold_anything(example: Example, poison: float) -> None:
    """Padding rows: neither their query nor the gradient that reaches them touches another row or a key."""
    call = dataclasses.replace(example, mask="11S", sink=False).arguments()
    last = example.q_lens[0] - 1
    call["atten_mask"][..., last, :] = True
    poisoned = call | {"query": call["query"].clone()}
    poisoned["query"][:, :, last] = poison
    out, gradients = differentiate(call)
    dy = output_gradient(out)
    dy[:, :, last] = poison
    poisoned_out, poisoned_gradients = differentiate(poisoned, dy)
    close(poisoned_out, out, "out")
    for name, gradient in gradients.items():
        close(poisoned_gradients[name], gradient, f"d{name}")


@given(examples(dropouts=("none",)))
def test_keep_prob_1_is_no_dropout(example: Example) -> None:
    call = example.arguments()
    fa.manual_seed(11)
    same(call | {"keep_prob": 1.0, "seed": 5, "offset": 12}, call)
    if not example.rope:
        ones = torch.full(((example.scores + 7) // 8,), 255, dtype=torch.uint8)
        same(call | {"keep_prob": 1.0, "dropout_mask": ones}, call)
    assert fa.get_rng_state().tolist() == [11, 0]


@given(examples())
def test_the_gradient_is_linear_in_dy(example: Example) -> None:
    call = example.arguments()
    out = forward(call)[0]
    first, second = output_gradient(out), output_gradient(out).flip(0)
    parts = [differentiate(call, dy)[1] for dy in (first, second, 2.5 * first - 0.5 * second)]
    for name, gradient in parts[2].items():
        close(gradient, 2.5 * parts[0][name] - 0.5 * parts[1][name], f"d{name}", 1e-9)


@given(examples())
def test_the_output_is_linear_in_the_values(example: Example) -> None:
    call = example.arguments()
    out, row_max, row_sum = forward(call)
    scaled, scaled_max, scaled_sum = forward(call | {"value": -3 * call["value"]})
    close(scaled, -3 * out, "out")
    assert torch.equal(scaled_max, row_max) and torch.equal(scaled_sum, row_sum)


@given(examples(biases=False), st.sampled_from((0.25, 2.0, 8.0)))
def test_scale_and_query_share_a_factor(example: Example, factor: float) -> None:
    call = example.arguments()
    scaled = call | {"query": call["query"] * factor, "scale": call["scale"] / factor}
    if example.rope:
        scaled["query_rope"] = call["query_rope"] * factor
    out, gradients = differentiate(call)
    scaled_out, scaled_gradients = differentiate(scaled)
    close(scaled_out, out, "out")
    for name, gradient in scaled_gradients.items():
        close(gradient * factor if name.startswith("query") else gradient, gradients[name], f"d{name}")


@given(examples(layouts=("BNSD",), dropouts=("none",), empty=False))
def test_pse_added_before_the_scale_is_pse_times_scale_added_after(example: Example) -> None:
    assume(example.pse in ("BNSS", "1NSS", "BN1S", "1N1S"))
    call = example.arguments()
    before, after = call | {"pse_type": 1}, call | {"pse_type": 0, "pse": call["pse"] * call["scale"]}
    out, gradients = differentiate(before)
    after_out, after_gradients = differentiate(after)
    close(after_out, out, "out")
    for name, gradient in gradients.items():
        expected = after_gradients[name] * call["scale"] if name == "pse" else after_gradients[name]
        close(gradient, expected, f"d{name}")


@given(examples(layouts=("BNSD", "TND"), modes=(0,), ropes=False))
def test_ropes_are_further_columns_of_query_and_key(example: Example) -> None:
    example = dataclasses.replace(example, layout="TND", mask="compressed", mode=2, pse="none", pse_type=1, starts=None,
                                  dropout="none", rope=min(2, example.dim), pre_tokens=UNBOUNDED, next_tokens=UNBOUNDED)  # fmt: skip
    call = example.arguments()
    joined = (
        call
        | {name: torch.cat((call[name], call[f"{name}_rope"]), dim=-1) for name in ("query", "key")}
        | {"query_rope": None, "key_rope": None}
    )
    out, gradients = differentiate(call)
    joined_out, joined_gradients = differentiate(joined)
    close(out, joined_out, "out")
    for name in ("query", "key"):
        close(torch.cat((gradients[name], gradients[f"{name}_rope"]), dim=-1), joined_gradients[name], f"d{name}")
    close(gradients["value"], joined_gradients["value"], "dvalue")


@given(examples(layouts=("BNSD",), biases=False, dropouts=("none",), empty=False))
def test_a_sink_is_a_key_without_value(example: Example) -> None:
    """A further column whose score is the sink: pse puts it there, a value of 0 takes nothing out."""
    example = dataclasses.replace(example, mask="none", sink=True)
    call = example.arguments()
    b, n, rows, columns = example.batch, example.heads, example.q_lens[0], example.kv_lens[0]
    pse = torch.zeros(b, n, rows, columns + 1, dtype=torch.float64)
    pse[..., -1] = call["sink"][:, None]
    key, value = (torch.nn.functional.pad(call[name], (0, 0, 0, 1)) for name in ("key", "value"))
    wider = call | {"key": key, "value": value, "pse": pse, "pse_type": 0, "sink": None}
    for got, expected in zip(forward(call), forward(wider), strict=True):
        close(got, expected, "forward")
    gradients, wider_gradients = differentiate(call)[1], differentiate(wider)[1]
    close(gradients["sink"], wider_gradients["pse"][..., -1].sum((0, 2)), "dsink")
    close(gradients["query"], wider_gradients["query"], "dquery")
