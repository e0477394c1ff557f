// C = A * B through every way of loading L0A and L0B and of storing L0C. The host lays A and B out for L1.
#include "kernel_operator.h"

enum Parameter : int32_t {
  kM,
  kN,
  kK,
  kLoadA,
  kLoadB,
  kRounds,
  kUnitFlag,
  kHf32,
  kHf32TiesToZero,
  kRelu,
  kDstStride,
  kBias,
  kL0cSrcStride,
  kStoreN,
  kStoreM,
  kChannelSplit,
  kBytesA,
  kBytesB,
  kNdNum,
  kSrcNdStride,
  kDstNdStride,
  kBarrier,
  kOffsetA,
  kOffsetC,
  kQuantLow,
  kQuantHigh,
  kMoreN,  // columns and depth that Mmad takes beyond what was loaded
  kMoreK,
  kParameters
};
enum LoadA : int64_t { kA2d, kA3d, kA3dTransposed, kA2dTransposed, kASquares };
enum LoadB : int64_t { kB2d, kB3d, kB2dTransposed, kBSquares };

template <typename In, typename Acc, typename Out, QuantMode_t kQuant, const AscendC::FixpipeConfig& kConfig>
class CubeMatmul {
 public:
  __aicore__ inline CubeMatmul(GM_ADDR a, GM_ADDR b, GM_ADDR c, GM_ADDR bias, GM_ADDR parameters) {
    parameters_.SetGlobalBuffer(reinterpret_cast<__gm__ int64_t*>(parameters), kParameters);
    a_gm_.SetGlobalBuffer(reinterpret_cast<__gm__ In*>(a));
    b_gm_.SetGlobalBuffer(reinterpret_cast<__gm__ In*>(b));
    c_gm_.SetGlobalBuffer(reinterpret_cast<__gm__ Out*>(c));
    bias_gm_.SetGlobalBuffer(reinterpret_cast<__gm__ Acc*>(bias));
    m_ = Get(kM), n_ = Get(kN), k_ = Get(kK);
    m_blocks_ = (m_ + 15) / 16, n_blocks_ = (n_ + 15) / 16, k_blocks_ = (k_ + kDepth - 1) / kDepth;
    k_padded_ = (k_ + 15) / 16 * 16;
  }

  __aicore__ inline void Run() {
    pipe_.InitBuffer(a1_, 128 * 1024);
    pipe_.InitBuffer(b1_, 128 * 1024);
    pipe_.InitBuffer(c1_, 4 * 1024);
    pipe_.InitBuffer(a2_, 64 * 1024);
    pipe_.InitBuffer(b2_, 64 * 1024);
    pipe_.InitBuffer(co1_, 128 * 1024);
    pipe_.InitBuffer(c2_, 1024);
    const AscendC::LocalTensor<In> a1 = a1_.Get<In>(), b1 = b1_.Get<In>();
    AscendC::DataCopy(a1, a_gm_, static_cast<uint32_t>(Get(kBytesA) / sizeof(In)));
    AscendC::DataCopy(b1, b_gm_, static_cast<uint32_t>(Get(kBytesB) / sizeof(In)));
    if (Get(kBias) != 0) AscendC::DataCopy(c1_.Get<Acc>(), bias_gm_, static_cast<uint32_t>(n_blocks_ * 16));
    AscendC::SetFlag<AscendC::HardEvent::MTE2_MTE1>(EVENT_ID0);
    AscendC::WaitFlag<AscendC::HardEvent::MTE2_MTE1>(EVENT_ID0);
    LoadLeft(a2_.Get<In>()[static_cast<uint32_t>(Get(kOffsetA))], a1);
    LoadRight(b2_.Get<In>(), b1);
    if (Get(kBias) != 0) AscendC::DataCopy(c2_.Get<Acc>(), c1_.Get<Acc>(), static_cast<uint32_t>(n_blocks_ * 16));
    AscendC::SetFlag<AscendC::HardEvent::MTE1_M>(EVENT_ID0);
    AscendC::WaitFlag<AscendC::HardEvent::MTE1_M>(EVENT_ID0);
    Multiply();
    if (Get(kUnitFlag) == 0) {
      AscendC::SetFlag<AscendC::HardEvent::M_FIX>(EVENT_ID0);
      AscendC::WaitFlag<AscendC::HardEvent::M_FIX>(EVENT_ID0);
    }
    Store();
  }

 private:
  static constexpr int32_t kDepth = 32 / sizeof(In);
  static constexpr int32_t kFractal = 512 / sizeof(In);

  __aicore__ inline int32_t Get(int32_t index) { return static_cast<int32_t>(parameters_.GetValue(index)); }

  __aicore__ inline void Load3d(const AscendC::LocalTensor<In>& dst, const AscendC::LocalTensor<In>& src, int32_t rows,
                                int32_t columns, int32_t m_extension, bool transpose) {
    AscendC::LoadData3DParamsV2<In> params;
    params.l1H = 1;
    params.l1W = rows;
    params.channelSize = columns;
    params.kExtension = columns;
    params.mExtension = m_extension;
    params.enTranspose = transpose;
    AscendC::LoadData(dst, src, params);
  }

  __aicore__ inline void LoadLeft(const AscendC::LocalTensor<In>& a2, const AscendC::LocalTensor<In>& a1) {
    switch (Get(kLoadA)) {
      case kA2d:  // NZ of A to ZZ, a row of fractals at a time
        for (int32_t m1 = 0; m1 < m_blocks_; ++m1) {
          AscendC::LoadData2DParams params;
          params.repeatTimes = k_blocks_;
          params.srcStride = m_blocks_;
          AscendC::LoadData(a2[m1 * k_blocks_ * kFractal], a1[m1 * kFractal], params);
        }
        break;
      case kA3d:
        Load3d(a2, a1, m_blocks_ * 16, k_blocks_ * kDepth, m_, false);
        break;
      case kA3dTransposed:  // NZ of the transpose of A
        Load3d(a2, a1, k_padded_, m_blocks_ * 16, k_padded_, true);
        break;
      case kA2dTransposed:
        for (int32_t m1 = 0; m1 < m_blocks_; ++m1) {
          AscendC::LoadData2DParams params;
          params.repeatTimes = k_blocks_;
          params.srcStride = 1;
          params.ifTranspose = true;
          AscendC::LoadData(a2[m1 * k_blocks_ * kFractal], a1[m1 * k_blocks_ * kFractal], params);
        }
        break;
      case kASquares:  // squares of the transpose of A, k outside within a column of m
        for (int32_t m1 = 0; m1 < m_blocks_; ++m1) {
          AscendC::LoadData2dTransposeParams params;
          params.repeatTimes = k_padded_ / 16;
          params.srcStride = 1;
          params.dstGap = kFractalsOfSquare - 1;
          const int32_t square_row = k_padded_ / 16 * kFractalsOfSquare * kFractal;
          AscendC::LoadDataWithTranspose(a2[m1 * square_row], a1[m1 * square_row], params);
        }
        break;
    }
  }

  __aicore__ inline void LoadRight(const AscendC::LocalTensor<In>& b2, const AscendC::LocalTensor<In>& b1) {
    switch (Get(kLoadB)) {
      case kB2d: {  // NZ of the transpose of B has the order of L0B already
        AscendC::LoadData2DParams params;
        params.repeatTimes = k_blocks_ * n_blocks_;
        params.srcStride = 1;
        AscendC::LoadData(b2, b1, params);
        break;
      }
      case kB3d:
        Load3d(b2, b1, k_padded_, n_blocks_ * 16, k_, false);
        break;
      case kB2dTransposed:
        for (int32_t k1 = 0; k1 < k_blocks_; ++k1) {
          AscendC::LoadData2DParams params;
          params.repeatTimes = n_blocks_;
          params.srcStride = k_blocks_;
          params.ifTranspose = true;
          AscendC::LoadData(b2[k1 * n_blocks_ * kFractal], b1[k1 * kFractal], params);
        }
        break;
      case kBSquares:  // squares of B, n inside
        for (int32_t k1 = 0; k1 < k_padded_ / 16; ++k1) {
          AscendC::LoadData2dTransposeParams params;
          params.repeatTimes = n_blocks_;
          params.srcStride = 1;
          params.dstGap = 0;
          params.dstFracGap = n_blocks_ - 1;
          const int32_t square_row = n_blocks_ * kFractalsOfSquare * kFractal;
          AscendC::LoadDataWithTranspose(b2[k1 * square_row], b1[k1 * square_row], params);
        }
        break;
    }
  }

  __aicore__ inline void Multiply() {
    AscendC::SetHF32Mode(Get(kHf32) != 0);
    AscendC::SetHF32TransMode(Get(kHf32TiesToZero) != 0);
    const int32_t rounds = Get(kRounds);
    for (int32_t round = 0; round < rounds; ++round) {
      AscendC::MmadParams params;
      params.m = m_;
      params.n = n_ + Get(kMoreN);
      params.k = k_ + Get(kMoreK);
      params.cmatrixInitVal = round == 0 && Get(kBias) == 0;
      const int32_t load = Get(kLoadA);
      params.kDirectionAlign = sizeof(In) == 4 && (load == kA3dTransposed || load == kASquares);
      if (Get(kUnitFlag) != 0) params.unitFlag = round + 1 < rounds ? 2 : 3;
      const AscendC::LocalTensor<Acc> c = co1_.Get<Acc>()[static_cast<uint32_t>(Get(kOffsetC))];
      const AscendC::LocalTensor<In> a = a2_.Get<In>()[static_cast<uint32_t>(Get(kOffsetA))];
      if (Get(kBias) != 0 && round == 0) {
        AscendC::Mmad(c, a, b2_.Get<In>(), c2_.Get<Acc>(), params);
      } else {
        AscendC::Mmad(c, a, b2_.Get<In>(), params);
      }
      if (Get(kBarrier) != 0) AscendC::PipeBarrier<PIPE_M>();
    }
  }

  __aicore__ inline void Store() {
    AscendC::FixpipeParamsV220 params;
    params.nSize = Get(kStoreN);
    params.mSize = Get(kStoreM);
    params.srcStride = Get(kL0cSrcStride);
    params.dstStride = Get(kDstStride);
    params.quantPre = kQuant;
    params.deqScalar = static_cast<uint32_t>(Get(kQuantLow)) | static_cast<uint64_t>(Get(kQuantHigh)) << 32;
    params.reluEn = Get(kRelu) != 0;
    params.ndNum = Get(kNdNum);
    params.srcNdStride = Get(kSrcNdStride);
    params.dstNdStride = Get(kDstNdStride);
    params.unitFlag = Get(kUnitFlag);
    params.isChannelSplit = Get(kChannelSplit) != 0;
    AscendC::Fixpipe<Out, Acc, kConfig>(c_gm_, co1_.Get<Acc>()[static_cast<uint32_t>(Get(kOffsetC))], params);
  }

  static constexpr int32_t kFractalsOfSquare = sizeof(In) == 4 ? 2 : 1;

  AscendC::TPipe pipe_;
  AscendC::TBuf<AscendC::TPosition::A1> a1_, b1_;
  AscendC::TBuf<AscendC::TPosition::C1> c1_;
  AscendC::TBuf<AscendC::TPosition::A2> a2_;
  AscendC::TBuf<AscendC::TPosition::B2> b2_;
  AscendC::TBuf<AscendC::TPosition::CO1> co1_;
  AscendC::TBuf<AscendC::TPosition::C2> c2_;
  AscendC::GlobalTensor<int64_t> parameters_;
  AscendC::GlobalTensor<In> a_gm_, b_gm_;
  AscendC::GlobalTensor<Out> c_gm_;
  AscendC::GlobalTensor<Acc> bias_gm_;
  int32_t m_, n_, k_, m_blocks_, n_blocks_, k_blocks_, k_padded_;
};

#define CUBE_KERNEL(NAME, IN, ACC, OUT, QUANT, CONFIG)                                                            \
  extern "C" __global__ __aicore__ void NAME(GM_ADDR a, GM_ADDR b, GM_ADDR c, GM_ADDR bias, GM_ADDR parameters) { \
    KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIC_ONLY);                                                               \
    CubeMatmul<IN, ACC, OUT, QuantMode_t::QUANT, AscendC::CONFIG>(a, b, c, bias, parameters).Run();               \
  }

CUBE_KERNEL(cube_half, half, float, float, NoQuant, CFG_ROW_MAJOR)
CUBE_KERNEL(cube_bfloat16, bfloat16_t, float, float, NoQuant, CFG_ROW_MAJOR)
CUBE_KERNEL(cube_float, float, float, float, NoQuant, CFG_ROW_MAJOR)
CUBE_KERNEL(cube_int8, int8_t, int32_t, int32_t, NoQuant, CFG_ROW_MAJOR)
CUBE_KERNEL(cube_half_to_half, half, float, half, F322F16, CFG_ROW_MAJOR)
CUBE_KERNEL(cube_half_to_bfloat16, half, float, bfloat16_t, F322BF16, CFG_ROW_MAJOR)
CUBE_KERNEL(cube_half_to_int8, half, float, int8_t, QF322B8_PRE, CFG_ROW_MAJOR)
CUBE_KERNEL(cube_int8_to_half, int8_t, int32_t, half, DEQF16, CFG_ROW_MAJOR)
CUBE_KERNEL(cube_half_nz, half, float, float, NoQuant, CFG_NZ)
CUBE_KERNEL(cube_half_to_half_nz, half, float, half, F322F16, CFG_NZ)
CUBE_KERNEL(cube_wrong_quant, half, float, half, NoQuant, CFG_ROW_MAJOR)
