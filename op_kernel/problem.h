// AttentionProblem: everything one call of the operator says, as plain old data.
//
// op_host/problem_builder fills it, every backend reads it, and a device receives it byte for byte together with
// its table of sequences. Layout strings, sparse modes and pse types do not survive into it: a layout becomes
// strides, a mode becomes a Band per sequence, a pse type becomes a BiasKind and a BiasOrder.
#pragma once

#include <cstdint>

namespace npu_fa {

enum class DType : int32_t { kFloat16, kBFloat16, kFloat32, kFloat64 };

// Query row q of a sequence sees key column k iff lo <= k - q <= hi or k < prefix.
// A dense mask, where there is one, only removes more. The builder clamps lo to >= -q_len and hi to <= kv_len.
struct Band {
  int64_t lo, hi, prefix;
};

// One attention of q_len rows over kv_len columns. Batched layouts have one per batch index, TND one per segment.
struct Sequence {
  int64_t batch;  // index on the batch axis; 0 in TND
  int64_t q_start, q_len;
  int64_t kv_start, kv_len;
  Band band;
  int64_t position_shift;   // kv_start_idx - q_start_idx: distance = |k - q + position_shift| for slopes
  int64_t mask_start;       // first element of this sequence in the dense mask
  int64_t bias_start;       // first element of this sequence in the bias
  int64_t drop_start;       // first bit of this sequence in the dropout stream
  int64_t statistic_start;  // first row of this sequence in softmax_max and softmax_sum
};

// Element strides of a tensor seen as [batch, row, head, column]; the column stride of q, k, v and outputs is 1.
struct Strides {
  int64_t batch, row, head;
};

struct DenseMask {
  bool present;  // one byte per element, nonzero = hidden; 0 strides broadcast
  int64_t batch_stride, head_stride, row_stride, column_stride;
};

enum class BiasKind : int32_t {
  kNone,
  kStrided,      // an element per (batch, head, row, column); 0 strides broadcast
  kPacked,       // TND: [head, row, column] of each sequence, one sequence after the other
  kPackedRow,    // TND: [head, column] of each sequence, one value for all rows
  kDiagonal,     // the last 1024 rows of a Toeplitz table as wide as the keys
  kDiagonalTnd,  // the same table, shared by sequences of different lengths
  kSlope,        // -slope[head] * |distance|
  kSlopeSqrt,    // -slope[head] * sqrt(|distance|)
};

enum class BiasOrder : int32_t { kAddThenScale, kScaleThenAdd };

constexpr int64_t kDiagonalRows = 1024;

struct Bias {
  BiasKind kind;
  BiasOrder order;
  DType dtype;
  int64_t batch_stride, head_stride, row_stride, column_stride;
  int64_t diagonal_origin;  // rows of the full Toeplitz table above the stored ones
};

enum class DropoutKind : int32_t { kNone, kBits, kPhilox };

struct Dropout {
  DropoutKind kind;
  double keep_prob;
  float keep_below;  // a uniform number u keeps its element iff u < keep_below
  uint64_t seed, offset;
};

struct AttentionProblem {
  DType dtype;
  int32_t q_heads, kv_heads;
  int32_t head_dim, value_dim, rope_dim;
  int32_t num_sequences;
  int32_t statistics_by_token;  // softmax_max/sum rows: 1 = token-major ("TND"), 0 = head-major within a sequence
  double scale;
  int64_t statistic_rows;                     // rows of softmax_max and softmax_sum, each 8 equal columns
  int64_t drop_bits;                          // length of the dropout stream
  Strides q, k, v, q_rope, k_rope;            // as given by the caller
  Strides dq, dk, dv, dq_rope, dk_rope, out;  // contiguous in the caller's layout
  int32_t has_sink;
  DenseMask mask;
  Bias bias;
  Dropout dropout;
};

// A half-open range of rows or columns.
struct Range {
  int64_t begin, end;
};

}  // namespace npu_fa
