// aclnnFlashAttentionScore and its versions: each puts its parameters into a Call.
#include "aclnnop/aclnn_flash_attention_score.h"

#include "phases.h"

namespace npu_fa::aclnn {
namespace {

struct Inputs {
  const aclTensor *query, *key, *value;
};
struct Modifiers {
  const aclTensor *pse, *drop_mask, *padding_mask, *atten_mask;
};
struct Outputs {
  const aclTensor *softmax_max, *softmax_sum, *softmax, *attention;
};

Call Forward(const char* function, const Inputs& in, const Modifiers& modifiers, const Attributes& attributes,
             const Outputs& out) {
  Call call = {function, false, false, attributes};
  call.tensors[kQuery] = in.query;
  call.tensors[kKey] = in.key;
  call.tensors[kValue] = in.value;
  call.tensors[kPse] = modifiers.pse;
  call.tensors[kDropMask] = modifiers.drop_mask;
  call.tensors[kPaddingMask] = modifiers.padding_mask;
  call.tensors[kAttenMask] = modifiers.atten_mask;
  call.tensors[kSoftmaxMaxOut] = out.softmax_max;
  call.tensors[kSoftmaxSumOut] = out.softmax_sum;
  call.tensors[kSoftmaxOutOut] = out.softmax;
  call.tensors[kAttentionOut] = out.attention;
  return call;
}

Call VarLen(const char* function, const Inputs& in, const Modifiers& modifiers, const Attributes& attributes,
            const Outputs& out) {
  Call call = Forward(function, in, modifiers, attributes, out);
  call.varlen = true;
  return call;
}

}  // namespace
}  // namespace npu_fa::aclnn

using namespace npu_fa::aclnn;

aclnnStatus aclnnFlashAttentionScoreGetWorkspaceSize(
    const aclTensor* query, const aclTensor* key, const aclTensor* value, const aclTensor* realShiftOptional,
    const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional,
    const aclIntArray* prefixOptional, double scaleValueOptional, double keepProbOptional, int64_t preTokensOptional,
    int64_t nextTokensOptional, int64_t headNum, char* inputLayout, int64_t innerPreciseOptional,
    int64_t sparseModeOptional, const aclTensor* softmaxMaxOut, const aclTensor* softmaxSumOut,
    const aclTensor* softmaxOutOut, const aclTensor* attentionOutOut, uint64_t* workspaceSize,
    aclOpExecutor** executor) {
  Call call = Forward("aclnnFlashAttentionScore", {query, key, value},
                      {realShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                      {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                       inputLayout, innerPreciseOptional, sparseModeOptional},
                      {softmaxMaxOut, softmaxSumOut, softmaxOutOut, attentionOutOut});
  call.lists = {prefixOptional};
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionScore(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                     const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionScore", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionScoreV2GetWorkspaceSize(
    const aclTensor* query, const aclTensor* key, const aclTensor* value, const aclTensor* realShiftOptional,
    const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional,
    const aclIntArray* prefixOptional, const aclIntArray* qStartIdxOptional, const aclIntArray* kvStartIdxOptional,
    double scaleValueOptional, double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional,
    int64_t headNum, char* inputLayout, int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType,
    const aclTensor* softmaxMaxOut, const aclTensor* softmaxSumOut, const aclTensor* softmaxOutOut,
    const aclTensor* attentionOutOut, uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = Forward("aclnnFlashAttentionScoreV2", {query, key, value},
                      {realShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                      {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                       inputLayout, innerPreciseOptional, sparseModeOptional},
                      {softmaxMaxOut, softmaxSumOut, softmaxOutOut, attentionOutOut});
  call.lists = {prefixOptional, nullptr, nullptr, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionScoreV2(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                       const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionScoreV2", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionScoreV3GetWorkspaceSize(
    const aclTensor* query, const aclTensor* key, const aclTensor* value, const aclTensor* realShiftOptional,
    const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional,
    const aclTensor* sinkOptional, const aclIntArray* prefixOptional, const aclIntArray* qStartIdxOptional,
    const aclIntArray* kvStartIdxOptional, double scaleValueOptional, double keepProbOptional,
    int64_t preTokensOptional, int64_t nextTokensOptional, int64_t headNum, char* inputLayout,
    int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType, const aclTensor* softmaxMaxOut,
    const aclTensor* softmaxSumOut, const aclTensor* softmaxOutOut, const aclTensor* attentionOutOut,
    uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = Forward("aclnnFlashAttentionScoreV3", {query, key, value},
                      {realShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                      {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum,
                       inputLayout, innerPreciseOptional, sparseModeOptional},
                      {softmaxMaxOut, softmaxSumOut, softmaxOutOut, attentionOutOut});
  call.lists = {prefixOptional, nullptr, nullptr, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  call.has_sink = true;
  call.tensors[kSink] = sinkOptional;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionScoreV3(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                       const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionScoreV3", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionVarLenScoreGetWorkspaceSize(
    const aclTensor* query, const aclTensor* key, const aclTensor* value, const aclTensor* realShiftOptional,
    const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional,
    const aclIntArray* prefixOptional, const aclIntArray* actualSeqQLen, const aclIntArray* actualSeqKvLen,
    double scaleValueOptional, double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional,
    int64_t headNum, char* inputLayout, int64_t innerPreciseOptional, int64_t sparseModeOptional,
    const aclTensor* softmaxMaxOut, const aclTensor* softmaxSumOut, const aclTensor* softmaxOutOut,
    const aclTensor* attentionOutOut, uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = VarLen("aclnnFlashAttentionVarLenScore", {query, key, value},
                     {realShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                     {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum, inputLayout,
                      innerPreciseOptional, sparseModeOptional},
                     {softmaxMaxOut, softmaxSumOut, softmaxOutOut, attentionOutOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen};
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionVarLenScore(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                           const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionVarLenScore", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionVarLenScoreV2GetWorkspaceSize(
    const aclTensor* query, const aclTensor* key, const aclTensor* value, const aclTensor* realShiftOptional,
    const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional,
    const aclIntArray* prefixOptional, const aclIntArray* actualSeqQLen, const aclIntArray* actualSeqKvLen,
    const aclIntArray* qStartIdxOptional, const aclIntArray* kvStartIdxOptional, double scaleValueOptional,
    double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional, int64_t headNum, char* inputLayout,
    int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType, const aclTensor* softmaxMaxOut,
    const aclTensor* softmaxSumOut, const aclTensor* softmaxOutOut, const aclTensor* attentionOutOut,
    uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = VarLen("aclnnFlashAttentionVarLenScoreV2", {query, key, value},
                     {realShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                     {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum, inputLayout,
                      innerPreciseOptional, sparseModeOptional},
                     {softmaxMaxOut, softmaxSumOut, softmaxOutOut, attentionOutOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionVarLenScoreV2(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                             const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionVarLenScoreV2", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionVarLenScoreV3GetWorkspaceSize(
    const aclTensor* query, const aclTensor* queryRopeOptional, const aclTensor* key, const aclTensor* keyRopeOptional,
    const aclTensor* value, const aclTensor* realShiftOptional, const aclTensor* dropMaskOptional,
    const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional, const aclIntArray* prefixOptional,
    const aclIntArray* actualSeqQLen, const aclIntArray* actualSeqKvLen, const aclIntArray* qStartIdxOptional,
    const aclIntArray* kvStartIdxOptional, double scaleValueOptional, double keepProbOptional,
    int64_t preTokensOptional, int64_t nextTokensOptional, int64_t headNum, char* inputLayout,
    int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType, const aclTensor* softmaxMaxOut,
    const aclTensor* softmaxSumOut, const aclTensor* softmaxOutOut, const aclTensor* attentionOutOut,
    uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = VarLen("aclnnFlashAttentionVarLenScoreV3", {query, key, value},
                     {realShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                     {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum, inputLayout,
                      innerPreciseOptional, sparseModeOptional},
                     {softmaxMaxOut, softmaxSumOut, softmaxOutOut, attentionOutOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  call.has_rope = true;
  call.tensors[kQueryRope] = queryRopeOptional;
  call.tensors[kKeyRope] = keyRopeOptional;
  call.rope_required = true;
  call.rope_faults_are_null_faults = true;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionVarLenScoreV3(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                             const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionVarLenScoreV3", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionVarLenScoreV4GetWorkspaceSize(
    const aclTensor* query, const aclTensor* key, const aclTensor* value, const aclTensor* realShiftOptional,
    const aclTensor* dropMaskOptional, const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional,
    const aclIntArray* prefixOptional, const aclIntArray* actualSeqQLen, const aclIntArray* actualSeqKvLen,
    double scaleValueOptional, double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional,
    int64_t headNum, char* inputLayout, int64_t innerPreciseOptional, int64_t sparseModeOptional,
    char* softmaxOutLayout, const aclTensor* softmaxMaxOut, const aclTensor* softmaxSumOut,
    const aclTensor* softmaxOutOut, const aclTensor* attentionOutOut, uint64_t* workspaceSize,
    aclOpExecutor** executor) {
  Call call = VarLen("aclnnFlashAttentionVarLenScoreV4", {query, key, value},
                     {realShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                     {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum, inputLayout,
                      innerPreciseOptional, sparseModeOptional},
                     {softmaxMaxOut, softmaxSumOut, softmaxOutOut, attentionOutOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen};
  call.softmax_layout = softmaxOutLayout;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionVarLenScoreV4(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                             const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionVarLenScoreV4", workspace, workspaceSize, executor, stream);
}

aclnnStatus aclnnFlashAttentionVarLenScoreV5GetWorkspaceSize(
    const aclTensor* query, const aclTensor* queryRopeOptional, const aclTensor* key, const aclTensor* keyRopeOptional,
    const aclTensor* value, const aclTensor* realShiftOptional, const aclTensor* dropMaskOptional,
    const aclTensor* paddingMaskOptional, const aclTensor* attenMaskOptional, const aclTensor* sinkOptional,
    const aclIntArray* prefixOptional, const aclIntArray* actualSeqQLen, const aclIntArray* actualSeqKvLen,
    const aclIntArray* qStartIdxOptional, const aclIntArray* kvStartIdxOptional, double scaleValueOptional,
    double keepProbOptional, int64_t preTokensOptional, int64_t nextTokensOptional, int64_t headNum, char* inputLayout,
    int64_t innerPreciseOptional, int64_t sparseModeOptional, int64_t pseType, char* softmaxOutLayout,
    const aclTensor* softmaxMaxOut, const aclTensor* softmaxSumOut, const aclTensor* softmaxOutOut,
    const aclTensor* attentionOutOut, uint64_t* workspaceSize, aclOpExecutor** executor) {
  Call call = VarLen("aclnnFlashAttentionVarLenScoreV5", {query, key, value},
                     {realShiftOptional, dropMaskOptional, paddingMaskOptional, attenMaskOptional},
                     {scaleValueOptional, keepProbOptional, preTokensOptional, nextTokensOptional, headNum, inputLayout,
                      innerPreciseOptional, sparseModeOptional},
                     {softmaxMaxOut, softmaxSumOut, softmaxOutOut, attentionOutOut});
  call.lists = {prefixOptional, actualSeqQLen, actualSeqKvLen, qStartIdxOptional, kvStartIdxOptional};
  call.pse_type = pseType;
  call.has_sink = true;
  call.tensors[kSink] = sinkOptional;
  call.has_rope = true;
  call.tensors[kQueryRope] = queryRopeOptional;
  call.tensors[kKeyRope] = keyRopeOptional;
  call.softmax_layout = softmaxOutLayout;
  return FirstPhase(call, workspaceSize, executor);
}

aclnnStatus aclnnFlashAttentionVarLenScoreV5(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor,
                                             const aclrtStream stream) {
  return SecondPhase("aclnnFlashAttentionVarLenScoreV5", workspace, workspaceSize, executor, stream);
}
