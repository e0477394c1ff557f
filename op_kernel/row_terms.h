// What the backward needs of each query row, eight equal floats a row as the operator keeps its statistics: for P =
// exp(x - maximum) / sum, and -D with D = sum of dY * Y. Also each block's part of dsink.
//
// In 16 bits P is exp(x - (maximum + ln(sum))), an instruction less; in fp32 the rounding of that exponent would show.
//
// The rows of a block are dealt to the two vector cores in turn, a fractal (16 rows) at a time, so that whatever
// stretch of rows sees a stage is shared evenly.
#pragma once

#include "bias_gradient.h"

namespace npu_fa {

constexpr int32_t kGroupFloats = kRowGroup * kBlockFloats;  // of one term of a group
constexpr int32_t kSinkParts = kBlockFloats;                // floats of a vector core's part of dsink in a block

// Groups of rows of a block that belong to one vector core.
struct RowGroups {
  int32_t half;
  int32_t padded_rows, queries;

  FA_FUNCTION RowGroups(const Block& block, int32_t half_in)
      : half(half_in),
        padded_rows(block.padded_rows),
        queries(static_cast<int32_t>(block.rows.end - block.rows.begin)) {}
  FA_FUNCTION int32_t Count() const { return (padded_rows / kRowGroup + 1 - half) / 2; }
  FA_FUNCTION int32_t Row(int32_t group) const { return (2 * group + half) * kRowGroup; }
  FA_FUNCTION int32_t Queries(int32_t group) const { return Larger(Smaller(kRowGroup, queries - Row(group)), 0); }
};

FA_FUNCTION int32_t RowGroupsPerCore(const Tiling& t) { return CeilDiv(BlockRows(t), 2 * kRowGroup); }

template <typename T>
class RowTerms {
 public:
  FA_INLINE void Init(UbArena& ub, const AttentionProblem* problem, const BackwardTiling* tiling, GM_ADDR dy,
                      GM_ADDR out, GM_ADDR softmax_max, GM_ADDR softmax_sum, GM_ADDR sink, GM_ADDR sink_parts) {
    problem_ = problem;
    dy_ = GmTensor<T>(dy);
    out_ = GmTensor<T>(out);
    max_ = GmTensor<float>(softmax_max);
    sum_ = GmTensor<float>(softmax_sum);
    sink_ = GmTensor<float>(sink);
    sink_parts_ = GmTensor<float>(sink_parts);
    floats_ = RowGroupsPerCore(*tiling) * kGroupFloats;
    exponent_ = ub.Take<float>(floats_);
    inverse_sum_ = ub.Take<float>(floats_);
    negative_d_ = ub.Take<float>(floats_);
    row_sums_ = ub.Take<float>(kGroupFloats + kRowGroup);
    AscendC::Duplicate(exponent_, 0.0f, floats_);
    AscendC::Duplicate(inverse_sum_, 0.0f, floats_);
    AscendC::Duplicate(negative_d_, 0.0f, floats_);
    VectorBarrier();
  }

  static constexpr bool kDivides = sizeof(T) == sizeof(float);  // by the sum, after the exponential
  FA_INLINE LocalTensor<float> Exponent(int32_t group) const { return exponent_[group * kGroupFloats]; }
  FA_INLINE LocalTensor<float> InverseSum(int32_t group) const { return inverse_sum_[group * kGroupFloats]; }
  FA_INLINE LocalTensor<float> NegativeD(int32_t group) const { return negative_d_[group * kGroupFloats]; }

  FA_INLINE void Load(VectorBoxes<T>& boxes, const BlockPlan& plan, int32_t half) {
    const RowGroups groups(plan.block, half);
    LoadStatistics(boxes, plan.block, groups);
    for (int32_t group = 0; group < groups.Count(); ++group) {
      if (groups.Queries(group) > 0) LoadProduct(boxes, plan.block, groups, group);
    }
    if (problem_->has_sink) SinkPart(boxes, plan, groups);
  }

 private:
  FA_INLINE void LoadStatistics(VectorBoxes<T>& boxes, const Block& block, const RowGroups& groups) {
    constexpr int32_t kAtOnce = kBackwardTile / kGroupFloats;
    const Sequence& s = block.sequence;
    const int64_t begin = StatisticRow(*problem_, s, block.head, block.rows.begin);
    const int64_t step = StatisticRow(*problem_, s, block.head, block.rows.begin + 1) - begin;
    for (int32_t first = 0; first < groups.Count(); first += kAtOnce) {
      const int32_t count = Smaller(kAtOnce, groups.Count() - first);
      const LocalTensor<float> max = boxes.BeginLoad(), sum = max[kBackwardTile];
      for (int32_t group = 0; group < count; ++group) {
        const int32_t rows = groups.Queries(first + group);
        if (rows == 0) continue;
        const int64_t at = (begin + groups.Row(first + group) * step) * kStatisticColumns;
        LoadRows(max[group * kGroupFloats], max_[at], rows, kBlockFloats, step * kStatisticColumns, kBlockFloats);
        LoadRows(sum[group * kGroupFloats], sum_[at], rows, kBlockFloats, step * kStatisticColumns, kBlockFloats);
      }
      boxes.EndLoad();
      const int32_t floats = ((count - 1) * kRowGroup + groups.Queries(first + count - 1)) * kBlockFloats;
      if (floats > 0) {
        AscendC::Duplicate(InverseSum(first), 1.0f, floats);
        VectorBarrier();
        if constexpr (kDivides) {
          AscendC::Div(InverseSum(first), InverseSum(first), sum, floats);
        } else {
          AscendC::Ln(sum, sum, floats);
          VectorBarrier();
          AscendC::Add(max, max, sum, floats);
          VectorBarrier();
        }
        AscendC::Muls(Exponent(first), max, -1.0f, floats);
      }
      boxes.Release();
      VectorBarrier();
    }
  }

  // -D of a group of rows, over pieces of columns.
  FA_INLINE void LoadProduct(VectorBoxes<T>& boxes, const Block& block, const RowGroups& groups, int32_t group) {
    constexpr int32_t kColumns = 128, kElements = kRowGroup * kColumns;
    constexpr uint8_t kPitch = kColumns / kBlockFloats;
    const int32_t rows = groups.Queries(group);
    const int64_t offset = QueryOffset(problem_->out, block.sequence, block.head, block.rows.begin + groups.Row(group));
    const LocalTensor<float> total = row_sums_[kGroupFloats];
    AscendC::Duplicate(total, 0.0f, kRowGroup);
    for (int32_t begin = 0; begin < problem_->value_dim; begin += kColumns) {
      const int32_t columns = Smaller(kColumns, problem_->value_dim - begin);
      const LocalTensor<float> box = boxes.BeginLoad();
      const LocalTensor<T> raw = box.template ReinterpretCast<T>();
      LoadRows(raw, dy_[offset + begin], rows, columns, problem_->out.row, kColumns);
      LoadRows(raw[kElements], out_[offset + begin], rows, columns, problem_->out.row, kColumns);
      boxes.EndLoad();
      LocalTensor<float> wide = box, product = box[kBackwardTile];
      if constexpr (sizeof(T) != sizeof(float)) {
        wide = box[kBackwardTile];
        product = box[kElements];
        AscendC::Cast(wide, raw, AscendC::RoundMode::CAST_NONE, 2 * kElements);
      }
      AscendC::Duplicate(product, 0.0f, kElements);
      VectorBarrier();
      for (int32_t at = 0; at < columns; at += kRepeatFloats) {
        AscendC::Mul(product[at], wide[at], wide[kElements + at], Smaller(kRepeatFloats, columns - at), rows,
                     AscendC::BinaryRepeatParams(1, 1, 1, kPitch, kPitch, kPitch));
      }
      VectorBarrier();
      AscendC::Add(product, product, product[kRepeatFloats], kRepeatFloats, kRowGroup,
                   AscendC::BinaryRepeatParams(1, 1, 1, kPitch, kPitch, kPitch));
      VectorBarrier();
      AscendC::BlockReduceSum(row_sums_, product, kRowGroup, kRepeatFloats, 1, 1, kPitch);
      boxes.Release();
      VectorBarrier();
      AscendC::BlockReduceSum(row_sums_, row_sums_, kGroupFloats / kRepeatFloats, kRepeatFloats, 1, 1, kBlockFloats);
      VectorBarrier();
      AscendC::Sub(total, total, row_sums_, kRowGroup);
      VectorBarrier();
    }
    Spread(NegativeD(group), total, kRowGroup);
    VectorBarrier();
  }

  // The block's part of dsink: the sum over its rows of exp(sink - maximum) / sum * -D, in eight floats that each hold
  // a part of eight times as much.
  FA_INLINE void SinkPart(VectorBoxes<T>& boxes, const BlockPlan& plan, const RowGroups& groups) {
    int32_t floats = 0;
    if (plan.block.sequence.kv_len > 0) {  // otherwise the statistics are zeros
      for (int32_t group = 0; group < groups.Count(); ++group) floats += groups.Queries(group) * kBlockFloats;
    }
    const LocalTensor<float> x = boxes.BeginLoad();
    boxes.EndLoad();
    const LocalTensor<float> part = boxes.BeginStore().template ReinterpretCast<float>();
    AscendC::Duplicate(x, 0.0f, kBackwardTile);
    VectorBarrier();
    if (floats > 0) {
      AscendC::Adds(x, exponent_, sink_.GetValue(plan.block.head), floats);
      VectorBarrier();
      AscendC::Exp(x, x, floats);
      VectorBarrier();
      AscendC::Mul(x, x, inverse_sum_, floats);
      VectorBarrier();
      AscendC::Mul(x, x, negative_d_, floats);
      VectorBarrier();
    }
    SumToEight(x, kBackwardTile);
    AscendC::Adds(part, x, 0.0f, kSinkParts);
    boxes.EndCompute();
    AscendC::DataCopy(sink_parts_[(2 * plan.block.number + groups.half) * kSinkParts], part, kSinkParts);
    boxes.EndStore();
    VectorBarrier();
  }

  const AttentionProblem* problem_ = nullptr;
  GlobalTensor<T> dy_, out_;
  GlobalTensor<float> max_, sum_, sink_, sink_parts_;
  LocalTensor<float> exponent_, inverse_sum_, negative_d_, row_sums_;
  int32_t floats_ = 0;
};

}  // namespace npu_fa
