// Which core computes which blocks, and the stages of columns each block walks through.
//
// A block is some rows of one head and all columns they see; or a part of those columns, where rows are too few to fill
// the chip. Blocks are numbered sequence after sequence, head after head, downwards (or upwards), part after part; core
// c owns [first_block[c], first_block[c + 1]). Host tiling and both kinds of core go through the same walk.
#pragma once

#include "policy.h"

namespace npu_fa {

constexpr int32_t kMaxCores = 64;

// Everything a kernel needs besides the problem; the device receives {AttentionProblem, Tiling, Sequence[]}.
struct Tiling {
  int32_t policy;
  int32_t cores;
  int32_t tile_rows;                // rows of one product of the cube
  int32_t tiles;                    // of them in a block: 1 or 2
  int32_t stage_columns;            // columns between two rescalings of O, a multiple of kCompareColumns
  int32_t value_piece;              // columns of P in one product P V
  int32_t value_slot;               // pieces of V in one of the two slots of L1
  int32_t key_piece;                // columns of scores in one product Q K^T
  int32_t depth_piece;              // elements of head_dim in one product Q K^T
  int32_t query_depth;              // head_dim and rope_dim, each rounded up to 32 bytes
  int32_t value_width;              // value_dim rounded up to a fractal
  int32_t vector_rows;              // rows of a tile of the vector core
  int32_t query_buffers;            // blocks of Q that L1 holds
  int32_t parts = 1;                // blocks that share their rows, at most
  int32_t part_stages = INT32_MAX;  // stages of each of them
  int32_t ragged;                   // some tiles are not full: L1 is cleared first
  int32_t upwards;                  // the last rows of a head are its first block
  float scale;
  float inverse_keep;  // 1 / keep_prob; 1 without dropout
  int64_t workspace_per_core;
  int64_t partial_bytes;  // of workspace, for the results of blocks that share their rows
  int64_t first_block[kMaxCores + 1];
};

FA_FUNCTION int32_t BlockRows(const Tiling& t) { return t.tiles * t.tile_rows; }
FA_FUNCTION int32_t VectorCoreRows(const Tiling& t) { return RoundUp(CeilDiv(BlockRows(t), 2), kFractalSide); }
FA_FUNCTION int32_t SlabPitch(const Tiling& t) { return Smaller(t.stage_columns, kSlabColumns); }
FA_FUNCTION int64_t ScoreSlotElements(const Tiling& t) { return int64_t{BlockRows(t)} * t.stage_columns; }
FA_FUNCTION int64_t ProductSlotElements(const Tiling& t) { return int64_t{BlockRows(t)} * t.value_width; }
// What a block leaves of rows it shares with others: O, maximum and sum.
FA_FUNCTION int64_t PartialElements(const Tiling& t) { return int64_t{BlockRows(t)} * (t.value_width + 2); }

// Elements of a buffer that a vector core loads and stores through: a tile of scores, or eight rows of O.
FA_FUNCTION int32_t BoxElements(const Tiling& t) {
  return Larger(t.vector_rows * t.stage_columns, kBlockFloats * t.value_width);
}

// The rows are split between the two vector cores at `split`.
struct Block {
  Sequence sequence;
  int64_t head;
  Range rows;
  int32_t padded_rows;  // rounded up to a fractal
  int32_t split;
  Range columns;
  int32_t part, parts;  // among those that share the rows
  int64_t number;
  int64_t first_in_sequence;  // number of the sequence's first block
};

// Tiles of rows of a block, products of the cube; the last one may be shorter.
FA_FUNCTION int32_t TilesOf(const Tiling& t, const Block& block) { return CeilDiv(block.padded_rows, t.tile_rows); }
FA_FUNCTION int32_t TileRows(const Tiling& t, const Block& block, int32_t tile) {
  return Smaller(t.tile_rows, block.padded_rows - tile * t.tile_rows);
}

// The rows of a block that one of the two vector cores has; the first `valid` of them are queries.
struct Share {
  int32_t begin, rows, valid;
};

FA_FUNCTION Share ShareOf(const Block& block, int32_t half) {
  const int32_t begin = half == 0 ? 0 : block.split;
  const int32_t end = half == 0 ? Smaller(block.split, block.padded_rows) : block.padded_rows;
  const int32_t queries = static_cast<int32_t>(block.rows.end - block.rows.begin);
  return {begin, Larger(end - begin, 0), Larger(Smaller(end, queries) - begin, 0)};
}

// Columns of a block that are computed together. A block that sees nothing has one stage without columns.
struct Stage {
  Block block;
  Range columns;
  bool first, last;  // of its part
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

FA_FUNCTION int64_t BlocksPerHead(const Tiling& t, const Sequence& s) {
  return CeilDiv64(s.q_len, BlockRows(t)) * t.parts;
}

FA_FUNCTION Range RowsOf(const Tiling& t, const Sequence& s, int64_t block) {
  const int64_t from_first = block / t.parts;
  const int64_t index = t.upwards != 0 ? CeilDiv64(s.q_len, BlockRows(t)) - 1 - from_first : from_first;
  const int64_t begin = index * BlockRows(t);
  return {begin, Min(begin + BlockRows(t), s.q_len)};
}

// The columns of the part-th block of rows that see `span`.
FA_FUNCTION Range PartOf(const Tiling& t, Range span, int64_t part) {
  const int64_t width = int64_t{t.part_stages} * t.stage_columns;
  return {Min(span.begin + part * width, span.end), Min(span.begin + (part + 1) * width, span.end)};
}

// What a block costs, in columns of a full block: what it computes, and a share for coming and going.
FA_FUNCTION int64_t BlockCost(const Tiling& t, const Sequence& s, int64_t block) {
  constexpr int64_t kOverhead = 128;
  const Range rows = RowsOf(t, s, block);
  const Range columns = PartOf(t, StageSpan(t, s, rows), block % t.parts);
  if (block % t.parts > 0 && columns.begin == columns.end) return 0;
  const int64_t tall = CeilDiv64(rows.end - rows.begin, kFractalSide) * kFractalSide;
  return kOverhead + (columns.end - columns.begin) * tall / BlockRows(t);
}

// Walks blocks in order. `Sequences` has At(index) -> Sequence.
template <class Sequences>
class BlockCursor {
 public:
  FA_INLINE void Init(const AttentionProblem* problem, const Tiling* tiling, const Sequences& sequences, int64_t begin,
                      int64_t end) {
    problem_ = problem;
    tiling_ = tiling;
    sequences_ = sequences;
    next_ = begin;
    end_ = end;
    if (begin < end) block_.sequence = sequences_.At(0);
  }

  // The next block, or false at the end. Rows that see nothing have one block, without columns.
  FA_INLINE bool Next(Block& block) {
    while (next_ < end_) {
      Locate(next_++);
      if (block_.part > 0 && block_.columns.begin == block_.columns.end) continue;
      block = block_;
      return true;
    }
    return false;
  }

 private:
  FA_INLINE void Locate(int64_t number) {
    int64_t per_head = BlocksPerHead(*tiling_, block_.sequence);
    while (number - base_ >= per_head * problem_->q_heads) {
      base_ += per_head * problem_->q_heads;
      block_.sequence = sequences_.At(++sequence_);
      per_head = BlocksPerHead(*tiling_, block_.sequence);
    }
    const int64_t index = (number - base_) % per_head;
    block_.number = number;
    block_.first_in_sequence = base_;
    block_.head = (number - base_) / per_head;
    block_.rows = RowsOf(*tiling_, block_.sequence, index);
    const int32_t rows = static_cast<int32_t>(block_.rows.end - block_.rows.begin);
    block_.padded_rows = RoundUp(rows, kFractalSide);
    block_.split = RoundUp(CeilDiv(rows, 2), kFractalSide);
    const Range span = StageSpan(*tiling_, block_.sequence, block_.rows);
    block_.part = static_cast<int32_t>(index % tiling_->parts);
    block_.parts = static_cast<int32_t>(
        Max(1, CeilDiv64(span.end - span.begin, int64_t{tiling_->part_stages} * tiling_->stage_columns)));
    block_.columns = PartOf(*tiling_, span, block_.part);
  }

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  Sequences sequences_ = {};
  Block block_ = {};
  int64_t next_ = 0, end_ = 0;
  int64_t base_ = 0;  // number of the first block of the sequence
  int64_t sequence_ = 0;
};

// Walks the stages of one core in order.
template <class Sequences>
class StageWalker {
 public:
  FA_INLINE void Init(const AttentionProblem* problem, const Tiling* tiling, const Sequences& sequences, int32_t core) {
    tiling_ = tiling;
    blocks_.Init(problem, tiling, sequences, tiling->first_block[core], tiling->first_block[core + 1]);
  }

  // The next stage, or false when the core is done.
  FA_INLINE bool Next(Stage& stage) {
    Range& columns = stage_.columns;
    const Range& span = stage_.block.columns;
    stage_.first = stage_.last;
    if (stage_.first) {
      if (!blocks_.Next(stage_.block)) return false;
      columns.end = span.begin;
    }
    columns = {columns.end, Min(columns.end + tiling_->stage_columns, span.end)};
    stage_.last = columns.end >= span.end;
    stage = stage_;
    return true;
  }

 private:
  const Tiling* tiling_ = nullptr;
  BlockCursor<Sequences> blocks_;
  Stage stage_ = {{}, {0, 0}, false, true};
};

// The stages of one core by number: the last one that was walked and kBehind before it.
template <class Sequences, int32_t kBehind>
class StageWindow {
 public:
  FA_INLINE void Init(const AttentionProblem* problem, const Tiling* tiling, const Sequences& sequences, int32_t core) {
    walker_.Init(problem, tiling, sequences, core);
  }

  // Walks on to a stage, if there is one; false when not even the one kBehind before it is there.
  FA_INLINE bool Advance(int64_t number) {
    if (number == known_ && walker_.Next(stages_[number % (kBehind + 1)])) ++known_;
    return number - kBehind < known_;
  }
  FA_INLINE bool Has(int64_t number) const { return number >= 0 && number < known_; }
  FA_INLINE bool Computes(int64_t number) const { return Has(number) && (*this)[number].Computes(); }
  FA_INLINE const Stage& operator[](int64_t number) const { return stages_[number % (kBehind + 1)]; }

 private:
  StageWalker<Sequences> walker_;
  Stage stages_[kBehind + 1] = {};
  int64_t known_ = 0;
};

}  // namespace npu_fa
