// The names CANN 9 gives to instructions CANN 8 has under others, and the registers set by name. Not part of the check
// against a toolkit of CANN 8.
#include "vector_image.h"

namespace {
constexpr uint32_t kFloats = 1024;  // floats between the areas of the image: src, then one for each result
}

extern "C" __global__ __aicore__ void vector_names_of_9(GM_ADDR image_gm, GM_ADDR parameters_gm) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  AscendC::TPipe pipe;
  VectorImage image(pipe, image_gm, parameters_gm, 16 * kFloats * sizeof(float));
  const AscendC::LocalTensor<float> at = image.At<float>(0);
  const AscendC::LocalTensor<float> src = at;
  uint64_t bits[2] = {0xFF, 0};
  AscendC::ReduceRepeat<AscendC::ReduceType::SUM, float>(at[1 * kFloats], src, 64, 2, 1, 1, 8);
  AscendC::ReduceRepeat<AscendC::ReduceType::MAX, float>(at[2 * kFloats], src, 64, 2, 1, 1, 8,
                                                         AscendC::ReduceOrder::ORDER_ONLY_VALUE);
  AscendC::ReduceDataBlock<AscendC::ReduceType::MIN, float>(at[3 * kFloats], src, bits, 2, 1, 1, 8);
  AscendC::ReducePairElem<AscendC::ReduceType::SUM, float>(at[4 * kFloats], src, 64, 2, 1, 1, 8);
  AscendC::Compares(image.At<uint8_t>(5 * kFloats * 4), src, 3.0f, AscendC::CMPMODE::GT, 128);
  AscendC::Duplicate(at[6 * kFloats], 2.0f, 128);
  AscendC::PipeBarrier<PIPE_V>();
  AscendC::MulAddRelu(at[6 * kFloats], src, src, 128);  // src * 2 + src
  // CTRL[48] = 0 stops half results at the largest finite value.
  const AscendC::LocalTensor<half> big = image.At<half>(7 * kFloats * 4);
  AscendC::Duplicate(big, static_cast<half>(60000.0f), 128);
  AscendC::PipeBarrier<PIPE_V>();
  AscendC::SetCtrlSpr<48, 48>(0);
  AscendC::Add(big[128], big, big, 64);
  AscendC::SetCtrlSpr<48, 48>(1);
  AscendC::Add(big[256], big, big, 64);
  // What the scalar unit reads back of a sum, an extreme and the control register.
  AscendC::ReduceSum(at[9 * kFloats], src, at[10 * kFloats], 64);
  AscendC::WholeReduceMax(at[11 * kFloats], src, 64, 2, 1, 1, 8);
  AscendC::SetFlag<AscendC::HardEvent::V_S>(EVENT_ID1);
  AscendC::WaitFlag<AscendC::HardEvent::V_S>(EVENT_ID1);
  float value = 0, index = 0;
  AscendC::GetReduceRepeatMaxMinSpr<float>(value, index);
  image.SetParameter(20, static_cast<int64_t>(AscendC::GetReduceRepeatSumSpr<float>()));
  image.SetParameter(21, static_cast<int64_t>(value));
  image.SetParameter(22, AscendC::GetCtrlSpr<48, 48>());
  uint64_t kept = 0;
  AscendC::GatherMask(at[12 * kFloats], src, 3, false, 0, AscendC::GatherMaskParams(1, 2, 8, 0), kept);
  image.SetParameter(23, AscendC::GetGatherMaskRemainCount());
  image.Store();
}
