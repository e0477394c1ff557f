// FlashAttentionScoreGrad for a graph: definition, shapes, types, tiling. dpse stays empty, as the vendor leaves it.
#include "graph_call.h"
#include "op_names.h"
#include "register/tilingdata_base.h"
#include "require.h"

#define NPU_FA_TEXT_OF(name) #name
#define NPU_FA_TEXT(name) NPU_FA_TEXT_OF(name)
#define NPU_FA_REGISTER_TILING(op, data) REGISTER_TILING_DATA_CLASS(op, data)
#define NPU_FA_ADD(op) OP_ADD(op)

namespace optiling {
BEGIN_TILING_DATA_DEF(NpuFaBackwardTilingData)
TILING_DATA_FIELD_DEF_ARR(int64_t, 2560, words);
END_TILING_DATA_DEF;
static_assert(npu_fa::graph::kTilingWords == 2560, "the macro's text is read by the toolkit, so it says a number");
NPU_FA_REGISTER_TILING(NPU_FA_BACKWARD_OP, NpuFaBackwardTilingData)
}  // namespace optiling

namespace npu_fa::graph {
namespace {

enum Input : size_t { kDy = 3, kSoftmaxMax = 8, kSoftmaxSum, kSoftmaxIn, kAttentionIn };
enum Output : size_t { kDq, kDk, kDv, kDpse };

ge::graphStatus Tile(gert::TilingContext* context) {
  return Guarded(NPU_FA_TEXT(NPU_FA_BACKWARD_OP), [&] {
    Arguments arguments = ArgumentsOf(*context, kBackwardInputs);
    arguments.entry = Entry::kBackward;
    arguments.dy = RequiredTensor(*context, kDy);
    arguments.softmax_max = OptionalTensor(*context, kSoftmaxMax);
    arguments.softmax_sum = OptionalTensor(*context, kSoftmaxSum);
    arguments.attention_in = OptionalTensor(*context, kAttentionIn);
    Require(arguments.softmax_max && arguments.softmax_sum && arguments.attention_in, Status::kTilingError,
            "softmax_max, softmax_sum, attention_in: expected what the forward gave, got none");
    Require(arguments.dropout_mask || arguments.keep_prob == 1.0, Status::kTilingError,
            "drop_mask: expected the forward's mask where keep_prob is ", arguments.keep_prob, ", got none");
    const bool deterministic = context->GetDeterministic() != 0;
    return Hand(*context, PlanBackward(BuildProblem(arguments), PlatformOf(*context), 0, deterministic));
  });
}

ge::graphStatus InferShape(gert::InferShapeContext* context) {
  for (const Output output : {kDq, kDk, kDv}) {
    const gert::Shape* const input = context->GetInputShape(output);
    gert::Shape* const gradient = context->GetOutputShape(output);
    if (input == nullptr || gradient == nullptr) return ge::GRAPH_FAILED;
    *gradient = *input;
  }
  gert::Shape* const dpse = context->GetOutputShape(kDpse);
  if (dpse == nullptr) return ge::GRAPH_FAILED;
  dpse->SetDimNum(0);
  dpse->AppendDim(0);
  return ge::GRAPH_SUCCESS;
}

ge::graphStatus InferDataType(gert::InferDataTypeContext* context) {
  for (const Output output : {kDq, kDk, kDv, kDpse}) context->SetOutputDataType(output, context->GetInputDataType(0));
  return ge::GRAPH_SUCCESS;
}

}  // namespace
}  // namespace npu_fa::graph

namespace ops {

class NPU_FA_BACKWARD_OP : public OpDef {
 public:
  explicit NPU_FA_BACKWARD_OP(const char* name) : OpDef(name) {
    using namespace npu_fa::graph;
    for (const char* input : {"query", "key", "value", "dy"})
      TensorLikeQuery(this->Input(input), REQUIRED).AutoContiguous();
    DefineOptionalInputs(*this, "pse_shift");
    for (const char* input : {"softmax_max", "softmax_sum"})
      TensorLikeQuery(this->Input(input), OPTIONAL)
          .DataType(std::vector<ge::DataType>(6, ge::DT_FLOAT))
          .AutoContiguous();
    for (const char* input : {"softmax_in", "attention_in"})
      TensorLikeQuery(this->Input(input), OPTIONAL).AutoContiguous();
    DefineLengths(*this);
    for (const char* output : {"dq", "dk", "dv", "dpse"}) TensorLikeQuery(this->Output(output), REQUIRED);
    DefineAttributes(*this);
    this->SetInferShape(InferShape).SetInferDataType(InferDataType);
    Configure(*this, Tile);
  }
};

NPU_FA_ADD(NPU_FA_BACKWARD_OP);

}  // namespace ops
