// aclnn_threads THREADS CALLS: calls of several functions from many threads at once, each thread on a stream and on
// memory of its own; every result must be that of the same call made alone, bit for bit.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "api.h"

namespace {

using Sizes = std::vector<int64_t>;

void Check(int status, const char* what) {
  if (status == 0) return;
  const char* message = aclGetRecentErrMsg();
  std::fprintf(stderr, "%s: %d %s\n", what, status, message ? message : "");
  std::abort();
}

// A tensor in device memory, filled with float16 numbers of a sequence of its own.
struct Tensor {
  Sizes sizes;
  aclDataType dtype;
  uint64_t bytes = 0;
  void* data = nullptr;
  aclTensor* handle = nullptr;

  Tensor(const Sizes& s, aclDataType type, uint32_t seed) : sizes(s), dtype(type) {
    bytes = type == ACL_FLOAT ? 4 : 2;
    for (const int64_t size : s) bytes *= static_cast<uint64_t>(size);
    Check(aclrtMalloc(&data, bytes, ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
    std::vector<uint8_t> host(bytes);
    for (uint64_t i = 0; i + 1 < bytes; i += 2) {
      seed = seed * 1664525u + 1013904223u;
      const uint16_t half = static_cast<uint16_t>(0x3000u | (seed >> 20 & 0x83FFu));  // 0.125 to 0.25, either sign
      std::memcpy(&host[i], &half, 2);
    }
    Check(aclrtMemcpy(data, bytes, host.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE), "upload");
    Sizes strides(s.size(), 1);
    for (size_t i = s.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * s[i];
    handle = aclCreateTensor(s.data(), s.size(), type, strides.data(), 0, ACL_FORMAT_ND, s.data(), s.size(), data);
  }
  Tensor(const Tensor&) = delete;
  ~Tensor() {
    aclDestroyTensor(handle);
    aclrtFree(data);
  }
  std::vector<uint8_t> Bytes() const {
    std::vector<uint8_t> host(bytes);
    Check(aclrtMemcpy(host.data(), bytes, data, bytes, ACL_MEMCPY_DEVICE_TO_HOST), "download");
    return host;
  }
};

// Forward, then backward on its results, of problem number `kind`; returns the bytes of all outputs.
std::vector<uint8_t> Compute(int kind, aclrtStream stream) {
  const int64_t heads = 1 + kind % 3, rows = 17 + 16 * (kind % 4), columns = 30 + 9 * kind, depth = kind % 2 ? 64 : 40;
  const Sizes q = {1, heads, rows, depth}, k = {1, heads, columns, depth}, statistics = {1, heads, rows, 8};
  const uint32_t seed = static_cast<uint32_t>(kind);
  Tensor query(q, ACL_FLOAT16, seed), key(k, ACL_FLOAT16, seed + 1), value(k, ACL_FLOAT16, seed + 2);
  Tensor out(q, ACL_FLOAT16, 0), row_max(statistics, ACL_FLOAT, 0), row_sum(statistics, ACL_FLOAT, 0);
  Tensor dy(q, ACL_FLOAT16, seed + 3), dq(q, ACL_FLOAT16, 0), dk(k, ACL_FLOAT16, 0), dv(k, ACL_FLOAT16, 0);
  char layout[] = "BNSD";
  Handles h;
  h.tensors = {{"query", query.handle},
               {"key", key.handle},
               {"keyIn", key.handle},
               {"value", value.handle},
               {"softmaxMaxOut", row_max.handle},
               {"softmaxSumOut", row_sum.handle},
               {"attentionOut", out.handle},
               {"dy", dy.handle},
               {"softmaxMax", row_max.handle},
               {"softmaxSum", row_sum.handle},
               {"attentionIn", out.handle},
               {"dq", dq.handle},
               {"dk", dk.handle},
               {"dv", dv.handle}};
  h.numbers = {{"scaleValue", 0.25}, {"keepProb", 1.0}};
  h.integers = {{"preTokens", 2147483647}, {"nextTokens", 2147483647}, {"headNum", heads},
                {"innerPrecise", 0},       {"sparseMode", 0},          {"pseType", 1}};
  h.texts = {{"inputLayout", layout}};
  std::vector<void*> workspaces;
  for (const Function& function : AllFunctions()) {
    if (function.VarLen()) continue;
    const bool first = function.name.back() == 'e', second = function.name == "aclnnFlashAttentionScoreGradV2";
    if (!first && !second) continue;
    uint64_t size = 0;
    aclOpExecutor* executor = nullptr;
    Check(function.plan(h, &size, &executor), function.name.c_str());
    void* workspace = nullptr;
    if (size > 0) Check(aclrtMalloc(&workspace, size, ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
    workspaces.push_back(workspace);
    Check(function.launch(workspace, size, executor, stream), function.name.c_str());
    h.texts["inputLayout"] = layout;
  }
  Check(aclrtSynchronizeStream(stream), "aclrtSynchronizeStream");
  std::vector<uint8_t> all;
  for (const Tensor* output : {&out, &row_max, &row_sum, &dq, &dk, &dv}) {
    const std::vector<uint8_t> bytes = output->Bytes();
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  for (void* workspace : workspaces) aclrtFree(workspace);
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 8, calls = argc > 2 ? std::atoi(argv[2]) : 80;
  constexpr int kKinds = 10;
  Check(aclInit(nullptr), "aclInit");
  Check(aclrtSetDevice(0), "aclrtSetDevice");
  std::vector<std::vector<uint8_t>> expected;
  aclrtStream stream = nullptr;
  Check(aclrtCreateStream(&stream), "aclrtCreateStream");
  Check(aclrtCtxSetSysParamOpt(ACL_OPT_DETERMINISTIC, 1), "aclrtCtxSetSysParamOpt");
  for (int kind = 0; kind < kKinds; ++kind) expected.push_back(Compute(kind, stream));
  aclrtDestroyStream(stream);

  std::atomic<int> next{0}, differ{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i)
    workers.emplace_back([&] {
      Check(aclrtSetDevice(0), "aclrtSetDevice");
      aclrtStream own = nullptr;
      Check(aclrtCreateStream(&own), "aclrtCreateStream");
      // A forward and a backward are two calls.
      for (int call = next.fetch_add(2); call < calls; call = next.fetch_add(2)) {
        const int kind = call / 2 * 7 % kKinds;
        if (Compute(kind, own) != expected[kind]) ++differ;
      }
      aclrtDestroyStream(own);
      aclrtResetDevice(0);
    });
  for (std::thread& worker : workers) worker.join();
  aclrtResetDevice(0);
  aclFinalize();
  std::printf("%d threads, %d calls, %d different\n", threads, calls, differ.load());
  return differ.load() == 0 ? 0 : 1;
}
