// launch_forward for device npu: the current stream of torch_npu, in order with what its task queue holds.
#include <c10/core/DeviceGuard.h>

#include <exception>
#include <memory>

#include "torch_launch.h"
#include "torch_npu/csrc/core/npu/NPUStream.h"
#include "torch_npu/csrc/framework/OpCommand.h"

namespace npu_fa {
namespace {

// Runs in torch_npu's queue, where an exception has nowhere to go.
int Report(const ForwardLaunch& launch, aclrtStream stream) {
  try {
    LaunchForward(launch.plan, launch.buffers, launch.workspace, stream);
    return ACL_SUCCESS;
  } catch (const std::exception& error) {
    TORCH_WARN("npu_flash_attention: ", error.what());
    return ACL_ERROR_FAILURE;
  }
}

// Memory is the caching allocator's, which hands a block on to this stream only behind what was queued here.
void LaunchForwardOnNpu(const at::Tensor& plan, int64_t cores, const at::Tensor& workspace,
                        const OptionalTensors& inputs, at::TensorList outputs) {
  const c10::DeviceGuard guard(workspace.device());
  const auto launch = std::make_shared<const ForwardLaunch>(plan, cores, workspace, inputs, outputs);
  const aclrtStream stream = c10_npu::getCurrentNPUStream().stream(false);
  at_npu::native::OpCommand::RunOpApiV2("npu_fa_flash_attention_score",
                                        [launch, stream]() -> int { return Report(*launch, stream); });
}

}  // namespace
}  // namespace npu_fa

TORCH_LIBRARY_FRAGMENT(npu_flash_attention, m) { NPU_FA_LAUNCH_SCHEMAS(m); }
TORCH_LIBRARY_IMPL(npu_flash_attention, PrivateUse1, m) { m.impl("launch_forward", &npu_fa::LaunchForwardOnNpu); }
