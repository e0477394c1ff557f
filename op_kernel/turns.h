// Steps of two kinds in turn, so that engines bound by one and by the other work side by side.
#pragma once

#include "policy.h"

namespace npu_fa {

// `others` of the one kind are spread evenly behind `leaders` of the other; or, if `late`, follow all of them.
class Turns {
 public:
  FA_INLINE Turns(int32_t leaders, int32_t others, bool late = false)
      : leaders_(leaders), others_(others), late_(late) {}

  // The next step, or false at the end: which kind it is of, and its number among that kind.
  FA_INLINE bool Next() {
    leads_ = led_ < leaders_ && followed_ >= Due();
    if (!leads_ && followed_ == others_) return false;
    step_ = leads_ ? led_++ : followed_++;
    return true;
  }
  FA_INLINE bool Leads() const { return leads_; }
  FA_INLINE int32_t Step() const { return step_; }

 private:
  FA_INLINE int32_t Due() const { return late_ ? 0 : led_ * others_ / leaders_; }

  int32_t leaders_, others_;
  bool late_, leads_ = false;
  int32_t led_ = 0, followed_ = 0, step_ = 0;
};

}  // namespace npu_fa
