// The five products of the backward on a cube core.
//
//   S = Q K^T, dP = dY V^T     a stage for all rows of the block, kScoresAhead stages early
//   dV += P^T dY, dK += dS^T Q  a tile of keys, summed on chip over the rows of the block
//   dQ += dS K                  a tile of rows, summed on chip over the stages of a group
#pragma once

#include "backward_handoff.h"
#include "backward_operands.h"
#include "query_products.h"
#include "turns.h"

namespace npu_fa {

struct BackwardTensors : InputTensors {
  GmAddress dy, softmax_max, softmax_sum, out;
  GmAddress dq, dk, dv, dq_rope, dk_rope, dbias, dsink, workspace;
};

template <class P>
class BackwardCube {
 public:
  using T = typename P::T;

  FA_INLINE void Run(AscendC::TPipe* pipe, const ArgumentsOf<BackwardTiling>& arguments, const BackwardTensors& gm,
                     int32_t core) {
    problem_ = &arguments.problem;
    tiling_ = &arguments.tiling;
    core_ = core;
    cube_.Init(pipe);
    l1_.Init(pipe, arguments, gm, gm.dy);
    handoff_.Init(*tiling_, gm.workspace, core);
    dk_ = GmTensor<float>(gm.workspace + tiling_->dk_at);
    dv_ = GmTensor<float>(gm.workspace + tiling_->dv_at);
    walker_.Init(problem_, tiling_, arguments.sequences, core);
    queries_.Init(tiling_);
    BlockPlan plans[2];  // dQ of a block is finished beside the next one's first scores
    int32_t current = 0;
    while (walker_.Next(plans[current])) {
      if (plans[current].stages == 0) continue;
      Compute(plans[current]);
      current ^= 1;
    }
    while (queries_.Left()) QueryStep();
    AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kSumsReady);
    l1_.Finish();
    cube_.Finish();
  }

 private:
  // Scores of a stage beside the products of earlier ones, a step of each in turn: scores keep Fixpipe busy, products
  // the cube.
  FA_INLINE void Compute(const BlockPlan& plan) {
    l1_.BeginBlock();
    BeginSums(plan.block);
    for (int32_t stage = -kScoresAhead; stage < plan.stages; ++stage) {
      const int32_t ahead = stage + kScoresAhead;
      const int32_t score_steps = ahead < plan.stages ? ScoreSteps(plan, ahead) : 0;
      const int32_t key_steps = stage >= 0 ? KeySteps(plan, stage) : 0;
      const int32_t query_steps = queries_.Due(plan, stage);
      if (stage >= 0) AscendC::CrossCoreWaitFlag(kWeightsReady);
      Turns turns(score_steps, query_steps + key_steps);
      while (turns.Next()) {
        if (turns.Leads()) {
          ScoreStep(plan, ahead, turns.Step());
          if (turns.Step() + 1 == score_steps) AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kScoresReady);
        } else if (turns.Step() < query_steps) {
          QueryStep();
        } else {
          KeyStep(plan, stage, turns.Step() - query_steps);
        }
      }
      if (stage < 0 || stage + 1 < plan.GroupEnd(*tiling_, stage)) continue;
      queries_.Begin(plan, stage + 1);
      EndQueries();
    }
    l1_.EndBlock();
  }

  // S and dP of each pair, first S of all tiles of rows that see a tile of keys.
  FA_INLINE int32_t ScoreSteps(const BlockPlan& plan, int32_t stage) const {
    return 2 * SeenPairs(*tiling_, plan, stage);
  }
  FA_INLINE void ScoreStep(const BlockPlan& plan, int32_t stage, int32_t step) {
    const PairProduct pair(*tiling_, plan, stage, 2, step);
    const int32_t tile = pair.tile;
    const bool value = pair.kind == 1;
    if (value) {
      l1_.NeedOutputGradient(plan.block, tile);
    } else {
      l1_.NeedQuery(plan.block, tile);
    }
    const int32_t width = value ? tiling_->value_width : tiling_->query_depth, pieces = Pieces(*tiling_, width);
    const int32_t rows = TileRows(*tiling_, plan.block, tile);
    // Keys of a single piece stay in L1 for all rows, and in L0B for two tiles of them.
    const bool single = pieces == 1, fresh = !single || pair.place % 2 == 0;
    const bool keep = single && fresh && pair.place + 1 < pair.tiles;
    const int64_t number = plan.first_stage + stage;
    const GlobalTensor<float> slot = value ? handoff_.ValueScores(number) : handoff_.Scores(number);
    for (int32_t piece = 0; piece < pieces; ++piece) {
      const int32_t depth = PieceWidth(*tiling_, width, piece);
      if (!single || pair.place == 0) {
        l1_.LoadForScores(plan.block, value, plan.KeyTile(stage, pair.key_tile), piece);
      }
      LoadLeft(cube_.NextLeft(), value ? l1_.OutputGradient(tile) : l1_.Query(tile), tiling_->tile_rows, width, rows,
               piece * tiling_->piece, depth);
      if (fresh) {
        LoadRightByColumns(cube_.NextRight(), l1_.ForScores(), kKeyTile, 0, depth);
        if (!single || pair.place + 2 >= pair.tiles) l1_.ReleaseScores();
      } else {
        cube_.ReuseRight();
      }
      cube_.MultiplyScores(slot[InSlot(tile, pair.key_tile)], kBackwardStage, rows, kKeyTile, depth, piece == 0,
                           piece + 1 == pieces, keep);
    }
  }

  // dV and dK of each tile of keys, a piece of their columns after the other.
  FA_INLINE int32_t KeyProducts() const {
    return Pieces(*tiling_, tiling_->value_width) + Pieces(*tiling_, tiling_->query_depth);
  }
  FA_INLINE int32_t KeySteps(const BlockPlan& plan, int32_t stage) const {
    return KeyProducts() * SeenPairs(*tiling_, plan, stage);
  }
  FA_INLINE void KeyStep(const BlockPlan& plan, int32_t stage, int32_t step) {
    const PairProduct pair(*tiling_, plan, stage, KeyProducts(), step);
    const int32_t tile = pair.tile, value_pieces = Pieces(*tiling_, tiling_->value_width);
    const bool value = pair.kind < value_pieces;
    const int32_t piece = value ? pair.kind : pair.kind - value_pieces;
    const int32_t width = value ? tiling_->value_width : tiling_->query_depth;
    const int32_t columns = PieceWidth(*tiling_, width, piece);
    const Range keys = plan.KeyTile(stage, pair.key_tile);
    const int32_t key_count = static_cast<int32_t>(keys.end - keys.begin);
    const int32_t rows = TileRows(*tiling_, plan.block, tile);

    const int64_t number = plan.first_stage + stage;
    const GlobalTensor<T> weights = value ? handoff_.Probabilities(number) : handoff_.Gradients(number);
    const LocalTensor<T> left = l1_.LoadWeights(weights[InSlot(tile, pair.key_tile)], rows);
    const int32_t padded_keys = RoundUp(key_count, kFractalSide);  // a product of one row would be another instruction
    LoadLeftByDepth(cube_.NextLeft(), left, tiling_->tile_rows, padded_keys, rows);
    l1_.ReleaseTile();
    const LocalTensor<T> right = value ? l1_.OutputGradient(tile) : l1_.Query(tile);
    cube_.Accumulate(right[piece * tiling_->piece * tiling_->tile_rows], tiling_->tile_rows, padded_keys, columns, rows,
                     pair.place == 0);
    if (pair.place + 1 < pair.tiles) return;
    const GlobalTensor<float> sum = value ? dv_ : dk_;
    const bool first = writes_first_ && VisibleQ(plan.block.sequence, keys.begin, keys.end).end <= plan.block.rows.end;
    cube_.StoreSum(sum[(sum_row_ + keys.begin) * width + piece * tiling_->piece], key_count, columns, width, !first);
  }

  // Where dK and dV of the block's head are summed, and whether its blocks are the first there.
  FA_INLINE void BeginSums(const Block& block) {
    const int64_t kv_head = KvHead(*problem_, block.head), group = problem_->q_heads / problem_->kv_heads;
    const KvHeadShare share = ShareOfKvHead(*problem_, *tiling_, block.sequence, block.first_in_sequence, kv_head);
    sum_row_ = SumRow(*problem_, *tiling_, block.sequence, kv_head, share, core_);
    writes_first_ = share.Alone(block.sequence) && block.head == kv_head * group;
  }

  // dQ, whenever there is time; query_products.h has the order.
  FA_INLINE void QueryStep() {
    const QueryProduct product = queries_.Next();
    const BlockPlan& plan = queries_.Plan();
    const int32_t rows = TileRows(*tiling_, plan.block, product.tile);
    const int32_t columns = PieceWidth(*tiling_, tiling_->query_depth, product.piece);
    const int32_t keys = static_cast<int32_t>(product.keys.end - product.keys.begin);
    const GlobalTensor<T> weights = handoff_.Gradients(product.stage)[InSlot(product.tile, product.key_tile)];
    const LocalTensor<T> left = l1_.LoadWeights(weights, rows);
    LoadLeft(cube_.NextLeft(), left, tiling_->tile_rows, kKeyTile, rows, 0, RoundUp(keys, kBlockElements<T>));
    l1_.ReleaseTile();
    cube_.Accumulate(l1_.LoadKeys(plan.block, product.keys, product.piece), kKeyTile, rows, columns, keys,
                     product.first);
    l1_.ReleaseTile();
    if (product.last) {
      const int32_t at = product.tile * tiling_->tile_rows * tiling_->query_depth + product.piece * tiling_->piece;
      cube_.StoreSum(handoff_.QueryGradients(plan.order)[at], rows, columns, tiling_->query_depth, product.adds);
    }
    EndQueries();
  }
  FA_INLINE void EndQueries() const {
    if (queries_.BlockDone()) AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kQueryGradientsReady);
  }

  // Offset in a slot of the rings.
  FA_INLINE int32_t InSlot(int32_t tile, int32_t key_tile) const {
    return tile * tiling_->tile_rows * kBackwardStage + key_tile * kKeyTile;
  }

  const AttentionProblem* problem_ = nullptr;
  const BackwardTiling* tiling_ = nullptr;
  Cube<T> cube_;
  BackwardOperands<T> l1_;
  BackwardHandoff<T> handoff_;
  GlobalTensor<float> dk_, dv_;
  BlockWalker<GmSequences> walker_;
  int32_t core_ = 0;
  int64_t sum_row_ = 0;  // of key 0 of the block's sequence and head
  bool writes_first_ = false;
  QueryProducts queries_;
};

}  // namespace npu_fa
