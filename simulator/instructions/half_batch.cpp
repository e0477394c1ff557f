#include "instructions/half_batch.h"

#include "instructions/number_formats.h"

// One body, compiled for several instruction sets; the loader picks at start-up.
#if defined(__x86_64__) && defined(__GNUC__)
#define ASCEND_SIM_CLONES __attribute__((target_clones("default", "avx2")))
#else
#define ASCEND_SIM_CLONES
#endif

namespace ascend_sim {

ASCEND_SIM_CLONES void HalfToFloatBatch(const uint16_t* __restrict in, float* __restrict out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = HalfBitsToFloat(in[i]);
}

ASCEND_SIM_CLONES void FloatToHalfBatch(const float* __restrict in, uint16_t* __restrict out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = FloatToHalfNearest(in[i]);
}

ASCEND_SIM_CLONES void BfloatToFloatBatch(const uint16_t* __restrict in, float* __restrict out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = BfloatBitsToFloat(in[i]);
}

ASCEND_SIM_CLONES void FloatToBfloatBatch(const float* __restrict in, uint16_t* __restrict out, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = Bfloat16Format::FromFloat(in[i]);
}

}  // namespace ascend_sim
