// Kernels that break one rule when tiling[0] says so (tiling[0] = 1: broken, 0: the nearest legal program).
// Arguments: x (float[4096], input), y (float[4096], output), tiling (int32[8]).
#include "kernel_operator.h"

using namespace AscendC;

namespace {

constexpr int32_t kCount = 256;

struct Case {
  TPipe pipe;
  GlobalTensor<float> x, y;
  GlobalTensor<int32_t> tiling;
  bool broken;
  Case(GM_ADDR x_gm, GM_ADDR y_gm, GM_ADDR tiling_gm) {
    x.SetGlobalBuffer((__gm__ float*)x_gm, 4096);
    y.SetGlobalBuffer((__gm__ float*)y_gm, 4096);
    tiling.SetGlobalBuffer((__gm__ int32_t*)tiling_gm, 8);
    broken = tiling.GetValue(0) == 1;
  }
  LocalTensor<float> Buffer(TBuf<TPosition::VECCALC>& buffer, uint32_t count) {
    pipe.InitBuffer(buffer, count * sizeof(float));
    return buffer.Get<float>();
  }
};

// Waits for everything: for cases whose subject is not order.
void All() { PipeBarrier<PIPE_ALL>(); }

}  // namespace

#define KERNEL(name)                                                                         \
  static void name##_body(Case& c);                                                          \
  extern "C" __global__ __aicore__ void fault_##name(GM_ADDR x, GM_ADDR y, GM_ADDR tiling) { \
    KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIV_1_0);                                       \
    Case c(x, y, tiling);                                                                    \
    name##_body(c);                                                                          \
  }                                                                                          \
  static void name##_body(Case& c)

// ------------------------------------------------------------------------------------------------------- memory

KERNEL(gm_read_bounds) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  DataCopy(t, c.x[4096 - kCount + (c.broken ? 8 : 0)], kCount);
  All();
}

KERNEL(gm_write_bounds) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  Duplicate(t, 1.0f, kCount);
  All();
  DataCopy(c.y[4096 - kCount + (c.broken ? 8 : 0)], t, kCount);
}

KERNEL(gm_unknown_address) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  GlobalTensor<float> wild;
  wild.SetGlobalBuffer(c.broken ? (__gm__ float*)64 : c.x.GetPhyAddr(0), kCount);
  DataCopy(t, wild, kCount);
  All();
}

KERNEL(write_read_only) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  Duplicate(t, 1.0f, kCount);
  All();
  DataCopy(c.broken ? c.x : c.y, t, kCount);
}

KERNEL(ub_write_bounds) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  Duplicate(t, 1.0f, kCount + (c.broken ? 1 : 0));
}

KERNEL(ub_read_bounds) {
  TBuf<TPosition::VECCALC> to_buffer, from_buffer;
  LocalTensor<float> to = c.Buffer(to_buffer, 2 * kCount), from = c.Buffer(from_buffer, kCount);
  Duplicate(from, 1.0f, kCount);
  PipeBarrier<PIPE_V>();
  Adds(to, from, 1.0f, kCount + (c.broken ? 1 : 0));
}

KERNEL(tensor_index) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  t[kCount + (c.broken ? 1 : 0)].GetSize();
}

KERNEL(uninitialised) {
  TBuf<TPosition::VECCALC> from_buffer, to_buffer;
  LocalTensor<float> from = c.Buffer(from_buffer, kCount), to = c.Buffer(to_buffer, kCount);
  Duplicate(from, 1.0f, c.broken ? kCount - 1 : kCount);
  PipeBarrier<PIPE_V>();
  Adds(to, from, 1.0f, kCount);
}

KERNEL(padding_garbage) {  // DataCopyPad without padding leaves the tail of the last 32 bytes undefined
  TBuf<TPosition::VECCALC> from_buffer, to_buffer;
  LocalTensor<float> from = c.Buffer(from_buffer, 64), to = c.Buffer(to_buffer, 64);
  DataCopyPad(from, c.x, DataCopyExtParams(1, 5 * sizeof(float), 0, 0, 0), DataCopyPadExtParams<float>());
  All();
  Adds(to, from, 1.0f, c.broken ? 6 : 5);
}

KERNEL(read_misaligned) {
  TBuf<TPosition::VECCALC> from_buffer, to_buffer;
  LocalTensor<float> from = c.Buffer(from_buffer, 2 * kCount), to = c.Buffer(to_buffer, kCount);
  Duplicate(from, 1.0f, 2 * kCount);
  PipeBarrier<PIPE_V>();
  Adds(to, from[c.broken ? 4 : 8], 1.0f, kCount);
}

KERNEL(gm_read_misaligned) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  GlobalTensor<float> at;
  at.SetGlobalBuffer((__gm__ float*)((__gm__ uint8_t*)c.x.GetPhyAddr(0) + (c.broken ? 2 : 4)), kCount);
  DataCopy(t, at, kCount);
  All();
}

KERNEL(write_misaligned) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 2 * kCount);
  DataCopy(t[c.broken ? 4 : 8], c.x, kCount);
  All();
}

KERNEL(copy_count) {  // a copy moves whole blocks of 32 bytes
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  DataCopy(t, c.x, c.broken ? 12 : 16);
  All();
}

KERNEL(copy_block_count) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 16);
  DataCopyParams params(c.broken ? 4096 : 1, 1, 0, 0);
  DataCopy(t, c.x, params);
  All();
}

KERNEL(copy_wrapped_stride) {  // the field is 16 bits wide; a larger stride would wrap in silence
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 16);
  const uint32_t wide = c.broken ? 65536 : 0;
  DataCopy(t, c.x, DataCopyParams(1, 1, wide, 0));
  All();
}

KERNEL(repeat_range) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 64 * 200);
  const int32_t repeats = c.broken ? 456 : 200;
  Duplicate(t, 1.0f, 64, repeats, 1, 8);
}

KERNEL(mask_range) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 128);
  Duplicate(t, 1.0f, c.broken ? 65 : 64, 1, 1, 8);
}

// ------------------------------------------------------------------------------------------------------- buffers

KERNEL(ub_size) {
  TBuf<TPosition::VECCALC> buffer;
  c.pipe.InitBuffer(buffer, 192 * 1024 + (c.broken ? 32 : 0));
}

KERNEL(buffer_request) {
  TBuf<TPosition::VECCALC> buffer;
  c.Buffer(buffer, kCount);
  buffer.Get<float>(kCount + (c.broken ? 1 : 0));
}

KERNEL(buffer_number) {
  TQue<TPosition::VECIN, 1> queues[2];
  c.pipe.InitBuffer(queues[0], 32, 32);
  c.pipe.InitBuffer(queues[1], c.broken ? 33 : 32, 32);
}

KERNEL(alloc_too_many) {
  TQue<TPosition::VECIN, 2> queue;
  c.pipe.InitBuffer(queue, 2, 1024);
  LocalTensor<float> a = queue.AllocTensor<float>(), b = queue.AllocTensor<float>();
  if (c.broken) queue.AllocTensor<float>();
  queue.FreeTensor(a);
  queue.FreeTensor(b);
}

KERNEL(free_twice) {
  TQue<TPosition::VECIN, 2> queue;
  c.pipe.InitBuffer(queue, 2, 1024);
  LocalTensor<float> a = queue.AllocTensor<float>();
  queue.FreeTensor(a);
  if (c.broken) queue.FreeTensor(a);
}

KERNEL(free_foreign) {
  TQue<TPosition::VECIN, 2> mine, other;
  c.pipe.InitBuffer(mine, 2, 1024);
  c.pipe.InitBuffer(other, 2, 1024);
  LocalTensor<float> a = mine.AllocTensor<float>();
  (c.broken ? other : mine).FreeTensor(a);
}

KERNEL(deque_empty) {
  TQue<TPosition::VECIN, 2> queue;
  c.pipe.InitBuffer(queue, 2, 1024);
  LocalTensor<float> a = queue.AllocTensor<float>();
  if (!c.broken) queue.EnQue(a);
  a = queue.DeQue<float>();
  queue.FreeTensor(a);
}

KERNEL(enque_depth) {
  TQue<TPosition::VECIN, 1> queue;
  c.pipe.InitBuffer(queue, 2, 1024);
  LocalTensor<float> a = queue.AllocTensor<float>(), b = queue.AllocTensor<float>();
  queue.EnQue(a);
  if (!c.broken) {
    a = queue.DeQue<float>();
    queue.FreeTensor(a);
  }
  queue.EnQue(b);
  b = queue.DeQue<float>();
  queue.FreeTensor(b);
}

KERNEL(leak) {
  TQue<TPosition::VECIN, 2> queue;
  c.pipe.InitBuffer(queue, 2, 1024);
  LocalTensor<float> a = queue.AllocTensor<float>();
  if (!c.broken) queue.FreeTensor(a);
}

KERNEL(use_after_free) {
  TQue<TPosition::VECIN, 2> queue;
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  c.pipe.InitBuffer(queue, 2, kCount * sizeof(float));
  LocalTensor<float> a = queue.AllocTensor<float>();
  DataCopy(a, c.x, kCount);
  queue.EnQue(a);
  a = queue.DeQue<float>();
  if (c.broken) queue.FreeTensor(a);
  Adds(t, a, 1.0f, kCount);
  if (!c.broken) queue.FreeTensor(a);
}

KERNEL(reuse_is_uninitialised) {  // what a queue's buffer held in its last life is gone
  TQue<TPosition::VECIN, 1> queue;
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  c.pipe.InitBuffer(queue, 1, kCount * sizeof(float));
  for (int i = 0; i < 2; ++i) {
    LocalTensor<float> a = queue.AllocTensor<float>();
    if (i == 0 || !c.broken) DataCopy(a, c.x, kCount);
    queue.EnQue(a);
    a = queue.DeQue<float>();
    PipeBarrier<PIPE_V>();
    Adds(t, a, 1.0f, kCount);
    queue.FreeTensor(a);
  }
}

// --------------------------------------------------------------------------------------------------------- flags

KERNEL(event_id) {
  SetFlag<HardEvent::V_MTE2>(c.broken ? 8 : 7);
  WaitFlag<HardEvent::V_MTE2>(7);
}

KERNEL(set_twice) {
  SetFlag<HardEvent::V_MTE2>(0);
  SetFlag<HardEvent::V_MTE2>(c.broken ? 0 : 1);
  WaitFlag<HardEvent::V_MTE2>(0);
  WaitFlag<HardEvent::V_MTE2>(1);
}

KERNEL(set_before_wait) {  // V runs ahead of MTE2: the flag is still raised when it is raised again
  SetFlag<HardEvent::V_MTE2>(0);
  WaitFlag<HardEvent::V_MTE2>(0);
  if (!c.broken) {
    SetFlag<HardEvent::MTE2_V>(0);
    WaitFlag<HardEvent::MTE2_V>(0);
  }
  SetFlag<HardEvent::V_MTE2>(0);
  WaitFlag<HardEvent::V_MTE2>(0);
}

KERNEL(wait_without_set) {
  if (!c.broken) SetFlag<HardEvent::V_MTE2>(0);
  WaitFlag<HardEvent::V_MTE2>(0);
}

KERNEL(set_without_wait) {
  SetFlag<HardEvent::V_MTE2>(0);
  if (!c.broken) WaitFlag<HardEvent::V_MTE2>(0);
}

KERNEL(event_of_other_core) {
  if (c.broken) SetFlag<HardEvent::M_FIX>(0);
}

KERNEL(barrier_scalar) {
  if (c.broken) PipeBarrier<PIPE_S>();
  PipeBarrier<PIPE_V>();
}

// --------------------------------------------------------------------------------------------------------- races

KERNEL(vector_barrier) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  Duplicate(t, 1.0f, kCount);
  if (!c.broken) PipeBarrier<PIPE_V>();
  Adds(t, t, 1.0f, kCount);
}

KERNEL(masked_race) {  // lanes 0 to 31 of each repeat are written by V; MTE3 reads the rest of the first one
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 64);
  Duplicate(t, 1.0f, 64);
  All();
  uint64_t low_half[2] = {0x00000000FFFFFFFF, 0};
  Duplicate(t, 2.0f, low_half, 1, 1, 8);
  DataCopy(c.y, t[c.broken ? 24 : 32], 32);
}

KERNEL(strided_race) {  // every second block belongs to V, the others to MTE3
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 128);
  Duplicate(t, 1.0f, 128);
  All();
  Duplicate(t, 2.0f, 64, 1, 2, 16);
  DataCopy(c.y, t[c.broken ? 0 : 8], DataCopyParams(8, 1, 1, 0));
}

KERNEL(byte_race) {  // scalar and vector unit in one block of 32 bytes, on different bytes
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 8);
  Duplicate(t, 1.0f, 4);
  t.SetValue(c.broken ? 3 : 4, 2.0f);
}

KERNEL(read_then_overwrite) {  // MTE3 still reads what MTE2 loads over
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  DataCopy(t, c.x, kCount);
  All();
  DataCopy(c.y, t, kCount);
  if (!c.broken) {
    SetFlag<HardEvent::MTE3_MTE2>(0);
    WaitFlag<HardEvent::MTE3_MTE2>(0);
  }
  DataCopy(t, c.x[kCount], kCount);
  All();
}

KERNEL(gm_order_in_core) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 2 * kCount);
  Duplicate(t, 1.0f, kCount);
  All();
  DataCopy(c.y, t, kCount);
  if (!c.broken) {
    SetFlag<HardEvent::MTE3_MTE2>(0);
    WaitFlag<HardEvent::MTE3_MTE2>(0);
  }
  DataCopy(t[kCount], c.y, kCount);
  All();
}

KERNEL(gm_overlapping_stores) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  Duplicate(t, 1.0f, kCount);
  All();
  DataCopy(c.y, t, kCount);
  if (!c.broken) PipeBarrier<PIPE_MTE3>();
  DataCopy(c.y[kCount / 2], t, kCount);
}

KERNEL(scalar_write) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 64);
  for (uint32_t i = 0; i < 64; ++i) t.SetValue(i, 1.0f);
  if (!c.broken) {
    SetFlag<HardEvent::S_V>(0);
    WaitFlag<HardEvent::S_V>(0);
  }
  Adds(t, t, 1.0f, 64);
}

// ------------------------------------------------------------------------------------------------------ cube cores

#define CUBE_KERNEL(name)                                                                    \
  static void name##_body(Case& c);                                                          \
  extern "C" __global__ __aicore__ void fault_##name(GM_ADDR x, GM_ADDR y, GM_ADDR tiling) { \
    KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIC_ONLY);                                          \
    Case c(x, y, tiling);                                                                    \
    name##_body(c);                                                                          \
  }                                                                                          \
  static void name##_body(Case& c)

CUBE_KERNEL(flag_of_tpipe) {  // a TPipe on a cube core has raised M_MTE1 0 to 2 for itself
  SetFlag<HardEvent::M_MTE1>(c.broken ? 2 : 3);
  WaitFlag<HardEvent::M_MTE1>(c.broken ? 2 : 3);
}

CUBE_KERNEL(wide_rows) {  // the pitch of an Nd2Nz copy has 16 bits: N * D may not pass 65535 elements
  TBuf<TPosition::A1> buffer;
  c.pipe.InitBuffer(buffer, 1024);
  const uint32_t pitch = c.broken ? 65536 + 16 : 16;
  DataCopy(buffer.Get<float>(), c.x, Nd2NzParams(1, 2, 16, 0, pitch, 2, 1, 0));
  All();
}

CUBE_KERNEL(part_of_a_fractal) {  // a 3D load takes part of a fractal only where the matrix ends
  TBuf<TPosition::A1> l1;
  TBuf<TPosition::A2> l0;
  c.pipe.InitBuffer(l1, 32 * 16 * sizeof(float));
  c.pipe.InitBuffer(l0, 32 * 16 * sizeof(float));
  DataCopy(l1.Get<float>(), c.x, 32 * 16);
  All();
  LoadData3DParamsV2<float> load;
  load.l1H = 1;
  load.l1W = 32;
  load.channelSize = 16;
  load.kExtension = c.broken ? 4 : 8;
  load.mExtension = 32;
  LoadData(l0.Get<float>(), l1.Get<float>(), load);
  All();
}

CUBE_KERNEL(vector_on_cube_core) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);  // laying out is free, touching is not
  if (c.broken) Duplicate(t, 1.0f, kCount);
}

CUBE_KERNEL(cores_out_of_reach) {  // AIC_ONLY and AIV_ONLY kernels start without the scheduler that passes flags on
  if (c.broken) CrossCoreSetFlag<0, PIPE_FIX>(0);
}

// ------------------------------------------------------------------------------------------------- between cores

KERNEL(gm_two_writers) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  Duplicate(t, 1.0f, kCount);
  All();
  DataCopy(c.y[(c.broken ? kCount / 2 : kCount) * GetBlockIdx()], t, kCount);
}

KERNEL(gm_atomic_writers) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  Duplicate(t, 1.0f, kCount);
  All();
  if (!c.broken || GetBlockIdx() != 0) SetAtomicAdd<float>();
  DataCopy(c.y, t, kCount);
  SetAtomicNone();
}

KERNEL(gm_read_other_core) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 2 * kCount);
  Duplicate(t, 1.0f, kCount);
  All();
  DataCopy(c.y[kCount * GetBlockIdx()], t, kCount);
  if (!c.broken) SyncAll();
  DataCopy(t[kCount], c.y[kCount * (1 - GetBlockIdx())], kCount);
  All();
}

KERNEL(deadlock) {
  if (!c.broken || GetBlockIdx() == 0) CrossCoreSetFlag<0, PIPE_MTE3>(3);
  if (!c.broken || GetBlockIdx() == 0) CrossCoreWaitFlag(3);
}

KERNEL(cross_flag_depth) {
  for (int i = 0; i < (c.broken ? 16 : 15); ++i) CrossCoreSetFlag<0, PIPE_MTE3>(3);
  for (int i = 0; i < (c.broken ? 16 : 15); ++i) CrossCoreWaitFlag(3);
}

KERNEL(cross_flag_id) {
  const int32_t id = c.broken ? 16 : 15;
  CrossCoreSetFlag<0, PIPE_MTE3>(id);
  CrossCoreWaitFlag(id);
}

KERNEL(cross_flag_left) {
  CrossCoreSetFlag<0, PIPE_MTE3>(3);
  if (!c.broken) CrossCoreWaitFlag(3);
}

KERNEL(cross_flag_and_sync_all) {
  const uint16_t id = c.broken ? 14 : 10;
  CrossCoreSetFlag<0, PIPE_MTE3>(id);
  CrossCoreWaitFlag(id);
  SyncAll();
}

KERNEL(wrong_producer) {  // the flag must come from the pipe that wrote the data
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 2 * kCount);
  Duplicate(t, 1.0f, kCount);
  SetFlag<HardEvent::V_MTE3>(0);
  WaitFlag<HardEvent::V_MTE3>(0);
  DataCopy(c.y[kCount * GetBlockIdx()], t, kCount);
  if (c.broken) {
    CrossCoreSetFlag<0, PIPE_V>(3);
  } else {
    CrossCoreSetFlag<0, PIPE_MTE3>(3);
  }
  CrossCoreWaitFlag(3);
  DataCopy(t[kCount], c.y[kCount * (1 - GetBlockIdx())], kCount);
  All();
}

KERNEL(scalar_cache) {  // a scalar write stays in the core's cache until it is cleaned
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 8);
  c.y.SetValue(0, 1.0f);
  c.y.SetValue(1, 2.0f);
  if (!c.broken) DataCacheCleanAndInvalid<float, CacheLine::SINGLE_CACHE_LINE, DcciDst::CACHELINE_OUT>(c.y);
  All();
  DataCopyPad(t, c.y, DataCopyExtParams(1, 8, 0, 0, 0), DataCopyPadExtParams<float>());
  All();
}

KERNEL(stale_cache) {  // a cached line does not notice what others write
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, 16);
  Duplicate(t, 1.0f, 16);
  c.y.GetValue(0);
  All();
  DataCopy(c.y, t, 16);
  All();
  if (!c.broken) DataCacheCleanAndInvalid<float, CacheLine::SINGLE_CACHE_LINE, DcciDst::CACHELINE_OUT>(c.y);
  c.y.GetValue(0);
}

// ---------------------------------------------------------------------------------------------------------- other

KERNEL(kernel_assert) { assert(!c.broken, "broken is %d", static_cast<int>(c.broken)); }

KERNEL(position) {
  TBuf<TPosition::VECCALC> buffer;
  LocalTensor<float> t = c.Buffer(buffer, kCount);
  LocalTensor<float> l1 = LocalTensor<float>();
  DataCopy(c.broken ? l1 : t, c.x, kCount);
  All();
}

KERNEL(raw_tensor) {
  LocalTensor<float> t(TPosition::VECCALC, 192 * 1024 - (c.broken ? 32 : 64), 16);
  Duplicate(t, 1.0f, 16);
}
