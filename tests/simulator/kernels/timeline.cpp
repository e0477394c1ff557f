// Programs whose time can be worked out by hand. x, y: GM of 65536 bytes per core.
#include "kernel_operator.h"

using namespace AscendC;

namespace {

constexpr uint32_t kElements = 8192;

GlobalTensor<float> Gm(GM_ADDR address) {
  GlobalTensor<float> tensor;
  tensor.SetGlobalBuffer((__gm__ float*)address);
  return tensor;
}

}  // namespace

// Load 32 KB, add, store: nothing overlaps.
extern "C" __global__ __aicore__ void timeline_chain(GM_ADDR x, GM_ADDR y) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, kElements * sizeof(float));
  LocalTensor<float> t = buffer.Get<float>();
  DataCopy(t, Gm(x), kElements);
  SetFlag<HardEvent::MTE2_V>(0);
  WaitFlag<HardEvent::MTE2_V>(0);
  Adds(t, t, 1.0f, kElements);
  SetFlag<HardEvent::V_MTE3>(0);
  WaitFlag<HardEvent::V_MTE3>(0);
  DataCopy(Gm(y), t, kElements);
}

// Every core loads its own 64 KB.
extern "C" __global__ __aicore__ void timeline_read(GM_ADDR x) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 2 * kElements * sizeof(float));
  DataCopy(buffer.Get<float>(), Gm(x)[GetBlockIdx() * 2 * kElements], 2 * kElements);
}

// A load, and vector work that has nothing to do with it.
extern "C" __global__ __aicore__ void timeline_overlap(GM_ADDR x) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> load, work;
  pipe.InitBuffer(load, kElements * sizeof(float));
  pipe.InitBuffer(work, kElements * sizeof(float));
  LocalTensor<float> t = work.Get<float>();
  DataCopy(load.Get<float>(), Gm(x), kElements);
  Duplicate(t, 1.0f, kElements);
  PipeBarrier<PIPE_V>();
  Exp(t, t, kElements);
}
