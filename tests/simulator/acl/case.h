// Cases of an executable: `program NAME` runs one in a process of its own.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "acl/acl.h"
#include "aclnn/acl_meta.h"

using Case = void (*)();
inline std::map<std::string, Case>& Cases() {
  static std::map<std::string, Case> cases;
  return cases;
}

#define CASE(name)                                            \
  static void name();                                         \
  static const bool name##_entered = (Cases()[#name] = name); \
  static void name()

[[noreturn]] inline void Failed(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::_Exit(1);
}

#define CHECK(condition) \
  if (!(condition)) Failed(__FILE__, __LINE__, "expected " #condition)

// The status of a call.
#define EXPECT(status, ...)                                                                                 \
  do {                                                                                                      \
    const int got_ = (__VA_ARGS__);                                                                         \
    if (got_ != (status)) {                                                                                 \
      const char* message_ = aclGetRecentErrMsg();                                                          \
      Failed(__FILE__, __LINE__,                                                                            \
             #__VA_ARGS__ ": expected " + std::to_string(status) + ", got " + std::to_string(got_) + ": " + \
                 (message_ == nullptr ? "" : message_));                                                    \
    }                                                                                                       \
  } while (0)

// The status of a call that is refused, and words of its message.
#define REFUSED(status, words, ...)                                                                       \
  do {                                                                                                    \
    aclGetRecentErrMsg();                                                                                 \
    EXPECT(status, __VA_ARGS__);                                                                          \
    const char* told_ = aclGetRecentErrMsg();                                                             \
    const std::string text_ = told_ == nullptr ? "" : told_;                                              \
    if (text_.find(words) == std::string::npos) Failed(__FILE__, __LINE__, "the message says: " + text_); \
  } while (0)

// Initialised, device 0 set; Close undoes it.
struct Session {
  Session() {
    EXPECT(0, aclInit(nullptr));
    EXPECT(0, aclrtSetDevice(0));
  }
  void Close() {
    EXPECT(0, aclrtResetDevice(0));
    EXPECT(0, aclFinalize());
  }
};

inline void* Malloc(size_t bytes) {
  void* memory = nullptr;
  EXPECT(0, aclrtMalloc(&memory, bytes, ACL_MEM_MALLOC_HUGE_FIRST));
  return memory;
}

inline void* Upload(const std::vector<float>& values) {
  void* memory = Malloc(values.size() * 4);
  EXPECT(0, aclrtMemcpy(memory, values.size() * 4, values.data(), values.size() * 4, ACL_MEMCPY_HOST_TO_DEVICE));
  return memory;
}

inline std::vector<float> Download(const void* memory, size_t count) {
  std::vector<float> values(count);
  EXPECT(0, aclrtMemcpy(values.data(), count * 4, memory, count * 4, ACL_MEMCPY_DEVICE_TO_HOST));
  return values;
}

inline aclTensor* Vector(void* memory, int64_t count) {
  return aclCreateTensor(&count, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, &count, 1, memory);
}

inline aclrtStream Stream() {
  aclrtStream stream = nullptr;
  EXPECT(0, aclrtCreateStream(&stream));
  return stream;
}

inline int RunCase(int count, char** arguments) {
  if (count != 2 || Cases().count(arguments[1]) == 0) {
    for (const auto& entry : Cases()) std::puts(entry.first.c_str());
    return 2;
  }
  Cases()[arguments[1]]();
  return 0;
}
