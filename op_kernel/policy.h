// The kernel instances, and the numbers of the pipeline that both kernels and tiling go by.
#pragma once

#include <cstdint>

#include "semantics.h"

#ifdef __aicore__
#define FA_INLINE __aicore__ inline
#else
#define FA_INLINE inline
#endif

namespace npu_fa {

// An instance: element type of the inputs, and whether anything but the band changes scores (bias, dense mask,
// dropout). A plain instance spends no UB on what it never does.
template <typename Element, bool kHasModifiers>
struct Policy {
  using T = Element;
  static constexpr bool kModified = kHasModifiers;
};

#define FA_POLICIES(X)    \
  X(0, half, false)       \
  X(1, half, true)        \
  X(2, bfloat16_t, false) \
  X(3, bfloat16_t, true)  \
  X(4, float, false)      \
  X(5, float, true)

FA_FUNCTION int32_t PolicyId(const AttentionProblem& p) {
  const int32_t type = p.dtype == DType::kFloat16 ? 0 : p.dtype == DType::kBFloat16 ? 1 : 2;
  const bool modified =
      p.bias.kind != BiasKind::kNone || p.mask.present || p.dropout.kind != DropoutKind::kNone || !(p.scale > 0);
  return 2 * type + (modified ? 1 : 0);
}

// Scores run this many stages ahead of P V, so that the cube has work while a softmax is on its way.
constexpr int32_t kScoresAhead = 2;
// The vector cores fold P V into O this many stages late, so that they never wait for a product just begun.
constexpr int32_t kProductsBehind = 2;
// Slots of the rings in GM. A slot is free again without a flag of its own: P(t) is only set after scores t were read
// and products t - 1 - kProductsBehind folded; products t only after P(t) was read.
constexpr int32_t kRingSlots = 3;
static_assert(kRingSlots > kScoresAhead && kRingSlots > kProductsBehind, "a slot would be overwritten unread");

// Scores and P of a stage lie in slabs of this many columns, [slab][row][column]: a row of a slab is eight repeats of
// the vector unit, and one broadcast of the row maximum serves all of them.
constexpr int32_t kSlabColumns = 512;

// Columns are computed in multiples of this: the bits of a compare of so many floats are 32 bytes.
constexpr int32_t kCompareColumns = 256;

// The forward's vector cores store P while they work on the next tile up to its own P: one buffer is enough, and the
// room goes into larger tiles, which start fewer instructions.
constexpr int32_t kForwardOutboxes = 1;

constexpr int32_t kL1Bytes = 512 * 1024;
constexpr int32_t kUbBytes = 184 * 1024;  // Select with a scalar keeps the last 8 KiB of UB to itself

constexpr float kInfinity = __builtin_inff();

constexpr int32_t kFractalSide = 16;
constexpr int32_t kBlockBytes = 32;
constexpr int32_t kRepeatFloats = 64;
constexpr int32_t kBlockFloats = 8;
constexpr int32_t kMaxRepeats = 255;

FA_FUNCTION int32_t CeilDiv(int32_t a, int32_t b) { return (a + b - 1) / b; }
FA_FUNCTION int32_t RoundUp(int32_t a, int32_t b) { return CeilDiv(a, b) * b; }
FA_FUNCTION int64_t CeilDiv64(int64_t a, int64_t b) { return (a + b - 1) / b; }
FA_FUNCTION int32_t Smaller(int32_t a, int32_t b) { return a < b ? a : b; }
FA_FUNCTION int32_t Larger(int32_t a, int32_t b) { return a > b ? a : b; }

}  // namespace npu_fa
