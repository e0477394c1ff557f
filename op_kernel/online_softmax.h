// The running maximum and sum of each row, the exponentials of a tile, and the accumulator O that they rescale.
//
// Maxima are kept negated: exp(scale * s - m) is then one fused multiply-add and one Exp, and a smaller negated
// maximum is a larger maximum. Values of the last kRingSlots stages are kept, because O follows some stages later.
#pragma once

#include "score_tile.h"

namespace npu_fa {

class OnlineSoftmax {
 public:
  // `scale`: what is left to be applied to the scores of a tile.
  FA_INLINE void Init(UbArena& ub, const Tiling& t, float scale) {
    const int32_t rows = VectorCoreRows(t), tile_rows = TallestVectorTile(t);
    rows_ = RoundUp(rows, kRepeatFloats);  // compares work on whole repeats
    value_width_ = t.value_width;
    for (int32_t i = 0; i < kRingSlots; ++i) {
      negative_max_[i] = ub.Take<float>(rows_);
      sum_[i] = ub.Take<float>(rows_);
      factor_[i] = ub.Take<float>(rows_);
      AscendC::Duplicate(negative_max_[i], kEmptyRowSum, rows_);
      AscendC::Duplicate(sum_[i], 0.0f, rows_);
    }
    start_max_ = ub.Take<float>(rows_);
    start_sum_ = ub.Take<float>(rows_);
    scratch_ = ub.Take<float>(t.vector_rows * t.stage_columns / kBlockFloats);
    spread_ = ub.Take<float>(tile_rows * kBlockFloats);
    wide_spread_ = ub.Take<float>(tile_rows * kRepeatFloats);
    row_spread_ = ub.Take<float>(rows_ * kBlockFloats);
    scale_ = ub.Take<float>(kBlockFloats);
    nonempty_ = ub.Take<uint8_t>(RoundUp(rows_ / 8, kBlockBytes));
    AscendC::Duplicate(scale_, scale, kBlockFloats);
    scale_factor_ = scale;
    output_ = ub.Take<float>(RoundUp(rows, kBlockFloats) * value_width_);
    VectorBarrier();
  }

  // A new stage: `first` of its block starts from a row that has seen only the sink, or nothing.
  FA_INLINE void BeginStage(int64_t stage, bool first, bool has_sink, float sink) {
    now_ = stage % kRingSlots;
    if (first) {
      AscendC::Duplicate(start_max_, has_sink ? -sink : kEmptyRowSum, rows_);
      AscendC::Duplicate(start_sum_, has_sink ? 1.0f : 0.0f, rows_);
      before_max_ = start_max_;
      before_sum_ = start_sum_;
    } else {
      before_max_ = negative_max_[(stage - 1) % kRingSlots];
      before_sum_ = sum_[(stage - 1) % kRingSlots];
    }
    VectorBarrier();
  }

  // x = exp(scale * x - max), max the running maximum of scale * x; notes the sum of each row. `row` numbers the
  // first row of the tile.
  FA_INLINE void Exponentials(const ScoreTile& tile, int32_t row) {
    const LocalTensor<float> maximum = negative_max_[now_][row];
    ReduceRows<true>(maximum, tile);
    VectorBarrier();
    AscendC::Muls(maximum, maximum, -scale_factor_, tile.rows);
    VectorBarrier();
    AscendC::Min(maximum, maximum, before_max_[row], tile.rows);
    VectorBarrier();
    Spread(spread_, maximum, tile.rows);
    VectorBarrier();
    ScaleAndShift(tile);
    VectorBarrier();
    AscendC::Exp(tile.x, tile.x, tile.Elements());
    VectorBarrier();
    ReduceRows<false>(sum_[now_][row], tile);
  }

  // After all tiles of a stage: what O and the sum so far have to be multiplied with, and the new sum.
  FA_INLINE void EndStage() {
    VectorBarrier();
    AscendC::Sub(factor_[now_], negative_max_[now_], before_max_, rows_);
    VectorBarrier();
    AscendC::Exp(factor_[now_], factor_[now_], rows_);
    VectorBarrier();
    AscendC::MulAddDst(sum_[now_], before_sum_, factor_[now_], rows_);
    VectorBarrier();
  }
  // A stage without columns leaves the statistics as they were.
  FA_INLINE void SkipStage() {
    AscendC::Adds(negative_max_[now_], before_max_, 0.0f, rows_);
    AscendC::Adds(sum_[now_], before_sum_, 0.0f, rows_);
    VectorBarrier();
  }

  // O = O * factor + product, in chunks of rows; BeginFold once, then Fold for each chunk.
  FA_INLINE void BeginFold(int64_t stage) {
    Spread(row_spread_, factor_[stage % kRingSlots], rows_);
    VectorBarrier();
  }
  FA_INLINE void Fold(const LocalTensor<float>& product, int32_t row, int32_t rows, bool first) {
    const LocalTensor<float> output = output_[row * value_width_];
    if (first) {
      AscendC::Adds(output, product, 0.0f, rows * value_width_);
      return;
    }
    const uint8_t pitch = value_width_ / kBlockFloats;
    for (int32_t column = 0; column < value_width_; column += kRepeatFloats) {
      AscendC::FusedMulAdd(output[column], row_spread_[row * kBlockFloats], product[column], Lanes(column), rows,
                           AscendC::BinaryRepeatParams(1, 0, 1, pitch, 1, pitch));
    }
  }
  FA_INLINE void ClearOutput(int32_t rows) {
    AscendC::Duplicate(output_, 0.0f, rows * value_width_);
    VectorBarrier();
  }

  // Results of a part of the columns, as they are.
  FA_INLINE void CopyStatistics(const LocalTensor<float>& negative_max, const LocalTensor<float>& sum, int64_t stage) {
    AscendC::Adds(negative_max, negative_max_[stage % kRingSlots], 0.0f, rows_);
    AscendC::Adds(sum, sum_[stage % kRingSlots], 0.0f, rows_);
  }
  FA_INLINE void CopyOutput(const LocalTensor<float>& output, int32_t row, int32_t rows) {
    AscendC::Adds(output, output_[row * value_width_], 0.0f, rows * value_width_);
  }

  // Takes such results in, part after part as if they were stages: Join once, then AddOutput for each chunk of rows.
  FA_INLINE void Join(int64_t part, const LocalTensor<float>& negative_max, const LocalTensor<float>& sum,
                      int32_t rows) {
    BeginStage(part, part == 0, false, 0.0f);
    AscendC::Min(negative_max_[now_], before_max_, negative_max, rows);
    VectorBarrier();
    AscendC::Sub(scratch_, negative_max_[now_], negative_max, rows);
    VectorBarrier();
    AscendC::Exp(scratch_, scratch_, rows);
    VectorBarrier();
    AscendC::Mul(sum_[now_], sum, scratch_, rows);
    EndStage();
    if (part == 0) {
      ClearOutput(rows);
    } else {
      BeginFold(part);
      MultiplyByRows(0, rows);
    }
    Spread(row_spread_, scratch_, rows);
    VectorBarrier();
  }
  FA_INLINE void AddOutput(const LocalTensor<float>& output, int32_t row, int32_t rows) {
    const uint8_t pitch = value_width_ / kBlockFloats;
    for (int32_t column = 0; column < value_width_; column += kRepeatFloats) {
      AscendC::MulAddDst(output_[row * value_width_ + column], output[column], row_spread_[row * kBlockFloats],
                         Lanes(column), rows, AscendC::BinaryRepeatParams(1, 1, 0, pitch, pitch, 1));
    }
  }

  // Statistics of a finished block, eight columns a row, as the operator gives them.
  FA_INLINE void Statistics(const LocalTensor<float>& max_columns, const LocalTensor<float>& sum_columns,
                            int64_t stage) {
    const int32_t slot = stage % kRingSlots;
    AscendC::CompareScalar(nonempty_, negative_max_[slot], kEmptyRowSum, AscendC::CMPMODE::NE, rows_);  // NaN too
    AscendC::Muls(start_max_, negative_max_[slot], -1.0f, rows_);
    VectorBarrier();
    SelectOr(start_sum_, sum_[slot], kEmptyRowSum);
    VectorBarrier();
    Spread(max_columns, start_max_, rows_);
    Spread(sum_columns, start_sum_, rows_);
    VectorBarrier();
  }

  // What O has to be multiplied with at the end: keep / sum, 0 in rows that saw nothing. After Statistics.
  FA_INLINE void BeginNormalise(int64_t stage, float inverse_keep) {
    AscendC::Duplicate(start_max_, inverse_keep, rows_);
    VectorBarrier();
    AscendC::Div(start_sum_, start_max_, sum_[stage % kRingSlots], rows_);
    VectorBarrier();
    SelectOr(start_sum_, start_sum_, 0.0f);
    VectorBarrier();
    Spread(row_spread_, start_sum_, rows_);
    VectorBarrier();
  }
  template <typename T>
  FA_INLINE void Normalise(const LocalTensor<T>& out, int32_t row, int32_t rows) {
    MultiplyByRows(row, rows);
    Narrow(out, output_[row * value_width_], rows * value_width_);
  }

 private:
  // O *= row_spread_.
  FA_INLINE void MultiplyByRows(int32_t row, int32_t rows) {
    const LocalTensor<float> output = output_[row * value_width_];
    const uint8_t pitch = value_width_ / kBlockFloats;
    for (int32_t column = 0; column < value_width_; column += kRepeatFloats) {
      AscendC::Mul(output[column], output[column], row_spread_[row * kBlockFloats], Lanes(column), rows,
                   AscendC::BinaryRepeatParams(1, 1, 0, pitch, pitch, 1));
    }
    VectorBarrier();
  }

  FA_INLINE int32_t Lanes(int32_t column) const { return Smaller(kRepeatFloats, value_width_ - column); }

  FA_INLINE void SelectOr(const LocalTensor<float>& dst, const LocalTensor<float>& src, float otherwise) {
    AscendC::Select(dst, nonempty_, src, otherwise, AscendC::SELMODE::VSEL_TENSOR_SCALAR_MODE, rows_);
  }

  // Eight elements to one, slabs together, then each row to one value.
  template <bool kMaximum>
  FA_INLINE void ReduceRows(const LocalTensor<float>& result, const ScoreTile& tile) {
    const int32_t repeats = tile.Elements() / kRepeatFloats;
    for (int32_t i = 0; i < repeats; i += kMaxRepeats) {
      ReduceBlocks<kMaximum>(scratch_[i * kBlockFloats], tile.x[i * kRepeatFloats], Smaller(kMaxRepeats, repeats - i));
    }
    VectorBarrier();
    const int32_t per_slab = tile.SlabElements() / kBlockFloats;
    for (int32_t slab = 1; slab < tile.slabs.count; ++slab) {
      if constexpr (kMaximum) {
        AscendC::Max(scratch_, scratch_, scratch_[slab * per_slab], per_slab);
      } else {
        AscendC::Add(scratch_, scratch_, scratch_[slab * per_slab], per_slab);
      }
      VectorBarrier();
    }
    const int32_t in_row = tile.slabs.columns / kBlockFloats;
    if (in_row == kRepeatFloats) {  // a row is one repeat: two block reductions are much faster than a whole one
      ReduceBlocks<kMaximum>(scratch_, scratch_, tile.rows);
      VectorBarrier();
      ReduceBlocks<kMaximum>(result, scratch_, tile.rows / kBlockFloats);
    } else if constexpr (kMaximum) {
      AscendC::WholeReduceMax(result, scratch_, in_row, tile.rows, 1, 1, in_row / kBlockFloats,
                              AscendC::ReduceOrder::ORDER_ONLY_VALUE);
    } else {
      AscendC::WholeReduceSum(result, scratch_, in_row, tile.rows, 1, 1, in_row / kBlockFloats);
    }
  }

  // dst[i] = the maximum or sum of src[8 i .. 8 i + 7].
  template <bool kMaximum>
  FA_INLINE static void ReduceBlocks(const LocalTensor<float>& dst, const LocalTensor<float>& src, int32_t repeats) {
    if constexpr (kMaximum) {
      AscendC::BlockReduceMax(dst, src, repeats, kRepeatFloats, 1, 1, 8);
    } else {
      AscendC::BlockReduceSum(dst, src, repeats, kRepeatFloats, 1, 1, 8);
    }
  }

  // x = x * scale + spread_ of its row.
  FA_INLINE void ScaleAndShift(const ScoreTile& tile) {
    if (tile.slabs.columns == kSlabColumns) {  // a row is eight repeats: a block of its shift for each, one instruction
      Spread(wide_spread_, spread_, tile.rows * kBlockFloats);
      VectorBarrier();
      for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
        AscendC::FusedMulAdd(tile.x[slab * tile.SlabElements()], scale_, wide_spread_, kRepeatFloats,
                             tile.SlabElements() / kRepeatFloats, AscendC::BinaryRepeatParams(1, 0, 0, 8, 0, 1));
      }
      return;
    }
    const uint8_t pitch = tile.slabs.columns / kBlockFloats;
    for (int32_t at = 0; at < tile.slabs.columns; at += kRepeatFloats) {
      for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
        AscendC::FusedMulAdd(tile.x[slab * tile.SlabElements() + at], scale_, spread_, kRepeatFloats, tile.rows,
                             AscendC::BinaryRepeatParams(1, 0, 0, pitch, 0, 1));
      }
    }
  }

  LocalTensor<float> negative_max_[kRingSlots], sum_[kRingSlots], factor_[kRingSlots];
  LocalTensor<float> before_max_, before_sum_;  // of the stage before
  LocalTensor<float> start_max_, start_sum_;    // of a block's first stage; scratch at its end
  LocalTensor<float> scratch_, spread_, wide_spread_, row_spread_, scale_, output_;
  LocalTensor<uint8_t> nonempty_;
  float scale_factor_ = 1;
  int32_t rows_ = 0, value_width_ = 0, now_ = 0;
};

}  // namespace npu_fa
