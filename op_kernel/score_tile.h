// A tile of scores in UB, and where it lies in its sequence.
#pragma once

#include "schedule.h"
#include "vector_math.h"

namespace npu_fa {

constexpr int32_t kWordBits = 16;  // visibility and dropout are bits, one a score

// Rows of fp32 scores in UB: [slab][row][column], whole repeats.
struct ScoreTile {
  LocalTensor<float> x;
  int32_t rows;
  Slabs slabs;
  FA_INLINE int32_t SlabElements() const { return rows * slabs.columns; }
  FA_INLINE int32_t Elements() const { return slabs.count * SlabElements(); }
};

struct TilePlace {
  Sequence sequence;
  int64_t head, row, column;
  int32_t valid_rows;     // rows below it in the tile belong to no query
  int32_t valid_columns;  // likewise
};

FA_INLINE bool Partial(const ScoreTile& tile, const TilePlace& place) {
  return place.valid_rows < tile.rows || place.valid_columns < tile.slabs.count * tile.slabs.columns;
}

}  // namespace npu_fa
