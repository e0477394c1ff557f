// The gradient of the bias, added to GM in fp32 with the bias's own strides: what scores share, sums up there.
#pragma once

#include "score_modifiers.h"
#include "vector_boxes.h"

namespace npu_fa {

// x[0 .. 7] = sums over x[0 .. count - 1], count 8 times a power of 8.
FA_INLINE void SumToEight(const LocalTensor<float>& x, int32_t count) {
  for (; count > kBlockFloats; count /= kBlockFloats) {
    AscendC::BlockReduceSum(x, x, count / kRepeatFloats, kRepeatFloats, 1, 1, kBlockFloats);
    VectorBarrier();
  }
}

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
      for (int32_t row = 0; row < place.valid_rows; ++row) {
        const TableRow table = ScoreModifiers<P>::DiagonalTableRow(*problem_, place, row);
        if (table.columns > 0) StoreRows(gm_[table.begin], x[row * pitch], 1, table.columns, 0, pitch);
      }
    }
  }

  const AttentionProblem* problem_ = nullptr;
  GlobalTensor<float> gm_;
  bool wanted_ = false;
  float scale_ = 1;
};

}  // namespace npu_fa
