// C = op(A) op(B) in bfloat16 with any n, k and m > 1 (at 1 the cube reads A as a vector), each operand as it is or
// transposed; the depth is split over the blocks, which add into C atomically. Rows of a tail are never written in L1:
// whole fractals of them travel to L0 all the same.
//
// tiling: m, n, k, transpose A, transpose B as uint32. C must be zero when there is more than one block.
#include "kernel_operator.h"

using namespace AscendC;

namespace {

struct Shape {
  uint32_t m, n, k;          // of the whole product
  uint32_t first_k, mine_k;  // of this block
  bool transpose_a, transpose_b;
};

__aicore__ inline uint16_t Up16(uint32_t x) { return static_cast<uint16_t>((x + 15) / 16 * 16); }

__aicore__ inline Nd2NzParams ToL1(uint32_t rows, uint32_t columns, uint32_t pitch) {
  return Nd2NzParams{
      1, static_cast<uint16_t>(rows), static_cast<uint16_t>(columns), 0, static_cast<uint16_t>(pitch), Up16(rows), 1,
      0};
}

__aicore__ inline void Multiply(GM_ADDR a_gm, GM_ADDR b_gm, GM_ADDR c_gm, const Shape& s) {
  const uint32_t m = Up16(s.m), n = Up16(s.n), k = Up16(s.mine_k);
  TPipe pipe;
  TQue<TPosition::A1, 1> a1_queue;
  TQue<TPosition::B1, 1> b1_queue;
  TQue<TPosition::A2, 1> a2_queue;
  TQue<TPosition::B2, 1> b2_queue;
  TQue<TPosition::CO1, 1> c_queue;
  pipe.InitBuffer(a1_queue, 1, m * k * sizeof(bfloat16_t));
  pipe.InitBuffer(b1_queue, 1, k * n * sizeof(bfloat16_t));
  pipe.InitBuffer(a2_queue, 1, m * k * sizeof(bfloat16_t));
  pipe.InitBuffer(b2_queue, 1, k * n * sizeof(bfloat16_t));
  pipe.InitBuffer(c_queue, 1, m * n * sizeof(float));
  GlobalTensor<bfloat16_t> a, b;
  GlobalTensor<float> c;
  a.SetGlobalBuffer((__gm__ bfloat16_t*)a_gm, s.m * s.k);
  b.SetGlobalBuffer((__gm__ bfloat16_t*)b_gm, s.k * s.n);
  c.SetGlobalBuffer((__gm__ float*)c_gm, s.m * s.n);

  LocalTensor<bfloat16_t> a1 = a1_queue.AllocTensor<bfloat16_t>(), b1 = b1_queue.AllocTensor<bfloat16_t>();
  if (s.transpose_a) {
    DataCopy(a1, a[s.first_k * s.m], ToL1(s.mine_k, s.m, s.m));
  } else {
    DataCopy(a1, a[s.first_k], ToL1(s.m, s.mine_k, s.k));
  }
  if (s.transpose_b) {
    DataCopy(b1, b[s.first_k], ToL1(s.n, s.mine_k, s.k));
  } else {
    DataCopy(b1, b[s.first_k * s.n], ToL1(s.mine_k, s.n, s.n));
  }
  a1_queue.EnQue(a1);
  b1_queue.EnQue(b1);
  a1 = a1_queue.DeQue<bfloat16_t>();
  b1 = b1_queue.DeQue<bfloat16_t>();

  LocalTensor<bfloat16_t> a2 = a2_queue.AllocTensor<bfloat16_t>(), b2 = b2_queue.AllocTensor<bfloat16_t>();
  LoadData2DParams load;
  for (uint32_t i = 0; i < m / 16; ++i) {
    load.repeatTimes = k / 16;
    load.srcStride = s.transpose_a ? 1 : m / 16;
    load.ifTranspose = s.transpose_a;
    LoadData(a2[i * k * 16], a1[s.transpose_a ? i * k * 16 : i * 256], load);
  }
  for (uint32_t i = 0; i < k / 16; ++i) {
    load.repeatTimes = n / 16;
    load.srcStride = s.transpose_b ? 1 : k / 16;
    load.ifTranspose = !s.transpose_b;
    LoadData(b2[i * n * 16], b1[s.transpose_b ? i * n * 16 : i * 256], load);
  }
  a2_queue.EnQue(a2);
  b2_queue.EnQue(b2);
  a1_queue.FreeTensor(a1);
  b1_queue.FreeTensor(b1);
  a2 = a2_queue.DeQue<bfloat16_t>();
  b2 = b2_queue.DeQue<bfloat16_t>();

  LocalTensor<float> product = c_queue.AllocTensor<float>();
  MmadParams multiply;
  multiply.m = s.m;
  multiply.n = s.n;
  multiply.k = s.mine_k;
  Mmad(product, a2, b2, multiply);
  c_queue.EnQue(product);
  a2_queue.FreeTensor(a2);
  b2_queue.FreeTensor(b2);
  product = c_queue.DeQue<float>();
  SetAtomicAdd<float>();
  Fixpipe<float, float, CFG_ROW_MAJOR>(c, product, FixpipeParamsV220(s.n, s.m, m, s.n, false));
  SetAtomicNone();
  c_queue.FreeTensor(product);
}

}  // namespace

extern "C" __global__ __aicore__ void user_matmul(GM_ADDR a, GM_ADDR b, GM_ADDR c, GM_ADDR tiling) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIC_ONLY);
  if (g_coreType == AIC) {
    GlobalTensor<uint32_t> parameters;
    parameters.SetGlobalBuffer((__gm__ uint32_t*)tiling, 5);
    Shape s{parameters.GetValue(0),      parameters.GetValue(1),     parameters.GetValue(2), 0, 0,
            parameters.GetValue(3) != 0, parameters.GetValue(4) != 0};
    const uint32_t share = Up16(DivCeil(s.k, static_cast<uint32_t>(GetBlockNum())));
    s.first_k = share * GetBlockIdx();
    if (s.first_k >= s.k) return;
    s.mine_k = s.k - s.first_k < share ? s.k - s.first_k : share;
    Multiply(a, b, c, s);
  }
}
