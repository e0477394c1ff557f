// Tells AddressSanitizer and ThreadSanitizer when a thread changes to a fiber's stack and back. Nothing in other
// builds.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
// Of functions that begin on one stack and end on another: their entry and exit, which are counted, would not pair.
#define ASCEND_SIM_NO_THREAD_SANITIZER __attribute__((no_sanitize("thread")))
#else
#define ASCEND_SIM_NO_THREAD_SANITIZER
#endif

namespace ascend_sim {

#if defined(__SANITIZE_ADDRESS__)

class FiberSanitizer {
 public:
  void Create(void* stack, size_t bytes) {
    stack_ = stack;
    bytes_ = bytes;
  }
  void Destroy() {}
  void BeforeResume() { __sanitizer_start_switch_fiber(&outside_frames_, stack_, bytes_); }
  void AfterResume() { __sanitizer_finish_switch_fiber(outside_frames_, nullptr, nullptr); }
  void AfterStart() { __sanitizer_finish_switch_fiber(nullptr, &outside_, &outside_bytes_); }
  void BeforeSuspend() { __sanitizer_start_switch_fiber(&frames_, outside_, outside_bytes_); }
  void AfterSuspend() { __sanitizer_finish_switch_fiber(frames_, &outside_, &outside_bytes_); }
  void BeforeEnd() { __sanitizer_start_switch_fiber(nullptr, outside_, outside_bytes_); }

 private:
  void* stack_ = nullptr;
  size_t bytes_ = 0;
  const void* outside_ = nullptr;  // the stack of whoever resumed
  size_t outside_bytes_ = 0;
  void* outside_frames_ = nullptr;
  void* frames_ = nullptr;
};

#elif defined(__SANITIZE_THREAD__)

class FiberSanitizer {
 public:
  void Create(void*, size_t) { fiber_ = __tsan_create_fiber(0); }
  void Destroy() { __tsan_destroy_fiber(fiber_); }
  ASCEND_SIM_NO_THREAD_SANITIZER void BeforeResume() {
    outside_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber_, 0);
  }
  void AfterResume() {}
  void AfterStart() {}
  ASCEND_SIM_NO_THREAD_SANITIZER void BeforeSuspend() { __tsan_switch_to_fiber(outside_, 0); }
  void AfterSuspend() {}
  ASCEND_SIM_NO_THREAD_SANITIZER void BeforeEnd() { __tsan_switch_to_fiber(outside_, 0); }

 private:
  void* fiber_ = nullptr;
  void* outside_ = nullptr;
};

#else

class FiberSanitizer {
 public:
  void Create(void*, size_t) {}
  void Destroy() {}
  void BeforeResume() {}
  void AfterResume() {}
  void AfterStart() {}
  void BeforeSuspend() {}
  void AfterSuspend() {}
  void BeforeEnd() {}
};

#endif

}  // namespace ascend_sim
