#include "program.h"

namespace npu_fa::aclnn {
namespace {

struct Placed {
  const Operand* operand = nullptr;
  uint8_t* first = nullptr;  // element 0 of the view

  Strided AsGiven() const { return {first, operand->view.ElementBytes(), operand->view.sizes, operand->view.strides}; }
};

}  // namespace

void Enqueue(const Program& program, const std::vector<void*>& addresses, uint8_t* workspace, Queue& queue) {
  const uint64_t misaligned = reinterpret_cast<uintptr_t>(workspace) % kGmAlignment;
  uint8_t* const aligned = workspace + (misaligned ? kGmAlignment - misaligned : 0);
  std::array<Strided, kRoleCount> given = {}, used = {};
  KernelMemory memory;
  for (size_t i = 0; i < program.operands.size(); ++i) {
    const Operand& operand = program.operands[i];
    if (operand.handle == nullptr) continue;
    const TensorView& view = operand.view;
    uint8_t* const first = static_cast<uint8_t*>(addresses[i]) + view.offset * view.ElementBytes();
    given[operand.role] = used[operand.role] = {first, view.ElementBytes(), view.sizes, view.strides};
    memory[operand.role] = {first, static_cast<uint64_t>(view.ExtentBytes())};
  }
  for (const Staged& staged : program.staged) {
    uint8_t* const first = aligned + staged.offset;
    used[staged.role] = {first, given[staged.role].element_bytes, staged.copy.sizes, staged.copy.strides};
    memory[staged.role] = {first, static_cast<uint64_t>(staged.copy.ExtentBytes())};
  }
  for (const Role role : program.zeroed) queue.Zero(used[role]);
  if (!program.kernel) return;
  for (const Staged& staged : program.staged)
    if (!IsOutput(staged.role)) queue.Copy(used[staged.role], given[staged.role]);
  const Kernel& kernel = *program.kernel;
  queue.Launch(kernel, memory, {aligned + kernel.workspace_offset, kernel.plan.workspace_bytes});
  for (const Staged& staged : program.staged)
    if (IsOutput(staged.role)) queue.Copy(given[staged.role], used[staged.role]);
}

}  // namespace npu_fa::aclnn
