// Events: marks in a stream that the host and other streams can wait for.
#include <algorithm>
#include <chrono>
#include <utility>

#include "acl/acl_rt.h"
#include "acl/api_call.h"

namespace ascend_sim::acl {
namespace {

constexpr uint32_t kAllFlags =
    ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS | ACL_EVENT_TIME_LINE | ACL_EVENT_EXTERNAL;

aclError CreateEvent(const char* api, aclrtEvent* event, uint32_t flags) {
  return WithContext(api, {{"event", event}}, [&](Process& process, Process::Lock&, const Context& context) {
    if (flags == 0 || (flags & ~kAllFlags) != 0) {
      return Fail(ACL_ERROR_INVALID_PARAM,
                  std::string(api) + ": flag: expected bits of ACL_EVENT_*, got " + std::to_string(flags));
    }
    auto created = std::make_shared<Event>();
    created->number = process.NextNumber();
    created->device = context.device;
    created->flags = flags;
    *event = process.events.Add(std::move(created));
    return ACL_SUCCESS;
  });
}

aclError RequireEvent(Process& process, const char* api, aclrtEvent handle, std::shared_ptr<Event>* event) {
  *event = process.events.Find(handle);
  if (*event != nullptr) return ACL_SUCCESS;
  return Misuse(ACL_ERROR_RT_INVALID_HANDLE, std::string(api) + ": " + process.events.WhyNot(handle));
}

// body(process, lock, event)
template <typename Body>
aclError WithEvent(const char* api, aclrtEvent handle, Body&& body) {
  return WithProcess(api, {{"event", handle}}, [&](Process& process, Process::Lock& lock) -> aclError {
    std::shared_ptr<Event> event;
    if (const aclError status = RequireEvent(process, api, handle, &event)) return status;
    return body(process, lock, event);
  });
}

// body(process, event, stream), both of one device
template <typename Body>
aclError WithEventAndStream(const char* api, aclrtEvent event_handle, aclrtStream stream_handle, Body&& body) {
  return WithEvent(api, event_handle, [&](Process& process, Process::Lock&, const std::shared_ptr<Event>& event) {
    std::shared_ptr<Stream> stream;
    if (const aclError status = RequireStream(process, api, stream_handle, &stream)) return status;
    if (event->device == stream->device) return body(process, event, *stream);
    return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": event " + std::to_string(event->number) +
                                                  " is of device " + std::to_string(event->device) +
                                                  ", the stream of device " + std::to_string(stream->device));
  });
}

aclError RequireRecorded(const char* api, const Event& event) {
  if (event.recorded) return ACL_SUCCESS;
  return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": event " + std::to_string(event.number) +
                                                " was not recorded; there is nothing to wait for");
}

bool Complete(const Event& event) { return event.recorded && event.completed == event.requested; }

template <typename Status>
aclError Query(const char* api, aclrtEvent handle, Status* status, Status yes, Status no) {
  return WithEvent(api, handle, [&](Process& process, Process::Lock&, const std::shared_ptr<Event>& event) {
    if (status == nullptr) return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": status is null");
    *status = Complete(*event) ? yes : no;
    if (Complete(*event)) process.host.Join(event->clock);
    return ACL_SUCCESS;
  });
}

aclError Synchronise(const char* api, aclrtEvent handle, int32_t timeout) {
  return WithEvent(api, handle, [&](Process& process, Process::Lock& lock, const std::shared_ptr<Event>& event) {
    if (const aclError status = RequireTimeout(api, timeout)) return status;
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

aclError aclrtCreateEvent(aclrtEvent* event) { return CreateEvent(__func__, event, kAllFlags); }
aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) { return CreateEvent(__func__, event, flag); }
aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) { return CreateEvent(__func__, event, flag); }

aclError aclrtDestroyEvent(aclrtEvent handle) {
  return WithEvent(__func__, handle, [&](Process& process, Process::Lock&, const std::shared_ptr<Event>&) {
    process.events.Remove(handle, "was destroyed");  // tasks that name it keep it
    return ACL_SUCCESS;
  });
}

aclError aclrtRecordEvent(aclrtEvent event_handle, aclrtStream stream_handle) {
  return WithEventAndStream(__func__, event_handle, stream_handle,
                            [](Process& process, const std::shared_ptr<Event>& event, Stream& stream) -> aclError {
                              const uint64_t record = ++event->requested;
                              event->recorded = true;
                              stream.clock.Join(process.host);
                              Task task{"aclrtRecordEvent", nullptr, true};
                              task.run = [&process, event, record] {
                                const auto now = std::chrono::steady_clock::now().time_since_epoch();
                                const Process::Lock task_lock(process.mutex);
                                event->completed = std::max(event->completed, record);
                                event->time_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
                                process.event_completed.notify_all();
                              };
                              stream.Enqueue(std::move(task));
                              event->clock = stream.clock;
                              return ACL_SUCCESS;
                            });
}

aclError aclrtStreamWaitEvent(aclrtStream stream_handle, aclrtEvent event_handle) {
  const char* const api = __func__;
  return WithEventAndStream(api, event_handle, stream_handle,
                            [api](Process& process, const std::shared_ptr<Event>& event, Stream& stream) -> aclError {
                              if (const aclError status = RequireRecorded(api, *event)) return status;
                              Task task{"aclrtStreamWaitEvent", nullptr, true};
                              task.run = [&process, event, record = event->requested] {
                                Process::Lock task_lock(process.mutex);
                                process.event_completed.wait(task_lock, [&] { return event->completed >= record; });
                                --event->waiting;
                              };
                              stream.Enqueue(std::move(task));
                              ++event->waiting;
                              stream.clock.Join(event->clock);
                              return ACL_SUCCESS;
                            });
}

aclError aclrtResetEvent(aclrtEvent event_handle, aclrtStream stream_handle) {
  return WithEventAndStream(__func__, event_handle, stream_handle,
                            [](Process&, const std::shared_ptr<Event>& event, Stream&) -> aclError {
                              event->recorded = false;
                              return ACL_SUCCESS;
                            });
}

aclError aclrtQueryEvent(aclrtEvent event, aclrtEventStatus* status) {
  return Query(__func__, event, status, ACL_EVENT_STATUS_COMPLETE, ACL_EVENT_STATUS_NOT_READY);
}
aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus* status) {
  return Query(__func__, event, status, ACL_EVENT_RECORDED_STATUS_COMPLETE, ACL_EVENT_RECORDED_STATUS_NOT_READY);
}

aclError aclrtQueryEventWaitStatus(aclrtEvent handle, aclrtEventWaitStatus* status) {
  const char* const api = __func__;
  return WithEvent(api, handle, [&](Process&, Process::Lock&, const std::shared_ptr<Event>& event) {
    if (status == nullptr) return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": status is null");
    *status = event->waiting == 0 ? ACL_EVENT_WAIT_STATUS_COMPLETE : ACL_EVENT_WAIT_STATUS_NOT_READY;
    return ACL_SUCCESS;
  });
}

aclError aclrtSynchronizeEvent(aclrtEvent event) { return Synchronise(__func__, event, -1); }
aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t timeout) {
  return Synchronise(__func__, event, timeout);
}

aclError aclrtEventElapsedTime(float* ms, aclrtEvent startEvent, aclrtEvent endEvent) {
  const char* const api = __func__;
  const Pointers pointers = {{"ms", ms}, {"startEvent", startEvent}, {"endEvent", endEvent}};
  return WithProcess(api, pointers, [&](Process& process, Process::Lock&) -> aclError {
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
  const char* const api = __func__;
  return WithEvent(api, handle, [&](Process&, Process::Lock&, const std::shared_ptr<Event>& event) -> aclError {
    if (timestamp == nullptr) return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": timestamp is null");
    if (const aclError status = RequireTime(api, *event)) return status;
    *timestamp = static_cast<uint64_t>(event->time_ns / 1000);
    return ACL_SUCCESS;
  });
}
