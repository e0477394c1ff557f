"""The dropout stream: published Philox answers, bit order, stream order, length, and the share that is kept."""

from __future__ import annotations

import math

import pytest
import torch
from npu_flash_attention import golden

# Known answers of the Random123 distribution for philox4x32 with 10 rounds: counter, key, result.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def bits(packed: torch.Tensor) -> list[int]:
    return [byte >> i & 1 for byte in packed.tolist() for i in range(8)]


@pytest.mark.parametrize(("counter", "key", "want"), KNOWN_ANSWERS)
def test_philox_known_answers(counter: tuple[int, ...], key: tuple[int, int], want: tuple[int, ...]) -> None:
    assert tuple(golden.philox4x32_10(counter, key).tolist()) == want


def test_philox_of_many_counters() -> None:
    counters = torch.tensor([KNOWN_ANSWERS[0][0], KNOWN_ANSWERS[0][0]])
    assert golden.philox4x32_10(counters, (0, 0)).tolist() == [list(KNOWN_ANSWERS[0][2])] * 2


def test_first_bits_by_hand() -> None:
    """The first four words for seed 0 and offset 0 are 0.399, 0.881, 0.736 and 0.606 of 2^32."""
    for keep_prob, want in [(0.3, [0, 0, 0, 0]), (0.5, [1, 0, 0, 0]), (0.7, [1, 0, 0, 1]), (0.8, [1, 0, 1, 1])]:
        assert bits(golden.dropout_bits(4, 0, 0, keep_prob))[:4] == want


@pytest.mark.parametrize(
    ("seed", "offset"), [(0, 0), (0x299F31D0A4093822, 0x0370734413198A2E), (2**64 - 1, 12), (-1, 12)]
)
def test_stream_word_by_word(seed: int, offset: int) -> None:
    """Group g of four words comes from key = seed (lo, hi) and counter = (g, 0, offset lo, offset hi)."""

    def philox(counter: list[int], key: list[int]) -> list[int]:  # plain integers, one group
        a, b, c, d = counter
        x, y = key
        for _ in range(10):
            left, right = a * 0xD2511F53, c * 0xCD9E8D57
            a, b, c, d = (right >> 32) ^ b ^ x, right % 2**32, (left >> 32) ^ d ^ y, left % 2**32
            x, y = (x + 0x9E3779B9) % 2**32, (y + 0xBB67AE85) % 2**32
        return [a, b, c, d]

    key = [seed % 2**64 % 2**32, seed % 2**64 >> 32]
    words = [w for g in range(64) for w in philox([g, 0, offset % 2**32, offset >> 32], key)]
    want = [int((w + 0.5) / 2**32 < 0.75) for w in words]  # no word is near enough to 0.75 for the rounding to matter
    assert bits(golden.dropout_bits(256, seed, offset, 0.75)) == want


def test_words_become_float32_numbers() -> None:
    """x * 2^-32 + 2^-33, each step rounded to 24 bits."""
    words = {0: 2.0**-33, 1: 3 * 2.0**-33, 2**31 - 1: 0.5, 2**31: 0.5, 2**31 + 256: 0.5 + 2.0**-24, 2**32 - 1: 1.0}
    got = golden.uniform(torch.tensor(list(words)))
    assert got.dtype == torch.float32 and got.tolist() == list(words.values())


@pytest.mark.parametrize(("numels", "length"), [(0, 0), (1, 16), (127, 16), (128, 16), (129, 32), (1000, 128)])
def test_length_and_filling(numels: int, length: int) -> None:
    packed = golden.dropout_bits(numels, 5, 12, 0.5)
    assert packed.dtype == torch.uint8 and packed.shape == (length,)
    # A longer stream begins with a shorter one, filling included.
    assert torch.equal(golden.dropout_bits(4096, 5, 12, 0.5)[:length], packed)


def test_nothing_and_everything_dropped() -> None:
    assert golden.dropout_bits(130, 5, 12, 1.0).tolist() == [255] * 32
    assert golden.dropout_bits(130, 5, 12, drop_prob=0.0).tolist() == [255] * 32
    assert golden.dropout_bits(130, 5, 12, drop_prob=1.0).tolist() == [0] * 32
    assert golden.dropout_bits(130, 5, 12, 1e-12).tolist() == [0] * 32


def test_numbers_that_round_to_one_are_kept_without_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "uniform", lambda words: torch.ones(words.shape))
    assert golden.dropout_bits(128, 5, 12, 1.0).tolist() == [255] * 16
    assert golden.dropout_bits(128, 5, 12, 0.999999).tolist() == [0] * 16


def test_keep_prob_or_drop_prob() -> None:
    for keep_prob in (0.1, 0.5, 0.75, 0.9):
        want = golden.dropout_bits(4096, 1, 0, keep_prob)
        assert torch.equal(golden.dropout_bits(4096, 1, 0, drop_prob=1 - keep_prob), want)
    with pytest.raises(ValueError, match="keep_prob or drop_prob"):
        golden.dropout_bits(1, 0, 0)


@pytest.mark.parametrize("keep_prob", [0.1, 0.5, 0.9])
def test_share_kept(keep_prob: float) -> None:
    numels = 1 << 20
    kept = sum(byte.bit_count() for byte in golden.dropout_bits(numels, 1234, 24, keep_prob).tolist())
    assert abs(kept - keep_prob * numels) < 5 * math.sqrt(numels * keep_prob * (1 - keep_prob))


def test_seeds_and_offsets_give_different_streams() -> None:
    streams = {tuple(golden.dropout_bits(256, s, o, 0.5).tolist()) for s in (0, 1, 2**32) for o in (0, 12, 2**32)}
    assert len(streams) == 9


def test_pieces_of_the_stream_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = golden.dropout_bits(5000, 3, 0, 0.6)
    monkeypatch.setattr(golden, "CHUNK_GROUPS", 32)
    assert torch.equal(golden.dropout_bits(5000, 3, 0, 0.6), whole)


def test_bit_order_of_a_given_mask() -> None:
    """Element ((b*N + n)*Sq + i)*Skv + j is bit index % 8 of byte index // 8, least significant first."""
    key = torch.zeros(1, 2, 3, 1)
    given = torch.tensor([0b10110101, 0b11111010], dtype=torch.uint8)
    p = golden.Problem(key[:, :, :2], key, key, 2, "BNSD", dropout_mask=given)
    first, second = (golden.keep(p, p.sequences[0], head) for head in (0, 1))
    assert first is not None and first.int().tolist() == [[1, 0, 1], [0, 1, 1]]
    assert second is not None and second.int().tolist() == [[0, 1, 0], [1, 0, 1]]
    last_row = golden.keep(p, p.sequences[0], 1, slice(1, 2))
    assert last_row is not None and last_row.int().tolist() == [[1, 0, 1]]


def test_stream_order_of_packed_sequences() -> None:
    """Sequence 0 is 1 x 2 and sequence 1 is 2 x 1, two heads each: bits 01|23 and 45|67."""
    tokens = torch.zeros(3, 2, 1)
    given = torch.tensor([0b10010110], dtype=torch.uint8)
    lens = {"actual_seq_qlen": [1, 3], "actual_seq_kvlen": [2, 3]}
    p = golden.Problem(tokens, tokens, tokens, 2, "TND", dropout_mask=given, **lens)
    got = [golden.keep(p, seq, head) for seq in p.sequences for head in (0, 1)]
    assert [k.int().tolist() for k in got if k is not None] == [[[0, 1]], [[1, 0]], [[1], [0]], [[0], [1]]]


def test_given_mask_is_honoured_without_a_keep_prob_and_scales_with_one() -> None:
    """Two keys of equal score, the second dropped: half of the first value, then doubled by keep_prob 0.5."""
    query, key, value = torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 2, 1), torch.tensor([3.0, 5.0]).reshape(1, 1, 2, 1)
    given = torch.tensor([0b01], dtype=torch.uint8)
    for keep_prob, want in [(1.0, 1.5), (0.5, 3.0)]:
        got = golden.forward(query, key, value, 1, "BNSD", dropout_mask=given, keep_prob=keep_prob)
        assert got.attention_out.item() == want
        assert got.softmax_sum.flatten()[0] == 2  # the sum is taken before dropout


def test_generated_mask_is_the_packed_one() -> None:
    gen = torch.Generator().manual_seed(0)
    query, key = (torch.randn(2, 3, s, 4, generator=gen) for s in (5, 7))
    options = {"keep_prob": 0.7, "seed": 99, "offset": 36}
    given = golden.dropout_bits(2 * 3 * 5 * 7, 99, 36, 0.7)
    one = golden.forward(query, key, key, 3, "BNSD", **options)
    two = golden.forward(query, key, key, 3, "BNSD", keep_prob=0.7, dropout_mask=given)
    assert torch.equal(one.attention_out, two.attention_out)
    assert not torch.equal(one.attention_out, golden.forward(query, key, key, 3, "BNSD").attention_out)
