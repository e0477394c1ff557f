// The launch as torch sees it. The schema and what it says about tensors are the same for every device; who registers
// an implementation (bind_npu.cpp, and a test for the simulator) brings the device's stream.
#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <array>
#include <optional>

#include "launch.h"

// plan: uint8 on the CPU, the blob of LaunchPlan. inputs, outputs: as in ForwardBuffers, None where absent.
#define NPU_FA_LAUNCH_SCHEMAS(library)                                                                               \
  library.def(                                                                                                       \
      "launch_forward(Tensor plan, int cores, Tensor(a!) workspace, Tensor?[] inputs, Tensor(b!)[] outputs) -> ()"); \
  library.def("launch_soc() -> str", &npu_fa::LaunchSoc)

namespace npu_fa {

using OptionalTensors = c10::List<std::optional<at::Tensor>>;

// The memory that the elements of a tensor span.
inline Buffer BufferOf(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return {};
  int64_t last = 0;
  for (int64_t axis = 0; axis < tensor.dim(); ++axis) last += (tensor.size(axis) - 1) * tensor.stride(axis);
  return {tensor.data_ptr(), static_cast<uint64_t>(last + 1) * tensor.element_size()};
}

struct ForwardLaunch {
  LaunchPlan plan;
  ForwardBuffers buffers;
  Buffer workspace;

  ForwardLaunch(const at::Tensor& blob, int64_t cores, const at::Tensor& work, const OptionalTensors& inputs,
                at::TensorList outputs) {
    std::array<Buffer*, 9> const read = {&buffers.query,      &buffers.key,       &buffers.value,
                                         &buffers.query_rope, &buffers.key_rope,  &buffers.bias,
                                         &buffers.mask,       &buffers.drop_bits, &buffers.sink};
    std::array<Buffer*, 3> const written = {&buffers.out, &buffers.softmax_max, &buffers.softmax_sum};
    TORCH_CHECK(inputs.size() == read.size(), "launch_forward: expected ", read.size(), " inputs, got ", inputs.size());
    TORCH_CHECK(outputs.size() == written.size(), "launch_forward: expected ", written.size(), " outputs, got ",
                outputs.size());
    TORCH_CHECK(blob.device().is_cpu() && blob.is_contiguous() && blob.scalar_type() == at::kByte,
                "launch_forward: expected plan as bytes on the CPU, got ", blob.toString());
    for (size_t i = 0; i < read.size(); ++i)
      if (const std::optional<at::Tensor> tensor = inputs.get(i)) *read[i] = OnDevice(*tensor, work);
    for (size_t i = 0; i < written.size(); ++i) *written[i] = OnDevice(outputs[i], work);
    const auto* const bytes = blob.const_data_ptr<uint8_t>();
    plan.blob.assign(bytes, bytes + blob.numel());
    plan.cores = static_cast<int32_t>(cores);
    plan.workspace_bytes = work.nbytes();
    workspace = BufferOf(work);
  }

 private:
  static Buffer OnDevice(const at::Tensor& tensor, const at::Tensor& work) {
    TORCH_CHECK(tensor.device() == work.device(), "launch_forward: expected tensors on ", work.device(),
                ", got one on ", tensor.device());
    return BufferOf(tensor);
  }
};

}  // namespace npu_fa
