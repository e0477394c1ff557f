// A block of lanes: which (row, head) each is, which keys it sees, and its rows gathered as matrix operands.
#pragma once

#include "elements.h"
#include "kernels.h"
#include "plain_product.h"
#include "semantics.h"

namespace npu_fa {
namespace {

FA_INLINE int64_t RoundUp(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }

// Takes aligned arrays from a buffer, or, without one, only counts their bytes.
class Arena {
 public:
  explicit Arena(void* base) : base_(static_cast<char*>(base)) {}

  template <class T>
  T* Take(int64_t count) {
    char* at = base_ ? base_ + used_ : nullptr;
    used_ += RoundUp(count * static_cast<int64_t>(sizeof(T)), 64);
    return reinterpret_cast<T*>(at);
  }

  int64_t used() const { return used_; }

 private:
  char* base_;
  int64_t used_ = 0;
};

struct LaneBlock {
  int64_t count;   // lanes in use
  int64_t padded;  // width of the block's matrices, a multiple of 16; the lanes beyond count hold zeros
  Range rows;      // rows of the sequence that the lanes belong to
  int64_t row[kLanes], head[kLanes];

  LaneBlock(const AttentionProblem& p, const Sequence& s, int64_t kv_head, int64_t block) {
    const int64_t group = p.q_heads / p.kv_heads, first = block * kLanes;
    count = Min(kLanes, s.q_len * group - first);
    padded = RoundUp(count, 16);
    int64_t q = first / group, member = first % group;
    for (int64_t l = 0; l < count; ++l) {
      row[l] = q;
      head[l] = kv_head * group + member;
      if (++member == group) {
        member = 0;
        ++q;
      }
    }
    rows = {row[0], row[count - 1] + 1};
  }
};

// Keys that some lane of the block may see, rounded out to whole words.
FA_INLINE Range VisibleWords(const Sequence& s, const LaneBlock& lanes) {
  const Range keys = VisibleKv(s, lanes.rows.begin, lanes.rows.end);
  if (keys.begin >= keys.end) return {0, 0};
  return {keys.begin / kKeysOfWord * kKeysOfWord, RoundUp(keys.end, kKeysOfWord)};
}

// Lane blocks with a row that may see some of the keys.
FA_INLINE Range VisibleBlocks(const AttentionProblem& p, const Sequence& s, Range keys) {
  const Range rows = VisibleQ(s, keys.begin, Min(keys.end, s.kv_len));
  if (rows.begin >= rows.end) return {0, 0};
  const int64_t group = p.q_heads / p.kv_heads;
  return {rows.begin * group / kLanes, (rows.end * group + kLanes - 1) / kLanes};
}

// ---- operands ----
// Matrix operands are of type E: BFloat16, float or double. A row is [head_dim + rope_dim] or [value_dim], zero-padded
// to an even width for bfloat16.

template <class E>
constexpr int64_t kPairing = sizeof(E) == 2 ? 2 : 1;

template <class E>
FA_INLINE int64_t OperandWidth(int64_t columns) {
  return RoundUp(columns, kPairing<E>);
}

// One row from a tensor and its rope columns, if any.
template <class In, class E>
FA_INLINE void GatherRow(const In* main, int64_t columns, const In* rope, int64_t rope_columns, E* dst) {
  ConvertRow(main, columns, dst);
  if (rope_columns > 0) ConvertRow(rope, rope_columns, dst + columns);
  for (int64_t c = columns + rope_columns; c < OperandWidth<E>(columns + rope_columns); ++c) dst[c] = E{};
}

template <class T>
FA_INLINE const T* At(const void* base, int64_t offset) {
  return static_cast<const T*>(base) + offset;
}

// Keys [begin, begin + count) as rows; rows from the end of the sequence on are zero.
template <class In, class E>
[[maybe_unused]] static void GatherKeys(const CpuCall& call, const Sequence& s, int64_t kv_head, int64_t begin,
                                        int64_t count, E* rows) {
  const AttentionProblem& p = *call.problem;
  const int64_t width = OperandWidth<E>(p.head_dim + p.rope_dim);
  for (int64_t j = 0; j < count; ++j) {
    E* row = rows + j * width;
    if (begin + j >= s.kv_len) {
      std::memset(static_cast<void*>(row), 0, width * sizeof(E));
      continue;
    }
    const In* rope = p.rope_dim ? At<In>(call.k_rope, KeyOffset(p.k_rope, s, kv_head, begin + j)) : nullptr;
    GatherRow(At<In>(call.k, KeyOffset(p.k, s, kv_head, begin + j)), p.head_dim, rope, p.rope_dim, row);
  }
}

template <class In, class E>
[[maybe_unused]] static void GatherValues(const CpuCall& call, const Sequence& s, int64_t kv_head, int64_t begin,
                                          int64_t count, E* rows) {
  const AttentionProblem& p = *call.problem;
  const int64_t width = OperandWidth<E>(p.value_dim);
  for (int64_t j = 0; j < count; ++j) {
    E* row = rows + j * width;
    if (begin + j >= s.kv_len) {
      std::memset(static_cast<void*>(row), 0, width * sizeof(E));
      continue;
    }
    GatherRow<In, E>(At<In>(call.v, KeyOffset(p.v, s, kv_head, begin + j)), p.value_dim, nullptr, 0, row);
  }
}

template <class In, class E>
[[maybe_unused]] static void GatherQueries(const CpuCall& call, const Sequence& s, const LaneBlock& lanes, E* rows) {
  const AttentionProblem& p = *call.problem;
  const int64_t width = OperandWidth<E>(p.head_dim + p.rope_dim);
  for (int64_t l = 0; l < lanes.count; ++l) {
    const int64_t head = lanes.head[l], q = lanes.row[l];
    const In* rope = p.rope_dim ? At<In>(call.q_rope, QueryOffset(p.q_rope, s, head, q)) : nullptr;
    GatherRow(At<In>(call.q, QueryOffset(p.q, s, head, q)), p.head_dim, rope, p.rope_dim, rows + l * width);
  }
  std::memset(static_cast<void*>(rows + lanes.count * width), 0, (lanes.padded - lanes.count) * width * sizeof(E));
}

// Rows of a tensor that is laid out like the output (dy).
template <class In, class E>
[[maybe_unused]] static void GatherOutputs(const CpuCall& call, const void* tensor, const Sequence& s,
                                           const LaneBlock& lanes, E* rows) {
  const AttentionProblem& p = *call.problem;
  const int64_t width = OperandWidth<E>(p.value_dim);
  for (int64_t l = 0; l < lanes.count; ++l)
    GatherRow<In, E>(At<In>(tensor, QueryOffset(p.out, s, lanes.head[l], lanes.row[l])), p.value_dim, nullptr, 0,
                     rows + l * width);
  std::memset(static_cast<void*>(rows + lanes.count * width), 0, (lanes.padded - lanes.count) * width * sizeof(E));
}

// Rows of pairs, [count / 2][width][2]: a right-hand operand. float and double rows are one already.
[[maybe_unused]] static void PairRows(const BFloat16* rows, int64_t count, int64_t width, BFloat16* out) {
  for (int64_t i = 0; i + 1 < count; i += 2)
    InterleaveRows(&rows[i * width].bits, &rows[(i + 1) * width].bits, width, &out[i * width].bits);
}

// Transposed rows as a right-hand operand: [width / 2][count][2], or [width][count].
[[maybe_unused]] static void TransposeRight(const BFloat16* rows, int64_t count, int64_t width, BFloat16* out) {
  Transpose(reinterpret_cast<const uint32_t*>(rows), count, width / 2, width / 2, reinterpret_cast<uint32_t*>(out),
            count);
}
template <class R>
[[maybe_unused]] static void TransposeRight(const R* rows, int64_t count, int64_t width, R* out) {
  Transpose(rows, count, width, width, out, count);
}

// Transposed rows as a left-hand operand: [width][count]. `pairs` has room for count * width elements.
[[maybe_unused]] static void TransposeLeft(const BFloat16* rows, int64_t count, int64_t width, BFloat16* pairs,
                                           BFloat16* out) {
  PairRows(rows, count, width, pairs);
  Transpose(reinterpret_cast<const uint32_t*>(pairs), count / 2, width, width, reinterpret_cast<uint32_t*>(out),
            count / 2);
}
template <class R>
[[maybe_unused]] static void TransposeLeft(const R* rows, int64_t count, int64_t width, R*, R* out) {
  Transpose(rows, count, width, width, out, count);
}

// Elements of [count][width] that are NaN or infinite, replaced by zero. A product with weight zero must not see them:
// 0 * NaN is not 0. `spoilt` keeps where they were, one bit a column would not pay: such rows are rare.
template <class E>
[[maybe_unused]] static bool ReplaceNonFinite(E* rows, int64_t count, uint8_t* spoilt) {
  if (AllFinite(rows, count)) return false;
  for (int64_t i = 0; i < count; ++i) {
    spoilt[i] = !IsFinite(rows[i]);
    if (spoilt[i]) rows[i] = E{};
  }
  return true;
}

// ---- products ----

FA_INLINE void Multiply(const CpuCall& call, const Shape& shape, bool add, const BFloat16* a, const BFloat16* b,
                        float* c) {
  call.products->bfloat16(shape, add, &a->bits, &b->bits, c);
}
FA_INLINE void Multiply(const CpuCall& call, const Shape& shape, bool add, const float* a, const float* b, float* c) {
  if (call.products->float32)
    call.products->float32(shape, add, a, b, c);
  else
    PlainProduct(shape, add, a, b, c);
}
FA_INLINE void Multiply(const CpuCall&, const Shape& shape, bool add, const double* a, const double* b, double* c) {
  PlainProduct(shape, add, a, b, c);
}

// Terms of a float32 score, or of its gradient dP, that are added one after another; such runs are added in turn. In
// one long run each term would be rounded to the precision of the whole, and the softmax makes a relative error of
// that.
constexpr int64_t kSummedTerms = 16;

template <class E>
FA_INLINE void MultiplyScores(const CpuCall& call, const Shape& shape, const E* a, const E* b, Real<E>* c) {
  // 16-bit inputs bring larger errors with them.
  const int64_t terms = call.problem->dtype == DType::kFloat32 ? kSummedTerms : shape.k;
  Shape run = shape;
  for (int64_t k = 0; k < shape.k; k += terms) {
    run.k = Min(terms, shape.k - k);
    Multiply(call, run, k > 0, a + k, b + k * shape.b_row, c);
  }
}

}  // namespace
}  // namespace npu_fa
