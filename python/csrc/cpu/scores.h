// What happens to a tile of raw products q.k before the softmax (scale, bias, hidden scores) and to its probabilities
// after it (dropout). The rules are those of semantics.h; here they run on tiles [keys][lanes], a vector of lanes wide.
//
// Which scores are visible or kept is held as bits: words[key / 32][lane], bit key % 32.
#pragma once

#include "lanes.h"

namespace npu_fa {
namespace {

struct Tile {
  int64_t begin, count;  // keys; both multiples of kKeysOfWord, so the last tile may reach beyond the sequence
  int64_t words() const { return count / kKeysOfWord; }
};

FA_INLINE uint32_t BitsBelow(int64_t n) { return n <= 0 ? 0u : n >= 32 ? ~0u : (uint32_t{1} << n) - 1u; }

FA_INLINE int64_t ValidKeys(const Sequence& s, const Tile& tile) { return Clamp(s.kv_len - tile.begin, 0, tile.count); }

// ---- visibility ----

FA_INLINE bool HidesSome(const AttentionProblem& p, const Sequence& s, const LaneBlock& lanes, const Tile& tile) {
  const Range keys = {tile.begin, tile.begin + tile.count};
  return p.mask.present || keys.end > s.kv_len || !FullyVisible(s.band, lanes.rows, keys);
}

// One bit per byte of 32: set where it is zero.
FA_INLINE uint32_t ZeroBytes(const uint8_t* bytes) {
#if defined(__AVX2__)
  const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_setzero_si256())));
#else
  uint32_t word = 0;
  for (int i = 0; i < 32; ++i) word |= static_cast<uint32_t>(bytes[i] == 0) << i;
  return word;
#endif
}

FA_INLINE uint32_t UnmaskedWord(const CpuCall& call, const Sequence& s, int64_t head, int64_t q, int64_t key) {
  const AttentionProblem& p = *call.problem;
  const uint8_t* mask = At<uint8_t>(call.mask, MaskOffset(p, s, head, q, key));
  const int64_t valid = Min(s.kv_len - key, kKeysOfWord);
  if (p.mask.column_stride == 1 && valid == kKeysOfWord) return ZeroBytes(mask);
  uint32_t word = 0;
  for (int64_t j = 0; j < valid; ++j) word |= static_cast<uint32_t>(mask[j * p.mask.column_stride] == 0) << j;
  return word;
}

[[maybe_unused]] static void VisibleBits(const CpuCall& call, const Sequence& s, const LaneBlock& lanes,
                                         const Tile& tile, uint32_t* words) {
  const Band& band = s.band;
  for (int64_t l = 0; l < lanes.padded; ++l) {
    const bool used = l < lanes.count;
    const int64_t q = used ? lanes.row[l] : 0;
    const int64_t begin = q + band.lo, end = Min(q + band.hi + 1, s.kv_len), prefix = Min(band.prefix, s.kv_len);
    for (int64_t w = 0; w < tile.words(); ++w) {
      const int64_t key = tile.begin + w * kKeysOfWord;
      uint32_t word = (BitsBelow(end - key) & ~BitsBelow(begin - key)) | BitsBelow(prefix - key);
      if (word && used && call.problem->mask.present) word &= UnmaskedWord(call, s, lanes.head[l], q, key);
      words[w * kLanes + l] = used ? word : 0;
    }
  }
}

// Asks for the mask of a tile before the products of its scores: its rows lie far apart, and a core that waits for one
// does not see the next. Inlined by force, or the compiler takes calls without results for calls without effects.
FA_INLINE void PrefetchMask(const CpuCall& call, const Sequence& s, const LaneBlock& lanes, const Tile& tile) {
  constexpr int64_t kLine = 64;
  const AttentionProblem& p = *call.problem;
  if (!p.mask.present || p.mask.column_stride != 1) return;
  for (int64_t l = 0; l < lanes.count; ++l) {
    const auto* row = At<uint8_t>(call.mask, MaskOffset(p, s, lanes.head[l], lanes.row[l], tile.begin));
    for (int64_t j = 0; j < ValidKeys(s, tile); j += kLine) __builtin_prefetch(row + j, 0, 2);
  }
}

// ---- dropout ----

[[maybe_unused]] static void KeptBitsFromTensor(const CpuCall& call, const Sequence& s, const LaneBlock& lanes,
                                                const Tile& tile, uint32_t* words) {
  const auto* bytes = static_cast<const uint8_t*>(call.drop_bits);
  const int64_t total = (call.problem->drop_bits + 7) / 8;
  for (int64_t l = 0; l < lanes.count; ++l)
    for (int64_t w = 0; w < tile.words(); ++w) {
      const int64_t key = tile.begin + w * kKeysOfWord;
      const int64_t bit = DropBit(s, lanes.head[l], lanes.row[l], key), byte = bit >> 3;
      uint64_t window = 0;
      std::memcpy(&window, bytes + byte, static_cast<size_t>(Clamp(total - byte, 0, 8)));
      words[w * kLanes + l] = static_cast<uint32_t>(window >> (bit & 7));
    }
}

// The product of the low 32 bits of each lane with a 32-bit number.
FA_INLINE LongWords MultiplyLow(LongWords a, uint32_t b) {
#if defined(__AVX512F__)
  return (LongWords)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif defined(__AVX2__)
  return (LongWords)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#else
  return (a & 0xFFFFFFFFull) * static_cast<uint64_t>(b);
#endif
}

// Philox4x32 of philox.h on a vector of counters. Only the low 32 bits of each lane mean anything.
struct PhiloxVectors {
  LongWords word[4];
};

FA_INLINE PhiloxVectors Philox(PhiloxVectors counter, uint32_t key0, uint32_t key1) {
  LongWords c0 = counter.word[0], c1 = counter.word[1], c2 = counter.word[2], c3 = counter.word[3];
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const LongWords product0 = MultiplyLow(c0, 0xD2511F53u), product1 = MultiplyLow(c2, 0xCD9E8D57u);
    c0 = (product1 >> 32) ^ c1 ^ static_cast<uint64_t>(key0);
    c1 = product1;
    c2 = (product0 >> 32) ^ c3 ^ static_cast<uint64_t>(key1);
    c3 = product0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

[[maybe_unused]] static void KeptBitsFromPhilox(const CpuCall& call, const Sequence& s, const LaneBlock& lanes,
                                                const Tile& tile, uint32_t* words) {
  constexpr int kCount = kVectorBytes / 8;
  const Dropout& d = call.problem->dropout;
  const uint64_t seed = d.seed, offset = d.offset;
  const LongWords below = LongWords{} + call.keep_below, low_half = LongWords{} + 0xFFFFFFFFull;
  for (int64_t l = 0; l < lanes.count; l += kCount) {
    LongWords first;
    uint64_t phases = 0;
    for (int i = 0; i < kCount; ++i) {
      const int64_t lane = Min(l + i, lanes.count - 1);
      first[i] = static_cast<uint64_t>(DropBit(s, lanes.head[lane], lanes.row[lane], tile.begin));
      phases |= first[i] & 3;
    }
    const int groups = phases ? 9 : 8;  // of four keys; a ninth where rows do not start on a group
    for (int64_t w = 0; w < tile.words(); ++w) {
      const LongWords bit = first + static_cast<uint64_t>(w * kKeysOfWord), group = bit >> 2, phase = bit & 3;
      LongWords kept = {};
      for (int g = 0; g < groups; ++g) {
        const LongWords counter = group + static_cast<uint64_t>(g);
        const PhiloxVectors random =
            Philox({{counter, counter >> 32, LongWords{} + (offset & 0xFFFFFFFFull), LongWords{} + (offset >> 32)}},
                   static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)
          kept |= (LongWords)((random.word[i] & low_half) < below) & (LongWords{} + (uint64_t{1} << (4 * g + i)));
      }
      kept >>= phase;
      for (int i = 0; i < kCount && l + i < lanes.padded; ++i)
        words[w * kLanes + l + i] = static_cast<uint32_t>(kept[i]);
    }
  }
}

// The words of the lanes beyond count are left as they are: nothing reads a probability of theirs.
FA_INLINE void KeptBits(const CpuCall& call, const Sequence& s, const LaneBlock& lanes, const Tile& tile,
                        uint32_t* words) {
  if (call.problem->dropout.kind == DropoutKind::kBits)
    KeptBitsFromTensor(call, s, lanes, tile, words);
  else
    KeptBitsFromPhilox(call, s, lanes, tile, words);
}

// All ones in the lanes whose bit is set. The words of a vector of lanes start at `words`.
FA_INLINE Ints BitMask(const uint32_t* words, int64_t bit, float) {
  return (LoadVector<Words>(words) & (uint32_t{1} << bit)) != 0;
}
FA_INLINE Longs BitMask(const uint32_t* words, int64_t bit, double) {
  Longs mask;
  for (int i = 0; i < kWidth<double>; ++i) mask[i] = -static_cast<int64_t>((words[i] >> bit) & 1u);
  return mask;
}

// ---- bias ----

FA_INLINE Floats Root(Floats x) {
  for (int i = 0; i < kWidth<float>; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}
FA_INLINE Doubles Root(Doubles x) {
  for (int i = 0; i < kWidth<double>; ++i) x[i] = __builtin_sqrt(x[i]);
  return x;
}

// Slopes of the lanes, and the distances that belong to them.
template <class R>
struct SlopeLanes {
  R slope[kLanes], shift[kLanes];  // distance of a key: |key + shift|
  bool root;

  SlopeLanes(const CpuCall& call, const Sequence& s, const LaneBlock& lanes) {
    root = call.problem->bias.kind == BiasKind::kSlopeSqrt;
    for (int64_t l = 0; l < kLanes; ++l) {
      const int64_t lane = Min(l, lanes.count - 1), offset = BiasOffset(*call.problem, s, lanes.head[lane], 0, 0);
      WithElement(call.problem->bias.dtype, [&](auto* type) {
        slope[l] = static_cast<R>(Widen(static_cast<decltype(type)>(call.bias)[offset]));
      });
      shift[l] = static_cast<R>(s.position_shift - lanes.row[lane]);
    }
  }

  Vec<R> Distance(int64_t key, int64_t lane) const {
    const Vec<R> signed_distance = LoadVector<Vec<R>>(shift + lane) + static_cast<R>(key);
    const Vec<R> distance = signed_distance < 0 ? -signed_distance : signed_distance;
    return root ? Root(distance) : distance;
  }
};

// Positions that float holds exactly, with room for a difference; beyond them distances are rounded from integers.
template <class R>
FA_INLINE bool ExactDistances(const Sequence& s) {
  constexpr int64_t kExact = sizeof(R) == 4 ? int64_t{1} << 23 : int64_t{1} << 52;
  const int64_t shift = s.position_shift < 0 ? -s.position_shift : s.position_shift;
  return shift + Max(s.q_len, s.kv_len) < kExact;
}

// The bias of the keys of one lane, from whichever table it comes.
template <class R, class T>
FA_INLINE void BiasOfLane(const CpuCall& call, const Sequence& s, int64_t head, int64_t q, int64_t begin, int64_t count,
                          const T* table, R* out) {
  const AttentionProblem& p = *call.problem;
  switch (p.bias.kind) {
    case BiasKind::kSlope:
    case BiasKind::kSlopeSqrt: {
      const R slope = static_cast<R>(Widen(table[BiasOffset(p, s, head, q, 0)]));
      for (int64_t j = 0; j < count; ++j) {
        const R distance = static_cast<R>(SlopeDistance(s, q, begin + j));
        out[j] = -slope * (p.bias.kind == BiasKind::kSlopeSqrt ? std::sqrt(distance) : distance);
      }
      return;
    }
    case BiasKind::kDiagonal:
    case BiasKind::kDiagonalTnd:
      for (int64_t j = 0; j < count; ++j) out[j] = static_cast<R>(Widen(table[BiasOffset(p, s, head, q, begin + j)]));
      return;
    default: {
      const int64_t step = p.bias.kind == BiasKind::kStrided ? p.bias.column_stride : 1;
      const T* first = table + BiasOffset(p, s, head, q, begin);
      if constexpr (sizeof(R) == 4 ? sizeof(T) <= 4 : sizeof(T) == 8) {
        if (step == 1) return ConvertRow(first, count, out);
      }
      for (int64_t j = 0; j < count; ++j) out[j] = static_cast<R>(Widen(first[j * step]));
    }
  }
}

// bias[key][lane] of a tile; `rows` has room for as much.
template <class R>
[[maybe_unused]] static void GatherBias(const CpuCall& call, const Sequence& s, const LaneBlock& lanes,
                                        const Tile& tile, R* rows, R* bias) {
  const int64_t valid = ValidKeys(s, tile);
  for (int64_t l = 0; l < lanes.padded; ++l) {
    R* row = rows + l * tile.count;
    const int64_t count = l < lanes.count ? valid : 0;
    if (count > 0)
      WithElement(call.problem->bias.dtype, [&](auto* type) {
        BiasOfLane(call, s, lanes.head[l], lanes.row[l], tile.begin, count, static_cast<decltype(type)>(call.bias),
                   row);
      });
    std::memset(row + count, 0, (tile.count - count) * sizeof(R));
  }
  Transpose(rows, lanes.padded, tile.count, tile.count, bias, lanes.padded);
}

// ---- all of it ----

// Buffers of a tile that has a bias, hidden scores or dropout.
template <class R>
struct ModifierBuffers {
  uint32_t *visible, *kept;
  R *bias_rows, *bias;

  ModifierBuffers(Arena& arena, const AttentionProblem& p, int64_t keys, int64_t lanes) {
    visible = arena.Take<uint32_t>(keys / kKeysOfWord * kLanes);
    kept = p.dropout.kind == DropoutKind::kNone ? nullptr : arena.Take<uint32_t>(keys / kKeysOfWord * kLanes);
    bias_rows = p.bias.kind == BiasKind::kNone ? nullptr : arena.Take<R>(keys * lanes);
    bias = p.bias.kind == BiasKind::kNone ? nullptr : arena.Take<R>(keys * lanes);
  }
};

template <class R>
FA_INLINE R MinusInfinity() {
  return -static_cast<R>(__builtin_inf());
}

// x of the operator from raw products, in place: scaled, biased, -inf where hidden. False, and nothing done, where that
// is only the scale, which the caller folds into what comes next.
template <class R>
[[maybe_unused]] static bool ModifyScores(const CpuCall& call, const Sequence& s, const LaneBlock& lanes,
                                          const Tile& tile, const ModifierBuffers<R>& buffers, R* x) {
  const AttentionProblem& p = *call.problem;
  const bool hides = HidesSome(p, s, lanes, tile), biased = p.bias.kind != BiasKind::kNone;
  if (!hides && !biased) return false;
  if (hides) VisibleBits(call, s, lanes, tile, buffers.visible);
  const Vec<R> scale = Splat(static_cast<R>(p.scale));
  const Vec<R> bias_scale = p.bias.order == BiasOrder::kAddThenScale ? scale : Splat(R{1});
  const Vec<R> hidden = Splat(MinusInfinity<R>());
  // How a vector of scores becomes x: without a bias, from slopes, from a table.
  const auto each = [&](auto biased_score) {
    for (int64_t l = 0; l < lanes.padded; l += kWidth<R>)
      for (int64_t j = 0; j < tile.count; ++j) {
        R* at = x + j * lanes.padded + l;
        Vec<R> score = biased_score(LoadVector<Vec<R>>(at) * scale, j, l);
        if (hides) {
          const auto visible = BitMask(buffers.visible + j / kKeysOfWord * kLanes + l, j % kKeysOfWord, R{});
          score = visible ? score : hidden;
        }
        StoreVector(at, score);
      }
  };
  if (!biased) {
    each([](Vec<R> score, int64_t, int64_t) __attribute__((always_inline)) { return score; });
  } else if (BiasIsSlope(p.bias.kind) && ExactDistances<R>(s)) {
    const SlopeLanes<R> slopes(call, s, lanes);
    each([&](Vec<R> score, int64_t j, int64_t l) __attribute__((always_inline)) {
      const Vec<R> slope = LoadVector<Vec<R>>(slopes.slope + l);
      return score - bias_scale * slope * slopes.Distance(tile.begin + j, l);
    });
  } else {
    GatherBias(call, s, lanes, tile, buffers.bias_rows, buffers.bias);
    each([&](Vec<R> score, int64_t j, int64_t l) __attribute__((always_inline)) {
      return score + bias_scale * LoadVector<Vec<R>>(buffers.bias + j * lanes.padded + l);
    });
  }
  return true;
}

}  // namespace
}  // namespace npu_fa
