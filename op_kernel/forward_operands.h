// What the forward keeps in L1 beside V (value_stream.h): blocks of Q, two pieces of K, two tiles of P.
#pragma once

#include "head_tensor.h"
#include "kernel_arguments.h"
#include "ring.h"

namespace npu_fa {

template <typename T>
class ForwardOperands {
 public:
  FA_INLINE void Init(L1Arena& l1, const Arguments& arguments, const InputTensors& gm) {
    problem_ = &arguments.problem;
    tiling_ = &arguments.tiling;
    const AttentionProblem& p = *problem_;
    const Tiling& t = *tiling_;
    query_.Init(gm.query, p.q, p.head_dim, gm.query_rope, p.q_rope, p.rope_dim);
    key_.Init(gm.key, p.k, p.head_dim, gm.key_rope, p.k_rope, p.rope_dim);
    queries_.Init(l1, kQueryEvent, BlockRows(t) * t.query_depth, t.query_buffers);
    keys_.Init(l1, kKeyEvent, t.key_piece * t.query_depth);
    probabilities_.Init(l1, kProbabilityEvent, t.tile_rows * t.value_piece);
  }
  FA_INLINE void Finish() const {
    queries_.Finish();
    keys_.Finish();
    probabilities_.Finish();
  }

  // All rows of a block of Q, tile by tile.
  FA_INLINE void LoadQuery(const Block& block) {
    queries_.Begin();
    for (int32_t tile = 0; tile < TilesOf(*tiling_, block); ++tile) {
      const int64_t row = block.rows.begin + tile * tiling_->tile_rows;
      query_.Load(Query(tile), tiling_->tile_rows, block.sequence, block.head, row,
                  static_cast<int32_t>(Min(tiling_->tile_rows, block.rows.end - row)));
    }
    queries_.End();
  }
  FA_INLINE LocalTensor<T> Query(int32_t tile) const {
    return queries_.Current()[tile * tiling_->tile_rows * tiling_->query_depth];
  }
  FA_INLINE void ReleaseQuery() const { queries_.Release(); }

  // A piece of K; rows behind the last column keep what was there.
  FA_INLINE void LoadKeys(const Stage& stage, int32_t piece) {
    const LocalTensor<T>& l1 = keys_.Begin();
    const int64_t column = stage.columns.begin + piece * tiling_->key_piece;
    const int32_t columns = static_cast<int32_t>(Min(tiling_->key_piece, stage.columns.end - column));
    if (columns > 0) {
      key_.Load(l1, tiling_->key_piece, stage.block.sequence, KvHead(*problem_, stage.block.head), column, columns);
    }
    keys_.End();
  }
  FA_INLINE const LocalTensor<T>& Keys() const { return keys_.Current(); }
  FA_INLINE void ReleaseKeys() const { keys_.Release(); }

  // rows x columns of P out of its ring.
  FA_INLINE const LocalTensor<T>& LoadProbabilities(const GlobalTensor<T>& gm, int32_t rows, int32_t columns) {
    LoadStrips(probabilities_.Begin(), gm, rows, columns, SlabPitch(*tiling_), tiling_->tile_rows);
    probabilities_.End();
    return probabilities_.Current();
  }
  FA_INLINE void ReleaseProbabilities() const { probabilities_.Release(); }

 private:
  static constexpr int32_t kKeyEvent = 0, kProbabilityEvent = 2, kQueryEvent = 6;

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  QueryTensor<T> query_;
  KeyTensor<T> key_;
  L1Ring<T, 2> queries_, keys_, probabilities_;
};

}  // namespace npu_fa
