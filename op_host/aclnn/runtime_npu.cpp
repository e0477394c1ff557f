// The aclnn layer on a card: executors of our own, launched through launch_npu.cpp.
#include <acl/acl.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "require.h"
#include "runtime.h"
#include "toolkit.h"

namespace npu_fa::aclnn::runtime {
namespace {

// What an aclOpExecutor* of ours points to. The toolkit's own calls on executors read numbers at its beginning to know
// theirs, and refuse others.
struct Executor {
  std::array<uint64_t, 4> not_the_toolkits = {};
  Program program;
  std::vector<void*> addresses;  // the storage of each operand
};

// The executors that were made and not launched. Nothing is read through a handle that is not here.
class Executors {
 public:
  aclOpExecutor* Add(std::unique_ptr<Executor> executor) {
    auto* const handle = reinterpret_cast<aclOpExecutor*>(executor.get());
    const std::lock_guard<std::mutex> lock(mutex_);
    living_[handle] = std::move(executor);
    return handle;
  }
  std::unique_ptr<Executor> Take(const aclOpExecutor* handle) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = living_.find(handle);
    if (found == living_.end()) return nullptr;
    std::unique_ptr<Executor> executor = std::move(found->second);
    living_.erase(found);
    return executor;
  }

  // Lives as long as the process: a thread may still launch when static objects go.
  static Executors& Shared() {
    static Executors* const shared = new Executors;
    return *shared;
  }

 private:
  std::mutex mutex_;
  std::map<const aclOpExecutor*, std::unique_ptr<Executor>> living_;
};

void Launch(const std::string& function, void* workspace, uint64_t workspace_bytes, const Executor& executor,
            aclrtStream stream) {
  const Program& program = executor.program;
  const uint64_t needed = static_cast<uint64_t>(program.workspace_bytes);
  Require(program.function == function, Status::kParamInvalid, "the executor was made for ", program.function);
  Require(workspace_bytes >= needed, Status::kParamInvalid, "workspaceSize: expected ", needed, " or more, got ",
          workspace_bytes);
  Require(workspace != nullptr || needed == 0, Status::kParamNull, "workspace is null, and ", needed,
          " bytes are needed");
  for (size_t i = 0; i < program.operands.size(); ++i) {
    const Operand& operand = program.operands[i];
    Require(operand.handle == nullptr || operand.view.Empty() || executor.addresses[i] != nullptr,
            Status::kRuntimeError, operand.name, ": expected memory of the device, got null");
  }
  Enqueue(program, executor.addresses, static_cast<uint8_t*>(workspace), stream);
}

}  // namespace

bool Read(const aclIntArray* array, std::vector<int64_t>* values) { return toolkit::Read(array, values); }

aclnnStatus Report(aclnnStatus status, const std::string& message) {
  toolkit::Report(status, message.c_str());
  return status;
}

bool Deterministic() {
  int64_t value = 0;
  if (aclrtCtxGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value) == ACL_SUCCESS) return value != 0;
  return aclrtGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value) == ACL_SUCCESS && value != 0;
}

aclOpExecutor* MakeExecutor(Program program) {
  auto executor = std::make_unique<Executor>();
  for (const Operand& operand : program.operands) {
    void* address = nullptr;
    if (operand.handle != nullptr) aclGetRawTensorAddr(operand.handle, &address);
    executor->addresses.push_back(address);
  }
  executor->program = std::move(program);
  return Executors::Shared().Add(std::move(executor));
}

aclnnStatus LaunchExecutor(const char* function, void* workspace, uint64_t workspace_bytes, aclOpExecutor* handle,
                           aclrtStream stream) {
  const auto refuse = [function](Status status, const std::string& why) {
    return Report(static_cast<aclnnStatus>(status), std::string(function) + ": " + why);
  };
  if (handle == nullptr) return refuse(Status::kParamNull, "executor: expected a pointer, got null");
  // Taken while it is launched: no two threads launch it.
  std::unique_ptr<Executor> executor = Executors::Shared().Take(handle);
  if (executor == nullptr)
    return refuse(Status::kParamInvalid, "executor: expected one that was made and not launched yet");
  try {
    Launch(function, workspace, workspace_bytes, *executor, stream);
    return OK;
  } catch (const AttentionError& error) {
    Executors::Shared().Add(std::move(executor));  // it can be launched again
    return refuse(error.status(), error.what());
  } catch (...) {
    Executors::Shared().Add(std::move(executor));
    throw;
  }
}

}  // namespace npu_fa::aclnn::runtime
