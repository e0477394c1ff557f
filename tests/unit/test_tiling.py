"""Tiling of both kernels as a pure function of (problem, chip): nothing is launched and no tensor has memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from npu_flash_attention import _S
from npu_flash_attention.call import Call
from npu_flash_attention.sweep.cases import Case, case_from, completed
from npu_flash_attention.sweep.inputs import describe

CORES = {"Ascend910B2": 24, "Ascend910B3": 20}
BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
KI = 1024
BLOCK_OVERHEAD = 128  # columns that a block costs beside those it computes


def problem_of(case: Case) -> Any:
    query, key, value, options = describe(case)
    return Call(query, key, value, case.heads, case.layout, **options).build_problem()


def case_of(**fields: Any) -> Case:
    return case_from(completed({"dtype": "float16", "head_dim": 128} | fields))


def block_costs(problem: Any, tiling: dict[str, Any], upwards: bool = False) -> list[int]:
    """Scores that each block computes, blocks in the order of their numbers, in units of one row."""
    rows, columns, parts = tiling["tiles"] * tiling["tile_rows"], tiling["stage_columns"], tiling["parts"]
    width = tiling["part_stages"] * columns
    costs = []
    for sequence in problem.sequences:
        one_head = []
        for begin in range(0, sequence.q_len, rows)[:: -1 if upwards else 1]:
            end = min(begin + rows, sequence.q_len)
            first, last = sequence.visible_kv(begin, end)
            first = first // columns * columns
            padded = -(-(end - begin) // 16) * 16
            for part in range(parts):
                seen = max(min(first + (part + 1) * width, last) - (first + part * width), 0)
                one_head.append(seen * padded + BLOCK_OVERHEAD * rows if seen or part == 0 else 0)
        costs += one_head * problem.q_heads
    return costs


def shares(problem: Any, tiling: dict[str, Any]) -> list[int]:
    costs, first = block_costs(problem, tiling), tiling["first_block"]
    return [sum(costs[begin:end]) for begin, end in zip(first, first[1:], strict=False)]


def check_partition(problem: Any, tiling: dict[str, Any], cores: int) -> None:
    first = tiling["first_block"]
    assert tiling["cores"] == cores and len(first) == cores + 1
    assert first[0] == 0 and first == sorted(first) and first[-1] == len(block_costs(problem, tiling))


def check_memory(case: Case, tiling: dict[str, Any]) -> None:
    """Every buffer of the kernel fits, and everything that a product reads fits a half of its L0."""
    size, t = BYTES[case.dtype], tiling
    rows, depth, width = t["tile_rows"], t["query_depth"], t["value_width"]
    block = 32 // size
    assert depth == -(-case.head_dim // block) * block + -(-case.rope_dim // block) * block
    assert width == -(-case.dv // 16) * 16
    assert t["tiles"] in (1, 2) and rows % 16 == 0 and 16 <= rows <= 128
    assert 256 <= t["stage_columns"] <= 1024 and t["stage_columns"] % 256 == 0
    assert t["l1_bytes"] <= 512 * KI and t["ub_bytes"] <= 184 * KI
    assert max(rows, t["key_piece"]) * t["depth_piece"] * size <= 32 * KI and t["depth_piece"] % block == 0
    assert max(rows, width) * t["value_piece"] * size <= 32 * KI and rows * width * 4 <= 64 * KI
    l1 = t["query_buffers"] * t["tiles"] * rows * depth + 2 * t["key_piece"] * depth + 2 * rows * t["value_piece"]
    assert l1 * size <= 512 * KI
    assert t["vector_rows"] >= 8 and t["vector_rows"] * t["stage_columns"] <= 255 * 64  # repeats
    assert t["workspace_per_core"] % 512 == 0
    assert t["workspace_per_core"] >= 3 * t["tiles"] * rows * (t["stage_columns"] * (4 + size) + width * 4)


lengths = st.integers(0, 3000) | st.sampled_from((1, 7, 63, 127, 128, 129, 1000, 4096, 33000))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kv_heads = draw(st.sampled_from((1, 2, 8)))
    fields: dict[str, Any] = {
        "layout": draw(st.sampled_from(("BNSD", "TND"))),
        "dtype": draw(st.sampled_from(tuple(BYTES))),
        "kv_heads": kv_heads,
        "heads": kv_heads * draw(st.sampled_from((1, 3, 8))),
        "head_dim": draw(st.integers(1, 512)),
        "sparse_mode": draw(st.sampled_from((0, 2, 3))),
    }
    fields["value_dim"] = draw(st.integers(1, fields["head_dim"]))
    if fields["layout"] == "TND":
        pairs = draw(st.lists(st.tuples(lengths, lengths), min_size=1, max_size=6))
        if fields["sparse_mode"] == 3:
            pairs = [(min(pair), max(pair)) for pair in pairs]
        fields["q_lens"], fields["kv_lens"] = tuple(q for q, _ in pairs), tuple(k for _, k in pairs)
    else:
        fields |= {"batch": draw(st.integers(1, 4)), "q_len": draw(lengths), "kv_len": draw(lengths)}
    if fields["sparse_mode"] == 0:
        fields["mask"] = "none"
        modified = draw(st.sampled_from(("", "dropout", "sink")))
        fields |= {"dropout": {"dropout": "generated", "keep_prob": 0.9}, "sink": {"sink": True}}.get(modified, {})
    return case_of(**fields)


@settings(max_examples=200)
@given(cases(), st.sampled_from(tuple(CORES)), st.sampled_from((0, 0, 1, 7, 20)))
def test_any_problem(case: Case, soc: str, cores: int) -> None:
    problem = problem_of(case)
    tiling = _S.forward_tiling(problem, soc=soc, cores=cores)
    check_memory(case, tiling)
    check_partition(problem, tiling, cores or CORES[soc])
    # A block goes to the core in whose equal share its middle lies.
    costs = block_costs(problem, tiling)
    ideal = sum(costs) / tiling["cores"]
    assert max(shares(problem, tiling), default=0) <= ideal + max(costs, default=0)
    assert tiling == _S.forward_tiling(problem, soc=soc, cores=cores)


@pytest.mark.parametrize("dtype", BYTES)
def test_every_head_dim_up_to_512_fits(dtype: str) -> None:
    for head_dim in range(1, 513):
        fields: dict[str, Any] = {"dropout": "generated", "keep_prob": 0.5} if head_dim % 2 else {}
        value_dim = head_dim // 2 + 1 if head_dim % 3 == 0 else head_dim
        case = case_of(dtype=dtype, head_dim=head_dim, value_dim=value_dim, q_len=512, kv_len=2048, **fields)
        check_memory(case, _S.forward_tiling(problem_of(case)))


def test_split_rope_of_576_columns_fits() -> None:
    case = case_of(
        layout="TND", dtype="bfloat16", head_dim=512, rope_dim=64, q_lens=[100], kv_lens=[900], sparse_mode=3
    )
    check_memory(case, _S.forward_tiling(problem_of(case)))


def imbalance(case: Case, **options: Any) -> float:
    """Work of the busiest core, 1 where all have the same."""
    problem = problem_of(case)
    busy = shares(problem, _S.forward_tiling(problem, **options))
    return max(busy) * len(busy) / sum(busy)


def imbalance_by_rows(case: Case) -> float:
    """The same if each core had as many blocks as any other."""
    problem = problem_of(case)
    tiling = _S.forward_tiling(problem)
    costs, cores = block_costs(problem, tiling), tiling["cores"]
    bounds = [len(costs) * core // cores for core in range(cores + 1)]
    busy = [sum(costs[begin:end]) for begin, end in zip(bounds, bounds[1:], strict=False)]
    return max(busy) * cores / sum(busy)


# What a core has at most above its share comes of blocks being whole and each core's being neighbours.
BALANCED: Sequence[tuple[str, dict[str, Any], float]] = (
    ("dense", {"heads": 24, "kv_heads": 24, "q_len": 4096, "kv_len": 4096}, 1.0),
    ("dense, heads and cores do not fit", {"heads": 10, "kv_heads": 10, "q_len": 4096, "kv_len": 4096}, 1.06),
    ("causal, fewer heads than cores", {"heads": 8, "kv_heads": 2, "q_len": 8192, "sparse_mode": 3}, 1.1),
    ("causal, one head", {"q_len": 32768, "sparse_mode": 2}, 1.1),
    (
        "window",
        {"heads": 5, "kv_heads": 1, "q_len": 8192, "sparse_mode": 4, "pre_tokens": 500, "next_tokens": 0},
        1.2,
    ),
    (
        "one long and many short sequences",
        {"layout": "TND", "heads": 8, "kv_heads": 8, "q_lens": [9000] + [300] * 60, "sparse_mode": 3},
        1.1,
    ),
    (
        "sequences with long keys beside some without",
        {"layout": "TND", "heads": 24, "q_lens": [256] * 8, "kv_lens": [32768, 16, 0, 9000, 512, 16, 20000, 1]},
        1.25,
    ),
)


@pytest.mark.parametrize(("name", "fields", "bound"), BALANCED, ids=[name for name, _, _ in BALANCED])
def test_cores_share_the_visible_area(name: str, fields: dict[str, Any], bound: float) -> None:
    case = case_of(**fields)
    assert imbalance(case) <= bound
    if name not in ("dense", "dense, heads and cores do not fit", "window"):  # there every block costs the same
        assert imbalance_by_rows(case) > 1.3


@pytest.mark.parametrize("fields", [fields for _, fields, _ in BALANCED], ids=[name for name, _, _ in BALANCED])
def test_block_sizes_do_not_depend_on_the_number_of_cores(fields: dict[str, Any]) -> None:
    problem = problem_of(case_of(**fields))
    whole = _S.forward_tiling(problem)
    for cores in (1, 2, 5, 23):
        tiling = _S.forward_tiling(problem, cores=cores)
        check_partition(problem, tiling, cores)
        assert {name: value for name, value in tiling.items() if name not in ("cores", "first_block")} == {
            name: value for name, value in whole.items() if name not in ("cores", "first_block")
        }


@pytest.mark.parametrize("cores", [-1, 25])
def test_a_number_of_cores_that_no_chip_has_is_refused(cores: int) -> None:
    with pytest.raises(ValueError, match=f"cores: expected 0 to 24 on Ascend910B2, got {cores}"):
        _S.forward_tiling(problem_of(case_of(q_len=64)), cores=cores)


def test_an_unknown_chip_is_refused() -> None:
    with pytest.raises(ValueError, match="soc: expected one of Ascend910B1, .*, got Ascend310"):
        _S.forward_tiling(problem_of(case_of(q_len=64)), soc="Ascend310")


def test_heads_that_fit_no_memory_are_refused() -> None:
    with pytest.raises(ValueError, match="head_dim, value_dim: expected sizes that fit .*, got 700 and 700"):
        _S.forward_tiling(problem_of(case_of(dtype="float32", head_dim=700)))


def test_work_that_64_bits_cannot_share_is_refused() -> None:
    case = case_of(heads=1 << 19, kv_heads=1, head_dim=1, q_len=1, kv_len=1 << 40)
    with pytest.raises(ValueError, match="cost of all blocks: expected a product that fits in 64 bits"):
        _S.forward_tiling(problem_of(case))


def backward_block_costs(problem: Any, tiling: dict[str, Any]) -> list[int]:
    return block_costs(problem, tiling | {"parts": 1, "part_stages": 1 << 32}, upwards=True)


def check_backward_memory(case: Case, tiling: dict[str, Any]) -> None:
    """Every buffer fits, and every tile of 128 keys by a piece fits a half of its L0 and of the accumulator."""
    size, t = BYTES[case.dtype], tiling
    rows = t["tiles"] * t["tile_rows"]
    assert t["tile_rows"] % 16 == 0 and 16 <= t["tile_rows"] <= 128 and 1 <= t["tiles"] <= 8
    assert t["piece"] * size == 256 and t["tile_rows"] <= t["piece"] and t["tile_slots"] >= 3
    assert rows * (t["query_depth"] + t["value_width"]) * size + (1 + t["tile_slots"]) * 128 * 256 == t["l1_bytes"]
    assert t["l1_bytes"] <= 512 * KI and t["ub_bytes"] <= 184 * KI
    assert 1 <= t["group_stages"] <= 8
    assert t["workspace_per_core"] % 512 == 0 and t["workspace_bytes"] % 512 == 0
    # Rings of two slots of S and dP, three of P and more of dS, and the sums of dK and dV of every key.
    assert t["workspace_per_core"] >= rows * 256 * (2 * 8 + (3 + t["group_stages"]) * size)
    sums = case.kv_heads * t["kv_rows"] * (t["query_depth"] + t["value_width"]) * 4
    assert t["workspace_bytes"] >= t["cores"] * t["workspace_per_core"] + sums


@settings(max_examples=200)
@given(cases(), st.sampled_from(tuple(CORES)), st.sampled_from((0, 0, 1, 7, 20)), st.booleans())
def test_any_backward(case: Case, soc: str, cores: int, deterministic: bool) -> None:
    problem = problem_of(case)
    options = {"soc": soc, "cores": cores, "deterministic": deterministic}
    try:
        tiling = _S.backward_tiling(problem, **options)
    except ValueError as error:
        assert case.dtype == "float32" and "expected sizes that fit the core's memories" in str(error)
        assert case.head_dim + case.dv > 512
        return
    check_backward_memory(case, tiling)
    costs, first = backward_block_costs(problem, tiling), tiling["first_block"]
    assert tiling["cores"] == (cores or CORES[soc]) and len(first) == tiling["cores"] + 1
    assert first[0] == 0 and first == sorted(first) and first[-1] == len(costs)
    busy = [sum(costs[begin:end]) for begin, end in zip(first, first[1:], strict=False)]
    assert max(busy) <= sum(costs) / tiling["cores"] + max(costs, default=0)
    assert tiling == _S.backward_tiling(problem, **options)


def test_only_shared_heads_take_sums_of_their_own() -> None:
    """Deterministic mode costs memory where cores share a kv head, and nothing elsewhere."""
    alone = problem_of(case_of(heads=24, kv_heads=24, q_len=2048))
    shared = problem_of(case_of(heads=4, kv_heads=4, q_len=2048))
    sizes = [
        [_S.backward_tiling(problem, deterministic=mode)["workspace_bytes"] for mode in (False, True)]
        for problem in (alone, shared)
    ]
    assert sizes[0][0] == sizes[0][1]
    assert sizes[1][1] - sizes[1][0] == 2 * 24 * 2048 * (128 + 128) * 4


@pytest.mark.parametrize("cores", [-1, 25])
def test_a_backward_on_more_cores_than_the_chip_has_is_refused(cores: int) -> None:
    with pytest.raises(ValueError, match=f"cores: expected 0 to 24 on Ascend910B2, got {cores}"):
        _S.backward_tiling(problem_of(case_of(q_len=64)), cores=cores)


def test_a_backward_workspace_beyond_64_bits_is_refused() -> None:
    case = case_of(heads=1 << 17, kv_heads=1 << 17, q_len=1, kv_len=1 << 37)
    with pytest.raises(ValueError, match="expected a (product|sum) that fits in 64 bits"):
        _S.backward_tiling(problem_of(case))
