// Copies between GM and the local memories.
//
// The pipe follows from the path: GM to UB or L1 is MTE2, UB or L1 to GM is MTE3, UB to UB is V, L1 to the bias table
// or the fixpipe buffer is MTE1.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "instructions/data_copy_params.h"
#include "machine/core.h"

namespace ascend_sim {

// `count` blocks of `bytes`; consecutive blocks start `source_pitch` and `target_pitch` bytes apart.
struct StridedCopy {
  uint32_t count = 1;
  uint64_t bytes = 0;
  int64_t source_pitch = 0;
  int64_t target_pitch = 0;
};

// A row copied from GM with padding: `left` and `right` bytes around each block, the rest of its last 32 bytes dummy.
struct RowPadding {
  uint32_t left = 0;
  uint32_t right = 0;
  bool set = false;    // padding holds `value`; otherwise garbage
  uint64_t value = 0;  // bits of an element
  uint32_t element_bytes = 1;
};

struct NzLayout {
  uint32_t matrices, rows, columns;  // columns in elements
  uint32_t element_bytes;
  uint64_t source_matrix, source_row;                 // bytes
  uint64_t target_column, target_row, target_matrix;  // bytes
};

void CopyFromGm(Instruction& frame, const Operand& dst, const Operand& src, const StridedCopy& copy,
                uint32_t element_bytes);
void CopyToGm(Instruction& frame, const Operand& dst, const Operand& src, const StridedCopy& copy,
              uint32_t element_bytes);
void CopyLocal(Instruction& frame, const Operand& dst, const Operand& src, const StridedCopy& copy);
void CopyPadded(Instruction& frame, const Operand& dst, const Operand& src, const StridedCopy& copy,
                const RowPadding& padding);
void CopyNdToNz(Instruction& frame, const Operand& dst, const Operand& src, const NzLayout& layout);
void CopyNzToNd(Instruction& frame, const Operand& dst, const Operand& src, const AscendC::Nz2NdParamsFull& params,
                uint32_t element_bytes);
void CopySlices(Instruction& frame, const Operand& dst, const Operand& src, const AscendC::SliceInfo dst_slices[],
                const AscendC::SliceInfo src_slices[], uint32_t dimensions, uint32_t element_bytes, bool to_gm);

// Encoding limits of DataCopyParams.
StridedCopy CopyOf(const Instruction& frame, const AscendC::DataCopyParams& params);
// A contiguous copy; the hardware moves whole blocks of 32 bytes only.
StridedCopy CopyOf(const Instruction& frame, uint64_t count, uint32_t element_bytes);
void RequireNormal(const Instruction& frame, const AscendC::DataCopyEnhancedParams& params);
NzLayout LayoutOf(const Instruction& frame, const AscendC::Nd2NzParams& params, uint32_t element_bytes);
void RequirePadRange(const Instruction& frame, const AscendC::DataCopyExtParams& params, uint32_t element_bytes);

inline pipe_t LocalCopyPipe(Hardware source) { return source == Hardware::L1 ? PIPE_MTE1 : PIPE_V; }

}  // namespace ascend_sim

namespace AscendC {

template <typename T>
inline void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const uint32_t count, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE2, where);
  ascend_sim::CopyFromGm(frame, frame.Local("dst", dst), frame.Global("src", src),
                         ascend_sim::CopyOf(frame, count, sizeof(T)), sizeof(T));
}

template <typename T>
inline void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const DataCopyParams& repeatParams,
                     ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE2, where);
  ascend_sim::CopyFromGm(frame, frame.Local("dst", dst), frame.Global("src", src),
                         ascend_sim::CopyOf(frame, repeatParams), sizeof(T));
}

template <typename T>
inline void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const DataCopyParams& intriParams,
                     const DataCopyEnhancedParams& enhancedParams, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE2, where);
  ascend_sim::RequireNormal(frame, enhancedParams);
  ascend_sim::CopyFromGm(frame, frame.Local("dst", dst), frame.Global("src", src),
                         ascend_sim::CopyOf(frame, intriParams), sizeof(T));
}

template <typename T>
inline void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const SliceInfo dstSliceInfo[],
                     const SliceInfo srcSliceInfo[], const uint32_t dimValue = 1, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE2, where);
  ascend_sim::CopySlices(frame, frame.Local("dst", dst, Hardware::UB), frame.Global("src", src), dstSliceInfo,
                         srcSliceInfo, dimValue, sizeof(T), false);
}

// Rows of a matrix in GM become columns of 32-byte blocks in L1; the last column is filled up with zeros.
template <typename T>
inline void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const Nd2NzParams& intriParams,
                     ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE2, where);
  ascend_sim::CopyNdToNz(frame, frame.Local("dst", dst, Hardware::L1), frame.Global("src", src),
                         ascend_sim::LayoutOf(frame, intriParams, sizeof(T)));
}

template <typename T>
inline void DataCopy(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const uint32_t count, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE3, where);
  ascend_sim::CopyToGm(frame, frame.Global("dst", dst), frame.Local("src", src),
                       ascend_sim::CopyOf(frame, count, sizeof(T)), sizeof(T));
}

template <typename T>
inline void DataCopy(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const DataCopyParams& repeatParams,
                     ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE3, where);
  ascend_sim::CopyToGm(frame, frame.Global("dst", dst), frame.Local("src", src),
                       ascend_sim::CopyOf(frame, repeatParams), sizeof(T));
}

template <typename T>
inline void DataCopy(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const DataCopyParams& intriParams,
                     const DataCopyEnhancedParams& enhancedParams, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE3, where);
  ascend_sim::RequireNormal(frame, enhancedParams);
  ascend_sim::CopyToGm(frame, frame.Global("dst", dst), frame.Local("src", src), ascend_sim::CopyOf(frame, intriParams),
                       sizeof(T));
}

template <typename T>
inline void DataCopy(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const SliceInfo dstSliceInfo[],
                     const SliceInfo srcSliceInfo[], const uint32_t dimValue = 1, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE3, where);
  ascend_sim::CopySlices(frame, frame.Global("dst", dst), frame.Local("src", src, Hardware::UB), dstSliceInfo,
                         srcSliceInfo, dimValue, sizeof(T), true);
}

// Fractals in UB become rows in GM.
template <typename T>
inline void DataCopy(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const Nz2NdParamsFull& intriParams,
                     ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", PIPE_MTE3, where);
  ascend_sim::CopyNzToNd(frame, frame.Global("dst", dst), frame.Local("src", src, Hardware::UB), intriParams,
                         sizeof(T));
}

template <typename T>
inline void DataCopy(const LocalTensor<T>& dst, const LocalTensor<T>& src, const uint32_t count, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopy", ascend_sim::LocalCopyPipe(src.memory()), where);
  ascend_sim::CopyLocal(frame, frame.Local("dst", dst), frame.Local("src", src),
                        ascend_sim::CopyOf(frame, count, sizeof(T)));
}

template <typename T, typename U>
inline void DataCopy(const LocalTensor<T>& dst, const LocalTensor<U>& src, const DataCopyParams& repeatParams,
                     ASCEND_SIM_CALLER) {
  static_assert(sizeof(T) == sizeof(U) || std::is_same_v<T, float>, "only L1 to the bias table converts");
  ascend_sim::Instruction frame("DataCopy", ascend_sim::LocalCopyPipe(src.memory()), where);
  frame.Require(sizeof(T) == sizeof(U), ascend_sim::FaultKind::kArgument, "dst", "converting copies are not modelled");
  ascend_sim::CopyLocal(frame, frame.Local("dst", dst), frame.Local("src", src),
                        ascend_sim::CopyOf(frame, repeatParams));
}

// Byte-granular copies. From GM, `padParams` says what stands around each block in UB.
template <typename T>
inline void DataCopyPad(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const DataCopyExtParams& dataCopyParams,
                        const DataCopyPadExtParams<T>& padParams, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopyPad", PIPE_MTE2, where);
  ascend_sim::RequirePadRange(frame, dataCopyParams, sizeof(T));
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &padParams.paddingValue, sizeof(T));
  const ascend_sim::RowPadding padding{static_cast<uint32_t>(padParams.leftPadding * sizeof(T)),
                                       static_cast<uint32_t>(padParams.rightPadding * sizeof(T)), padParams.isPad, bits,
                                       sizeof(T)};
  frame.RequireRange("dstStride", dataCopyParams.dstStride, 0, 65535);
  frame.Require(sizeof(T) < 8 || bits == 0, ascend_sim::FaultKind::kArgument, "paddingValue",
                "expected 0 for 64-bit elements");
  const uint64_t row = (padding.left + uint64_t{dataCopyParams.blockLen} + padding.right + 31) / 32 * 32;
  ascend_sim::CopyPadded(
      frame, frame.Local("dst", dst), frame.Global("src", src),
      {dataCopyParams.blockCount, dataCopyParams.blockLen, int64_t{dataCopyParams.blockLen} + dataCopyParams.srcStride,
       static_cast<int64_t>(row + uint64_t{dataCopyParams.dstStride} * 32)},
      padding);
}

template <typename T>
inline void DataCopyPad(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const DataCopyParams& dataCopyParams,
                        const DataCopyPadParams& padParams, ASCEND_SIM_CALLER) {
  T value;
  __builtin_memcpy(&value, &padParams.paddingValue, sizeof(T));
  DataCopyPad(dst, src,
              DataCopyExtParams(dataCopyParams.blockCount, dataCopyParams.blockLen, dataCopyParams.srcStride,
                                dataCopyParams.dstStride, 0),
              DataCopyPadExtParams<T>(padParams.isPad, padParams.leftPadding, padParams.rightPadding, value), where);
}

template <typename T>
inline void DataCopyPad(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const DataCopyExtParams& dataCopyParams,
                        ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DataCopyPad", PIPE_MTE3, where);
  ascend_sim::RequirePadRange(frame, dataCopyParams, sizeof(T));
  frame.RequireRange("srcStride", dataCopyParams.srcStride, 0, 65535);
  const uint64_t row = (uint64_t{dataCopyParams.blockLen} + 31) / 32 * 32;
  ascend_sim::CopyToGm(frame, frame.Global("dst", dst), frame.Local("src", src),
                       {dataCopyParams.blockCount, dataCopyParams.blockLen,
                        static_cast<int64_t>(row + uint64_t{dataCopyParams.srcStride} * 32),
                        int64_t{dataCopyParams.blockLen} + dataCopyParams.dstStride},
                       sizeof(T));
}

template <typename T>
inline void DataCopyPad(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const DataCopyParams& dataCopyParams,
                        ASCEND_SIM_CALLER) {
  DataCopyPad(dst, src,
              DataCopyExtParams(dataCopyParams.blockCount, dataCopyParams.blockLen, dataCopyParams.srcStride,
                                dataCopyParams.dstStride, 0),
              where);
}

}  // namespace AscendC
