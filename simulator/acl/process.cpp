#include "acl/process.h"

#include <algorithm>
#include <cstdlib>

#include "acl/operator_layer.h"
#include "acl/tensor.h"

namespace ascend_sim::acl {
namespace {

// May have been destroyed since; the registry knows, and the number tells a new context at its address.
thread_local const void* current_context = nullptr;
thread_local uint64_t current_number = 0;

std::string Setting(const char* variable, const char* otherwise) {
  const char* value = std::getenv(variable);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

void AtExit() {
  Process& process = Process::Get();
  std::vector<std::string> leaks;
  {
    Process::Lock lock(process.mutex);
    process.CloseAll(lock, "was released at the end of the process", &leaks);
  }
  for (const std::string& object : LivingExecutors()) leaks.push_back(object);
  for (const std::string& object : LivingObjects()) leaks.push_back(object);
  ReportLeaks("the end of the process", leaks);
  ExitWithReports();
}

}  // namespace

// Never destroyed: streams have threads, and calls may come until the very end.
Process& Process::Get() {
  static Process& process = *new Process;
  return process;
}

Process::Process() {
  SocTable();  // is there before AtExit is registered, so it is still there when kernels end in it
  std::atexit(AtExit);
}

std::shared_ptr<Context> Process::OpenContext(int32_t device, bool is_default) {
  auto context = std::make_shared<Context>();
  context->number = NextNumber();
  context->device = device;
  context->is_default = is_default;
  context->default_stream = NewStream(*context);
  contexts.Add(context);
  return context;
}

std::shared_ptr<Stream> Process::NewStream(const Context& context) {
  return std::make_shared<Stream>(NextNumber(), context.number, context.device);
}

void Process::CloseStream(Lock& lock, Stream& stream, bool drop) {
  stream.Close(lock, drop);
  host.Join(stream.clock);
  // Nobody needs to know any more what it had done.
  memory.ForgetStream(stream.number);
  host.Forget(stream.number);
  for (const std::shared_ptr<Stream>& other : streams.All()) other->clock.Forget(stream.number);
  for (const std::shared_ptr<Context>& context : contexts.All()) context->default_stream->clock.Forget(stream.number);
  for (const std::shared_ptr<Event>& event : events.All()) event->clock.Forget(stream.number);
  std::string text;
  if (stream.TakeFailure(&text) != ACL_SUCCESS) AddMisuse("a failure that no synchronisation returned: " + text);
}

void Process::CloseContext(Lock& lock, const std::shared_ptr<Context>& context, const std::string& how,
                           std::vector<std::string>* leaks) {
  contexts.Remove(context.get(), how);  // first, so that nobody makes another stream while these end
  std::vector<std::shared_ptr<Stream>> ending = {context->default_stream};
  for (const std::shared_ptr<Stream>& stream : streams.All()) {
    if (stream->context != context->number) continue;
    leaks->push_back("stream " + std::to_string(stream->number) + " of device " + std::to_string(context->device));
    ending.push_back(streams.Remove(stream.get(), how));
  }
  for (const std::shared_ptr<Stream>& stream : ending) CloseStream(lock, *stream, false);
}

void Process::CloseDevice(Lock& lock, int32_t device, const std::string& how, std::vector<std::string>* leaks) {
  for (const std::shared_ptr<Context>& context : contexts.All()) {
    if (context->device != device) continue;
    if (!context->is_default) {
      leaks->push_back("context " + std::to_string(context->number) + " of device " + std::to_string(device));
    }
    CloseContext(lock, context, how, leaks);
  }
  devices[device] = Device{};
  for (const std::shared_ptr<Event>& event : events.All()) {
    if (event->device != device) continue;
    leaks->push_back("event " + std::to_string(event->number) + " of device " + std::to_string(device));
    events.Remove(event.get(), how);
  }
  for (const std::shared_ptr<Allocation>& allocation : memory.All()) {
    if (allocation->kind != MemoryKind::kDevice || allocation->device != device || allocation->copying > 0) continue;
    leaks->push_back("device memory: " + allocation->Describe());
    memory.Remove(allocation->base, how);
    FreeStorage(*allocation);
  }
}

void Process::CloseAll(Lock& lock, const std::string& how, std::vector<std::string>* leaks) {
  for (size_t device = 0; device < devices.size(); ++device) {
    CloseDevice(lock, static_cast<int32_t>(device), how, leaks);
  }
  for (const std::shared_ptr<Allocation>& allocation : memory.All()) {
    if (allocation->kind == MemoryKind::kHost && allocation->copying == 0) {
      leaks->push_back("host memory: " + allocation->Describe());
      memory.Remove(allocation->base, how);
      FreeStorage(*allocation);
    }
  }
}

std::vector<std::shared_ptr<Stream>> Process::StreamsOf(int32_t device) const {
  std::vector<std::shared_ptr<Stream>> result;
  for (const std::shared_ptr<Context>& context : contexts.All()) {
    if (context->device == device) result.push_back(context->default_stream);
  }
  for (const std::shared_ptr<Stream>& stream : streams.All()) {
    if (stream->device == device) result.push_back(stream);
  }
  return result;
}

std::shared_ptr<Context> CurrentContext(Process& process) {
  std::shared_ptr<Context> context = process.contexts.Find(current_context);
  return context != nullptr && context->number == current_number ? context : nullptr;
}

void SetCurrentContext(const Context& context) {
  current_context = &context;
  current_number = context.number;
}

aclError RequireInitialised(Process& process, const char* api) {
  if (process.initialised) return ACL_SUCCESS;
  const char* const state = process.finalised ? ": called after aclFinalize" : ": called before aclInit";
  return Misuse(ACL_ERROR_UNINITIALIZE, std::string(api) + state);
}

aclError RequireContext(Process& process, const char* api, std::shared_ptr<Context>* context) {
  if (const aclError status = RequireInitialised(process, api)) return status;
  *context = CurrentContext(process);
  if (*context != nullptr) return ACL_SUCCESS;
  std::string why = ": this thread has no current context; call aclrtSetDevice or aclrtSetCurrentContext first";
  if (current_context != nullptr) why = ": this thread's current " + process.contexts.WhyNot(current_context);
  return Fail(ACL_ERROR_RT_CONTEXT_NULL, api + why);
}

aclError RequireStream(Process& process, const char* api, aclrtStream handle, std::shared_ptr<Stream>* stream) {
  std::shared_ptr<Context> context;
  if (const aclError status = RequireContext(process, api, &context)) return status;
  *stream = handle == nullptr ? context->default_stream : process.streams.Find(handle);
  if (*stream == nullptr) {
    return Misuse(ACL_ERROR_RT_INVALID_HANDLE, std::string(api) + ": " + process.streams.WhyNot(handle));
  }
  if ((*stream)->context != context->number) {
    return Misuse(ACL_ERROR_RT_STREAM_CONTEXT, std::string(api) + ": stream " + std::to_string((*stream)->number) +
                                                   " belongs to context " + std::to_string((*stream)->context) +
                                                   ", this thread's current one is " + std::to_string(context->number));
  }
  return ACL_SUCCESS;
}

int DeviceCount() { return std::clamp(std::atoi(Setting("ASCEND_SIMULATOR_DEVICES", "1").c_str()), 1, 64); }

std::string SocName() { return DefaultSoc(); }

bool Deterministic() {
  Process& process = Process::Get();
  const Process::Lock lock(process.mutex);
  const std::shared_ptr<Context> context = CurrentContext(process);
  if (context != nullptr && context->options.count(ACL_OPT_DETERMINISTIC) != 0) {
    return context->options.at(ACL_OPT_DETERMINISTIC) != 0;
  }
  const auto found = process.options.find(ACL_OPT_DETERMINISTIC);
  return found != process.options.end() && found->second != 0;
}

}  // namespace ascend_sim::acl
