// The mask register of the vector unit and its two modes.
#pragma once

#include <cstdint>

#include "instructions/vector_loop.h"
#include "machine/core.h"

namespace AscendC {

// Counter mode: the register's low word is a number of elements, and the repeats follow from it.
inline void SetMaskCount() { ascend_sim::CurrentCore().vector.counter_mode = true; }

// Normal mode: a bit per lane of each repeat.
inline void SetMaskNorm() { ascend_sim::CurrentCore().vector.counter_mode = false; }

template <typename T, MaskMode mode = MaskMode::NORMAL>
void SetVectorMask(const uint64_t maskHigh, const uint64_t maskLow) {
  ascend_sim::VectorRegisters& registers = ascend_sim::CurrentCore().vector;
  registers.mask_high = maskHigh;
  registers.mask_low = maskLow;
}

// Normal mode: the first `len` lanes. Counter mode: `len` elements.
template <typename T, MaskMode mode = MaskMode::NORMAL>
void SetVectorMask(int32_t len, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("SetVectorMask", PIPE_S, where);
  ascend_sim::VectorRegisters& registers = ascend_sim::CurrentCore().vector;
  if constexpr (mode == MaskMode::COUNTER) {
    frame.RequireRange("len", len, 0, INT32_MAX);
    registers.mask_high = 0;
    registers.mask_low = static_cast<uint64_t>(len);
  } else {
    frame.RequireRange("len", len, 0, 128);
    registers.mask_low = len >= 64 ? ~uint64_t{0} : (uint64_t{1} << len) - 1;
    registers.mask_high = len >= 128 ? ~uint64_t{0} : len > 64 ? (uint64_t{1} << (len - 64)) - 1 : 0;
  }
}

inline void ResetMask() {
  ascend_sim::VectorRegisters& registers = ascend_sim::CurrentCore().vector;
  registers.mask_low = registers.mask_high = ~uint64_t{0};
}

// CTRL[48]: 0 saturates half and bfloat16 results (infinity to the largest finite value, NaN to 0), 1 keeps them.
template <int8_t startBit, int8_t endBit>
void SetCtrlSpr(int64_t value) {
  static_assert(startBit == 48 && endBit == 48, "SetCtrlSpr: dav-c220 lets kernels set CTRL[48] only");
  ascend_sim::CurrentCore().vector.saturate = value == 0;
  ascend_sim::CurrentCore().cube.saturate = value == 0;
}
template <int8_t startBit, int8_t endBit>
int64_t GetCtrlSpr() {
  static_assert(startBit == 48 && endBit == 48, "GetCtrlSpr: dav-c220 lets kernels read CTRL[48] only");
  return ascend_sim::CurrentCore().vector.saturate ? 0 : 1;
}

}  // namespace AscendC
