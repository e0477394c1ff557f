// Products of small row-major matrices, C (+)= A B with C in the real type of the operands: what the kernels ask of a
// library. products.cpp says which library answers.
//
// bfloat16 operands: K is even, and B holds pairs of its rows, [K / 2][N][2], as the dot-product instructions want it.
#pragma once

#include <cstdint>

namespace npu_fa {

struct Shape {
  int64_t m, n, k;
  int64_t a_row, b_row, c_row;  // elements between rows; for paired B between pairs of rows, counted in pairs
};

struct Products {
  // Null where the machine has no such product; plain_product.h then takes its place.
  void (*bfloat16)(const Shape&, bool add, const uint16_t* a, const uint16_t* b, float* c);
  void (*float32)(const Shape&, bool add, const float* a, const float* b, float* c);
  void (*release)();  // ends a thread's run of products (the matrix unit's state)
};

// The products of this machine: those whose trial comes out right.
const Products& MachineProducts();

}  // namespace npu_fa
