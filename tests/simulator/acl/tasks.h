// Putting any function on a stream, through the door operators use.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "acl/operator_layer.h"

inline aclnnStatus Put(aclrtStream stream, std::function<void()> work,
                       std::vector<ascend_sim::acl::Operand> operands = {}) {
  ascend_sim::acl::Plan plan;
  plan.api = "work";
  plan.operands = std::move(operands);
  plan.run = [work = std::move(work)](const ascend_sim::acl::LaunchContext&) { work(); };
  aclOpExecutor* executor = ascend_sim::acl::MakeExecutor(std::move(plan));
  const aclnnStatus status = ascend_sim::acl::LaunchExecutor("work", nullptr, 0, executor, stream);
  if (status != 0) aclDestroyAclOpExecutor(executor);
  return status;
}

// The bytes of a vector of floats.
inline ascend_sim::acl::Operand Touch(const char* name, void* memory, int64_t first, int64_t count, bool write) {
  ascend_sim::acl::Operand operand;
  operand.name = name;
  operand.tensor.dtype = ACL_FLOAT;
  operand.tensor.view_shape = {count};
  operand.tensor.strides = {1};
  operand.tensor.offset = first;
  operand.tensor.address = memory;
  operand.access = write ? ascend_sim::acl::Access::kWrite : ascend_sim::acl::Access::kRead;
  return operand;
}

class Gate {
 public:
  void Open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    opened_.wait(lock, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};
