// Dropout on tiles of scores in UB: the bits of the stream as they are packed, and what they keep.
#pragma once

#include "ring.h"
#include "score_tile.h"

namespace npu_fa {

template <class P>
class DropBits {
 public:
  FA_INLINE void Init(UbArena& ub, const AttentionProblem* problem, int32_t tile_elements, GM_ADDR drop_bits) {
    if constexpr (P::kModified) {
      problem_ = problem;
      words_ = tile_elements / kWordBits;
      gm_ = GmTensor<uint8_t>(drop_bits);
      kept_.Init(ub, kDropEvent, 2 * words_);
    }
  }
  FA_INLINE void Finish() const {
    if constexpr (P::kModified) kept_.Finish();
  }

  // Zero where dropout drops; the kept weight waits for the end of the block.
  FA_INLINE void Apply(const ScoreTile& tile, const TilePlace& place) {
    Begin(tile, place);
    Apply(tile);
    End();
  }
  // The same for several tiles of one place: Begin, Apply to each, End.
  FA_INLINE void Begin(const ScoreTile& tile, const TilePlace& place) {
    if constexpr (P::kModified) {
      if (problem_->dropout.kind != DropoutKind::kNone) Load(tile, place);
    }
  }
  FA_INLINE void Apply(const ScoreTile& tile) const {
    if constexpr (P::kModified) {
      if (problem_->dropout.kind == DropoutKind::kNone) return;
      AscendC::Select(tile.x, kept_.Current().template ReinterpretCast<uint8_t>(), tile.x, 0.0f,
                      AscendC::SELMODE::VSEL_TENSOR_SCALAR_MODE, tile.Elements());
      VectorBarrier();
    }
  }
  FA_INLINE void End() const {
    if constexpr (P::kModified) {
      if (problem_->dropout.kind != DropoutKind::kNone) kept_.Release();
    }
  }

 private:
  static constexpr int32_t kDropEvent = 4;  // of MTE2 and V, beside those of VectorBoxes and ScoreModifiers

  // A row may begin anywhere in a byte of the stream: where some do, rows are loaded twice, sixteen bits apart, and the
  // two are shifted together.
  FA_INLINE void Load(const ScoreTile& tile, const TilePlace& place) {
    const LocalTensor<uint16_t> kept = kept_.Begin(), next = kept[words_];
    const int32_t row_words = tile.slabs.columns / kWordBits, row_bytes = 2 * row_words;
    const int64_t kv_len = place.sequence.kv_len;
    const int64_t first = DropBit(place.sequence, place.head, place.row, place.column);
    const bool aligned = kv_len % 8 == 0 && first % 8 == 0;
    if (!aligned || Partial(tile, place)) {
      AscendC::Duplicate(kept, static_cast<uint16_t>(0), 2 * words_);
      kept_.Again();
    }
    const LocalTensor<uint8_t> bytes = kept.template ReinterpretCast<uint8_t>();
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      const int32_t columns = Smaller(tile.slabs.columns, place.valid_columns - slab * kSlabColumns);
      if (columns <= 0) break;
      const LocalTensor<uint8_t> rows = bytes[slab * tile.rows * row_bytes];
      const int64_t slab_bit = first + slab * kSlabColumns;
      if (aligned && place.valid_rows > 0) {
        LoadRows(rows, gm_[slab_bit / 8], place.valid_rows, CeilDiv(columns, 8), kv_len / 8, row_bytes);
        continue;
      }
      for (int32_t row = 0; row < place.valid_rows; ++row) {
        const int64_t bit = slab_bit + row * kv_len;
        const int32_t count = static_cast<int32_t>((bit % 8 + columns + 7) / 8);
        const LocalTensor<uint8_t> ub = rows[row * row_bytes];
        LoadRows(ub, gm_[bit / 8], 1, Smaller(count, row_bytes), 0, row_bytes);
        if (count > 2) LoadRows(ub[2 * words_], gm_[bit / 8 + 2], 1, count - 2, 0, row_bytes);
      }
    }
    kept_.End();
    if (!aligned) {
      for (int32_t row = 0; row < tile.slabs.count * tile.rows; ++row) {
        if (row % tile.rows < place.valid_rows) {
          Shift(kept[row * row_words], next[row * row_words], row_words, (first + row % tile.rows * kv_len) % 8);
        }
      }
      VectorBarrier();
      AscendC::Or(kept, kept, next, tile.Elements() / kWordBits);
    }
    VectorBarrier();
  }

  // Each word of a row, and what it takes of the next one, to their places.
  FA_INLINE static void Shift(const LocalTensor<uint16_t>& words, const LocalTensor<uint16_t>& next, int32_t count,
                              uint16_t bits) {
    if (bits == 0) {
      AscendC::Duplicate(next, static_cast<uint16_t>(0), count);
      return;
    }
    AscendC::ShiftRight(words, words, bits, count);
    AscendC::ShiftLeft(next, next, static_cast<uint16_t>(kWordBits - bits), count);
  }

  const AttentionProblem* problem_ = nullptr;
  GlobalTensor<uint8_t> gm_;
  UbInRing<uint16_t, 1> kept_;  // and, behind it, the bits sixteen further on
  int32_t words_ = 0;
};

}  // namespace npu_fa
