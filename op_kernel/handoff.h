// What the cube core and its two vector cores hand each other through GM, and the flags that say so.
//
// Three rings of kRingSlots slots a core: scores (cube -> vector), P (vector -> cube), products P V (cube -> vector).
// One flag a stage and ring; policy.h says why none is needed to free a slot.
#pragma once

#include "gm_tile.h"

namespace npu_fa {

constexpr uint16_t kScoresReady = 0, kProbabilitiesReady = 1, kProductsReady = 2;
constexpr uint8_t kWithinGroup = 2;  // AIC -> both AIVs; AIV -> AIC once both have set

template <typename T>
class Handoff {
 public:
  FA_INLINE void Init(const Tiling& t, GM_ADDR workspace, int64_t core) {
    GM_ADDR base = workspace + core * t.workspace_per_core;
    score_elements_ = ScoreSlotElements(t);
    product_elements_ = ProductSlotElements(t);
    scores_ = GmTensor<float>(base);
    base += kRingSlots * score_elements_ * static_cast<int64_t>(sizeof(float));
    products_ = GmTensor<float>(base);
    base += kRingSlots * product_elements_ * static_cast<int64_t>(sizeof(float));
    probabilities_ = GmTensor<T>(base);
  }

  FA_INLINE GlobalTensor<float> Scores(int64_t stage) const { return scores_[stage % kRingSlots * score_elements_]; }
  FA_INLINE GlobalTensor<T> Probabilities(int64_t stage) const {
    return probabilities_[stage % kRingSlots * score_elements_];
  }
  FA_INLINE GlobalTensor<float> Products(int64_t stage) const {
    return products_[stage % kRingSlots * product_elements_];
  }

 private:
  GlobalTensor<float> scores_, products_;
  GlobalTensor<T> probabilities_;
  int64_t score_elements_ = 0, product_elements_ = 0;
};

// The last few stages by number.
template <int32_t kCount>
class RecentStages {
 public:
  FA_INLINE Stage& operator[](int64_t number) { return stages_[number % kCount]; }

 private:
  Stage stages_[kCount] = {};
};

}  // namespace npu_fa
