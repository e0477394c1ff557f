// What tiling has to know of a chip.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace npu_fa {

// All chips of the table have the core dav-c220, whose memory sizes are constants of op_kernel/policy.h.
struct Platform {
  std::string name;  // SoC version
  int32_t cores;     // AI cores: one cube core and two vector cores each
};

const std::vector<Platform>& Platforms();

// Throws std::invalid_argument naming the known chips.
const Platform& FindPlatform(const std::string& name);

}  // namespace npu_fa
