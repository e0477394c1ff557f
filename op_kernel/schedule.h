// Which core computes which blocks of rows, and the stages of columns each block walks through.
//
// Blocks are numbered sequence after sequence, head after head, downwards; core c owns [first_block[c],
// first_block[c + 1]). Host tiling and both kinds of core go through the same walk.
#pragma once

#include "policy.h"

namespace npu_fa {

constexpr int32_t kMaxCores = 64;

// Everything a kernel needs besides the problem; the device receives {AttentionProblem, Tiling, Sequence[]}.
struct Tiling {
  int32_t policy;
  int32_t cores;
  int32_t tile_rows;      // rows of one product of the cube
  int32_t tiles;          // of them in a block: 1 or 2
  int32_t stage_columns;  // columns between two rescalings of O, a multiple of kCompareColumns
  int32_t value_piece;    // columns of P in one product P V
  int32_t value_slot;     // pieces of V in one of the two slots of L1
  int32_t depth_piece;    // elements of head_dim in one product Q K^T
  int32_t query_depth;    // head_dim and rope_dim, each rounded up to 32 bytes
  int32_t value_width;    // value_dim rounded up to a fractal
  int32_t vector_rows;    // rows of a tile of the vector core
  int32_t query_buffers;  // blocks of Q that L1 holds
  float scale;
  float inverse_keep;  // 1 / keep_prob; 1 without dropout
  int64_t workspace_per_core;
  int64_t first_block[kMaxCores + 1];
};

FA_FUNCTION int32_t BlockRows(const Tiling& t) { return t.tiles * t.tile_rows; }
FA_FUNCTION int32_t VectorCoreRows(const Tiling& t) { return RoundUp(CeilDiv(BlockRows(t), 2), kFractalSide); }
FA_FUNCTION int32_t SlabPitch(const Tiling& t) { return Smaller(t.stage_columns, kSlabColumns); }
FA_FUNCTION int64_t ScoreSlotElements(const Tiling& t) { return int64_t{BlockRows(t)} * t.stage_columns; }
FA_FUNCTION int64_t ProductSlotElements(const Tiling& t) { return int64_t{BlockRows(t)} * t.value_width; }

// Elements of a buffer that a vector core loads and stores through: a tile of scores, or eight rows of O.
FA_FUNCTION int32_t BoxElements(const Tiling& t) {
  return Larger(t.vector_rows * t.stage_columns, kBlockFloats * t.value_width);
}

// A block of rows of one head; the rows are split between the two vector cores at `split`.
struct Block {
  Sequence sequence;
  int64_t head;
  Range rows;
  int32_t padded_rows;  // rounded up to a fractal
  int32_t split;
};

// Columns of a block that are computed together. A block that sees nothing has one stage without columns.
struct Stage {
  Block block;
  Range columns;
  bool first, last;  // of its block
  FA_FUNCTION bool Computes() const { return columns.begin < columns.end; }
};

// Layout of a stage's columns in slabs.
struct Slabs {
  int32_t count;    // 1, or stage_columns / kSlabColumns
  int32_t columns;  // computed in each: a multiple of kCompareColumns
};

FA_FUNCTION Slabs SlabsOf(int64_t columns) {
  if (columns <= kSlabColumns) return {1, RoundUp(static_cast<int32_t>(columns), kCompareColumns)};
  return {CeilDiv(static_cast<int32_t>(columns), kSlabColumns), kSlabColumns};
}

// Rows of a tile of the vector core: a narrow stage takes more of them, as far as the broadcasts of row maxima go.
FA_FUNCTION int32_t TallestVectorTile(const Tiling& t) { return Larger(t.vector_rows, kFractalSide); }
FA_FUNCTION int32_t VectorTileRows(const Tiling& t, const Slabs& slabs) {
  const int32_t rows = t.vector_rows * t.stage_columns / (slabs.count * slabs.columns);
  return Smaller(rows, TallestVectorTile(t));
}

// Stages cover the visible columns in multiples of stage_columns, so that equal rows are computed equally wherever
// the block begins.
FA_FUNCTION Range StageSpan(const Tiling& t, const Sequence& s, Range rows) {
  const Range visible = VisibleKv(s, rows.begin, rows.end);
  if (visible.begin >= visible.end) return {0, 0};
  return {visible.begin / t.stage_columns * t.stage_columns, visible.end};
}

FA_FUNCTION int64_t BlocksPerHead(const Tiling& t, const Sequence& s) { return CeilDiv64(s.q_len, BlockRows(t)); }

// What a block costs, in columns of a full block: what it computes, and a share for coming and going.
FA_FUNCTION int64_t BlockCost(const Tiling& t, const Sequence& s, int64_t block) {
  constexpr int64_t kOverhead = 128;
  const int64_t begin = block * BlockRows(t);
  const Range rows = {begin, Min(begin + BlockRows(t), s.q_len)};
  const Range span = StageSpan(t, s, rows);
  const int64_t tall = CeilDiv64(rows.end - rows.begin, kFractalSide) * kFractalSide;
  return kOverhead + (span.end - span.begin) * tall / BlockRows(t);
}

// Walks the stages of one core in order. `Sequences` has At(index) -> Sequence.
template <class Sequences>
class StageWalker {
 public:
  FA_INLINE void Init(const AttentionProblem* problem, const Tiling* tiling, const Sequences& sequences, int32_t core) {
    problem_ = problem;
    tiling_ = tiling;
    sequences_ = sequences;
    next_block_ = tiling->first_block[core];
    end_block_ = tiling->first_block[core + 1];
    if (next_block_ < end_block_) stage_.block.sequence = sequences_.At(0);
  }

  // The next stage, or false when the core is done.
  FA_INLINE bool Next(Stage& stage) {
    if (stage_.last && !NextBlock()) return false;
    stage_.first = column_ == span_.begin;
    stage_.columns = {column_, Min(column_ + tiling_->stage_columns, span_.end)};
    column_ = stage_.columns.end;
    stage_.last = column_ >= span_.end;
    stage = stage_;
    return true;
  }

 private:
  FA_INLINE bool NextBlock() {
    if (next_block_ >= end_block_) return false;
    Block& block = stage_.block;
    int64_t per_head = BlocksPerHead(*tiling_, block.sequence);
    while (next_block_ - base_ >= per_head * problem_->q_heads) {
      base_ += per_head * problem_->q_heads;
      block.sequence = sequences_.At(++sequence_);
      per_head = BlocksPerHead(*tiling_, block.sequence);
    }
    const int64_t index = next_block_ - base_;
    block.head = index / per_head;
    const int64_t begin = index % per_head * BlockRows(*tiling_);
    block.rows = {begin, Min(begin + BlockRows(*tiling_), block.sequence.q_len)};
    const int32_t rows = static_cast<int32_t>(block.rows.end - block.rows.begin);
    block.padded_rows = RoundUp(rows, kFractalSide);
    block.split = RoundUp(CeilDiv(rows, 2), kFractalSide);
    span_ = StageSpan(*tiling_, block.sequence, block.rows);
    column_ = span_.begin;
    ++next_block_;
    return true;
  }

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  Sequences sequences_ = {};
  Stage stage_ = {{}, {0, 0}, false, true};
  Range span_ = {0, 0};
  int64_t column_ = 0, next_block_ = 0, end_block_ = 0;
  int64_t base_ = 0;  // number of the first block of the sequence
  int64_t sequence_ = 0;
};

}  // namespace npu_fa
