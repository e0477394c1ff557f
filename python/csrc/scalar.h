// Reading and adding to elements of a tensor whose dtype is known at run time only.
#pragma once

#include <cstdint>
#include <cstring>

#include "problem.h"

namespace npu_fa {

inline float FloatFromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float FloatFromBFloat16(uint16_t bits) { return FloatFromBits(uint32_t{bits} << 16); }

inline float FloatFromHalf(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7FFFu;
  if (magnitude >= 0x7C00u) return FloatFromBits(sign | 0x7F800000u | (magnitude << 13));
  // Exponent and fraction in float position; 2^112 corrects the bias of the exponent and makes subnormals normal.
  const float value = FloatFromBits(magnitude << 13) * 5.192296858534828e33f;
  return sign ? -value : value;
}

inline double LoadScalar(DType dtype, const void* data, int64_t index) {
  switch (dtype) {
    case DType::kFloat16:
      return FloatFromHalf(static_cast<const uint16_t*>(data)[index]);
    case DType::kBFloat16:
      return FloatFromBFloat16(static_cast<const uint16_t*>(data)[index]);
    case DType::kFloat32:
      return static_cast<const float*>(data)[index];
    case DType::kFloat64:
      return static_cast<const double*>(data)[index];
  }
  return 0.0;
}

}  // namespace npu_fa
