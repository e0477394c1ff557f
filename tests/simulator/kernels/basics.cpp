// Small kernels, one rule of the machine each.
#include "kernel_operator.h"

using namespace AscendC;

// z = x + y over `count` floats (tiling[0]), in tiles of 256, double buffered.
extern "C" __global__ __aicore__ void add_queue(GM_ADDR x, GM_ADDR y, GM_ADDR z, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  constexpr int32_t kTile = 256;
  TPipe pipe;
  TQue<TPosition::VECIN, 2> in_x, in_y;
  TQue<TPosition::VECOUT, 2> out;
  pipe.InitBuffer(in_x, 2, kTile * sizeof(float));
  pipe.InitBuffer(in_y, 2, kTile * sizeof(float));
  pipe.InitBuffer(out, 2, kTile * sizeof(float));
  GlobalTensor<int32_t> parameters;
  parameters.SetGlobalBuffer((__gm__ int32_t*)tiling, 1);
  const int32_t per_core = parameters.GetValue(0) / GetBlockNum();
  GlobalTensor<float> gx, gy, gz;
  gx.SetGlobalBuffer((__gm__ float*)x + per_core * GetBlockIdx(), per_core);
  gy.SetGlobalBuffer((__gm__ float*)y + per_core * GetBlockIdx(), per_core);
  gz.SetGlobalBuffer((__gm__ float*)z + per_core * GetBlockIdx(), per_core);
  for (int32_t begin = 0; begin < per_core; begin += kTile) {
    LocalTensor<float> a = in_x.AllocTensor<float>();
    LocalTensor<float> b = in_y.AllocTensor<float>();
    DataCopy(a, gx[begin], kTile);
    DataCopy(b, gy[begin], kTile);
    in_x.EnQue(a);
    in_y.EnQue(b);
    a = in_x.DeQue<float>();
    b = in_y.DeQue<float>();
    LocalTensor<float> c = out.AllocTensor<float>();
    Add(c, a, b, kTile);
    out.EnQue(c);
    in_x.FreeTensor(a);
    in_y.FreeTensor(b);
    c = out.DeQue<float>();
    DataCopy(gz[begin], c, kTile);
    out.FreeTensor(c);
  }
}
