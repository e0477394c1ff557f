// Buffers on chip that one engine fills and another uses, in turn, each under one pair of events.
#pragma once

#include "arena.h"

namespace npu_fa {

template <typename T, int32_t kMost, HardEvent kFree, HardEvent kFull>
class Ring {
 public:
  template <class Memory>
  FA_INLINE void Init(Memory& memory, int32_t first_event, int32_t elements, int32_t count = kMost) {
    event_ = first_event;
    count_ = count;
    for (int32_t i = 0; i < count; ++i) {
      buffer_[i] = memory.template Take<T>(elements);
      AscendC::SetFlag<kFree>(event_ + i);
    }
  }
  FA_INLINE void Finish() const {
    for (int32_t i = 0; i < count_; ++i) AscendC::WaitFlag<kFree>(event_ + i);
  }

  // Begin, the one engine fills the next buffer, End, the other uses it as Current, Release. None is left out: an event
  // is one bit, lost if the other engine raises it again before the one has come to its wait.
  FA_INLINE const LocalTensor<T>& Begin() {
    slot_ = (slot_ + 1) % count_;
    AscendC::WaitFlag<kFree>(event_ + slot_);
    return buffer_[slot_];
  }
  FA_INLINE void End() const {
    AscendC::SetFlag<kFull>(event_ + slot_);
    AscendC::WaitFlag<kFull>(event_ + slot_);
  }
  FA_INLINE const LocalTensor<T>& Current() const { return buffer_[slot_]; }
  FA_INLINE void Release() const { AscendC::SetFlag<kFree>(event_ + slot_); }

  // Between Begin and End: more is filled in once the other engine has done its part. The event of the buffer may still
  // be raised then, so there is another one, good again after each End.
  FA_INLINE void Again() const {
    AscendC::SetFlag<kFree>(kAgainEvent);
    AscendC::WaitFlag<kFree>(kAgainEvent);
  }

 private:
  static constexpr int32_t kAgainEvent = 5;  // beside those of all rings between the same engines

  LocalTensor<T> buffer_[kMost];
  int32_t event_ = 0, count_ = 0, slot_ = 0;
};

template <typename T, int32_t kMost>
using L1Ring = Ring<T, kMost, HardEvent::MTE1_MTE2, HardEvent::MTE2_MTE1>;

template <typename T, int32_t kMost>
using UbInRing = Ring<T, kMost, HardEvent::V_MTE2, HardEvent::MTE2_V>;
template <typename T, int32_t kMost>
using UbOutRing = Ring<T, kMost, HardEvent::MTE3_V, HardEvent::V_MTE3>;

}  // namespace npu_fa
