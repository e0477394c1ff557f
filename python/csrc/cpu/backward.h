// The backward, from the saved maximum m and sum l of each row (spec: operator.md 3):
//
//   P = exp(x - m) / l      dP = dY V^T      D = rowsum(dY * Y) = rowsum(P * dP)      dS = P * (dP - D)
//   dV = P^T dY             dQ = scale dS K             dK = scale dS^T Q             (dropout on P in dV and on dP)
//
// A task owns some keys and passes over the lanes that see them: dK and dV of the keys stay in the cache, the
// gradient of the queries goes to the task's slot, and slots are added in a fixed order afterwards. Tiles are
// transposed as in forward.h, so P^T and dS^T are left-hand operands as they are.
#pragma once

#include "forward.h"

namespace npu_fa {
namespace {

// Keys of a tile: few enough that the gradients of keys and values stay in the second cache, many enough that packing
// the queries for them costs little (it takes as long as the products with about 15 keys).
FA_INLINE int64_t BackwardKeys(const AttentionProblem& p) {
  const int64_t width = p.head_dim + p.rope_dim + p.value_dim;
  return width <= 256 ? 256 : width <= 512 ? 128 : 64;
}

// Probabilities and score gradients of a tile, from the packed rows of its keys and of a block of lanes.
template <class In, class E>
class GradientTile {
  using R = Real<E>;
  using V = Vec<R>;

 public:
  GradientTile(const CpuCall& call, const Sequence& s, int64_t kv_head, int64_t lane_start, int64_t keys, int64_t lanes,
               Arena& arena)
      : call_(call),
        p_(*call.problem),
        s_(s),
        kv_head_(kv_head),
        lane_start_(lane_start),
        qk_width_(OperandWidth<E>(p_.head_dim + p_.rope_dim)),
        value_width_(OperandWidth<E>(p_.value_dim)),
        modifiers_(arena, p_, keys, lanes) {
    keys_ = arena.Take<E>(keys * qk_width_);
    values_ = arena.Take<E>(keys * value_width_);
    query_rows_ = arena.Take<E>(lanes * qk_width_);
    query_columns_ = arena.Take<E>(lanes * qk_width_);
    dy_rows_ = arena.Take<E>(lanes * value_width_);
    dy_columns_ = arena.Take<E>(lanes * value_width_);
    x_ = arena.Take<R>(keys * lanes);
    dp_ = arena.Take<R>(keys * lanes);
    p_left_ = arena.Take<E>(keys * lanes);
    ds_left_ = arena.Take<E>(keys * lanes);
    ds_right_ = kPairing<E> == 2 ? arena.Take<E>(keys * lanes) : ds_left_;
  }

  void LoadKeys(const Tile& tile) {
    GatherKeys<In>(call_, s_, kv_head_, tile.begin, tile.count, keys_);
    GatherValues<In>(call_, s_, kv_head_, tile.begin, tile.count, values_);
    loaded_ = tile;
  }

  void LoadLanes(const LaneBlock& lanes, int64_t block) {
    GatherQueries<In>(call_, s_, lanes, query_rows_);
    TransposeRight(query_rows_, lanes.padded, qk_width_, query_columns_);
    GatherOutputs<In>(call_, call_.dy, s_, lanes, dy_rows_);
    TransposeRight(dy_rows_, lanes.padded, value_width_, dy_columns_);
    lane_ = lane_start_ + block * kLanes;
  }

  // x and dP of part of the loaded keys. True when x is scaled and masked, see ModifyScores.
  bool Products(const LaneBlock& lanes, const Tile& tile) {
    const int64_t first = tile.begin - loaded_.begin, width = lanes.padded;
    PrefetchMask(call_, s_, lanes, tile);
    MultiplyScores(call_, {tile.count, width, qk_width_, qk_width_, width, width}, keys_ + first * qk_width_,
                   query_columns_, x_);
    MultiplyScores(call_, {tile.count, width, value_width_, value_width_, width, width}, values_ + first * value_width_,
                   dy_columns_, dp_);
    if (p_.dropout.kind != DropoutKind::kNone) KeptBits(call_, s_, lanes, tile, modifiers_.kept);
    return ModifyScores(call_, s_, lanes, tile, modifiers_, x_);
  }

  // P^T (with dropout, without its weight) and dS^T as operands; dS^T also into dp() for the gradient of the bias.
  void Gradients(const LaneBlock& lanes, const Tile& tile, bool modified) {
    const bool dropout = p_.dropout.kind != DropoutKind::kNone;
    for (int64_t l = 0; l < lanes.padded; l += kWidth<R>) {
      if (dropout)
        modified ? Column<true, true>(lanes, tile, l) : Column<false, true>(lanes, tile, l);
      else
        modified ? Column<true, false>(lanes, tile, l) : Column<false, false>(lanes, tile, l);
    }
  }

  // delta[lane] += sum over the tile's keys of P * dP.
  void AddDelta(const LaneBlock& lanes, const Tile& tile, bool modified) {
    const bool dropout = p_.dropout.kind != DropoutKind::kNone;
    for (int64_t l = 0; l < lanes.padded; l += kWidth<R>) {
      const LaneVectors lane(*this, l, modified);
      V total = {};
      for (int64_t j = 0; j < tile.count; ++j) {
        const int64_t at = j * lanes.padded + l;
        const V x = LoadVector<V>(x_ + at);
        V dp = LoadVector<V>(dp_ + at);
        if (dropout) dp = Kept(j, l) ? dp * lane.weight : V{};
        total += x == MinusInfinity<R>() ? V{} : lane.Probability(x) * dp;
      }
      R* delta = static_cast<R*>(call_.lane_delta) + lane_ + l;
      StoreVector(delta, LoadVector<V>(delta) + total);
    }
  }

  const E* keys() const { return keys_; }
  E* query_rows() const { return query_rows_; }
  E* dy_rows() const { return dy_rows_; }
  // Nobody needs the transposed rows once the products are done.
  E* query_pairs() const { return query_columns_; }
  E* dy_pairs() const { return dy_columns_; }
  const E* p_left() const { return p_left_; }
  const E* ds_left() const { return ds_left_; }
  const E* ds_right() const { return ds_right_; }
  const R* x() const { return x_; }
  R* dp() const { return dp_; }
  R* bias_rows() const { return modifiers_.bias_rows; }

 private:
  // What is constant along a vector of lanes.
  struct LaneVectors {
    V scale, maximum, inverse_sum, delta, weight;

    LaneVectors(const GradientTile& tile, int64_t l, bool modified) {
      const CpuCall& call = tile.call_;
      const int64_t lane = tile.lane_ + l;
      scale = Splat(modified ? R{1} : static_cast<R>(call.problem->scale));
      maximum = LoadVector<V>(static_cast<const R*>(call.lane_max) + lane);
      inverse_sum = LoadVector<V>(static_cast<const R*>(call.lane_inverse_sum) + lane);
      delta = LoadVector<V>(static_cast<const R*>(call.lane_delta) + lane);
      weight = Splat(static_cast<R>(KeptWeight(call.problem->dropout)));
    }

    V Probability(V x) const { return ExpOf(Rounded(x * scale) - maximum) * inverse_sum; }
  };

  auto Kept(int64_t j, int64_t l) const {
    return BitMask(modifiers_.kept + j / kKeysOfWord * kLanes + l, j % kKeysOfWord, R{});
  }

  template <bool kModified, bool kDropout>
  void Column(const LaneBlock& lanes, const Tile& tile, int64_t l) {
    const LaneVectors lane(*this, l, kModified);
    const int64_t width = lanes.padded;
    const bool keep_ds = call_.dpse != nullptr;
    for (int64_t j = 0; j < tile.count; j += 2) {
      V p[2], ds[2];
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        const int64_t at = (j + i) * width + l;
        const V x = LoadVector<V>(x_ + at);
        V dp = LoadVector<V>(dp_ + at);
        p[i] = lane.Probability(x);
        if constexpr (kDropout) {
          const auto kept = Kept(j + i, l);
          dp = kept ? dp * lane.weight : V{};
          ds[i] = p[i] * (dp - lane.delta);
          p[i] = kept ? p[i] : V{};
        } else {
          ds[i] = p[i] * (dp - lane.delta);
        }
        if constexpr (kModified) {
          // What a key holds that is hidden from the row stays out, and so does a NaN of the row.
          const auto hidden = x == MinusInfinity<R>();
          p[i] = hidden ? V{} : p[i];
          ds[i] = hidden ? V{} : ds[i];
        }
        if (keep_ds) StoreVector(dp_ + at, ds[i]);
      }
      StoreOperands(j * width, width, l, p, ds);
    }
  }

  static void StoreRows(BFloat16* row, int64_t width, int64_t l, Floats first, Floats second) {
    StoreFloats(row + l, first);
    StoreFloats(row + width + l, second);
  }

  inline __attribute__((always_inline)) void StoreOperands(int64_t pair, int64_t width, int64_t l, const V* p,
                                                           const V* ds) {
    if constexpr (kPairing<E> == 2) {
#if defined(__AVX512BF16__)
      const __m512i p_both = (__m512i)_mm512_cvtne2ps_pbh((__m512)p[1], (__m512)p[0]);
      const __m512i ds_both = (__m512i)_mm512_cvtne2ps_pbh((__m512)ds[1], (__m512)ds[0]);
      Shorts order;
#pragma GCC unroll 32
      for (int i = 0; i < 32; ++i) order[i] = static_cast<uint16_t>((i & 1) * 16 + i / 2);
      StoreVector(p_left_ + pair + l, _mm512_castsi512_si256(p_both));
      StoreVector(p_left_ + pair + width + l, _mm512_extracti64x4_epi64(p_both, 1));
      StoreVector(ds_left_ + pair + l, _mm512_castsi512_si256(ds_both));
      StoreVector(ds_left_ + pair + width + l, _mm512_extracti64x4_epi64(ds_both, 1));
      StoreVector(ds_right_ + pair + 2 * l, (Shorts)_mm512_permutexvar_epi16((__m512i)order, ds_both));
#else
      StoreRows(p_left_ + pair, width, l, p[0], p[1]);
      StoreRows(ds_left_ + pair, width, l, ds[0], ds[1]);
      StorePair(ds_right_ + pair, width, l, ds[0], ds[1]);
#endif
    } else {
      StoreVector(p_left_ + pair + l, p[0]);
      StoreVector(p_left_ + pair + width + l, p[1]);
      StoreVector(ds_left_ + pair + l, ds[0]);
      StoreVector(ds_left_ + pair + width + l, ds[1]);
    }
  }

  const CpuCall& call_;
  const AttentionProblem& p_;
  const Sequence& s_;
  const int64_t kv_head_, lane_start_, qk_width_, value_width_;
  ModifierBuffers<R> modifiers_;
  Tile loaded_ = {};
  int64_t lane_ = 0;
  E *keys_, *values_;
  E *query_rows_, *query_columns_, *dy_rows_, *dy_columns_;
  R *x_, *dp_;
  E *p_left_, *ds_left_, *ds_right_;
};

// Fills the lane arrays: m, 1 / l and D.
template <class In, class E>
class StatisticsKernel {
  using R = Real<E>;

 public:
  static int64_t Scratch(const CpuCall& call, const RowTask& task) {
    Arena arena(nullptr);
    if (!call.y) MakeTile(call, task, arena);
    return arena.used();
  }

  static void Run(const CpuCall& call, const RowTask& task, void* scratch) {
    for (int64_t b = task.block_begin; b < task.block_end; ++b) Block(call, task, b, scratch);
  }

 private:
  static int64_t Keys(const CpuCall& call, const Sequence& s) {
    return Min(BackwardKeys(*call.problem), RoundUp(s.kv_len, kKeysOfWord));
  }

  static GradientTile<In, E> MakeTile(const CpuCall& call, const RowTask& task, Arena& arena) {
    const Sequence& s = call.sequences[task.sequence];
    const int64_t lanes = LaneBlock(*call.problem, s, task.kv_head, task.block_begin).padded;
    return {call, s, task.kv_head, task.lane_start, Keys(call, s), lanes, arena};
  }

  static void Block(const CpuCall& call, const RowTask& task, int64_t b, void* scratch) {
    const AttentionProblem& p = *call.problem;
    const Sequence& s = call.sequences[task.sequence];
    const LaneBlock lanes(p, s, task.kv_head, b);
    const int64_t lane = task.lane_start + b * kLanes;
    R* maximum = static_cast<R*>(call.lane_max) + lane;
    R* inverse_sum = static_cast<R*>(call.lane_inverse_sum) + lane;
    R* delta = static_cast<R*>(call.lane_delta) + lane;
    for (int64_t l = 0; l < kLanes; ++l) {
      maximum[l] = inverse_sum[l] = delta[l] = 0;
      if (l >= lanes.count) continue;
      const int64_t row = StatisticRow(p, s, lanes.head[l], lanes.row[l]) * kStatisticColumns;
      const R m = static_cast<const R*>(call.softmax_max)[row];
      if (m != static_cast<R>(kEmptyRowMax)) {
        maximum[l] = m;
        inverse_sum[l] = R{1} / static_cast<const R*>(call.softmax_sum)[row];
      }
      if (call.y) {
        const int64_t offset = QueryOffset(p.out, s, lanes.head[l], lanes.row[l]);
        delta[l] = Dot(At<In>(call.dy, offset), At<In>(call.y, offset), p.value_dim);
      }
    }
    if (!call.y) DeltaFromScores(call, task, lanes, b, scratch);
  }

  static R Dot(const In* a, const In* b, int64_t count) {
    R total = 0;
    int64_t i = 0;
    if constexpr (sizeof(R) == 4) {
      Floats sum = {};
      for (; i + kWidth<float> <= count; i += kWidth<float>) sum += LoadFloats(a + i) * LoadFloats(b + i);
      total = Sum<float>(sum);
    }
    for (; i < count; ++i) total += static_cast<R>(Widen(a[i])) * static_cast<R>(Widen(b[i]));
    return total;
  }

  static void DeltaFromScores(const CpuCall& call, const RowTask& task, const LaneBlock& lanes, int64_t b,
                              void* scratch) {
    const Sequence& s = call.sequences[task.sequence];
    Arena arena(scratch);
    GradientTile<In, E> gradients = MakeTile(call, task, arena);
    const Range keys = VisibleWords(s, lanes);
    if (keys.begin >= keys.end) return;
    gradients.LoadLanes(lanes, b);
    for (int64_t begin = keys.begin; begin < keys.end; begin += Keys(call, s)) {
      const Tile tile = {begin, Min(Keys(call, s), keys.end - begin)};
      gradients.LoadKeys(tile);
      const bool modified = gradients.Products(lanes, tile);
      gradients.AddDelta(lanes, tile, modified);
    }
  }
};

// dpse += the gradients of the scores of a tile, each where its bias came from. ds is [keys][lanes].
template <class R>
[[maybe_unused]] static void AddBiasGradient(const CpuCall& call, const Sequence& s, const LaneBlock& lanes,
                                             const Tile& tile, const R* ds, R* rows) {
  const AttentionProblem& p = *call.problem;
  const R scale = p.bias.order == BiasOrder::kAddThenScale ? static_cast<R>(p.scale) : R{1};
  R* dpse = static_cast<R*>(call.dpse);
  Transpose(ds, tile.count, lanes.padded, lanes.padded, rows, tile.count);
  const int64_t valid = ValidKeys(s, tile);
  for (int64_t l = 0; l < lanes.count; ++l) {
    const R* row = rows + l * tile.count;
    const int64_t head = lanes.head[l], q = lanes.row[l];
    if (BiasIsSlope(p.bias.kind)) {
      R total = 0;
      for (int64_t j = 0; j < valid; ++j) {
        const R distance = static_cast<R>(SlopeDistance(s, q, tile.begin + j));
        total -= row[j] * (p.bias.kind == BiasKind::kSlopeSqrt ? std::sqrt(distance) : distance);
      }
      dpse[BiasOffset(p, s, head, q, 0)] += total * scale;
    } else if (p.bias.kind == BiasKind::kDiagonal || p.bias.kind == BiasKind::kDiagonalTnd) {
      for (int64_t j = 0; j < valid; ++j) dpse[BiasOffset(p, s, head, q, tile.begin + j)] += row[j] * scale;
    } else {
      const int64_t step = p.bias.kind == BiasKind::kStrided ? p.bias.column_stride : 1;
      R* first = dpse + BiasOffset(p, s, head, q, tile.begin);
      for (int64_t j = 0; j < valid; ++j) first[j * step] += row[j] * scale;
    }
  }
}

template <class In, class E>
class BackwardKernel {
  using R = Real<E>;

 public:
  static int64_t Scratch(const CpuCall& call, const KeyTask& task) {
    return BackwardKernel(call, task, nullptr).arena_.used();
  }

  static void Run(const CpuCall& call, const KeyTask& task, void* scratch) {
    BackwardKernel kernel(call, task, scratch);
    for (int64_t begin = task.key_begin; begin < task.key_end; begin += kernel.tile_keys_)
      kernel.Keys({begin, Min(kernel.tile_keys_, RoundUp(task.key_end, kKeysOfWord) - begin)});
  }

 private:
  BackwardKernel(const CpuCall& call, const KeyTask& task, void* scratch)
      : call_(call),
        p_(*call.problem),
        s_(call.sequences[task.sequence]),
        task_(task),
        qk_width_(OperandWidth<E>(p_.head_dim + p_.rope_dim)),
        value_width_(OperandWidth<E>(p_.value_dim)),
        tile_keys_(Min(BackwardKeys(p_), RoundUp(task.key_end - task.key_begin, kKeysOfWord))),
        lanes_(s_.q_len > 0 ? LaneBlock(p_, s_, task.kv_head, 0).padded : 16),
        arena_(scratch),
        gradients_(call, s_, task.kv_head, task.lane_start, tile_keys_, lanes_, arena_) {
    key_columns_ = arena_.Take<E>(tile_keys_ * qk_width_);
    key_rows_ = arena_.Take<E>(tile_keys_ * qk_width_);
    pairs_ = arena_.Take<E>(tile_keys_ * qk_width_);
    spoilt_keys_ = arena_.Take<uint8_t>(tile_keys_ * qk_width_);
    spoilt_queries_ = arena_.Take<uint8_t>(lanes_ * qk_width_);
    spoilt_dy_ = arena_.Take<uint8_t>(lanes_ * value_width_);
    dk_ = arena_.Take<R>(tile_keys_ * qk_width_);
    dv_ = arena_.Take<R>(tile_keys_ * value_width_);
    rows_ = arena_.Take<R>(tile_keys_ * lanes_);
  }

  void Keys(const Tile& tile) {
    gradients_.LoadKeys(tile);
    // 0 * NaN is not 0: where a key is hidden its elements must not reach the product with dS.
    std::memcpy(static_cast<void*>(key_rows_), gradients_.keys(), tile.count * qk_width_ * sizeof(E));
    ReplaceNonFinite(key_rows_, tile.count * qk_width_, spoilt_keys_);
    TransposeLeft(key_rows_, tile.count, qk_width_, pairs_, key_columns_);
    std::memset(dk_, 0, tile.count * qk_width_ * sizeof(R));
    std::memset(dv_, 0, tile.count * value_width_ * sizeof(R));
    const Range blocks = VisibleBlocks(p_, s_, {tile.begin, tile.begin + tile.count});
    for (int64_t b = blocks.begin; b < blocks.end; ++b) Lanes(b, tile);
    Store(tile);
  }

  // The share of one block of lanes in the gradients of the tile, and of the tile in theirs.
  void Lanes(int64_t b, const Tile& packed) {
    const LaneBlock lanes(p_, s_, task_.kv_head, b);
    const Range seen = VisibleWords(s_, lanes);
    const Tile tile = {Max(packed.begin, seen.begin),
                       Min(packed.begin + packed.count, seen.end) - Max(packed.begin, seen.begin)};
    if (tile.count <= 0) return;
    const int64_t first = tile.begin - packed.begin, width = lanes.padded;
    gradients_.LoadLanes(lanes, b);
    const bool modified = gradients_.Products(lanes, tile);
    gradients_.Gradients(lanes, tile, modified);
    // A NaN in a query reaches the keys that see it through dS; one in dy must be put into dv by hand.
    ReplaceNonFinite(gradients_.query_rows(), lanes.padded * qk_width_, spoilt_queries_);
    const bool spoilt = ReplaceNonFinite(gradients_.dy_rows(), lanes.padded * value_width_, spoilt_dy_);
    if (call_.dv)
      Multiply(call_, {tile.count, value_width_, width, width, value_width_, value_width_}, true, gradients_.p_left(),
               RightRows(gradients_.dy_rows(), gradients_.dy_pairs(), width, value_width_), dv_ + first * value_width_);
    if (call_.dk)
      Multiply(call_, {tile.count, qk_width_, width, width, qk_width_, qk_width_}, true, gradients_.ds_left(),
               RightRows(gradients_.query_rows(), gradients_.query_pairs(), width, qk_width_), dk_ + first * qk_width_);
    if (call_.dq) {
      R* dq = static_cast<R*>(task_.dq_slot) + (b - task_.dq_block) * qk_width_ * kLanes;
      uint8_t& written = task_.dq_written[b - task_.dq_block];
      Multiply(call_, {qk_width_, width, tile.count, packed.count, width, width}, written != 0, key_columns_ + first,
               gradients_.ds_right(), dq);
      written = 1;
    }
    if (call_.dpse) AddBiasGradient(call_, s_, lanes, tile, gradients_.dp(), rows_);
    if (spoilt && call_.dv) Spoil(first, tile, width, modified);
  }

  static const BFloat16* RightRows(const BFloat16* rows, BFloat16* pairs, int64_t count, int64_t width) {
    PairRows(rows, count, width, pairs);
    return pairs;
  }
  static const R* RightRows(const R* rows, R*, int64_t, int64_t) { return rows; }

  void Spoil(int64_t first, const Tile& tile, int64_t width, bool modified) {
    const R scale = modified ? R{1} : static_cast<R>(p_.scale);
    for (int64_t l = 0; l < width; ++l)
      for (int64_t d = 0; d < value_width_; ++d) {
        if (!spoilt_dy_[l * value_width_ + d]) continue;
        for (int64_t j = 0; j < tile.count; ++j)
          if (gradients_.x()[j * width + l] * scale != MinusInfinity<R>())
            dv_[(first + j) * value_width_ + d] = static_cast<R>(NAN);
      }
  }

  void Store(const Tile& tile) {
    const int64_t valid = ValidKeys(s_, tile);
    const R scale = static_cast<R>(p_.scale), weight = static_cast<R>(KeptWeight(p_.dropout));
    for (int64_t j = 0; j < valid; ++j) {
      const int64_t key = tile.begin + j;
      if (call_.dk)
        ConvertRow(dk_ + j * qk_width_, p_.head_dim, Gradient(call_.dk, KeyOffset(p_.dk, s_, task_.kv_head, key)),
                   scale);
      if (call_.dk_rope)
        ConvertRow(dk_ + j * qk_width_ + p_.head_dim, p_.rope_dim,
                   Gradient(call_.dk_rope, KeyOffset(p_.dk_rope, s_, task_.kv_head, key)), scale);
      if (call_.dv)
        ConvertRow(dv_ + j * value_width_, p_.value_dim, Gradient(call_.dv, KeyOffset(p_.dv, s_, task_.kv_head, key)),
                   weight);
    }
  }

  static In* Gradient(void* base, int64_t offset) { return static_cast<In*>(base) + offset; }

  const CpuCall& call_;
  const AttentionProblem& p_;
  const Sequence& s_;
  const KeyTask& task_;
  const int64_t qk_width_, value_width_, tile_keys_, lanes_;
  Arena arena_;
  GradientTile<In, E> gradients_;
  E *key_columns_, *key_rows_, *pairs_;  // K^T [qk_width][keys], and what it is made from
  uint8_t *spoilt_keys_, *spoilt_queries_, *spoilt_dy_;
  R *dk_, *dv_;  // [keys][qk_width], [keys][value_width]
  R* rows_;
};

// dq of some lane blocks: the sum of their slots, scaled.
template <class In, class E>
struct QueryFinisher {
  using R = Real<E>;
  using V = Vec<R>;

  static int64_t Scratch(const CpuCall& call) {
    return 2 * OperandWidth<E>(call.problem->head_dim + call.problem->rope_dim) * kLanes * sizeof(R);
  }

  static void Run(const CpuCall& call, const RowTask& task, const QuerySlot* slots, int64_t count, void* scratch) {
    const AttentionProblem& p = *call.problem;
    const Sequence& s = call.sequences[task.sequence];
    const int64_t width = OperandWidth<E>(p.head_dim + p.rope_dim), columns = p.head_dim + p.rope_dim;
    R* total = static_cast<R*>(scratch);
    R* rows = total + width * kLanes;
    const R scale = static_cast<R>(p.scale);
    for (int64_t b = task.block_begin; b < task.block_end; ++b) {
      const LaneBlock lanes(p, s, task.kv_head, b);
      const R* sum = nullptr;
      for (int64_t i = 0; i < count; ++i) {
        if (b < slots[i].block_begin || b >= slots[i].block_end) continue;
        const int64_t at = b - slots[i].block_begin;
        if (!slots[i].written[at]) continue;
        const R* part = static_cast<const R*>(slots[i].slot) + at * width * kLanes;
        if (sum)
          for (int64_t k = 0; k < width * lanes.padded; k += kWidth<R>)
            StoreVector(total + k, LoadVector<V>(sum + k) + LoadVector<V>(part + k));
        sum = sum ? total : part;
      }
      if (sum)
        Transpose(sum, columns, lanes.padded, lanes.padded, rows, columns);
      else
        std::memset(rows, 0, columns * lanes.padded * sizeof(R));
      for (int64_t l = 0; l < lanes.count; ++l) {
        ConvertRow(rows + l * columns, p.head_dim,
                   static_cast<In*>(call.dq) + QueryOffset(p.dq, s, lanes.head[l], lanes.row[l]), scale);
        if (call.dq_rope)
          ConvertRow(rows + l * columns + p.head_dim, p.rope_dim,
                     static_cast<In*>(call.dq_rope) + QueryOffset(p.dq_rope, s, lanes.head[l], lanes.row[l]), scale);
      }
    }
  }
};

}  // namespace
}  // namespace npu_fa
