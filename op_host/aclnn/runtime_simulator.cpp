// The aclnn layer on the simulator's ACL host runtime.
#include <cstring>

#include "acl/operator_layer.h"
#include "runtime.h"

namespace npu_fa::aclnn::runtime {
namespace {

namespace sim = ascend_sim::acl;

// Calls visit(element of `to`, element of `from`, elements) for runs of elements that follow each other in both.
template <class Visit>
void ForEachRun(const Strided& to, const Strided& from, Visit visit) {
  const size_t rank = to.sizes.size();
  const bool row = rank > 0 && (to.sizes.back() == 1 || (to.strides.back() == 1 && from.strides.back() == 1));
  const size_t axes = row ? rank - 1 : rank;
  for (const int64_t size : to.sizes)
    if (size == 0) return;
  std::vector<int64_t> index(axes, 0);
  while (true) {
    int64_t to_offset = 0, from_offset = 0;
    for (size_t axis = 0; axis < axes; ++axis) {
      to_offset += index[axis] * to.strides[axis];
      from_offset += index[axis] * from.strides[axis];
    }
    visit(to.data + to_offset * to.element_bytes, from.data + from_offset * from.element_bytes,
          static_cast<size_t>((row ? to.sizes.back() : 1) * to.element_bytes));
    size_t axis = axes;
    while (axis > 0 && ++index[axis - 1] == to.sizes[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

// On the thread of a stream every step is carried out when it comes.
class StreamThread : public Queue {
 public:
  void Copy(const Strided& to, const Strided& from) override {
    ForEachRun(to, from, [](uint8_t* out, const uint8_t* in, size_t bytes) { std::memcpy(out, in, bytes); });
  }
  void Zero(const Strided& to) override {
    ForEachRun(to, to, [](uint8_t* out, const uint8_t*, size_t bytes) { std::memset(out, 0, bytes); });
  }
  void Launch(const Kernel& kernel, const KernelMemory& m, Buffer workspace) override {
    if (kernel.backward) {
      const BackwardBuffers buffers = {m[kQuery],      m[kKey],        m[kValue],       m[kDy],       m[kQueryRope],
                                       m[kKeyRope],    m[kPse],        m[kAttenMask],   m[kDropMask], m[kSink],
                                       m[kSoftmaxMax], m[kSoftmaxSum], m[kAttentionIn], m[kDq],       m[kDk],
                                       m[kDv],         m[kDqRope],     m[kDkRope],      {},           m[kDsink]};
      LaunchBackward(kernel.plan, buffers, workspace, nullptr);
    } else {
      const ForwardBuffers buffers = {m[kQuery],   m[kKey],          m[kValue],         m[kQueryRope],
                                      m[kKeyRope], m[kPse],          m[kAttenMask],     m[kDropMask],
                                      m[kSink],    m[kAttentionOut], m[kSoftmaxMaxOut], m[kSoftmaxSumOut]};
      LaunchForward(kernel.plan, buffers, workspace, nullptr);
    }
  }
};

}  // namespace

bool Read(const aclIntArray* array, std::vector<int64_t>* values) { return sim::Read(array, values); }

aclnnStatus Report(aclnnStatus status, const std::string& message) { return sim::Fail(status, message); }

bool Deterministic() { return sim::Deterministic(); }

aclOpExecutor* MakeExecutor(Program program) {
  sim::Plan plan;
  plan.api = program.function;
  plan.workspace_bytes = static_cast<uint64_t>(program.workspace_bytes);
  for (const Operand& operand : program.operands) {
    sim::Operand item = {
        operand.name, operand.handle, {}, IsOutput(operand.role) ? sim::Access::kWrite : sim::Access::kRead};
    if (operand.handle != nullptr) sim::Read(operand.handle, &item.tensor);
    plan.operands.push_back(std::move(item));
  }
  const auto shared = std::make_shared<const Program>(std::move(program));
  plan.run = [shared](const sim::LaunchContext& context) {
    StreamThread queue;
    Enqueue(*shared, context.addresses, context.workspace, queue);
  };
  return sim::MakeExecutor(std::move(plan));
}

aclnnStatus LaunchExecutor(const char* function, void* workspace, uint64_t workspace_bytes, aclOpExecutor* executor,
                           aclrtStream stream) {
  return sim::LaunchExecutor(function, workspace, workspace_bytes, executor, stream);
}

}  // namespace npu_fa::aclnn::runtime
