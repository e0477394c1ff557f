// The arithmetic of the cube: fractal layouts to packed panels, and a blocked fp32 product of panels.
//
// Products and sums are rounded separately (no fused multiply-add) and k runs upwards, so a result has the same bits on
// every host. For half and bfloat16 inputs the product is exact in fp32 anyway.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ascend_sim {

enum class CubeInput : uint8_t { kHalf, kBfloat16, kFloat, kHf32Even, kHf32Zero };

struct MmadShape {
  int m = 0;
  int n = 0;
  int k = 0;
  int a_k_blocks = 0;  // fractals along k in a row of fractals of A (more than k needs when K is aligned to 16)
  bool gemv = false;   // m == 1: A is a plain row of k elements
};

enum class AccumulatorSource : uint8_t { kZero, kL0C, kBias };

// C = A * B + (0 | C | bias). A is Zz (rows of 16 x k0 fractals), B is Zn (rows of k0 x 16 fractals, each stored with n
// outside), C is Nz (columns of 16 x 16 fp32 fractals), k0 = 32 bytes of elements. Only the valid m x n x k part is
// read or written.
void MmadFloat(float* c, const void* a, const void* b, const float* bias, CubeInput input, const MmadShape& shape,
               AccumulatorSource source);

// The same for int8 inputs and int32 accumulation.
void MmadInt8(int32_t* c, const int8_t* a, const int8_t* b, const int32_t* bias, const MmadShape& shape,
              AccumulatorSource source);

}  // namespace ascend_sim
