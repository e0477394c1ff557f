// Start and end of the process's use of the ACL, its messages, and devices.
#include <cstdarg>
#include <cstdio>
#include <fstream>

#include "acl/acl.h"
#include "acl/api_call.h"
#include "acl/operator_layer.h"
#include "aclnn/aclnn_base.h"
#include "aclnn/opdev/op_errno.h"

using namespace ascend_sim::acl;

namespace {

const ascend_sim::Soc* FindChip(const std::string& name) {
  for (const ascend_sim::Soc& soc : ascend_sim::SocTable()) {
    if (name == soc.name) return &soc;
  }
  return nullptr;
}

aclError Initialise(const char* api, const char* configPath, bool by_operator_library) {
  return Call(api, {}, [&]() -> aclError {
    if (configPath != nullptr && *configPath != '\0' && !std::ifstream(configPath).good()) {
      return Fail(ACL_ERROR_INVALID_FILE, std::string(api) + ": configPath: cannot read " + configPath);
    }
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (process.initialised) {
      return Fail(ACL_ERROR_REPEAT_INITIALIZE, std::string(api) + ": the process is initialised already");
    }
    process.soc = FindChip(SocName());
    if (process.soc == nullptr) {
      return Fail(ACL_ERROR_RT_SOC_VERSION,
                  std::string(api) + ": ASCEND_SIMULATOR_SOC: expected a chip the simulator knows, got " + SocName());
    }
    process.devices.assign(static_cast<size_t>(DeviceCount()), Device{});
    process.initialised = true;
    process.by_operator_library = by_operator_library;
    return ACL_SUCCESS;
  });
}

aclError Finalise(const char* api) {
  return Call(api, {}, [&]() -> aclError {
    Process& process = Process::Get();
    Process::Lock lock(process.mutex);
    if (!process.initialised) {
      return Misuse(process.finalised ? ACL_ERROR_REPEAT_FINALIZE : ACL_ERROR_UNINITIALIZE,
                    std::string(api) + ": the process is not initialised");
    }
    process.initialised = false;
    process.finalised = true;
    std::vector<std::string> leaks;
    process.CloseAll(lock, std::string("was released by ") + api, &leaks);
    process.options.clear();
    ReportLeaks(api, leaks);
    return ACL_SUCCESS;
  });
}

aclError ResetDevice(const char* api, int32_t device, bool force) {
  return WithDevice(api, device, {}, [&](Process& process, Process::Lock& lock) {
    uint64_t& count = process.devices[device].set_count;
    if (count == 0) {
      return Fail(ACL_ERROR_RT_CONTEXT_NULL,
                  std::string(api) + ": device " + std::to_string(device) + " is not set, or was reset already");
    }
    if (--count > 0 && !force) return ACL_SUCCESS;
    std::vector<std::string> leaks;
    process.CloseDevice(lock, device, std::string("was released by ") + api, &leaks);
    ReportLeaks(api, leaks);
    return ACL_SUCCESS;
  });
}

}  // namespace

aclError aclInit(const char* configPath) { return Initialise(__func__, configPath, false); }
aclError aclFinalize() { return Finalise(__func__); }

aclnnStatus aclnnInit(const char* configPath) {
  {
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (process.initialised) return ACLNN_SUCCESS;
  }
  const aclError status = Initialise(__func__, configPath, true);
  return status == ACL_ERROR_REPEAT_INITIALIZE ? ACLNN_SUCCESS : status;
}

aclnnStatus aclnnFinalize() {
  {
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (!process.by_operator_library) return ACLNN_SUCCESS;
    process.by_operator_library = false;
  }
  return Finalise(__func__);
}

aclError aclrtGetVersion(int32_t* majorVersion, int32_t* minorVersion, int32_t* patchVersion) {
  const Pointers pointers = {
      {"majorVersion", majorVersion}, {"minorVersion", minorVersion}, {"patchVersion", patchVersion}};
  return Call(__func__, pointers, [&] {
    *majorVersion = ACL_MAJOR_VERSION;
    *minorVersion = ACL_MINOR_VERSION;
    *patchVersion = ACL_PATCH_VERSION;
    return ACL_SUCCESS;
  });
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
  const ascend_sim::Soc* const soc = FindChip(SocName());
  return soc == nullptr ? nullptr : soc->name;
}

aclError aclGetDeviceCapability(uint32_t deviceId, aclDeviceInfo deviceInfo, int64_t* value) {
  const char* const api = __func__;
  const int32_t device = static_cast<int32_t>(deviceId);
  return WithDevice(api, device, {{"value", value}}, [&](Process& process, Process::Lock&) {
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

aclError aclrtGetDeviceCount(uint32_t* count) {
  return WithProcess(__func__, {{"count", count}}, [&](Process& process, Process::Lock&) {
    *count = static_cast<uint32_t>(process.devices.size());
    return ACL_SUCCESS;
  });
}

aclError aclrtSetDevice(int32_t deviceId) {
  return WithDevice(__func__, deviceId, {}, [&](Process& process, Process::Lock&) {
    Device& device = process.devices[deviceId];
    if (device.default_context == nullptr) device.default_context = process.OpenContext(deviceId, true);
    ++device.set_count;
    SetCurrentContext(*device.default_context);
    return ACL_SUCCESS;
  });
}

aclError aclrtResetDevice(int32_t deviceId) { return ResetDevice(__func__, deviceId, false); }
aclError aclrtResetDeviceForce(int32_t deviceId) { return ResetDevice(__func__, deviceId, true); }

aclError aclrtGetDevice(int32_t* deviceId) {
  return WithContext(__func__, {{"deviceId", deviceId}}, [&](Process&, Process::Lock&, const Context& context) {
    *deviceId = context.device;
    return ACL_SUCCESS;
  });
}

aclError aclrtGetRunMode(aclrtRunMode* runMode) {
  return Call(__func__, {{"runMode", runMode}}, [&] {
    *runMode = ACL_HOST;
    return ACL_SUCCESS;
  });
}

aclError aclrtQueryDeviceStatus(int32_t deviceId, aclrtDeviceStatus* deviceStatus) {
  return WithDevice(__func__, deviceId, {{"deviceStatus", deviceStatus}}, [&](Process&, Process::Lock&) {
    *deviceStatus = ACL_RT_DEVICE_STATUS_NORMAL;
    return ACL_SUCCESS;
  });
}
