// Buffers of L1 that are loaded, used and released in turn, each under one pair of events between MTE2 and MTE1.
#pragma once

#include "gm_tile.h"

namespace npu_fa {

using L1Arena = Arena<AscendC::TPosition::A1>;

template <typename T, int32_t kMost>
class L1Ring {
 public:
  FA_INLINE void Init(L1Arena& l1, int32_t first_event, int32_t elements, int32_t count = kMost) {
    event_ = first_event;
    count_ = count;
    for (int32_t i = 0; i < count; ++i) {
      buffer_[i] = l1.template Take<T>(elements);
      AscendC::SetFlag<HardEvent::MTE1_MTE2>(event_ + i);
    }
  }
  FA_INLINE void Finish() const {
    for (int32_t i = 0; i < count_; ++i) AscendC::WaitFlag<HardEvent::MTE1_MTE2>(event_ + i);
  }

  // BeginLoad, copies, EndLoad, loads from Current into L0, Release.
  FA_INLINE const LocalTensor<T>& BeginLoad() {
    slot_ = (slot_ + 1) % count_;
    AscendC::WaitFlag<HardEvent::MTE1_MTE2>(event_ + slot_);
    return buffer_[slot_];
  }
  FA_INLINE void EndLoad() const {
    AscendC::SetFlag<HardEvent::MTE2_MTE1>(event_ + slot_);
    AscendC::WaitFlag<HardEvent::MTE2_MTE1>(event_ + slot_);
  }
  FA_INLINE const LocalTensor<T>& Current() const { return buffer_[slot_]; }
  FA_INLINE void Release() const { AscendC::SetFlag<HardEvent::MTE1_MTE2>(event_ + slot_); }

 private:
  LocalTensor<T> buffer_[kMost];
  int32_t event_ = 0, count_ = 0, slot_ = 0;
};

}  // namespace npu_fa
