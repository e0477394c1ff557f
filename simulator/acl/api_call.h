// How the functions of the API begin: arguments that are there, a process that is initialised, a context, a stream.
#pragma once

#include <exception>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>

#include "acl/process.h"

namespace ascend_sim::acl {

// A pointer the caller must give, and its name.
struct Pointer {
  const char* name;
  const void* value;
};
using Pointers = std::initializer_list<Pointer>;

// Runs a body that returns a status: exceptions become statuses, failures the thread's last error.
template <typename Body>
aclError Call(const char* api, Pointers pointers, Body&& body) {
  aclError status = ACL_SUCCESS;
  try {
    for (const Pointer& pointer : pointers) {
      if (pointer.value != nullptr || status != ACL_SUCCESS) continue;
      status = Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": " + pointer.name + " is null");
    }
    if (status == ACL_SUCCESS) status = body();
  } catch (const std::bad_alloc&) {
    status = Fail(ACL_ERROR_BAD_ALLOC, std::string(api) + ": the host is out of memory");
  } catch (const std::exception& error) {
    status = Fail(ACL_ERROR_INTERNAL_ERROR, std::string(api) + ": " + error.what());
  }
  if (status != ACL_SUCCESS) LastError() = status;
  return status;
}

// The same between aclInit and aclFinalize; body(process, lock).
template <typename Body>
aclError WithProcess(const char* api, Pointers pointers, Body&& body) {
  return Call(api, pointers, [&]() -> aclError {
    Process& process = Process::Get();
    Process::Lock lock(process.mutex);
    if (const aclError status = RequireInitialised(process, api)) return status;
    return body(process, lock);
  });
}

// With a device that exists; body(process, lock).
template <typename Body>
aclError WithDevice(const char* api, int32_t device, Pointers pointers, Body&& body) {
  return WithProcess(api, pointers, [&](Process& process, Process::Lock& lock) -> aclError {
    if (device >= 0 && static_cast<size_t>(device) < process.devices.size()) return body(process, lock);
    return Fail(ACL_ERROR_RT_INVALID_DEVICEID, std::string(api) + ": device: expected 0 to " +
                                                   std::to_string(process.devices.size() - 1) + ", got " +
                                                   std::to_string(device));
  });
}

// With a current context; body(process, lock, context).
template <typename Body>
aclError WithContext(const char* api, Pointers pointers, Body&& body) {
  return WithProcess(api, pointers, [&](Process& process, Process::Lock& lock) -> aclError {
    std::shared_ptr<Context> context;
    if (const aclError status = RequireContext(process, api, &context)) return status;
    return body(process, lock, *context);
  });
}

// With a stream of the current context; body(process, lock, stream).
template <typename Body>
aclError WithStream(const char* api, aclrtStream handle, Pointers pointers, Body&& body) {
  return WithProcess(api, pointers, [&](Process& process, Process::Lock& lock) -> aclError {
    std::shared_ptr<Stream> stream;
    if (const aclError status = RequireStream(process, api, handle, &stream)) return status;
    return body(process, lock, *stream);
  });
}

inline aclError RequireTimeout(const char* api, int32_t timeout) {
  if (timeout >= -1) return ACL_SUCCESS;
  return Fail(ACL_ERROR_INVALID_PARAM,
              std::string(api) + ": timeout: expected -1 or more, got " + std::to_string(timeout));
}

}  // namespace ascend_sim::acl
