// fuzz.cpp SEED CALLS: random calls with living, stale, null and made-up arguments. Every call must return, with one of
// the statuses that docs/acl.md gives it, and a refused one with a message.
#include <memory>
#include <random>
#include <set>

#include "aclnn_scale.h"
#include "case.h"

namespace {

const std::set<int> kStatuses = {0,      100000, 107000, 107002, 107003, 107006, 107007, 107017, 107021, 161001,
                                 161002, 207001, 207002, 361001, 507004, 507007, 507015, 507035, 507046, 507047};

class Fuzz {
 public:
  explicit Fuzz(unsigned seed) : random_(seed), host_(kBytes) {
    EXPECT(0, aclInit(nullptr));
    EXPECT(0, aclrtSetDevice(0));
    for (auto* pool : {&streams_, &events_, &contexts_, &memory_, &pinned_, &tensors_, &executors_}) {
      pool->assign(4, nullptr);
    }
  }

  void Step() {
    if (++steps_ % 1000 == 0) EXPECT(0, aclrtResetDeviceForce(0));  // all that is in the pools is stale now
    if (steps_ % 20 == 0) EXPECT(0, aclrtSetDevice(0));             // back to a context that lives
    aclGetRecentErrMsg();
    const uint64_t which = Below(kCalls);
    const int status = Call(which);
    if (kStatuses.count(status) == 0) Failed(__FILE__, __LINE__, "call returned " + std::to_string(status));
    const char* message = aclGetRecentErrMsg();
    if ((status == 0) != (message == nullptr)) {
      Failed(__FILE__, __LINE__, "status " + std::to_string(status) + ", message " + (message ? message : "none"));
    }
    ++counts_[status == 0];
    if (status == 0) ++accepted_[which];
  }

  void Close() {
    EXPECT(0, aclFinalize());
    for (uint64_t which = 0; which < kCalls; ++which) {
      if (accepted_[which] == 0) std::printf("call %d was never accepted\n", static_cast<int>(which));
    }
    std::printf("%d calls accepted, %d refused\n", counts_[1], counts_[0]);
  }

 private:
  using Pool = std::vector<void*>;
  static constexpr uint64_t kBytes = 4096, kCalls = 34;

  uint64_t Below(uint64_t end) { return std::uniform_int_distribution<uint64_t>(0, end - 1)(random_); }
  // A slot of a pool; what was there is forgotten only when it is written, so that much in the pools is stale.
  void** Slot(Pool& pool) { return &pool[Below(pool.size())]; }
  // Mostly of the right pool, else of any.
  void* Any(Pool& pool) {
    if (Below(16) != 0) return *Slot(pool);
    Pool* const pools[] = {&streams_, &events_, &contexts_, &memory_, &pinned_, &tensors_, &executors_};
    switch (Below(3)) {
      case 0:
        return *Slot(*pools[Below(7)]);
      case 1:
        return host_.data();
      default:
        return nullptr;
    }
  }
  void* Device() {
    auto* memory = static_cast<char*>(Any(memory_));
    return memory == nullptr || Below(3) != 0 ? memory : memory + Below(kBytes);
  }
  // Host memory that really is some; everything else is for the runtime to find out.
  void* Host() { return host_.data(); }
  uint64_t Count() { return Below(4) == 0 ? Below(2 * kBytes) : Below(128); }

  int Copy(bool async) {
    const bool up = Below(2) == 0;
    const uint64_t count = Count() % kBytes, limit = Below(8) == 0 ? Below(kBytes) : kBytes;
    void* dst = up ? Device() : Host();
    const void* src = up ? Host() : Device();
    aclrtMemcpyKind kind = up ? ACL_MEMCPY_HOST_TO_DEVICE : ACL_MEMCPY_DEVICE_TO_HOST;
    if (Below(8) == 0) {
      kind = ACL_MEMCPY_DEVICE_TO_DEVICE;
      dst = Device();
      src = Device();
    }
    if (async) return aclrtMemcpyAsync(dst, limit, src, count, kind, Any(streams_));
    return aclrtMemcpy(dst, limit, src, count, kind);
  }

  int Call(uint64_t which) {
    uint64_t size = 0;
    float ms = 0;
    switch (which) {
      case 0:
        return aclrtCreateStream(Slot(streams_));
      case 1:
        return aclrtDestroyStream(Any(streams_));
      case 2:
        return aclrtDestroyStreamForce(Any(streams_));
      case 3:
      case 4:
        return aclrtSynchronizeStream(Any(streams_));
      case 5:
        return aclrtSynchronizeStreamWithTimeout(Any(streams_), static_cast<int32_t>(Below(5)) - 2);
      case 6: {
        aclrtStreamStatus status;
        return aclrtStreamQuery(Any(streams_), &status);
      }
      case 7:
        return aclrtCreateEventWithFlag(Slot(events_),
                                        Below(4) == 0 ? static_cast<uint32_t>(Below(128)) : ACL_EVENT_TIME_LINE);
      case 8:
        return aclrtDestroyEvent(Any(events_));
      case 9:
        return aclrtRecordEvent(Any(events_), Any(streams_));
      case 10:
        return aclrtStreamWaitEvent(Any(streams_), Any(events_));
      case 11:
        return aclrtSynchronizeEventWithTimeout(Any(events_), 1000);
      case 12:
        return aclrtResetEvent(Any(events_), Any(streams_));
      case 13: {
        void* const start = Any(events_);
        return aclrtEventElapsedTime(&ms, start, Below(2) == 0 ? start : Any(events_));
      }
      case 14:
        return aclrtCreateContext(Slot(contexts_), static_cast<int32_t>(Below(1)));
      case 15:
        return aclrtDestroyContext(Any(contexts_));
      case 16:
        return aclrtSetCurrentContext(Any(contexts_));
      case 17:
        return aclrtGetCurrentContext(Slot(contexts_));
      case 18:
      case 19:
        return aclrtMalloc(Slot(memory_), Count(), ACL_MEM_MALLOC_HUGE_FIRST);
      case 20:
        return aclrtFree(Device());
      case 21:
        return aclrtMallocHost(Slot(pinned_), Count());
      case 22:
        return aclrtFreeHost(Any(pinned_));
      case 23:
      case 24:
        return Copy(false);
      case 25:
      case 26:
        return Copy(true);
      case 27:
        return aclrtMemsetAsync(Device(), kBytes, 0, Count(), Any(streams_));
      case 28: {
        const int64_t dims[] = {static_cast<int64_t>(Below(4)) * 64}, stride[] = {static_cast<int64_t>(Below(3))};
        *Slot(tensors_) =
            aclCreateTensor(dims, 1, ACL_FLOAT, Below(4) == 0 ? stride : nullptr, 0, ACL_FORMAT_ND, dims, 1, Device());
        return 0;
      }
      case 29:
        return Below(4) == 0 ? aclDestroyTensor(static_cast<aclTensor*>(*Slot(tensors_))) : 0;
      case 30:
        return aclnnScaleGetWorkspaceSize(static_cast<aclTensor*>(Any(tensors_)), 2.0,
                                          static_cast<aclTensor*>(Any(tensors_)), &size,
                                          reinterpret_cast<aclOpExecutor**>(Slot(executors_)));
      case 31:
        return aclSetAclOpExecutorRepeatable(static_cast<aclOpExecutor*>(Any(executors_)));
      case 32:
        return aclDestroyAclOpExecutor(static_cast<aclOpExecutor*>(Any(executors_)));
      default:
        return aclnnScale(Device(), Count(), static_cast<aclOpExecutor*>(Any(executors_)), Any(streams_));
    }
  }

  std::mt19937 random_;
  std::vector<char> host_;
  Pool streams_, events_, contexts_, memory_, pinned_, tensors_, executors_;
  int accepted_[kCalls] = {};
  int steps_ = 0, counts_[2] = {0, 0};
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  Fuzz fuzz(static_cast<unsigned>(std::atoi(arguments[1])));
  for (int i = std::atoi(arguments[2]); i > 0; --i) fuzz.Step();
  fuzz.Close();
  return 0;
}
