// The registers around the cube: feature map and padding of a 3D load, constants in L1 and L0, unit flags.
#include "kernel_operator.h"

namespace {
constexpr int32_t kHeight = 6, kWidth = 7, kChannels = 32, kFilter = 3, kOutputs = 16;
constexpr int32_t kDepth = kFilter * kFilter * kChannels;
constexpr int32_t kRows = 48;  // 42 windows, whole fractals
constexpr AscendC::IsResetLoad3dConfig kRegistersSetOutside = {false, false};
}  // namespace

// A 3 x 3 convolution with a padding of 1 on an NC1HWC0 image, as one image-to-column load and one product.
// weights: NZ of the transpose of [kDepth, kOutputs].
extern "C" __global__ __aicore__ void cube_convolution(GM_ADDR image_gm, GM_ADDR weights_gm, GM_ADDR out_gm) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIC_ONLY);
  AscendC::TPipe pipe;
  AscendC::TBuf<AscendC::TPosition::A1> a1;
  AscendC::TBuf<AscendC::TPosition::B1> b1;
  AscendC::TBuf<AscendC::TPosition::A2> a2;
  AscendC::TBuf<AscendC::TPosition::B2> b2;
  AscendC::TBuf<AscendC::TPosition::CO1> co1;
  pipe.InitBuffer(a1, kHeight * kWidth * kChannels * sizeof(half));
  pipe.InitBuffer(b1, kDepth * kOutputs * sizeof(half));
  pipe.InitBuffer(a2, kRows * kDepth * sizeof(half));
  pipe.InitBuffer(b2, kDepth * kOutputs * sizeof(half));
  pipe.InitBuffer(co1, kRows * kOutputs * sizeof(float));
  AscendC::GlobalTensor<half> image, weights;
  AscendC::GlobalTensor<float> out;
  image.SetGlobalBuffer(reinterpret_cast<__gm__ half*>(image_gm));
  weights.SetGlobalBuffer(reinterpret_cast<__gm__ half*>(weights_gm));
  out.SetGlobalBuffer(reinterpret_cast<__gm__ float*>(out_gm));
  AscendC::DataCopy(a1.Get<half>(), image, kHeight * kWidth * kChannels);
  AscendC::DataCopy(b1.Get<half>(), weights, kDepth * kOutputs);
  AscendC::SetFlag<AscendC::HardEvent::MTE2_MTE1>(EVENT_ID0);
  AscendC::WaitFlag<AscendC::HardEvent::MTE2_MTE1>(EVENT_ID0);

  const uint8_t padding[4] = {1, 1, 1, 1};
  AscendC::SetFmatrix(kHeight, kWidth, padding, AscendC::FmatrixMode::FMATRIX_LEFT);
  AscendC::SetLoadDataPaddingValue(static_cast<half>(0.5f));
  AscendC::SetLoadDataBoundary(0);
  AscendC::SetLoadDataRepeat(AscendC::LoadDataRepeatParam(0, 1, 0));
  AscendC::LoadData3DParamsV2<half> load;
  load.channelSize = kChannels;
  load.kExtension = kDepth;
  load.mExtension = kHeight * kWidth;
  load.filterW = kFilter;
  load.filterH = kFilter;
  AscendC::LoadData<half, kRegistersSetOutside>(a2.Get<half>(), a1.Get<half>(), load);
  AscendC::LoadData2DParams plain;
  plain.repeatTimes = kDepth * kOutputs / 256;
  plain.srcStride = 1;
  AscendC::LoadData(b2.Get<half>(), b1.Get<half>(), plain);
  AscendC::SetFlag<AscendC::HardEvent::MTE1_M>(EVENT_ID0);
  AscendC::WaitFlag<AscendC::HardEvent::MTE1_M>(EVENT_ID0);

  AscendC::MmadParams product;
  product.m = kHeight * kWidth;
  product.n = kOutputs;
  product.k = kDepth;
  AscendC::SetMMLayoutTransform(true);
  AscendC::Mmad(co1.Get<float>(), a2.Get<half>(), b2.Get<half>(), product);
  AscendC::SetMMLayoutTransform(false);
  AscendC::SetFlag<AscendC::HardEvent::M_FIX>(EVENT_ID0);
  AscendC::WaitFlag<AscendC::HardEvent::M_FIX>(EVENT_ID0);
  AscendC::FixpipeParamsV220 store(kOutputs, kHeight * kWidth, kRows, kOutputs, false);
  AscendC::Fixpipe<float, float>(out, co1.Get<float>(), store);
}

// Constants of 2 in L0A (through L1) and 3 in L0B (directly): every result is 6 k. Leaves unit flags behind and clears
// them, so that the second product may start.
extern "C" __global__ __aicore__ void cube_constants(GM_ADDR out_gm) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIC_ONLY);
  AscendC::TPipe pipe;
  AscendC::TBuf<AscendC::TPosition::A1> a1;
  AscendC::TBuf<AscendC::TPosition::A2> a2;
  AscendC::TBuf<AscendC::TPosition::B2> b2;
  AscendC::TBuf<AscendC::TPosition::CO1> co1;
  AscendC::TBuf<AscendC::TPosition::C2PIPE2GM> factors;
  pipe.InitBuffer(a1, 2048);
  pipe.InitBuffer(a2, 2048);
  pipe.InitBuffer(b2, 2048);
  pipe.InitBuffer(co1, 4096);
  pipe.InitBuffer(factors, 128);
  AscendC::InitConstValue(a1.Get<half>(), AscendC::InitConstValueParams<half>(2, 16, 16, static_cast<half>(2.0f)));
  AscendC::SetFlag<AscendC::HardEvent::MTE2_MTE1>(EVENT_ID0);
  AscendC::WaitFlag<AscendC::HardEvent::MTE2_MTE1>(EVENT_ID0);
  AscendC::LoadData2DParams load;
  load.repeatTimes = 2;
  load.srcStride = 2;  // the gap between the two stretches of InitConstValue
  AscendC::LoadData(a2.Get<half>(), a1.Get<half>(), load);
  AscendC::InitConstValue(b2.Get<half>(), AscendC::InitConstValueParams<half>(1, 2, 0, static_cast<half>(3.0f)));
  AscendC::SetFlag<AscendC::HardEvent::MTE1_M>(EVENT_ID0);
  AscendC::WaitFlag<AscendC::HardEvent::MTE1_M>(EVENT_ID0);
  AscendC::MmadParams product;
  product.m = 16;
  product.n = 16;
  product.k = 32;
  product.unitFlag = 3;
  AscendC::Mmad(co1.Get<float>(), a2.Get<half>(), b2.Get<half>(), product);
  AscendC::SetFixPipeConfig(factors.Get<uint64_t>(), true);
  AscendC::Mmad(co1.Get<float>(), a2.Get<half>(), b2.Get<half>(), product);
  AscendC::GlobalTensor<float> out;
  out.SetGlobalBuffer(reinterpret_cast<__gm__ float*>(out_gm));
  AscendC::FixpipeParamsV220 store(16, 16, 16, 16, false);
  store.unitFlag = 3;
  AscendC::Fixpipe<float, float>(out, co1.Get<float>(), store);
}
