// Arguments -> AttentionProblem, refusing every call the operator refuses. Everything behind this line trusts it.
#pragma once

#include <vector>

#include "arguments.h"
#include "problem.h"

namespace npu_fa {

// The problem, its table of sequences, and where the host can read the tensors that shape the scores (null where it
// cannot). Pointers are borrowed from the caller's tensors.
struct HostProblem {
  AttentionProblem problem = {};
  std::vector<Sequence> sequences;
  const void* mask = nullptr;
  const void* bias = nullptr;
  const void* drop_bits = nullptr;
};

// Throws AttentionError.
HostProblem BuildProblem(const Arguments& arguments);

}  // namespace npu_fa
