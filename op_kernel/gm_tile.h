// Tiles in and out: strided rows in GM to and from L1 and UB.
#pragma once

#include "kernel_operator.h"
#include "policy.h"

namespace npu_fa {

using AscendC::GlobalTensor;
using AscendC::HardEvent;
using AscendC::LocalTensor;

template <typename T>
constexpr int32_t kBlockElements = kBlockBytes / static_cast<int32_t>(sizeof(T));

template <typename T>
FA_INLINE GlobalTensor<T> GmTensor(GM_ADDR address) {
  GlobalTensor<T> tensor;
  tensor.SetGlobalBuffer((__gm__ T*)address);
  return tensor;
}

// The next stretch of GM, `at` moving on behind it.
template <typename T>
FA_INLINE GlobalTensor<T> TakeGm(GM_ADDR& at, int64_t elements) {
  const GlobalTensor<T> tensor = GmTensor<T>(at);
  at += elements * static_cast<int64_t>(sizeof(T));
  return tensor;
}

// rows x columns of a row-major matrix into L1 as strips of 32 bytes, `l1_rows` rows to a strip. The rest of the last
// strip becomes zero.
template <typename T>
FA_INLINE void LoadStrips(const LocalTensor<T>& l1, const GlobalTensor<T>& gm, int32_t rows, int32_t columns,
                          int64_t row_stride, int32_t l1_rows) {
  // What the instruction takes; rows that overlap or repeat come from expand() and as_strided().
  constexpr int64_t kMaxRowStride = 65535;
  if (rows == 1 || (row_stride >= columns && row_stride <= kMaxRowStride)) {
    const uint16_t stride = rows == 1 ? columns : row_stride;
    AscendC::DataCopy(l1, gm, AscendC::Nd2NzParams(1, rows, columns, 0, stride, l1_rows, 1, 0));
    return;
  }
  for (int32_t row = 0; row < rows; ++row) {
    AscendC::DataCopy(l1[row * kBlockElements<T>], gm[row * row_stride],
                      AscendC::Nd2NzParams(1, 1, columns, 0, columns, l1_rows, 1, 0));
  }
}

// rows x columns into UB, `ub_columns` elements to a row, a multiple of 32 bytes. The last 32 bytes of a row are filled
// up with zeros, further elements of the row are left alone.
template <typename T>
FA_INLINE void LoadRows(const LocalTensor<T>& ub, const GlobalTensor<T>& gm, int32_t rows, int32_t columns,
                        int64_t row_stride, int32_t ub_columns) {
  const uint32_t bytes = columns * sizeof(T);
  const int64_t gap = (row_stride - columns) * static_cast<int64_t>(sizeof(T));
  const uint8_t missing = (RoundUp(bytes, kBlockBytes) - bytes) / sizeof(T);
  const AscendC::DataCopyPadExtParams<T> zeros(true, 0, missing, T(0));
  if (rows == 1 || (gap >= 0 && gap <= INT32_MAX)) {
    const uint32_t skipped = (ub_columns - RoundUp(columns, kBlockElements<T>)) / kBlockElements<T>;
    AscendC::DataCopyPad(ub, gm, AscendC::DataCopyExtParams(rows, bytes, rows == 1 ? 0 : gap, skipped, 0), zeros);
    return;
  }
  for (int32_t row = 0; row < rows; ++row) {
    AscendC::DataCopyPad(ub[row * ub_columns], gm[row * row_stride], AscendC::DataCopyExtParams(1, bytes, 0, 0, 0),
                         zeros);
  }
}

template <typename T>
FA_INLINE void StoreRows(const GlobalTensor<T>& gm, const LocalTensor<T>& ub, int32_t rows, int32_t columns,
                         int64_t row_stride, int32_t ub_columns) {
  const uint32_t bytes = columns * sizeof(T);
  const int64_t gap = (row_stride - columns) * static_cast<int64_t>(sizeof(T));
  const uint32_t skipped = (ub_columns * sizeof(T) - bytes) / kBlockBytes;
  if (rows == 1 || (gap >= 0 && gap <= INT32_MAX)) {
    AscendC::DataCopyPad(gm, ub, AscendC::DataCopyExtParams(rows, bytes, skipped, rows == 1 ? 0 : gap, 0));
    return;
  }
  for (int32_t row = 0; row < rows; ++row) {
    AscendC::DataCopyPad(gm[row * row_stride], ub[row * ub_columns], AscendC::DataCopyExtParams(1, bytes, 0, 0, 0));
  }
}

// Whole rows between GM and UB where both sides are multiples of 32 bytes: the rings of the workspace.
template <typename T>
FA_INLINE void LoadAligned(const LocalTensor<T>& ub, const GlobalTensor<T>& gm, int32_t rows, int32_t columns,
                           int32_t gm_columns) {
  constexpr int32_t kBlock = kBlockElements<T>;
  AscendC::DataCopy(ub, gm, AscendC::DataCopyParams(rows, columns / kBlock, (gm_columns - columns) / kBlock, 0));
}

template <typename T>
FA_INLINE void StoreAligned(const GlobalTensor<T>& gm, const LocalTensor<T>& ub, int32_t rows, int32_t columns,
                            int32_t gm_columns) {
  constexpr int32_t kBlock = kBlockElements<T>;
  AscendC::DataCopy(gm, ub, AscendC::DataCopyParams(rows, columns / kBlock, 0, (gm_columns - columns) / kBlock));
}

}  // namespace npu_fa
