// The kernel line an instruction was written on.
#pragma once

namespace ascend_sim {

// Every instruction of the device API ends in one more parameter, `Location where = Location::Here()`. A default
// argument is evaluated where the call is written, so the kernel author neither sees nor pays for it: file and line are
// constants of the call. Return addresses would need debug information and a symboliser at run time, and would name
// the wrong line once the compiler has merged or inlined the call.
struct Location {
  const char* file = "";
  int line = 0;

  static constexpr Location Here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return Location{file, line};
  }
};

}  // namespace ascend_sim

#define ASCEND_SIM_CALLER ::ascend_sim::Location where = ::ascend_sim::Location::Here()
