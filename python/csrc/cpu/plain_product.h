// C (+)= A B where no library has a product for the machine: register blocks of 4 rows by 3 vectors, or what is left.
#pragma once

#include "products.h"
#include "vec.h"

namespace npu_fa {
namespace {

// kRows x (kVectors * kWidth) elements of C.
template <class R, int kRows, int kVectors>
FA_INLINE void ProductBlock(const Shape& s, bool add, const R* a, const R* b, R* c) {
  using V = Vec<R>;
  V sum[kRows][kVectors];
  for (int i = 0; i < kRows; ++i)
    for (int v = 0; v < kVectors; ++v) sum[i][v] = V{};
  for (int64_t k = 0; k < s.k; ++k) {
    V right[kVectors];
    for (int v = 0; v < kVectors; ++v) right[v] = LoadVector<V>(b + k * s.b_row + v * kWidth<R>);
    for (int i = 0; i < kRows; ++i)
      for (int v = 0; v < kVectors; ++v) sum[i][v] += a[i * s.a_row + k] * right[v];
  }
  for (int i = 0; i < kRows; ++i)
    for (int v = 0; v < kVectors; ++v) {
      R* to = c + i * s.c_row + v * kWidth<R>;
      StoreVector(to, add ? LoadVector<V>(to) + sum[i][v] : sum[i][v]);
    }
}

// kRows rows of C.
template <class R, int kRows>
[[maybe_unused]] static void ProductRows(const Shape& s, bool add, const R* a, const R* b, R* c) {
  int64_t j = 0;
  for (; j + 3 * kWidth<R> <= s.n; j += 3 * kWidth<R>) ProductBlock<R, kRows, 3>(s, add, a, b + j, c + j);
  for (; j + kWidth<R> <= s.n; j += kWidth<R>) ProductBlock<R, kRows, 1>(s, add, a, b + j, c + j);
  for (; j < s.n; ++j)
    for (int i = 0; i < kRows; ++i) {
      R sum = 0;
      for (int64_t k = 0; k < s.k; ++k) sum += a[i * s.a_row + k] * b[k * s.b_row + j];
      c[i * s.c_row + j] = add ? c[i * s.c_row + j] + sum : sum;
    }
}

template <class R>
[[maybe_unused]] static void PlainProduct(const Shape& s, bool add, const R* a, const R* b, R* c) {
  int64_t i = 0;
  for (; i + 4 <= s.m; i += 4) ProductRows<R, 4>(s, add, a + i * s.a_row, b, c + i * s.c_row);
  for (; i < s.m; ++i) ProductRows<R, 1>(s, add, a + i * s.a_row, b, c + i * s.c_row);
}

}  // namespace
}  // namespace npu_fa
