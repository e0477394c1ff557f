#include "platform.h"

#include <stdexcept>

namespace npu_fa {

// Core counts are cube_core_cnt of the toolkit's platform files (CANN 8.1.RC1).
const std::vector<Platform>& Platforms() {
  static const std::vector<Platform> table = {
      {"Ascend910B1", 24},    {"Ascend910B2", 24},    {"Ascend910B2C", 24},   {"Ascend910B3", 20},
      {"Ascend910B4", 20},    {"Ascend910B4-1", 20},  {"Ascend910_9362", 20}, {"Ascend910_9372", 20},
      {"Ascend910_9381", 24}, {"Ascend910_9382", 24}, {"Ascend910_9391", 24}, {"Ascend910_9392", 24},
  };
  return table;
}

const Platform& FindPlatform(const std::string& name) {
  std::string known;
  for (const Platform& platform : Platforms()) {
    if (platform.name == name) return platform;
    known += (known.empty() ? "" : ", ") + platform.name;
  }
  throw std::invalid_argument("soc: expected one of " + known + ", got " + name);
}

}  // namespace npu_fa
