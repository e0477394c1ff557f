// Scale, bias and visibility of one tile of scores in UB.
//
// Visibility is bits, one a score: the band's come from compares of a vector of column numbers with the bounds of each
// row, a dense mask's from its bytes; bits combine sixteen to a lane.
#pragma once

#include "kernel_arguments.h"
#include "ring.h"
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

  FA_INLINE void Init(UbArena& ub, const AttentionProblem* problem, const Tiling* tiling, const InputTensors& gm) {
    problem_ = problem;
    tiling_ = tiling;
    const int32_t elements = tiling->vector_rows * tiling->stage_columns;
    visible_ = ub.Take<uint16_t>(elements / kWordBits);
    other_ = ub.Take<uint16_t>(elements / kWordBits);
    band_ = ub.Take<uint16_t>(elements / kWordBits);
    columns_ = ub.Take<float>(kSlabColumns);
    AscendC::CreateVecIndex(columns_, 0.0f, kSlabColumns);
    if constexpr (P::kModified) {
      bias_ = GmTensor<T>(gm.bias);
      slopes_ = GmTensor<float>(gm.bias);
      mask_ = GmTensor<uint8_t>(gm.mask);
      wide_ = ub.Take<float>(elements);
      raw_bias_.Init(ub, kBiasEvent, elements);
      raw_mask_.Init(ub, kMaskEvent, elements);
    }
    VectorBarrier();
  }
  FA_INLINE void Finish() const {
    if constexpr (P::kModified) {
      raw_bias_.Finish();
      raw_mask_.Finish();
    }
  }

  // What Apply leaves for the softmax to multiply with.
  FA_INLINE static float RemainingScale(const Tiling& t) { return P::kModified ? 1.0f : t.scale; }

  // x becomes the operator's x, -inf where hidden; a plain tile is not scaled yet.
  FA_INLINE void Apply(const ScoreTile& tile, const TilePlace& place) {
    const bool masked = P::kModified && problem_->mask.present;
    if constexpr (P::kModified) {
      ScaleAndBias(tile, place);
      if (masked) MaskBits(tile, place);
    }
    for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
      const bool cut = BandHides(tile, place, slab);
      const LocalTensor<uint16_t> visible = visible_[slab * tile.SlabElements() / kWordBits];
      if (cut) BandBits(tile, place, slab, visible, masked);
      if (!cut && !masked) continue;
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

 private:
  static constexpr int32_t kBiasEvent = 2, kMaskEvent = 3;  // of MTE2 and V, beside those of VectorBoxes and DropBits

  // Does the band, or the end of the keys, hide anything in a slab of the tile?
  FA_INLINE bool BandHides(const ScoreTile& tile, const TilePlace& place, int32_t slab) const {
    const int64_t begin = place.column + slab * kSlabColumns;
    if (place.valid_columns < slab * kSlabColumns + tile.slabs.columns) return true;
    return !FullyVisible(place.sequence.band, {place.row, place.row + tile.rows}, {begin, begin + tile.slabs.columns});
  }

  // One compare of the column numbers with a bound for each row of a slab.
  FA_INLINE void CompareRows(const LocalTensor<uint16_t>& bits, const ScoreTile& tile, AscendC::CMPMODE mode,
                             int64_t first_bound, int64_t bound_step) {
    const LocalTensor<uint8_t> bytes = bits.template ReinterpretCast<uint8_t>();
    for (int32_t row = 0; row < tile.rows; ++row) {
      const int64_t bound = Clamp(first_bound + row * bound_step, -2 * kSlabColumns, 2 * kSlabColumns);
      AscendC::CompareScalar(bytes[row * tile.slabs.columns / 8], columns_, static_cast<float>(bound), mode,
                             tile.slabs.columns);
    }
    VectorBarrier();
  }

  // visible = (visible and) what the band shows of a slab, and nothing behind the last key.
  FA_INLINE void BandBits(const ScoreTile& tile, const TilePlace& place, int32_t slab,
                          const LocalTensor<uint16_t>& visible, bool combine) {
    const Band& band = place.sequence.band;
    const LocalTensor<uint16_t> bits = combine ? band_ : visible;
    const int32_t words = tile.SlabElements() / kWordBits;
    const int64_t column = place.column + slab * kSlabColumns;
    const int64_t high = place.row + band.hi - column, low = place.row + band.lo - column;
    const int64_t last = place.valid_columns - 1 - slab * kSlabColumns;
    CompareRows(bits, tile, AscendC::CMPMODE::LE, high, 1);
    if (low + tile.rows - 1 > 0) {
      CompareRows(other_, tile, AscendC::CMPMODE::GE, low, 1);
      AscendC::And(bits, bits, other_, words);
      VectorBarrier();
    }
    if (band.prefix > column) {
      CompareRows(other_, tile, AscendC::CMPMODE::LT, band.prefix - column, 0);
      AscendC::Or(bits, bits, other_, words);
      VectorBarrier();
    }
    if (last + 1 < tile.slabs.columns) {
      CompareRows(other_, tile, AscendC::CMPMODE::LE, last, 0);
      AscendC::And(bits, bits, other_, words);
      VectorBarrier();
    }
    if (!combine) return;
    AscendC::And(visible, visible, bits, words);
    VectorBarrier();
  }

  // Rows of a [head, row, column] tensor in GM into [slab][row][column] in UB; the rest of the tile becomes zero.
  template <typename E>
  FA_INLINE void LoadTile(UbInRing<E, 1>& ring, const GlobalTensor<E>& gm, const ScoreTile& tile,
                          const TilePlace& place, int64_t row_stride) {
    const LocalTensor<E> ub = BeginTile(ring, tile, Partial(tile, place));
    for (int32_t slab = 0; place.valid_rows > 0 && slab < tile.slabs.count; ++slab) {
      const int32_t count = Smaller(tile.slabs.columns, place.valid_columns - slab * kSlabColumns);
      if (count <= 0) break;
      LoadRows(ub[slab * tile.SlabElements()], gm[slab * kSlabColumns], place.valid_rows, count, row_stride,
               tile.slabs.columns);
    }
    ring.End();
  }
  template <typename E>
  FA_INLINE const LocalTensor<E>& BeginTile(UbInRing<E, 1>& ring, const ScoreTile& tile, bool clear) {
    const LocalTensor<E>& ub = ring.Begin();
    if (clear) {
      AscendC::Duplicate(ub.template ReinterpretCast<uint16_t>(), static_cast<uint16_t>(0),
                         tile.Elements() * static_cast<int32_t>(sizeof(E)) / 2);
      ring.Again();
    }
    return ub;
  }

  FA_INLINE void Scale(const ScoreTile& tile) {
    AscendC::Muls(tile.x, tile.x, tiling_->scale, tile.Elements());
    VectorBarrier();
  }

  // In their order.
  FA_INLINE void ScaleAndBias(const ScoreTile& tile, const TilePlace& place) {
    const Bias& bias = problem_->bias;
    if (bias.order == BiasOrder::kScaleThenAdd || bias.kind == BiasKind::kNone) Scale(tile);
    if (bias.kind == BiasKind::kNone) return;
    if (BiasIsSlope(bias.kind)) {
      const float slope = slopes_.GetValue(BiasOffset(*problem_, place.sequence, place.head, place.row, place.column));
      AscendC::Axpy(tile.x, Distances(tile, place), -slope, tile.Elements());
    } else {
      AddDenseBias(tile, place);
    }
    VectorBarrier();
    if (bias.order == BiasOrder::kAddThenScale) Scale(tile);
  }

  FA_INLINE void AddDenseBias(const ScoreTile& tile, const TilePlace& place) {
    if (BiasByRows(*problem_)) {
      LoadDiagonals(tile, place);
    } else {
      const int64_t begin = BiasOffset(*problem_, place.sequence, place.head, place.row, place.column);
      const int64_t next = BiasOffset(*problem_, place.sequence, place.head, place.row + 1, place.column);
      LoadTile(raw_bias_, bias_[begin], tile, place, next - begin);
    }
    const LocalTensor<T>& bias = raw_bias_.Current();
    if constexpr (sizeof(T) == sizeof(float)) {
      AscendC::Add(tile.x, tile.x, bias, tile.Elements());
    } else if constexpr (AscendC::IsSameType<T, half>::value) {
      AscendC::Axpy(tile.x, bias, static_cast<half>(1.0f), tile.Elements());
    } else {
      AscendC::Cast(wide_, bias, AscendC::RoundMode::CAST_NONE, tile.Elements());
      VectorBarrier();
      AscendC::Add(tile.x, tile.x, wide_, tile.Elements());
    }
    raw_bias_.Release();
  }
  FA_INLINE void LoadDiagonals(const ScoreTile& tile, const TilePlace& place) {
    const LocalTensor<T> ub = BeginTile(raw_bias_, tile, true);
    for (int32_t row = 0; row < place.valid_rows; ++row) {
      const TableRow table = DiagonalTableRow(*problem_, place, row);
      for (int32_t slab = 0; slab < tile.slabs.count; ++slab) {
        const int32_t count = Smaller(tile.slabs.columns, table.columns - slab * kSlabColumns);
        if (count <= 0) break;
        LoadRows(ub[(slab * tile.rows + row) * tile.slabs.columns], bias_[table.begin + slab * kSlabColumns], 1, count,
                 0, tile.slabs.columns);
      }
    }
    raw_bias_.End();
  }

  // visible_ = what the dense mask lets through.
  FA_INLINE void MaskBits(const ScoreTile& tile, const TilePlace& place) {
    LoadTile(raw_mask_, mask_[MaskOffset(*problem_, place.sequence, place.head, place.row, place.column)], tile, place,
             problem_->mask.row_stride);
    const LocalTensor<half> values = wide_.template ReinterpretCast<half>();
    AscendC::Cast(values, raw_mask_.Current(), AscendC::RoundMode::CAST_NONE, tile.Elements());
    raw_mask_.Release();
    VectorBarrier();
    AscendC::CompareScalar(visible_.template ReinterpretCast<uint8_t>(), values, static_cast<half>(0.0f),
                           AscendC::CMPMODE::EQ, tile.Elements());
    VectorBarrier();
  }

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  GlobalTensor<T> bias_;
  GlobalTensor<float> slopes_;
  GlobalTensor<uint8_t> mask_;
  LocalTensor<uint16_t> visible_, other_, band_;
  LocalTensor<float> columns_, wide_;
  UbInRing<T, 1> raw_bias_;
  UbInRing<uint8_t, 1> raw_mask_;
};

}  // namespace npu_fa
