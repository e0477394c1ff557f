"""Position biases worked out by hand: which entry of pse each score reads, and the two orders of add and scale."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from npu_flash_attention import golden


def problem(batch: int, heads: int, q_len: int, kv_len: int, **options: Any) -> golden.Problem:
    query, key = torch.zeros(batch, heads, q_len, 1), torch.zeros(batch, heads, kv_len, 1)
    return golden.Problem(query, key, key, heads, "BNSD", **options)


def tnd_problem(heads: int, q_lens: list[int], kv_lens: list[int], **options: Any) -> golden.Problem:
    q_ends, kv_ends = ([sum(lens[: b + 1]) for b in range(len(lens))] for lens in (q_lens, kv_lens))
    query, key = torch.zeros(sum(q_lens), heads, 1), torch.zeros(sum(kv_lens), heads, 1)
    options |= {"actual_seq_qlen": q_ends, "actual_seq_kvlen": kv_ends}
    return golden.Problem(query, key, key, heads, "TND", **options)


def rows_of(p: golden.Problem, sequence: int, head: int) -> list[list[float]]:
    values = golden.bias(p, p.sequences[sequence], head)
    assert values is not None
    return values.tolist()


def reads(p: golden.Problem, pse: torch.Tensor) -> list[float]:
    """How often each entry of pse is read, from the gradient of the sum of all biases."""
    counts = torch.zeros(pse.shape, dtype=torch.float64)
    for seq, head in p.work():
        rows = slice(0, seq.q_len)
        golden.add_bias_gradient(p, counts, seq, head, rows, torch.ones(seq.q_len, seq.kv_len, dtype=torch.float64))
    return counts.flatten().tolist()


def test_bnss() -> None:
    pse = torch.arange(2 * 2 * 2 * 3.0).reshape(2, 2, 2, 3)
    p = problem(2, 2, 2, 3, pse=pse)
    assert rows_of(p, 0, 0) == [[0, 1, 2], [3, 4, 5]]
    assert rows_of(p, 0, 1) == [[6, 7, 8], [9, 10, 11]]
    assert rows_of(p, 1, 1) == [[18, 19, 20], [21, 22, 23]]
    assert reads(p, pse) == [1] * 24


def test_bn1s_gives_all_rows_the_same() -> None:
    pse = torch.arange(2 * 2 * 3.0).reshape(2, 2, 1, 3)
    p = problem(2, 2, 2, 3, pse=pse)
    assert rows_of(p, 0, 1) == [[3, 4, 5], [3, 4, 5]]
    assert rows_of(p, 1, 0) == [[6, 7, 8], [6, 7, 8]]
    assert reads(p, pse) == [2] * 12


def test_1nss_and_1n1s_give_all_batches_the_same() -> None:
    pse = torch.arange(2 * 2 * 3.0).reshape(1, 2, 2, 3)
    p = problem(3, 2, 2, 3, pse=pse)
    assert rows_of(p, 0, 1) == rows_of(p, 2, 1) == [[6, 7, 8], [9, 10, 11]]
    assert reads(p, pse) == [3] * 12
    pse = torch.arange(2 * 3.0).reshape(1, 2, 1, 3)
    p = problem(3, 2, 2, 3, pse=pse)
    assert rows_of(p, 0, 1) == rows_of(p, 2, 1) == [[3, 4, 5], [3, 4, 5]]
    assert reads(p, pse) == [6] * 6


def test_tnd_packed_matrices() -> None:
    # Sequence 0 is 1 x 2 and sequence 1 is 2 x 1, two heads each: elements 01|23 and 45|67.
    pse = torch.arange(8.0)
    p = tnd_problem(2, [1, 2], [2, 1], pse=pse)
    assert rows_of(p, 0, 0) == [[0, 1]] and rows_of(p, 0, 1) == [[2, 3]]
    assert rows_of(p, 1, 0) == [[4], [5]] and rows_of(p, 1, 1) == [[6], [7]]
    assert reads(p, pse) == [1] * 8


def test_tnd_packed_rows() -> None:
    # One row of keys per head: [N, Skv] of sequence 0 (2 keys), then of sequence 1 (1 key).
    pse = torch.arange(6.0)
    p = tnd_problem(2, [1, 2], [2, 1], pse=pse)
    assert rows_of(p, 0, 0) == [[0, 1]] and rows_of(p, 0, 1) == [[2, 3]]
    assert rows_of(p, 1, 0) == [[4], [4]] and rows_of(p, 1, 1) == [[5], [5]]
    assert reads(p, pse) == [1, 1, 1, 1, 2, 2]


def test_1024_rows_are_a_plain_bias_when_there_are_1024_queries() -> None:
    pse = torch.arange(1024 * 2.0).reshape(1, 1, 1024, 2)
    p = problem(1, 1, 1024, 2, pse=pse)
    assert rows_of(p, 0, 0) == pse[0, 0].tolist()


def test_compressed_table() -> None:
    """1026 queries and keys: the table starts at row 2, and rows 0 and 1 read their diagonals further down."""

    def entry(m: Any, k: Any) -> Any:
        return 10000.0 * m + k

    table = entry(torch.arange(1024)[:, None], torch.arange(1026)[None, :]).reshape(1, 1, 1024, 1026)
    p = problem(1, 1, 1026, 1026, pse=table)
    got = golden.bias(p, p.sequences[0], 0)
    assert got is not None
    assert got[2, 0] == entry(0, 0) and got[2, 2] == entry(0, 2)
    assert got[1025, 0] == entry(1023, 0) and got[1025, 1025] == entry(1023, 1025)
    # Row 0: m = 0, k = 1026 - 0 - 1024 = 2, the main diagonal, which row 2 meets at column 2.
    assert got[0, 0] == entry(0, 2)
    # Row 1: m = 1, k = 1026 - (1 - j) - 1023 = j + 2.
    assert got[1, 0] == entry(1, 2) and got[1, 1] == entry(1, 3)
    # Above the diagonal by 1024 and more nothing is stored.
    assert got[0, 1023] == entry(0, 1025) and got[0, 1024] == 0 and got[1, 1024] == 0


def test_compressed_table_of_a_toeplitz_bias_is_that_bias() -> None:
    size = 1500
    by_distance = torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    i, j = torch.arange(size)[:, None], torch.arange(size)[None, :]
    lower = i >= j
    full = torch.where(lower, by_distance[(i - j).clamp(min=0)], 0.0)
    p = problem(1, 1, size, size, pse=full[None, None, -1024:])
    got = golden.bias(p, p.sequences[0], 0)
    assert got is not None and torch.equal(got[lower], full[lower])
    # The gradient returns to the diagonal it came from.
    grad = torch.zeros(1, 1, 1024, size, dtype=torch.float64)
    golden.add_bias_gradient(p, grad, p.sequences[0], 0, slice(0, size), torch.where(lower, 1.0 + i - j, 0.0).double())
    for distance in (0, 1, 475, 476, 1499):
        diagonal = torch.diagonal(grad[0, 0], offset=size - 1024 - distance).sum()
        assert diagonal == (size - distance) * (1.0 + distance)


def test_compressed_table_of_packed_sequences() -> None:
    """The longest has 1026 keys, so diagonal i - j = 2 starts at entry (0, 0) of the table, and every score reads the
    first entry of its diagonal."""
    table = (10000 * torch.arange(1024)[:, None] + torch.arange(1026)[None, :]).double()
    table = torch.stack([table, table + 0.5])[:, None]
    p = tnd_problem(1, [4, 1026], [4, 1026], pse=table)
    assert rows_of(p, 0, 0) == [
        [2, 3, 4, 5],
        [1, 2, 3, 4],
        [0, 1, 2, 3],
        [10000, 0, 1, 2],
    ]
    later = golden.bias(p, p.sequences[1], 0)
    assert later is not None and later[0, 0] == 2.5 and later[1025, 0] == 10230000.5
    # A table narrower than it is high: diagonal 0 starts in row 1024 - 4.
    p = tnd_problem(1, [2, 4], [2, 4], pse=torch.arange(1024.0)[:, None].expand(1, 1, 1024, 4))
    assert rows_of(p, 0, 0) == [[1020, 1019], [1021, 1020]]
    assert rows_of(p, 1, 0)[3] == [1023, 1022, 1021, 1020]


def test_slopes() -> None:
    slopes = torch.tensor([0.5, 2.0])
    p = problem(1, 2, 3, 3, pse=slopes, pse_type=2)
    assert rows_of(p, 0, 0) == [[0, -0.5, -1], [-0.5, 0, -0.5], [-1, -0.5, 0]]
    assert rows_of(p, 0, 1) == [[0, -2, -4], [-2, 0, -2], [-4, -2, 0]]
    assert reads(p, slopes) == [-8, -8]  # minus the sum of all distances


def test_slopes_per_batch() -> None:
    slopes = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    p = problem(2, 2, 1, 2, pse=slopes, pse_type=2)
    assert [rows_of(p, b, n) for b in (0, 1) for n in (0, 1)] == [[[0, -1]], [[0, -2]], [[0, -3]], [[0, -4]]]
    assert reads(p, slopes) == [-1] * 4


def test_square_root_slopes() -> None:
    p = problem(1, 1, 1, 10, pse=torch.tensor([2.0]), pse_type=3)
    got = rows_of(p, 0, 0)[0]
    assert (got[0], got[1], got[4], got[9]) == (0, -2, -4, -6)


@pytest.mark.parametrize(
    ("q_start", "kv_start", "first_row"),
    [
        ([3], [1], [2, 1, 0]),
        ([0], [5], [5, 6, 7]),
        ([2], None, [2, 1, 0]),
        (None, [7], [0, 1, 2]),
        ([1, 9], [2, 9], [1, 2, 3]),
    ],
)
def test_start_indices(q_start: Any, kv_start: Any, first_row: list[float]) -> None:
    """Distance |j + kv0 - i - q0|; only the first elements count, and kv0 only where q0 is given."""
    p = problem(1, 1, 1, 3, pse=torch.tensor([-1.0]), pse_type=2, q_start_idx=q_start, kv_start_idx=kv_start)
    assert rows_of(p, 0, 0) == [first_row]


def test_start_indices_belong_to_the_first_sequence_of_mode_8() -> None:
    slopes, starts = torch.tensor([-1.0]), {"pse_type": 2, "q_start_idx": [1], "kv_start_idx": [3]}
    mask = torch.triu(torch.ones(2048, 2048), 1).bool()
    p = tnd_problem(1, [0, 1, 1], [0, 2, 2], pse=slopes, sparse_mode=8, atten_mask=mask, **starts)
    assert rows_of(p, 1, 0) == [[2, 3]] and rows_of(p, 2, 0) == [[0, 1]]
    for mode, given in ((3, mask), (8, None)):  # without a mask the mode means nothing
        p = tnd_problem(1, [1, 1], [2, 2], pse=slopes, sparse_mode=mode, atten_mask=given, **starts)
        assert rows_of(p, 0, 0) == rows_of(p, 1, 0) == [[2, 3]]


@pytest.mark.parametrize(("pse_type", "want"), [(1, 4.5), (0, 7.0)])
def test_order_of_add_and_scale(pse_type: int, want: float) -> None:
    """q.k = 6 and 4, pse = 1 and 5, scale 0.5: (6+1)/2 and (4+5)/2, or 6/2+1 and 4/2+5."""
    query, key = torch.tensor([[[[2.0]]]]), torch.tensor([[[[3.0], [2.0]]]])
    pse = torch.tensor([[[[1.0, 5.0]]]])
    got = golden.forward(query, key, key, 1, "BNSD", pse=pse, pse_type=pse_type, scale=0.5)
    assert got.softmax_max.flatten().tolist() == [want] * 8


def test_slopes_are_added_after_scaling() -> None:
    """q.k = 6 and 4, scale 0.5, slope 3: 3 - 0 and 2 - 3."""
    query, key = torch.tensor([[[[2.0]]]]), torch.tensor([[[[3.0], [2.0]]]])
    got = golden.forward(query, key, key, 1, "BNSD", pse=torch.tensor([3.0]), pse_type=2, scale=0.5)
    assert got.softmax_max.flatten()[0] == 3
    torch.testing.assert_close(got.softmax_sum.flatten()[0].item(), 1 + 2.718281828459045**-4)
