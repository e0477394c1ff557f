// The forward: online softmax over tiles of keys, for a few blocks of lanes that share the packed keys.
//
// Everything is transposed: a tile of scores is [keys][lanes], the output [value_dim][lanes]. A lane of a vector is
// then a row of the attention, so maxima and sums need no exchange between lanes, and the probabilities already are the
// right-hand operand of the second product. Results of a block do not depend on the blocks it shares a task with.
#pragma once

#include "scores.h"

namespace npu_fa {
namespace {

// Keys of a tile: its scores (32 KiB of float32) and probabilities stay in the first cache while the softmax passes
// over them twice.
constexpr int64_t kForwardKeys = 128;
constexpr int64_t kSummedKeys = 16;  // divides every tile

// p -> right-hand operand: rows j and j + 1 of [keys][lanes], of which row_pair is the first, from lane l on.
FA_INLINE void StorePair(BFloat16* row_pair, int64_t, int64_t l, Floats p0, Floats p1) {
#if defined(__AVX512BF16__)
  Shorts order;
#pragma GCC unroll 32
  for (int i = 0; i < 32; ++i) order[i] = static_cast<uint16_t>((i & 1) * 16 + i / 2);
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)p1, (__m512)p0);
  StoreVector(row_pair + 2 * l, (Shorts)_mm512_permutexvar_epi16((__m512i)order, both));
#else
  for (int i = 0; i < kWidth<float>; ++i) {
    Narrow(p0[i], row_pair + 2 * (l + i));
    Narrow(p1[i], row_pair + 2 * (l + i) + 1);
  }
#endif
}
template <class R>
FA_INLINE void StorePair(R* row_pair, int64_t lanes, int64_t l, Vec<R> p0, Vec<R> p1) {
  StoreVector(row_pair + l, p0);
  StoreVector(row_pair + lanes + l, p1);
}

template <class In, class E>
class ForwardKernel {
  using R = Real<E>;
  using V = Vec<R>;

  struct Block {
    E* q;  // [qk_width][lanes], a right-hand operand
    R* o;  // [value_width][lanes]
    R *m, *l;
    Range keys;
    bool started;
  };

 public:
  static int64_t Scratch(const CpuCall& call, const RowTask& task) {
    ForwardKernel kernel(call, task, nullptr);
    return kernel.arena_.used();
  }

  static void Run(const CpuCall& call, const RowTask& task, void* scratch) {
    ForwardKernel kernel(call, task, scratch);
    kernel.Run();
  }

 private:
  ForwardKernel(const CpuCall& call, const RowTask& task, void* scratch)
      : call_(call),
        p_(*call.problem),
        s_(call.sequences[task.sequence]),
        task_(task),
        qk_width_(OperandWidth<E>(p_.head_dim + p_.rope_dim)),
        value_width_(OperandWidth<E>(p_.value_dim)),
        lanes_(LaneBlock(p_, s_, task.kv_head, task.block_begin).padded),
        tile_keys_(Min(kForwardKeys, RoundUp(s_.kv_len, kKeysOfWord))),
        arena_(scratch),
        modifiers_(arena_, p_, tile_keys_, lanes_) {
    const int64_t blocks = task.block_end - task.block_begin, widest = Max(qk_width_, value_width_);
    blocks_ = arena_.Take<Block>(blocks);
    keys_ = arena_.Take<E>(tile_keys_ * qk_width_);
    values_ = arena_.Take<E>(tile_keys_ * value_width_);
    rows_ = arena_.Take<E>(Max(tile_keys_, lanes_) * widest);
    pairs_ = arena_.Take<E>(tile_keys_ * value_width_);
    spoilt_ = arena_.Take<uint8_t>(tile_keys_ * value_width_);
    scores_ = arena_.Take<R>(tile_keys_ * lanes_);
    weights_ = arena_.Take<E>(tile_keys_ * lanes_);
    result_ = arena_.Take<R>(lanes_ * value_width_);
    for (int64_t b = 0; b < blocks; ++b) {
      Block block = {arena_.Take<E>(qk_width_ * lanes_),
                     arena_.Take<R>(value_width_ * lanes_),
                     arena_.Take<R>(kLanes),
                     arena_.Take<R>(kLanes),
                     {0, 0},
                     false};
      if (scratch) blocks_[b] = block;
    }
  }

  void Run() {
    Range keys = {s_.kv_len, 0};
    for (int64_t b = task_.block_begin; b < task_.block_end; ++b) {
      const Block& block = Start(b);
      if (block.keys.begin >= block.keys.end) continue;
      keys = {Min(keys.begin, block.keys.begin), Max(keys.end, block.keys.end)};
    }
    // Tiles start at multiples of their size whatever the task, so that a block's sums always run in the same order.
    for (int64_t begin = keys.begin / tile_keys_ * tile_keys_; begin < keys.end; begin += tile_keys_) {
      const Range range = {Max(begin, keys.begin), Min(begin + tile_keys_, keys.end)};
      const Tile packed = {range.begin, range.end - range.begin};
      Pack(packed);
      for (int64_t b = task_.block_begin; b < task_.block_end; ++b) {
        const Range& seen = blocks_[b - task_.block_begin].keys;
        const Range part = {Max(range.begin, seen.begin), Min(range.end, seen.end)};
        if (part.begin < part.end) Add(b, packed, {part.begin, part.end - part.begin});
      }
    }
    for (int64_t b = task_.block_begin; b < task_.block_end; ++b) Finish(b);
  }

  const Block& Start(int64_t b) {
    const LaneBlock lanes(p_, s_, task_.kv_head, b);
    Block& block = blocks_[b - task_.block_begin];
    block.keys = VisibleWords(s_, lanes);
    for (int64_t l = 0; l < lanes.padded; ++l) {
      block.m[l] = MinusInfinity<R>();
      block.l[l] = 0;
    }
    if (block.keys.begin < block.keys.end) {
      GatherQueries<In>(call_, s_, lanes, rows_);
      TransposeRight(rows_, lanes.padded, qk_width_, block.q);
    }
    return block;
  }

  void Pack(const Tile& tile) {
    GatherKeys<In>(call_, s_, task_.kv_head, tile.begin, tile.count, keys_);
    GatherValues<In>(call_, s_, task_.kv_head, tile.begin, tile.count, rows_);
    any_spoilt_ = ReplaceNonFinite(rows_, tile.count * value_width_, spoilt_);
    TransposeLeft(rows_, tile.count, value_width_, pairs_, values_);
  }

  // Scores of one tile, softmax, and the product with the values.
  void Add(int64_t b, const Tile& packed, const Tile& tile) {
    const LaneBlock lanes(p_, s_, task_.kv_head, b);
    Block& block = blocks_[b - task_.block_begin];
    const int64_t width = lanes.padded, first = tile.begin - packed.begin;
    PrefetchMask(call_, s_, lanes, tile);
    MultiplyScores(call_, {tile.count, width, qk_width_, qk_width_, width, width}, keys_ + first * qk_width_, block.q,
                   scores_);
    const bool modified = ModifyScores(call_, s_, lanes, tile, modifiers_, scores_);
    const R scale = modified ? R{1} : static_cast<R>(p_.scale);
    const bool dropout = p_.dropout.kind != DropoutKind::kNone;
    if (dropout) KeptBits(call_, s_, lanes, tile, modifiers_.kept);
    bool rescaled = false;
    for (int64_t l = 0; l < width; l += kWidth<R>)
      rescaled |= dropout ? Softmax<true>(tile, width, l, scale, block) : Softmax<false>(tile, width, l, scale, block);
    if (rescaled && block.started)
      for (int64_t d = 0; d < value_width_; ++d)
        for (int64_t l = 0; l < width; l += kWidth<R>) {
          R* o = block.o + d * width + l;
          StoreVector(o, LoadVector<V>(o) * LoadVector<V>(rescale_ + l));
        }
    Multiply(call_, {value_width_, width, tile.count, packed.count, width, width}, block.started, values_ + first,
             weights_, block.o);
    block.started = true;
    if (any_spoilt_) Spoil(packed, tile, width, scale, block);
  }

  // One vector of lanes: new maximum, exp, sum. True when an older output must be rescaled.
  template <bool kDropout>
  bool Softmax(const Tile& tile, int64_t width, int64_t l, R scale, Block& block) {
    R* x = scores_ + l;
    V top[4];
    for (V& t : top) t = Splat(MinusInfinity<R>());
    for (int64_t j = 0; j < tile.count; j += 4)
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) top[i] = Maximum<R>(LoadVector<V>(x + (j + i) * width) * scale, top[i]);
    const V before = LoadVector<V>(block.m + l);
    V m = Maximum<R>(Maximum<R>(Maximum<R>(top[0], top[1]), Maximum<R>(top[2], top[3])), before);
    if (AnyTrue<R>(m == -MinusInfinity<R>())) m = SeenNan(x, tile, width, scale, m);
    const V base = m == MinusInfinity<R>() ? V{} : m;  // so that exp(-inf - m) is 0, not NaN
    // Summed in short runs: a long one would round each term to the precision of the whole.
    V sum = {};
    for (int64_t run = 0; run < tile.count; run += kSummedKeys) {
      V sum0 = {}, sum1 = {};
      for (int64_t j = run; j < run + kSummedKeys; j += 2) {
        V p0 = ExpOf(Rounded(LoadVector<V>(x + j * width) * scale) - base);
        V p1 = ExpOf(Rounded(LoadVector<V>(x + (j + 1) * width) * scale) - base);
        sum0 += p0;
        sum1 += p1;
        if constexpr (kDropout) {
          const uint32_t* words = modifiers_.kept + j / kKeysOfWord * kLanes + l;
          p0 = BitMask(words, j % kKeysOfWord, R{}) ? p0 : V{};
          p1 = BitMask(words, j % kKeysOfWord + 1, R{}) ? p1 : V{};
        }
        StorePair(weights_ + j * width, width, l, p0, p1);
      }
      sum += sum0 + sum1;
    }
    const V rescale = ExpOf(before - base);
    StoreVector(rescale_ + l, rescale);
    StoreVector(block.m + l, m);
    StoreVector(block.l + l, LoadVector<V>(block.l + l) * rescale + sum);
    return AnyTrue<R>(rescale != R{1});
  }

  // The maximum passes over a NaN. Mostly the sum brings it back; not where the maximum is infinite, which makes NaN of
  // any sum.
  static V SeenNan(const R* x, const Tile& tile, int64_t width, R scale, V m) {
    for (int64_t j = 0; j < tile.count; ++j) {
      const V score = LoadVector<V>(x + j * width) * scale;
      m = score == score ? m : score;
    }
    return m;
  }

  // A value that is NaN or infinite makes NaN of the rows that see it.
  void Spoil(const Tile& packed, const Tile& tile, int64_t width, R scale, Block& block) {
    for (int64_t j = 0; j < tile.count; ++j) {
      const uint8_t* spoilt = spoilt_ + (tile.begin - packed.begin + j) * value_width_;
      for (int64_t d = 0; d < value_width_; ++d) {
        if (!spoilt[d]) continue;
        for (int64_t l = 0; l < width; ++l)
          if (scores_[j * width + l] * scale != MinusInfinity<R>()) block.o[d * width + l] = static_cast<R>(NAN);
      }
    }
  }

  void Finish(int64_t b) {
    const LaneBlock lanes(p_, s_, task_.kv_head, b);
    Block& block = blocks_[b - task_.block_begin];
    R weight[kLanes], rest[kLanes];
    for (int64_t l = 0; l < lanes.count; ++l) weight[l] = FinishLane(lanes, l, block, rest + l);
    if (block.started) {
      for (int64_t l = lanes.count; l < lanes.padded; ++l) weight[l] = rest[l] = 0;
      for (int64_t d = 0; d < p_.value_dim; ++d)
        for (int64_t l = 0; l < lanes.padded; l += kWidth<R>) {
          R* o = block.o + d * lanes.padded + l;
          const V sum = LoadVector<V>(o);
          StoreVector(o, sum * LoadVector<V>(weight + l) + sum * LoadVector<V>(rest + l));
        }
      Transpose(block.o, p_.value_dim, lanes.padded, lanes.padded, result_, p_.value_dim);
    }
    for (int64_t l = 0; l < lanes.count; ++l) {
      In* out = static_cast<In*>(call_.out) + QueryOffset(p_.out, s_, lanes.head[l], lanes.row[l]);
      if (block.started && weight[l] != 0)
        ConvertRow(result_ + l * p_.value_dim, p_.value_dim, out);
      else  // nothing, or NaN of a sink that is the only one to be seen
        for (int64_t d = 0; d < p_.value_dim; ++d) Narrow(weight[l] == weight[l] ? R{0} : weight[l], out + d);
    }
  }

  // Adds the sink, writes the statistics, and returns what the output is multiplied with; 0 for a row without keys.
  // `rest` is what rounding took from it, of which every element of the row would have its share.
  R FinishLane(const LaneBlock& lanes, int64_t lane, const Block& block, R* rest) {
    R m = block.m[lane], l = block.l[lane], rescale = 1;
    if (l != l && m != -MinusInfinity<R>()) m = l;  // a NaN score: the maximum over vectors passed it by
    if (p_.has_sink) {
      const R sink = static_cast<const R*>(call_.sink)[lanes.head[lane]];
      const R before = m;
      m = sink > m || sink != sink ? sink : m;
      const R reference = m == MinusInfinity<R>() ? R{0} : m;
      rescale = std::exp(before - reference);
      l = l * rescale + std::exp(sink - reference);
    }
    const bool empty = m == MinusInfinity<R>() && !(l != l);
    const R whole = rescale * static_cast<R>(KeptWeight(p_.dropout)), weight = empty ? R{0} : whole / l;
    *rest = empty || !(l < -MinusInfinity<R>()) ? R{0} : __builtin_fma(-weight, l, whole) / l;
    if (empty) {
      m = kEmptyRowMax;
      l = kEmptyRowSum;
    }
    const int64_t row = StatisticRow(p_, s_, lanes.head[lane], lanes.row[lane]) * kStatisticColumns;
    for (int64_t c = 0; c < kStatisticColumns; ++c) {
      static_cast<R*>(call_.softmax_max)[row + c] = m;
      static_cast<R*>(call_.softmax_sum)[row + c] = l;
    }
    return weight;
  }

  const CpuCall& call_;
  const AttentionProblem& p_;
  const Sequence& s_;
  const RowTask& task_;
  const int64_t qk_width_, value_width_;
  const int64_t lanes_;  // width of the first block, which no other exceeds
  const int64_t tile_keys_;
  Arena arena_;
  ModifierBuffers<R> modifiers_;
  Block* blocks_;
  E *keys_, *values_;  // operands: [keys][qk_width], [value_width][keys]
  E *rows_, *pairs_;
  uint8_t* spoilt_;
  bool any_spoilt_ = false;
  R* scores_;   // [keys][lanes]
  E* weights_;  // [keys][lanes], a right-hand operand
  R* result_;   // [lanes][value_dim]
  alignas(64) R rescale_[kLanes];
};

}  // namespace
}  // namespace npu_fa
