// The five products of the backward on a cube core.
//
//   S = Q K^T, dP = dY V^T     a stage for all rows of the block, kScoresAhead stages early
//   dV += P^T dY, dK += dS^T Q  a tile of keys, summed on chip over the rows of the block
//   dQ += dS K                  a tile of rows, summed on chip over the stages of a group
#pragma once

#include "backward_handoff.h"
#include "backward_operands.h"
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
    BlockPlan plans[2];  // dQ of a block is finished beside the next one's first scores
    int32_t current = 0;
    while (walker_.Next(plans[current])) {
      if (plans[current].stages == 0) continue;
      Compute(plans[current]);
      current ^= 1;
    }
    while (query_done_ < query_steps_) QueryStep();
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
      const int32_t query_steps = QueryShare(plan, stage);
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
      if (stage >= 0 && stage + 1 == plan.GroupEnd(*tiling_, stage)) BeginQueries(plan, stage + 1);
    }
    l1_.EndBlock();
  }

  // S and dP: for each tile of keys first S, then dP, of the tiles of rows that see it.
  static constexpr int32_t kKeyTiles = kBackwardStage / kKeyTile;
  static_assert(kKeyTiles == 2, "KeyTileOf tells two apart");
  FA_INLINE SeeingTiles Seeing(const BlockPlan& plan, Range columns) const {
    return SeeingTiles(plan, TilesOf(*tiling_, plan.block), columns);
  }
  // Pairs of a tile of rows and one of keys that it sees.
  FA_INLINE int32_t SeenTiles(const BlockPlan& plan, int32_t stage) const {
    int32_t seen = 0;
    for (int32_t key_tile = 0; key_tile < kKeyTiles; ++key_tile) {
      seen += Seeing(plan, plan.KeyTile(stage, key_tile)).Count();
    }
    return seen;
  }
  // The tile of keys that a step belongs to, where each has `products` for every tile of rows that sees it; `step`
  // becomes the step among those of the tile.
  FA_INLINE int32_t KeyTileOf(const BlockPlan& plan, int32_t stage, int32_t products, int32_t& step) const {
    const int32_t first = products * Seeing(plan, plan.KeyTile(stage, 0)).Count();
    if (step < first) return 0;
    step -= first;
    return 1;
  }
  FA_INLINE int32_t ScoreSteps(const BlockPlan& plan, int32_t stage) const { return 2 * SeenTiles(plan, stage); }
  FA_INLINE void ScoreStep(const BlockPlan& plan, int32_t stage, int32_t step) {
    const int32_t key_tile = KeyTileOf(plan, stage, 2, step);
    const SeeingTiles seeing = Seeing(plan, plan.KeyTile(stage, key_tile));
    const bool value = step >= seeing.Count();
    const int32_t place = step % seeing.Count(), tile = seeing[place];
    if (value) {
      l1_.NeedOutputGradient(plan.block, tile);
    } else {
      l1_.NeedQuery(plan.block, tile);
    }
    const int32_t width = value ? tiling_->value_width : tiling_->query_depth, pieces = Pieces(*tiling_, width);
    const int32_t rows = TileRows(*tiling_, plan.block, tile);
    // Keys of a single piece stay in L1 for all rows, and in L0B for two tiles of them.
    const bool single = pieces == 1, fresh = !single || place % 2 == 0;
    const bool keep = single && fresh && place + 1 < seeing.Count();
    const int64_t number = plan.first_stage + stage;
    const GlobalTensor<float> slot = value ? handoff_.ValueScores(number) : handoff_.Scores(number);
    for (int32_t piece = 0; piece < pieces; ++piece) {
      const int32_t depth = PieceWidth(*tiling_, width, piece);
      if (!single || place == 0) l1_.LoadForScores(plan.block, value, plan.KeyTile(stage, key_tile), piece);
      LoadLeft(cube_.NextLeft(), value ? l1_.OutputGradient(tile) : l1_.Query(tile), tiling_->tile_rows, width, rows,
               piece * tiling_->piece, depth);
      if (fresh) {
        LoadRightByColumns(cube_.NextRight(), l1_.ForScores(), kKeyTile, 0, depth);
        if (!single || place + 2 >= seeing.Count()) l1_.ReleaseScores();
      } else {
        cube_.ReuseRight();
      }
      cube_.MultiplyScores(slot[InSlot(tile, key_tile)], kBackwardStage, rows, kKeyTile, depth, piece == 0,
                           piece + 1 == pieces, keep);
    }
  }

  // dV and dK of each tile of keys, a piece of their columns after the other.
  FA_INLINE int32_t KeyProducts() const {
    return Pieces(*tiling_, tiling_->value_width) + Pieces(*tiling_, tiling_->query_depth);
  }
  FA_INLINE int32_t KeySteps(const BlockPlan& plan, int32_t stage) const {
    return KeyProducts() * SeenTiles(plan, stage);
  }
  FA_INLINE void KeyStep(const BlockPlan& plan, int32_t stage, int32_t step) {
    const int32_t key_tile = KeyTileOf(plan, stage, KeyProducts(), step);
    const SeeingTiles seeing = Seeing(plan, plan.KeyTile(stage, key_tile));
    int32_t piece = step / seeing.Count();
    const int32_t place = step % seeing.Count(), tile = seeing[place];
    const bool value = piece < Pieces(*tiling_, tiling_->value_width);
    if (!value) piece -= Pieces(*tiling_, tiling_->value_width);
    const int32_t width = value ? tiling_->value_width : tiling_->query_depth;
    const int32_t columns = PieceWidth(*tiling_, width, piece);
    const Range keys = plan.KeyTile(stage, key_tile);
    const int32_t key_count = static_cast<int32_t>(keys.end - keys.begin);
    const int32_t rows = TileRows(*tiling_, plan.block, tile);

    const int64_t number = plan.first_stage + stage;
    const GlobalTensor<T> weights = value ? handoff_.Probabilities(number) : handoff_.Gradients(number);
    const LocalTensor<T> left = l1_.LoadWeights(weights[InSlot(tile, key_tile)], rows);
    const int32_t padded_keys = RoundUp(key_count, kFractalSide);  // a product of one row would be another instruction
    LoadLeftByDepth(cube_.NextLeft(), left, tiling_->tile_rows, padded_keys, rows);
    l1_.ReleaseTile();
    const LocalTensor<T> right = value ? l1_.OutputGradient(tile) : l1_.Query(tile);
    cube_.Accumulate(right[piece * tiling_->piece * tiling_->tile_rows], tiling_->tile_rows, padded_keys, columns, rows,
                     place == 0);
    if (place + 1 < seeing.Count()) return;
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

  // dQ of each tile of rows over a group of stages, a piece of its columns after the other.
  FA_INLINE void BeginQueries(const BlockPlan& plan, int32_t end) {
    const int32_t begin = query_plan_ == &plan ? query_end_ : 0;
    query_plan_ = &plan;
    query_end_ = end;
    query_columns_ = {plan.StageColumns(begin).begin, plan.StageColumns(end - 1).end};
    query_ends_block_ = end == plan.stages;
    query_tile_ = query_piece_ = query_key_tile_ = query_steps_ = query_done_ = 0;
    if (begin == 0) query_stored_ = 0;
    for (int32_t tile = 0; tile < TilesOf(*tiling_, plan.block); ++tile) {
      query_steps_ += GroupKeyTiles(tile) * Pieces(*tiling_, tiling_->query_depth);
    }
    if (query_steps_ == 0) EndQueries();
  }
  // How many of the steps left are due in a stage: all before the group ends to which it belongs, as far as possible
  // beside scores, and more where there is nothing else beside them.
  FA_INLINE int32_t QueryShare(const BlockPlan& plan, int32_t stage) const {
    constexpr int32_t kWeightAlone = 3;
    const int32_t deadline = plan.GroupEnd(*tiling_, Larger(stage, 0)) - 1;
    const int32_t beside = plan.stages - 1 - kScoresAhead;
    const int32_t last = beside >= stage ? Smaller(deadline, beside) : deadline;
    const int32_t weight = stage < 0 ? kWeightAlone : 1;
    const int32_t later = Larger(0, -1 - stage) * kWeightAlone + last - Larger(stage, -1);
    const int32_t left = query_steps_ - query_done_;
    if (stage >= last || left == 0) return left;
    // Whole sums only: the products of keys need their place in L0C.
    const int32_t share = CeilDiv(left * weight, weight + Larger(later, 0));
    int32_t steps = 0, piece = query_piece_;
    for (int32_t tile = query_tile_; steps < share; ++tile, piece = 0) {
      for (; steps < share && piece < Pieces(*tiling_, tiling_->query_depth); ++piece) steps += GroupKeyTiles(tile);
    }
    return steps;
  }

  // Tiles of keys in the group that a tile of rows sees.
  FA_INLINE Range GroupTiles(int32_t tile) const {
    const Range& visible = query_plan_->visible[tile];
    const int64_t begin = Max(visible.begin, query_columns_.begin), end = Min(visible.end, query_columns_.end);
    if (begin >= end) return {0, 0};
    return {(begin - query_columns_.begin) / kKeyTile, CeilDiv64(end - query_columns_.begin, kKeyTile)};
  }
  FA_INLINE int32_t GroupKeyTiles(int32_t tile) const {
    const Range tiles = GroupTiles(tile);
    return static_cast<int32_t>(tiles.end - tiles.begin);
  }
  FA_INLINE void QueryStep() {
    const BlockPlan& plan = *query_plan_;
    while (GroupKeyTiles(query_tile_) == 0) ++query_tile_;
    const Range tiles = GroupTiles(query_tile_);
    const int64_t key_tile = tiles.begin + query_key_tile_;
    const int64_t begin = query_columns_.begin + key_tile * kKeyTile;
    const Range keys = {begin, Min(begin + kKeyTile, query_columns_.end)};
    const int32_t key_count = static_cast<int32_t>(keys.end - keys.begin);
    const int32_t rows = TileRows(*tiling_, plan.block, query_tile_);
    const int32_t columns = PieceWidth(*tiling_, tiling_->query_depth, query_piece_);

    const int64_t stage = plan.first_stage + (begin - plan.columns.begin) / kBackwardStage;
    const int32_t in_stage = static_cast<int32_t>((begin - plan.columns.begin) % kBackwardStage / kKeyTile);
    const LocalTensor<T> left = l1_.LoadWeights(handoff_.Gradients(stage)[InSlot(query_tile_, in_stage)], rows);
    LoadLeft(cube_.NextLeft(), left, tiling_->tile_rows, kKeyTile, rows, 0, RoundUp(key_count, kBlockElements<T>));
    l1_.ReleaseTile();
    const LocalTensor<T> right = l1_.LoadKeys(plan.block, keys, query_piece_);
    cube_.Accumulate(right, kKeyTile, rows, columns, key_count, query_key_tile_ == 0);
    l1_.ReleaseTile();

    ++query_done_;
    if (++query_key_tile_ < tiles.end - tiles.begin) return;
    query_key_tile_ = 0;
    // The first group of a block that a tile sees writes its dQ, later ones add to it.
    const GlobalTensor<float> sum = handoff_.QueryGradients(plan.order);
    cube_.StoreSum(sum[query_tile_ * tiling_->tile_rows * tiling_->query_depth + query_piece_ * tiling_->piece], rows,
                   columns, tiling_->query_depth, (query_stored_ >> query_tile_ & 1) != 0);
    if (++query_piece_ == Pieces(*tiling_, tiling_->query_depth)) {
      query_piece_ = 0;
      query_stored_ |= 1 << query_tile_++;
    }
    if (query_done_ == query_steps_) EndQueries();
  }
  FA_INLINE void EndQueries() {
    if (query_ends_block_) AscendC::CrossCoreSetFlag<kWithinGroup, PIPE_FIX>(kQueryGradientsReady);
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

  // dQ on its way: the group of stages, and the next product.
  const BlockPlan* query_plan_ = nullptr;
  Range query_columns_ = {0, 0};
  bool query_ends_block_ = false;
  int32_t query_end_ = 0;  // stage behind the group
  int32_t query_tile_ = 0, query_piece_ = 0, query_key_tile_ = 0;
  int32_t query_steps_ = 0, query_done_ = 0;
  int32_t query_stored_ = 0;  // a bit for each tile of rows
};

}  // namespace npu_fa
