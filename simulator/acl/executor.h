// What an operator's first phase leaves for its second.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "acl/memory.h"
#include "acl/tensor.h"

namespace ascend_sim::acl {

struct Operand {
  std::string name;                   // "query"
  const aclTensor* handle = nullptr;  // whose address the caller may replace; null: an optional tensor not given
  Tensor tensor;                      // as the first phase saw it
  Access access = Access::kRead;
};

struct LaunchContext {
  std::vector<void*> addresses;  // the storage of each operand, in the plan's order
  uint8_t* workspace = nullptr;
  uint64_t workspace_bytes = 0;
  int32_t device = 0;
  bool deterministic = false;  // as the first phase found it
};

struct Plan {
  std::string api;  // the function that may launch it: "aclnnFlashAttentionScore"
  uint64_t workspace_bytes = 0;
  std::vector<Operand> operands;  // inputs, then outputs, in the order of the parameters
  // Called on the stream's thread, after the second phase returned; what it throws is the task's failure. Plans of
  // different streams run at the same time.
  std::function<void(const LaunchContext&)> run;
};

aclOpExecutor* MakeExecutor(Plan plan);

// A whole second phase. Statuses: ACLNN_SUCCESS; PARAM_NULLPTR for no executor or no workspace where one is needed;
// PARAM_INVALID for an executor that was launched or destroyed or is another function's, and for too small a workspace;
// RUNTIME_ERROR for memory or a stream that the runtime refuses. A refused executor can be launched again.
aclnnStatus LaunchExecutor(const char* api, void* workspace, uint64_t workspace_bytes, aclOpExecutor* executor,
                           aclrtStream stream);

// Executors nobody launched or destroyed.
std::vector<std::string> LivingExecutors();

}  // namespace ascend_sim::acl
