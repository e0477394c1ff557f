// half and bfloat16_t: 16-bit storage with the arithmetic the AI core gives them.
//
// Every operation is done in float and rounded once to nearest even. For +, -, * and / of two 16-bit operands that is
// the correctly rounded result, because float has more than twice their precision plus two bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace ascend_sim {

inline uint32_t BitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline float FloatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

struct HalfFormat {
  static float ToFloat(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    const uint32_t magnitude = bits & 0x7FFF;
    if (magnitude >= 0x7C00) return FloatOf(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);  // infinity, NaN
    if (magnitude >= 0x0400) return FloatOf(sign | ((magnitude << 13) + 0x38000000));        // rebias 15 -> 127
    const float subnormal = static_cast<float>(magnitude) * 0x1p-24f;
    return FloatOf(sign | BitsOf(subnormal));
  }

  static uint16_t FromFloat(float value) {
    const uint32_t bits = BitsOf(value);
    const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
    const uint32_t magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return sign | 0x7E00;   // NaN becomes the quiet NaN
    if (magnitude >= 0x477FF000) return sign | 0x7C00;  // rounds to 65536 or more
    if (magnitude < 0x38800000) {                       // below 2^-14: let float addition do the rounding
      const float aligned = FloatOf(magnitude) + 0.5f;  // an ulp of [0.5, 1) is 2^-24, the subnormal step of half
      return sign | static_cast<uint16_t>(BitsOf(aligned) - 0x3F000000);
    }
    const uint32_t odd = magnitude >> 13 & 1;
    return sign | static_cast<uint16_t>((magnitude - 0x38000000 + 0x0FFF + odd) >> 13);
  }
};

struct Bfloat16Format {
  static float ToFloat(uint16_t bits) { return FloatOf(static_cast<uint32_t>(bits) << 16); }

  static uint16_t FromFloat(float value) {
    const uint32_t bits = BitsOf(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>((bits >> 16 & 0x8000) | 0x7FC0);
    return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
  }
};

template <typename Format>
class SmallFloat {
 public:
  SmallFloat() = default;
  template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>>
  SmallFloat(T value) : bits_(Format::FromFloat(static_cast<float>(value))) {}  // NOLINT: implicit, as on the device

  operator float() const { return Format::ToFloat(bits_); }  // NOLINT: implicit, as on the device

  static SmallFloat FromBits(uint16_t bits) {
    SmallFloat result;
    result.bits_ = bits;
    return result;
  }
  uint16_t bits() const { return bits_; }

  SmallFloat operator-() const { return FromBits(bits_ ^ 0x8000); }
  SmallFloat& operator+=(float other) { return *this = SmallFloat(float{*this} + other); }
  SmallFloat& operator-=(float other) { return *this = SmallFloat(float{*this} - other); }
  SmallFloat& operator*=(float other) { return *this = SmallFloat(float{*this} * other); }
  SmallFloat& operator/=(float other) { return *this = SmallFloat(float{*this} / other); }

 private:
  uint16_t bits_;
};

template <typename T>
struct IsSmallFloat : std::false_type {};
template <typename Format>
struct IsSmallFloat<SmallFloat<Format>> : std::true_type {};

// The type of `small op other`: small stays small with itself and with integers, and widens to a floating type.
template <typename Small, typename Other>
using SmallFloatResult = std::conditional_t<std::is_floating_point_v<Other>, Other, Small>;

// Comparisons are left to the conversion to float.
#define ASCEND_SIM_SMALL_FLOAT_OPERATOR(op)                                                    \
  template <typename Format>                                                                   \
  inline SmallFloat<Format> operator op(SmallFloat<Format> a, SmallFloat<Format> b) {          \
    return SmallFloat<Format>(float{a} op float{b});                                           \
  }                                                                                            \
  template <typename Format, typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>> \
  inline SmallFloatResult<SmallFloat<Format>, T> operator op(SmallFloat<Format> a, T b) {      \
    return SmallFloatResult<SmallFloat<Format>, T>(float{a} op b);                             \
  }                                                                                            \
  template <typename Format, typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>> \
  inline SmallFloatResult<SmallFloat<Format>, T> operator op(T a, SmallFloat<Format> b) {      \
    return SmallFloatResult<SmallFloat<Format>, T>(a op float{b});                             \
  }
ASCEND_SIM_SMALL_FLOAT_OPERATOR(+)
ASCEND_SIM_SMALL_FLOAT_OPERATOR(-)
ASCEND_SIM_SMALL_FLOAT_OPERATOR(*)
ASCEND_SIM_SMALL_FLOAT_OPERATOR(/)
#undef ASCEND_SIM_SMALL_FLOAT_OPERATOR

}  // namespace ascend_sim

// The device compiler has both as built-in types, so they live in the global namespace.
using half = ascend_sim::SmallFloat<ascend_sim::HalfFormat>;
using bfloat16_t = ascend_sim::SmallFloat<ascend_sim::Bfloat16Format>;
static_assert(sizeof(half) == 2 && std::is_trivially_copyable_v<half>);

namespace AscendC {
inline float ToFloat(const bfloat16_t& value) { return value; }
inline bfloat16_t ToBfloat16(const float& value) { return value; }
}  // namespace AscendC
