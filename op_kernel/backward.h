// FlashAttention backward on one cube core and its two vector cores.
//
//   cube     S = Q K^T, dP = dY V^T                       kScoresAhead stages early
//   vector   P = exp(modified S - max) / sum, dS = P * (dP - D)
//   cube     dV += P^T dY, dK += dS^T Q, dQ += dS K       summed on chip, then in GM
//   vector   dQ * scale of each block, dK * scale and dV of the keys that it is the last to see
//
// The cube's part is backward_cube.h. Both kinds of core walk the same blocks and stages.
#pragma once

#include "backward_cube.h"
#include "drop_bits.h"
#include "entry.h"
#include "gradient_outputs.h"
#include "score_modifiers.h"

namespace npu_fa {

template <class P>
class BackwardVector {
 public:
  using T = typename P::T;

  FA_INLINE void Run(AscendC::TPipe* pipe, const ArgumentsOf<BackwardTiling>& arguments, const BackwardTensors& gm,
                     int32_t core, int32_t half) {
    problem_ = &arguments.problem;
    tiling_ = &arguments.tiling;
    half_ = half;
    const int64_t number = 2 * core + half, numbers = 2 * tiling_->cores;
    ub_.Init(pipe, kUbBytes);
    constexpr int32_t kBoxFloats = 2 * kBackwardBox * (sizeof(float) + sizeof(T)) / sizeof(float);
    AscendC::Duplicate(ub_.Take<float>(kBoxFloats), 0.0f, kBoxFloats);  // what no load fills is still finite
    VectorBarrier();
    ub_.Reset();
    boxes_.Init(ub_, kBackwardBox);
    terms_.Init(ub_, problem_, tiling_, gm.dy, gm.out, gm.softmax_max, gm.softmax_sum, gm.sink,
                gm.workspace + tiling_->sink_at);
    modifiers_.Init(ub_, problem_, tiling_, gm);
    drop_.Init(ub_, problem_, tiling_->vector_rows * tiling_->stage_columns, gm.drop_bits);
    scales_ = ub_.Take<float>(2 * kBlockFloats);
    AscendC::Duplicate(scales_, ScoreModifiers<P>::RemainingScale(*tiling_), kBlockFloats);
    AscendC::Duplicate(scales_[kBlockFloats], tiling_->inverse_keep, kBlockFloats);
    outputs_.Init(problem_, tiling_, gm.workspace, gm.dsink, gm.dq, gm.dq_rope, gm.dk, gm.dk_rope, gm.dv);
    handoff_.Init(*tiling_, gm.workspace, core);
    bias_gradient_.Init(problem_, tiling_, gm.dbias);

    outputs_.ClearSums(boxes_, arguments.sequences, {number, numbers});
    AscendC::SyncAll();
    BlockWalker<GmSequences> walker;
    walker.Init(problem_, tiling_, arguments.sequences, core);
    BlockPlan plans[2];
    int32_t current = 0;
    bool unfinished = false;  // the block before
    while (walker.Next(plans[current])) {
      const BlockPlan& plan = plans[current];
      terms_.Load(boxes_, plan, half_);
      if (plan.stages == 0) {
        outputs_.WriteQueries(boxes_, plan, handoff_.QueryGradients(0), half_);
        continue;
      }
      for (int32_t stage = 0; stage < plan.stages; ++stage) {
        Gradients(plan, stage);
        // The cube finishes it beside this one's first group, which needs all of that group's P and dS; later, there is
        // no waiting.
        if (unfinished && stage == Smaller(tiling_->group_stages + kScoresAhead, plan.stages) - 1) {
          FinishBlock(plans[current ^ 1]);
        }
      }
      unfinished = true;
      current ^= 1;
    }
    if (unfinished) FinishBlock(plans[current ^ 1]);
    AscendC::CrossCoreWaitFlag(kSumsReady);
    AscendC::SyncAll();
    outputs_.WriteOtherKeys(boxes_, arguments.sequences, {number, numbers});
    if (problem_->has_sink) outputs_.WriteSinks(boxes_, arguments.sequences, number, numbers);
    bias_gradient_.Finish(boxes_, number, numbers);
    modifiers_.Finish();
    drop_.Finish();
    boxes_.Finish();
  }

 private:
  // P and dS of a stage.
  FA_INLINE void Gradients(const BlockPlan& plan, int32_t stage) {
    AscendC::CrossCoreWaitFlag(kScoresReady);
    const Range columns = plan.StageColumns(stage);
    const RowGroups groups(plan.block, half_);
    const int64_t number = plan.first_stage + stage;
    for (int32_t group = 0; group < groups.Count(); ++group) {
      const int32_t row = groups.Row(group);
      const Range seen = plan.SeenColumns(row / tiling_->tile_rows, stage);
      if (seen.begin >= seen.end) continue;
      const int32_t width = static_cast<int32_t>(seen.end - seen.begin);
      const int64_t at = int64_t{row} * kBackwardStage + seen.begin;
      const LocalTensor<float> box = boxes_.BeginLoad();
      const ScoreTile p = {box, kRowGroup, {1, kBackwardStage}};
      const ScoreTile ds = {box[kBackwardTile], kRowGroup, {1, kBackwardStage}};
      LoadRows(p.x[seen.begin], handoff_.Scores(number)[at], kRowGroup, width, kBackwardStage, kBackwardStage);
      LoadRows(ds.x[seen.begin], handoff_.ValueScores(number)[at], kRowGroup, width, kBackwardStage, kBackwardStage);
      boxes_.EndLoad();
      if (width < kBackwardStage) ClearBeside(ds, seen);
      const TilePlace place = {plan.block.sequence,         plan.block.head,
                               plan.block.rows.begin + row, columns.begin,
                               groups.Queries(group),       static_cast<int32_t>(columns.end - columns.begin)};
      modifiers_.Apply(p, place);
      drop_.Begin(p, place);
      drop_.Apply(ds);
      ScaleAndAdd(p, scales_, terms_.Exponent(group));
      ScaleAndAdd(ds, scales_[kBlockFloats], terms_.NegativeD(group));
      VectorBarrier();
      AscendC::Exp(p.x, p.x, kBackwardTile);
      VectorBarrier();
      if constexpr (RowTerms<T>::kDivides) MultiplyRows(p, terms_.InverseSum(group));
      AscendC::Mul(ds.x, ds.x, p.x, kBackwardTile);
      VectorBarrier();
      drop_.Apply(p);
      ClearBehind(p, place.valid_rows);
      ClearBehind(ds, place.valid_rows);
      bias_gradient_.Add(boxes_, modifiers_, ds, place);
      drop_.End();
      const LocalTensor<T> out = boxes_.BeginStore();
      Narrow(out, p.x, kBackwardTile);
      Narrow(out[kBackwardTile], ds.x, kBackwardTile);
      boxes_.EndCompute();
      StoreRows(handoff_.Probabilities(number)[at], out[seen.begin], kRowGroup, width, kBackwardStage, kBackwardStage);
      StoreRows(handoff_.Gradients(number)[at], out[kBackwardTile + seen.begin], kRowGroup, width, kBackwardStage,
                kBackwardStage);
      boxes_.EndStore();
    }
    AscendC::PipeBarrier<PIPE_MTE3>();  // a slot may come round again without a store in between
    AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_MTE3>(kWeightsReady);
  }

  // Rows that are no queries count nothing in sums over rows.
  FA_INLINE static void ClearBehind(const ScoreTile& tile, int32_t rows) {
    if (rows == tile.rows) return;
    AscendC::Duplicate(tile.x[rows * kBackwardStage], 0.0f, (tile.rows - rows) * kBackwardStage);
    VectorBarrier();
  }

  // Columns that were not loaded: their P is zero, because the band hides them, and times dP has to be.
  FA_INLINE static void ClearBeside(const ScoreTile& tile, Range loaded) {
    for (int32_t at = 0; at < kBackwardStage; at += kRepeatFloats) {
      if (loaded.begin <= at && at < loaded.end) continue;
      AscendC::Duplicate(tile.x[at], 0.0f, kRepeatFloats, kRowGroup, 1, kBackwardStage / kBlockFloats);
    }
    VectorBarrier();
  }

  // x = x * scale + the term of its row.
  FA_INLINE static void ScaleAndAdd(const ScoreTile& tile, const LocalTensor<float>& scale,
                                    const LocalTensor<float>& terms) {
    constexpr uint8_t kPitch = kBackwardStage / kBlockFloats;
    for (int32_t at = 0; at < kBackwardStage; at += kRepeatFloats) {
      AscendC::FusedMulAdd(tile.x[at], scale, terms, kRepeatFloats, kRowGroup,
                           AscendC::BinaryRepeatParams(1, 0, 0, kPitch, 0, 1));
    }
  }

  // x = x * the term of its row.
  FA_INLINE static void MultiplyRows(const ScoreTile& tile, const LocalTensor<float>& terms) {
    constexpr uint8_t kPitch = kBackwardStage / kBlockFloats;
    for (int32_t at = 0; at < kBackwardStage; at += kRepeatFloats) {
      AscendC::Mul(tile.x[at], tile.x[at], terms, kRepeatFloats, kRowGroup,
                   AscendC::BinaryRepeatParams(1, 1, 0, kPitch, kPitch, 1));
    }
    VectorBarrier();
  }

  FA_INLINE void FinishBlock(const BlockPlan& plan) {
    AscendC::CrossCoreWaitFlag(kQueryGradientsReady);
    outputs_.WriteQueries(boxes_, plan, handoff_.QueryGradients(plan.order), half_);
    outputs_.WriteFinishedKeys(boxes_, plan, half_);
  }

  const AttentionProblem* problem_ = nullptr;
  const BackwardTiling* tiling_ = nullptr;
  int32_t half_ = 0;
  UbArena ub_;
  VectorBoxes<T> boxes_;
  RowTerms<T> terms_;
  ScoreModifiers<P> modifiers_;
  DropBits<P> drop_;
  BiasGradient<P> bias_gradient_;
  GradientOutputs<T> outputs_;
  BackwardHandoff<T> handoff_;
  LocalTensor<float> scales_;  // what is left to scale scores with, and 1 / keep_prob
};

FA_INLINE void RunBackward(const BackwardTensors& gm, GM_ADDR blob) {
  RunKernel<BackwardCube, BackwardVector, BackwardTiling>(gm, blob);
}

}  // namespace npu_fa
