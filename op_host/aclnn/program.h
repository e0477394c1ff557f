// What the first phase decides and the second carries out: operands, workspace, and the steps on the stream. Everything
// is held by value; handles are read for addresses when the program is launched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch.h"
#include "tensor_view.h"

namespace npu_fa::aclnn {

// A tensor of the call; absent ones keep their number.
struct Operand {
  Role role;
  std::string name;
  const aclTensor* handle = nullptr;  // null: absent
  TensorView view = {};
};

// A contiguous copy in the workspace that stands for an operand whose strides the kernels cannot take.
struct Staged {
  Role role;
  TensorView copy;
  int64_t offset;  // bytes into the workspace
};

struct Kernel {
  bool backward;
  LaunchPlan plan;
  int64_t workspace_offset;
};

// An operand filled with zeros, or copied from or to the one that stands for it.
struct Transfer {
  Role role;
  LaunchPlan plan;
  int64_t workspace_offset;
};

struct Program {
  std::string function;
  std::vector<Operand> operands;  // in the order of the function's parameters: inputs, then outputs
  int64_t workspace_bytes = 0;
  std::vector<Staged> staged;
  // In the order in which they are queued; outputs are zeroed as the kernel writes them.
  std::vector<Transfer> zeroed, copied_in;
  std::optional<Kernel> kernel;
  std::vector<Transfer> copied_out;
};

// Queues the steps on the stream, as launch.h does. `addresses`: the storage of each operand. `workspace` has
// workspace_bytes bytes.
void Enqueue(const Program& program, const std::vector<void*>& addresses, uint8_t* workspace, void* stream);

}  // namespace npu_fa::aclnn
