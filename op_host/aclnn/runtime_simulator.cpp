// The aclnn layer on the simulator's ACL host runtime.
#include "acl/operator_layer.h"
#include "runtime.h"

namespace npu_fa::aclnn::runtime {

namespace sim = ascend_sim::acl;

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
    Enqueue(*shared, context.addresses, context.workspace, nullptr);  // on the stream's thread already
  };
  return sim::MakeExecutor(std::move(plan));
}

aclnnStatus LaunchExecutor(const char* function, void* workspace, uint64_t workspace_bytes, aclOpExecutor* executor,
                           aclrtStream stream) {
  return sim::LaunchExecutor(function, workspace, workspace_bytes, executor, stream);
}

}  // namespace npu_fa::aclnn::runtime
