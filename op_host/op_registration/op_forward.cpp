// FlashAttentionScore for a graph: definition, shapes, types, tiling.
#include "graph_call.h"
#include "op_names.h"
#include "output_shapes.h"
#include "register/tilingdata_base.h"

#define NPU_FA_TEXT_OF(name) #name
#define NPU_FA_TEXT(name) NPU_FA_TEXT_OF(name)
#define NPU_FA_REGISTER_TILING(op, data) REGISTER_TILING_DATA_CLASS(op, data)
#define NPU_FA_ADD(op) OP_ADD(op)

namespace optiling {
BEGIN_TILING_DATA_DEF(NpuFaForwardTilingData)
TILING_DATA_FIELD_DEF_ARR(int64_t, 2560, words);
END_TILING_DATA_DEF;
static_assert(npu_fa::graph::kTilingWords == 2560, "the macro's text is read by the toolkit, so it says a number");
NPU_FA_REGISTER_TILING(NPU_FA_FORWARD_OP, NpuFaForwardTilingData)
}  // namespace optiling

namespace npu_fa::graph {
namespace {

enum Output : size_t { kSoftmaxMax, kSoftmaxSum, kSoftmaxOut, kAttentionOut };

ge::graphStatus Tile(gert::TilingContext* context) {
  return Guarded(NPU_FA_TEXT(NPU_FA_FORWARD_OP), [&] {
    Arguments arguments = ArgumentsOf(*context, kForwardInputs);
    if (!arguments.dropout_mask) arguments.keep_prob = 1.0;  // the operator drops by a mask only
    return Hand(*context, PlanForward(BuildProblem(arguments), PlatformOf(*context)));
  });
}

std::vector<int64_t> Sizes(const gert::Shape& shape) {
  std::vector<int64_t> sizes;
  for (size_t axis = 0; axis < shape.GetDimNum(); ++axis) sizes.push_back(shape.GetDim(axis));
  return sizes;
}

void Set(gert::Shape* shape, const std::vector<int64_t>& sizes) {
  shape->SetDimNum(0);
  for (const int64_t size : sizes) shape->AppendDim(size);
}

ge::graphStatus InferShape(gert::InferShapeContext* context) {
  constexpr int64_t kUnknownRank = -2;
  const gert::RuntimeAttrs* const attributes = context->GetAttrs();
  const gert::Shape* inputs[3];
  gert::Shape* outputs[4];
  for (size_t i = 0; i < 3; ++i)
    if ((inputs[i] = context->GetInputShape(i)) == nullptr) return ge::GRAPH_FAILED;
  for (size_t i = 0; i < 4; ++i)
    if ((outputs[i] = context->GetOutputShape(i)) == nullptr) return ge::GRAPH_FAILED;
  if (attributes == nullptr || attributes->GetInt(kHeadNum) == nullptr || attributes->GetStr(kInputLayout) == nullptr)
    return ge::GRAPH_FAILED;
  Set(outputs[kSoftmaxOut], {0});
  for (const gert::Shape* input : inputs) {
    if (input->GetDimNum() != 1 || input->GetDim(0) != kUnknownRank) continue;
    for (const Output output : {kSoftmaxMax, kSoftmaxSum, kAttentionOut}) Set(outputs[output], {kUnknownRank});
    return ge::GRAPH_SUCCESS;
  }
  const OutputShapes shapes = ForwardShapes(attributes->GetStr(kInputLayout), *attributes->GetInt(kHeadNum),
                                            Sizes(*inputs[0]), Sizes(*inputs[1]), Sizes(*inputs[2]));
  if (shapes.out.empty()) return ge::GRAPH_FAILED;
  Set(outputs[kAttentionOut], shapes.out);
  Set(outputs[kSoftmaxMax], shapes.statistics);
  Set(outputs[kSoftmaxSum], shapes.statistics);
  return ge::GRAPH_SUCCESS;
}

ge::graphStatus InferDataType(gert::InferDataTypeContext* context) {
  context->SetOutputDataType(kSoftmaxMax, ge::DT_FLOAT);
  context->SetOutputDataType(kSoftmaxSum, ge::DT_FLOAT);
  context->SetOutputDataType(kSoftmaxOut, context->GetInputDataType(0));
  return context->SetOutputDataType(kAttentionOut, context->GetInputDataType(0));
}

}  // namespace
}  // namespace npu_fa::graph

namespace ops {

class NPU_FA_FORWARD_OP : public OpDef {
 public:
  explicit NPU_FA_FORWARD_OP(const char* name) : OpDef(name) {
    using namespace npu_fa::graph;
    for (const char* input : {"query", "key", "value"}) TensorLikeQuery(this->Input(input), REQUIRED).AutoContiguous();
    DefineOptionalInputs(*this, "real_shift");
    DefineLengths(*this);
    TensorLikeQuery(this->Output("softmax_max"), REQUIRED).DataType(std::vector<ge::DataType>(6, ge::DT_FLOAT));
    TensorLikeQuery(this->Output("softmax_sum"), REQUIRED).DataType(std::vector<ge::DataType>(6, ge::DT_FLOAT));
    TensorLikeQuery(this->Output("softmax_out"), REQUIRED);
    TensorLikeQuery(this->Output("attention_out"), REQUIRED);
    DefineAttributes(*this);
    this->SetInferShape(InferShape).SetInferDataType(InferDataType);
    Configure(*this, Tile);
  }
};

NPU_FA_ADD(NPU_FA_FORWARD_OP);

}  // namespace ops
