#include "instructions/half_batch.h"

#include "instructions/number_formats.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
// One body, compiled for several instruction sets; the loader picks at start-up, when ThreadSanitizer is not ready yet.
#define ASCEND_SIM_CLONES __attribute__((target_clones("default", "avx2")))
#else
#define ASCEND_SIM_CLONES
#endif

namespace ascend_sim {
namespace {

void HalfToFloatPlain(const uint16_t* in, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = HalfBitsToFloat(in[i]);
}

void FloatToHalfPlain(const float* in, uint16_t* out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = FloatToHalfNearest(in[i]);
}

void RoundToHalfPlain(float* values, size_t count) {
  for (size_t i = 0; i < count; ++i) values[i] = HalfBitsToFloat(FloatToHalfNearest(values[i]));
}

#if defined(__x86_64__)
[[gnu::target("avx,f16c"), gnu::always_inline]] inline __m128i ToHalf8(__m256 values) {
  const __m256 sign = _mm256_and_ps(values, _mm256_set1_ps(-0.0f));
  const __m256 quiet = _mm256_or_ps(sign, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)));
  const __m256 unordered = _mm256_cmp_ps(values, values, _CMP_UNORD_Q);
  return _mm256_cvtps_ph(_mm256_blendv_ps(values, quiet, unordered), _MM_FROUND_TO_NEAREST_INT);
}

[[gnu::target("avx,f16c")]] void HalfToFloatF16c(const uint16_t* in, float* out, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i))));
  }
  for (; i < count; ++i) out[i] = HalfBitsToFloat(in[i]);
}

[[gnu::target("avx,f16c")]] void FloatToHalfF16c(const float* in, uint16_t* out, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), ToHalf8(_mm256_loadu_ps(in + i)));
  }
  for (; i < count; ++i) out[i] = FloatToHalfNearest(in[i]);
}

[[gnu::target("avx,f16c")]] void RoundToHalfF16c(float* values, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(values + i, _mm256_cvtph_ps(ToHalf8(_mm256_loadu_ps(values + i))));
  }
  for (; i < count; ++i) values[i] = HalfBitsToFloat(FloatToHalfNearest(values[i]));
}

const bool has_f16c = __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
const auto half_to_float = has_f16c ? HalfToFloatF16c : HalfToFloatPlain;
const auto float_to_half = has_f16c ? FloatToHalfF16c : FloatToHalfPlain;
const auto round_to_half = has_f16c ? RoundToHalfF16c : RoundToHalfPlain;
#else
const auto half_to_float = HalfToFloatPlain;
const auto float_to_half = FloatToHalfPlain;
const auto round_to_half = RoundToHalfPlain;
#endif

}  // namespace

void HalfToFloatBatch(const uint16_t* in, float* out, size_t count) { half_to_float(in, out, count); }

void FloatToHalfBatch(const float* in, uint16_t* out, size_t count) { float_to_half(in, out, count); }

void RoundToHalfBatch(float* values, size_t count) { round_to_half(values, count); }

ASCEND_SIM_CLONES void BfloatToFloatBatch(const uint16_t* __restrict in, float* __restrict out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = BfloatBitsToFloat(in[i]);
}

ASCEND_SIM_CLONES void FloatToBfloatBatch(const float* __restrict in, uint16_t* __restrict out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = Bfloat16Format::FromFloat(in[i]);
}

}  // namespace ascend_sim
