// V in L1: two slots of pieces, loaded in the order of their use and as early as there is room. A slot stays until
// every tile of rows has used it.
#pragma once

#include "head_tensor.h"
#include "kernel_arguments.h"
#include "ring.h"

namespace npu_fa {

template <typename T, class Stages>
class ValueStream {
 public:
  FA_INLINE void Init(L1Arena& l1, const Arguments& arguments, GM_ADDR value, const Stages* stages) {
    problem_ = &arguments.problem;
    tiling_ = &arguments.tiling;
    stages_ = stages;
    value_.Init(value, problem_->v, problem_->value_dim);
    for (int32_t i = 0; i < 2; ++i) {
      slots_[i] = l1.template Take<T>(tiling_->value_slot * tiling_->value_piece * tiling_->value_width);
      AscendC::SetFlag<HardEvent::MTE1_MTE2>(kEvent + i);
    }
  }
  FA_INLINE void Finish() const {
    for (int32_t i = 0; i < 2; ++i) AscendC::WaitFlag<HardEvent::MTE1_MTE2>(kEvent + i);
  }

  FA_INLINE int32_t Pieces(const Stage& stage) const {
    return CeilDiv(static_cast<int32_t>(stage.columns.end - stage.columns.begin), tiling_->value_piece);
  }
  FA_INLINE int32_t Columns(const Stage& stage, int32_t piece) const {
    return static_cast<int32_t>(
        Min(tiling_->value_piece, stage.columns.end - stage.columns.begin - piece * tiling_->value_piece));
  }
  FA_INLINE LocalTensor<T> operator[](int32_t piece) const {
    return slots_[Slot(piece)][piece % tiling_->value_slot * tiling_->value_piece * tiling_->value_width];
  }

  // Before the first use of a piece of a stage: it is there.
  FA_INLINE void Await(int64_t stage, int32_t piece) {
    if (!Opens(piece)) return;
    stage_ = Max(stage_, stage);  // whatever lies between is empty
    while (stage_ == stage && (piece_ == piece || !Opens(piece_))) LoadPiece();
    AscendC::WaitFlag<HardEvent::MTE2_MTE1>(kEvent + Slot(piece));
  }
  // Behind the last one: its slot is free if all of it was used.
  FA_INLINE void Release(const Stage& stage, int32_t piece) {
    if (!Closes(stage, piece)) return;
    AscendC::SetFlag<HardEvent::MTE1_MTE2>(kEvent + Slot(piece));
    free_[Slot(piece)] = true;
  }
  // The next piece of the stream, unless it would have to wait for room.
  FA_INLINE void LoadAhead() {
    while (stages_->Has(stage_) && !stages_->Computes(stage_)) ++stage_;
    if (stages_->Has(stage_) && (!Opens(piece_) || free_[Slot(piece_)])) LoadPiece();
  }

 private:
  static constexpr int32_t kEvent = 4;  // beside those of forward_operands.h

  FA_INLINE int32_t Slot(int32_t piece) const { return piece / tiling_->value_slot % 2; }
  FA_INLINE bool Opens(int32_t piece) const { return piece % tiling_->value_slot == 0; }
  FA_INLINE bool Closes(const Stage& stage, int32_t piece) const {
    return piece + 1 == Pieces(stage) || Opens(piece + 1);
  }
  FA_INLINE void LoadPiece() {
    const Stage& stage = (*stages_)[stage_];
    const int32_t event = kEvent + Slot(piece_);
    if (Opens(piece_)) AscendC::WaitFlag<HardEvent::MTE1_MTE2>(event);
    free_[Slot(piece_)] = false;
    value_.Load((*this)[piece_], tiling_->value_piece, stage.block.sequence, KvHead(*problem_, stage.block.head),
                stage.columns.begin + piece_ * tiling_->value_piece, Columns(stage, piece_));
    if (Closes(stage, piece_)) AscendC::SetFlag<HardEvent::MTE2_MTE1>(event);
    if (++piece_ == Pieces(stage)) {
      piece_ = 0;
      ++stage_;
    }
  }

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  const Stages* stages_ = nullptr;
  KeyTensor<T> value_;
  LocalTensor<T> slots_[2];
  bool free_[2] = {true, true};
  int64_t stage_ = 0;
  int32_t piece_ = 0;  // the next one to be loaded
};

}  // namespace npu_fa
