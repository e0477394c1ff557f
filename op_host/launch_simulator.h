// Runs the kernels on a simulated chip: the same tiling bytes and the same kernels as on the device.
#pragma once

#include <cstdint>

#include "launch.h"
#include "machine/launch.h"

namespace npu_fa {

// Finds its own work space and generates the dropout stream. Throws ascend_sim::Fault for what a kernel does wrong.
ascend_sim::LaunchResult ForwardOnSimulator(const HostProblem& built, ForwardBuffers buffers,
                                            const ascend_sim::LaunchOptions& options, int32_t cores);
ascend_sim::LaunchResult BackwardOnSimulator(const HostProblem& built, BackwardBuffers buffers,
                                             const ascend_sim::LaunchOptions& options, int32_t cores,
                                             bool deterministic);

}  // namespace npu_fa
