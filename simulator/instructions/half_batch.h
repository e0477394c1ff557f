// Rows of half and bfloat16 to fp32 and back (round to nearest even), for the inner loops of the vector instructions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ascend_sim {

void HalfToFloatBatch(const uint16_t* in, float* out, size_t count);
void FloatToHalfBatch(const float* in, uint16_t* out, size_t count);
void BfloatToFloatBatch(const uint16_t* in, float* out, size_t count);
void FloatToBfloatBatch(const float* in, uint16_t* out, size_t count);

}  // namespace ascend_sim
