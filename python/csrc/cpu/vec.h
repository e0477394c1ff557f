// Vectors as wide as the instruction-set level a file is compiled for: arithmetic is the compiler's vector extension,
// so one source serves AVX-512, AVX2, SSE2 and NEON. Only exp2 and the widening product ask for instructions by name.
//
// Code compiled once per level uses nothing with external linkage (no STL): the linker keeps one copy of an inline
// function, and a copy compiled for AVX-512 must never serve the plain level.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace npu_fa {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

typedef float Floats __attribute__((vector_size(kVectorBytes), may_alias));
typedef double Doubles __attribute__((vector_size(kVectorBytes), may_alias));
typedef int32_t Ints __attribute__((vector_size(kVectorBytes), may_alias));
typedef int64_t Longs __attribute__((vector_size(kVectorBytes), may_alias));
typedef uint32_t Words __attribute__((vector_size(kVectorBytes), may_alias));
typedef uint64_t LongWords __attribute__((vector_size(kVectorBytes), may_alias));
typedef uint16_t Shorts __attribute__((vector_size(kVectorBytes), may_alias));
typedef uint16_t HalfShorts __attribute__((vector_size(kVectorBytes / 2), may_alias));

// The vector of a real type, and the integers its comparisons give.
template <class Real>
struct VectorOf;
template <>
struct VectorOf<float> {
  using Type = Floats;
  using Mask = Ints;
};
template <>
struct VectorOf<double> {
  using Type = Doubles;
  using Mask = Longs;
};
template <class Real>
using Vec = typename VectorOf<Real>::Type;

template <class Real>
constexpr int kWidth = kVectorBytes / static_cast<int>(sizeof(Real));

#define FA_INLINE [[maybe_unused]] static inline __attribute__((always_inline))

template <class V>
FA_INLINE V LoadVector(const void* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class V>
FA_INLINE void StoreVector(void* to, V v) {
  std::memcpy(to, &v, sizeof v);
}

template <class Real>
FA_INLINE Vec<Real> Splat(Real x) {
  return x - Vec<Real>{};
}

template <class Real>
FA_INLINE Vec<Real> Maximum(Vec<Real> a, Vec<Real> b) {
  return a > b ? a : b;
}

template <class Real>
FA_INLINE Real Sum(Vec<Real> v) {
  Real total = 0;
  for (int i = 0; i < kWidth<Real>; ++i) total += v[i];
  return total;
}

template <class Real>
FA_INLINE bool AnyTrue(typename VectorOf<Real>::Mask mask) {
  int64_t any = 0;
  for (int i = 0; i < kWidth<Real>; ++i) any |= mask[i];
  return any != 0;
}

constexpr float kLog2OfE = 1.44269504088896341f;

// 2^x with a relative error below 1e-7 (tests/backend/test_native.py measures it); 0 below the normal range, inf
// above it, NaN stays NaN. The polynomial is a minimax fit of 2^f on [-1/2, 1/2].
FA_INLINE Floats Exp2(Floats x) {
#if defined(__AVX512F__)
  const Floats whole = (Floats)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  x = x < -127.0f ? Splat(-127.0f) : x;
  x = x > 128.0f ? Splat(128.0f) : x;
  const Floats magic = Splat(12582912.0f);  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const Floats shifted = x + magic;
  const Floats whole = shifted - magic;
#endif
  const Floats f = x - whole;
  Floats p = Splat(1.535336196e-4f);
  p = p * f + 1.339887385e-3f;
  p = p * f + 9.618436918e-3f;
  p = p * f + 5.550332367e-2f;
  p = p * f + 2.402264774e-1f;
  p = p * f + 6.931471825e-1f;
  p = p * f + 1.0f;
#if defined(__AVX512F__)
  return (Floats)_mm512_scalef_ps((__m512)p, (__m512)whole);
#else
  // -127 becomes the exponent of zero, 128 that of infinity.
  return p * (Floats)(((Ints)shifted + (127 - 0x4B400000)) << 23);
#endif
}

FA_INLINE Floats ExpOf(Floats x) { return Exp2(x * kLog2OfE); }
FA_INLINE Doubles ExpOf(Doubles x) {
  for (int i = 0; i < kWidth<double>; ++i) x[i] = std::exp(x[i]);
  return x;
}

// A product as rounded to its type. Without this the compiler may round it only after the next sum, and x * scale - m
// would not be 0 where x * scale is the maximum m.
template <class V>
FA_INLINE V Rounded(V product) {
#if defined(__AVX512F__)
  asm("" : "+v"(product));
#elif defined(__x86_64__)
  asm("" : "+x"(product));
#elif defined(__aarch64__)
  asm("" : "+w"(product));
#endif
  return product;
}

// dst[c][r] = src[r][c] for a kWidth x kWidth block of 32-bit elements.
FA_INLINE void TransposeBlock(const uint32_t* src, int64_t src_row, uint32_t* dst, int64_t dst_row) {
  constexpr int kSide = kWidth<float>;
  Words row[kSide];
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) row[i] = LoadVector<Words>(src + i * src_row);
  // Butterfly: step s swaps the off-diagonal s x s blocks of each 2s x 2s block.
#pragma GCC unroll 4
  for (int s = 1; s < kSide; s *= 2) {
    Words keep_low, keep_high;
#pragma GCC unroll 16
    for (int l = 0; l < kSide; ++l) {
      keep_low[l] = (l & s) ? kSide + l - s : l;
      keep_high[l] = (l & s) ? kSide + l : l + s;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      if (i & s) continue;
      const Words a = row[i], b = row[i + s];
      row[i] = __builtin_shuffle(a, b, keep_low);
      row[i + s] = __builtin_shuffle(a, b, keep_high);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) StoreVector(dst + i * dst_row, row[i]);
}

// dst[c][r] = src[r][c]; whole blocks by shuffles, edges one by one.
[[maybe_unused]] static void Transpose(const uint32_t* src, int64_t rows, int64_t columns, int64_t src_row,
                                       uint32_t* dst, int64_t dst_row) {
  constexpr int kSide = kWidth<float>;
  const int64_t whole_rows = rows / kSide * kSide, whole_columns = columns / kSide * kSide;
  for (int64_t r = 0; r < whole_rows; r += kSide)
    for (int64_t c = 0; c < whole_columns; c += kSide)
      TransposeBlock(src + r * src_row + c, src_row, dst + c * dst_row + r, dst_row);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) dst[c * dst_row + r] = src[r * src_row + c];
}

[[maybe_unused]] static void Transpose(const float* src, int64_t rows, int64_t columns, int64_t src_row, float* dst,
                                       int64_t dst_row) {
  Transpose(reinterpret_cast<const uint32_t*>(src), rows, columns, src_row, reinterpret_cast<uint32_t*>(dst), dst_row);
}

[[maybe_unused]] static void Transpose(const double* src, int64_t rows, int64_t columns, int64_t src_row, double* dst,
                                       int64_t dst_row) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) dst[c * dst_row + r] = src[r * src_row + c];
}

// dst[c] = (low[c], high[c]): two rows of 16-bit elements as one row of pairs.
[[maybe_unused]] static void InterleaveRows(const uint16_t* low, const uint16_t* high, int64_t columns, uint16_t* dst) {
  constexpr int kCount = kVectorBytes / 2;
  Shorts first, second;
#pragma GCC unroll 32
  for (int l = 0; l < kCount; ++l) {
    first[l] = static_cast<uint16_t>((l & 1) * kCount + l / 2);
    second[l] = static_cast<uint16_t>((l & 1) * kCount + kCount / 2 + l / 2);
  }
  int64_t c = 0;
  for (; c + kCount <= columns; c += kCount) {
    const Shorts a = LoadVector<Shorts>(low + c), b = LoadVector<Shorts>(high + c);
    StoreVector(dst + 2 * c, __builtin_shuffle(a, b, first));
    StoreVector(dst + 2 * c + kCount, __builtin_shuffle(a, b, second));
  }
  for (; c < columns; ++c) {
    dst[2 * c] = low[c];
    dst[2 * c + 1] = high[c];
  }
}

}  // namespace
}  // namespace npu_fa
