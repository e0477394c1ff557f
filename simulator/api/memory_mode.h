// How writes reach GM: atomic modes, and the scalar unit's data cache.
#pragma once

#include <cstdint>
#include <type_traits>

#include "api/tensor.h"
#include "machine/core.h"

namespace AscendC {

enum class CacheLine : uint64_t { SINGLE_CACHE_LINE = 0, ENTIRE_DATA_CACHE };
enum class DcciDst : uint64_t { CACHELINE_ALL = 0, CACHELINE_UB, CACHELINE_OUT, CACHELINE_ATOMIC };

}  // namespace AscendC

namespace ascend_sim {

template <typename T>
constexpr AtomicType AtomicTypeOf() {
  if constexpr (std::is_same_v<T, float>) return AtomicType::kF32;
  if constexpr (std::is_same_v<T, half>) return AtomicType::kF16;
  if constexpr (std::is_same_v<T, bfloat16_t>) return AtomicType::kBf16;
  if constexpr (std::is_same_v<T, int32_t>) return AtomicType::kS32;
  if constexpr (std::is_same_v<T, int16_t>) return AtomicType::kS16;
  if constexpr (std::is_same_v<T, int8_t>) return AtomicType::kS8;
  return AtomicType::kNone;
}

template <typename T>
inline void SetAtomic(AtomicOp op, const char* name, const Location& where) {
  static_assert(AtomicTypeOf<T>() != AtomicType::kNone, "float, half, bfloat16_t, int32_t, int16_t or int8_t");
  Instruction frame(name, PIPE_S, where);
  frame.core().atomic_op = op;
  frame.core().atomic_type = AtomicTypeOf<T>();
}

inline constexpr uint64_t kCacheLineBytes = 64;

template <typename T>
inline void CleanCacheOf(const AscendC::GlobalTensor<T>& tensor, bool entire, const Location& where) {
  Instruction frame("DataCacheCleanAndInvalid", PIPE_S, where);
  if (!frame.checking()) return;
  if (entire) return frame.core().CleanCache(nullptr, 0, 0);
  const Operand operand = frame.Global("dst", tensor);
  const uint64_t offset = operand.region->Offset(operand.data);
  const uint64_t begin = offset / kCacheLineBytes * kCacheLineBytes;
  frame.core().CleanCache(operand.region, begin, begin + kCacheLineBytes);
}

}  // namespace ascend_sim

namespace AscendC {

// Later copies from UB, L1 or L0C to GM combine with what GM holds, until SetAtomicNone.
template <typename T>
inline void SetAtomicAdd(ASCEND_SIM_CALLER) {
  ascend_sim::SetAtomic<T>(ascend_sim::AtomicOp::kAdd, "SetAtomicAdd", where);
}
template <typename T>
inline void SetAtomicMax(ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::AtomicTypeOf<T>() != ascend_sim::AtomicType::kNone, "unsupported type");
  ascend_sim::SetAtomic<T>(ascend_sim::AtomicOp::kMax, "SetAtomicMax", where);
}
template <typename T>
inline void SetAtomicMin(ASCEND_SIM_CALLER) {
  ascend_sim::SetAtomic<T>(ascend_sim::AtomicOp::kMin, "SetAtomicMin", where);
}
inline void SetAtomicNone(ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("SetAtomicNone", PIPE_S, where);
  frame.core().atomic_op = ascend_sim::AtomicOp::kNone;
  frame.core().atomic_type = ascend_sim::AtomicType::kNone;
}
template <typename T>
inline void SetAtomicType(ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("SetAtomicType", PIPE_S, where);
  frame.core().atomic_type = ascend_sim::AtomicTypeOf<T>();
}

// Writes the scalar unit's cached line (or its whole cache) back to GM and forgets it.
template <typename T, CacheLine entireType, DcciDst dcciDst>
inline void DataCacheCleanAndInvalid(const GlobalTensor<T>& dst, ASCEND_SIM_CALLER) {
  ascend_sim::CleanCacheOf(dst, entireType == CacheLine::ENTIRE_DATA_CACHE, where);
}
template <typename T, CacheLine entireType>
inline void DataCacheCleanAndInvalid(const GlobalTensor<T>& dst, ASCEND_SIM_CALLER) {
  ascend_sim::CleanCacheOf(dst, entireType == CacheLine::ENTIRE_DATA_CACHE, where);
}

}  // namespace AscendC
