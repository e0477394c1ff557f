// launch_npu.cpp on the simulator's ACL runtime. Prints nothing and returns 0 where all is well.
#include <acl/acl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "capture.h"
#include "launch.h"
#include "recording_kernels.h"

using npu_fa::LaunchPlan;

#define CHECK(condition)                                                   \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                        \
    }                                                                      \
  } while (false)

namespace {

constexpr uint64_t kWorkspace = 1 << 16;

LaunchPlan PlanFilledWith(uint8_t value) {
  LaunchPlan plan;
  plan.blob.assign(kRecordedBytes, value);
  plan.cores = 3;
  plan.workspace_bytes = kWorkspace;
  return plan;
}

struct DeviceMemory {
  explicit DeviceMemory(size_t bytes) : bytes(bytes) {
    CHECK(aclrtMalloc(&data, bytes + npu_fa::kGmAlignment, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_SUCCESS);
    aligned = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(data) + npu_fa::kGmAlignment - 1) /
                                         npu_fa::kGmAlignment * npu_fa::kGmAlignment);
  }
  ~DeviceMemory() { aclrtFree(data); }
  npu_fa::Buffer buffer() const { return {aligned, bytes}; }

  void* data = nullptr;
  uint8_t* aligned = nullptr;
  size_t bytes;
};

void CheckRecord(const uint8_t* on_device, uint8_t value) {
  std::vector<uint8_t> host(kRecordedBytes);
  CHECK(aclrtMemcpy(host.data(), host.size(), on_device, host.size(), ACL_MEMCPY_DEVICE_TO_HOST) == ACL_SUCCESS);
  for (const uint8_t byte : host) CHECK(byte == value);
}

// Many launches in flight on one work space, each plan gone when its launch returned: every kernel sees its own blob.
void LaunchMany(aclrtContext context, uint8_t seed) {
  constexpr int kLaunches = 40;
  CHECK(aclrtSetCurrentContext(context) == ACL_SUCCESS);
  aclrtStream stream = nullptr;
  CHECK(aclrtCreateStream(&stream) == ACL_SUCCESS);
  {
    const DeviceMemory workspace(kWorkspace), records(kLaunches * kRecordedBytes);
    for (int i = 0; i < kLaunches; ++i) {
      const npu_fa::Buffer record = {records.aligned + i * kRecordedBytes, kRecordedBytes};
      const LaunchPlan plan = PlanFilledWith(static_cast<uint8_t>(seed + i));
      if (i % 2 == 0) {
        npu_fa::ForwardBuffers buffers;
        buffers.out = record;
        npu_fa::LaunchForward(plan, buffers, workspace.buffer(), stream);
      } else {
        npu_fa::BackwardBuffers buffers;
        buffers.dq = record;
        npu_fa::LaunchBackward(plan, buffers, workspace.buffer(), stream);
      }
    }
    CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
    for (int i = 0; i < kLaunches; ++i)
      CheckRecord(records.aligned + i * kRecordedBytes, static_cast<uint8_t>(seed + i));
  }
  CHECK(aclrtDestroyStream(stream) == ACL_SUCCESS);
}

template <class Error, class Call>
std::string Refusal(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool Contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

void Refusals() {
  aclrtStream stream = nullptr;
  CHECK(aclrtCreateStream(&stream) == ACL_SUCCESS);
  {
    const DeviceMemory workspace(kWorkspace), record(kRecordedBytes);
    npu_fa::ForwardBuffers buffers;
    buffers.out = record.buffer();
    LaunchPlan plan = PlanFilledWith(1);
    npu_fa::Buffer small = workspace.buffer();
    small.bytes -= 1;
    CHECK(Contains(Refusal<std::invalid_argument>([&] { npu_fa::LaunchForward(plan, buffers, small, stream); }),
                   "workspace: expected 65536 bytes, got 65535"));
    plan.cores = kRefusedCores;
    CHECK(Contains(
        Refusal<npu_fa::LaunchError>([&] { npu_fa::LaunchForward(plan, buffers, workspace.buffer(), stream); }),
        "npu_fa_flash_attention_score: the launch returned 507000"));
    plan.cores = 3;
    npu_fa::Buffer host = workspace.buffer();
    std::vector<uint8_t> elsewhere(kWorkspace + npu_fa::kGmAlignment);
    host.data = elsewhere.data() +
                (npu_fa::kGmAlignment - reinterpret_cast<uintptr_t>(elsewhere.data()) % npu_fa::kGmAlignment);
    CHECK(Contains(Refusal<npu_fa::LaunchError>([&] { npu_fa::LaunchForward(plan, buffers, host, stream); }),
                   "aclrtMemcpyAsync: error"));
    // Afterwards everything works as before, in a captured stream too, whose page-locked memory is not used again.
    CaptureIsActive() = true;
    npu_fa::LaunchForward(PlanFilledWith(7), buffers, workspace.buffer(), stream);
    CaptureIsActive() = false;
    npu_fa::LaunchForward(PlanFilledWith(9), buffers, workspace.buffer(), stream);
    CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
    CheckRecord(record.aligned, 9);
  }
  CHECK(aclrtDestroyStream(stream) == ACL_SUCCESS);
}

}  // namespace

int main() {
  CHECK(aclInit(nullptr) == ACL_SUCCESS);
  CHECK(aclrtSetDevice(0) == ACL_SUCCESS);
  CHECK(npu_fa::LaunchSoc() == "Ascend910B2");
  aclrtContext context = nullptr;
  CHECK(aclrtGetCurrentContext(&context) == ACL_SUCCESS);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back(LaunchMany, context, static_cast<uint8_t>(50 * t));
  for (std::thread& thread : threads) thread.join();
  Refusals();
  return 0;
}
