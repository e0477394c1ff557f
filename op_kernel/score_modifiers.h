// Bias, mask and dropout on one tile of scores in UB.
//
// Visibility is bits, one a score: the band's come from compares of a vector of column numbers with the bounds of each
// row, a dense mask's from its bytes; bits combine sixteen to a lane. Loads wait on events 2 to 4 of MTE2 and V.
#pragma once

#include "score_tile.h"

namespace npu_fa {

// Part of a row of a bias table.
struct TableRow {
  int64_t begin;
  int32_t columns;
};

template <class P>
class ScoreModifiers {
 public:
  using T = typename P::T;

  template <class UbArena>
  FA_INLINE void Init(UbArena& ub, const AttentionProblem* problem, const Tiling* tiling, const InputTensors& gm) {
    problem_ = problem;
    tiling_ = tiling;
    const int32_t elements = tiling->vector_rows * tiling->stage_columns;
    const int32_t words = elements / 16;
    visible_ = ub.template Take<uint16_t>(words);
    other_ = ub.template Take<uint16_t>(words);
    band_ = ub.template Take<uint16_t>(words);
    columns_ = ub.template Take<float>(kSlabColumns);
    AscendC::CreateVecIndex(columns_, 0.0f, kSlabColumns);
    if constexpr (P::kModified) {
      bias_ = GmTensor<T>(gm.bias);
      slopes_ = GmTensor<float>(gm.bias);
      mask_ = GmTensor<uint8_t>(gm.mask);
      drop_bits_ = GmTensor<uint8_t>(gm.drop_bits);
      wide_ = ub.template Take<float>(elements);
      raw_bias_ = ub.template Take<T>(elements);
      raw_mask_ = ub.template Take<uint8_t>(elements);
      kept_ = ub.template Take<uint16_t>(words);
      kept_next_ = ub.template Take<uint16_t>(words);
      for (int32_t event = kBiasEvent; event <= kDropEvent; ++event) AscendC::SetFlag<HardEvent::V_MTE2>(event);
    }
    VectorBarrier();
  }
  FA_INLINE void Finish() {
    if constexpr (P::kModified) {
      for (int32_t event = kBiasEvent; event <= kDropEvent; ++event) AscendC::WaitFlag<HardEvent::V_MTE2>(event);
    }
  }

  // What Apply leaves for the softmax to multiply with.
  FA_INLINE static float RemainingScale(const Tiling& t) { return P::kModified ? 1.0f : t.scale; }

  // x becomes the operator's x, -inf where hidden; a plain tile is not scaled yet.
  FA_INLINE void Apply(const ScoreTile& tile, const TilePlace& place) {
    if constexpr (P::kModified) {
      Bias(tile, place);
      if (problem_->mask.present) MaskBits(tile, place);
    }
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      const bool band = BandHides(tile, place, slab);
      const bool mask = P::kModified && problem_->mask.present;
      const LocalTensor<uint16_t> visible = visible_[slab * tile.SlabElements() / kWordBits];
      if (band) BandBits(tile, place, slab, visible, mask);
      if (!band && !mask) continue;
      const LocalTensor<float> x = tile.x[slab * tile.SlabElements()];
      AscendC::Select(x, visible.template ReinterpretCast<uint8_t>(), x, -kInfinity,
                      AscendC::SELMODE::VSEL_TENSOR_SCALAR_MODE, tile.SlabElements());
      VectorBarrier();
    }
  }

  // What a slope is multiplied with, element by element; until the next call of anything here.
  FA_INLINE const LocalTensor<float>& Distances(const ScoreTile& tile, const TilePlace& place) {
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      const int64_t column = place.column + slab * kSlabColumns;
      for (int32_t row = 0; row < tile.rows; ++row) {
        const int64_t distance = column - place.row - row + place.sequence.position_shift;
        AscendC::Adds(wide_[(slab * tile.rows + row) * tile.slabs.columns], columns_, static_cast<float>(distance),
                      tile.slabs.columns);
      }
    }
    VectorBarrier();
    AscendC::Abs(wide_, wide_, tile.Elements());
    VectorBarrier();
    if (problem_->bias.kind == BiasKind::kSlopeSqrt) {
      AscendC::Sqrt(wide_, wide_, tile.Elements());
      VectorBarrier();
    }
    return wide_;
  }

  // Tables of diagonals have no constant row stride.
  FA_INLINE static bool BiasByRows(const AttentionProblem& p) {
    return p.bias.kind == BiasKind::kDiagonal || p.bias.kind == BiasKind::kDiagonalTnd;
  }

  // A row of a Toeplitz table, which lies there without gaps from the table row that holds its leftmost diagonal on.
  // What the table does not hold is hidden.
  FA_INLINE static TableRow DiagonalTableRow(const AttentionProblem& p, const TilePlace& place, int32_t row) {
    const int64_t begin = BiasOffset(p, place.sequence, place.head, place.row + row, place.column);
    const int64_t table = place.sequence.bias_start + place.head * p.bias.head_stride;
    const int64_t column = (begin - table) % p.bias.row_stride;
    return {begin, static_cast<int32_t>(Min(place.valid_columns, p.bias.row_stride - column))};
  }

  // Zero where dropout drops; the kept weight waits for the end of the block.
  FA_INLINE void Drop(const ScoreTile& tile, const TilePlace& place) {
    BeginDrop(tile, place);
    Drop(tile);
    EndDrop();
  }
  // The same for several tiles of one place.
  FA_INLINE void BeginDrop(const ScoreTile& tile, const TilePlace& place) {
    if constexpr (P::kModified) {
      if (problem_->dropout.kind == DropoutKind::kNone) return;
      KeptBits(tile, place);
      VectorBarrier();
    }
  }
  FA_INLINE void Drop(const ScoreTile& tile) {
    if constexpr (P::kModified) {
      if (problem_->dropout.kind == DropoutKind::kNone) return;
      AscendC::Select(tile.x, kept_.template ReinterpretCast<uint8_t>(), tile.x, 0.0f,
                      AscendC::SELMODE::VSEL_TENSOR_SCALAR_MODE, tile.Elements());
      VectorBarrier();
    }
  }
  FA_INLINE void EndDrop() {
    if constexpr (P::kModified) {
      if (problem_->dropout.kind != DropoutKind::kNone) AscendC::SetFlag<HardEvent::V_MTE2>(kDropEvent);
    }
  }

 private:
  static constexpr int32_t kBiasEvent = 2, kMaskEvent = 3, kDropEvent = 4;
  static constexpr int32_t kWordBits = 16;

  // Does the band, or the end of the keys, hide anything in a slab of the tile?
  FA_INLINE bool BandHides(const ScoreTile& tile, const TilePlace& place, int32_t slab) const {
    const int64_t begin = place.column + slab * kSlabColumns;
    if (place.valid_columns < slab * kSlabColumns + tile.slabs.columns) return true;
    return !FullyVisible(place.sequence.band, {place.row, place.row + tile.rows}, {begin, begin + tile.slabs.columns});
  }

  FA_INLINE static float Bound(int64_t column) {
    return static_cast<float>(Clamp(column, -2 * kSlabColumns, 2 * kSlabColumns));
  }

  // One compare of the column numbers with a bound for each row of a slab.
  FA_INLINE void CompareRows(const LocalTensor<uint16_t>& bits, const ScoreTile& tile, AscendC::CMPMODE mode,
                             int64_t first_bound, int64_t bound_step) {
    const LocalTensor<uint8_t> bytes = bits.template ReinterpretCast<uint8_t>();
    for (int32_t row = 0; row < tile.rows; ++row) {
      AscendC::CompareScalar(bytes[row * tile.slabs.columns / 8], columns_, Bound(first_bound + row * bound_step), mode,
                             tile.slabs.columns);
    }
    VectorBarrier();
  }

  // visible = (visible and) what the band shows of a slab, and nothing behind the last key.
  FA_INLINE void BandBits(const ScoreTile& tile, const TilePlace& place, int32_t slab,
                          const LocalTensor<uint16_t>& visible, bool combine) {
    const Band& band = place.sequence.band;
    const int32_t words = tile.SlabElements() / kWordBits;
    const int64_t column = place.column + slab * kSlabColumns;
    const int64_t high = place.row + band.hi - column, low = place.row + band.lo - column;
    const int64_t last = place.valid_columns - 1 - slab * kSlabColumns;
    CompareRows(band_, tile, AscendC::CMPMODE::LE, high, 1);
    if (low + tile.rows - 1 > 0) {
      CompareRows(other_, tile, AscendC::CMPMODE::GE, low, 1);
      AscendC::And(band_, band_, other_, words);
      VectorBarrier();
    }
    if (band.prefix > column) {
      CompareRows(other_, tile, AscendC::CMPMODE::LT, band.prefix - column, 0);
      AscendC::Or(band_, band_, other_, words);
      VectorBarrier();
    }
    if (last + 1 < tile.slabs.columns) {
      CompareRows(other_, tile, AscendC::CMPMODE::LE, last, 0);
      AscendC::And(band_, band_, other_, words);
      VectorBarrier();
    }
    AscendC::And(visible, band_, combine ? visible : band_, words);
    VectorBarrier();
  }

  // Rows of a [head, row, column] tensor in GM into [slab][row][column] in UB; whole bytes or elements. Everything
  // else in the tile becomes zero when it would be read.
  template <typename E>
  FA_INLINE void LoadTile(const LocalTensor<E>& ub, const GlobalTensor<E>& gm, const ScoreTile& tile, int32_t rows,
                          int32_t columns, int64_t row_stride) {
    if (rows == 0) return;
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      const int32_t count = Smaller(tile.slabs.columns, columns - slab * kSlabColumns);
      if (count <= 0) break;
      LoadRows(ub[slab * tile.SlabElements()], gm[slab * kSlabColumns], rows, count, row_stride, tile.slabs.columns);
    }
  }

  // Before a load that does not fill the tile, under the V_MTE2 event the load has taken.
  template <typename E>
  FA_INLINE void Clear(const LocalTensor<E>& ub, const ScoreTile& tile, int32_t event) {
    AscendC::Duplicate(ub.template ReinterpretCast<uint16_t>(), static_cast<uint16_t>(0),
                       tile.Elements() * static_cast<int32_t>(sizeof(E)) / 2);
    AscendC::SetFlag<HardEvent::V_MTE2>(event);
    AscendC::WaitFlag<HardEvent::V_MTE2>(event);
  }

  FA_INLINE bool Partial(const ScoreTile& tile, const TilePlace& place) const {
    return place.valid_rows < tile.rows || place.valid_columns < tile.slabs.count * tile.slabs.columns;
  }

  FA_INLINE void Scale(const ScoreTile& tile) {
    AscendC::Muls(tile.x, tile.x, tiling_->scale, tile.Elements());
    VectorBarrier();
  }

  // Scale and bias, in their order.
  FA_INLINE void Bias(const ScoreTile& tile, const TilePlace& place) {
    const npu_fa::Bias& bias = problem_->bias;
    if (bias.order == BiasOrder::kScaleThenAdd || bias.kind == BiasKind::kNone) Scale(tile);
    if (bias.kind == BiasKind::kNone) return;
    if (BiasIsSlope(bias.kind)) {
      Slope(tile, place);
    } else {
      DenseBias(tile, place);
    }
    VectorBarrier();
    if (bias.order == BiasOrder::kAddThenScale) Scale(tile);
  }

  FA_INLINE void Slope(const ScoreTile& tile, const TilePlace& place) {
    const float slope = slopes_.GetValue(BiasOffset(*problem_, place.sequence, place.head, place.row, place.column));
    AscendC::Axpy(tile.x, Distances(tile, place), -slope, tile.Elements());
  }

  // x += the bias of the tile.
  FA_INLINE void DenseBias(const ScoreTile& tile, const TilePlace& place) {
    AscendC::WaitFlag<HardEvent::V_MTE2>(kBiasEvent);
    const bool by_rows = BiasByRows(*problem_);
    if (Partial(tile, place) || by_rows) Clear(raw_bias_, tile, kBiasEvent);
    if (by_rows) {
      for (int32_t row = 0; row < place.valid_rows; ++row) LoadDiagonalRow(tile, place, row);
    } else {
      const int64_t begin = BiasOffset(*problem_, place.sequence, place.head, place.row, place.column);
      const int64_t next = BiasOffset(*problem_, place.sequence, place.head, place.row + 1, place.column);
      LoadTile(raw_bias_, bias_[begin], tile, place.valid_rows, place.valid_columns, next - begin);
    }
    AscendC::SetFlag<HardEvent::MTE2_V>(kBiasEvent);
    AscendC::WaitFlag<HardEvent::MTE2_V>(kBiasEvent);
    if constexpr (sizeof(T) == sizeof(float)) {
      AscendC::Add(tile.x, tile.x, raw_bias_, tile.Elements());
    } else if constexpr (AscendC::IsSameType<T, half>::value) {
      AscendC::Axpy(tile.x, raw_bias_, static_cast<half>(1.0f), tile.Elements());
    } else {
      AscendC::Cast(wide_, raw_bias_, AscendC::RoundMode::CAST_NONE, tile.Elements());
      VectorBarrier();
      AscendC::Add(tile.x, tile.x, wide_, tile.Elements());
    }
    AscendC::SetFlag<HardEvent::V_MTE2>(kBiasEvent);
  }

  FA_INLINE void LoadDiagonalRow(const ScoreTile& tile, const TilePlace& place, int32_t row) {
    const TableRow table = DiagonalTableRow(*problem_, place, row);
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      const int32_t count = Smaller(tile.slabs.columns, table.columns - slab * kSlabColumns);
      if (count <= 0) break;
      LoadRows(raw_bias_[(slab * tile.rows + row) * tile.slabs.columns], bias_[table.begin + slab * kSlabColumns], 1,
               count, 0, tile.slabs.columns);
    }
  }

  // visible_ = what the dense mask lets through.
  FA_INLINE void MaskBits(const ScoreTile& tile, const TilePlace& place) {
    AscendC::WaitFlag<HardEvent::V_MTE2>(kMaskEvent);
    if (Partial(tile, place)) Clear(raw_mask_, tile, kMaskEvent);
    LoadTile(raw_mask_, mask_[MaskOffset(*problem_, place.sequence, place.head, place.row, place.column)], tile,
             place.valid_rows, place.valid_columns, problem_->mask.row_stride);
    AscendC::SetFlag<HardEvent::MTE2_V>(kMaskEvent);
    AscendC::WaitFlag<HardEvent::MTE2_V>(kMaskEvent);
    const LocalTensor<half> values = wide_.template ReinterpretCast<half>();
    AscendC::Cast(values, raw_mask_, AscendC::RoundMode::CAST_NONE, tile.Elements());
    AscendC::SetFlag<HardEvent::V_MTE2>(kMaskEvent);
    VectorBarrier();
    AscendC::CompareScalar(visible_.template ReinterpretCast<uint8_t>(), values, static_cast<half>(0.0f),
                           AscendC::CMPMODE::EQ, tile.Elements());
    VectorBarrier();
  }

  // kept_ = the bits of the dropout stream, each row from a byte boundary on. A row may begin anywhere in a byte of the
  // stream: it is loaded twice, sixteen bits apart, and the two are shifted together.
  FA_INLINE void KeptBits(const ScoreTile& tile, const TilePlace& place) {
    AscendC::WaitFlag<HardEvent::V_MTE2>(kDropEvent);
    const int32_t row_words = tile.slabs.columns / kWordBits;
    const int64_t first = DropBit(place.sequence, place.head, place.row, place.column);
    const bool aligned = place.sequence.kv_len % 8 == 0 && first % 8 == 0;
    if (!aligned || Partial(tile, place)) {
      AscendC::Duplicate(kept_, static_cast<uint16_t>(0), tile.Elements() / kWordBits);
      AscendC::Duplicate(kept_next_, static_cast<uint16_t>(0), tile.Elements() / kWordBits);
      AscendC::SetFlag<HardEvent::V_MTE2>(kDropEvent);
      AscendC::WaitFlag<HardEvent::V_MTE2>(kDropEvent);
    }
    const LocalTensor<uint8_t> bytes = kept_.template ReinterpretCast<uint8_t>();
    const LocalTensor<uint8_t> next_bytes = kept_next_.template ReinterpretCast<uint8_t>();
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      const int32_t columns = Smaller(tile.slabs.columns, place.valid_columns - slab * kSlabColumns);
      if (columns <= 0) break;
      const int64_t slab_bit = first + slab * kSlabColumns;
      const int32_t at = slab * tile.rows * row_words * 2;
      if (aligned && place.valid_rows > 0) {
        LoadRows(bytes[at], drop_bits_[slab_bit / 8], place.valid_rows, CeilDiv(columns, 8), place.sequence.kv_len / 8,
                 row_words * 2);
        continue;
      }
      for (int32_t row = 0; row < place.valid_rows; ++row) {
        const int64_t bit = slab_bit + row * place.sequence.kv_len;
        const int32_t count = static_cast<int32_t>((bit % 8 + columns + 7) / 8);
        LoadRows(bytes[at + row * row_words * 2], drop_bits_[bit / 8], 1, Smaller(count, row_words * 2), 0,
                 row_words * 2);
        if (count > 2)
          LoadRows(next_bytes[at + row * row_words * 2], drop_bits_[bit / 8 + 2], 1, count - 2, 0, row_words * 2);
      }
    }
    AscendC::SetFlag<HardEvent::MTE2_V>(kDropEvent);
    AscendC::WaitFlag<HardEvent::MTE2_V>(kDropEvent);
    if (aligned) return;
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      for (int32_t row = 0; row < place.valid_rows; ++row) {
        const uint16_t shift = (first + slab * kSlabColumns + row * place.sequence.kv_len) % 8;
        const int32_t at = (slab * tile.rows + row) * row_words;
        if (shift == 0) {
          AscendC::Duplicate(kept_next_[at], static_cast<uint16_t>(0), row_words);
          continue;
        }
        AscendC::ShiftRight(kept_[at], kept_[at], shift, row_words);
        AscendC::ShiftLeft(kept_next_[at], kept_next_[at], static_cast<uint16_t>(kWordBits - shift), row_words);
      }
    }
    VectorBarrier();
    AscendC::Or(kept_, kept_, kept_next_, tile.Elements() / kWordBits);
  }

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  GlobalTensor<T> bias_;
  GlobalTensor<float> slopes_;
  GlobalTensor<uint8_t> mask_, drop_bits_;
  LocalTensor<uint16_t> visible_, other_, band_, kept_, kept_next_;
  LocalTensor<uint8_t> raw_mask_;
  LocalTensor<T> raw_bias_;
  LocalTensor<float> columns_, wide_;
};

}  // namespace npu_fa
