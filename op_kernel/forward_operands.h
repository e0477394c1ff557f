// What the forward keeps in L1: blocks of Q, two pieces of K, two tiles of P, and V in two slots that stay while every
// tile of rows uses them. Each slot has one pair of events between MTE2 and MTE1.
#pragma once

#include "cube.h"

namespace npu_fa {

template <typename T>
class ForwardOperands {
 public:
  FA_INLINE void Init(AscendC::TPipe* pipe, const Arguments& arguments, GM_ADDR query, GM_ADDR query_rope, GM_ADDR key,
                      GM_ADDR key_rope, GM_ADDR value) {
    problem_ = &arguments.problem;
    tiling_ = &arguments.tiling;
    query_ = GmTensor<T>(query);
    query_rope_ = GmTensor<T>(query_rope);
    key_ = GmTensor<T>(key);
    key_rope_ = GmTensor<T>(key_rope);
    value_ = GmTensor<T>(value);

    const Tiling& t = *tiling_;
    Arena<AscendC::TPosition::A1> l1;
    l1.Init(pipe, kL1Bytes);
    if (t.ragged) ClearL1<T>(l1);
    for (int32_t i = 0; i < t.query_buffers; ++i) {
      q_[i] = l1.template Take<T>(BlockRows(t) * t.query_depth);
      AscendC::SetFlag<HardEvent::MTE1_MTE2>(kQueryEvent + i);
    }
    for (int32_t i = 0; i < 2; ++i) {
      k_[i] = l1.template Take<T>(t.key_piece * t.query_depth);
      p_[i] = l1.template Take<T>(t.tile_rows * t.value_piece);
      v_[i] = l1.template Take<T>(t.value_slot * t.value_piece * t.value_width);
      AscendC::SetFlag<HardEvent::MTE1_MTE2>(kKeyEvent + i);
      AscendC::SetFlag<HardEvent::MTE1_MTE2>(kProbabilityEvent + i);
      AscendC::SetFlag<HardEvent::MTE1_MTE2>(kValueEvent + i);
    }
  }
  FA_INLINE void Finish() {
    for (int32_t i = 0; i < tiling_->query_buffers; ++i) AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kQueryEvent + i);
    for (int32_t i = 0; i < 2; ++i) {
      AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kKeyEvent + i);
      AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kProbabilityEvent + i);
      AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kValueEvent + i);
    }
  }

  FA_INLINE int32_t TilesOf(const Block& block) const { return CeilDiv(block.padded_rows, tiling_->tile_rows); }
  FA_INLINE int32_t TileRows(const Block& block, int32_t tile) const {
    return Smaller(tiling_->tile_rows, block.padded_rows - tile * tiling_->tile_rows);
  }

  // All rows of a block of Q, tile by tile, with the rope part behind the rest.
  FA_INLINE void LoadQuery(const Block& block) {
    query_slot_ = (query_slot_ + 1) % tiling_->query_buffers;
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kQueryEvent + query_slot_);
    for (int32_t tile = 0; tile < TilesOf(block); ++tile) {
      const int64_t row = block.rows.begin + tile * tiling_->tile_rows;
      const int32_t rows = static_cast<int32_t>(Min(tiling_->tile_rows, block.rows.end - row));
      LoadWithRope(Query(tile), query_, problem_->q, query_rope_, problem_->q_rope,
                   QueryOffset(problem_->q, block.sequence, block.head, row),
                   QueryOffset(problem_->q_rope, block.sequence, block.head, row), rows, tiling_->tile_rows);
    }
    HandOver(kQueryEvent + query_slot_);
  }
  FA_INLINE LocalTensor<T> Query(int32_t tile) const {
    return q_[query_slot_][tile * tiling_->tile_rows * tiling_->query_depth];
  }
  FA_INLINE void ReleaseQuery() { AscendC::SetFlag<HardEvent::MTE1_MTE2>(kQueryEvent + query_slot_); }

  // A piece of K; rows behind the last column keep what was there.
  FA_INLINE void LoadKeys(const Stage& stage, int32_t piece) {
    key_slot_ ^= 1;
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kKeyEvent + key_slot_);
    const int64_t column = stage.columns.begin + piece * tiling_->key_piece;
    const int32_t columns = static_cast<int32_t>(Min(tiling_->key_piece, stage.columns.end - column));
    if (columns > 0) {
      const Sequence& s = stage.block.sequence;
      const int64_t head = KvHead(*problem_, stage.block.head);
      LoadWithRope(Keys(), key_, problem_->k, key_rope_, problem_->k_rope, KeyOffset(problem_->k, s, head, column),
                   KeyOffset(problem_->k_rope, s, head, column), columns, tiling_->key_piece);
    }
    HandOver(kKeyEvent + key_slot_);
  }
  FA_INLINE const LocalTensor<T>& Keys() const { return k_[key_slot_]; }
  FA_INLINE void ReleaseKeys() { AscendC::SetFlag<HardEvent::MTE1_MTE2>(kKeyEvent + key_slot_); }

  // rows x columns of P out of its ring.
  FA_INLINE void LoadProbabilities(const GlobalTensor<T>& gm, int32_t rows, int32_t columns) {
    probability_slot_ ^= 1;
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kProbabilityEvent + probability_slot_);
    LoadStrips(Probabilities(), gm, rows, columns, SlabPitch(*tiling_), tiling_->tile_rows);
    HandOver(kProbabilityEvent + probability_slot_);
  }
  FA_INLINE const LocalTensor<T>& Probabilities() const { return p_[probability_slot_]; }
  FA_INLINE void ReleaseProbabilities() {
    AscendC::SetFlag<HardEvent::MTE1_MTE2>(kProbabilityEvent + probability_slot_);
  }

  // V is loaded piece by piece ahead of its use; a slot is handed over when its last piece of a stage is there.
  FA_INLINE int32_t ValuePieces(const Stage& stage) const {
    return CeilDiv(static_cast<int32_t>(stage.columns.end - stage.columns.begin), tiling_->value_piece);
  }
  FA_INLINE int32_t ValueSlot(int32_t piece) const { return piece / tiling_->value_slot % 2; }
  FA_INLINE bool OpensValueSlot(int32_t piece) const { return piece % tiling_->value_slot == 0; }
  FA_INLINE bool ClosesValueSlot(const Stage& stage, int32_t piece) const {
    return piece + 1 == ValuePieces(stage) || OpensValueSlot(piece + 1);
  }
  FA_INLINE void LoadValues(const Stage& stage, int32_t piece) {
    const int32_t event = kValueEvent + ValueSlot(piece);
    if (OpensValueSlot(piece)) AscendC::WaitFlag<HardEvent::MTE1_MTE2>(event);
    const int64_t column = stage.columns.begin + piece * tiling_->value_piece;
    const int32_t columns = static_cast<int32_t>(Min(tiling_->value_piece, stage.columns.end - column));
    const int64_t head = KvHead(*problem_, stage.block.head);
    LoadStrips(Values(piece), value_[KeyOffset(problem_->v, stage.block.sequence, head, column)], columns,
               problem_->value_dim, problem_->v.row, tiling_->value_piece);
    if (ClosesValueSlot(stage, piece)) AscendC::SetFlag<HardEvent::MTE2_MTE1>(event);
  }
  FA_INLINE void AwaitValues(int32_t piece) { AscendC::WaitFlag<HardEvent::MTE2_MTE1>(kValueEvent + ValueSlot(piece)); }
  FA_INLINE LocalTensor<T> Values(int32_t piece) const {
    return v_[ValueSlot(piece)][piece % tiling_->value_slot * tiling_->value_piece * tiling_->value_width];
  }
  FA_INLINE void ReleaseValues(int32_t piece) {
    AscendC::SetFlag<HardEvent::MTE1_MTE2>(kValueEvent + ValueSlot(piece));
  }

 private:
  static constexpr int32_t kKeyEvent = 0, kProbabilityEvent = 2, kValueEvent = 4, kQueryEvent = 6;

  FA_INLINE static void HandOver(int32_t event) {
    AscendC::SetFlag<HardEvent::MTE2_MTE1>(event);
    AscendC::WaitFlag<HardEvent::MTE2_MTE1>(event);
  }

  FA_INLINE void LoadWithRope(const LocalTensor<T>& l1, const GlobalTensor<T>& gm, const Strides& strides,
                              const GlobalTensor<T>& rope, const Strides& rope_strides, int64_t offset,
                              int64_t rope_offset, int32_t rows, int32_t l1_rows) {
    LoadStrips(l1, gm[offset], rows, problem_->head_dim, strides.row, l1_rows);
    if (problem_->rope_dim == 0) return;
    LoadStrips(l1[RoundUp(problem_->head_dim, kBlockElements<T>) * l1_rows], rope[rope_offset], rows,
               problem_->rope_dim, rope_strides.row, l1_rows);
  }

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  GlobalTensor<T> query_, query_rope_, key_, key_rope_, value_;
  LocalTensor<T> q_[2], k_[2], p_[2], v_[2];
  int32_t query_slot_ = 0, key_slot_ = 0, probability_slot_ = 0;
};

}  // namespace npu_fa
