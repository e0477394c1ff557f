// The launch as torch sees it. The schema and what it says about tensors are the same for every device; who registers
// an implementation (bind_npu.cpp, and a test for the simulator) brings the device's stream.
#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "launch.h"

// plan: uint8 on the CPU, the blob of LaunchPlan. inputs, outputs: as in ForwardBuffers and BackwardBuffers, None or
// empty where absent.
#define NPU_FA_LAUNCH_SCHEMAS(library)                                                                             \
  library.def("launch_forward(Tensor plan, Tensor(a!) workspace, Tensor?[] inputs, Tensor(b!)[] outputs) -> ()");  \
  library.def("launch_backward(Tensor plan, Tensor(a!) workspace, Tensor?[] inputs, Tensor(b!)[] outputs) -> ()"); \
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

// What LaunchForward or LaunchBackward takes, out of the arguments of the operator.
template <class Buffers>
struct TorchLaunch {
  LaunchPlan plan;
  Buffers buffers;
  Buffer workspace;

  TorchLaunch(const at::Tensor& blob, const at::Tensor& work, const OptionalTensors& inputs, at::TensorList outputs)
      : plan(PlanFrom(blob)), workspace(BufferOf(work)) {
    const auto [read, written] = Split(buffers);
    TORCH_CHECK(inputs.size() == read.size(), "launch: expected ", read.size(), " inputs, got ", inputs.size());
    TORCH_CHECK(outputs.size() == written.size(), "launch: expected ", written.size(), " outputs, got ",
                outputs.size());
    for (size_t i = 0; i < read.size(); ++i)
      if (const std::optional<at::Tensor> tensor = inputs.get(i)) *read[i] = OnDevice(*tensor, work);
    for (size_t i = 0; i < written.size(); ++i) *written[i] = OnDevice(outputs[i], work);
  }

 private:
  using Pointers = std::vector<Buffer*>;

  static std::pair<Pointers, Pointers> Split(ForwardBuffers& b) {
    return {{&b.query, &b.key, &b.value, &b.query_rope, &b.key_rope, &b.bias, &b.mask, &b.drop_bits, &b.sink},
            {&b.out, &b.softmax_max, &b.softmax_sum}};
  }
  static std::pair<Pointers, Pointers> Split(BackwardBuffers& b) {
    return {{&b.query, &b.key, &b.value, &b.query_rope, &b.key_rope, &b.bias, &b.mask, &b.drop_bits, &b.sink, &b.dy,
             &b.softmax_max, &b.softmax_sum, &b.attention_in},
            {&b.dq, &b.dk, &b.dv, &b.dbias, &b.dq_rope, &b.dk_rope, &b.dsink}};
  }

  static LaunchPlan PlanFrom(const at::Tensor& blob) {
    TORCH_CHECK(blob.device().is_cpu() && blob.is_contiguous() && blob.scalar_type() == at::kByte,
                "launch: expected plan as bytes on the CPU, got ", blob.toString());
    const auto* const bytes = blob.const_data_ptr<uint8_t>();
    std::vector<uint8_t> copy(bytes, bytes + blob.numel());
    return std::is_same_v<Buffers, ForwardBuffers> ? ForwardPlanOf(std::move(copy)) : BackwardPlanOf(std::move(copy));
  }

  static Buffer OnDevice(const at::Tensor& tensor, const at::Tensor& work) {
    TORCH_CHECK(tensor.device() == work.device(), "launch: expected tensors on ", work.device(), ", got one on ",
                tensor.device());
    return BufferOf(tensor);
  }
};

}  // namespace npu_fa
