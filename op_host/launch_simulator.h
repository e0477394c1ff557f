// Runs the kernels on a simulated chip: the same tiling bytes and the same kernels as on the device.
#pragma once

#include <cstdint>
#include <string>

#include "machine/launch.h"
#include "problem_builder.h"

namespace npu_fa {

struct Buffer {
  void* data = nullptr;
  uint64_t bytes = 0;
};

struct ForwardBuffers {
  Buffer query, key, value, query_rope, key_rope, bias, mask, drop_bits, sink;  // read; empty where absent
  Buffer out, softmax_max, softmax_sum;                                         // written whole
};

// Throws ascend_sim::Fault for what a kernel does wrong.
ascend_sim::LaunchResult ForwardOnSimulator(const HostProblem& built, const ForwardBuffers& buffers,
                                            ascend_sim::LaunchOptions options, int32_t cores);

}  // namespace npu_fa
