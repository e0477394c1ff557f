// Rows of half and bfloat16 to fp32 and back (round to nearest even), for the inner loops of the instructions.
//
// The same bits on every host: where the host converts by itself, NaN is made canonical first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ascend_sim {

void HalfToFloatBatch(const uint16_t* in, float* out, size_t count);
void FloatToHalfBatch(const float* in, uint16_t* out, size_t count);
// To half and back, in place: what a sum in half leaves.
void RoundToHalfBatch(float* values, size_t count);
void BfloatToFloatBatch(const uint16_t* in, float* out, size_t count);
void FloatToBfloatBatch(const float* in, uint16_t* out, size_t count);

}  // namespace ascend_sim
