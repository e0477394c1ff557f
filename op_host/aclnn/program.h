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

struct Program {
  std::string function;
  std::vector<Operand> operands;  // in the order of the function's parameters: inputs, then outputs
  int64_t workspace_bytes = 0;
  std::vector<Role> zeroed;  // outputs that are filled with 0
  std::vector<Staged> staged;
  std::optional<Kernel> kernel;
};

// Where the kernels find the tensors; absent ones are empty.
using KernelMemory = std::array<Buffer, kRoleCount>;

// A tensor in memory. Strides in elements.
struct Strided {
  uint8_t* data;
  int64_t element_bytes;
  std::vector<int64_t> sizes, strides;
};

// Where the steps of a program go: the device executes them in the order in which they come.
class Queue {
 public:
  virtual ~Queue() = default;
  virtual void Copy(const Strided& to, const Strided& from) = 0;
  virtual void Zero(const Strided& to) = 0;
  virtual void Launch(const Kernel& kernel, const KernelMemory& memory, Buffer workspace) = 0;
};

// `addresses`: the storage of each operand. `workspace` has workspace_bytes bytes.
void Enqueue(const Program& program, const std::vector<void*>& addresses, uint8_t* workspace, Queue& queue);

}  // namespace npu_fa::aclnn
