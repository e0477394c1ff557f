// Memory the runtime knows: what aclrtMalloc and aclrtMallocHost gave out, and the caller's own where it was registered
// as device memory. Device memory is the host's here, so that kernels can run on it; the table keeps the two apart.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "acl/acl_base.h"
#include "acl/order.h"

namespace ascend_sim::acl {

enum class Access { kRead, kWrite };  // kWrite: reads or writes

// Bytes a task touches.
struct Use {
  std::string name;  // as messages print it: "query"
  const void* begin = nullptr;
  uint64_t bytes = 0;
  Access access = Access::kRead;
  bool host_too = false;  // memory of aclrtMallocHost will do
};

enum class MemoryKind { kDevice, kForeign, kHost };  // kForeign: device memory that belongs to somebody else

struct Allocation {
  struct Touch {  // by a task that the host has not waited for
    uint64_t begin, end;
    Access access;
    uint64_t stream, tick;
    std::string task;
  };

  std::string name;  // "aclrtMalloc 3"
  MemoryKind kind = MemoryKind::kDevice;
  int32_t device = -1;  // kDevice only
  uint8_t* base = nullptr;
  uint64_t bytes = 0;
  int copying = 0;  // copies of the host's that are under way
  std::vector<Touch> touches;

  bool on_device() const { return kind != MemoryKind::kHost; }
  std::string Describe() const;  // "aclrtMalloc 3 (4096 bytes at 0x...)"
};

// Gives back the bytes of memory that the runtime allocated.
void FreeStorage(const Allocation& allocation);

// Not synchronised: the process's mutex guards it.
class MemoryTable {
 public:
  // `base` has been allocated and does not overlap what is here.
  void Add(std::shared_ptr<Allocation> allocation);
  // `how` it ended: "was freed".
  void Remove(const void* base, const std::string& how);
  // The allocation that contains the address, or null.
  std::shared_ptr<Allocation> Find(const void* address) const;
  bool Overlaps(const void* base, uint64_t bytes) const;
  std::vector<std::shared_ptr<Allocation>> All() const;
  uint64_t DeviceBytes(int32_t device) const;  // of aclrtMalloc

  // The allocation that contains all of the use; else null and why not.
  std::shared_ptr<Allocation> Locate(const Use& use, std::string* why) const;
  // What is known about an address outside every allocation: "was freed: ...", "is not device memory".
  std::string WhyNot(const void* address) const;

  // The first access that `use` conflicts with and that `known` does not place before it: "work (task 3 of stream 1),
  // which writes ..."; empty if none.
  static std::string Conflict(const Allocation& allocation, const Use& use, const Clock& known);
  static void Note(Allocation& allocation, const Use& use, uint64_t stream, uint64_t tick, const std::string& task,
                   const Clock& host);
  // The stream has ended and all of its tasks with it.
  void ForgetStream(uint64_t stream);

 private:
  struct Ended {
    const uint8_t* base;
    uint64_t bytes;
    std::string text;
  };
  std::map<const uint8_t*, std::shared_ptr<Allocation>> live_;
  std::deque<Ended> ended_;
  std::map<int32_t, uint64_t> device_bytes_;
};

}  // namespace ascend_sim::acl
