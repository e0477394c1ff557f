// What the cores of a group hand each other in the backward: scores S and dP, then P and dS, a stage at a time; and dQ,
// a block at a time. backward_schedule.h says why no flag is needed to free a slot.
#pragma once

#include "backward_schedule.h"
#include "handoff.h"

namespace npu_fa {

constexpr uint16_t kWeightsReady = 1, kQueryGradientsReady = 2, kSumsReady = 3;  // beside kScoresReady

template <typename T>
class BackwardHandoff {
 public:
  FA_INLINE void Init(const BackwardTiling& t, GM_ADDR workspace, int64_t core) {
    elements_ = RingElements(t);
    query_elements_ = QueryGradientElements(t);
    gradient_slots_ = GradientSlots(t);
    GM_ADDR base = workspace + core * t.workspace_per_core;
    scores_ = TakeGm<float>(base, kScoreSlots * elements_);
    value_scores_ = TakeGm<float>(base, kScoreSlots * elements_);
    query_gradients_ = TakeGm<float>(base, 2 * query_elements_);
    probabilities_ = TakeGm<T>(base, kProbabilitySlots * elements_);
    gradients_ = TakeGm<T>(base, gradient_slots_ * elements_);
  }
  FA_FUNCTION static int64_t Bytes(const BackwardTiling& t) {
    return RingElements(t) * (kScoreSlots * 8 + (kProbabilitySlots + GradientSlots(t)) * int64_t{sizeof(T)}) +
           QueryGradientElements(t) * 8;
  }

  // Rows of kBackwardStage elements: S = Q K^T and dP = dY V^T, then P and dS.
  FA_INLINE GlobalTensor<float> Scores(int64_t stage) const { return scores_[stage % kScoreSlots * elements_]; }
  FA_INLINE GlobalTensor<float> ValueScores(int64_t stage) const {
    return value_scores_[stage % kScoreSlots * elements_];
  }
  FA_INLINE GlobalTensor<T> Probabilities(int64_t stage) const {
    return probabilities_[stage % kProbabilitySlots * elements_];
  }
  FA_INLINE GlobalTensor<T> Gradients(int64_t stage) const { return gradients_[stage % gradient_slots_ * elements_]; }
  // Rows of query_depth elements: dQ of a block, not scaled.
  FA_INLINE GlobalTensor<float> QueryGradients(int64_t block) const {
    return query_gradients_[block % 2 * query_elements_];
  }

 private:
  GlobalTensor<float> scores_, value_scores_, query_gradients_;
  GlobalTensor<T> probabilities_, gradients_;
  int64_t elements_ = 0, query_elements_ = 0;
  int32_t gradient_slots_ = 0;
};

}  // namespace npu_fa
