// FlashAttentionScoreGrad: one cube core leads two vector cores.
#include "backward.h"

extern "C" __global__ __aicore__ void flash_attention_score_grad(
    GM_ADDR query, GM_ADDR key, GM_ADDR value, GM_ADDR dy, GM_ADDR query_rope, GM_ADDR key_rope, GM_ADDR bias,
    GM_ADDR mask, GM_ADDR drop_bits, GM_ADDR sink, GM_ADDR softmax_max, GM_ADDR softmax_sum, GM_ADDR attention_in,
    GM_ADDR dq, GM_ADDR dk, GM_ADDR dv, GM_ADDR dq_rope, GM_ADDR dk_rope, GM_ADDR dbias, GM_ADDR dsink,
    GM_ADDR workspace, GM_ADDR blob) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIC_1_2);
  const npu_fa::InputTensors inputs = {query, key, value, query_rope, key_rope, bias, mask, drop_bits, sink};
  npu_fa::RunBackward(
      {inputs, dy, softmax_max, softmax_sum, attention_in, dq, dk, dv, dq_rope, dk_rope, dbias, dsink, workspace},
      blob);
}
