#include "graph_call.h"

#include <cstring>

#include "backward_tiling.h"
#include "require.h"
#include "tiling/platform/platform_ascendc.h"

namespace npu_fa::graph {
namespace {

static_assert(kTilingWords * 8 >=
                  kBlobSequences<BackwardTiling> + kMaxSequences * static_cast<int64_t>(sizeof(Sequence)),
              "the registered tiling data has no room for the blob");

// float16, bfloat16, float32, each with a mask of either type.
const std::vector<ge::DataType> kElements = {ge::DT_FLOAT16, ge::DT_BF16, ge::DT_FLOAT,
                                             ge::DT_FLOAT16, ge::DT_BF16, ge::DT_FLOAT};

std::vector<ge::DataType> Always(ge::DataType type) { return std::vector<ge::DataType>(kElements.size(), type); }
std::vector<ge::Format> PlainFormats() { return std::vector<ge::Format>(kElements.size(), ge::FORMAT_ND); }

ops::OpParamDef& Plain(ops::OpParamDef& parameter, ops::Option option, std::vector<ge::DataType> types) {
  return parameter.ParamType(option).DataType(types).Format(PlainFormats()).UnknownShapeFormat(PlainFormats());
}

const char* DTypeName(ge::DataType type) {
  switch (type) {
    case ge::DT_FLOAT16:
      return "float16";
    case ge::DT_BF16:
      return "bfloat16";
    case ge::DT_FLOAT:
      return "float32";
    case ge::DT_BOOL:
      return "bool";
    case ge::DT_UINT8:
      return "uint8";
    default:
      return "a type of no tensor of this operator";
  }
}

// Dense, as the framework hands tensors to a kernel.
TensorArgument Dense(const gert::Shape& shape, ge::DataType type) {
  TensorArgument tensor;
  tensor.dtype = DTypeName(type);
  for (size_t axis = 0; axis < shape.GetDimNum(); ++axis) tensor.sizes.push_back(shape.GetDim(axis));
  tensor.strides.assign(tensor.sizes.size(), 1);
  for (size_t axis = tensor.sizes.size(); axis-- > 1;)
    tensor.strides[axis - 1] = CheckedProduct("strides", {tensor.strides[axis], tensor.sizes[axis]});
  return tensor;
}

std::optional<std::vector<int64_t>> Values(gert::TilingContext& context, size_t index) {
  const gert::Tensor* const tensor = context.GetOptionalInputTensor(index);
  if (tensor == nullptr || tensor->GetShapeSize() <= 0) return std::nullopt;
  const int64_t* const values = tensor->GetData<int64_t>();
  Require(values != nullptr, Status::kTilingError, "input ", index, ": expected values that the host can read");
  return std::vector<int64_t>(values, values + tensor->GetShapeSize());
}

template <class T>
const T& Given(const T* value, const char* what) {
  Require(value != nullptr, Status::kTilingError, what, ": expected a value, got none");
  return *value;
}

}  // namespace

ops::OpParamDef& TensorLikeQuery(ops::OpParamDef& parameter, ops::Option option) {
  return Plain(parameter, option, kElements);
}

void DefineOptionalInputs(ops::OpDef& op, const char* pse_name) {
  TensorLikeQuery(op.Input(pse_name), ops::OPTIONAL).AutoContiguous();
  Plain(op.Input("drop_mask"), ops::OPTIONAL, Always(ge::DT_UINT8)).AutoContiguous();
  TensorLikeQuery(op.Input("padding_mask"), ops::OPTIONAL).AutoContiguous();
  Plain(op.Input("atten_mask"), ops::OPTIONAL,
        {ge::DT_BOOL, ge::DT_BOOL, ge::DT_BOOL, ge::DT_UINT8, ge::DT_UINT8, ge::DT_UINT8})
      .AutoContiguous();
}

void DefineLengths(ops::OpDef& op) {
  for (const char* name : {"prefix", "actual_seq_qlen", "actual_seq_kvlen", "q_start_idx", "kv_start_idx"})
    Plain(op.Input(name), ops::OPTIONAL, Always(ge::DT_INT64)).ValueDepend(ops::OPTIONAL);
}

void DefineAttributes(ops::OpDef& op) {
  op.Attr("scale_value").AttrType(ops::OPTIONAL).Float(1.0f);
  op.Attr("keep_prob").AttrType(ops::OPTIONAL).Float(1.0f);
  op.Attr("pre_tockens").AttrType(ops::OPTIONAL).Int(kUnboundedTokens);
  op.Attr("next_tockens").AttrType(ops::OPTIONAL).Int(kUnboundedTokens);
  op.Attr("head_num").AttrType(ops::REQUIRED).Int();
  op.Attr("input_layout").AttrType(ops::REQUIRED).String();
  op.Attr("inner_precise").AttrType(ops::OPTIONAL).Int(0);
  op.Attr("sparse_mode").AttrType(ops::OPTIONAL).Int(0);
  op.Attr("pse_type").AttrType(ops::OPTIONAL).Int(1);
}

void Configure(ops::OpDef& op, gert::OpImplRegisterV2::TilingKernelFunc tiling) {
  ops::OpAICoreConfig config;
  config.DynamicCompileStaticFlag(true)
      .DynamicFormatFlag(true)
      .DynamicRankSupportFlag(true)
      .DynamicShapeSupportFlag(true)
      .NeedCheckSupportFlag(false);
  op.AICore().SetTiling(tiling);
  op.AICore().AddConfig("ascend910b", config);
  op.AICore().AddConfig("ascend910_93", config);
}

TensorArgument RequiredTensor(gert::TilingContext& context, size_t index) {
  const gert::StorageShape* const shape = context.GetRequiredInputShape(index);
  const gert::CompileTimeTensorDesc* const desc = context.GetRequiredInputDesc(index);
  Require(shape != nullptr && desc != nullptr, Status::kParamNull, "input ", index, ": expected a tensor, got none");
  return Dense(shape->GetStorageShape(), desc->GetDataType());
}

std::optional<TensorArgument> OptionalTensor(gert::TilingContext& context, size_t index) {
  const gert::StorageShape* const shape = context.GetOptionalInputShape(index);
  const gert::CompileTimeTensorDesc* const desc = context.GetOptionalInputDesc(index);
  if (shape == nullptr || desc == nullptr || shape->GetStorageShape().GetShapeSize() == 0) return std::nullopt;
  return Dense(shape->GetStorageShape(), desc->GetDataType());
}

Arguments ArgumentsOf(gert::TilingContext& context, const InputIndices& inputs) {
  const gert::RuntimeAttrs& attributes = Given(context.GetAttrs(), "attributes");
  const auto integer = [&](Attribute index) { return Given(attributes.GetInt(index), "an integer attribute"); };
  Arguments a;
  a.query = RequiredTensor(context, 0);
  a.key = RequiredTensor(context, 1);
  a.value = RequiredTensor(context, 2);
  a.pse = OptionalTensor(context, inputs.pse);
  a.dropout_mask = OptionalTensor(context, inputs.drop_mask);
  a.atten_mask = OptionalTensor(context, inputs.atten_mask);
  a.prefix = Values(context, inputs.prefix);
  a.actual_seq_qlen = Values(context, inputs.q_ends);
  a.actual_seq_kvlen = Values(context, inputs.kv_ends);
  a.q_start_idx = Values(context, inputs.q_start);
  a.kv_start_idx = Values(context, inputs.kv_start);
  a.scale = Given(attributes.GetFloat(kScale), "scale_value");
  a.keep_prob = Given(attributes.GetFloat(kKeepProb), "keep_prob");
  a.pre_tokens = integer(kPreTokens);
  a.next_tokens = integer(kNextTokens);
  a.head_num = integer(kHeadNum);
  a.input_layout = &Given(attributes.GetStr(kInputLayout), "input_layout");
  a.sparse_mode = integer(kSparseMode);
  a.pse_type = integer(kPseType);
  return a;
}

Platform PlatformOf(gert::TilingContext& context) {
  const auto cores = platform_ascendc::PlatformAscendC(context.GetPlatformInfo()).GetCoreNumAic();
  return {"the chip", static_cast<int32_t>(cores)};
}

ge::graphStatus Hand(gert::TilingContext& context, const LaunchPlan& plan) {
  gert::TilingData* const data = context.GetRawTilingData();
  size_t* const workspace = context.GetWorkspaceSizes(1);
  Require(data != nullptr && workspace != nullptr, Status::kTilingError, "tiling: the framework gave nothing to write");
  Require(plan.blob.size() <= data->GetCapacity(), Status::kTilingError, "actual_seq_qlen: expected at most ",
          kMaxSequences, " sequences in a graph");
  std::memcpy(data->GetData(), plan.blob.data(), plan.blob.size());
  data->SetDataSize(plan.blob.size());
  // The framework keeps the first bytes for itself; the kernel asks for what is behind them.
  const auto own = platform_ascendc::PlatformAscendC(context.GetPlatformInfo()).GetLibApiWorkSpaceSize();
  *workspace = static_cast<size_t>(own + BlobOffset(plan));
  context.SetTilingKey(0);
  context.SetScheduleMode(1);  // all cores at once: the kernels wait for one another
  return context.SetBlockDim(static_cast<uint32_t>(plan.cores));
}

}  // namespace npu_fa::graph
