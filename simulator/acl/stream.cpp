#include "acl/stream.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "acl/api_call.h"
#include "machine/fault.h"

namespace ascend_sim::acl {
namespace {

// The status of what a task threw.
aclError StatusOf(std::exception_ptr thrown, std::string* text) {
  try {
    std::rethrow_exception(std::move(thrown));
  } catch (const Fault& fault) {
    *text = fault.what();
    const bool vector_core = fault.record().core.find("AIV") != std::string::npos;
    return vector_core ? ACL_ERROR_RT_VECTOR_CORE_EXCEPTION : ACL_ERROR_RT_AICORE_EXCEPTION;
  } catch (const std::exception& error) {
    *text = error.what();
  } catch (...) {
    *text = "an exception that is no std::exception";
  }
  return ACL_ERROR_RT_INTERNAL_ERROR;
}

}  // namespace

Stream::~Stream() {
  // Only at the end of the process does a stream go without Close; then its thread goes too.
  if (worker_.joinable()) worker_.detach();
}

uint64_t Stream::Enqueue(Task task) {
  if (!worker_.joinable()) worker_ = std::thread([this] { Work(); });
  tasks_.push_back(std::move(task));
  clock.Raise(number, ++issued_);
  changed_.notify_all();
  return issued_;
}

bool Stream::WaitUntilDone(Lock& lock, int64_t timeout_ms) {
  const uint64_t target = issued_;
  const auto reached = [this, target] { return completed_ >= target; };
  if (timeout_ms < 0) {
    changed_.wait(lock, reached);
    return true;
  }
  return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), reached);
}

void Stream::Close(Lock& lock, bool drop) {
  dropping_ |= drop;
  closing_ = true;
  changed_.notify_all();
  if (!worker_.joinable()) return;
  std::thread worker = std::move(worker_);
  if (worker.get_id() == std::this_thread::get_id()) {  // a task ends the process
    worker.detach();
    return;
  }
  lock.unlock();
  worker.join();
  lock.lock();
}

aclError Stream::TakeFailure(std::string* text) {
  const aclError failure = failure_;
  *text = failure_text_;
  if (!failed_) failure_ = ACL_SUCCESS;
  return failure;
}

void Stream::Work() {
  Lock lock(Process::Get().mutex);
  for (;;) {
    changed_.wait(lock, [this] { return !tasks_.empty() || closing_; });
    if (tasks_.empty()) return;
    RunOne(lock);
  }
}

void Stream::RunOne(Lock& lock) {
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  if (task.always || !(failed_ || dropping_)) {
    lock.unlock();
    std::exception_ptr thrown;
    try {
      task.run();
    } catch (...) {
      thrown = std::current_exception();
    }
    task.run = nullptr;  // what it held goes outside the lock
    std::string text;
    const aclError status = thrown ? StatusOf(std::move(thrown), &text) : ACL_SUCCESS;
    lock.lock();
    if (status != ACL_SUCCESS && failure_ == ACL_SUCCESS) {
      failure_ = status;
      failure_text_ = task.name + " (task " + std::to_string(completed_ + 1) + " of stream " + std::to_string(number) +
                      ") failed: " + text;
      failed_ = stop_on_failure;
    }
  }
  ++completed_;
  changed_.notify_all();
}

aclError EnqueueWithUses(Stream& stream, const std::string& api, Task task, const std::vector<Use>& uses) {
  Process& process = Process::Get();
  Clock known = stream.clock;
  known.Join(process.host);
  std::vector<std::shared_ptr<Allocation>> allocations;
  for (const Use& use : uses) {
    std::string why;
    std::shared_ptr<Allocation> allocation = process.memory.Locate(use, &why);
    if (allocation == nullptr) return Misuse(ACL_ERROR_RT_PARAM_INVALID, api + ": " + why);
    if (allocation->kind == MemoryKind::kDevice && allocation->device != stream.device) {
      return Misuse(ACL_ERROR_RT_PARAM_INVALID, api + ": " + use.name + ": " + allocation->Describe() +
                                                    " is on device " + std::to_string(allocation->device) +
                                                    ", the stream on device " + std::to_string(stream.device));
    }
    const std::string conflict = MemoryTable::Conflict(*allocation, use, known);
    if (!conflict.empty()) {
      return Misuse(ACL_ERROR_RT_STREAM_NOT_COMPLETE, api + " on stream " + std::to_string(stream.number) + ": " +
                                                          use.name + ": no event orders it after " + conflict);
    }
    allocations.push_back(std::move(allocation));
  }
  const std::string name = task.name;
  stream.clock.Join(process.host);
  const uint64_t tick = stream.Enqueue(std::move(task));
  for (size_t i = 0; i < uses.size(); ++i) {
    MemoryTable::Note(*allocations[i], uses[i], stream.number, tick, name, process.host);
  }
  return ACL_SUCCESS;
}

}  // namespace ascend_sim::acl

using namespace ascend_sim::acl;

namespace {

aclError CreateStream(const char* api, aclrtStream* stream, uint32_t priority, uint32_t flag) {
  return WithContext(api, {{"stream", stream}}, [&](Process& process, Process::Lock&, const Context& context) {
    if (priority > 7) {
      return Fail(ACL_ERROR_INVALID_PARAM,
                  std::string(api) + ": priority: expected 0 to 7, got " + std::to_string(priority));
    }
    if ((flag & ~(ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC)) != 0) {
      return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": flag: unknown bits in " + std::to_string(flag));
    }
    *stream = process.streams.Add(process.NewStream(context));
    return ACL_SUCCESS;
  });
}

aclError RequireOtherThread(const char* api, const Stream& stream) {
  if (!stream.on_own_thread()) return ACL_SUCCESS;
  return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": called by a task of the stream itself");
}

aclError DestroyStream(const char* api, aclrtStream handle, bool drop) {
  // Not a default stream: that goes with its context.
  return WithStream(api, handle, {{"stream", handle}}, [&](Process& process, Process::Lock& lock, Stream& stream) {
    if (const aclError status = RequireOtherThread(api, stream)) return status;
    process.streams.Remove(handle, "was destroyed");
    process.CloseStream(lock, stream, drop);
    return ACL_SUCCESS;
  });
}

aclError Synchronise(const char* api, Process& process, Process::Lock& lock, Stream& stream, int64_t timeout) {
  if (const aclError status = RequireOtherThread(api, stream)) return status;
  const Clock clock = stream.clock;
  if (!stream.WaitUntilDone(lock, timeout)) {
    return Fail(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, std::string(api) + ": stream " + std::to_string(stream.number) +
                                                      " is not done after " + std::to_string(timeout) + " ms");
  }
  process.host.Join(clock);
  std::string text;
  const aclError failure = stream.TakeFailure(&text);
  return failure == ACL_SUCCESS ? ACL_SUCCESS : Fail(failure, std::string(api) + ": " + text);
}

aclError SynchroniseStream(const char* api, aclrtStream handle, int32_t timeout) {
  return WithStream(api, handle, {}, [&](Process& process, Process::Lock& lock, Stream& stream) {
    if (const aclError status = RequireTimeout(api, timeout)) return status;
    return Synchronise(api, process, lock, stream, timeout);
  });
}

aclError SynchroniseDevice(const char* api, int32_t timeout) {
  return WithContext(api, {}, [&](Process& process, Process::Lock& lock, const Context& context) {
    if (const aclError status = RequireTimeout(api, timeout)) return status;
    using std::chrono::milliseconds;
    const auto begin = std::chrono::steady_clock::now();
    aclError result = ACL_SUCCESS;
    for (const std::shared_ptr<Stream>& stream : process.StreamsOf(context.device)) {
      int64_t left = timeout;
      if (timeout > 0) {
        const auto spent = std::chrono::steady_clock::now() - begin;
        left = std::max<int64_t>(0, timeout - std::chrono::duration_cast<milliseconds>(spent).count());
      }
      const aclError status = Synchronise(api, process, lock, *stream, left);
      if (result == ACL_SUCCESS) result = status;
    }
    return result;
  });
}

}  // namespace

aclError aclrtCreateStream(aclrtStream* stream) { return CreateStream(__func__, stream, 0, 0); }
aclError aclrtCreateStreamWithConfig(aclrtStream* stream, uint32_t priority, uint32_t flag) {
  return CreateStream(__func__, stream, priority, flag);
}

aclError aclrtDestroyStream(aclrtStream stream) { return DestroyStream(__func__, stream, false); }
aclError aclrtDestroyStreamForce(aclrtStream stream) { return DestroyStream(__func__, stream, true); }

aclError aclrtSynchronizeStream(aclrtStream stream) { return SynchroniseStream(__func__, stream, -1); }
aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t timeout) {
  return SynchroniseStream(__func__, stream, timeout);
}
aclError aclrtSynchronizeDevice(void) { return SynchroniseDevice(__func__, -1); }
aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout) { return SynchroniseDevice(__func__, timeout); }

aclError aclrtStreamQuery(aclrtStream handle, aclrtStreamStatus* status) {
  return WithStream(__func__, handle, {{"status", status}}, [&](Process& process, Process::Lock&, Stream& stream) {
    *status = stream.done() ? ACL_STREAM_STATUS_COMPLETE : ACL_STREAM_STATUS_NOT_READY;
    if (stream.done()) process.host.Join(stream.clock);
    return ACL_SUCCESS;
  });
}

aclError aclrtStreamGetId(aclrtStream handle, int32_t* streamId) {
  return WithStream(__func__, handle, {{"streamId", streamId}}, [&](Process&, Process::Lock&, const Stream& stream) {
    *streamId = static_cast<int32_t>(stream.number);
    return ACL_SUCCESS;
  });
}

aclError aclrtSetStreamFailureMode(aclrtStream handle, uint64_t mode) {
  const char* const api = __func__;
  return WithStream(api, handle, {}, [&](Process&, Process::Lock&, Stream& stream) {
    if (mode != ACL_CONTINUE_ON_FAILURE && mode != ACL_STOP_ON_FAILURE) {
      return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": mode: expected 0 or 1, got " + std::to_string(mode));
    }
    stream.stop_on_failure = mode == ACL_STOP_ON_FAILURE;
    return ACL_SUCCESS;
  });
}
