// What several parts of the kernels do with vector instructions.
#pragma once

#include "gm_tile.h"

namespace npu_fa {

FA_INLINE void VectorBarrier() { AscendC::PipeBarrier<PIPE_V>(); }

// 32 bytes of every element: dst[8 * i .. 8 * i + 7] = src[i].
FA_INLINE void Spread(const LocalTensor<float>& dst, const LocalTensor<float>& src, int32_t elements) {
  AscendC::Brcb(dst, src, CeilDiv(elements, kBlockFloats), AscendC::BrcbRepeatParams(1, kBlockFloats));
}

// x[0 .. 7] = sums over x[0 .. count - 1], count 8 times a power of 8.
FA_INLINE void SumToEight(const LocalTensor<float>& x, int32_t count) {
  for (; count > kBlockFloats; count /= kBlockFloats) {
    AscendC::BlockReduceSum(x, x, count / kRepeatFloats, kRepeatFloats, 1, 1, kBlockFloats);
    VectorBarrier();
  }
}

// Rounds to the operator's 16-bit types as it does; fp32 stays.
template <typename T>
FA_INLINE void Narrow(const LocalTensor<T>& out, const LocalTensor<float>& in, int32_t count) {
  if constexpr (sizeof(T) == sizeof(float)) {
    AscendC::Adds(out, in, 0.0f, count);
  } else {
    AscendC::Cast(out, in, AscendC::RoundMode::CAST_ROUND, count);
  }
}

}  // namespace npu_fa
