// FlashAttentionScore: one cube core leads two vector cores.
#include "forward.h"

namespace {

template <class P>
FA_INLINE void Forward(const npu_fa::Arguments& arguments, const npu_fa::ForwardTensors& gm) {
  AscendC::TPipe pipe;
  if ASCEND_IS_AIC {
    npu_fa::ForwardCube<P> cube;
    cube.Run(&pipe, arguments, gm, AscendC::GetBlockIdx());
  }
  if ASCEND_IS_AIV {
    npu_fa::ForwardVector<P> vector;
    vector.Run(&pipe, arguments, gm, AscendC::GetBlockIdx() / AscendC::GetSubBlockNum(), AscendC::GetSubBlockIdx());
  }
}

}  // namespace

extern "C" __global__ __aicore__ void flash_attention_score(GM_ADDR query, GM_ADDR key, GM_ADDR value,
                                                            GM_ADDR query_rope, GM_ADDR key_rope, GM_ADDR bias,
                                                            GM_ADDR mask, GM_ADDR drop_bits, GM_ADDR sink, GM_ADDR out,
                                                            GM_ADDR softmax_max, GM_ADDR softmax_sum, GM_ADDR workspace,
                                                            GM_ADDR blob) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIC_1_2);
  npu_fa::Arguments arguments;
  arguments.Read(blob);
  const npu_fa::ForwardTensors gm = {query,     key,  value, query_rope,  key_rope,    bias,     mask,
                                     drop_bits, sink, out,   softmax_max, softmax_sum, workspace};
  switch (arguments.tiling.policy) {
#define FA_CASE(id, type, modified) \
  case id:                          \
    return Forward<npu_fa::Policy<type, modified>>(arguments, gm);
    FA_FORWARD_POLICIES(FA_CASE)
#undef FA_CASE
  }
}
