// What the forward keeps in L1: blocks of Q, two pieces of K, two tiles of P, and V in two slots that stay while every
// tile of rows uses them. Each slot has one pair of events between MTE2 and MTE1.
#pragma once

#include "cube.h"
#include "head_tensor.h"
#include "l1_ring.h"

namespace npu_fa {

template <typename T>
class ForwardOperands {
 public:
  FA_INLINE void Init(AscendC::TPipe* pipe, const Arguments& arguments, const InputTensors& gm) {
    problem_ = &arguments.problem;
    tiling_ = &arguments.tiling;
    const AttentionProblem& p = *problem_;
    query_.Init(gm.query, p.q, p.head_dim, gm.query_rope, p.q_rope, p.rope_dim);
    key_.Init(gm.key, p.k, p.head_dim, gm.key_rope, p.k_rope, p.rope_dim);
    value_.Init(gm.value, p.v, p.value_dim);

    const Tiling& t = *tiling_;
    L1Arena l1;
    l1.Init(pipe, kL1Bytes);
    if (t.ragged) ClearL1<T>(l1);
    queries_.Init(l1, kQueryEvent, BlockRows(t) * t.query_depth, t.query_buffers);
    keys_.Init(l1, kKeyEvent, t.key_piece * t.query_depth);
    probabilities_.Init(l1, kProbabilityEvent, t.tile_rows * t.value_piece);
    for (int32_t i = 0; i < 2; ++i) {
      v_[i] = l1.template Take<T>(t.value_slot * t.value_piece * t.value_width);
      AscendC::SetFlag<HardEvent::MTE1_MTE2>(kValueEvent + i);
    }
  }
  FA_INLINE void Finish() {
    queries_.Finish();
    keys_.Finish();
    probabilities_.Finish();
    for (int32_t i = 0; i < 2; ++i) AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kValueEvent + i);
  }

  FA_INLINE int32_t TilesOf(const Block& block) const { return CeilDiv(block.padded_rows, tiling_->tile_rows); }
  FA_INLINE int32_t TileRows(const Block& block, int32_t tile) const {
    return Smaller(tiling_->tile_rows, block.padded_rows - tile * tiling_->tile_rows);
  }

  // All rows of a block of Q, tile by tile.
  FA_INLINE void LoadQuery(const Block& block) {
    queries_.BeginLoad();
    for (int32_t tile = 0; tile < TilesOf(block); ++tile) {
      const int64_t row = block.rows.begin + tile * tiling_->tile_rows;
      query_.Load(Query(tile), tiling_->tile_rows, block.sequence, block.head, row,
                  static_cast<int32_t>(Min(tiling_->tile_rows, block.rows.end - row)));
    }
    queries_.EndLoad();
  }
  FA_INLINE LocalTensor<T> Query(int32_t tile) const {
    return queries_.Current()[tile * tiling_->tile_rows * tiling_->query_depth];
  }
  FA_INLINE void ReleaseQuery() { queries_.Release(); }

  // A piece of K; rows behind the last column keep what was there.
  FA_INLINE void LoadKeys(const Stage& stage, int32_t piece) {
    const LocalTensor<T>& l1 = keys_.BeginLoad();
    const int64_t column = stage.columns.begin + piece * tiling_->key_piece;
    const int32_t columns = static_cast<int32_t>(Min(tiling_->key_piece, stage.columns.end - column));
    if (columns > 0) {
      key_.Load(l1, tiling_->key_piece, stage.block.sequence, KvHead(*problem_, stage.block.head), column, columns);
    }
    keys_.EndLoad();
  }
  FA_INLINE const LocalTensor<T>& Keys() const { return keys_.Current(); }
  FA_INLINE void ReleaseKeys() { keys_.Release(); }

  // rows x columns of P out of its ring.
  FA_INLINE void LoadProbabilities(const GlobalTensor<T>& gm, int32_t rows, int32_t columns) {
    LoadStrips(probabilities_.BeginLoad(), gm, rows, columns, SlabPitch(*tiling_), tiling_->tile_rows);
    probabilities_.EndLoad();
  }
  FA_INLINE const LocalTensor<T>& Probabilities() const { return probabilities_.Current(); }
  FA_INLINE void ReleaseProbabilities() { probabilities_.Release(); }

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
    value_.Load(Values(piece), tiling_->value_piece, stage.block.sequence, KvHead(*problem_, stage.block.head), column,
                columns);
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

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  QueryTensor<T> query_;
  KeyTensor<T> key_, value_;
  L1Ring<T, 2> queries_, keys_, probabilities_;
  LocalTensor<T> v_[2];
};

}  // namespace npu_fa
