// The buffers of a vector core: fp32 tiles in, two of them, tiles of the element type out.
#pragma once

#include "ring.h"
#include "schedule.h"

namespace npu_fa {

template <typename T>
class VectorBoxes {
 public:
  FA_INLINE void Init(UbArena& ub, const Tiling& t) {
    const int32_t elements = BoxElements(t);
    rows_ = Smaller(elements / t.value_width / kBlockFloats * kBlockFloats, kMaxRepeats / kBlockFloats * kBlockFloats);
    Init(ub, elements, kForwardOutboxes);
  }
  FA_INLINE void Init(UbArena& ub, int32_t elements, int32_t outboxes = 2) {
    in_.Init(ub, 0, elements);
    out_.Init(ub, 0, elements, outboxes);
  }
  FA_INLINE void Finish() const {
    in_.Finish();
    out_.Finish();
  }
  // Rows of O that fit into a box.
  FA_INLINE int32_t Rows() const { return rows_; }

  // In: BeginLoad, copies if any, EndLoad, vector work, Release. LoadAgain between two loads into a box whose first was
  // used.
  FA_INLINE const LocalTensor<float>& BeginLoad() { return in_.Begin(); }
  FA_INLINE void EndLoad() const { in_.End(); }
  FA_INLINE void LoadAgain() const { in_.Again(); }
  FA_INLINE void Release() const { in_.Release(); }

  // Out: BeginStore, vector work, EndResult, copies, EndStore. EndCompute is Release and EndResult in one.
  FA_INLINE const LocalTensor<T>& BeginStore() { return out_.Begin(); }
  FA_INLINE void EndResult() const { out_.End(); }
  FA_INLINE void EndStore() const { out_.Release(); }
  FA_INLINE void EndCompute() const {
    Release();
    EndResult();
  }

 private:
  UbInRing<float, 2> in_;
  UbOutRing<T, 2> out_;
  int32_t rows_ = 0;
};

}  // namespace npu_fa
