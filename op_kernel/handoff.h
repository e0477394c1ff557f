// What the cube core and its two vector cores hand each other through GM, and the flags that say so.
//
// Three rings of kRingSlots slots a core: scores (cube -> vector), P (vector -> cube), products P V (cube -> vector).
// One flag a stage and ring; policy.h says why none is needed to free a slot. A slot of scores or P is
// [slab][row][column], one of products [row][column].
#pragma once

#include "score_tile.h"

namespace npu_fa {

constexpr uint16_t kScoresReady = 0, kProbabilitiesReady = 1, kProductsReady = 2;
constexpr uint8_t kWithinGroup = 2;  // AIC -> both AIVs; AIV -> AIC once both have set

template <typename T>
class Handoff {
 public:
  FA_INLINE void Init(const Tiling* tiling, GM_ADDR workspace, int64_t core) {
    tiling_ = tiling;
    GM_ADDR at = workspace + core * tiling->workspace_per_core;
    scores_ = TakeGm<float>(at, kRingSlots * ScoreSlotElements(*tiling));
    products_ = TakeGm<float>(at, kRingSlots * ProductSlotElements(*tiling));
    probabilities_ = TakeGm<T>(at, kRingSlots * ScoreSlotElements(*tiling));
  }

  // From a row and column of a stage on; rows lie SlabPitch apart within a slab.
  FA_INLINE GlobalTensor<float> Scores(int64_t stage, int32_t row, int32_t column) const {
    return scores_[InRing(stage, row, column)];
  }
  FA_INLINE GlobalTensor<T> Probabilities(int64_t stage, int32_t row, int32_t column) const {
    return probabilities_[InRing(stage, row, column)];
  }
  FA_INLINE GlobalTensor<float> Products(int64_t stage, int32_t row) const {
    return products_[stage % kRingSlots * ProductSlotElements(*tiling_) + row * tiling_->value_width];
  }

  // A tile of the vector core, its first row `row` of the block.
  FA_INLINE void LoadScores(const ScoreTile& tile, int64_t stage, int32_t row) const {
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      LoadAligned(tile.x[slab * tile.SlabElements()], Scores(stage, row, slab * kSlabColumns), tile.rows,
                  tile.slabs.columns, SlabPitch(*tiling_));
    }
  }
  FA_INLINE void StoreProbabilities(const LocalTensor<T>& p, const ScoreTile& tile, int64_t stage, int32_t row) const {
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      StoreAligned(Probabilities(stage, row, slab * kSlabColumns), p[slab * tile.SlabElements()], tile.rows,
                   tile.slabs.columns, SlabPitch(*tiling_));
    }
  }

 private:
  FA_INLINE int64_t InRing(int64_t stage, int32_t row, int32_t column) const {
    const int32_t pitch = SlabPitch(*tiling_);
    return stage % kRingSlots * ScoreSlotElements(*tiling_) + (column / pitch * BlockRows(*tiling_) + row) * pitch +
           column % pitch;
  }

  const Tiling* tiling_ = nullptr;
  GlobalTensor<float> scores_, products_;
  GlobalTensor<T> probabilities_;
};

}  // namespace npu_fa
