// launch_forward and launch_backward for device npu: the current stream of torch_npu, in order with what its task queue
// holds.
#include <c10/core/DeviceGuard.h>

#include <exception>
#include <memory>

#include "torch_launch.h"
#include "torch_npu/csrc/core/npu/NPUStream.h"
#include "torch_npu/csrc/framework/OpCommand.h"

namespace npu_fa {
namespace {

void Launch(const TorchLaunch<ForwardBuffers>& l, aclrtStream stream) {
  LaunchForward(l.plan, l.buffers, l.workspace, stream);
}
void Launch(const TorchLaunch<BackwardBuffers>& l, aclrtStream stream) {
  LaunchBackward(l.plan, l.buffers, l.workspace, stream);
}

// Runs in torch_npu's queue, where an exception has nowhere to go.
template <class Buffers>
int Report(const TorchLaunch<Buffers>& launch, aclrtStream stream) {
  try {
    Launch(launch, stream);
    return ACL_SUCCESS;
  } catch (const std::exception& error) {
    TORCH_WARN("npu_flash_attention: ", error.what());
    return ACL_ERROR_FAILURE;
  }
}

// Memory is the caching allocator's, which hands a block on to this stream only behind what was queued here.
template <class Buffers>
void LaunchOnNpu(const at::Tensor& plan, const at::Tensor& workspace, const OptionalTensors& inputs,
                 at::TensorList outputs) {
  const c10::DeviceGuard guard(workspace.device());
  const auto launch = std::make_shared<const TorchLaunch<Buffers>>(plan, workspace, inputs, outputs);
  const aclrtStream stream = c10_npu::getCurrentNPUStream().stream(false);
  at_npu::native::OpCommand::RunOpApiV2(
      std::is_same_v<Buffers, ForwardBuffers> ? "npu_fa_flash_attention_score" : "npu_fa_flash_attention_score_grad",
      [launch, stream]() -> int { return Report(*launch, stream); });
}

}  // namespace
}  // namespace npu_fa

TORCH_LIBRARY_FRAGMENT(npu_flash_attention, m) { NPU_FA_LAUNCH_SCHEMAS(m); }
TORCH_LIBRARY_IMPL(npu_flash_attention, PrivateUse1, m) {
  m.impl("launch_forward", &npu_fa::LaunchOnNpu<npu_fa::ForwardBuffers>);
  m.impl("launch_backward", &npu_fa::LaunchOnNpu<npu_fa::BackwardBuffers>);
}
