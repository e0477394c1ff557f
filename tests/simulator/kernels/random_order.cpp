// Interprets a program of copies, vector and scalar instructions, flags and barriers on one UB tensor of 512 floats.
// program: count, then four int32 an instruction: opcode and up to three operands (test_random_order.py).
#include "kernel_operator.h"

using namespace AscendC;

namespace {

constexpr uint32_t kFloats = 512;

void Flag(bool set, int32_t event, int32_t id) {
  switch (event) {
#define EVENT(number, name)          \
  case number:                       \
    if (set) {                       \
      SetFlag<HardEvent::name>(id);  \
    } else {                         \
      WaitFlag<HardEvent::name>(id); \
    }                                \
    break;
    EVENT(0, MTE2_V)
    EVENT(1, V_MTE2)
    EVENT(2, MTE3_V)
    EVENT(3, V_MTE3)
    EVENT(4, MTE3_MTE2)
    EVENT(5, MTE2_MTE3)
    EVENT(6, S_V)
    EVENT(7, V_S)
    EVENT(8, S_MTE2)
    EVENT(9, MTE2_S)
    EVENT(10, S_MTE3)
    EVENT(11, MTE3_S)
#undef EVENT
  }
}

}  // namespace

extern "C" __global__ __aicore__ void random_order(GM_ADDR x, GM_ADDR y, GM_ADDR program) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, kFloats * sizeof(float));
  LocalTensor<float> t = buffer.Get<float>();
  GlobalTensor<float> source, target;
  source.SetGlobalBuffer((__gm__ float*)x, kFloats);
  target.SetGlobalBuffer((__gm__ float*)y);
  const int32_t* code = reinterpret_cast<const int32_t*>(program);
  Duplicate(t, 0.0f, kFloats);
  PipeBarrier<PIPE_ALL>();
  const int32_t count = *code++;
  for (int32_t i = 0; i < count; ++i, code += 4) {
    const int32_t a = code[1], b = code[2], c = code[3];
    uint64_t lanes[2] = {static_cast<uint32_t>(b) | static_cast<uint64_t>(static_cast<uint32_t>(c)) << 32, 0};
    switch (code[0]) {
      case 0:  // vector write of b floats from a on
        Duplicate(t[a], 1.0f, b);
        break;
      case 1:  // vector write of masked lanes
        Duplicate(t[a], 1.0f, lanes, 1, 1, 8);
        break;
      case 2:  // vector read from b, write to a
        Adds(t[a], t[b], 1.0f, c);
        break;
      case 3:
        DataCopy(t[a], source, b);
        break;
      case 4:  // every store has a place of its own in GM
        DataCopy(target[i * kFloats], t[a], b);
        break;
      case 5:
        t.GetValue(a);
        break;
      case 6:
        t.SetValue(a, 2.0f);
        break;
      case 7:
        Flag(true, a, b);
        break;
      case 8:
        Flag(false, a, b);
        break;
      case 9:
        if (a == 0) PipeBarrier<PIPE_V>();
        if (a == 1) PipeBarrier<PIPE_MTE2>();
        if (a == 2) PipeBarrier<PIPE_MTE3>();
        if (a == 3) PipeBarrier<PIPE_ALL>();
        break;
    }
  }
  PipeBarrier<PIPE_ALL>();
}
