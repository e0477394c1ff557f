#include "acl/executor.h"

#include <memory>
#include <mutex>
#include <utility>

#include "acl/api_call.h"
#include "acl/operator_layer.h"
#include "acl/registry.h"
#include "aclnn/opdev/op_errno.h"

struct aclOpExecutor {
  std::shared_ptr<const ascend_sim::acl::Plan> plan;
  std::vector<void*> addresses;
  bool deterministic = false;
  bool repeatable = false;
  bool launching = false;  // by a thread that is in its second phase now
};

namespace ascend_sim::acl {
namespace {

struct Executors {
  std::mutex mutex;
  Registry<aclOpExecutor> registry{"aclOpExecutor"};
};

// Never destroyed, as the registries of tensor.cpp.
Executors& All() {
  static Executors& executors = *new Executors;
  return executors;
}

aclnnStatus Refuse(const std::string& api, const Executors& all, const aclOpExecutor* executor) {
  const std::string message = api + ": " + all.registry.WhyNot(executor);
  return executor == nullptr ? Fail(ACLNN_ERR_PARAM_NULLPTR, message) : Misuse(ACLNN_ERR_PARAM_INVALID, message);
}

template <typename Visit>
aclnnStatus With(const char* api, aclOpExecutor* executor, Visit&& visit) {
  Executors& all = All();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const std::shared_ptr<aclOpExecutor> found = all.registry.Find(executor);
  return found == nullptr ? Refuse(api, all, executor) : visit(*found);
}

enum class Which { kInputs, kOutputs, kAll };

aclnnStatus SetAddress(const char* api, aclOpExecutor* executor, Which which, size_t index, const aclTensor* tensor,
                       void* address) {
  return With(api, executor, [&](aclOpExecutor& object) -> aclnnStatus {
    const std::vector<Operand>& operands = object.plan->operands;
    size_t position = 0;
    for (size_t i = 0; i < operands.size(); ++i) {
      const bool output = operands[i].access == Access::kWrite;
      if (which != Which::kAll && output != (which == Which::kOutputs)) continue;
      if (position++ != index) continue;
      if (tensor == nullptr || operands[i].handle != tensor) {
        return Fail(ACLNN_ERR_PARAM_INVALID, std::string(api) + ": tensor: number " + std::to_string(index) + " is " +
                                                 operands[i].name + ", made with another tensor than the one given");
      }
      object.addresses[i] = address;
      return ACLNN_SUCCESS;
    }
    return Fail(ACLNN_ERR_PARAM_INVALID, std::string(api) + ": index: expected 0 to " + std::to_string(position) +
                                             " (excluded), got " + std::to_string(index));
  });
}

// Everything about a launch but the executor's life.
aclnnStatus Enqueue(const char* api, void* workspace, uint64_t workspace_bytes, const aclOpExecutor& executor,
                    aclrtStream stream_handle) {
  const std::shared_ptr<const Plan> plan = executor.plan;
  if (plan->api != api) {
    return Misuse(ACLNN_ERR_PARAM_INVALID, std::string(api) + ": the executor was made for " + plan->api);
  }
  if (workspace_bytes < plan->workspace_bytes) {
    return Fail(ACLNN_ERR_PARAM_INVALID, std::string(api) + ": workspaceSize: expected " +
                                             std::to_string(plan->workspace_bytes) + " or more, got " +
                                             std::to_string(workspace_bytes));
  }
  if (workspace == nullptr && plan->workspace_bytes > 0) {
    return Fail(ACLNN_ERR_PARAM_NULLPTR, std::string(api) + ": workspace is null, and " +
                                             std::to_string(plan->workspace_bytes) + " bytes are needed");
  }
  std::vector<Use> uses;
  if (plan->workspace_bytes > 0) uses.push_back({"workspace", workspace, plan->workspace_bytes, Access::kWrite});
  for (size_t i = 0; i < plan->operands.size(); ++i) {
    Tensor tensor = plan->operands[i].tensor;
    tensor.address = executor.addresses[i];
    const ByteSpan span = SpanOf(tensor);
    if (span.bytes != 0) uses.push_back({plan->operands[i].name, span.begin, span.bytes, plan->operands[i].access});
  }

  const aclError status = WithStream(api, stream_handle, {}, [&](Process&, Process::Lock&, Stream& stream) {
    LaunchContext context;
    context.addresses = executor.addresses;
    context.workspace = static_cast<uint8_t*>(workspace);
    context.workspace_bytes = plan->workspace_bytes;
    context.device = stream.device;
    context.deterministic = executor.deterministic;
    return EnqueueWithUses(stream, api, {api, [plan, context = std::move(context)] { plan->run(context); }}, uses);
  });
  return status == ACL_SUCCESS ? ACLNN_SUCCESS : ACLNN_ERR_RUNTIME_ERROR;
}

}  // namespace

aclOpExecutor* MakeExecutor(Plan plan) {
  auto executor = std::make_shared<aclOpExecutor>();
  for (const Operand& operand : plan.operands) executor->addresses.push_back(operand.tensor.address);
  executor->plan = std::make_shared<const Plan>(std::move(plan));
  executor->deterministic = Deterministic();
  Executors& all = All();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.registry.Add(std::move(executor));
}

aclnnStatus LaunchExecutor(const char* api, void* workspace, uint64_t workspace_bytes, aclOpExecutor* handle,
                           aclrtStream stream) {
  Executors& all = All();
  std::shared_ptr<aclOpExecutor> executor;
  aclOpExecutor snapshot;
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    executor = all.registry.Find(handle);
    if (executor == nullptr) return Refuse(api, all, handle);
    if (executor->launching) {
      return Misuse(ACLNN_ERR_PARAM_INVALID, std::string(api) + ": another thread is launching the executor");
    }
    executor->launching = !executor->repeatable;
    snapshot = *executor;
  }
  const aclnnStatus status = Enqueue(api, workspace, workspace_bytes, snapshot, stream);
  const std::lock_guard<std::mutex> lock(all.mutex);
  executor->launching = false;
  if (status == ACLNN_SUCCESS && !snapshot.repeatable) {
    all.registry.Remove(handle, "was launched already; it is not repeatable");
    executor->plan = nullptr;  // the task holds it
  }
  return status;
}

std::vector<std::string> LivingExecutors() {
  Executors& all = All();
  const std::lock_guard<std::mutex> lock(all.mutex);
  std::vector<std::string> names;
  for (const auto& executor : all.registry.All()) {
    names.push_back("aclOpExecutor " + Hex(executor.get()) + " of " + executor->plan->api);
  }
  return names;
}

}  // namespace ascend_sim::acl

using namespace ascend_sim::acl;

aclnnStatus aclSetAclOpExecutorRepeatable(aclOpExecutor* executor) {
  return With("aclSetAclOpExecutorRepeatable", executor, [](aclOpExecutor& object) -> aclnnStatus {
    object.repeatable = true;
    return ACLNN_SUCCESS;
  });
}

aclnnStatus aclDestroyAclOpExecutor(aclOpExecutor* executor) {
  return With("aclDestroyAclOpExecutor", executor, [executor](aclOpExecutor& object) -> aclnnStatus {
    All().registry.Remove(executor, "was destroyed");
    object.plan = object.launching ? object.plan : nullptr;
    return ACLNN_SUCCESS;
  });
}

aclnnStatus aclSetInputTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor, void* addr) {
  return SetAddress("aclSetInputTensorAddr", executor, Which::kInputs, index, tensor, addr);
}
aclnnStatus aclSetOutputTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor, void* addr) {
  return SetAddress("aclSetOutputTensorAddr", executor, Which::kOutputs, index, tensor, addr);
}
aclnnStatus aclSetTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor, void* addr) {
  return SetAddress("aclSetTensorAddr", executor, Which::kAll, index, tensor, addr);
}
aclnnStatus AclSetInputTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor, void* addr) {
  return aclSetInputTensorAddr(executor, index, tensor, addr);
}
aclnnStatus AclSetOutputTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor, void* addr) {
  return aclSetOutputTensorAddr(executor, index, tensor, addr);
}
aclnnStatus AclSetTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor, void* addr) {
  return aclSetTensorAddr(executor, index, tensor, addr);
}
