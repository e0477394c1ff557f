// The buffers of a vector core: fp32 tiles in, two of them, tiles of the element type out.
//
// Events 0 and 1 of MTE2/V guard the inbox, of V/MTE3 the outbox.
#pragma once

#include "gm_tile.h"

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

}  // namespace npu_fa
