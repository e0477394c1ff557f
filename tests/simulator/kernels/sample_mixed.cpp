// C[M, 128] = exp(scale * A[M, 128] * B[128, 128]): the cube core multiplies, its two vector cores take the exponent.
//
// The product travels through two slots of workspace per block: the cube core fills one while the vector cores empty
// the other. Flag 0 says a slot is full, flag 1 that it is free again.
//
// tiling: M as int32, a multiple of 128 * block_dim; workspace: 2 * 128 * 128 floats a block.
#include "kernel_operator.h"

using namespace AscendC;

namespace {

constexpr uint32_t kTile = 128;
constexpr uint32_t kFractal = 16;
constexpr uint32_t kFractals = kTile / kFractal;
constexpr uint32_t kFractalElements = kFractal * kFractal;
constexpr uint32_t kTileElements = kTile * kTile;
constexpr uint32_t kSlots = 2;
constexpr uint16_t kFull = 0;
constexpr uint16_t kFree = 1;
constexpr float kScale = 0.125f;

struct Shared {
  GlobalTensor<half> a, b;
  GlobalTensor<float> c, slots;
  uint32_t tiles = 0;  // of this block
  uint32_t first = 0;

  __aicore__ inline void Init(GM_ADDR a_gm, GM_ADDR b_gm, GM_ADDR c_gm, GM_ADDR workspace, GM_ADDR tiling,
                              uint32_t block) {
    GlobalTensor<int32_t> parameters;
    parameters.SetGlobalBuffer((__gm__ int32_t*)tiling, 1);
    const uint32_t rows = parameters.GetValue(0);
    tiles = rows / kTile / GetBlockNum();
    first = block * tiles;
    a.SetGlobalBuffer((__gm__ half*)a_gm, rows * kTile);
    b.SetGlobalBuffer((__gm__ half*)b_gm, kTileElements);
    c.SetGlobalBuffer((__gm__ float*)c_gm, rows * kTile);
    slots.SetGlobalBuffer((__gm__ float*)workspace + block * kSlots * kTileElements, kSlots * kTileElements);
  }
};

class Cube {
 public:
  __aicore__ inline void Run(TPipe* pipe, Shared& shared) {
    TBuf<TPosition::A1> l1_a;
    TBuf<TPosition::B1> l1_b;
    TBuf<TPosition::A2> l0_a;
    TBuf<TPosition::B2> l0_b;
    TBuf<TPosition::CO1> l0_c;
    pipe->InitBuffer(l1_a, kTileElements * sizeof(half));
    pipe->InitBuffer(l1_b, kTileElements * sizeof(half));
    pipe->InitBuffer(l0_a, kTileElements * sizeof(half));
    pipe->InitBuffer(l0_b, kTileElements * sizeof(half));
    pipe->InitBuffer(l0_c, kTileElements * sizeof(float));
    LocalTensor<half> a1 = l1_a.Get<half>(), b1 = l1_b.Get<half>(), a2 = l0_a.Get<half>(), b2 = l0_b.Get<half>();
    LocalTensor<float> product = l0_c.Get<float>();

    const Nd2NzParams to_l1(1, kTile, kTile, 0, kTile, kTile, 1, 0);
    DataCopy(b1, shared.b, to_l1);
    SetFlag<HardEvent::MTE2_MTE1>(2);
    WaitFlag<HardEvent::MTE2_MTE1>(2);
    for (uint32_t i = 0; i < kFractals; ++i) {
      LoadData(b2[i * kFractals * kFractalElements], b1[i * kFractalElements],
               LoadData2DParams(0, kFractals, kFractals, 0, 0, true, 0));
    }
    SetFlag<HardEvent::MTE1_MTE2>(0);
    SetFlag<HardEvent::M_MTE1>(3);
    SetFlag<HardEvent::FIX_M>(0);
    for (uint32_t tile = 0; tile < shared.tiles; ++tile) {
      WaitFlag<HardEvent::MTE1_MTE2>(0);
      DataCopy(a1, shared.a[(shared.first + tile) * kTileElements], to_l1);
      SetFlag<HardEvent::MTE2_MTE1>(0);

      WaitFlag<HardEvent::MTE2_MTE1>(0);
      WaitFlag<HardEvent::M_MTE1>(3);
      for (uint32_t i = 0; i < kFractals; ++i) {
        LoadData(a2[i * kFractals * kFractalElements], a1[i * kFractalElements],
                 LoadData2DParams(0, kFractals, kFractals, 0, 0, false, 0));
      }
      SetFlag<HardEvent::MTE1_MTE2>(0);
      SetFlag<HardEvent::MTE1_M>(0);

      WaitFlag<HardEvent::MTE1_M>(0);
      WaitFlag<HardEvent::FIX_M>(0);
      MmadParams params;
      params.m = kTile;
      params.n = kTile;
      params.k = kTile;
      Mmad(product, a2, b2, params);
      SetFlag<HardEvent::M_MTE1>(3);
      SetFlag<HardEvent::M_FIX>(0);

      WaitFlag<HardEvent::M_FIX>(0);
      if (tile >= kSlots) {
        CrossCoreWaitFlag(kFree);
      }
      Fixpipe<float, float, CFG_ROW_MAJOR>(shared.slots[tile % kSlots * kTileElements], product,
                                           FixpipeParamsV220(kTile, kTile, kTile, kTile, false));
      SetFlag<HardEvent::FIX_M>(0);
      CrossCoreSetFlag<2, PIPE_FIX>(kFull);
    }
    WaitFlag<HardEvent::MTE1_MTE2>(0);
    WaitFlag<HardEvent::M_MTE1>(3);
    WaitFlag<HardEvent::FIX_M>(0);
    for (uint32_t left = shared.tiles < kSlots ? shared.tiles : kSlots; left > 0; --left) {
      CrossCoreWaitFlag(kFree);
    }
  }
};

class Vector {
 public:
  __aicore__ inline void Run(TPipe* pipe, Shared& shared) {
    constexpr uint32_t kElements = kTileElements / 2;  // each vector core takes half of the rows
    TBuf<TPosition::VECCALC> buffer;
    pipe->InitBuffer(buffer, 2 * kElements * sizeof(float));
    const uint32_t offset = GetSubBlockIdx() * kElements;
    SetFlag<HardEvent::MTE3_MTE2>(0);
    SetFlag<HardEvent::MTE3_MTE2>(1);
    for (uint32_t tile = 0; tile < shared.tiles; ++tile) {
      const uint32_t side = tile % 2;
      LocalTensor<float> x = buffer.Get<float>()[side * kElements];
      x.SetSize(kElements);
      WaitFlag<HardEvent::MTE3_MTE2>(side);
      CrossCoreWaitFlag(kFull);
      DataCopy(x, shared.slots[tile % kSlots * kTileElements + offset], kElements);
      CrossCoreSetFlag<2, PIPE_MTE2>(kFree);
      SetFlag<HardEvent::MTE2_V>(side);

      WaitFlag<HardEvent::MTE2_V>(side);
      Muls(x, x, kScale, kElements);
      PipeBarrier<PIPE_V>();
      Exp(x, x, kElements);
      SetFlag<HardEvent::V_MTE3>(side);

      WaitFlag<HardEvent::V_MTE3>(side);
      DataCopy(shared.c[(shared.first + tile) * kTileElements + offset], x, kElements);
      SetFlag<HardEvent::MTE3_MTE2>(side);
    }
    WaitFlag<HardEvent::MTE3_MTE2>(0);
    WaitFlag<HardEvent::MTE3_MTE2>(1);
  }
};

}  // namespace

extern "C" __global__ __aicore__ void sample_mixed(GM_ADDR a, GM_ADDR b, GM_ADDR c, GM_ADDR workspace, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIC_1_2);
  TPipe pipe;
  Shared shared;
  if ASCEND_IS_AIC {
    shared.Init(a, b, c, workspace, tiling, GetBlockIdx());
    Cube cube;
    cube.Run(&pipe, shared);
  }
  if ASCEND_IS_AIV {
    shared.Init(a, b, c, workspace, tiling, GetBlockIdx() / GetSubBlockNum());
    Vector vector;
    vector.Run(&pipe, shared);
  }
}
