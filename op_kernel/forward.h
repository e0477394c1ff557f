// FlashAttention forward on one cube core and its two vector cores.
//
//   cube     S = Q K^T                                    kScoresAhead stages early
//   vector   P = exp(modified S - running maximum)
//   cube     X = P V                                      summed on chip over the columns of a stage
//   vector   O = O * exp(old - new maximum) + X           kProductsBehind stages late; at the end O / sum
//
// Both kinds of core walk the same list of stages; handoff.h is what passes between them.
#pragma once

#include "cube.h"
#include "drop_bits.h"
#include "entry.h"
#include "forward_operands.h"
#include "forward_output.h"
#include "handoff.h"
#include "score_modifiers.h"
#include "turns.h"
#include "value_stream.h"

namespace npu_fa {

struct ForwardTensors : InputTensors {
  GmAddress out, softmax_max, softmax_sum, workspace;
};

template <class P>
class ForwardCube {
 public:
  using T = typename P::T;

  FA_INLINE void Run(AscendC::TPipe* pipe, const Arguments& arguments, const ForwardTensors& gm, int32_t core) {
    tiling_ = &arguments.tiling;
    cube_.Init(pipe);
    L1Arena l1;
    l1.Init(pipe, kL1Bytes);
    if (tiling_->ragged) ClearL1<T>(l1);
    operands_.Init(l1, arguments, gm);
    values_.Init(l1, arguments, gm.value, &stages_);
    handoff_.Init(tiling_, gm.workspace, core);
    stages_.Init(&arguments.problem, tiling_, arguments.sequences, core);
    // Scores keep Fixpipe busy, products the cube. The first products have to wait for their P, so all scores come
    // before them.
    for (int64_t stage = -kScoresAhead; stages_.Advance(stage + kScoresAhead); ++stage) {
      Turns turns(ScoreSteps(stage + kScoresAhead), ProductSteps(stage), stage == 0);
      while (turns.Next()) {
        if (turns.Leads()) {
          Scores(stage + kScoresAhead, turns.Step());
        } else {
          Products(stage, turns.Step());
        }
      }
    }
    values_.Finish();
    operands_.Finish();
    cube_.Finish();
  }

 private:
  // S of one tile of rows and one piece of columns. All tiles share a piece of K in L0B.
  FA_INLINE void Scores(int64_t n, int32_t step) {
    const Stage& stage = stages_[n];
    const int32_t tiles = TilesOf(*tiling_, stage.block), piece = step / tiles, tile = step % tiles;
    const int32_t rows = TileRows(*tiling_, stage.block, tile), keys = tiling_->key_piece;
    const bool shared = tiling_->depth_piece == tiling_->query_depth;
    if (step == 0 && stage.first) operands_.LoadQuery(stage.block);
    if (tile == 0) operands_.LoadKeys(stage, piece);
    const GlobalTensor<float> scores = handoff_.Scores(n, tile * tiling_->tile_rows, piece * keys);
    for (int32_t begin = 0; begin < tiling_->query_depth; begin += tiling_->depth_piece) {
      const int32_t depth = Smaller(tiling_->depth_piece, tiling_->query_depth - begin);
      LoadLeft(cube_.NextLeft(), operands_.Query(tile), tiling_->tile_rows, tiling_->query_depth, rows, begin, depth);
      if (tile == 0 || !shared) {
        LoadRightByColumns(cube_.NextRight(), operands_.Keys(), keys, begin, depth);
      } else {
        cube_.ReuseRight();
      }
      cube_.MultiplyScores(scores, SlabPitch(*tiling_), rows, keys, depth, begin == 0,
                           begin + depth == tiling_->query_depth, shared && tile + 1 < tiles);
    }
    if (tile + 1 == tiles) operands_.ReleaseKeys();
    if (step + 1 < ScoreSteps(n)) return;
    if (stage.last) operands_.ReleaseQuery();
    AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kScoresReady);
  }
  FA_INLINE int32_t ScoreSteps(int64_t n) const {
    if (!stages_.Computes(n)) return 0;
    const Slabs slabs = SlabsOf(stages_[n].columns.end - stages_[n].columns.begin);
    return slabs.count * slabs.columns / tiling_->key_piece * TilesOf(*tiling_, stages_[n].block);
  }

  // X (+)= P V of one tile of rows and one piece of columns.
  FA_INLINE void Products(int64_t n, int32_t step) {
    const Stage& stage = stages_[n];
    const int32_t pieces = values_.Pieces(stage), tile = step / pieces, piece = step % pieces;
    const int32_t row = tile * tiling_->tile_rows, rows = TileRows(*tiling_, stage.block, tile);
    const int32_t columns = values_.Columns(stage, piece);
    if (step == 0) AscendC::CrossCoreWaitFlag(kProbabilitiesReady);
    if (tile == 0) values_.Await(n, piece);
    const LocalTensor<T> p =
        operands_.LoadProbabilities(handoff_.Probabilities(n, row, piece * tiling_->value_piece), rows, columns);
    LoadLeft(cube_.NextLeft(), p, tiling_->tile_rows, tiling_->value_piece, rows, 0,
             RoundUp(columns, kBlockElements<T>));
    cube_.Accumulate(values_[piece], tiling_->value_piece, rows, tiling_->value_width, columns, piece == 0);
    operands_.ReleaseProbabilities();
    if (row + rows == stage.block.padded_rows) values_.Release(stage, piece);
    if (piece + 1 == pieces) {
      cube_.StoreSum(handoff_.Products(n, row), rows, tiling_->value_width, tiling_->value_width, false);
    }
    values_.LoadAhead();
    if (step + 1 == ProductSteps(n)) AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kProductsReady);
  }
  FA_INLINE int32_t ProductSteps(int64_t n) const {
    return stages_.Computes(n) ? values_.Pieces(stages_[n]) * TilesOf(*tiling_, stages_[n].block) : 0;
  }

  using Stages = StageWindow<GmSequences, kScoresAhead>;

  const Tiling* tiling_ = nullptr;
  Cube<T> cube_;
  ForwardOperands<T> operands_;
  ValueStream<T, Stages> values_;
  Handoff<T> handoff_;
  Stages stages_;
};

template <class P>
class ForwardVector {
 public:
  using T = typename P::T;

  FA_INLINE void Run(AscendC::TPipe* pipe, const Arguments& arguments, const ForwardTensors& gm, int32_t core,
                     int32_t half) {
    problem_ = &arguments.problem;
    tiling_ = &arguments.tiling;
    half_ = half;
    ub_.Init(pipe, kUbBytes);
    boxes_.Init(ub_, *tiling_);
    softmax_.Init(ub_, *tiling_, ScoreModifiers<P>::RemainingScale(*tiling_));
    modifiers_.Init(ub_, problem_, tiling_, gm);
    drop_.Init(ub_, problem_, tiling_->vector_rows * tiling_->stage_columns, gm.drop_bits);
    output_.Init(problem_, tiling_, gm.out, gm.softmax_max, gm.softmax_sum, gm.workspace);
    handoff_.Init(tiling_, gm.workspace, core);
    sink_ = GmTensor<float>(gm.sink);
    stages_.Init(problem_, tiling_, arguments.sequences, core);
    for (int64_t stage = 0; stages_.Advance(stage); ++stage) {
      if (stages_.Has(stage)) Softmax(stage);
      if (stages_.Has(stage - kProductsBehind)) Fold(stage - kProductsBehind);
    }
    if (tiling_->parts > 1) output_.JoinParts(boxes_, softmax_, arguments.sequences, core, half);
    modifiers_.Finish();
    drop_.Finish();
    boxes_.Finish();
  }

 private:
  // P of a stage, and the statistics that go with it.
  FA_INLINE void Softmax(int64_t n) {
    const Stage& stage = stages_[n];
    const Share share = ShareOf(stage.block, half_);
    const bool sink = problem_->has_sink != 0 && stage.first && stage.block.part == 0;
    softmax_.BeginStage(n, stage.first, sink, sink ? sink_.GetValue(stage.block.head) : 0.0f);
    if (!stage.Computes()) {
      softmax_.SkipStage();
      return;
    }
    AscendC::CrossCoreWaitFlag(kScoresReady);
    const int32_t columns = static_cast<int32_t>(stage.columns.end - stage.columns.begin);
    const Slabs slabs = SlabsOf(columns);
    const int32_t tile_rows = VectorTileRows(*tiling_, slabs);
    for (int32_t row = 0; row < share.rows; row += tile_rows) {
      const ScoreTile tile = {boxes_.BeginLoad(), Smaller(tile_rows, share.rows - row), slabs};
      const TilePlace place = {stage.block.sequence,
                               stage.block.head,
                               stage.block.rows.begin + share.begin + row,
                               stage.columns.begin,
                               Larger(Smaller(tile.rows, share.valid - row), 0),
                               columns};
      handoff_.LoadScores(tile, n, share.begin + row);
      boxes_.EndLoad();
      modifiers_.Apply(tile, place);
      softmax_.Exponentials(tile, row);
      drop_.Apply(tile, place);
      const LocalTensor<T> p = boxes_.BeginStore();
      Narrow(p, tile.x, tile.Elements());
      boxes_.EndCompute();
      handoff_.StoreProbabilities(p, tile, n, share.begin + row);
      boxes_.EndStore();
    }
    softmax_.EndStage();
    AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_MTE3>(kProbabilitiesReady);
  }

  // O = O * factor + X; after the last stage of a block O is done, or one part of it.
  FA_INLINE void Fold(int64_t n) {
    const Stage& stage = stages_[n];
    const Share share = ShareOf(stage.block, half_);
    if (stage.Computes()) {
      AscendC::CrossCoreWaitFlag(kProductsReady);
      softmax_.BeginFold(n);
      for (int32_t row = 0; row < share.rows; row += boxes_.Rows()) {
        const int32_t rows = Smaller(boxes_.Rows(), share.rows - row);
        const LocalTensor<float> product = boxes_.BeginLoad();
        AscendC::DataCopy(product, handoff_.Products(n, share.begin + row), rows * tiling_->value_width);
        boxes_.EndLoad();
        softmax_.Fold(product, row, rows, stage.first);
        boxes_.Release();
      }
      VectorBarrier();
    } else {
      softmax_.ClearOutput(share.rows);
    }
    if (stage.last && share.valid > 0) output_.Write(boxes_, softmax_, n, stage.block, share);
  }

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  int32_t half_ = 0;
  UbArena ub_;
  VectorBoxes<T> boxes_;
  OnlineSoftmax softmax_;
  ScoreModifiers<P> modifiers_;
  DropBits<P> drop_;
  ForwardOutput<T> output_;
  Handoff<T> handoff_;
  GlobalTensor<float> sink_;
  StageWindow<GmSequences, kProductsBehind> stages_;
};

FA_INLINE void RunForward(const ForwardTensors& gm, GM_ADDR blob) {
  RunKernel<ForwardCube, ForwardVector, Tiling>(gm, blob);
}

}  // namespace npu_fa
