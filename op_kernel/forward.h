// FlashAttention forward on one cube core and its two vector cores.
//
//   cube     S = Q K^T                                    kScoresAhead stages early
//   vector   P = exp(modified S - running maximum)
//   cube     X = P V                                      summed on chip over the columns of a stage
//   vector   O = O * exp(old - new maximum) + X           kProductsBehind stages late; at the end O / sum
//
// Both kinds of core walk the same list of stages; handoff.h is what passes between them.
#pragma once

#include "entry.h"
#include "forward_operands.h"
#include "handoff.h"
#include "partial_results.h"
#include "score_modifiers.h"

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
    l1_.Init(pipe, arguments, gm);
    handoff_.Init(*tiling_, gm.workspace, core);
    walker_.Init(&arguments.problem, tiling_, arguments.sequences, core);
    bool more = true;
    for (int64_t n = 0; more || n - kScoresAhead < known_; ++n) {
      more = more && walker_.Next(stages_[n]);
      if (more) known_ = n + 1;
      Interleave(n, n - kScoresAhead);
    }
    l1_.Finish();
    cube_.Finish();
  }

 private:
  // Scores of one stage beside the products of an earlier one, a tile of each in turn: scores keep Fixpipe busy,
  // products the cube. The first products have to wait for their P, so all scores come before them.
  FA_INLINE void Interleave(int64_t scores, int64_t products) {
    const int32_t score_steps = Computes(scores) ? ScoreSteps(stages_[scores]) : 0;
    const int32_t product_steps = Computes(products) ? ProductSteps(stages_[products]) : 0;
    SkipEmptyValues();
    int32_t done = 0;
    for (int32_t step = 0; step < Larger(score_steps, 1); ++step) {
      if (step < score_steps) Scores(scores, step);
      if (step + 1 == score_steps) AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kScoresReady);
      const int32_t due =
          products == 0 && step + 1 < score_steps ? 0 : (step + 1) * product_steps / Larger(score_steps, 1);
      for (; done < due; ++done) {
        if (done == 0) AscendC::CrossCoreWaitFlag(kProbabilitiesReady);
        Products(products, done);
      }
    }
    if (product_steps > 0) AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kProductsReady);
  }
  FA_INLINE bool Computes(int64_t n) { return n >= 0 && n < known_ && stages_[n].Computes(); }
  FA_INLINE int32_t ScoreSteps(const Stage& stage) const {
    const Slabs slabs = SlabsOf(stage.columns.end - stage.columns.begin);
    return slabs.count * slabs.columns / tiling_->key_piece * l1_.TilesOf(stage.block);
  }
  FA_INLINE int32_t ProductSteps(const Stage& stage) const { return l1_.ValuePieces(stage) * l1_.TilesOf(stage.block); }

  // S of one tile of rows and one piece of columns, in up to two results. All tiles share a piece of K in L0B.
  FA_INLINE void Scores(int64_t n, int32_t step) {
    const Stage& stage = stages_[n];
    const int32_t tiles = l1_.TilesOf(stage.block), piece = step / tiles, tile = step % tiles;
    const int32_t rows = l1_.TileRows(stage.block, tile), keys = tiling_->key_piece;
    const int32_t upper = Smaller(rows, Cube<T>::kScoreBytes / 4 / keys);
    const bool shared = tiling_->depth_piece == tiling_->query_depth;
    if (step == 0 && stage.first) l1_.LoadQuery(stage.block);
    if (tile == 0) l1_.LoadKeys(stage, piece);
    const GlobalTensor<float> gm = handoff_.Scores(n)[InSlot(tile, piece * keys)];
    if (rows <= upper) score_result_ ^= 1;  // two results take both
    for (int32_t begin = 0; begin < tiling_->query_depth; begin += tiling_->depth_piece) {
      const int32_t depth = Smaller(tiling_->depth_piece, tiling_->query_depth - begin);
      LoadLeft(cube_.NextLeft(), l1_.Query(tile), tiling_->tile_rows, tiling_->query_depth, rows, begin, depth);
      if (tile == 0 || !shared) {
        LoadRightByColumns(cube_.NextRight(), l1_.Keys(), keys, begin, depth);
      } else {
        cube_.ReuseRight();
      }
      cube_.BeginProduct();
      for (int32_t row = 0; row < rows; row += upper) {
        const int32_t count = Smaller(upper, rows - row), result = score_result_ ^ (row > 0 ? 1 : 0);
        cube_.MultiplyRows(result, row * depth, count, keys, depth, begin == 0);
        if (begin + depth < tiling_->query_depth) continue;
        cube_.Store(gm[row * SlabPitch(*tiling_)], result, count, keys, SlabPitch(*tiling_));
      }
      cube_.EndProduct(shared && tile + 1 < tiles);
    }
    if (tile + 1 == tiles) l1_.ReleaseKeys();
    if (stage.last && step + 1 == ScoreSteps(stage)) l1_.ReleaseQuery();
  }

  // X (+)= P V of one tile of rows and one piece of columns.
  FA_INLINE void Products(int64_t n, int32_t step) {
    const Stage& stage = stages_[n];
    const int32_t pieces = l1_.ValuePieces(stage), tile = step / pieces, piece = step % pieces;
    const int32_t columns = static_cast<int32_t>(
        Min(tiling_->value_piece, stage.columns.end - stage.columns.begin - piece * tiling_->value_piece));
    const int32_t rows = l1_.TileRows(stage.block, tile);
    if (tile == 0 && l1_.OpensValueSlot(piece)) {
      while (value_stage_ == n && value_piece_ < Min(piece + tiling_->value_slot, pieces)) LoadNextValues();
      l1_.AwaitValues(piece);
    }
    l1_.LoadProbabilities(handoff_.Probabilities(n)[InSlot(tile, piece * tiling_->value_piece)], rows, columns);
    const int32_t depth = RoundUp(columns, kBlockElements<T>);
    LoadLeft(cube_.NextLeft(), l1_.Probabilities(), tiling_->tile_rows, tiling_->value_piece, rows, 0, depth);
    LoadRightByDepth(cube_.NextRight(), l1_.Values(piece), tiling_->value_piece, tiling_->value_width,
                     RoundUp(columns, kFractalSide));
    cube_.Multiply(Cube<T>::kAccumulator, rows, tiling_->value_width, columns, piece == 0, false);
    l1_.ReleaseProbabilities();
    if (tile + 1 == l1_.TilesOf(stage.block) && l1_.ClosesValueSlot(stage, piece)) {
      l1_.ReleaseValues(piece);
      value_slot_free_[l1_.ValueSlot(piece)] = true;
    }
    if (piece + 1 == pieces) {
      cube_.Store(handoff_.Products(n)[tile * tiling_->tile_rows * tiling_->value_width], Cube<T>::kAccumulator, rows,
                  tiling_->value_width, tiling_->value_width);
    }
    PrefetchValues();
  }

  // V is loaded in the order of its use, a piece after each product whose slot has room.
  FA_INLINE void PrefetchValues() {
    SkipEmptyValues();
    if (value_stage_ < known_ && (!l1_.OpensValueSlot(value_piece_) || value_slot_free_[l1_.ValueSlot(value_piece_)])) {
      LoadNextValues();
    }
  }
  FA_INLINE void SkipEmptyValues() {
    while (value_stage_ < known_ && !Computes(value_stage_)) ++value_stage_;
  }
  FA_INLINE void LoadNextValues() {
    const Stage& stage = stages_[value_stage_];
    l1_.LoadValues(stage, value_piece_);
    value_slot_free_[l1_.ValueSlot(value_piece_)] = false;
    if (++value_piece_ == l1_.ValuePieces(stage)) {
      value_piece_ = 0;
      ++value_stage_;
    }
  }

  // Offset in a slot of the rings of scores and P.
  FA_INLINE int32_t InSlot(int32_t tile, int32_t column) const {
    const int32_t pitch = SlabPitch(*tiling_);
    return (column / pitch * BlockRows(*tiling_) + tile * tiling_->tile_rows) * pitch + column % pitch;
  }

  const Tiling* tiling_ = nullptr;
  Cube<T> cube_;
  ForwardOperands<T> l1_;
  Handoff<T> handoff_;
  StageWalker<GmSequences> walker_;
  RecentStages<kScoresAhead + 1> stages_;
  int64_t known_ = 0;  // stages walked so far
  int64_t value_stage_ = 0;
  int32_t value_piece_ = 0;  // the piece of V to be loaded next
  bool value_slot_free_[2] = {true, true};
  int32_t score_result_ = 0;
};

template <class P>
class ForwardVector {
 public:
  using T = typename P::T;

  FA_INLINE void Run(AscendC::TPipe* pipe, const Arguments& arguments, const ForwardTensors& gm, int32_t core,
                     int32_t half) {
    problem_ = &arguments.problem;
    tiling_ = &arguments.tiling;
    core_ = core;
    half_ = half;
    const Tiling& t = *tiling_;
    ub_.Init(pipe, kUbBytes);
    boxes_.Init(ub_, t);
    softmax_.Init(ub_, VectorCoreRows(t), TallestVectorTile(t), t.vector_rows * t.stage_columns, t.value_width,
                  ScoreModifiers<P>::RemainingScale(t));
    modifiers_.Init(ub_, problem_, tiling_, gm.bias, gm.mask, gm.drop_bits);
    statistics_.Init(problem_, RoundUp(VectorCoreRows(t), kRepeatFloats), gm.softmax_max, gm.softmax_sum);
    handoff_.Init(t, gm.workspace, core);
    partial_.Init(tiling_, gm.workspace);
    out_.Init(gm.out, problem_->out, problem_->value_dim);
    sink_ = GmTensor<float>(gm.sink);
    walker_.Init(problem_, tiling_, arguments.sequences, core);
    bool more = true;
    int64_t known = 0;
    for (int64_t n = 0; more || n - kProductsBehind < known; ++n) {
      more = more && walker_.Next(stages_[n]);
      if (more) {
        known = n + 1;
        Softmax(n);
      }
      if (n >= kProductsBehind && n - kProductsBehind < known) Fold(n - kProductsBehind);
    }
    if (t.parts > 1) JoinParts(arguments.sequences);
    modifiers_.Finish();
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
      for (int32_t slab = 0; slab < slabs.count; ++slab) {
        LoadAligned(tile.x[slab * tile.SlabElements()], handoff_.Scores(n)[InSlot(share.begin + row, slab)], tile.rows,
                    slabs.columns, SlabPitch(*tiling_));
      }
      boxes_.EndLoad();
      const TilePlace place = {stage.block.sequence,
                               stage.block.head,
                               stage.block.rows.begin + share.begin + row,
                               stage.columns.begin,
                               Larger(Smaller(tile.rows, share.valid - row), 0),
                               columns};
      modifiers_.Apply(tile, place);
      softmax_.Exponentials(tile, row);
      modifiers_.Drop(tile, place);
      const LocalTensor<T> p = boxes_.BeginStore();
      OnlineSoftmax::Narrow(p, tile.x, tile.Elements());
      boxes_.EndCompute();
      for (int32_t slab = 0; slab < slabs.count; ++slab) {
        StoreAligned(handoff_.Probabilities(n)[InSlot(share.begin + row, slab)], p[slab * tile.SlabElements()],
                     tile.rows, slabs.columns, SlabPitch(*tiling_));
      }
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
        AscendC::DataCopy(product, handoff_.Products(n)[(share.begin + row) * tiling_->value_width],
                          rows * tiling_->value_width);
        boxes_.EndLoad();
        softmax_.Fold(product, row, rows, stage.first);
        boxes_.Release();
      }
      VectorBarrier();
    } else {
      softmax_.ClearOutput(share.rows);
    }
    if (!stage.last || share.valid == 0) return;
    if (stage.block.parts == 1) {
      Finish(n, stage.block, share);
    } else {
      partial_.Write(boxes_, softmax_, n, stage.block, share);
    }
  }

  // Rows that several blocks shared, dealt out anew.
  FA_INLINE void JoinParts(const GmSequences& sequences) {
    AscendC::SyncAll();
    BlockCursor<GmSequences> blocks;
    blocks.Init(problem_, tiling_, sequences, 0, tiling_->first_block[tiling_->cores]);
    Block block;
    for (int64_t n = 0; blocks.Next(block);) {
      if (block.parts == 1 || block.part > 0 || n++ % tiling_->cores != core_) continue;
      const Share share = ShareOf(block, half_);
      if (share.valid == 0) continue;
      partial_.Join(boxes_, softmax_, block, share);
      Finish(block.parts - 1, block, share);
    }
  }

  // O / sum and the statistics of a block whose last stage is n.
  FA_INLINE void Finish(int64_t n, const Block& block, const Share& share) {
    statistics_.Write(boxes_, softmax_, n, block, block.rows.begin + share.begin, share.valid);
    softmax_.BeginNormalise(n, tiling_->inverse_keep);
    for (int32_t row = 0; row < share.valid; row += boxes_.Rows()) {
      const int32_t rows = Smaller(boxes_.Rows(), share.valid - row);
      const LocalTensor<T> out = boxes_.BeginStore();
      softmax_.Normalise(out, row, rows);
      boxes_.EndResult();
      out_.Store(out, tiling_->value_width, block.sequence, block.head, block.rows.begin + share.begin + row, rows);
      boxes_.EndStore();
    }
    VectorBarrier();
  }

  FA_INLINE int32_t InSlot(int32_t row, int32_t slab) const {
    return (slab * BlockRows(*tiling_) + row) * SlabPitch(*tiling_);
  }

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  int32_t core_ = 0, half_ = 0;
  Arena<AscendC::TPosition::VECCALC> ub_;
  VectorBoxes<T> boxes_;
  OnlineSoftmax softmax_;
  ScoreModifiers<P> modifiers_;
  StatisticsWriter statistics_;
  PartialResults<T> partial_;
  Handoff<T> handoff_;
  QueryTensor<T> out_;
  GlobalTensor<float> sink_;
  StageWalker<GmSequences> walker_;
  RecentStages<kProductsBehind + 1> stages_;
};

FA_INLINE void RunForward(const ForwardTensors& gm, GM_ADDR blob) {
  RunKernel<ForwardCube, ForwardVector, Tiling>(gm, blob);
}

}  // namespace npu_fa
