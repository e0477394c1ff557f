#include "program.h"

namespace npu_fa::aclnn {
namespace {

// Where the tensors are; absent ones are empty.
using Memory = std::array<Buffer, kRoleCount>;

void LaunchKernel(const Kernel& kernel, const Memory& m, Buffer workspace, void* stream) {
  if (kernel.backward) {
    const BackwardBuffers buffers = {m[kQuery],      m[kKey],        m[kValue],       m[kDy],       m[kQueryRope],
                                     m[kKeyRope],    m[kPse],        m[kAttenMask],   m[kDropMask], m[kSink],
                                     m[kSoftmaxMax], m[kSoftmaxSum], m[kAttentionIn], m[kDq],       m[kDk],
                                     m[kDv],         m[kDqRope],     m[kDkRope],      {},           m[kDsink]};
    LaunchBackward(kernel.plan, buffers, workspace, stream);
  } else {
    const ForwardBuffers buffers = {m[kQuery],   m[kKey],          m[kValue],         m[kQueryRope],
                                    m[kKeyRope], m[kPse],          m[kAttenMask],     m[kDropMask],
                                    m[kSink],    m[kAttentionOut], m[kSoftmaxMaxOut], m[kSoftmaxSumOut]};
    LaunchForward(kernel.plan, buffers, workspace, stream);
  }
}

}  // namespace

void Enqueue(const Program& program, const std::vector<void*>& addresses, uint8_t* workspace, void* stream) {
  const uint64_t misaligned = reinterpret_cast<uintptr_t>(workspace) % kGmAlignment;
  uint8_t* const aligned = workspace + (misaligned ? kGmAlignment - misaligned : 0);
  Memory given, used;
  for (size_t i = 0; i < program.operands.size(); ++i) {
    const Operand& operand = program.operands[i];
    if (operand.handle == nullptr) continue;
    uint8_t* const storage = static_cast<uint8_t*>(addresses[i]);
    given[operand.role] = {storage + operand.view.offset * operand.view.ElementBytes(),
                           static_cast<uint64_t>(operand.view.ExtentBytes())};
  }
  used = given;
  for (const Staged& staged : program.staged)
    used[staged.role] = {aligned + staged.offset, static_cast<uint64_t>(staged.copy.ExtentBytes())};
  const auto transfer = [&](const std::vector<Transfer>& transfers, const Memory& to, const Memory& from) {
    for (const Transfer& t : transfers)
      LaunchCopy(t.plan, to[t.role], from[t.role], {aligned + t.workspace_offset, t.plan.workspace_bytes}, stream);
  };
  transfer(program.zeroed, used, {});
  transfer(program.copied_in, used, given);
  if (const auto& kernel = program.kernel)
    LaunchKernel(*kernel, used, {aligned + kernel->workspace_offset, kernel->plan.workspace_bytes}, stream);
  transfer(program.copied_out, given, used);
}

}  // namespace npu_fa::aclnn
