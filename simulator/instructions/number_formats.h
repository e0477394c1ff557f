// Conversions between the number formats of the AI core, bit-exact in every rounding mode, on raw bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "instructions/vector_params.h"
#include "types/small_float.h"

namespace ascend_sim {

// Drops the low `count` bits (1..40) of a magnitude with the given rounding; `negative` tells where the infinities lie.
inline uint64_t RoundOffBits(uint64_t magnitude, int count, bool negative, AscendC::RoundMode mode) {
  using AscendC::RoundMode;
  const uint64_t kept = magnitude >> count;
  const uint64_t lost = magnitude & ((uint64_t{1} << count) - 1);
  if (lost == 0) return kept;
  const uint64_t half = uint64_t{1} << (count - 1);
  switch (mode) {
    case RoundMode::CAST_NONE:
    case RoundMode::CAST_RINT:
      return kept + (lost > half || (lost == half && (kept & 1)) ? 1 : 0);
    case RoundMode::CAST_FLOOR:
      return kept + (negative ? 1 : 0);
    case RoundMode::CAST_CEIL:
      return kept + (negative ? 0 : 1);
    case RoundMode::CAST_ROUND:
      return kept + (lost >= half ? 1 : 0);
    case RoundMode::CAST_TRUNC:
      return kept;
    case RoundMode::CAST_ODD:
      return kept | 1;
  }
  return kept;
}

// Float -> a 16-bit format with `kMantissa` stored mantissa bits and `16 - 1 - kMantissa` exponent bits (IEEE layout).
// A directed rounding that stops short of infinity keeps the largest finite value, as IEEE 754 asks.
template <int kMantissa>
inline uint16_t FloatToSmall(float value, AscendC::RoundMode mode) {
  constexpr int kExponentBits = 15 - kMantissa;
  constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
  constexpr uint32_t kInfinity = ((1u << kExponentBits) - 1) << kMantissa;
  const uint32_t bits = BitsOf(value);
  const bool negative = bits >> 31;
  const uint16_t sign = static_cast<uint16_t>(negative ? 0x8000 : 0);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | kInfinity | (1u << (kMantissa - 1)));  // NaN
  if (magnitude == 0x7f800000u) return static_cast<uint16_t>(sign | kInfinity);
  if (magnitude == 0) return sign;

  const int exponent = static_cast<int>(magnitude >> 23);
  const uint32_t significand = (magnitude & 0x7fffffu) | (exponent ? 0x800000u : 0u);
  const int small_exponent = (exponent ? exponent : 1) - 127 + kBias;  // biased in the small format
  uint32_t result;
  if (small_exponent >= 1) {
    const uint64_t rounded = RoundOffBits(significand, 23 - kMantissa, negative, mode);  // hidden bit included
    result = static_cast<uint32_t>((static_cast<uint64_t>(small_exponent - 1) << kMantissa) + rounded);
  } else {
    const int drop = 23 - kMantissa + 1 - small_exponent;
    if (drop > 40) {
      result = static_cast<uint32_t>(RoundOffBits(1, 2, negative, mode));  // below any half: only its sign counts
    } else {
      result = static_cast<uint32_t>(RoundOffBits(significand, drop, negative, mode));
    }
  }
  if (result >= kInfinity) {
    using AscendC::RoundMode;
    const bool stops = mode == RoundMode::CAST_TRUNC || mode == RoundMode::CAST_ODD ||
                       (mode == RoundMode::CAST_FLOOR && !negative) || (mode == RoundMode::CAST_CEIL && negative);
    result = stops ? kInfinity - 1 : kInfinity;
  }
  return static_cast<uint16_t>(sign | result);
}

inline uint16_t FloatToHalfBits(float value, AscendC::RoundMode mode = AscendC::RoundMode::CAST_RINT) {
  return FloatToSmall<10>(value, mode);
}

inline uint16_t FloatToBfloatBits(float value, AscendC::RoundMode mode = AscendC::RoundMode::CAST_RINT) {
  return FloatToSmall<7>(value, mode);
}

// Without branches, so that loops over it vectorise.
inline float HalfBitsToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  const float value = FloatOf(magnitude << 13) * FloatOf(0x77800000u);       // times 2^112 moves the exponent's bias
  const uint32_t quiet = magnitude > 0x7c00u ? 0x400000u : 0u;               // as hosts that convert in hardware do
  const uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u | quiet : 0u;  // infinity and NaN: all exponent bits
  return FloatOf(sign | special | BitsOf(value));
}

// Round to nearest even, without branches; equal to FloatToHalfBits(value, CAST_RINT).
inline uint16_t FloatToHalfNearest(float value) {
  const uint32_t bits = BitsOf(value);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t normal = ((magnitude + 0xfffu + ((magnitude >> 13) & 1u)) >> 13) - (112u << 10);
  const uint32_t subnormal = BitsOf(FloatOf(magnitude) + 0.5f) - BitsOf(0.5f);  // the adder does the rounding
  const uint32_t large = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  const uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;
  const uint32_t result = magnitude >= 0x47800000u ? large : finite;
  return static_cast<uint16_t>(((bits >> 16) & 0x8000u) | result);
}

inline float BfloatBitsToFloat(uint16_t bits) { return Bfloat16Format::ToFloat(bits); }

// The integer a float of any size rounds to, as a float: exact, since every float above 2^23 is an integer.
inline double RoundToIntegral(double value, AscendC::RoundMode mode) {
  using AscendC::RoundMode;
  switch (mode) {
    case RoundMode::CAST_NONE:
    case RoundMode::CAST_RINT:
      return std::nearbyint(value);
    case RoundMode::CAST_FLOOR:
      return std::floor(value);
    case RoundMode::CAST_CEIL:
      return std::ceil(value);
    case RoundMode::CAST_ROUND:
      return std::round(value);
    case RoundMode::CAST_TRUNC:
      return std::trunc(value);
    case RoundMode::CAST_ODD: {
      const double down = std::floor(value);
      if (down == value) return value;
      return std::fmod(down, 2.0) == 0.0 ? down + 1.0 : down;
    }
  }
  return value;
}

// Float -> integer: rounds, then saturates; NaN becomes 0.
template <typename Integer>
inline Integer FloatToInteger(float value, AscendC::RoundMode mode) {
  if (std::isnan(value)) return 0;
  const double rounded = RoundToIntegral(value, mode);
  constexpr double kLow = static_cast<double>(std::numeric_limits<Integer>::min());
  // 2^(bits - 1) or 2^bits: the first double above the range, exact for every width.
  constexpr double kAbove = static_cast<double>(std::numeric_limits<Integer>::max() / 2 + 1) * 2.0;
  if (rounded >= kAbove) return std::numeric_limits<Integer>::max();
  if (rounded < kLow) return std::numeric_limits<Integer>::min();
  return static_cast<Integer>(rounded);
}

// Integer -> float with the given rounding (24 significant bits).
inline float IntegerToFloat(int64_t value, AscendC::RoundMode mode) {
  const bool negative = value < 0;
  const uint64_t magnitude = negative ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
  if (magnitude < (uint64_t{1} << 24)) return static_cast<float>(value);
  const int drop = 63 - __builtin_clzll(magnitude) - 23;
  const uint64_t kept = RoundOffBits(magnitude, drop, negative, mode);
  const float result = std::ldexp(static_cast<float>(kept), drop);  // kept <= 2^24: exact
  return negative ? -result : result;
}

template <typename To, typename From>
inline To Saturate(From value) {
  if (value > static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
  if (value < static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
  return static_cast<To>(value);
}

// Float -> HF32, the cube's short format: 1 sign, 8 exponent and 11 mantissa bits, kept in a float.
inline float FloatToHf32(float value, bool ties_to_zero) {
  constexpr int kDrop = 23 - 11;
  const uint32_t bits = BitsOf(value);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x7f800000u) return value;
  const uint32_t kept = magnitude >> kDrop;
  const uint32_t lost = magnitude & ((1u << kDrop) - 1);
  constexpr uint32_t kHalf = 1u << (kDrop - 1);
  const bool up = lost > kHalf || (lost == kHalf && !ties_to_zero && (kept & 1));
  return FloatOf((bits & 0x80000000u) | ((kept + (up ? 1 : 0)) << kDrop));
}

}  // namespace ascend_sim
