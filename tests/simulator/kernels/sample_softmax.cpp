// y[row] = softmax(x[row]) in float on the vector cores, a row at a time, double buffered through queues.
//
// tiling: rows, columns as int32; columns a multiple of 64, at most 4096.
#include "kernel_operator.h"

using namespace AscendC;

namespace {

constexpr int32_t kRepeat = 64;  // floats of a repeat

class Softmax {
 public:
  __aicore__ inline void Init(TPipe* pipe, GM_ADDR x, GM_ADDR y, GM_ADDR tiling) {
    GlobalTensor<int32_t> parameters;
    parameters.SetGlobalBuffer((__gm__ int32_t*)tiling, 2);
    rows_ = parameters.GetValue(0);
    columns_ = parameters.GetValue(1);
    x_.SetGlobalBuffer((__gm__ float*)x, rows_ * columns_);
    y_.SetGlobalBuffer((__gm__ float*)y, rows_ * columns_);
    pipe->InitBuffer(in_, 2, columns_ * sizeof(float));
    pipe->InitBuffer(out_, 2, columns_ * sizeof(float));
    pipe->InitBuffer(work_, kRepeat * sizeof(float));
    pipe->InitBuffer(scalar_, 32);
  }

  __aicore__ inline void Run() {
    for (int32_t row = GetBlockIdx(); row < rows_; row += GetBlockNum()) {
      CopyIn(row);
      Compute();
      CopyOut(row);
    }
  }

 private:
  __aicore__ inline void CopyIn(int32_t row) {
    LocalTensor<float> x = in_.AllocTensor<float>();
    DataCopy(x, x_[row * columns_], columns_);
    in_.EnQue(x);
  }

  __aicore__ inline void Compute() {
    LocalTensor<float> x = in_.DeQue<float>();
    LocalTensor<float> y = out_.AllocTensor<float>();
    LocalTensor<float> work = work_.Get<float>();
    LocalTensor<float> scalar = scalar_.Get<float>();

    // 64 elements of a repeat to one, then the up to 64 results to one.
    const int32_t parts = columns_ / kRepeat;
    WholeReduceMax(work, x, kRepeat, parts, 1, 1, 8, ReduceOrder::ORDER_ONLY_VALUE);
    PipeBarrier<PIPE_V>();
    WholeReduceMax(scalar, work, parts, 1, 1, 1, 8, ReduceOrder::ORDER_ONLY_VALUE);
    SetFlag<HardEvent::V_S>(0);
    WaitFlag<HardEvent::V_S>(0);
    const float highest = scalar.GetValue(0);

    Adds(y, x, -highest, columns_);
    PipeBarrier<PIPE_V>();
    Exp(y, y, columns_);
    PipeBarrier<PIPE_V>();
    WholeReduceSum(work, y, kRepeat, parts, 1, 1, 8);
    PipeBarrier<PIPE_V>();
    WholeReduceSum(scalar, work, parts, 1, 1, 1, 8);
    SetFlag<HardEvent::V_S>(0);
    WaitFlag<HardEvent::V_S>(0);
    const float sum = scalar.GetValue(0);

    Muls(y, y, 1.0f / sum, columns_);
    in_.FreeTensor(x);
    out_.EnQue(y);
  }

  __aicore__ inline void CopyOut(int32_t row) {
    LocalTensor<float> y = out_.DeQue<float>();
    DataCopy(y_[row * columns_], y, columns_);
    out_.FreeTensor(y);
  }

  GlobalTensor<float> x_, y_;
  TQue<TPosition::VECIN, 2> in_;
  TQue<TPosition::VECOUT, 2> out_;
  TBuf<TPosition::VECCALC> work_, scalar_;
  int32_t rows_ = 0, columns_ = 0;
};

}  // namespace

extern "C" __global__ __aicore__ void sample_softmax(GM_ADDR x, GM_ADDR y, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  if ASCEND_IS_AIV {
    TPipe pipe;
    Softmax softmax;
    softmax.Init(&pipe, x, y, tiling);
    softmax.Run();
  }
}
