// What the backward keeps in L1: Q and dY of a block, a tile of K or V for the scores of all its rows, and a ring of
// tiles for the products that follow. Every tile is up to 32 KiB.
#pragma once

#include "backward_schedule.h"
#include "cube.h"

namespace npu_fa {

template <typename T>
class BackwardOperands {
 public:
  FA_INLINE void Init(AscendC::TPipe* pipe, const AttentionProblem* problem, const BackwardTiling* tiling,
                      GM_ADDR query, GM_ADDR query_rope, GM_ADDR key, GM_ADDR key_rope, GM_ADDR value, GM_ADDR dy) {
    problem_ = problem;
    tiling_ = tiling;
    query_ = GmTensor<T>(query);
    query_rope_ = GmTensor<T>(query_rope);
    key_ = GmTensor<T>(key);
    key_rope_ = GmTensor<T>(key_rope);
    value_ = GmTensor<T>(value);
    dy_ = GmTensor<T>(dy);

    Arena<AscendC::TPosition::A1> l1;
    l1.Init(pipe, kL1Bytes);
    ClearL1<T>(l1);
    q_ = l1.template Take<T>(BlockRows(*tiling) * tiling->query_depth);
    y_ = l1.template Take<T>(BlockRows(*tiling) * tiling->value_width);
    scores_ = l1.template Take<T>(kTileElements);
    for (int32_t i = 0; i < tiling->tile_slots; ++i) {
      tile_[i] = l1.template Take<T>(kTileElements);
      AscendC::SetFlag<HardEvent::MTE1_MTE2>(kTileEvent + i);
    }
    for (int32_t event = kBlockEvent; event <= kScoreEvent; ++event) AscendC::SetFlag<HardEvent::MTE1_MTE2>(event);
  }
  FA_INLINE void Finish() {
    for (int32_t event = kBlockEvent; event < kTileEvent + tiling_->tile_slots; ++event) {
      AscendC::WaitFlag<HardEvent::MTE1_MTE2>(event);
    }
  }

  FA_INLINE int32_t TileRows(const Block& block, int32_t tile) const {
    return Smaller(tiling_->tile_rows, block.padded_rows - tile * tiling_->tile_rows);
  }

  // Q and dY of a block arrive tile by tile, with the first use of each.
  FA_INLINE void BeginBlock() {
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kBlockEvent);
    loaded_ = 0;
  }
  FA_INLINE void EndBlock() { AscendC::SetFlag<HardEvent::MTE1_MTE2>(kBlockEvent); }
  FA_INLINE void NeedQuery(const Block& block, int32_t tile) {
    if (!BeginRows(2 * tile)) return;
    const Rows rows = RowsOf(block, tile);
    LoadJoined(Query(tile), query_, problem_->q, query_rope_, problem_->q_rope,
               QueryOffset(problem_->q, block.sequence, block.head, rows.begin),
               QueryOffset(problem_->q_rope, block.sequence, block.head, rows.begin), rows.count, 0,
               tiling_->query_depth, tiling_->tile_rows);
    EndRows();
  }
  FA_INLINE void NeedOutputGradient(const Block& block, int32_t tile) {
    if (!BeginRows(2 * tile + 1)) return;
    const Rows rows = RowsOf(block, tile);
    LoadStrips(OutputGradient(tile), dy_[QueryOffset(problem_->out, block.sequence, block.head, rows.begin)],
               rows.count, problem_->value_dim, problem_->out.row, tiling_->tile_rows);
    EndRows();
  }
  FA_INLINE LocalTensor<T> Query(int32_t tile) const { return q_[tile * tiling_->tile_rows * tiling_->query_depth]; }
  FA_INLINE LocalTensor<T> OutputGradient(int32_t tile) const {
    return y_[tile * tiling_->tile_rows * tiling_->value_width];
  }

  // A piece of the depth of a tile of K or V, for scores. Rows behind the last key keep what was there.
  FA_INLINE void LoadForScores(const Block& block, bool value, Range keys, int32_t piece) {
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kScoreEvent);
    if (keys.begin < keys.end) LoadKeyPiece(scores_, block, value, keys, piece);
    HandOver(kScoreEvent);
  }
  FA_INLINE const LocalTensor<T>& ForScores() const { return scores_; }
  FA_INLINE void ReleaseScores() { AscendC::SetFlag<HardEvent::MTE1_MTE2>(kScoreEvent); }

  // Tiles for products, in a ring: each is loaded, used once and released.
  FA_INLINE LocalTensor<T> LoadWeights(const GlobalTensor<T>& gm, int32_t rows) {
    NextTile();
    LoadStrips(tile_[slot_], gm, rows, kKeyTile, kBackwardStage, tiling_->tile_rows);
    HandOver(kTileEvent + slot_);
    return tile_[slot_];
  }
  FA_INLINE LocalTensor<T> LoadKeys(const Block& block, Range keys, int32_t piece) {
    NextTile();
    LoadKeyPiece(tile_[slot_], block, false, keys, piece);
    HandOver(kTileEvent + slot_);
    return tile_[slot_];
  }
  FA_INLINE void ReleaseTile() { AscendC::SetFlag<HardEvent::MTE1_MTE2>(kTileEvent + slot_); }

 private:
  static constexpr int32_t kTileElements = kKeyTile * kPieceBytes / static_cast<int32_t>(sizeof(T));
  static constexpr int32_t kBlockEvent = 0, kRowsEvent = 1, kScoreEvent = 3, kTileEvent = 4;
  static constexpr int32_t kMaxTileSlots = 4;

  struct Rows {
    int64_t begin;
    int32_t count;
  };
  FA_INLINE Rows RowsOf(const Block& block, int32_t tile) const {
    const int64_t begin = block.rows.begin + tile * tiling_->tile_rows;
    return {begin, static_cast<int32_t>(Min(tiling_->tile_rows, block.rows.end - begin))};
  }

  // Two events in turn, so that a load is not two ahead of the use that waits for it.
  FA_INLINE bool BeginRows(int32_t bit) {
    if ((loaded_ >> bit & 1) != 0) return false;
    loaded_ |= 1 << bit;
    rows_event_ ^= 1;
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kRowsEvent + rows_event_);
    return true;
  }
  FA_INLINE void EndRows() {
    HandOver(kRowsEvent + rows_event_);
    AscendC::SetFlag<HardEvent::MTE1_MTE2>(kRowsEvent + rows_event_);
  }
  FA_INLINE void NextTile() {
    slot_ = (slot_ + 1) % tiling_->tile_slots;
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kTileEvent + slot_);
  }
  FA_INLINE static void HandOver(int32_t event) {
    AscendC::SetFlag<HardEvent::MTE2_MTE1>(event);
    AscendC::WaitFlag<HardEvent::MTE2_MTE1>(event);
  }

  FA_INLINE void LoadKeyPiece(const LocalTensor<T>& l1, const Block& block, bool value, Range keys, int32_t piece) {
    const Sequence& s = block.sequence;
    const int64_t head = KvHead(*problem_, block.head);
    const int32_t count = static_cast<int32_t>(keys.end - keys.begin), begin = piece * tiling_->piece;
    if (value) {
      LoadStrips(l1, value_[KeyOffset(problem_->v, s, head, keys.begin) + begin], count,
                 Smaller(tiling_->piece, problem_->value_dim - begin), problem_->v.row, kKeyTile);
    } else {
      LoadJoined(l1, key_, problem_->k, key_rope_, problem_->k_rope, KeyOffset(problem_->k, s, head, keys.begin),
                 KeyOffset(problem_->k_rope, s, head, keys.begin), count, begin,
                 begin + PieceWidth(*tiling_, tiling_->query_depth, piece), kKeyTile);
    }
  }

  // Columns [begin, end) of head and rope parts seen as one row; each part begins at a multiple of 32 bytes.
  FA_INLINE void LoadJoined(const LocalTensor<T>& l1, const GlobalTensor<T>& gm, const Strides& strides,
                            const GlobalTensor<T>& rope, const Strides& rope_strides, int64_t offset,
                            int64_t rope_offset, int32_t rows, int32_t begin, int32_t end, int32_t l1_rows) {
    if (begin < problem_->head_dim) {
      LoadStrips(l1, gm[offset + begin], rows, Smaller(end, problem_->head_dim) - begin, strides.row, l1_rows);
    }
    const int32_t rope_begin = RoundUp(problem_->head_dim, kBlockElements<T>);
    const int32_t first = Larger(begin, rope_begin), last = Smaller(end, rope_begin + problem_->rope_dim);
    if (first >= last) return;
    LoadStrips(l1[(first - begin) * l1_rows], rope[rope_offset + first - rope_begin], rows, last - first,
               rope_strides.row, l1_rows);
  }

  const AttentionProblem* problem_ = nullptr;
  const BackwardTiling* tiling_ = nullptr;
  GlobalTensor<T> query_, query_rope_, key_, key_rope_, value_, dy_;
  LocalTensor<T> q_, y_, scores_, tile_[kMaxTileSlots];
  int32_t loaded_ = 0, rows_event_ = 0, slot_ = 0;
};

}  // namespace npu_fa
