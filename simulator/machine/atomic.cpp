#include "machine/atomic.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "types/small_float.h"

namespace ascend_sim {
namespace {

template <typename T>
void Combine(AtomicOp op, uint8_t* memory, const uint8_t* data, uint64_t bytes) {
  for (uint64_t at = 0; at + sizeof(T) <= bytes; at += sizeof(T)) {
    T held, given;
    std::memcpy(&held, memory + at, sizeof(T));
    std::memcpy(&given, data + at, sizeof(T));
    if (op == AtomicOp::kAdd) {
      if constexpr (std::is_integral_v<T>) {
        held = static_cast<T>(static_cast<uint32_t>(held) + static_cast<uint32_t>(given));  // wraps
      } else {
        held = held + given;
      }
    } else if (op == AtomicOp::kMax) {
      held = held < given ? given : held;
    } else {
      held = given < held ? given : held;
    }
    std::memcpy(memory + at, &held, sizeof(T));
  }
}

}  // namespace

uint32_t AtomicBytes(AtomicType type) {
  switch (type) {
    case AtomicType::kF32:
    case AtomicType::kS32:
      return 4;
    case AtomicType::kS8:
      return 1;
    case AtomicType::kNone:
      return 0;
    default:
      return 2;
  }
}

void StoreToGm(AtomicOp op, AtomicType type, uint8_t* memory, const uint8_t* data, uint64_t bytes) {
  if (op == AtomicOp::kNone) {
    std::memcpy(memory, data, bytes);
    return;
  }
  switch (type) {
    case AtomicType::kF32:
      return Combine<float>(op, memory, data, bytes);
    case AtomicType::kF16:
      return Combine<half>(op, memory, data, bytes);
    case AtomicType::kBf16:
      return Combine<bfloat16_t>(op, memory, data, bytes);
    case AtomicType::kS32:
      return Combine<int32_t>(op, memory, data, bytes);
    case AtomicType::kS16:
      return Combine<int16_t>(op, memory, data, bytes);
    case AtomicType::kS8:
      return Combine<int8_t>(op, memory, data, bytes);
    case AtomicType::kNone:
      return;
  }
}

}  // namespace ascend_sim
