// What a launch watches besides the values. Each costs nothing but a test of one bit when it is off.
#pragma once

#include <cstdint>

namespace ascend_sim {

enum Mode : uint32_t {
  kFunctional = 0,
  kChecks = 1,    // initialisation, life cycles, happens-before, alignment and encoding rules
  kTimeline = 2,  // record every instruction with its cost
  // Atomic writes to one address have to be ordered as plain ones are, so that float sums repeat bit for bit on a chip.
  kOrderedAtomics = 4,
};

}  // namespace ascend_sim
