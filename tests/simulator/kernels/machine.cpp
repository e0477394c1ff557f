// The machine itself: copies, queues, flags between cores, atomics, debugging. Values are checked by test_machine.py.
#include "kernel_operator.h"

using namespace AscendC;

namespace {

template <typename T>
GlobalTensor<T> Gm(GM_ADDR address) {
  GlobalTensor<T> tensor;
  tensor.SetGlobalBuffer((__gm__ T*)address);
  return tensor;
}

void All() { PipeBarrier<PIPE_ALL>(); }

}  // namespace

// DataCopy in GM -> UB -> UB -> GM with the block counts, lengths and strides of tiling[0..7].
extern "C" __global__ __aicore__ void copy_strided(GM_ADDR x, GM_ADDR y, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 64 * 1024);
  LocalTensor<half> all = buffer.Get<half>();
  LocalTensor<half> first = all, second = all[8192];
  GlobalTensor<int32_t> p = Gm<int32_t>(tiling);
  Duplicate(all, half(0), 16384);
  All();
  const DataCopyParams in(p.GetValue(0), p.GetValue(1), p.GetValue(2), p.GetValue(3));
  DataCopy(first, Gm<half>(x), in);
  All();
  DataCopy(second, first, 8192);
  All();
  const DataCopyParams out(p.GetValue(0), p.GetValue(1), p.GetValue(3), p.GetValue(4));
  DataCopy(Gm<half>(y), second, out);
}

// DataCopyPad in with left and right padding, out without: tiling = blocks, bytes, gm stride, left, right, is_pad.
extern "C" __global__ __aicore__ void copy_pad(GM_ADDR x, GM_ADDR ub_image, GM_ADDR y, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 16 * 1024);
  LocalTensor<float> t = buffer.Get<float>();
  GlobalTensor<int32_t> p = Gm<int32_t>(tiling);
  Duplicate(t, -1.0f, 4096);
  All();
  DataCopyPadExtParams<float> pad(p.GetValue(5) != 0, p.GetValue(3), p.GetValue(4), 7.0f);
  DataCopyPad(t, Gm<float>(x), DataCopyExtParams(p.GetValue(0), p.GetValue(1), p.GetValue(2), 1, 0), pad);
  All();
  if (p.GetValue(5) != 0) DataCopy(Gm<float>(ub_image), t, 4096);
  // Without left padding the blocks go out again, packed.
  if (p.GetValue(3) == 0 && p.GetValue(4) == 0) {
    DataCopyPad(Gm<float>(y), t, DataCopyExtParams(p.GetValue(0), p.GetValue(1), 1, 0, 0));
  }
}

// Nd2Nz into L1 and out again as it lies there.
extern "C" __global__ __aicore__ void nd_to_nz(GM_ADDR x, GM_ADDR y, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIC_ONLY);
  TPipe pipe;
  TBuf<TPosition::A1> buffer;
  pipe.InitBuffer(buffer, 32 * 1024);
  LocalTensor<half> l1 = buffer.Get<half>();
  GlobalTensor<int32_t> p = Gm<int32_t>(tiling);
  GlobalTensor<half> out = Gm<half>(y);
  DataCopy(l1, Gm<half>(x + 4096), 16384);  // zeros, so that what the copy leaves alone is known
  All();
  DataCopy(l1, Gm<half>(x),
           Nd2NzParams(p.GetValue(0), p.GetValue(1), p.GetValue(2), p.GetValue(3), p.GetValue(4), p.GetValue(5),
                       p.GetValue(6), p.GetValue(7)));
  All();
  DataCopy(out, l1, 16384);
}

// Every core adds, or takes the maximum or minimum of, its own number into y. tiling[0]: 0 add, 1 max, 2 min.
template <typename T>
inline void Combine(GM_ADDR y, GM_ADDR tiling) {
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 256);
  LocalTensor<T> t = buffer.Get<T>(64);
  Duplicate(t, static_cast<T>(static_cast<float>(GetBlockIdx() + 1) * 0.3f), 64);
  All();
  const int32_t op = Gm<int32_t>(tiling).GetValue(0);
  if (op == 0) SetAtomicAdd<T>();
  if (op == 1) SetAtomicMax<T>();
  if (op == 2) SetAtomicMin<T>();
  DataCopy(Gm<T>(y), t, 64);
  SetAtomicNone();
}
extern "C" __global__ __aicore__ void atomic_float(GM_ADDR y, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  Combine<float>(y, tiling);
}
extern "C" __global__ __aicore__ void atomic_half(GM_ADDR y, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  Combine<half>(y, tiling);
}

// Each core waits a while of its own, then adds into one float: the order of the sum decides its last bits.
extern "C" __global__ __aicore__ void atomic_order(GM_ADDR x, GM_ADDR y) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIC_1_2);
  if ASCEND_IS_AIC {
    return;
  }
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 64);
  LocalTensor<float> t = buffer.Get<float>();
  for (int32_t round = 0; round < 40; ++round) {
    All();
    DataCopy(t, Gm<float>(x)[(GetBlockIdx() * 40 + round) * 8], 8);
    for (int32_t i = 0; i < (GetBlockIdx() * 7 + round) % 5; ++i) All();
    All();
    SetAtomicAdd<float>();
    DataCopy(Gm<float>(y), t, 8);
    SetAtomicNone();
  }
}

// A ring through GM: core i hands y[i] = y[i - 1] + 1 on with IBSet, core 0 starts.
extern "C" __global__ __aicore__ void ring(GM_ADDR y, GM_ADDR workspace) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIV_1_0);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer, sync;
  pipe.InitBuffer(buffer, 64);
  pipe.InitBuffer(sync, 32 * GetBlockNum());
  LocalTensor<float> t = buffer.Get<float>();
  const int64_t me = GetBlockIdx();
  if (me != 0) {
    IBWait(Gm<int32_t>(workspace), sync.Get<int32_t>(), me - 1, 0);
    DataCopy(t, Gm<float>(y)[(me - 1) * 8], 8);
    All();
  } else {
    Duplicate(t, 0.0f, 8);
  }
  All();
  Adds(t, t, 1.0f, 8);
  All();
  DataCopy(Gm<float>(y)[me * 8], t, 8);
  if (me + 1 < GetBlockNum()) IBSet(Gm<int32_t>(workspace), sync.Get<int32_t>(), me, 0);
}

// All cores write, meet, and read their neighbour's. tiling[0]: 0 hardware SyncAll, 1 through workspace, 2 mode 0
// flags.
extern "C" __global__ __aicore__ void meet(GM_ADDR y, GM_ADDR z, GM_ADDR workspace, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIV_1_0);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer, sync;
  pipe.InitBuffer(buffer, 32);
  pipe.InitBuffer(sync, 32 * GetBlockNum());
  LocalTensor<float> t = buffer.Get<float>();
  const int32_t how = Gm<int32_t>(tiling).GetValue(0);
  for (int32_t round = 0; round < 3; ++round) {
    Duplicate(t, static_cast<float>(GetBlockIdx() + 100 * round), 8);
    All();
    DataCopy(Gm<float>(y)[(round * GetBlockNum() + GetBlockIdx()) * 8], t, 8);
    if (how == 0) SyncAll();
    if (how == 1) SyncAll(Gm<int32_t>(workspace), sync.Get<int32_t>());
    if (how == 2) {
      CrossCoreSetFlag<0, PIPE_MTE3>(5);
      CrossCoreWaitFlag(5);
    }
    const int64_t neighbour = (GetBlockIdx() + 1) % GetBlockNum();
    SetFlag<HardEvent::MTE3_MTE2>(0);
    WaitFlag<HardEvent::MTE3_MTE2>(0);
    DataCopy(t, Gm<float>(y)[(round * GetBlockNum() + neighbour) * 8], 8);
    All();
    DataCopy(Gm<float>(z)[(round * GetBlockNum() + GetBlockIdx()) * 8], t, 8);
    All();
  }
}

// Both AIVs of a block meet (mode 1), then all cores of the kernel (SyncAll<false>); y counts who came through.
extern "C" __global__ __aicore__ void meet_mixed(GM_ADDR y) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIC_1_2);
  TPipe pipe;
  if ASCEND_IS_AIV {
    TBuf<TPosition::VECCALC> buffer;
    pipe.InitBuffer(buffer, 64);
    LocalTensor<float> t = buffer.Get<float>();
    Duplicate(t, static_cast<float>(GetBlockIdx() + 1), 8);
    All();
    DataCopy(Gm<float>(y)[GetBlockIdx() * 8], t, 8);
    CrossCoreSetFlag<1, PIPE_MTE3>(4);
    CrossCoreWaitFlag<1>(4);
    DataCopy(t[8], Gm<float>(y)[(GetBlockIdx() ^ 1) * 8], 8);  // the other AIV of the block
    All();
    SyncAll<false>();
    if (GetBlockIdx() == 0) {
      DataCopy(t, Gm<float>(y)[(2 * GetBlockNum() - 1) * 8], 8);
      All();
      DataCopy(Gm<float>(y)[2 * GetBlockNum() * 8], t, 16);
    }
  }
  if ASCEND_IS_AIC {
    SyncAll<false>();
  }
}

extern "C" __global__ __aicore__ void identity(GM_ADDR y) {
  GlobalTensor<int32_t> out = Gm<int32_t>(y);
  const int64_t slot = (ASCEND_IS_AIC ? 0 : 1 + GetSubBlockIdx()) +
                       3 * (ASCEND_IS_AIC ? GetBlockIdx() : GetBlockIdx() / GetTaskRation());
  out.SetValue(16 * slot, static_cast<int32_t>(GetBlockIdx()) * 1000 + static_cast<int32_t>(GetBlockNum()) * 100 +
                              static_cast<int32_t>(GetSubBlockIdx()) * 10 + (ASCEND_IS_AIC ? 1 : 2));
}

struct Tiling {
  int32_t count;
  float scale;
};

extern "C" __global__ __aicore__ void debug_output(GM_ADDR x, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  GET_TILING_DATA_WITH_STRUCT(Tiling, data, tiling);
  const int64_t before = GetSystemCycle();
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 64);
  LocalTensor<half> t = buffer.Get<half>();
  DataCopy(t, Gm<half>(x), 16);
  All();
  printf("core %d count %d scale %.2f first %.1f grows %d\n", static_cast<int32_t>(GetBlockIdx()), data.count,
         data.scale, t.GetValue(0), GetSystemCycle() > before ? 1 : 0);
  DumpTensor(t, 5, 4);
}

// Two tasks a tile: which tiling key is compiled in decides the cores.
extern "C" __global__ __aicore__ void by_key(GM_ADDR y) {
  KERNEL_TASK_TYPE(1, KERNEL_TYPE_AIV_ONLY);
  KERNEL_TASK_TYPE(2, KERNEL_TYPE_AIC_ONLY);
  GlobalTensor<int32_t> out = Gm<int32_t>(y);
  if (TILING_KEY_IS(1)) out.SetValue(16 * GetBlockIdx(), ASCEND_IS_AIV ? 10 : 11);
  if (TILING_KEY_IS(2)) out.SetValue(16 * GetBlockIdx(), ASCEND_IS_AIC ? 20 : 21);
}

// The manual's slice: bursts of 3 blocks out of rows 0 and 2 of a 3 x 87 matrix, packed in UB, and spread out again.
extern "C" __global__ __aicore__ void copy_slices(GM_ADDR x, GM_ADDR packed, GM_ADDR y) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 96 * sizeof(float));
  LocalTensor<float> t = buffer.Get<float>();
  SliceInfo wide[] = {{16, 70, 7, 3, 87}, {0, 2, 1, 1, 3}};
  SliceInfo tight[] = {{0, 47, 0, 3, 48}, {0, 1, 0, 1, 2}};
  DataCopy(t, Gm<float>(x), tight, wide, 2);
  All();
  DataCopy(Gm<float>(packed), t, 96);
  DataCopy(Gm<float>(y), t, wide, tight, 2);
}

// Two matrices of 16-column strips in UB become rows in GM.
extern "C" __global__ __aicore__ void nz_to_nd(GM_ADDR x, GM_ADDR y, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 4096 * sizeof(half));
  LocalTensor<half> t = buffer.Get<half>();
  GlobalTensor<int32_t> p = Gm<int32_t>(tiling);
  DataCopy(t, Gm<half>(x), 4096);
  All();
  DataCopy(Gm<half>(y), t,
           Nz2NdParamsFull(p.GetValue(0), p.GetValue(1), p.GetValue(2), p.GetValue(3), p.GetValue(4), p.GetValue(5),
                           p.GetValue(6)));
}

// Cores append to y in the order of their index, for three rounds.
extern "C" __global__ __aicore__ void take_turns(GM_ADDR y, GM_ADDR workspace) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIV_1_0);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer, sync;
  pipe.InitBuffer(buffer, 32);
  pipe.InitBuffer(sync, 32 * GetBlockNum() + 32);
  GlobalTensor<int32_t> gm = Gm<int32_t>(workspace);
  LocalTensor<int32_t> ub = sync.Get<int32_t>();
  LocalTensor<float> t = buffer.Get<float>();
  InitDetermineComputeWorkspace(gm, ub);
  for (int32_t round = 0; round < 3; ++round) {
    WaitPreBlock(gm, ub);
    DataCopy(t, Gm<float>(y), 8);  // y = 2 * y + index: the order shows
    All();
    Muls(t, t, 2.0f, 8);
    PipeBarrier<PIPE_V>();
    Adds(t, t, static_cast<float>(GetBlockIdx()), 8);
    All();
    DataCopy(Gm<float>(y), t, 8);
    NotifyNextBlock(gm, ub);
  }
}

// Calls that do little: architecture, ratio, workspace, TQueSync, DataSyncBarrier, SetAtomicType, Trap.
extern "C" __global__ __aicore__ void small_calls(GM_ADDR y, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 32);
  LocalTensor<float> t = buffer.Get<float>();
  uint32_t version = 0;
  GetArchVersion(version);
  t.SetValue(0, static_cast<float>(version));
  t.SetValue(1, static_cast<float>(GetTaskRation()));
  t.SetValue(2, GetUserWorkspace(y) == y ? 1.0f : 0.0f);
  for (uint32_t i = 3; i < 8; ++i) t.SetValue(i, 0.0f);
  DataSyncBarrier<MemDsbT::ALL>();  // stands in for S_V: the vector unit now sees the scalar's stores
  Adds(t, t, 1.0f, 8);
  TQueSync<PIPE_V, PIPE_MTE3> sync;
  sync.SetFlag(0);
  sync.WaitFlag(0);
  SetAtomicAdd<float>();
  SetAtomicType<half>();
  if (Gm<int32_t>(tiling).GetValue(0) != 1) SetAtomicType<float>();  // else the mode is not the copy's type
  DataCopy(Gm<float>(y), t, 8);
  SetAtomicNone();
  if (Gm<int32_t>(tiling).GetValue(0) == 2) Trap();
}

// Both vector cores write y twice, from two buffers. What orders the two writes is that the cube core's flag comes back
// after the first (tiling[0] = 1), or nothing.
extern "C" __global__ __aicore__ void flag_and_back(GM_ADDR y, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIC_1_2);
  const bool back = Gm<int32_t>(tiling).GetValue(0) != 0;
  if ASCEND_IS_AIC {
    if (back) CrossCoreWaitFlag(0);
    CrossCoreSetFlag<2, PIPE_FIX>(1);
    if (!back) CrossCoreWaitFlag(0);
    return;
  }
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 64);
  const LocalTensor<float> t = buffer.Get<float>();
  Duplicate(t, 1.0f, 8);
  Duplicate(t[8], 2.0f, 8);
  All();
  DataCopy(Gm<float>(y)[GetBlockIdx() * 8], t, 8);
  CrossCoreSetFlag<2, PIPE_MTE3>(0);
  CrossCoreWaitFlag(1);
  DataCopy(Gm<float>(y)[GetBlockIdx() * 8], t[8], 8);
}
