// bind_npu.cpp with the CPU for the device and the simulator for the card.
#include "torch_launch.h"

namespace npu_fa {
namespace {

void Forward(const at::Tensor& plan, const at::Tensor& workspace, const OptionalTensors& inputs,
             at::TensorList outputs) {
  const TorchLaunch<ForwardBuffers> launch(plan, workspace, inputs, outputs);
  LaunchForward(launch.plan, launch.buffers, launch.workspace, nullptr);
}

void Backward(const at::Tensor& plan, const at::Tensor& workspace, const OptionalTensors& inputs,
              at::TensorList outputs) {
  const TorchLaunch<BackwardBuffers> launch(plan, workspace, inputs, outputs);
  LaunchBackward(launch.plan, launch.buffers, launch.workspace, nullptr);
}

}  // namespace
}  // namespace npu_fa

TORCH_LIBRARY_FRAGMENT(npu_flash_attention, m) { NPU_FA_LAUNCH_SCHEMAS(m); }
TORCH_LIBRARY_IMPL(npu_flash_attention, CPU, m) {
  m.impl("launch_forward", &npu_fa::Forward);
  m.impl("launch_backward", &npu_fa::Backward);
}
