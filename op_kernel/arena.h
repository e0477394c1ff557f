// Consecutive stretches of one local memory.
#pragma once

#include "gm_tile.h"

namespace npu_fa {

template <AscendC::TPosition kPosition>
class Arena {
 public:
  FA_INLINE void Init(AscendC::TPipe* pipe, uint32_t bytes) { pipe->InitBuffer(buffer_, bytes); }
  template <typename T>
  FA_INLINE LocalTensor<T> Take(int32_t elements) {
    LocalTensor<T> tensor = buffer_.template GetWithOffset<T>(elements, used_);
    used_ += RoundUp(elements * static_cast<int32_t>(sizeof(T)), kBlockBytes);
    return tensor;
  }
  FA_INLINE void Reset() { used_ = 0; }

 private:
  AscendC::TBuf<kPosition> buffer_;
  uint32_t used_ = 0;
};

using L1Arena = Arena<AscendC::TPosition::A1>;
using UbArena = Arena<AscendC::TPosition::VECCALC>;

}  // namespace npu_fa
