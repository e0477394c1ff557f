// Events: marks in a stream that the host and other streams can wait for.
#include <chrono>
#include <utility>

#include "acl/acl_rt.h"
#include "acl/process.h"

namespace ascend_sim::acl {
namespace {

constexpr uint32_t kAllFlags =
    ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS | ACL_EVENT_TIME_LINE | ACL_EVENT_EXTERNAL;

aclError CreateEvent(const char* api, aclrtEvent* event, uint32_t flags) {
  return Call(api, [&]() -> aclError {
    if (const aclError status = RequireArgument(api, "event", event)) return status;
    if (flags == 0 || (flags & ~kAllFlags) != 0) {
      return Fail(ACL_ERROR_INVALID_PARAM,
                  std::string(api) + ": flag: expected bits of ACL_EVENT_*, got " + std::to_string(flags));
    }
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Context> context;
    if (const aclError status = RequireContext(process, api, &context)) return status;
    auto created = std::make_shared<Event>();
    created->number = process.NextNumber();
    created->device = context->device;
    created->flags = flags;
    *event = process.events.Add(std::move(created));
    return ACL_SUCCESS;
  });
}

aclError RequireEvent(Process& process, const char* api, aclrtEvent handle, std::shared_ptr<Event>* event) {
  if (const aclError status = RequireInitialised(process, api)) return status;
  if (const aclError status = RequireArgument(api, "event", handle)) return status;
  *event = process.events.Find(handle);
  if (*event != nullptr) return ACL_SUCCESS;
  return Misuse(ACL_ERROR_RT_INVALID_HANDLE, std::string(api) + ": " + process.events.WhyNot(handle));
}

aclError RequireEventAndStream(Process& process, const char* api, aclrtEvent event_handle,
                               std::shared_ptr<Event>* event, aclrtStream stream_handle,
                               std::shared_ptr<Stream>* stream) {
  if (const aclError status = RequireStream(process, api, stream_handle, stream)) return status;
  if (const aclError status = RequireEvent(process, api, event_handle, event)) return status;
  if ((*event)->device == (*stream)->device) return ACL_SUCCESS;
  return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": event " + std::to_string((*event)->number) +
                                                " is of device " + std::to_string((*event)->device) +
                                                ", the stream of device " + std::to_string((*stream)->device));
}

aclError RequireRecorded(const char* api, const Event& event) {
  if (event.recorded) return ACL_SUCCESS;
  return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": event " + std::to_string(event.number) +
                                                " was not recorded; there is nothing to wait for");
}

bool Complete(const Event& event) { return event.recorded && event.completed == event.requested; }

// The host has seen that the event is complete.
void Seen(Process& process, const Event& event) { process.host.Join(event.clock); }

template <typename Status>
aclError Query(const char* api, aclrtEvent handle, Status* status, Status yes, Status no) {
  return Call(api, [&]() -> aclError {
    if (const aclError refused = RequireArgument(api, "status", status)) return refused;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Event> event;
    if (const aclError refused = RequireEvent(process, api, handle, &event)) return refused;
    *status = Complete(*event) ? yes : no;
    if (Complete(*event)) Seen(process, *event);
    return ACL_SUCCESS;
  });
}

aclError Synchronise(const char* api, aclrtEvent handle, int32_t timeout) {
  return Call(api, [&]() -> aclError {
    if (timeout < -1) {
      return Fail(ACL_ERROR_INVALID_PARAM,
                  std::string(api) + ": timeout: expected -1 or more, got " + std::to_string(timeout));
    }
    Process& process = Process::Get();
    Process::Lock lock(process.mutex);
    std::shared_ptr<Event> event;
    if (const aclError status = RequireEvent(process, api, handle, &event)) return status;
    if (const aclError status = RequireRecorded(api, *event)) return status;
    const uint64_t target = event->requested;
    const Clock clock = event->clock;
    const auto reached = [&] { return event->completed >= target; };
    if (timeout < 0) {
      process.event_completed.wait(lock, reached);
    } else if (!process.event_completed.wait_for(lock, std::chrono::milliseconds(timeout), reached)) {
      return Fail(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, std::string(api) + ": event " + std::to_string(event->number) +
                                                       " is not complete after " + std::to_string(timeout) + " ms");
    }
    process.host.Join(clock);
    return ACL_SUCCESS;
  });
}

aclError RequireTime(const char* api, const Event& event) {
  if ((event.flags & ACL_EVENT_TIME_LINE) == 0) {
    return Fail(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, std::string(api) + ": event " + std::to_string(event.number) +
                                                          " was created without ACL_EVENT_TIME_LINE");
  }
  if (Complete(event)) return ACL_SUCCESS;
  return Fail(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, std::string(api) + ": event " + std::to_string(event.number) +
                                                        (event.recorded ? " is not complete" : " was not recorded"));
}

}  // namespace
}  // namespace ascend_sim::acl

using namespace ascend_sim::acl;

aclError aclrtCreateEvent(aclrtEvent* event) { return CreateEvent("aclrtCreateEvent", event, kAllFlags); }
aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) {
  return CreateEvent("aclrtCreateEventWithFlag", event, flag);
}
aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) {
  return CreateEvent("aclrtCreateEventExWithFlag", event, flag);
}

aclError aclrtDestroyEvent(aclrtEvent handle) {
  return Call("aclrtDestroyEvent", [&]() -> aclError {
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Event> event;
    if (const aclError status = RequireEvent(process, "aclrtDestroyEvent", handle, &event)) return status;
    process.events.Remove(handle, "was destroyed");  // tasks that name it keep it
    return ACL_SUCCESS;
  });
}

aclError aclrtRecordEvent(aclrtEvent event_handle, aclrtStream stream_handle) {
  return Call("aclrtRecordEvent", [&]() -> aclError {
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Event> event;
    std::shared_ptr<Stream> stream;
    if (const aclError status =
            RequireEventAndStream(process, "aclrtRecordEvent", event_handle, &event, stream_handle, &stream)) {
      return status;
    }
    const uint64_t record = ++event->requested;
    event->recorded = true;
    stream->clock.Join(process.host);
    Task task{"aclrtRecordEvent", nullptr, true};
    task.run = [&process, event, record] {
      const auto now = std::chrono::steady_clock::now().time_since_epoch();
      const Process::Lock task_lock(process.mutex);
      event->completed = std::max(event->completed, record);
      event->time_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
      process.event_completed.notify_all();
    };
    stream->Enqueue(std::move(task));
    event->clock = stream->clock;
    return ACL_SUCCESS;
  });
}

aclError aclrtStreamWaitEvent(aclrtStream stream_handle, aclrtEvent event_handle) {
  return Call("aclrtStreamWaitEvent", [&]() -> aclError {
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Event> event;
    std::shared_ptr<Stream> stream;
    if (const aclError status =
            RequireEventAndStream(process, "aclrtStreamWaitEvent", event_handle, &event, stream_handle, &stream)) {
      return status;
    }
    if (const aclError status = RequireRecorded("aclrtStreamWaitEvent", *event)) return status;
    ++event->waiting;
    Task task{"aclrtStreamWaitEvent", nullptr, true};
    task.run = [&process, event, record = event->requested] {
      Process::Lock task_lock(process.mutex);
      process.event_completed.wait(task_lock, [&] { return event->completed >= record; });
      --event->waiting;
    };
    stream->Enqueue(std::move(task));
    stream->clock.Join(event->clock);
    return ACL_SUCCESS;
  });
}

aclError aclrtResetEvent(aclrtEvent event_handle, aclrtStream stream_handle) {
  return Call("aclrtResetEvent", [&]() -> aclError {
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Event> event;
    std::shared_ptr<Stream> stream;
    if (const aclError status =
            RequireEventAndStream(process, "aclrtResetEvent", event_handle, &event, stream_handle, &stream)) {
      return status;
    }
    event->recorded = false;
    return ACL_SUCCESS;
  });
}

aclError aclrtQueryEvent(aclrtEvent event, aclrtEventStatus* status) {
  return Query("aclrtQueryEvent", event, status, ACL_EVENT_STATUS_COMPLETE, ACL_EVENT_STATUS_NOT_READY);
}
aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus* status) {
  return Query("aclrtQueryEventStatus", event, status, ACL_EVENT_RECORDED_STATUS_COMPLETE,
               ACL_EVENT_RECORDED_STATUS_NOT_READY);
}

aclError aclrtQueryEventWaitStatus(aclrtEvent handle, aclrtEventWaitStatus* status) {
  const char* const api = "aclrtQueryEventWaitStatus";
  return Call(api, [&]() -> aclError {
    if (const aclError refused = RequireArgument(api, "status", status)) return refused;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Event> event;
    if (const aclError refused = RequireEvent(process, api, handle, &event)) return refused;
    *status = event->waiting == 0 ? ACL_EVENT_WAIT_STATUS_COMPLETE : ACL_EVENT_WAIT_STATUS_NOT_READY;
    return ACL_SUCCESS;
  });
}

aclError aclrtSynchronizeEvent(aclrtEvent event) { return Synchronise("aclrtSynchronizeEvent", event, -1); }
aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t timeout) {
  return Synchronise("aclrtSynchronizeEventWithTimeout", event, timeout);
}

aclError aclrtEventElapsedTime(float* ms, aclrtEvent startEvent, aclrtEvent endEvent) {
  const char* const api = "aclrtEventElapsedTime";
  return Call(api, [&]() -> aclError {
    if (const aclError status = RequireArgument(api, "ms", ms)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Event> start, end;
    if (const aclError status = RequireEvent(process, api, startEvent, &start)) return status;
    if (const aclError status = RequireEvent(process, api, endEvent, &end)) return status;
    if (const aclError status = RequireTime(api, *start)) return status;
    if (const aclError status = RequireTime(api, *end)) return status;
    if (end->time_ns < start->time_ns) {
      return Fail(ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL, std::string(api) + ": endEvent completed before startEvent");
    }
    *ms = static_cast<float>(static_cast<double>(end->time_ns - start->time_ns) * 1e-6);
    return ACL_SUCCESS;
  });
}

aclError aclrtEventGetTimestamp(aclrtEvent handle, uint64_t* timestamp) {
  const char* const api = "aclrtEventGetTimestamp";
  return Call(api, [&]() -> aclError {
    if (const aclError status = RequireArgument(api, "timestamp", timestamp)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Event> event;
    if (const aclError status = RequireEvent(process, api, handle, &event)) return status;
    if (const aclError status = RequireTime(api, *event)) return status;
    *timestamp = static_cast<uint64_t>(event->time_ns / 1000);
    return ACL_SUCCESS;
  });
}
