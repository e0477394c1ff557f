#include "instructions/encoded.h"

#include "machine/instruction.h"

namespace ascend_sim {

void FailEncoding(long long value, long long highest, Location where) {
  const Instruction frame("instruction parameter", PIPE_S, where);
  frame.RequireRange("parameter", value, 0, highest);
  __builtin_unreachable();
}

}  // namespace ascend_sim
