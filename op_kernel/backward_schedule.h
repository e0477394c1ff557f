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
constexpr int32_t kKeyTiles = kBackwardStage / kKeyTile;
constexpr int32_t kPieceBytes = 256;  // depth or width of one product, in bytes of an operand's row

// A vector core takes the rows of a stage in groups: a tile of scores in UB, and a box with S beside dP, or P beside
// dS.
constexpr int32_t kRowGroup = kFractalSide;
constexpr int32_t kBackwardTile = kRowGroup * kBackwardStage;
constexpr int32_t kBackwardBox = 2 * kBackwardTile;

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
  int64_t kv_rows;     // of all sequences
  int64_t longest_kv;  // rows of a core's own sums in deterministic mode, 0 where no cores share a head
  int64_t dk_at;       // byte offsets in the workspace
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

// A kv head of a sequence, and who computes it: the blocks of its query heads, and the cores that have some of them.
struct KvHeadShare {
  int64_t first_block, end_block;
  int32_t first_core, end_core;

  // Sums of dK and dV that a single core computes need no zeros to start from: the first block that sees a tile of keys
  // writes it, later ones add to it, and what no block sees is never read.
  FA_FUNCTION bool Alone(const Sequence& s) const { return end_core - first_core <= 1 && s.band.lo <= s.band.hi; }
};

FA_FUNCTION bool HasBlocks(const Tiling& t, int32_t core, const KvHeadShare& share) {
  return t.first_block[core] < t.first_block[core + 1] && t.first_block[core] < share.end_block &&
         share.first_block < t.first_block[core + 1];
}

// `first_block`: of the sequence.
FA_FUNCTION KvHeadShare ShareOfKvHead(const AttentionProblem& p, const Tiling& t, const Sequence& s,
                                      int64_t first_block, int64_t kv_head) {
  const int64_t blocks = BlocksPerHead(t, s) * (p.q_heads / p.kv_heads);
  KvHeadShare share = {first_block + kv_head * blocks, first_block + (kv_head + 1) * blocks, 0, 0};
  while (share.first_core < t.cores && !HasBlocks(t, share.first_core, share)) ++share.first_core;
  for (int32_t core = share.first_core; core < t.cores; ++core) {
    if (HasBlocks(t, core, share)) share.end_core = core + 1;
  }
  share.end_core = Larger(share.end_core, share.first_core);
  return share;
}

// Where a sequence and kv head has its sums of dK and dV: the row of its first key. Cores that share a head have one of
// their own each in deterministic mode: a core shares at most its first and its last head.
FA_FUNCTION int64_t SumRow(const AttentionProblem& p, const BackwardTiling& t, const Sequence& s, int64_t kv_head,
                           const KvHeadShare& share, int32_t core) {
  if (t.deterministic != 0 && !share.Alone(s)) {
    const int32_t which = share.first_block < t.first_block[core] ? 0 : 1;
    return p.kv_heads * t.kv_rows + (2 * core + which) * t.longest_kv;
  }
  return kv_head * t.kv_rows + s.batch * s.kv_len + s.kv_start;
}

// A block with all of its stages.
struct BlockPlan {
  Block block;
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
    return {begin, Min(begin + kKeyTile, block.sequence.kv_len)};
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
  // Columns of a stage in the tiles of keys that a tile of rows sees, counted from the stage's first.
  FA_FUNCTION Range SeenColumns(int32_t tile, int32_t stage) const {
    Range seen = {kBackwardStage, 0};
    for (int32_t i = 0; i < kKeyTiles; ++i) {
      if (Sees(tile, KeyTile(stage, i))) seen = {Min(seen.begin, i * kKeyTile), (i + 1) * kKeyTile};
    }
    return seen;
  }
};

// Tiles of rows of a block that see some of a range of columns.
FA_FUNCTION int32_t SeeingTiles(const BackwardTiling& t, const BlockPlan& plan, Range keys) {
  int32_t count = 0;
  for (int32_t tile = 0; tile < TilesOf(t, plan.block); ++tile) count += plan.Sees(tile, keys) ? 1 : 0;
  return count;
}
// Pairs of such a tile and a tile of keys in a stage.
FA_FUNCTION int32_t SeenPairs(const BackwardTiling& t, const BlockPlan& plan, int32_t stage) {
  int32_t count = 0;
  for (int32_t tile = 0; tile < kKeyTiles; ++tile) count += SeeingTiles(t, plan, plan.KeyTile(stage, tile));
  return count;
}

// A product for a pair. A tile of keys has products of several kinds, kind after kind, each for all tiles of rows.
struct PairProduct {
  int32_t key_tile, kind, tile;
  int32_t place, tiles;  // place of `tile` among the tiles that see the keys

  FA_FUNCTION PairProduct(const BackwardTiling& t, const BlockPlan& plan, int32_t stage, int32_t kinds, int32_t step)
      : key_tile(0), kind(0), tile(0), place(0), tiles(SeeingTiles(t, plan, plan.KeyTile(stage, 0))) {
    for (; step >= kinds * tiles; tiles = SeeingTiles(t, plan, plan.KeyTile(stage, ++key_tile))) step -= kinds * tiles;
    kind = step / tiles;
    place = step % tiles;
    for (int32_t before = place; !plan.Sees(tile, plan.KeyTile(stage, key_tile)) || before-- > 0;) ++tile;
  }
};

// Walks the blocks of one core.
template <class Sequences>
class BlockWalker {
 public:
  FA_INLINE void Init(const AttentionProblem* problem, const BackwardTiling* tiling, const Sequences& sequences,
                      int32_t core) {
    tiling_ = tiling;
    end_ = tiling->first_block[core + 1];
    stages_.Init(problem, tiling, sequences, core);
  }
  FA_INLINE bool Next(BlockPlan& plan) {
    Stage stage;
    if (!stages_.Next(stage)) return false;
    plan.block = stage.block;
    plan.last = plan.block.number + 1 == end_;
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
  int64_t end_ = 0, order_ = 0, stage_ = 0;
};

}  // namespace npu_fa
