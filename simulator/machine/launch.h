// Running a kernel on a simulated chip.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "machine/gm.h"
#include "machine/modes.h"
#include "machine/soc.h"
#include "machine/timeline.h"

namespace ascend_sim {

// Which cores of a block run the kernel; the names follow the manual's KERNEL_TYPE_ values.
enum class KernelType : uint8_t { kAuto, kAivOnly, kAicOnly, kMixAiv10, kMixAic10, kMixAic11, kMixAic12 };

struct LaunchOptions {
  std::string soc = DefaultSoc();
  int block_dim = 1;
  uint32_t modes = kChecks;
  int threads = 0;  // 0: one per hardware thread
  // kAuto: what KERNEL_TASK_TYPE_DEFAULT in the kernel says, else both kinds of core, 1:2.
  KernelType type = KernelType::kAuto;
  uint64_t tiling_key = 0;
  size_t stack_bytes = 512 * 1024;  // of the kernel's own variables, per core
  TimelineOptions timeline;
  // Mutation testing: synchronisation written on these lines (of files whose names end so) is left out. A kernel whose
  // flags are all needed faults for each of them.
  std::vector<std::pair<std::string, int>> dropped;
};

struct LaunchResult {
  std::string output;         // of printf and DumpTensor, core by core
  uint64_t instructions = 0;  // issued on all cores
  std::shared_ptr<const Timeline> timeline;
};

// Runs `kernel` once on every core, which sees itself through the AscendC API. `gm` names all memory it may touch.
// Throws Fault for what the kernel does wrong; other exceptions of the kernel pass through.
LaunchResult Launch(const std::function<void()>& kernel, GmSpace& gm, const LaunchOptions& options);

}  // namespace ascend_sim
