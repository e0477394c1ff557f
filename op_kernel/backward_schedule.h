// The backward's blocks and stages, and its workspace.
//
// A block is up to kMaxTiles tiles of query rows of one head, a stage kBackwardStage columns of it. Each core has rings
// in the workspace; behind those of all cores lie the sums that cores share: dK, dV, and the parts of dsink.
#pragma once

#include "blob.h"

namespace npu_fa {

constexpr int32_t kMaxTiles = 8;         // of rows in a block
constexpr int32_t kKeyTile = 128;        // keys of one product
constexpr int32_t kBackwardStage = 256;  // keys handed over at a time: the bits of their compares are 32 bytes
constexpr int32_t kPieceBytes = 256;     // depth or width of one product, in bytes of an operand's row

// Slots of the rings in GM, without flags to free them. Scores t + 2 are only computed after P and dS of t came back,
// so scores t were read. P and dS t + 3 only begin after scores t + 3, which are said to be ready after the products of
// t and of the group two groups before t + 1.
constexpr int32_t kScoreSlots = 2;
constexpr int32_t kProbabilitySlots = 3;
constexpr int32_t kGradientSlotsBeyondGroups = 3;
static_assert(kScoreSlots == kScoresAhead, "a slot of scores would be overwritten unread");

struct BackwardParts {
  int32_t piece;         // elements in kPieceBytes
  int32_t tile_slots;    // tiles of 32 KiB that L1 holds for dK, dV and dQ
  int32_t group_stages;  // stages that a row of dQ is summed over on chip
  int32_t deterministic;
  int64_t kv_rows;  // of all sequences
  int64_t dk_at;    // byte offsets in the workspace
  int64_t dv_at;
  int64_t sink_at;
  int64_t workspace_bytes;
};
struct BackwardTiling : Tiling, BackwardParts {};
static_assert(FitsTheBlob<BackwardParts>() && sizeof(BackwardTiling) == sizeof(Tiling) + sizeof(BackwardParts),
              "host and device may lay the two parts out differently");

FA_FUNCTION int64_t RingElements(const BackwardTiling& t) { return int64_t{BlockRows(t)} * kBackwardStage; }
FA_FUNCTION int32_t GradientSlots(const BackwardTiling& t) { return 2 * t.group_stages + kGradientSlotsBeyondGroups; }
FA_FUNCTION int64_t QueryGradientElements(const BackwardTiling& t) { return int64_t{BlockRows(t)} * t.query_depth; }
FA_FUNCTION int32_t Pieces(const BackwardTiling& t, int32_t width) { return CeilDiv(width, t.piece); }
FA_FUNCTION int32_t PieceWidth(const BackwardTiling& t, int32_t width, int32_t piece) {
  return Smaller(t.piece, width - piece * t.piece);
}

// Row of a key in the sums of dK and dV.
FA_FUNCTION int64_t SumRow(const BackwardTiling& t, const Sequence& s, int64_t kv_head, int64_t key) {
  return kv_head * t.kv_rows + s.batch * s.kv_len + s.kv_start + key;
}

// A block with all of its stages.
struct BlockPlan {
  Block block;
  int64_t number;       // among all blocks
  int64_t order;        // among the blocks of this core that compute anything
  int64_t first_stage;  // among the stages of this core
  Range columns;
  int32_t stages;            // 0: no row sees anything
  bool last;                 // of the core
  Range visible[kMaxTiles];  // columns that a tile of rows sees

  FA_FUNCTION Range StageColumns(int32_t stage) const {
    const int64_t begin = columns.begin + int64_t{stage} * kBackwardStage;
    return {begin, Min(begin + kBackwardStage, columns.end)};
  }
  FA_FUNCTION Range KeyTile(int32_t stage, int32_t tile) const {
    const int64_t begin = columns.begin + int64_t{stage} * kBackwardStage + tile * kKeyTile;
    return {begin, Min(begin + kKeyTile, columns.end)};
  }
  // Stage behind the group that a stage belongs to. The last block of a core ends with a short one, because nothing is
  // left to be computed beside its products.
  FA_FUNCTION int32_t GroupEnd(const BackwardTiling& t, int32_t stage) const {
    const int32_t end = Smaller((stage / t.group_stages + 1) * t.group_stages, stages);
    const int32_t early = stages - kScoresAhead;
    return last && stage < early && early < end ? early : end;
  }
  FA_FUNCTION bool Sees(int32_t tile, Range keys) const {
    return visible[tile].begin < keys.end && keys.begin < visible[tile].end;
  }
};

// The tiles of rows of a block that see some of a range of columns.
class SeeingTiles {
 public:
  FA_FUNCTION SeeingTiles(const BlockPlan& plan, int32_t tiles, Range columns) {
    for (int32_t tile = 0; tile < tiles; ++tile)
      if (plan.Sees(tile, columns)) tile_[count_++] = tile;
  }
  FA_FUNCTION int32_t Count() const { return count_; }
  FA_FUNCTION int32_t operator[](int32_t i) const { return tile_[i]; }

 private:
  int32_t tile_[kMaxTiles] = {};
  int32_t count_ = 0;
};

FA_FUNCTION int32_t TilesOf(const Tiling& t, const Block& block) { return CeilDiv(block.padded_rows, t.tile_rows); }

// Walks the blocks of one core.
template <class Sequences>
class BlockWalker {
 public:
  FA_INLINE void Init(const AttentionProblem* problem, const BackwardTiling* tiling, const Sequences& sequences,
                      int32_t core) {
    tiling_ = tiling;
    number_ = tiling->first_block[core];
    end_ = tiling->first_block[core + 1];
    stages_.Init(problem, tiling, sequences, core);
  }
  FA_INLINE bool Next(BlockPlan& plan) {
    Stage stage;
    if (!stages_.Next(stage)) return false;
    plan.block = stage.block;
    plan.number = number_++;
    plan.last = number_ == end_;
    plan.columns = stage.columns;
    plan.stages = stage.Computes() ? 1 : 0;
    while (!stage.last) {
      stages_.Next(stage);
      plan.columns.end = stage.columns.end;
      ++plan.stages;
    }
    plan.order = order_;
    plan.first_stage = stage_;
    if (plan.stages > 0) ++order_;
    stage_ += plan.stages;
    for (int32_t tile = 0; tile < TilesOf(*tiling_, plan.block); ++tile) {
      const int64_t row = plan.block.rows.begin + tile * tiling_->tile_rows;
      plan.visible[tile] = VisibleKv(plan.block.sequence, row, Min(row + tiling_->tile_rows, plan.block.rows.end));
    }
    return true;
  }

 private:
  const BackwardTiling* tiling_ = nullptr;
  StageWalker<Sequences> stages_;
  int64_t number_ = 0, end_ = 0, order_ = 0, stage_ = 0;
};

}  // namespace npu_fa
