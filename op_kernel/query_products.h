// The order of the products dQ += dS K: a group of stages at a time, in it a tile of rows after the other, a piece of
// their columns after the other, each summed over the tiles of keys that the rows see.
#pragma once

#include "backward_schedule.h"

namespace npu_fa {

struct QueryProduct {
  int32_t tile, piece;  // of dQ
  int64_t stage;        // among those of the core
  int32_t key_tile;     // of the stage
  Range keys;
  bool first, last;  // of its sum
  bool adds;         // the sum, to what an earlier group of the block left
};

class QueryProducts {
 public:
  FA_INLINE void Init(const BackwardTiling* tiling) {
    tiling_ = tiling;
    pieces_ = Pieces(*tiling, tiling->query_depth);
  }

  // A group of a block: the stages since the group before up to `end`. `plan` stays until they are done.
  FA_INLINE void Begin(const BlockPlan& plan, int32_t end) {
    const int32_t begin = plan_ == &plan ? end_ : 0;
    plan_ = &plan;
    end_ = end;
    columns_ = {plan.StageColumns(begin).begin, plan.StageColumns(end - 1).end};
    tile_ = piece_ = key_tile_ = left_ = 0;
    if (begin == 0) stored_ = 0;
    for (int32_t tile = 0; tile < TilesOf(*tiling_, plan.block); ++tile) left_ += Count(tile) * pieces_;
  }
  FA_INLINE const BlockPlan& Plan() const { return *plan_; }
  FA_INLINE bool Left() const { return left_ > 0; }
  // Is dQ of the block complete?
  FA_INLINE bool BlockDone() const { return left_ == 0 && end_ == plan_->stages; }

  // How many of the products left are due in a stage: all before the group ends to which it belongs, as far as possible
  // beside scores, and more where there is nothing else beside them.
  FA_INLINE int32_t Due(const BlockPlan& plan, int32_t stage) const {
    constexpr int32_t kWeightAlone = 3;
    const int32_t deadline = plan.GroupEnd(*tiling_, Larger(stage, 0)) - 1;
    const int32_t beside = plan.stages - 1 - kScoresAhead;
    const int32_t last = beside >= stage ? Smaller(deadline, beside) : deadline;
    if (stage >= last || left_ == 0) return left_;
    const int32_t weight = stage < 0 ? kWeightAlone : 1;
    const int32_t later = Larger(0, -1 - stage) * kWeightAlone + last - Larger(stage, -1);
    // Whole sums only: the products of keys need their place in L0C.
    const int32_t share = CeilDiv(left_ * weight, weight + Larger(later, 0));
    int32_t due = 0, piece = piece_;
    for (int32_t tile = tile_; due < share; ++tile, piece = 0) {
      for (; due < share && piece < pieces_; ++piece) due += Count(tile);
    }
    return due;
  }

  FA_INLINE QueryProduct Next() {
    while (Count(tile_) == 0) ++tile_;
    const Range tiles = KeyTiles(tile_);
    const int64_t begin = columns_.begin + (tiles.begin + key_tile_) * kKeyTile,
                  in_block = begin - plan_->columns.begin;
    const QueryProduct product = {tile_,
                                  piece_,
                                  plan_->first_stage + in_block / kBackwardStage,
                                  static_cast<int32_t>(in_block % kBackwardStage / kKeyTile),
                                  {begin, Min(begin + kKeyTile, columns_.end)},
                                  key_tile_ == 0,
                                  tiles.begin + key_tile_ + 1 == tiles.end,
                                  (stored_ >> tile_ & 1) != 0};
    --left_;
    ++key_tile_;
    if (!product.last) return product;
    key_tile_ = 0;
    if (++piece_ < pieces_) return product;
    piece_ = 0;
    stored_ |= 1 << tile_++;
    return product;
  }

 private:
  // Tiles of keys in the group that a tile of rows sees.
  FA_INLINE Range KeyTiles(int32_t tile) const {
    const Range& visible = plan_->visible[tile];
    const int64_t begin = Max(visible.begin, columns_.begin), end = Min(visible.end, columns_.end);
    if (begin >= end) return {0, 0};
    return {(begin - columns_.begin) / kKeyTile, CeilDiv64(end - columns_.begin, kKeyTile)};
  }
  FA_INLINE int32_t Count(int32_t tile) const {
    const Range tiles = KeyTiles(tile);
    return static_cast<int32_t>(tiles.end - tiles.begin);
  }

  const BackwardTiling* tiling_ = nullptr;
  const BlockPlan* plan_ = nullptr;
  Range columns_ = {0, 0};                       // of the group
  int32_t end_ = 0;                              // stage behind it
  int32_t tile_ = 0, piece_ = 0, key_tile_ = 0;  // of the next product
  int32_t pieces_ = 0, left_ = 0;
  int32_t stored_ = 0;  // a bit for each tile of rows that has a sum in GM
};

}  // namespace npu_fa
