// Small kernels that get an order, a register or an encoding wrong on demand, for the faults of the vector unit.
#include "vector_image.h"

// Parameter 16 says which thing to get wrong (0: nothing).
enum Mistake : int64_t {
  kNone = 0,
  kNoBarrier,         // a dependent instruction without PipeBarrier<PIPE_V>
  kRegisterTooEarly,  // GetAccVal before the scalar unit has waited
  kCounterWithLanes,  // a lane count while the mask register counts elements
  kScalarTooEarly,    // GetValue of a vector result without V_S
  kUninitialised,     // reads UB nobody wrote
  kRepeatTooLarge,    // 256 repeats
  kStrideTooLarge,    // a repeat stride of 256
  kStoreTooEarly,     // the copy out does not wait for the vector unit
  kMaskTooLarge,      // 65 lanes of float
  kIndexTooEarly,     // CreateVecIndex over a vector result the scalar unit has not waited for
};

extern "C" __global__ __aicore__ void vector_order(GM_ADDR image_gm, GM_ADDR parameters_gm) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  AscendC::TPipe pipe;
  AscendC::GlobalTensor<int64_t> parameters;
  parameters.SetGlobalBuffer(reinterpret_cast<__gm__ int64_t*>(parameters_gm), kParameterCount);
  const uint32_t bytes = static_cast<uint32_t>(parameters.GetValue(kParameterCount - 1));
  VectorImage image(pipe, image_gm, parameters_gm, bytes);
  const int64_t mistake = image.Parameter(16);
  AscendC::TBuf<AscendC::TPosition::VECCALC> scratch;
  pipe.InitBuffer(scratch, 4096);
  AscendC::LocalTensor<float> work = scratch.Get<float>();
  AscendC::LocalTensor<float> dst = image.At<float>(0);
  const AscendC::LocalTensor<float> src = image.At<float>(4096);
  AscendC::BinaryRepeatParams strides;

  if (mistake == kUninitialised) {
    AscendC::Add(dst, src, work, 64);
  } else {
    AscendC::Duplicate(work, 1.0f, 512);
  }
  if (mistake != kNoBarrier) AscendC::PipeBarrier<PIPE_V>();
  AscendC::Add(dst, src, work, 64);
  AscendC::PipeBarrier<PIPE_V>();

  uint64_t lanes = mistake == kMaskTooLarge ? 65 : 64;
  if (mistake == kCounterWithLanes) AscendC::SetMaskCount();
  const int64_t repeats = mistake == kRepeatTooLarge ? 256 : 1;
  if (mistake == kStrideTooLarge) strides.dstRepStride = 64 * image.Parameter(17);
  AscendC::Add(dst, dst, work, lanes, repeats, strides);
  if (mistake == kCounterWithLanes) AscendC::SetMaskNorm();
  AscendC::PipeBarrier<PIPE_V>();

  AscendC::ReduceSum(work[128], dst, work, 64);
  if (mistake != kRegisterTooEarly) {
    AscendC::SetFlag<AscendC::HardEvent::V_S>(EVENT_ID1);
    AscendC::WaitFlag<AscendC::HardEvent::V_S>(EVENT_ID1);
  }
  AscendC::WholeReduceMax(work[256], dst, 64, 1, 1, 1, 8);
  if (mistake != kRegisterTooEarly) {
    AscendC::SetFlag<AscendC::HardEvent::V_S>(EVENT_ID2);
    AscendC::WaitFlag<AscendC::HardEvent::V_S>(EVENT_ID2);
  }
  float value = 0, index = 0;
  AscendC::GetReduceMaxMinCount<float>(value, index);
  AscendC::PipeBarrier<PIPE_V>();

  AscendC::Muls(work[192], dst, 2.0f, 64);
  if (mistake != kScalarTooEarly && mistake != kIndexTooEarly) {
    AscendC::SetFlag<AscendC::HardEvent::V_S>(EVENT_ID3);
    AscendC::WaitFlag<AscendC::HardEvent::V_S>(EVENT_ID3);
  }
  if (mistake != kIndexTooEarly) image.SetParameter(20, static_cast<int64_t>(work[192].GetValue(0)));
  AscendC::LocalTensor<float> indices = work[192];
  AscendC::CreateVecIndex(indices, 0.0f, 64);

  if (mistake != kStoreTooEarly) {
    image.Store();
    return;
  }
  AscendC::GlobalTensor<float> out;
  out.SetGlobalBuffer(reinterpret_cast<__gm__ float*>(image_gm), bytes / sizeof(float));
  AscendC::DataCopy(out, indices, 64);  // the vector unit wrote these after the last wait
}
