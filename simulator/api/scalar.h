// Functions of the scalar unit: bits of integers, conversions of single values.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "instructions/vector_params.h"
#include "types/small_float.h"

namespace AscendC {

// How many bits of `value` are `countValue`.
template <int countValue>
inline int64_t ScalarGetCountOfValue(uint64_t valueIn) {
  static_assert(countValue == 0 || countValue == 1, "counts bits 0 or bits 1");
  const int64_t ones = __builtin_popcountll(valueIn);
  return countValue == 1 ? ones : 64 - ones;
}

// Bits 0 above the highest 1; 64 for 0.
inline int64_t ScalarCountLeadingZero(uint64_t valueIn) { return valueIn == 0 ? 64 : __builtin_clzll(valueIn); }

// Bits below the sign bit that continue it.
inline int64_t CountBitsCntSameAsSignBit(int64_t valueIn) { return __builtin_clrsbll(valueIn); }

// The lowest bit that is `countValue`, or -1.
template <int countValue>
inline int64_t ScalarGetSFFValue(uint64_t valueIn) {
  static_assert(countValue == 0 || countValue == 1, "finds a bit 0 or a bit 1");
  const uint64_t bits = countValue == 1 ? valueIn : ~valueIn;
  return bits == 0 ? -1 : __builtin_ctzll(bits);
}

// CANN 9 names of the same functions.
template <int countValue>
inline int64_t GetBitCount(uint64_t valueIn) {
  return ScalarGetCountOfValue<countValue>(valueIn);
}
inline int64_t CountLeadingZero(uint64_t valueIn) { return ScalarCountLeadingZero(valueIn); }
template <int countValue>
inline int64_t GetSFFValue(uint64_t valueIn) {
  return ScalarGetSFFValue<countValue>(valueIn);
}

template <RoundMode roundMode>
inline int32_t RoundToInt32(float value) {
  float rounded = value;
  if constexpr (roundMode == RoundMode::CAST_FLOOR) {
    rounded = std::floor(value);
  } else if constexpr (roundMode == RoundMode::CAST_CEIL) {
    rounded = std::ceil(value);
  } else if constexpr (roundMode == RoundMode::CAST_TRUNC) {
    rounded = std::trunc(value);
  } else if constexpr (roundMode == RoundMode::CAST_ROUND) {
    rounded = std::round(value);
  } else {
    static_assert(roundMode == RoundMode::CAST_RINT || roundMode == RoundMode::CAST_NONE,
                  "ScalarCast: CAST_ODD gives no integer");
    rounded = std::nearbyint(value);
  }
  if (std::isnan(rounded)) return 0;
  if (rounded >= 2147483648.0f) return INT32_MAX;
  if (rounded < -2147483648.0f) return INT32_MIN;
  return static_cast<int32_t>(rounded);
}

// float to half (to nearest only), or to int32_t, where values beyond its range saturate.
template <typename T, typename U, RoundMode roundMode>
inline U ScalarCast(T valueIn) {
  static_assert(std::is_same_v<T, float> && (std::is_same_v<U, int32_t> || std::is_same_v<U, half>),
                "ScalarCast: float to half or int32_t");
  if constexpr (std::is_same_v<U, half>) {
    static_assert(roundMode == RoundMode::CAST_RINT || roundMode == RoundMode::CAST_NONE,
                  "ScalarCast: this simulator has half with CAST_RINT only");
    return half(valueIn);
  } else {
    return RoundToInt32<roundMode>(valueIn);
  }
}
// No templates: kernels that define their own under these names must not become ambiguous.
constexpr uint32_t AlignUp(uint32_t a, uint32_t b) { return (a + b - 1) / b * b; }
constexpr uint32_t DivCeil(uint32_t a, uint32_t b) { return (a + b - 1) / b; }
constexpr int32_t CeilDivision(int32_t num1, int32_t num2) { return num2 == 0 ? 0 : (num1 + num2 - 1) / num2; }

}  // namespace AscendC
