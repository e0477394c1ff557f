// LoadData: fractals of 512 bytes from L1 (or GM) into L0A and L0B, plain, transposed, or through an image-to-column
// walk.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "instructions/vector_loop.h"

namespace ascend_sim {

inline constexpr uint32_t kFractalBytes = 512;

void RunLoad2d(Instruction& frame, const Operand& dst, const Operand& src, uint32_t element_bytes,
               const AscendC::LoadData2DParams& params);
void RunLoadTransposed(Instruction& frame, const Operand& dst, const Operand& src, uint32_t element_bytes,
                       const AscendC::LoadData2dTransposeParams& params);

// LoadData3DParamsV2 without its template argument.
struct Load3d {
  uint32_t channels = 0, k_extension = 0, m_extension = 0, k_start = 0, m_start = 0;
  uint32_t stride_w = 1, stride_h = 1, filter_w = 1, filter_h = 1, dilation_w = 1, dilation_h = 1;
  bool transpose = false;
  bool small_k = false;
  bool right_matrix = false;
};
void RunLoad3d(Instruction& frame, const Operand& dst, const Operand& src, uint32_t element_bytes, const Load3d& call);

void RunFill(Instruction& frame, const Operand& dst, uint32_t element_bytes, uint64_t value_bits, uint32_t repeats,
             uint32_t blocks, uint32_t gap);

template <typename T>
inline constexpr bool kIsCubeElement =
    kIsOneOf<T, int8_t, uint8_t, int16_t, uint16_t, half, bfloat16_t, int32_t, uint32_t, float>;

void SetFeatureMap(uint16_t height, uint16_t width, const uint8_t padding[4]);

template <typename T>
void CallLoad3d(const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<T>& src, const Load3d& call,
                Location where) {
  static_assert(kIsOneOf<T, int8_t, uint8_t, half, bfloat16_t, int32_t, uint32_t, float>,
                "LoadData: this data type is not supported on dav-c220");
  Instruction frame("LoadData", PIPE_MTE1, where);
  RunLoad3d(frame, frame.Local("dst", dst), frame.Local("src", src, Hardware::L1), sizeof(T), call);
}

}  // namespace ascend_sim

namespace AscendC {

template <typename T>
void LoadData(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LoadData2DParams& loadDataParams,
              ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsCubeElement<T>, "LoadData: this data type is not supported on dav-c220");
  ascend_sim::Instruction frame("LoadData", PIPE_MTE1, where);
  ascend_sim::RunLoad2d(frame, frame.Local("dst", dst), frame.Local("src", src, ascend_sim::Hardware::L1), sizeof(T),
                        loadDataParams);
}
template <typename T>
void LoadData(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const LoadData2DParams& loadDataParams,
              ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsCubeElement<T>, "LoadData: this data type is not supported on dav-c220");
  ascend_sim::Instruction frame("LoadData", PIPE_MTE2, where);
  ascend_sim::RunLoad2d(frame, frame.Local("dst", dst), frame.Global("src", src), sizeof(T), loadDataParams);
}

// Squares of 16 x 16 (b8: 32 x 32) elements are transposed whole: one fractal of b16, two of b32 and b8.
template <typename T>
void LoadDataWithTranspose(const LocalTensor<T>& dst, const LocalTensor<T>& src,
                           const LoadData2dTransposeParams& loadDataParams, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsOneOf<T, int8_t, uint8_t, half, bfloat16_t, int32_t, uint32_t, float>,
                "LoadDataWithTranspose: this data type is not supported on dav-c220");
  ascend_sim::Instruction frame("LoadDataWithTranspose", PIPE_MTE1, where);
  ascend_sim::RunLoadTransposed(frame, frame.Local("dst", dst), frame.Local("src", src, ascend_sim::Hardware::L1),
                                sizeof(T), loadDataParams);
}

template <typename T, const IsResetLoad3dConfig& defaultConfig = IS_RESER_LOAD3D_DEFAULT_CONFIG>
void LoadData(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LoadData3DParamsV2<T>& params,
              ASCEND_SIM_CALLER) {
  ascend_sim::CubeRegisters& registers = ascend_sim::CurrentCore().cube;
  if (defaultConfig.isSetFMatrix) ascend_sim::SetFeatureMap(params.l1H, params.l1W, params.padList);
  if (defaultConfig.isSetPadding) registers.padding_value = ascend_sim::LowBits(params.padValue);
  ascend_sim::Load3d call;
  call.channels = params.channelSize;
  call.k_extension = params.kExtension;
  call.m_extension = params.mExtension;
  call.k_start = params.kStartPt;
  call.m_start = params.mStartPt;
  call.stride_w = params.strideW;
  call.stride_h = params.strideH;
  call.filter_w = params.filterW + (params.filterSizeW ? 256u : 0u);
  call.filter_h = params.filterH + (params.filterSizeH ? 256u : 0u);
  call.dilation_w = params.dilationFilterW;
  call.dilation_h = params.dilationFilterH;
  call.transpose = params.enTranspose;
  call.small_k = params.enSmallK;
  call.right_matrix = params.fMatrixCtrl;
  ascend_sim::CallLoad3d(dst, src, call, where);
}
template <typename T>
void LoadData(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LoadData3DParamsV2Pro& params,
              ASCEND_SIM_CALLER) {
  const auto extent = [&](int shift) { return static_cast<uint32_t>(params.extConfig >> shift & 0xFFFF); };
  const auto filter = [&](int shift) { return static_cast<uint32_t>(params.filterConfig >> shift & 0xFF); };
  ascend_sim::Load3d call;
  call.channels = params.channelSize;
  call.k_extension = extent(0);
  call.m_extension = extent(16);
  call.k_start = extent(32);
  call.m_start = extent(48);
  call.stride_w = filter(0);
  call.stride_h = filter(8);
  call.filter_w = filter(16) + (params.filterSizeW ? 256u : 0u);
  call.filter_h = filter(24) + (params.filterSizeH ? 256u : 0u);
  call.dilation_w = filter(32);
  call.dilation_h = filter(40);
  call.transpose = params.enTranspose;
  call.small_k = params.enSmallK;
  call.right_matrix = params.fMatrixCtrl;
  ascend_sim::CallLoad3d(dst, src, call, where);
}

// Registers of the 3D load.
inline void SetFmatrix(uint16_t l1H, uint16_t l1W, const uint8_t padList[4], const FmatrixMode& fmatrixMode,
                       ASCEND_SIM_CALLER) {
  const ascend_sim::Instruction frame("SetFmatrix", PIPE_S, where);
  frame.Require(fmatrixMode == FmatrixMode::FMATRIX_LEFT, ascend_sim::FaultKind::kArgument, "fmatrixMode",
                "only FMATRIX_LEFT is supported");
  ascend_sim::SetFeatureMap(l1H, l1W, padList);
}
template <typename T>
void SetLoadDataPaddingValue(const T padValue) {
  ascend_sim::CurrentCore().cube.padding_value = ascend_sim::LowBits(padValue);
}
inline void SetLoadDataBoundary(uint32_t boundaryValue) { ascend_sim::CurrentCore().cube.boundary = boundaryValue; }
inline void SetLoadDataRepeat(const LoadDataRepeatParam& repeatParams) {
  ascend_sim::CurrentCore().cube.repeat = repeatParams;
}

// A constant into L1 (blocks of 32 bytes), L0A or L0B (blocks of 512 bytes).
template <typename T>
void InitConstValue(const LocalTensor<T>& dst, const InitConstValueParams<T>& params, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsOneOf<T, int16_t, uint16_t, half, bfloat16_t, int32_t, uint32_t, float>,
                "InitConstValue: this data type is not supported on dav-c220");
  ascend_sim::Instruction frame("InitConstValue", dst.memory() == ascend_sim::Hardware::L1 ? PIPE_MTE2 : PIPE_MTE1,
                                where);
  ascend_sim::RunFill(frame, frame.Local("dst", dst), sizeof(T), ascend_sim::LowBits(params.initValue),
                      params.repeatTimes, params.blockNum, params.dstGap);
}
template <typename T>
void Fill(const LocalTensor<T>& dst, const InitConstValueParams<T>& params, ASCEND_SIM_CALLER) {
  InitConstValue(dst, params, where);
}

}  // namespace AscendC
