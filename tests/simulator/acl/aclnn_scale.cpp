#include "aclnn_scale.h"

#include <algorithm>
#include <exception>

#include "acl/operator_layer.h"
#include "aclnn/opdev/op_errno.h"
#include "kernel_operator.h"
#include "machine/launch.h"

namespace {

using namespace AscendC;

constexpr int32_t kRepeat = 64;
constexpr int32_t kBlocks = 2;

// Block b takes every kBlocks-th piece of 64. The product goes through the workspace, so that a wrong one shows.
void Scale(GM_ADDR x, GM_ADDR y, GM_ADDR workspace, int32_t pieces, float factor) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, kRepeat * sizeof(float));
  LocalTensor<float> tile = buffer.Get<float>();
  GlobalTensor<float> from, to, scratch;
  from.SetGlobalBuffer((__gm__ float*)x, pieces * kRepeat);
  to.SetGlobalBuffer((__gm__ float*)y, pieces * kRepeat);
  scratch.SetGlobalBuffer((__gm__ float*)workspace, pieces * kRepeat);
  for (int32_t piece = GetBlockIdx(); piece < pieces; piece += GetBlockNum()) {
    const int32_t at = piece * kRepeat;
    DataCopy(tile, from[at], kRepeat);
    SetFlag<HardEvent::MTE2_V>(0);
    WaitFlag<HardEvent::MTE2_V>(0);
    Muls(tile, tile, factor, kRepeat);
    SetFlag<HardEvent::V_MTE3>(0);
    WaitFlag<HardEvent::V_MTE3>(0);
    DataCopy(scratch[at], tile, kRepeat);
    SetFlag<HardEvent::MTE3_MTE2>(0);
    WaitFlag<HardEvent::MTE3_MTE2>(0);
    DataCopy(tile, scratch[at], kRepeat);
    SetFlag<HardEvent::MTE2_MTE3>(0);
    WaitFlag<HardEvent::MTE2_MTE3>(0);
    DataCopy(to[at], tile, kRepeat);
    SetFlag<HardEvent::MTE3_MTE2>(0);
    WaitFlag<HardEvent::MTE3_MTE2>(0);
  }
}

}  // namespace

using namespace ascend_sim::acl;

aclnnStatus aclnnScaleGetWorkspaceSize(const aclTensor* x, double factor, const aclTensor* y, uint64_t* workspaceSize,
                                       aclOpExecutor** executor) {
  if (workspaceSize == nullptr || executor == nullptr) {
    return Fail(ACLNN_ERR_PARAM_NULLPTR, "aclnnScale: workspaceSize or executor is null");
  }
  Tensor from, to;
  if (!Read(x, &from)) return Fail(ACLNN_ERR_PARAM_NULLPTR, "aclnnScale: x: " + WhyNot(x));
  if (!Read(y, &to)) return Fail(ACLNN_ERR_PARAM_NULLPTR, "aclnnScale: y: " + WhyNot(y));
  for (const Tensor& tensor : {from, to}) {
    if (tensor.dtype != ACL_FLOAT || tensor.view_shape.size() != 1 || tensor.view_shape[0] % kRepeat != 0 ||
        tensor.strides[0] != 1 || tensor.view_shape != from.view_shape) {
      return Fail(ACLNN_ERR_PARAM_INVALID,
                  "aclnnScale: expected contiguous float vectors of a multiple of 64 elements");
    }
  }
  const int32_t pieces = static_cast<int32_t>(from.view_shape[0]) / kRepeat;
  const uint64_t bytes = static_cast<uint64_t>(from.view_shape[0]) * sizeof(float);
  const int64_t from_offset = from.offset, to_offset = to.offset;
  Plan plan;
  plan.api = "aclnnScale";
  plan.workspace_bytes = bytes;
  plan.operands = {{"x", x, from, Access::kRead}, {"y", y, to, Access::kWrite}};
  plan.run = [=](const LaunchContext& context) {
    GM_ADDR source = reinterpret_cast<GM_ADDR>(static_cast<float*>(context.addresses[0]) + from_offset);
    GM_ADDR target = reinterpret_cast<GM_ADDR>(static_cast<float*>(context.addresses[1]) + to_offset);
    ascend_sim::GmSpace gm;
    gm.Add("x", source, bytes, source != target, true);
    if (source != target) gm.Add("y", target, bytes, false, false);
    gm.Add("workspace", context.workspace, bytes, false, false);
    ascend_sim::LaunchOptions options;
    options.block_dim = kBlocks;
    options.threads = 2;
    ascend_sim::Launch([&] { Scale(source, target, context.workspace, pieces, static_cast<float>(factor)); }, gm,
                       options);
  };
  *workspaceSize = plan.workspace_bytes;
  *executor = MakeExecutor(std::move(plan));
  return ACLNN_SUCCESS;
}

aclnnStatus aclnnScale(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor, aclrtStream stream) {
  return LaunchExecutor("aclnnScale", workspace, workspaceSize, executor, stream);
}
