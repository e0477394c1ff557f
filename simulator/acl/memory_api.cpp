// aclrtMalloc and its relatives, and copies: synchronous ones are the host's own accesses, the others tasks.
#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "acl/acl_rt.h"
#include "acl/api_call.h"
#include "acl/operator_layer.h"

namespace ascend_sim::acl {
namespace {

constexpr std::align_val_t kAlignment{512};
// New device memory is filled with this, so that what nobody wrote shows: NaN in every float format. Not beyond the
// limit, where touching all pages would cost more than it tells.
constexpr int kPattern = 0xFF;
constexpr uint64_t kPatternLimit = uint64_t{256} << 20;

aclError Allocate(const char* api, void** result, uint64_t bytes, MemoryKind kind) {
  return WithContext(api, {{"pointer", result}}, [&](Process& process, Process::Lock& lock, const Context& context) {
    if (bytes == 0) return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": size: expected 1 or more, got 0");
    auto allocation = std::make_shared<Allocation>();
    if (kind == MemoryKind::kDevice) {
      allocation->device = context.device;
      const uint64_t used = process.memory.DeviceBytes(context.device), total = process.soc->hbm_bytes;
      if (bytes > total - std::min(used, total)) {
        return Fail(ACL_ERROR_RT_MEMORY_ALLOCATION, std::string(api) + ": size: " + std::to_string(bytes) +
                                                        " bytes, with " + std::to_string(used) + " of " +
                                                        std::to_string(total) + " in use");
      }
    }
    allocation->name = std::string(api) + " " + std::to_string(process.NextNumber());
    allocation->kind = kind;
    allocation->bytes = bytes;
    lock.unlock();
    allocation->base = static_cast<uint8_t*>(::operator new(bytes, kAlignment, std::nothrow));
    if (allocation->base == nullptr) {
      return Fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
                  std::string(api) + ": size: the host has no " + std::to_string(bytes) + " bytes");
    }
    if (bytes <= kPatternLimit) std::memset(allocation->base, kPattern, bytes);
    *result = allocation->base;
    lock.lock();
    process.memory.Add(std::move(allocation));
    return ACL_SUCCESS;
  });
}

// The whole of an allocation as its end touches it.
Use All(const Allocation& allocation) { return {"memory", allocation.base, allocation.bytes, Access::kWrite}; }

// Takes memory out of the table, if it is what the caller may release and no task still uses it.
aclError Release(const char* api, const void* address, MemoryKind kind, const char* proper) {
  return Call(api, {{"pointer", address}}, [&]() -> aclError {
    Process& process = Process::Get();
    Process::Lock lock(process.mutex);
    const std::shared_ptr<Allocation> allocation = process.memory.Find(address);
    if (allocation == nullptr) {
      return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": " + process.memory.WhyNot(address));
    }
    if (allocation->kind != kind) {
      return Misuse(ACL_ERROR_RT_PARAM_INVALID,
                    std::string(api) + ": " + allocation->Describe() + " is no memory of " + proper);
    }
    if (allocation->base != address) {
      return Misuse(ACL_ERROR_RT_PARAM_INVALID,
                    std::string(api) + ": " + Hex(address) + " is not the beginning of " + allocation->Describe());
    }
    std::string conflict = MemoryTable::Conflict(*allocation, All(*allocation), process.host);
    if (conflict.empty() && allocation->copying > 0) {
      conflict = "a copy by another thread, which uses " + allocation->Describe();
    }
    if (!conflict.empty()) {
      return Misuse(ACL_ERROR_RT_MEMORY_FREE, std::string(api) + ": the host has not waited for " + conflict);
    }
    process.memory.Remove(allocation->base, std::string("was released by ") + api);
    lock.unlock();
    if (kind != MemoryKind::kForeign) FreeStorage(*allocation);
    return ACL_SUCCESS;
  });
}

struct Block {  // rows of a rectangle
  const void* begin;
  uint64_t pitch, width, height;
  uint64_t span() const { return width == 0 || height == 0 ? 0 : pitch * (height - 1) + width; }
};

bool WantsDevice(aclrtMemcpyKind kind, bool destination) {
  switch (kind) {
    case ACL_MEMCPY_HOST_TO_DEVICE:
    case ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE:
      return destination;
    case ACL_MEMCPY_DEVICE_TO_HOST:
      return !destination;
    default:
      return kind != ACL_MEMCPY_HOST_TO_HOST;
  }
}

// One side of a copy: device memory where the kind says so and host memory elsewhere, and within its bounds. Adds the
// use if the memory is the runtime's.
aclError CheckSide(Process& process, const char* api, const Use& use, aclrtMemcpyKind kind, bool destination,
                   std::vector<Use>* uses, std::vector<std::shared_ptr<Allocation>>* allocations) {
  const std::shared_ptr<Allocation> allocation = process.memory.Find(use.begin);
  const bool on_device = allocation != nullptr && allocation->on_device();
  if (kind != ACL_MEMCPY_DEFAULT) {
    std::string why;
    if (WantsDevice(kind, destination)) {
      if (process.memory.Locate(use, &why) == nullptr) {
        return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": " + why);
      }
    } else if (on_device) {
      return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": " + use.name +
                                                    ": expected host memory, got device memory of " +
                                                    allocation->Describe());
    }
  }
  if (allocation == nullptr) return ACL_SUCCESS;
  Use known = use;
  known.host_too = true;
  std::string why;
  if (process.memory.Locate(known, &why) == nullptr) {
    return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": " + why);
  }
  uses->push_back(known);
  allocations->push_back(allocation);
  return ACL_SUCCESS;
}

// Does what the host asks for at once, unless a task it has not waited for is in the way.
template <typename Work>
aclError OnHost(Process::Lock& lock, const char* api, const std::vector<Use>& uses,
                const std::vector<std::shared_ptr<Allocation>>& allocations, Work&& work) {
  Process& process = Process::Get();
  for (size_t i = 0; i < uses.size(); ++i) {
    const std::string conflict = MemoryTable::Conflict(*allocations[i], uses[i], process.host);
    if (!conflict.empty()) {
      return Misuse(ACL_ERROR_RT_STREAM_NOT_COMPLETE,
                    std::string(api) + ": " + uses[i].name + ": the host has not waited for " + conflict);
    }
  }
  for (const auto& allocation : allocations) ++allocation->copying;
  lock.unlock();
  work();
  lock.lock();
  for (const auto& allocation : allocations) --allocation->copying;
  return ACL_SUCCESS;
}

// `handle` null: at once; else on that stream.
template <typename Body>
aclError OnStreamOrHost(const char* api, const aclrtStream* handle, Pointers pointers, Body&& body) {
  return WithContext(api, pointers, [&](Process& process, Process::Lock& lock, const Context&) -> aclError {
    std::shared_ptr<Stream> stream;
    if (handle != nullptr) {
      if (const aclError status = RequireStream(process, api, *handle, &stream)) return status;
    }
    return body(process, lock, stream.get());
  });
}

aclError RequireFit(const char* api, const char* what, uint64_t bytes, const char* into, uint64_t limit) {
  if (bytes <= limit) return ACL_SUCCESS;
  return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": " + what + ": " + std::to_string(bytes) +
                                                " bytes do not fit into " + into + ", " + std::to_string(limit));
}

aclError Copy(const char* api, const Block& to, uint64_t to_bytes, const Block& from, aclrtMemcpyKind kind,
              const aclrtStream* handle) {
  const Pointers pointers = {{"dst", to.begin}, {"src", from.begin}};
  return OnStreamOrHost(api, handle, pointers, [&](Process& process, Process::Lock& lock, Stream* stream) -> aclError {
    if (kind < ACL_MEMCPY_HOST_TO_HOST || kind > ACL_MEMCPY_INTER_DEVICE_TO_DEVICE) {
      return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": kind: unknown value " + std::to_string(kind));
    }
    if (const aclError status = RequireFit(api, "count", to.span(), "destMax", to_bytes)) return status;
    if (to.span() == 0) return ACL_SUCCESS;
    std::vector<Use> uses;
    std::vector<std::shared_ptr<Allocation>> allocations;
    const Use dst{"dst", to.begin, to.span(), Access::kWrite}, src{"src", from.begin, from.span(), Access::kRead};
    if (const aclError status = CheckSide(process, api, dst, kind, true, &uses, &allocations)) return status;
    if (const aclError status = CheckSide(process, api, src, kind, false, &uses, &allocations)) return status;
    const auto work = [to, from] {
      auto* row = static_cast<uint8_t*>(const_cast<void*>(to.begin));
      const auto* source = static_cast<const uint8_t*>(from.begin);
      for (uint64_t i = 0; i < to.height; ++i) std::memmove(row + i * to.pitch, source + i * from.pitch, to.width);
    };
    if (stream == nullptr) return OnHost(lock, api, uses, allocations, work);
    return EnqueueWithUses(*stream, api, {api, work}, uses);
  });
}

aclError Fill(const char* api, void* address, uint64_t limit, int32_t value, uint64_t bytes,
              const aclrtStream* handle) {
  const Pointers pointers = {{"devPtr", address}};
  return OnStreamOrHost(api, handle, pointers, [&](Process& process, Process::Lock& lock, Stream* stream) -> aclError {
    if (const aclError status = RequireFit(api, "count", bytes, "maxCount", limit)) return status;
    if (bytes == 0) return ACL_SUCCESS;
    const Use use{"devPtr", address, bytes, Access::kWrite};
    std::string why;
    const std::shared_ptr<Allocation> allocation = process.memory.Locate(use, &why);
    if (allocation == nullptr) return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": " + why);
    const auto work = [address, value, bytes] { std::memset(address, value, bytes); };
    if (stream == nullptr) return OnHost(lock, api, {use}, {allocation}, work);
    return EnqueueWithUses(*stream, api, {api, work}, {use});
  });
}

Block Row(const void* begin, uint64_t bytes) { return {begin, bytes, bytes, 1}; }

aclError Copy2d(const char* api, void* dst, size_t dpitch, const void* src, size_t spitch, size_t width, size_t height,
                aclrtMemcpyKind kind, const aclrtStream* stream) {
  uint64_t last = 0;
  if (width > dpitch || width > spitch || __builtin_mul_overflow(std::max(dpitch, spitch), height, &last)) {
    return Fail(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": width " + std::to_string(width) + ", height " +
                                                std::to_string(height) + " do not fit pitches " +
                                                std::to_string(dpitch) + " and " + std::to_string(spitch));
  }
  const Block to{dst, dpitch, width, height}, from{src, spitch, width, height};
  return Copy(api, to, to.span(), from, kind, stream);
}

// Cache maintenance: nothing to do here but to find out whether the range is device memory.
aclError CacheRange(const char* api, const void* address, uint64_t bytes) {
  return WithProcess(api, {{"devPtr", address}}, [&](Process& process, Process::Lock&) -> aclError {
    std::string why;
    if (process.memory.Locate({"devPtr", address, bytes, Access::kRead}, &why) != nullptr) return ACL_SUCCESS;
    return Misuse(ACL_ERROR_RT_PARAM_INVALID, std::string(api) + ": " + why);
  });
}

}  // namespace

void FreeStorage(const Allocation& allocation) { ::operator delete(allocation.base, kAlignment); }

aclError RegisterDeviceMemory(void* address, uint64_t bytes, const std::string& name) {
  const char* const api = __func__;
  return Call(api, {{"address", address}}, [&]() -> aclError {
    if (bytes == 0) return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": " + name + ": no bytes");
    auto allocation = std::make_shared<Allocation>();
    allocation->name = name;
    allocation->kind = MemoryKind::kForeign;
    allocation->base = static_cast<uint8_t*>(address);
    allocation->bytes = bytes;
    Process& process = Process::Get();
    const Process::Lock lock(process.mutex);
    if (process.memory.Overlaps(address, bytes)) {
      return Misuse(ACL_ERROR_RT_PARAM_INVALID,
                    std::string(api) + ": " + allocation->Describe() + " overlaps memory known already");
    }
    process.memory.Add(std::move(allocation));
    return ACL_SUCCESS;
  });
}

aclError UnregisterDeviceMemory(void* address) {
  return Release(__func__, address, MemoryKind::kForeign, "RegisterDeviceMemory");
}

bool IsDeviceMemory(const void* address, uint64_t bytes, std::string* why) {
  Process& process = Process::Get();
  const Process::Lock lock(process.mutex);
  return process.memory.Locate({"memory", address, bytes, Access::kRead}, why) != nullptr;
}

}  // namespace ascend_sim::acl

using namespace ascend_sim::acl;

aclError aclrtMalloc(void** devPtr, size_t size, aclrtMemMallocPolicy) {
  return Allocate(__func__, devPtr, size, MemoryKind::kDevice);
}
aclError aclrtMallocAlign32(void** devPtr, size_t size, aclrtMemMallocPolicy) {
  return Allocate(__func__, devPtr, size, MemoryKind::kDevice);
}
aclError aclrtMallocCached(void** devPtr, size_t size, aclrtMemMallocPolicy) {
  return Allocate(__func__, devPtr, size, MemoryKind::kDevice);
}
aclError aclrtMallocHost(void** hostPtr, size_t size) { return Allocate(__func__, hostPtr, size, MemoryKind::kHost); }

aclError aclrtFree(void* devPtr) { return Release(__func__, devPtr, MemoryKind::kDevice, "aclrtMalloc"); }
aclError aclrtFreeHost(void* hostPtr) { return Release(__func__, hostPtr, MemoryKind::kHost, "aclrtMallocHost"); }

aclError aclrtMemFlush(void* devPtr, size_t size) { return CacheRange(__func__, devPtr, size); }
aclError aclrtMemInvalidate(void* devPtr, size_t size) { return CacheRange(__func__, devPtr, size); }

aclError aclrtPointerGetAttributes(const void* ptr, aclrtPtrAttributes* attributes) {
  const Pointers pointers = {{"ptr", ptr}, {"attributes", attributes}};
  return WithContext(__func__, pointers, [&](Process& process, Process::Lock&, const Context&) {
    const std::shared_ptr<Allocation> allocation = process.memory.Find(ptr);
    const bool on_device = allocation != nullptr && allocation->on_device();
    *attributes = {};
    attributes->location.type = on_device ? ACL_MEM_LOCATION_TYPE_DEVICE : ACL_MEM_LOCATION_TYPE_HOST;
    if (on_device && allocation->device >= 0) attributes->location.id = static_cast<uint32_t>(allocation->device);
    return ACL_SUCCESS;
  });
}

aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t* free, size_t* total) {
  const Pointers pointers = {{"free", free}, {"total", total}};
  return WithContext(__func__, pointers, [&](Process& process, Process::Lock&, const Context& context) {
    const bool hbm = attr == ACL_HBM_MEM || attr == ACL_HBM_MEM_HUGE || attr == ACL_HBM_MEM_NORMAL;
    *total = hbm ? process.soc->hbm_bytes : 0;
    *free = hbm ? *total - process.memory.DeviceBytes(context.device) : 0;
    return ACL_SUCCESS;
  });
}

aclError aclrtMemcpy(void* dst, size_t destMax, const void* src, size_t count, aclrtMemcpyKind kind) {
  return Copy(__func__, Row(dst, count), destMax, Row(src, count), kind, nullptr);
}
aclError aclrtMemcpyAsync(void* dst, size_t destMax, const void* src, size_t count, aclrtMemcpyKind kind,
                          aclrtStream stream) {
  return Copy(__func__, Row(dst, count), destMax, Row(src, count), kind, &stream);
}
aclError aclrtMemcpy2d(void* dst, size_t dpitch, const void* src, size_t spitch, size_t width, size_t height,
                       aclrtMemcpyKind kind) {
  return Copy2d(__func__, dst, dpitch, src, spitch, width, height, kind, nullptr);
}
aclError aclrtMemcpy2dAsync(void* dst, size_t dpitch, const void* src, size_t spitch, size_t width, size_t height,
                            aclrtMemcpyKind kind, aclrtStream stream) {
  return Copy2d(__func__, dst, dpitch, src, spitch, width, height, kind, &stream);
}

aclError aclrtMemset(void* devPtr, size_t maxCount, int32_t value, size_t count) {
  return Fill(__func__, devPtr, maxCount, value, count, nullptr);
}
aclError aclrtMemsetAsync(void* devPtr, size_t maxCount, int32_t value, size_t count, aclrtStream stream) {
  return Fill(__func__, devPtr, maxCount, value, count, &stream);
}
