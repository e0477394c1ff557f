// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) as the dropout of the
// operator counts it: key = seed, counter = (0, 0, offset) + group, four words a group.
#pragma once

#include <cstdint>

namespace npu_fa {

#ifndef FA_FUNCTION
#ifdef __aicore__
#define FA_FUNCTION __aicore__ inline constexpr
#else
#define FA_FUNCTION constexpr
#endif
#endif

struct PhiloxBlock {
  uint32_t word[4];
};

FA_FUNCTION PhiloxBlock Philox4x32(PhiloxBlock counter, uint32_t key0, uint32_t key1) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * counter.word[0], product1 = kMultiplier1 * counter.word[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<uint32_t>(product0)}};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

// The four random words of elements 4 * group .. 4 * group + 3 of a dropout stream.
FA_FUNCTION PhiloxBlock DropoutWords(uint64_t seed, uint64_t offset, uint64_t group) {
  // 128-bit counter (0, 0, offset lo, offset hi) + group; a 64-bit group cannot carry out of the low half.
  const PhiloxBlock counter = {{static_cast<uint32_t>(group), static_cast<uint32_t>(group >> 32),
                                static_cast<uint32_t>(offset), static_cast<uint32_t>(offset >> 32)}};
  return Philox4x32(counter, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

// Uniform in (0, 1]: float32(x) * 2^-32 + 2^-33, rounded as float32 rounds.
FA_FUNCTION float UniformFromWord(uint32_t word) {
  constexpr float kTwoToMinus32 = 2.3283064365386963e-10f, kTwoToMinus33 = 1.1641532182693481e-10f;
  return static_cast<float>(word) * kTwoToMinus32 + kTwoToMinus33;
}

// A uniform number keeps its element iff it is below this: float32(1) - p with p = float32(1) - float32(keep_prob).
FA_FUNCTION float KeepBelow(double keep_prob) {
  const float drop_prob = 1.0f - static_cast<float>(keep_prob);
  return 1.0f - drop_prob;
}

}  // namespace npu_fa
