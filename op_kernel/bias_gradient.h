// The gradient of the bias, added to GM in fp32 with the bias's own strides: what scores share, sums up there.
//
// In a table that sequences share (TND) a diagonal's gradient belongs to the element where it enters the table, in the
// first column or the first row. Until all cores are done it is summed in the last row, which crosses each diagonal
// once: a row of scores adds to elements side by side there.
#pragma once

#include "backward_schedule.h"
#include "score_modifiers.h"
#include "vector_boxes.h"

namespace npu_fa {

template <class P>
class BiasGradient {
 public:
  using T = typename P::T;

  FA_INLINE void Init(const AttentionProblem* problem, const Tiling* tiling, GM_ADDR dbias) {
    problem_ = problem;
    wanted_ = dbias != nullptr && problem->bias.kind != BiasKind::kNone;
    scale_ = problem->bias.order == BiasOrder::kAddThenScale ? tiling->scale : 1.0f;
    gm_ = GmTensor<float>(dbias);
  }

  // The tile, a single slab, holds the gradient of x; its size is 8 times a power of 8.
  FA_INLINE void Add(VectorBoxes<T>& boxes, ScoreModifiers<P>& modifiers, const ScoreTile& gradient,
                     const TilePlace& place) {
    if constexpr (P::kModified) {
      if (!wanted_) return;
      const LocalTensor<float> out = boxes.BeginStore().template ReinterpretCast<float>();
      if (BiasIsSlope(problem_->bias.kind)) {
        AscendC::Mul(out, gradient.x, modifiers.Distances(gradient, place), gradient.Elements());
        VectorBarrier();
        SumToEight(out, gradient.Elements());
        AscendC::BlockReduceSum(out, out, 1, kBlockFloats, 1, 1, kBlockFloats);
        VectorBarrier();
        AscendC::Muls(out, out, -1.0f, kBlockFloats);
      } else {
        AscendC::Muls(out, gradient.x, scale_, gradient.Elements());
        if (SharedByRows()) SumRows(out, gradient);
      }
      boxes.EndResult();
      AscendC::SetAtomicAdd<float>();
      Store(out, gradient, place);
      AscendC::SetAtomicNone();
      boxes.EndStore();
      VectorBarrier();
    }
  }

  // When all cores have added: the sums in the last rows of tables move to where they belong, each table by one of the
  // vector cores.
  FA_INLINE void Finish(VectorBoxes<T>& boxes, int64_t core, int64_t cores) {
    if constexpr (P::kModified) {
      const Bias& bias = problem_->bias;
      if (!wanted_ || bias.kind != BiasKind::kDiagonalTnd) return;
      const int64_t heads = problem_->q_heads, tables = bias.batch_stride == 0 ? 1 : problem_->num_sequences;
      for (int64_t i = core; i < tables * heads; i += cores) {
        MoveLastRow(boxes, gm_[i / heads * bias.batch_stride + i % heads * bias.head_stride]);
      }
    }
  }

 private:
  FA_INLINE bool SharedByRows() const {
    const Bias& bias = problem_->bias;
    return bias.kind == BiasKind::kPackedRow || (bias.kind == BiasKind::kStrided && bias.row_stride == 0);
  }

  // Rows behind the last query hold zeros.
  FA_INLINE static void SumRows(const LocalTensor<float>& x, const ScoreTile& tile) {
    for (int32_t rows = tile.rows / 2; rows > 0; rows /= 2) {
      VectorBarrier();
      AscendC::Add(x, x, x[rows * tile.slabs.columns], rows * tile.slabs.columns);
    }
  }

  FA_INLINE void Store(const LocalTensor<float>& x, const ScoreTile& tile, const TilePlace& place) {
    const int64_t begin = BiasOffset(*problem_, place.sequence, place.head, place.row, place.column);
    const int32_t pitch = tile.slabs.columns;
    if (BiasIsSlope(problem_->bias.kind)) {
      StoreRows(gm_[begin], x, 1, 1, 0, kBlockFloats);
    } else if (SharedByRows()) {
      StoreRows(gm_[begin], x, 1, place.valid_columns, 0, pitch);
    } else if (!ScoreModifiers<P>::BiasByRows(*problem_)) {
      const int64_t next = BiasOffset(*problem_, place.sequence, place.head, place.row + 1, place.column);
      StoreRows(gm_[begin], x, place.valid_rows, place.valid_columns, next - begin, pitch);
    } else {
      const bool shared = problem_->bias.kind == BiasKind::kDiagonalTnd;
      for (int32_t row = 0; row < place.valid_rows; ++row) {
        const TableRow table =
            shared ? LastTableRow(place, row) : ScoreModifiers<P>::DiagonalTableRow(*problem_, place, row);
        if (table.columns > 0) StoreRows(gm_[table.begin], x[row * pitch], 1, table.columns, 0, pitch);
      }
    }
  }

  FA_INLINE int64_t TableColumns() const { return problem_->bias.diagonal_origin + kDiagonalRows; }

  // Where the diagonals of a row of scores cross the last row of the table. Those behind its end are hidden.
  FA_INLINE TableRow LastTableRow(const TilePlace& place, int32_t row) const {
    const Bias& bias = problem_->bias;
    const int64_t column = TableColumns() - 1 - (place.row + row - place.column);
    return {place.sequence.bias_start + place.head * bias.head_stride + (kDiagonalRows - 1) * bias.row_stride + column,
            static_cast<int32_t>(Min(place.valid_columns, TableColumns() - column))};
  }

  FA_INLINE void MoveLastRow(VectorBoxes<T>& boxes, const GlobalTensor<float>& table) {
    constexpr int64_t kAtOnce = kBackwardTile / kBlockFloats;
    const int64_t edge = kDiagonalRows - 1;  // the column of the last row whose diagonal begins in the corner
    const int64_t stride = problem_->bias.row_stride;
    const GlobalTensor<float> last = table[edge * stride];
    for (int64_t row = 0; row < edge; row += kAtOnce) {
      Move(boxes, table[row * stride], stride, last[edge - row], -1, static_cast<int32_t>(Min(kAtOnce, edge - row)));
    }
    for (int64_t column = 1; edge + column < TableColumns(); column += kAtOnce) {
      Move(boxes, table[column], 1, last[edge + column], 1,
           static_cast<int32_t>(Min(kAtOnce, TableColumns() - edge - column)));
    }
    const LocalTensor<float> zeros = boxes.BeginStore().template ReinterpretCast<float>();
    AscendC::Duplicate(zeros, 0.0f, kBackwardTile);
    boxes.EndResult();
    for (int64_t column = 1; column < TableColumns(); column += kBackwardTile) {
      StoreRows(last[column], zeros, 1, static_cast<int32_t>(Min(kBackwardTile, TableColumns() - column)), 0,
                kBackwardTile);
    }
    boxes.EndStore();
  }

  // Single floats with any stride, each in a block of its own on the way.
  FA_INLINE static void Move(VectorBoxes<T>& boxes, const GlobalTensor<float>& to, int64_t to_stride,
                             const GlobalTensor<float>& from, int64_t from_stride, int32_t count) {
    const LocalTensor<float> in = boxes.BeginLoad();
    LoadRows(in, from, count, 1, from_stride, kBlockFloats);
    boxes.EndLoad();
    const LocalTensor<float> out = boxes.BeginStore().template ReinterpretCast<float>();
    AscendC::Adds(out, in, 0.0f, count * kBlockFloats);
    boxes.EndCompute();
    StoreRows(to, out, count, 1, to_stride, kBlockFloats);
    boxes.EndStore();
  }

  const AttentionProblem* problem_ = nullptr;
  GlobalTensor<float> gm_;
  bool wanted_ = false;
  float scale_ = 1;
};

}  // namespace npu_fa
