// How a call reaches the machine. A plan says what a launch needs before any memory is there; Launch* queues the
// kernel. Two files stand behind Launch*: launch_npu.cpp (a card) and launch_simulator.cpp (a simulated chip).
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "platform.h"
#include "problem_builder.h"

namespace npu_fa {

// Memory of the device, in GM.
struct Buffer {
  void* data = nullptr;
  uint64_t bytes = 0;
};

// In the order of the kernel's parameters.
struct ForwardBuffers {
  Buffer query, key, value, query_rope, key_rope, bias, mask, drop_bits, sink;  // read; empty where absent
  Buffer out, softmax_max, softmax_sum;                                         // written whole
};

struct BackwardBuffers {
  Buffer query, key, value, dy, query_rope, key_rope, bias, mask, drop_bits, sink;  // read; empty where absent
  Buffer softmax_max, softmax_sum, attention_in;                                    // read
  Buffer dq, dk, dv, dq_rope, dk_rope;  // written: the rows and keys of all sequences
  Buffer dbias;                         // float32, addressed like the bias; added to, where wanted
  Buffer dsink;                         // written whole
};

struct LaunchPlan {
  std::vector<uint8_t> blob;     // {AttentionProblem, Tiling, Sequence[]} of op_kernel/blob.h
  int32_t cores = 0;             // AI cores; of a copy, vector cores
  uint64_t workspace_bytes = 0;  // of device memory, at a multiple of kGmAlignment; the blob goes to its end
};

constexpr uint64_t kGmAlignment = 512;

// Throws AttentionError. `cores` as in MakeForwardTiling.
LaunchPlan PlanForward(const HostProblem& built, const Platform& platform, int32_t cores = 0);
LaunchPlan PlanBackward(const HostProblem& built, const Platform& platform, int32_t cores = 0,
                        bool deterministic = false);

// A tensor in memory, in elements: `to` gets what `from` has. Without `from` it gets zeros.
struct CopyShape {
  int64_t element_bytes;
  std::vector<int64_t> sizes, to_strides, from_strides;  // sizes: at least 1 each
  bool zero = false;
};

// Throws AttentionError for more than CopyTask::kAxes axes that do not follow from each other.
LaunchPlan PlanCopy(const CopyShape& shape, const Platform& platform);

// The plan whose blob this is. Throws std::invalid_argument.
LaunchPlan ForwardPlanOf(std::vector<uint8_t> blob);
LaunchPlan BackwardPlanOf(std::vector<uint8_t> blob);

// The dropout stream of a problem that names a seed: the kernels read bits, as the operator's do.
std::vector<uint8_t> GeneratedDropBits(const AttentionProblem& problem);

// Where the blob lies in the work space.
uint64_t BlobOffset(const LaunchPlan& plan);

// The machine refused.
class LaunchError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The chip that Launch* runs on, as the toolkit names it. Throws LaunchError.
std::string LaunchSoc();

// Queues flash_attention_score on `stream` and returns. The plan is free to go when this returns; buffers and workspace
// are in use until the stream has come by. Where there is dropout, drop_bits holds its bits.
// Safe to call from many threads. Throws LaunchError, std::invalid_argument for a work space that is too small.
void LaunchForward(const LaunchPlan& plan, const ForwardBuffers& buffers, Buffer workspace, void* stream);
// The same with flash_attention_score_grad.
void LaunchBackward(const LaunchPlan& plan, const BackwardBuffers& buffers, Buffer workspace, void* stream);

// The same with strided_copy; `from` is not read where the plan writes zeros.
void LaunchCopy(const LaunchPlan& plan, Buffer to, Buffer from, Buffer workspace, void* stream);

// For the twins: throws std::invalid_argument for a work space that does not fit the plan.
void CheckWorkspace(const LaunchPlan& plan, const Buffer& workspace);

}  // namespace npu_fa
