#include "acl/process.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>

#include "acl/acl.h"
#include "acl/operator_layer.h"
#include "acl/tensor.h"
#include "aclnn/aclnn_base.h"
#include "aclnn/opdev/op_errno.h"
#include "machine/fault.h"

namespace ascend_sim::acl {
namespace {

// May have been destroyed since; the registry knows, and the number tells a new context at its address.
thread_local const void* current_context = nullptr;
thread_local uint64_t current_number = 0;

std::string Setting(const char* variable, const char* otherwise) {
  const char* value = std::getenv(variable);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

int32_t DeviceCount() {
  const int count = std::atoi(Setting("ASCEND_SIMULATOR_DEVICES", "1").c_str());
  return std::clamp(count, 1, 64);
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

std::string SocName() { return Setting("ASCEND_SIMULATOR_SOC", "Ascend910B2"); }

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

using namespace ascend_sim::acl;

namespace {

aclError Initialise(const char* api, const char* configPath, bool by_operator_library) {
  return Call(api, [&]() -> aclError {
    if (configPath != nullptr && *configPath != '\0' && !std::ifstream(configPath).good()) {
      return Fail(ACL_ERROR_INVALID_FILE, std::string(api) + ": configPath: cannot read " + configPath);
    }
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (process.initialised) {
      return Fail(ACL_ERROR_REPEAT_INITIALIZE, std::string(api) + ": the process is initialised already");
    }
    try {
      process.soc = &ascend_sim::FindSoc(SocName());
    } catch (const ascend_sim::Fault& fault) {
      return Fail(ACL_ERROR_RT_SOC_VERSION, std::string(api) + ": ASCEND_SIMULATOR_SOC: " + fault.what());
    }
    process.devices.assign(DeviceCount(), Device{});
    process.initialised = true;
    process.by_operator_library = by_operator_library;
    return ACL_SUCCESS;
  });
}

aclError Finalise(const char* api) {
  return Call(api, [&]() -> aclError {
    Process& process = Process::Get();
    std::vector<std::string> leaks;
    {
      Process::Lock lock(process.mutex);
      if (!process.initialised) {
        return Misuse(process.finalised ? ACL_ERROR_REPEAT_FINALIZE : ACL_ERROR_UNINITIALIZE,
                      std::string(api) + ": the process is not initialised");
      }
      process.initialised = false;
      process.finalised = true;
      process.CloseAll(lock, std::string("was released by ") + api, &leaks);
      process.options.clear();
    }
    ReportLeaks(api, leaks);
    return ACL_SUCCESS;
  });
}

aclError RequireDevice(Process& process, const char* api, int32_t device) {
  if (const aclError status = RequireInitialised(process, api)) return status;
  if (device >= 0 && static_cast<size_t>(device) < process.devices.size()) return ACL_SUCCESS;
  return Fail(ACL_ERROR_RT_INVALID_DEVICEID, std::string(api) + ": device: expected 0 to " +
                                                 std::to_string(process.devices.size() - 1) + ", got " +
                                                 std::to_string(device));
}

aclError ResetDevice(const char* api, int32_t device, bool force) {
  return Call(api, [&]() -> aclError {
    Process& process = Process::Get();
    std::vector<std::string> leaks;
    {
      Process::Lock lock(process.mutex);
      if (const aclError status = RequireDevice(process, api, device)) return status;
      uint64_t& count = process.devices[device].set_count;
      if (count == 0) {
        return Fail(ACL_ERROR_RT_CONTEXT_NULL,
                    std::string(api) + ": device " + std::to_string(device) + " is not set, or was reset already");
      }
      if (--count > 0 && !force) return ACL_SUCCESS;
      process.CloseDevice(lock, device, std::string("was released by ") + api, &leaks);
    }
    ReportLeaks(api, leaks);
    return ACL_SUCCESS;
  });
}

aclError RequireOption(const char* api, aclSysParamOpt opt) {
  if (opt == ACL_OPT_DETERMINISTIC || opt == ACL_OPT_ENABLE_DEBUG_KERNEL) return ACL_SUCCESS;
  return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) +
                                           ": opt: expected ACL_OPT_DETERMINISTIC or "
                                           "ACL_OPT_ENABLE_DEBUG_KERNEL, got " +
                                           std::to_string(opt));
}

aclError RequireOptionValue(const char* api, aclSysParamOpt opt, int64_t value) {
  if (const aclError status = RequireOption(api, opt)) return status;
  if (value == 0 || value == 1) return ACL_SUCCESS;
  return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": value: expected 0 or 1, got " + std::to_string(value));
}

aclError GetOption(const char* api, const std::map<aclSysParamOpt, int64_t>& options, aclSysParamOpt opt,
                   int64_t* value) {
  const auto found = options.find(opt);
  if (found == options.end()) {
    return Fail(ACL_ERROR_RT_SYSPARAMOPT_NOT_SET, std::string(api) + ": the option was not set");
  }
  *value = found->second;
  return ACL_SUCCESS;
}

}  // namespace

aclError aclInit(const char* configPath) { return Initialise("aclInit", configPath, false); }
aclError aclFinalize() { return Finalise("aclFinalize"); }

aclnnStatus aclnnInit(const char* configPath) {
  {
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (process.initialised) return ACLNN_SUCCESS;
  }
  const aclError status = Initialise("aclnnInit", configPath, true);
  return status == ACL_ERROR_REPEAT_INITIALIZE ? ACLNN_SUCCESS : status;
}

aclnnStatus aclnnFinalize() {
  {
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (!process.by_operator_library) return ACLNN_SUCCESS;
    process.by_operator_library = false;
  }
  return Finalise("aclnnFinalize");
}

aclError aclrtGetVersion(int32_t* majorVersion, int32_t* minorVersion, int32_t* patchVersion) {
  if (majorVersion == nullptr || minorVersion == nullptr || patchVersion == nullptr) {
    return Fail(ACL_ERROR_INVALID_PARAM, "aclrtGetVersion: a result's address is null");
  }
  *majorVersion = ACL_MAJOR_VERSION;
  *minorVersion = ACL_MINOR_VERSION;
  *patchVersion = ACL_PATCH_VERSION;
  return ACL_SUCCESS;
}

const char* aclGetRecentErrMsg() { return TakeMessages(); }

aclError aclrtPeekAtLastError(aclrtLastErrLevel level) {
  return level == ACL_RT_THREAD_LEVEL ? LastError() : ACL_ERROR_INVALID_PARAM;
}

aclError aclrtGetLastError(aclrtLastErrLevel level) {
  const aclError error = aclrtPeekAtLastError(level);
  LastError() = ACL_SUCCESS;
  return error;
}

void aclAppLog(aclLogLevel logLevel, const char* func, const char* file, uint32_t line, const char* fmt, ...) {
  static const char* const kLevels[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
  if (fmt == nullptr || logLevel < ACL_DEBUG || logLevel > ACL_ERROR) return;
  char text[1024];
  va_list arguments;
  va_start(arguments, fmt);
  std::vsnprintf(text, sizeof(text), fmt, arguments);
  va_end(arguments);
  std::fprintf(stderr, "[%s] %s:%u %s: %s\n", kLevels[logLevel], file == nullptr ? "" : file, line,
               func == nullptr ? "" : func, text);
}

const char* aclrtGetSocName() {
  Process& process = Process::Get();
  const Process::Lock lock(process.mutex);
  if (process.soc != nullptr) return process.soc->name;
  for (const ascend_sim::Soc& soc : ascend_sim::SocTable()) {
    if (SocName() == soc.name) return soc.name;
  }
  return nullptr;
}

aclError aclGetDeviceCapability(uint32_t deviceId, aclDeviceInfo deviceInfo, int64_t* value) {
  const char* const api = "aclGetDeviceCapability";
  return Call(api, [&]() -> aclError {
    if (const aclError status = RequireArgument(api, "value", value)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (const aclError status = RequireDevice(process, api, static_cast<int32_t>(deviceId))) return status;
    switch (deviceInfo) {
      case ACL_DEVICE_INFO_AI_CORE_NUM:
        *value = process.soc->aic_count;
        return ACL_SUCCESS;
      case ACL_DEVICE_INFO_VECTOR_CORE_NUM:
        *value = process.soc->aiv_count;
        return ACL_SUCCESS;
      case ACL_DEVICE_INFO_L2_SIZE:
        *value = static_cast<int64_t>(process.soc->l2_bytes);
        return ACL_SUCCESS;
      default:
        return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": deviceInfo: unknown value");
    }
  });
}

// ---------------------------------------------------------------------------------------------------------------
// Devices

aclError aclrtGetDeviceCount(uint32_t* count) {
  return Call("aclrtGetDeviceCount", [&]() -> aclError {
    if (const aclError status = RequireArgument("aclrtGetDeviceCount", "count", count)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (const aclError status = RequireInitialised(process, "aclrtGetDeviceCount")) return status;
    *count = static_cast<uint32_t>(process.devices.size());
    return ACL_SUCCESS;
  });
}

aclError aclrtSetDevice(int32_t deviceId) {
  return Call("aclrtSetDevice", [&]() -> aclError {
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (const aclError status = RequireDevice(process, "aclrtSetDevice", deviceId)) return status;
    Device& device = process.devices[deviceId];
    if (device.default_context == nullptr) device.default_context = process.OpenContext(deviceId, true);
    ++device.set_count;
    SetCurrentContext(*device.default_context);
    return ACL_SUCCESS;
  });
}

aclError aclrtResetDevice(int32_t deviceId) { return ResetDevice("aclrtResetDevice", deviceId, false); }
aclError aclrtResetDeviceForce(int32_t deviceId) { return ResetDevice("aclrtResetDeviceForce", deviceId, true); }

aclError aclrtGetDevice(int32_t* deviceId) {
  return Call("aclrtGetDevice", [&]() -> aclError {
    if (const aclError status = RequireArgument("aclrtGetDevice", "deviceId", deviceId)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Context> context;
    if (const aclError status = RequireContext(process, "aclrtGetDevice", &context)) return status;
    *deviceId = context->device;
    return ACL_SUCCESS;
  });
}

aclError aclrtGetRunMode(aclrtRunMode* runMode) {
  return Call("aclrtGetRunMode", [&]() -> aclError {
    if (const aclError status = RequireArgument("aclrtGetRunMode", "runMode", runMode)) return status;
    *runMode = ACL_HOST;
    return ACL_SUCCESS;
  });
}

aclError aclrtQueryDeviceStatus(int32_t deviceId, aclrtDeviceStatus* deviceStatus) {
  return Call("aclrtQueryDeviceStatus", [&]() -> aclError {
    if (const aclError status = RequireArgument("aclrtQueryDeviceStatus", "deviceStatus", deviceStatus)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (const aclError status = RequireDevice(process, "aclrtQueryDeviceStatus", deviceId)) return status;
    *deviceStatus = ACL_RT_DEVICE_STATUS_NORMAL;
    return ACL_SUCCESS;
  });
}

// ---------------------------------------------------------------------------------------------------------------
// Contexts

aclError aclrtCreateContext(aclrtContext* context, int32_t deviceId) {
  return Call("aclrtCreateContext", [&]() -> aclError {
    if (const aclError status = RequireArgument("aclrtCreateContext", "context", context)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (const aclError status = RequireDevice(process, "aclrtCreateContext", deviceId)) return status;
    const std::shared_ptr<Context> created = process.OpenContext(deviceId, false);
    SetCurrentContext(*created);
    *context = created.get();
    return ACL_SUCCESS;
  });
}

aclError aclrtDestroyContext(aclrtContext handle) {
  const char* const api = "aclrtDestroyContext";
  return Call(api, [&]() -> aclError {
    if (const aclError status = RequireArgument(api, "context", handle)) return status;
    Process& process = Process::Get();
    std::vector<std::string> leaks;
    {
      Process::Lock lock(process.mutex);
      if (const aclError status = RequireInitialised(process, api)) return status;
      const std::shared_ptr<Context> context = process.contexts.Find(handle);
      if (context == nullptr) {
        return Misuse(ACL_ERROR_RT_INVALID_HANDLE, std::string(api) + ": " + process.contexts.WhyNot(handle));
      }
      if (context->is_default) {
        return Misuse(ACL_ERROR_RT_CONTEXT_RELEASE_ERROR,
                      std::string(api) + ": a default context ends with aclrtResetDevice");
      }
      process.CloseContext(lock, context, "was released by aclrtDestroyContext", &leaks);
    }
    ReportLeaks(api, leaks);
    return ACL_SUCCESS;
  });
}

aclError aclrtSetCurrentContext(aclrtContext handle) {
  const char* const api = "aclrtSetCurrentContext";
  return Call(api, [&]() -> aclError {
    if (const aclError status = RequireArgument(api, "context", handle)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (const aclError status = RequireInitialised(process, api)) return status;
    const std::shared_ptr<Context> context = process.contexts.Find(handle);
    if (context == nullptr) {
      return Misuse(ACL_ERROR_RT_INVALID_HANDLE, std::string(api) + ": " + process.contexts.WhyNot(handle));
    }
    SetCurrentContext(*context);
    return ACL_SUCCESS;
  });
}

aclError aclrtGetCurrentContext(aclrtContext* context) {
  return Call("aclrtGetCurrentContext", [&]() -> aclError {
    if (const aclError status = RequireArgument("aclrtGetCurrentContext", "context", context)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Context> current;
    if (const aclError status = RequireContext(process, "aclrtGetCurrentContext", &current)) return status;
    *context = current.get();
    return ACL_SUCCESS;
  });
}

// ---------------------------------------------------------------------------------------------------------------
// Options

aclError aclrtSetSysParamOpt(aclSysParamOpt opt, int64_t value) {
  return Call("aclrtSetSysParamOpt", [&]() -> aclError {
    if (const aclError status = RequireOptionValue("aclrtSetSysParamOpt", opt, value)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (const aclError status = RequireInitialised(process, "aclrtSetSysParamOpt")) return status;
    process.options[opt] = value;
    return ACL_SUCCESS;
  });
}

aclError aclrtGetSysParamOpt(aclSysParamOpt opt, int64_t* value) {
  return Call("aclrtGetSysParamOpt", [&]() -> aclError {
    if (const aclError status = RequireArgument("aclrtGetSysParamOpt", "value", value)) return status;
    if (const aclError status = RequireOption("aclrtGetSysParamOpt", opt)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    return GetOption("aclrtGetSysParamOpt", process.options, opt, value);
  });
}

aclError aclrtCtxSetSysParamOpt(aclSysParamOpt opt, int64_t value) {
  return Call("aclrtCtxSetSysParamOpt", [&]() -> aclError {
    if (const aclError status = RequireOptionValue("aclrtCtxSetSysParamOpt", opt, value)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Context> context;
    if (const aclError status = RequireContext(process, "aclrtCtxSetSysParamOpt", &context)) return status;
    context->options[opt] = value;
    return ACL_SUCCESS;
  });
}

aclError aclrtCtxGetSysParamOpt(aclSysParamOpt opt, int64_t* value) {
  return Call("aclrtCtxGetSysParamOpt", [&]() -> aclError {
    if (const aclError status = RequireArgument("aclrtCtxGetSysParamOpt", "value", value)) return status;
    if (const aclError status = RequireOption("aclrtCtxGetSysParamOpt", opt)) return status;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    std::shared_ptr<Context> context;
    if (const aclError status = RequireContext(process, "aclrtCtxGetSysParamOpt", &context)) return status;
    const auto& options = context->options.count(opt) != 0 ? context->options : process.options;
    return GetOption("aclrtCtxGetSysParamOpt", options, opt, value);
  });
}
