// What attention means: visibility, block ranges, head map, bias and dropout addressing, the empty-row rule.
//
// Kernels, tiling and CPU backends take these rules from here; golden.py states them a second time, on its own, and
// tests/spec holds both against pictures. Indices q and k are rows and columns within a sequence.
#pragma once

#include "philox.h"
#include "problem.h"

namespace npu_fa {

// A row that sees nothing: output 0, maximum the lowest finite float32, sum the largest, so that a masked score, whose
// value is the same lowest float32, has exp(x - max) / sum = 0 in the backward. With a sink the maximum is the sink
// and the sum 1.
constexpr float kEmptyRowMax = -3.4028234663852886e38f;
constexpr float kEmptyRowSum = 3.4028234663852886e38f;

constexpr int64_t kStatisticColumns = 8;

FA_FUNCTION int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
FA_FUNCTION int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }
FA_FUNCTION int64_t Clamp(int64_t x, int64_t low, int64_t high) { return Max(low, Min(x, high)); }

FA_FUNCTION int64_t KvHead(const AttentionProblem& p, int64_t q_head) { return q_head / (p.q_heads / p.kv_heads); }

FA_FUNCTION bool Visible(const Band& band, int64_t q, int64_t k) {
  return (band.lo <= k - q && k - q <= band.hi) || k < band.prefix;
}

// The columns that rows [q_begin, q_end) may see. Columns outside it are hidden from all of them; columns inside may
// still be hidden from some. A prefix only comes with lo unbounded, so there is no hole to skip.
FA_FUNCTION Range VisibleKv(const Sequence& s, int64_t q_begin, int64_t q_end) {
  if (q_begin >= q_end) return {0, 0};
  Range columns = {Clamp(q_begin + s.band.lo, 0, s.kv_len), Clamp(q_end - 1 + s.band.hi + 1, 0, s.kv_len)};
  if (s.band.prefix > 0) columns = {0, Max(columns.end, Min(s.band.prefix, s.kv_len))};
  return columns.begin < columns.end ? columns : Range{0, 0};
}

// The rows that may see some of columns [k_begin, k_end).
FA_FUNCTION Range VisibleQ(const Sequence& s, int64_t k_begin, int64_t k_end) {
  if (k_begin >= k_end) return {0, 0};
  if (k_begin < s.band.prefix) return {0, s.q_len};
  const Range rows = {Clamp(k_begin - s.band.hi, 0, s.q_len), Clamp(k_end - 1 - s.band.lo + 1, 0, s.q_len)};
  return rows.begin < rows.end ? rows : Range{0, 0};
}

// True when the band hides nothing in the tile, so that only a dense mask could.
FA_FUNCTION bool FullyVisible(const Band& band, Range rows, Range columns) {
  return (columns.begin - (rows.end - 1) >= band.lo && columns.end - 1 - rows.begin <= band.hi) ||
         columns.end <= band.prefix;
}

// Number of (q, k) pairs the band leaves visible.
FA_FUNCTION int64_t VisibleArea(const Sequence& s) {
  int64_t area = 0;
  for (int64_t q = 0; q < s.q_len; ++q) {
    const int64_t begin = Clamp(q + s.band.lo, 0, s.kv_len), end = Clamp(q + s.band.hi + 1, 0, s.kv_len);
    const int64_t prefix = Clamp(s.band.prefix, 0, s.kv_len);
    area += begin >= end ? prefix : (prefix <= begin ? prefix + end - begin : Max(end, prefix));
  }
  return area;
}

FA_FUNCTION int64_t QueryOffset(const Strides& t, const Sequence& s, int64_t head, int64_t q) {
  return s.batch * t.batch + (s.q_start + q) * t.row + head * t.head;
}

FA_FUNCTION int64_t KeyOffset(const Strides& t, const Sequence& s, int64_t kv_head, int64_t k) {
  return s.batch * t.batch + (s.kv_start + k) * t.row + kv_head * t.head;
}

// Row of softmax_max and softmax_sum; each row has kStatisticColumns equal elements.
FA_FUNCTION int64_t StatisticRow(const AttentionProblem& p, const Sequence& s, int64_t head, int64_t q) {
  return s.statistic_start + (p.statistics_by_token ? q * p.q_heads + head : head * s.q_len + q);
}

FA_FUNCTION int64_t MaskOffset(const AttentionProblem& p, const Sequence& s, int64_t head, int64_t q, int64_t k) {
  return s.mask_start + head * p.mask.head_stride + q * p.mask.row_stride + k * p.mask.column_stride;
}

FA_FUNCTION bool BiasIsSlope(BiasKind kind) { return kind == BiasKind::kSlope || kind == BiasKind::kSlopeSqrt; }

// Element of the bias tensor that score (head, q, k) reads: a bias value, or the slope of the head.
// Compressed tables hold every diagonal k - q that a causal mask leaves visible; hidden scores may point outside the
// table and are clamped into it.
FA_FUNCTION int64_t BiasOffset(const AttentionProblem& p, const Sequence& s, int64_t head, int64_t q, int64_t k) {
  const Bias& b = p.bias;
  switch (b.kind) {
    case BiasKind::kPacked:
      return s.bias_start + (head * s.q_len + q) * s.kv_len + k;
    case BiasKind::kPackedRow:
      return s.bias_start + head * s.kv_len + k;
    case BiasKind::kDiagonal: {
      const bool stored = q >= b.diagonal_origin;
      const int64_t row = stored ? q - b.diagonal_origin : q % kDiagonalRows;
      const int64_t column = stored ? k : s.kv_len - (q - k) - (kDiagonalRows - row);
      return s.bias_start + head * b.head_stride + row * b.row_stride +
             Clamp(column, 0, s.kv_len - 1) * b.column_stride;
    }
    case BiasKind::kDiagonalTnd: {
      const int64_t below = q - k - b.diagonal_origin;  // row - column within the table
      const int64_t row = Clamp(below, 0, kDiagonalRows - 1);
      const int64_t column = Clamp(-below, 0, b.diagonal_origin + kDiagonalRows - 1);
      return s.bias_start + head * b.head_stride + row * b.row_stride + column * b.column_stride;
    }
    default:
      return s.bias_start + head * b.head_stride + q * b.row_stride + k * b.column_stride;
  }
}

FA_FUNCTION int64_t SlopeDistance(const Sequence& s, int64_t q, int64_t k) {
  const int64_t distance = k - q + s.position_shift;
  return distance < 0 ? -distance : distance;
}

// Position of a score in the dropout stream: sequence after sequence, each [head, row, column].
FA_FUNCTION int64_t DropBit(const Sequence& s, int64_t head, int64_t q, int64_t k) {
  return s.drop_start + (head * s.q_len + q) * s.kv_len + k;
}

FA_FUNCTION bool KeepWord(const Dropout& d, uint32_t word) { return UniformFromWord(word) < d.keep_below; }

FA_FUNCTION bool KeepPackedBit(const uint8_t* bits, int64_t bit) { return (bits[bit >> 3] >> (bit & 7)) & 1; }

// Probability mass that a kept element is multiplied with.
FA_FUNCTION double KeptWeight(const Dropout& d) { return d.kind == DropoutKind::kNone ? 1.0 : 1.0 / d.keep_prob; }

}  // namespace npu_fa
