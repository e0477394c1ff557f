// The element types of tensors and of matrix operands, and rows of one converted to the other.
#pragma once

#include "problem.h"
#include "vec.h"

namespace npu_fa {
namespace {

struct BFloat16 {
  uint16_t bits;
};

struct Half {
  uint16_t bits;
};

// What scores, probabilities and sums of an element type are held in.
template <class Element>
struct RealOf {
  using Type = float;
};
template <>
struct RealOf<double> {
  using Type = double;
};
template <class Element>
using Real = typename RealOf<Element>::Type;

FA_INLINE float BitsToFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

FA_INLINE uint32_t FloatToBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

FA_INLINE float Widen(BFloat16 x) { return BitsToFloat(uint32_t{x.bits} << 16); }
FA_INLINE float Widen(Half x) {
  const uint32_t sign = (x.bits & 0x8000u) << 16, magnitude = x.bits & 0x7FFFu;
  if (magnitude >= 0x7C00u) return BitsToFloat(sign | 0x7F800000u | (magnitude << 13));
  // Exponent and fraction in float position; 2^112 corrects the bias of the exponent and makes subnormals normal.
  return BitsToFloat(sign | FloatToBits(BitsToFloat(magnitude << 13) * 0x1p112f));
}
FA_INLINE float Widen(float x) { return x; }
FA_INLINE double Widen(double x) { return x; }

// Round to nearest even.
FA_INLINE void Narrow(float x, BFloat16* out) {
  const uint32_t bits = FloatToBits(x);
  const bool nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  out->bits = static_cast<uint16_t>(nan ? (bits >> 16) | 0x40u : (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}
FA_INLINE void Narrow(float x, Half* out) {
  const uint32_t bits = FloatToBits(x), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
  uint32_t half;
  if (magnitude > 0x7F800000u) {
    half = 0x7E00u;
  } else if (magnitude >= 0x477FF000u) {  // rounds beyond 65504
    half = 0x7C00u;
  } else if (magnitude < 0x38800000u) {  // subnormal: adding 1/2 shifts the fraction into place and rounds it
    half = FloatToBits(BitsToFloat(magnitude) + 0.5f) - FloatToBits(0.5f);
  } else {
    half = (magnitude - 0x38000000u + 0xFFFu + ((magnitude >> 13) & 1u)) >> 13;
  }
  out->bits = static_cast<uint16_t>(sign | half);
}
FA_INLINE void Narrow(float x, float* out) { *out = x; }
FA_INLINE void Narrow(double x, double* out) { *out = x; }

// kWidth<float> elements of a row as floats, and back.
FA_INLINE Floats LoadFloats(const float* from) { return LoadVector<Floats>(from); }
FA_INLINE Floats LoadFloats(const BFloat16* from) {
  return (Floats)(__builtin_convertvector(LoadVector<HalfShorts>(from), Words) << 16);
}
FA_INLINE Floats LoadFloats(const Half* from) {
#if defined(__AVX512F__)
  return (Floats)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#elif defined(__F16C__)
  return (Floats)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#else
  Floats v;
  for (int i = 0; i < kWidth<float>; ++i) v[i] = Widen(from[i]);
  return v;
#endif
}
FA_INLINE void StoreFloats(float* to, Floats v) { StoreVector(to, v); }
FA_INLINE void StoreFloats(BFloat16* to, Floats v) {
  const Words bits = (Words)v;
  const Words rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16, quiet = (bits >> 16) | 0x40u;
  const Words narrow = (bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded;
  StoreVector(to, __builtin_convertvector(narrow, HalfShorts));
}
FA_INLINE void StoreFloats(Half* to, Floats v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
#else
  for (int i = 0; i < kWidth<float>; ++i) Narrow(v[i], to + i);
#endif
}

// dst[i] = scale * src[i], converted.
template <class From, class To>
[[maybe_unused]] static void ConvertRow(const From* src, int64_t count, To* dst, float scale = 1.0f) {
  int64_t i = 0;
  for (; i + kWidth<float> <= count; i += kWidth<float>) StoreFloats(dst + i, LoadFloats(src + i) * scale);
  for (; i < count; ++i) Narrow(Widen(src[i]) * scale, dst + i);
}
[[maybe_unused]] static void ConvertRow(const double* src, int64_t count, double* dst, double scale = 1.0) {
  for (int64_t i = 0; i < count; ++i) dst[i] = src[i] * scale;
}
[[maybe_unused]] static void ConvertRow(const BFloat16* src, int64_t count, BFloat16* dst) {
  std::memcpy(dst, src, count * sizeof *dst);
}
[[maybe_unused]] static void ConvertRow(const float* src, int64_t count, float* dst) {
  std::memcpy(dst, src, count * sizeof *dst);
}

// Runs `body` with a null pointer of the element type that a dtype names.
template <class Body>
FA_INLINE void WithElement(DType dtype, Body body) {
  switch (dtype) {
    case DType::kFloat16:
      return body(static_cast<const Half*>(nullptr));
    case DType::kBFloat16:
      return body(static_cast<const BFloat16*>(nullptr));
    case DType::kFloat32:
      return body(static_cast<const float*>(nullptr));
    case DType::kFloat64:
      return body(static_cast<const double*>(nullptr));
  }
}

FA_INLINE bool IsFinite(BFloat16 x) { return (x.bits & 0x7F80u) != 0x7F80u; }
FA_INLINE bool IsFinite(float x) { return (FloatToBits(x) & 0x7F800000u) != 0x7F800000u; }
FA_INLINE bool IsFinite(double x) { return x - x == 0.0; }

// True when no element is NaN or infinite.
[[maybe_unused]] static bool AllFinite(const BFloat16* row, int64_t count) {
  uint32_t bad = 0;
  for (int64_t i = 0; i < count; ++i) bad |= (row[i].bits & 0x7F80u) == 0x7F80u;
  return !bad;
}
[[maybe_unused]] static bool AllFinite(const float* row, int64_t count) {
  uint32_t bad = 0;
  for (int64_t i = 0; i < count; ++i) bad |= !IsFinite(row[i]);
  return !bad;
}
[[maybe_unused]] static bool AllFinite(const double* row, int64_t count) {
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) finite &= IsFinite(row[i]);
  return finite;
}

}  // namespace
}  // namespace npu_fa
