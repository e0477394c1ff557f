// y = (x - mean(x)) / sqrt(var(x) + 1e-5) * gamma + beta on rows of any length: queues with two buffers, padded copies,
// a scalar in the middle, reductions by repeats with a tail, a broadcast, counter mode.
//
// tiling: rows, columns as int32. Blocks take the rows in turn.
#include "kernel_operator.h"

using namespace AscendC;

namespace {

class RowNorm {
 public:
  __aicore__ inline void Init(GM_ADDR x, GM_ADDR gamma, GM_ADDR beta, GM_ADDR y, GM_ADDR tiling, TPipe* pipe) {
    GlobalTensor<int32_t> parameters;
    parameters.SetGlobalBuffer((__gm__ int32_t*)tiling, 2);
    rows_ = parameters.GetValue(0);
    columns_ = parameters.GetValue(1);
    pipe_ = pipe;
    x_.SetGlobalBuffer((__gm__ half*)x, rows_ * columns_);
    y_.SetGlobalBuffer((__gm__ half*)y, rows_ * columns_);
    y_.SetL2CacheHint(CacheMode::CACHE_MODE_DISABLE);
    gamma_.SetGlobalBuffer((__gm__ float*)gamma, columns_);
    beta_.SetGlobalBuffer((__gm__ float*)beta, columns_);
    const uint32_t padded = (columns_ + 63) / 64 * 64;
    pipe->InitBuffer(in_, 2, padded * sizeof(half));
    pipe->InitBuffer(out_, 2, padded * sizeof(half));
    pipe->InitBuffer(weights_, 1, 2 * padded * sizeof(float));
    pipe->InitBuffer(wide_, padded * sizeof(float));
    pipe->InitBuffer(square_, padded * sizeof(float));
    pipe->InitBuffer(sums_, 72 * sizeof(float));
  }

  __aicore__ inline void Run() {
    const uint32_t padded = (columns_ + 63) / 64 * 64;
    const DataCopyExtParams row{1, static_cast<uint32_t>(columns_ * sizeof(float)), 0, 0, 0};
    const DataCopyPadExtParams<float> zeros{true, 0, static_cast<uint8_t>((8 - columns_ % 8) % 8), 0.0f};
    LocalTensor<float> weights = weights_.AllocTensor<float>();
    DataCopyPad(weights, gamma_, row, zeros);
    DataCopyPad(weights[padded], beta_, row, zeros);
    weights_.EnQue(weights);
    weights = weights_.DeQue<float>();
    for (int32_t i = GetBlockIdx(); i < rows_; i += GetBlockNum()) {
      CopyIn(i);
      Compute(weights, weights[padded]);
      CopyOut(i);
    }
    weights_.FreeTensor(weights);
  }

 private:
  __aicore__ inline void CopyIn(int32_t row) {
    LocalTensor<half> x = in_.AllocTensor<half>();
    DataCopyPad(x, x_[row * columns_], DataCopyExtParams{1, static_cast<uint32_t>(columns_ * sizeof(half)), 0, 0, 0},
                DataCopyPadExtParams<half>{true, 0, static_cast<uint8_t>((16 - columns_ % 16) % 16), (half)0.0f});
    in_.EnQue(x);
  }

  __aicore__ inline void Compute(const LocalTensor<float>& gamma, const LocalTensor<float>& beta) {
    LocalTensor<half> x = in_.DeQue<half>();
    LocalTensor<half> y = out_.AllocTensor<half>();
    LocalTensor<float> wide = wide_.Get<float>(), square = square_.Get<float>(), sums = sums_.Get<float>();
    Cast(wide, x, RoundMode::CAST_NONE, columns_);
    in_.FreeTensor(x);
    PipeBarrier<PIPE_V>();
    ReduceSum<float>(sums, wide, square, columns_);
    event_t event = static_cast<event_t>(pipe_->FetchEventID(HardEvent::V_S));
    SetFlag<HardEvent::V_S>(event);
    WaitFlag<HardEvent::V_S>(event);
    const float mean = sums.GetValue(0) / columns_;
    event = static_cast<event_t>(pipe_->FetchEventID(HardEvent::S_V));
    SetFlag<HardEvent::S_V>(event);
    WaitFlag<HardEvent::S_V>(event);
    Adds(wide, wide, -mean, columns_);
    Duplicate(sums, 0.0f, 72);
    PipeBarrier<PIPE_V>();
    Mul(square, wide, wide, columns_);
    PipeBarrier<PIPE_V>();
    const int32_t whole = columns_ / 64, tail = columns_ % 64;
    if (whole > 0) WholeReduceSum<float>(sums, square, 64, whole, 1, 1, 8);
    if (tail > 0) WholeReduceSum<float>(sums[whole], square[whole * 64], tail, 1, 1, 1, 8);
    PipeBarrier<PIPE_V>();
    WholeReduceSum<float>(sums[64], sums, 64, 1, 1, 1, 8);
    PipeBarrier<PIPE_V>();
    Muls(sums[64], sums[64], 1.0f / columns_, 8);
    PipeBarrier<PIPE_V>();
    Adds(sums[64], sums[64], 1e-5f, 8);
    PipeBarrier<PIPE_V>();
    Sqrt(sums[64], sums[64], 8);
    PipeBarrier<PIPE_V>();
    Brcb(square, sums[64], 1, {1, 8});
    PipeBarrier<PIPE_V>();
    SetMaskCount();
    SetVectorMask<float, MaskMode::COUNTER>(columns_);
    Div<float, false>(wide, wide, square, MASK_PLACEHOLDER, 1, {1, 1, 0, 8, 8, 0});
    PipeBarrier<PIPE_V>();
    Mul<float, false>(wide, wide, gamma, MASK_PLACEHOLDER, 1, {1, 1, 1, 8, 8, 8});
    PipeBarrier<PIPE_V>();
    Add<float, false>(wide, wide, beta, MASK_PLACEHOLDER, 1, {1, 1, 1, 8, 8, 8});
    SetMaskNorm();
    ResetMask();
    PipeBarrier<PIPE_V>();
    Cast(y, wide, RoundMode::CAST_RINT, columns_);
    out_.EnQue(y);
  }

  __aicore__ inline void CopyOut(int32_t row) {
    LocalTensor<half> y = out_.DeQue<half>();
    DataCopyPad(y_[row * columns_], y, DataCopyExtParams{1, static_cast<uint32_t>(columns_ * sizeof(half)), 0, 0, 0});
    out_.FreeTensor(y);
  }

  TPipe* pipe_ = nullptr;
  TQue<QuePosition::VECIN, 2> in_;
  TQue<QuePosition::VECOUT, 2> out_;
  TQue<QuePosition::VECIN, 1> weights_;
  TBuf<QuePosition::VECCALC> wide_, square_, sums_;
  GlobalTensor<half> x_, y_;
  GlobalTensor<float> gamma_, beta_;
  int32_t rows_ = 0, columns_ = 0;
};

}  // namespace

extern "C" __global__ __aicore__ void user_layernorm(GM_ADDR x, GM_ADDR gamma, GM_ADDR beta, GM_ADDR y,
                                                     GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  RowNorm row_norm;
  row_norm.Init(x, gamma, beta, y, tiling, &pipe);
  row_norm.Run();
}
