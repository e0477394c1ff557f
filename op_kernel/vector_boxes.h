// The buffers of a vector core: fp32 tiles in, two of them, tiles of the element type out; and its writer of
// statistics.
//
// Events 0 and 1 of MTE2/V guard the inbox, of V/MTE3 the outbox.
#pragma once

#include "online_softmax.h"

namespace npu_fa {

template <typename T>
class VectorBoxes {
 public:
  template <class UbArena>
  FA_INLINE void Init(UbArena& ub, const Tiling& t) {
    const int32_t elements = BoxElements(t);
    // Rows of O that fit into a box.
    rows_ = Smaller(elements / t.value_width / kBlockFloats * kBlockFloats, kMaxRepeats / kBlockFloats * kBlockFloats);
    Init(ub, elements, kForwardOutboxes);
  }
  template <class UbArena>
  FA_INLINE void Init(UbArena& ub, int32_t elements, int32_t outboxes = 2) {
    outboxes_ = outboxes;
    for (int32_t i = 0; i < 2; ++i) {
      in_[i] = ub.template Take<float>(elements);
      AscendC::SetFlag<HardEvent::V_MTE2>(i);
    }
    for (int32_t i = 0; i < outboxes_; ++i) {
      out_[i] = ub.template Take<T>(elements);
      AscendC::SetFlag<HardEvent::MTE3_V>(i);
    }
  }
  FA_INLINE void Finish() {
    for (int32_t i = 0; i < 2; ++i) AscendC::WaitFlag<HardEvent::V_MTE2>(i);
    for (int32_t i = 0; i < outboxes_; ++i) AscendC::WaitFlag<HardEvent::MTE3_V>(i);
  }
  FA_INLINE int32_t Rows() const { return rows_; }

  // In: BeginLoad, copies, EndLoad, vector work, Release.
  FA_INLINE const LocalTensor<float>& BeginLoad() {
    AscendC::WaitFlag<HardEvent::V_MTE2>(in_slot_);
    return in_[in_slot_];
  }
  FA_INLINE void EndLoad() {
    AscendC::SetFlag<HardEvent::MTE2_V>(in_slot_);
    AscendC::WaitFlag<HardEvent::MTE2_V>(in_slot_);
  }
  // Between two loads into a box whose first was used already.
  FA_INLINE void LoadAgain() {
    AscendC::SetFlag<HardEvent::V_MTE2>(in_slot_);
    AscendC::WaitFlag<HardEvent::V_MTE2>(in_slot_);
  }
  FA_INLINE void Release() {
    AscendC::SetFlag<HardEvent::V_MTE2>(in_slot_);
    in_slot_ ^= 1;
  }

  // Out: BeginStore, vector work, EndResult, copies, EndStore. EndCompute is Release and EndResult in one.
  FA_INLINE const LocalTensor<T>& BeginStore() {
    AscendC::WaitFlag<HardEvent::MTE3_V>(out_slot_);
    return out_[out_slot_];
  }
  FA_INLINE void EndResult() {
    AscendC::SetFlag<HardEvent::V_MTE3>(out_slot_);
    AscendC::WaitFlag<HardEvent::V_MTE3>(out_slot_);
  }
  FA_INLINE void EndStore() {
    AscendC::SetFlag<HardEvent::MTE3_V>(out_slot_);
    out_slot_ = (out_slot_ + 1) % outboxes_;
  }
  FA_INLINE void EndCompute() {
    Release();
    EndResult();
  }

 private:
  LocalTensor<float> in_[2];
  LocalTensor<T> out_[2];
  int32_t in_slot_ = 0, out_slot_ = 0, outboxes_ = 2, rows_ = 0;
};

// Writes softmax_max and softmax_sum of a finished block through the outbox.
class StatisticsWriter {
 public:
  FA_INLINE void Init(const AttentionProblem* problem, int32_t rows, GM_ADDR softmax_max, GM_ADDR softmax_sum) {
    problem_ = problem;
    elements_ = rows * kBlockFloats;
    max_gm_ = GmTensor<float>(softmax_max);
    sum_gm_ = GmTensor<float>(softmax_sum);
  }

  // Rows [row, row + rows) of the block's sequence, the first ones the softmax holds. Without keys both are zero.
  template <typename T>
  FA_INLINE void Write(VectorBoxes<T>& boxes, OnlineSoftmax& softmax, int64_t stage, const Block& block, int64_t row,
                       int32_t rows) {
    const Sequence& s = block.sequence;
    const LocalTensor<float> max = boxes.BeginStore().template ReinterpretCast<float>();
    const LocalTensor<float> sum = max[elements_];
    softmax.Statistics(max, sum, stage);
    if (s.kv_len == 0) AscendC::Duplicate(max, 0.0f, 2 * elements_);
    boxes.EndResult();
    const int64_t begin = StatisticRow(*problem_, s, block.head, row);
    const int64_t stride = (StatisticRow(*problem_, s, block.head, row + 1) - begin) * kStatisticColumns;
    StoreRows(max_gm_[begin * kStatisticColumns], max, rows, kBlockFloats, stride, kBlockFloats);
    StoreRows(sum_gm_[begin * kStatisticColumns], sum, rows, kBlockFloats, stride, kBlockFloats);
    boxes.EndStore();
  }

 private:
  const AttentionProblem* problem_ = nullptr;
  GlobalTensor<float> max_gm_, sum_gm_;
  int32_t elements_ = 0;
};

}  // namespace npu_fa
