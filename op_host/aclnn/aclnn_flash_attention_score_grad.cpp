// aclnnFlashAttentionScoreGrad and its versions: each puts its parameters into a Call.
#include "aclnnop/aclnn_flash_attention_score_grad.h"

#include "phases.h"

namespace npu_fa::aclnn {
namespace {

struct Inputs {
  const aclTensor *query, *key, *value, *dy;
};
struct Modifiers {
  const aclTensor *pse, *drop_mask, *padding_mask, *atten_mask;
};
struct Saved {
  const aclTensor *softmax_max, *softmax_sum, *softmax, *attention;
};
struct Outputs {
  const aclTensor *dq, *dk, *dv, *dpse;
};

Call Backward(const char* function, const Inputs& in, const Modifiers& modifiers, const Saved& saved,
              const Attributes& attributes, const Outputs& out) {
  Call call = {function, true, false, attributes};
  call.tensors[kQuery] = in.query;
  call.tensors[kKey] = in.key;
  call.tensors[kValue] = in.value;
  call.tensors[kDy] = in.dy;
  call.tensors[kPse] = modifiers.pse;
  call.tensors[kDropMask] = modifiers.drop_mask;
  call.tensors[kPaddingMask] = modifiers.padding_mask;
  call.tensors[kAttenMask] = modifiers.atten_mask;
  call.tensors[kSoftmaxMax] = saved.softmax_max;
  call.tensors[kSoftmaxSum] = saved.softmax_sum;
  call.tensors[kSoftmaxIn] = saved.softmax;
  call.tensors[kAttentionIn] = saved.attention;
  call.tensors[kDq] = out.dq;
  call.tensors[kDk] = out.dk;
  call.tensors[kDv] = out.dv;
  call.tensors[kDpse] = out.dpse;
  return call;
}

Call Unpadding(const char* function, const Inputs& in, const Modifiers& modifiers, const Saved& saved,
               const Attributes& attributes, const Outputs& out) {
  Call call = Backward(function, in, modifiers, saved, attributes, out);
  call.varlen = true;
  return call;
}

}  // namespace
}  // namespace npu_fa::aclnn

using namespace npu_fa::aclnn;

aclnnStatus aclnnFlashAttentionScoreGradGetWorkspaceSize(
    const aclTensor* query, const aclTensor* keyIn, const aclTensor* value, const aclTensor* dy,
    const aclTensor* pseShiftOptional, const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional,
    const aclTensor* attenMaskOptional, const aclTensor* softmaxMaxOptional, const aclTensor* softmaxSumOptional,
    const aclTensor* softmaxInOptional, const aclTensor* attentionInOptional, const aclIntArray* prefixOptional,
    double scaleValueOptional, double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional,
    int64_t headNum, char* inputLayout, int64_t innerPreciseOptional, int64_t sparseModeOptional,
    const aclTensor* dqOut, const aclTensor* dkOut, const aclTensor* dvOut, const aclTensor* dpseOut,
    uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = Backward("aclnnFlashAttentionScoreGrad", {query, keyIn, value, dy},
                       {pseShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                       {softmaxMaxOptional, softmaxSumOptional, softmaxInOptional, attentionInOptional},
                       {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                        inputLayout, innerPreciseOptional, sparseModeOptional},
                       {dqOut, dkOut, dvOut, dpseOut});
  call.lists = {prefixOptional};
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionScoreGrad(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                         const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionScoreGrad", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionScoreGradV2GetWorkspaceSize(
    const aclTensor* query, const aclTensor* keyIn, const aclTensor* value, const aclTensor* dy,
    const aclTensor* pseShiftOptional, const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional,
    const aclTensor* attenMaskOptional, const aclTensor* softmaxMaxOptional, const aclTensor* softmaxSumOptional,
    const aclTensor* softmaxInOptional, const aclTensor* attentionInOptional, const aclIntArray* prefixOptional,
    const aclIntArray* qStartIdxOptional, const aclIntArray* kvStartIdxOptional, double scaleValueOptional,
    double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional, int64_t headNum, char* inputLayout,
    int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType, const aclTensor* dqOut,
    const aclTensor* dkOut, const aclTensor* dvOut, const aclTensor* dpseOut, uint64_t* workspaceSize,
    aclOpExecutor** executor) {
  Call call = Backward("aclnnFlashAttentionScoreGradV2", {query, keyIn, value, dy},
                       {pseShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                       {softmaxMaxOptional, softmaxSumOptional, softmaxInOptional, attentionInOptional},
                       {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                        inputLayout, innerPreciseOptional, sparseModeOptional},
                       {dqOut, dkOut, dvOut, dpseOut});
  call.lists = {prefixOptional, nullptr, nullptr, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionScoreGradV2(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                           const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionScoreGradV2", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionScoreGradV3GetWorkspaceSize(
    const aclTensor* query, const aclTensor* keyIn, const aclTensor* value, const aclTensor* dy,
    const aclTensor* pseShiftOptional, const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional,
    const aclTensor* attenMaskOptional, const aclTensor* softmaxMaxOptional, const aclTensor* softmaxSumOptional,
    const aclTensor* softmaxInOptional, const aclTensor* attentionInOptional, const aclTensor* sinkInOptional,
    const aclIntArray* prefixOptional, const aclIntArray* qStartIdxOptional, const aclIntArray* kvStartIdxOptional,
    double scaleValueOptional, double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional,
    int64_t headNum, char* inputLayout, int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType,
    const aclTensor* dqOut, const aclTensor* dkOut, const aclTensor* dvOut, const aclTensor* dpseOut,
    const aclTensor* dsinkOut, uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = Backward("aclnnFlashAttentionScoreGradV3", {query, keyIn, value, dy},
                       {pseShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                       {softmaxMaxOptional, softmaxSumOptional, softmaxInOptional, attentionInOptional},
                       {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                        inputLayout, innerPreciseOptional, sparseModeOptional},
                       {dqOut, dkOut, dvOut, dpseOut});
  call.lists = {prefixOptional, nullptr, nullptr, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  call.has_sink = true;
  call.tensors[kSink] = sinkInOptional;
  call.tensors[kDsink] = dsinkOut;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionScoreGradV3(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                           const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionScoreGradV3", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGradGetWorkspaceSize(
    const aclTensor* query, const aclTensor* keyIn, const aclTensor* value, const aclTensor* dy,
    const aclTensor* pseShiftOptional, const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional,
    const aclTensor* attenMaskOptional, const aclTensor* softmaxMaxOptional, const aclTensor* softmaxSumOptional,
    const aclTensor* softmaxInOptional, const aclTensor* attentionInOptional, const aclIntArray* prefixOptional,
    const aclIntArray* actualSeqQLen, const aclIntArray* actualSeqKvLen, double scaleValueOptional,
    double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional, int64_t headNum, char* inputLayout,
    int64_t innerPreciseOptional, int64_t sparseModeOptional, const aclTensor* dqOut, const aclTensor* dkOut,
    const aclTensor* dvOut, const aclTensor* dpseOut, uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = Unpadding("aclnnFlashAttentionUnpaddingScoreGrad", {query, keyIn, value, dy},
                        {pseShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                        {softmaxMaxOptional, softmaxSumOptional, softmaxInOptional, attentionInOptional},
                        {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                         inputLayout, innerPreciseOptional, sparseModeOptional},
                        {dqOut, dkOut, dvOut, dpseOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen};
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGrad(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                                  const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionUnpaddingScoreGrad", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGradV2GetWorkspaceSize(
    const aclTensor* query, const aclTensor* keyIn, const aclTensor* value, const aclTensor* dy,
    const aclTensor* pseShiftOptional, const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional,
    const aclTensor* attenMaskOptional, const aclTensor* softmaxMaxOptional, const aclTensor* softmaxSumOptional,
    const aclTensor* softmaxInOptional, const aclTensor* attentionInOptional, const aclIntArray* prefixOptional,
    const aclIntArray* actualSeqQLen, const aclIntArray* actualSeqKvLen, const aclIntArray* qStartIdxOptional,
    const aclIntArray* kvStartIdxOptional, double scaleValueOptional, double keepProbOptional,
    int64_t preTokensOptional, int64_t nextTokensOptional, int64_t headNum, char* inputLayout,
    int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType, const aclTensor* dqOut,
    const aclTensor* dkOut, const aclTensor* dvOut, const aclTensor* dpseOut, uint64_t* workspaceSize,
    aclOpExecutor** executor) {
  Call call = Unpadding("aclnnFlashAttentionUnpaddingScoreGradV2", {query, keyIn, value, dy},
                        {pseShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                        {softmaxMaxOptional, softmaxSumOptional, softmaxInOptional, attentionInOptional},
                        {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                         inputLayout, innerPreciseOptional, sparseModeOptional},
                        {dqOut, dkOut, dvOut, dpseOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGradV2(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                                    const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionUnpaddingScoreGradV2", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGradV3GetWorkspaceSize(
    const aclTensor* query, const aclTensor* queryRopeOptional, const aclTensor* keyIn,
    const aclTensor* keyInRopeOptional, const aclTensor* value, const aclTensor* dy, const aclTensor* pseShiftOptional,
    const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional,
    const aclTensor* softmaxMaxOptional, const aclTensor* softmaxSumOptional, const aclTensor* softmaxInOptional,
    const aclTensor* attentionInOptional, const aclIntArray* prefixOptional, const aclIntArray* actualSeqQLen,
    const aclIntArray* actualSeqKvLen, const aclIntArray* qStartIdxOptional, const aclIntArray* kvStartIdxOptional,
    double scaleValueOptional, double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional,
    int64_t headNum, char* inputLayout, int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType,
    const aclTensor* dqOut, const aclTensor* dqRopeOut, const aclTensor* dkOut, const aclTensor* dkRopeOut,
    const aclTensor* dvOut, const aclTensor* dpseOut, uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = Unpadding("aclnnFlashAttentionUnpaddingScoreGradV3", {query, keyIn, value, dy},
                        {pseShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                        {softmaxMaxOptional, softmaxSumOptional, softmaxInOptional, attentionInOptional},
                        {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                         inputLayout, innerPreciseOptional, sparseModeOptional},
                        {dqOut, dkOut, dvOut, dpseOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  call.has_rope = true;
  call.tensors[kQueryRope] = queryRopeOptional;
  call.tensors[kKeyRope] = keyInRopeOptional;
  call.tensors[kDqRope] = dqRopeOut;
  call.tensors[kDkRope] = dkRopeOut;
  call.rope_required = true;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGradV3(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                                    const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionUnpaddingScoreGradV3", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGradV4GetWorkspaceSize(
    const aclTensor* query, const aclTensor* keyIn, const aclTensor* value, const aclTensor* dy,
    const aclTensor* pseShiftOptional, const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional,
    const aclTensor* attenMaskOptional, const aclTensor* softmaxMaxOptional, const aclTensor* softmaxSumOptional,
    const aclTensor* softmaxInOptional, const aclTensor* attentionInOptional, const aclIntArray* prefixOptional,
    const aclIntArray* actualSeqQLen, const aclIntArray* actualSeqKvLen, double scaleValueOptional,
    double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional, int64_t headNum, char* inputLayout,
    int64_t innerPreciseOptional, int64_t sparseModeOptional, const aclTensor* dqOut, const aclTensor* dkOut,
    const aclTensor* dvOut, const aclTensor* dpseOut, char* softmaxInLayout, uint64_t* workspaceSize,
    aclOpExecutor** executor) {
  Call call = Unpadding("aclnnFlashAttentionUnpaddingScoreGradV4", {query, keyIn, value, dy},
                        {pseShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                        {softmaxMaxOptional, softmaxSumOptional, softmaxInOptional, attentionInOptional},
                        {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                         inputLayout, innerPreciseOptional, sparseModeOptional},
                        {dqOut, dkOut, dvOut, dpseOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen};
  call.softmax_layout = softmaxInLayout;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGradV4(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                                    const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionUnpaddingScoreGradV4", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGradV5GetWorkspaceSize(
    const aclTensor* query, const aclTensor* queryRopeOptional, const aclTensor* keyIn,
    const aclTensor* keyInRopeOptional, const aclTensor* value, const aclTensor* dy, const aclTensor* pseShiftOptional,
    const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional,
    const aclTensor* softmaxMaxOptional, const aclTensor* softmaxSumOptional, const aclTensor* softmaxInOptional,
    const aclTensor* attentionInOptional, const aclTensor* sinkInOptional, const aclIntArray* prefixOptional,
    const aclIntArray* actualSeqQLen, const aclIntArray* actualSeqKvLen, const aclIntArray* qStartIdxOptional,
    const aclIntArray* kvStartIdxOptional, double scaleValueOptional, double keepProbOptional,
    int64_t preTokensOptional, int64_t nextTokensOptional, int64_t headNum, char* inputLayout,
    int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType, char* softmaxInLayout,
    const aclTensor* dqOut, const aclTensor* dqRopeOut, const aclTensor* dkOut, const aclTensor* dkRopeOut,
    const aclTensor* dvOut, const aclTensor* dpseOut, const aclTensor* dsinkOut, uint64_t* workspaceSize,
    aclOpExecutor** executor) {
  Call call = Unpadding("aclnnFlashAttentionUnpaddingScoreGradV5", {query, keyIn, value, dy},
                        {pseShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                        {softmaxMaxOptional, softmaxSumOptional, softmaxInOptional, attentionInOptional},
                        {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                         inputLayout, innerPreciseOptional, sparseModeOptional},
                        {dqOut, dkOut, dvOut, dpseOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  call.has_sink = true;
  call.tensors[kSink] = sinkInOptional;
  call.tensors[kDsink] = dsinkOut;
  call.has_rope = true;
  call.tensors[kQueryRope] = queryRopeOptional;
  call.tensors[kKeyRope] = keyInRopeOptional;
  call.tensors[kDqRope] = dqRopeOut;
  call.tensors[kDkRope] = dkRopeOut;
  call.softmax_layout = softmaxInLayout;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionUnpaddingScoreGradV5(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                                    const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionUnpaddingScoreGradV5", workspace, workspaceSize, executor, stream);
}
