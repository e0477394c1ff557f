// A call as a graph holds it, and what the two operators of the package have in common.
//
// Inputs, outputs and attributes are those of the vendor's FlashAttentionScore and FlashAttentionScoreGrad, in their
// order, so that a graph made for one takes the other. Rope, sink and softmax_layout are not among them.
#pragma once

#include <cstdint>
#include <vector>

#include "arguments.h"
#include "launch.h"
#include "register/op_def_registry.h"

namespace npu_fa::graph {

// Where a call's tensors are among an operator's inputs.
struct InputIndices {
  size_t pse, drop_mask, atten_mask, prefix, q_ends, kv_ends, q_start, kv_start;
};
constexpr InputIndices kForwardInputs = {3, 4, 6, 7, 8, 9, 10, 11};
constexpr InputIndices kBackwardInputs = {4, 5, 7, 12, 13, 14, 15, 16};

// Where the attributes are, which are the same for both.
enum Attribute : size_t {
  kScale,
  kKeepProb,
  kPreTokens,
  kNextTokens,
  kHeadNum,
  kInputLayout,
  kInnerPrecise,
  kSparseMode,
  kPseType,
};

// What the tiling registers as its data: room for the blob of a call of up to kMaxSequences sequences.
constexpr int64_t kMaxSequences = 128;
constexpr int64_t kTilingWords = 2560;

ops::OpParamDef& TensorLikeQuery(ops::OpParamDef& parameter, ops::Option option);
void DefineOptionalInputs(ops::OpDef& op, const char* pse_name);
void DefineLengths(ops::OpDef& op);
void DefineAttributes(ops::OpDef& op);
void Configure(ops::OpDef& op, gert::OpImplRegisterV2::TilingKernelFunc tiling);

// The call, with what the host can read of it. Throws AttentionError.
Arguments ArgumentsOf(gert::TilingContext& context, const InputIndices& inputs);
TensorArgument RequiredTensor(gert::TilingContext& context, size_t index);
std::optional<TensorArgument> OptionalTensor(gert::TilingContext& context, size_t index);

Platform PlatformOf(gert::TilingContext& context);

// Writes blob, cores and work space.
ge::graphStatus Hand(gert::TilingContext& context, const LaunchPlan& plan);

// Runs `tiling` and says on stderr why a call was refused.
template <class TilingFunction>
ge::graphStatus Guarded(const char* op, TilingFunction tiling) {
  try {
    return tiling();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", op, error.what());
    return ge::GRAPH_FAILED;
  }
}

}  // namespace npu_fa::graph
