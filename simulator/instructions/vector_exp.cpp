#include "instructions/vector_exp.h"

#include <cstdint>

// Floating-point flags do not matter here, and minding them would keep the loop from vectorising.
#pragma GCC optimize("no-trapping-math")

// The loader picks the clone at start-up, when ThreadSanitizer is not ready yet.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define ASCEND_SIM_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define ASCEND_SIM_CLONES
#endif

namespace ascend_sim {

// e^x = 2^n * e^r with x = n ln 2 + r and |r| <= ln 2 / 2, in double precision: the Taylor polynomial of degree 8 is
// then good to 2e-10, and the one rounding to float decides. No branches, so that the loop vectorises.
ASCEND_SIM_CLONES void ExpBatch(const float* in, float* out, size_t count) {
  constexpr double kLog2e = 1.4426950408889634;
  constexpr double kLn2 = 0.6931471805599453;
  constexpr double kLowest = -110.0, kHighest = 90.0;  // beyond them a float is 0 or infinity
  constexpr double kToInteger = 6755399441055744.0;    // 1.5 * 2^52: adding it leaves the nearest integer below
#pragma GCC ivdep
  for (size_t i = 0; i < count; ++i) {
    double x = in[i];
    x = x < kLowest ? kLowest : x;
    x = x > kHighest ? kHighest : x;
    const double shifted = x * kLog2e + kToInteger;
    const double r = x - (shifted - kToInteger) * kLn2;
    double series = 1.0 / 40320;
    series = series * r + 1.0 / 5040;
    series = series * r + 1.0 / 720;
    series = series * r + 1.0 / 120;
    series = series * r + 1.0 / 24;
    series = series * r + 1.0 / 6;
    series = series * r + 0.5;
    series = series * r + 1.0;
    series = series * r + 1.0;
    // n sits in the low bits of `shifted`.
    const uint64_t bits = (__builtin_bit_cast(uint64_t, shifted) + 1023) << 52;
    const double power = __builtin_bit_cast(double, bits);
    out[i] = static_cast<float>(series * power);  // a NaN stays one
  }
}

}  // namespace ascend_sim
