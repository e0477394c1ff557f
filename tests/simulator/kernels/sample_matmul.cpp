// C[M, N] = A[M, K] * B[K, N] on the cube cores: half in, float out, double buffered in L1 and L0.
//
// tiling: M, K, N as int32; M a multiple of 128 * block_dim, K and N of 128. Flags are set by hand, as a tuned kernel
// does, because a TQue hands over one buffer at a time in one order.
#include "kernel_operator.h"

using namespace AscendC;

namespace {

constexpr uint32_t kTile = 128;    // rows, columns and depth of a tile
constexpr uint32_t kFractal = 16;  // rows of a fractal; half has 16 columns in one
constexpr uint32_t kFractals = kTile / kFractal;
constexpr uint32_t kTileElements = kTile * kTile;
constexpr int32_t kFirstFreeId = 3;  // a TPipe on a cube core keeps M_MTE1 0 to 2 for itself

class Matmul {
 public:
  __aicore__ inline void Init(TPipe* pipe, GM_ADDR a, GM_ADDR b, GM_ADDR c, GM_ADDR tiling) {
    GlobalTensor<int32_t> parameters;
    parameters.SetGlobalBuffer((__gm__ int32_t*)tiling, 3);
    rows_ = parameters.GetValue(0);
    depth_ = parameters.GetValue(1);
    columns_ = parameters.GetValue(2);
    a_.SetGlobalBuffer((__gm__ half*)a, rows_ * depth_);
    b_.SetGlobalBuffer((__gm__ half*)b, depth_ * columns_);
    c_.SetGlobalBuffer((__gm__ float*)c, rows_ * columns_);
    pipe->InitBuffer(l1_a_, 2 * kTileElements * sizeof(half));
    pipe->InitBuffer(l1_b_, 2 * kTileElements * sizeof(half));
    pipe->InitBuffer(l0_a_, 2 * kTileElements * sizeof(half));
    pipe->InitBuffer(l0_b_, 2 * kTileElements * sizeof(half));
    pipe->InitBuffer(l0_c_, kTileElements * sizeof(float));
  }

  __aicore__ inline void Run() {
    SetFlag<HardEvent::MTE1_MTE2>(0);
    SetFlag<HardEvent::MTE1_MTE2>(1);
    SetFlag<HardEvent::M_MTE1>(kFirstFreeId);
    SetFlag<HardEvent::M_MTE1>(kFirstFreeId + 1);
    SetFlag<HardEvent::FIX_M>(0);
    const uint32_t tiles = rows_ / kTile;
    for (uint32_t tile = GetBlockIdx(); tile < tiles; tile += GetBlockNum()) {
      for (uint32_t column = 0; column < columns_; column += kTile) Tile(tile * kTile, column);
    }
    WaitFlag<HardEvent::MTE1_MTE2>(0);
    WaitFlag<HardEvent::MTE1_MTE2>(1);
    WaitFlag<HardEvent::M_MTE1>(kFirstFreeId);
    WaitFlag<HardEvent::M_MTE1>(kFirstFreeId + 1);
    WaitFlag<HardEvent::FIX_M>(0);
  }

 private:
  __aicore__ inline void Tile(uint32_t row, uint32_t column) {
    for (uint32_t k = 0; k < depth_; k += kTile) {
      const uint32_t half_buffer = count_ % 2;
      ++count_;
      LocalTensor<half> l1_a = l1_a_.Get<half>()[half_buffer * kTileElements];
      LocalTensor<half> l1_b = l1_b_.Get<half>()[half_buffer * kTileElements];
      LocalTensor<half> l0_a = l0_a_.Get<half>()[half_buffer * kTileElements];
      LocalTensor<half> l0_b = l0_b_.Get<half>()[half_buffer * kTileElements];

      WaitFlag<HardEvent::MTE1_MTE2>(half_buffer);
      Load(l1_a, a_[row * depth_ + k], depth_);
      Load(l1_b, b_[k * columns_ + column], columns_);
      SetFlag<HardEvent::MTE2_MTE1>(half_buffer);

      WaitFlag<HardEvent::MTE2_MTE1>(half_buffer);
      WaitFlag<HardEvent::M_MTE1>(kFirstFreeId + half_buffer);
      ToL0(l0_a, l0_b, l1_a, l1_b);
      SetFlag<HardEvent::MTE1_MTE2>(half_buffer);
      SetFlag<HardEvent::MTE1_M>(half_buffer);

      WaitFlag<HardEvent::MTE1_M>(half_buffer);
      if (k == 0) {
        WaitFlag<HardEvent::FIX_M>(0);
      }
      MmadParams params;
      params.m = kTile;
      params.n = kTile;
      params.k = kTile;
      params.cmatrixInitVal = k == 0;
      Mmad(l0_c_.Get<float>(), l0_a, l0_b, params);
      SetFlag<HardEvent::M_MTE1>(kFirstFreeId + half_buffer);
    }
    SetFlag<HardEvent::M_FIX>(0);
    WaitFlag<HardEvent::M_FIX>(0);
    Fixpipe<float, float, CFG_ROW_MAJOR>(c_[row * columns_ + column], l0_c_.Get<float>(),
                                         FixpipeParamsV220(kTile, kTile, kTile, columns_, false));
    SetFlag<HardEvent::FIX_M>(0);
  }

  // A tile of rows in GM becomes columns of fractals in L1.
  __aicore__ inline void Load(const LocalTensor<half>& l1, const GlobalTensor<half>& gm, uint32_t pitch) {
    DataCopy(l1, gm, Nd2NzParams(1, kTile, kTile, 0, pitch, kTile, 1, 0));
  }

  __aicore__ inline void ToL0(const LocalTensor<half>& l0_a, const LocalTensor<half>& l0_b,
                              const LocalTensor<half>& l1_a, const LocalTensor<half>& l1_b) {
    constexpr uint32_t kElements = kFractal * kFractal;
    for (uint32_t i = 0; i < kFractals; ++i) {
      // Row i of fractals of A lies a column apart in L1; row i of fractals of B likewise, and is turned over.
      LoadData(l0_a[i * kFractals * kElements], l1_a[i * kElements],
               LoadData2DParams(0, kFractals, kFractals, 0, 0, false, 0));
      LoadData(l0_b[i * kFractals * kElements], l1_b[i * kElements],
               LoadData2DParams(0, kFractals, kFractals, 0, 0, true, 0));
    }
  }

  GlobalTensor<half> a_, b_;
  GlobalTensor<float> c_;
  TBuf<TPosition::A1> l1_a_;
  TBuf<TPosition::B1> l1_b_;
  TBuf<TPosition::A2> l0_a_;
  TBuf<TPosition::B2> l0_b_;
  TBuf<TPosition::CO1> l0_c_;
  uint32_t rows_ = 0, depth_ = 0, columns_ = 0;
  uint32_t count_ = 0;
};

}  // namespace

extern "C" __global__ __aicore__ void sample_matmul(GM_ADDR a, GM_ADDR b, GM_ADDR c, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIC_ONLY);
  if ASCEND_IS_AIC {
    TPipe pipe;
    Matmul matmul;
    matmul.Init(&pipe, a, b, c, tiling);
    matmul.Run();
  }
}
