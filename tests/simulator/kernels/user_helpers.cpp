// Older and smaller calls that published kernels use: the compiler's flags, a TBuf with a queue's calls, tensor views
// set by hand, functions of the scalar unit, time stamps.
#include "kernel_operator.h"

using namespace AscendC;

// y = 2 * x + first(x), 64 floats.
extern "C" __global__ __aicore__ void user_older_calls(GM_ADDR x, GM_ADDR y) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  if (g_coreType != AIV) return;
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, AlignUp(64 * sizeof(float), ONE_BLK_SIZE) * 2);
  GlobalTensor<float> from, to;
  from.SetGlobalBuffer((__gm__ float*)x, 64);
  to.SetGlobalBuffer((__gm__ float*)y, 64);
  LocalTensor<float> whole = buffer.AllocTensor<float>();
  ASSERT(whole.GetLength() == 2 * 64 * sizeof(float));
  LocalTensor<float> in = whole, out;
  in.SetBufferLen(64);
  out.SetAddrWithOffset(whole, 64 * sizeof(float));
  DataCopy(in, from, 64);
  set_flag(PIPE_MTE2, PIPE_V, EVENT_ID1);
  wait_flag(PIPE_MTE2, PIPE_V, EVENT_ID1);
  set_flag(PIPE_MTE2, PIPE_S, EVENT_ID1);
  wait_flag(PIPE_MTE2, PIPE_S, EVENT_ID1);
  Muls(out, in, 2.0f, 64);
  pipe_barrier(PIPE_V);
  Adds(out, out, in(0), 64);
  set_flag(PIPE_V, PIPE_MTE3, EVENT_ID0);
  wait_flag(PIPE_V, PIPE_MTE3, EVENT_ID0);
  buffer.EnQue(out);
  DataCopy(to, out, 64);
  buffer.FreeTensor(out);
  PrintTimeStamp(7);
}

// y: results of the scalar unit's functions on x, in the order of the test.
extern "C" __global__ __aicore__ void user_scalar_functions(GM_ADDR x, GM_ADDR y) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  GlobalTensor<int64_t> in, out;
  in.SetGlobalBuffer((__gm__ int64_t*)x, 1);
  out.SetGlobalBuffer((__gm__ int64_t*)y, 9);
  const int64_t value = in.GetValue(0);
  const uint64_t bits = static_cast<uint64_t>(value);
  out.SetValue(0, ScalarGetCountOfValue<1>(bits));
  out.SetValue(1, ScalarGetCountOfValue<0>(bits));
  out.SetValue(2, ScalarCountLeadingZero(bits));
  out.SetValue(3, CountBitsCntSameAsSignBit(value));
  out.SetValue(4, ScalarGetSFFValue<1>(bits));
  out.SetValue(5, ScalarGetSFFValue<0>(bits));
  out.SetValue(6, ScalarCast<float, int32_t, RoundMode::CAST_ROUND>(2.5f));
  out.SetValue(7, ScalarCast<float, int32_t, RoundMode::CAST_RINT>(2.5f));
  out.SetValue(8, ScalarCast<float, int32_t, RoundMode::CAST_FLOOR>(-2.5f));
  DataCacheCleanAndInvalid<int64_t, CacheLine::ENTIRE_DATA_CACHE>(out);
}
