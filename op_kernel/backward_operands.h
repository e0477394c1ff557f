// What the backward keeps in L1: Q and dY of a block, a tile of K or V for the scores of all its rows, and a ring of
// tiles for the products that follow. Every tile is up to 32 KiB.
#pragma once

#include "backward_schedule.h"
#include "cube.h"
#include "head_tensor.h"
#include "kernel_arguments.h"
#include "ring.h"

namespace npu_fa {

template <typename T>
class BackwardOperands {
 public:
  FA_INLINE void Init(AscendC::TPipe* pipe, const ArgumentsOf<BackwardTiling>& arguments, const InputTensors& gm,
                      GM_ADDR dy) {
    problem_ = &arguments.problem;
    tiling_ = &arguments.tiling;
    const AttentionProblem& p = *problem_;
    query_.Init(gm.query, p.q, p.head_dim, gm.query_rope, p.q_rope, p.rope_dim);
    key_.Init(gm.key, p.k, p.head_dim, gm.key_rope, p.k_rope, p.rope_dim);
    value_.Init(gm.value, p.v, p.value_dim);
    dy_.Init(dy, p.out, p.value_dim);

    L1Arena l1;
    l1.Init(pipe, kL1Bytes);
    ClearL1<T>(l1);
    q_ = l1.template Take<T>(BlockRows(*tiling_) * tiling_->query_depth);
    y_ = l1.template Take<T>(BlockRows(*tiling_) * tiling_->value_width);
    scores_.Init(l1, kScoreEvent, kTileElements);
    tiles_.Init(l1, kTileEvent, kTileElements, tiling_->tile_slots);
    for (int32_t event = kBlockEvent; event < kScoreEvent; ++event) AscendC::SetFlag<HardEvent::MTE1_MTE2>(event);
  }
  FA_INLINE void Finish() {
    for (int32_t event = kBlockEvent; event < kScoreEvent; ++event) AscendC::WaitFlag<HardEvent::MTE1_MTE2>(event);
    scores_.Finish();
    tiles_.Finish();
  }

  // Q and dY of a block arrive tile by tile, with the first use of each.
  FA_INLINE void BeginBlock() {
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kBlockEvent);
    loaded_ = 0;
  }
  FA_INLINE void EndBlock() { AscendC::SetFlag<HardEvent::MTE1_MTE2>(kBlockEvent); }
  FA_INLINE void NeedQuery(const Block& block, int32_t tile) { Need(query_, Query(tile), block, tile, 2 * tile); }
  FA_INLINE void NeedOutputGradient(const Block& block, int32_t tile) {
    Need(dy_, OutputGradient(tile), block, tile, 2 * tile + 1);
  }
  FA_INLINE LocalTensor<T> Query(int32_t tile) const { return q_[tile * tiling_->tile_rows * tiling_->query_depth]; }
  FA_INLINE LocalTensor<T> OutputGradient(int32_t tile) const {
    return y_[tile * tiling_->tile_rows * tiling_->value_width];
  }

  // A piece of the depth of a tile of K or V, for scores. Rows behind the last key keep what was there.
  FA_INLINE void LoadForScores(const Block& block, bool value, Range keys, int32_t piece) {
    const LocalTensor<T>& l1 = scores_.Begin();
    if (keys.begin < keys.end) LoadKeyPiece(value ? value_ : key_, l1, block, keys, piece);
    scores_.End();
  }
  FA_INLINE const LocalTensor<T>& ForScores() const { return scores_.Current(); }
  FA_INLINE void ReleaseScores() { scores_.Release(); }

  // Tiles for products, in a ring: each is loaded, used once and released.
  FA_INLINE LocalTensor<T> LoadWeights(const GlobalTensor<T>& gm, int32_t rows) {
    LoadStrips(tiles_.Begin(), gm, rows, kKeyTile, kBackwardStage, tiling_->tile_rows);
    tiles_.End();
    return tiles_.Current();
  }
  FA_INLINE LocalTensor<T> LoadKeys(const Block& block, Range keys, int32_t piece) {
    LoadKeyPiece(key_, tiles_.Begin(), block, keys, piece);
    tiles_.End();
    return tiles_.Current();
  }
  FA_INLINE void ReleaseTile() { tiles_.Release(); }

 private:
  static constexpr int32_t kTileElements = kKeyTile * kPieceBytes / static_cast<int32_t>(sizeof(T));
  static constexpr int32_t kBlockEvent = 0, kRowsEvent = 1, kScoreEvent = 3, kTileEvent = 4;
  static constexpr int32_t kMaxTileSlots = 4;

  // Loads are guarded by two events in turn, so that one is not two ahead of the use that waits for it.
  FA_INLINE void Need(const QueryTensor<T>& tensor, const LocalTensor<T>& l1, const Block& block, int32_t tile,
                      int32_t bit) {
    if ((loaded_ >> bit & 1) != 0) return;
    loaded_ |= 1 << bit;
    rows_event_ ^= 1;
    const int32_t event = kRowsEvent + rows_event_;
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(event);
    const int64_t row = block.rows.begin + tile * tiling_->tile_rows;
    tensor.Load(l1, tiling_->tile_rows, block.sequence, block.head, row,
                static_cast<int32_t>(Min(tiling_->tile_rows, block.rows.end - row)));
    AscendC::SetFlag<HardEvent::MTE2_MTE1>(event);
    AscendC::WaitFlag<HardEvent::MTE2_MTE1>(event);
    AscendC::SetFlag<HardEvent::MTE1_MTE2>(event);
  }
  FA_INLINE void LoadKeyPiece(const KeyTensor<T>& tensor, const LocalTensor<T>& l1, const Block& block, Range keys,
                              int32_t piece) {
    tensor.Load(l1, kKeyTile, block.sequence, KvHead(*problem_, block.head), keys.begin,
                static_cast<int32_t>(keys.end - keys.begin), piece * tiling_->piece, (piece + 1) * tiling_->piece);
  }

  const AttentionProblem* problem_ = nullptr;
  const BackwardTiling* tiling_ = nullptr;
  QueryTensor<T> query_, dy_;
  KeyTensor<T> key_, value_;
  LocalTensor<T> q_, y_;
  L1Ring<T, 1> scores_;
  L1Ring<T, kMaxTileSlots> tiles_;
  int32_t loaded_ = 0, rows_event_ = 0;
};

}  // namespace npu_fa
