// Many threads and streams at the same time: the results are those of one thread, to the bit.
//
// threads.cpp THREADS CALLS: every thread uploads, scales and downloads CALLS vectors of its own on streams of its own,
// passing each through two streams by an event; all share one context.
#include <atomic>
#include <thread>

#include "aclnn_scale.h"
#include "case.h"

namespace {

std::vector<float> Input(int thread, int call) {
  std::vector<float> values(128);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(thread * 1000 + call) + 0.37f * i;
  return values;
}

double Factor(int thread, int call) { return 1.0 / (3 + thread + call % 7); }

// Both phases of the operator.
void ScaleOnStream(void* x, double factor, void* y, int64_t count, void* workspace, uint64_t bytes,
                   aclrtStream stream) {
  aclTensor *from = Vector(x, count), *to = Vector(y, count);
  uint64_t size = 0;
  aclOpExecutor* executor = nullptr;
  EXPECT(0, aclnnScaleGetWorkspaceSize(from, factor, to, &size, &executor));
  CHECK(size <= bytes);
  EXPECT(0, aclnnScale(workspace, size, executor, stream));
  EXPECT(0, aclDestroyTensor(from));
  EXPECT(0, aclDestroyTensor(to));
}

void Work(int thread, int calls, aclrtContext context, std::vector<std::vector<float>>* results) {
  EXPECT(0, aclrtSetCurrentContext(context));
  const aclrtStream upload = Stream(), compute = Stream();
  aclrtEvent ready = nullptr;
  EXPECT(0, aclrtCreateEvent(&ready));
  for (int call = 0; call < calls; ++call) {
    const std::vector<float> values = Input(thread, call);
    void *x = Malloc(512), *y = Malloc(512), *workspace = Malloc(512);
    EXPECT(0, aclrtMemcpyAsync(x, 512, values.data(), 512, ACL_MEMCPY_HOST_TO_DEVICE, upload));
    EXPECT(0, aclrtRecordEvent(ready, upload));
    EXPECT(0, aclrtStreamWaitEvent(compute, ready));
    ScaleOnStream(x, Factor(thread, call), y, 128, workspace, 512, compute);
    EXPECT(0, aclrtSynchronizeStream(compute));
    (*results)[call] = Download(y, 128);
    for (void* memory : {x, y, workspace}) EXPECT(0, aclrtFree(memory));
  }
  EXPECT(0, aclrtDestroyEvent(ready));
  EXPECT(0, aclrtDestroyStream(upload));
  EXPECT(0, aclrtDestroyStream(compute));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const int threads = std::atoi(arguments[1]), calls = std::atoi(arguments[2]);
  Session session;
  aclrtContext context = nullptr;
  EXPECT(0, aclrtGetCurrentContext(&context));
  using Results = std::vector<std::vector<float>>;
  std::vector<Results> together(threads, Results(calls)), alone(threads, Results(calls));
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) workers.emplace_back(Work, i, calls, context, &together[i]);
  // Meanwhile, another context of the same device, and handles that come and go.
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over) {
      aclrtContext own = nullptr;
      EXPECT(0, aclrtCreateContext(&own, 0));
      const aclrtStream stream = Stream();
      void* memory = Malloc(64);
      EXPECT(0, aclrtMemsetAsync(memory, 64, 0, 64, stream));
      EXPECT(0, aclrtDestroyStream(stream));
      EXPECT(0, aclrtFree(memory));
      EXPECT(0, aclrtDestroyContext(own));
    }
  });
  for (std::thread& worker : workers) worker.join();
  over = true;
  other.join();
  for (int i = 0; i < threads; ++i) Work(i, calls, context, &alone[i]);
  CHECK(together == alone);
  CHECK(alone[0][0][1] == Input(0, 0)[1] * static_cast<float>(Factor(0, 0)));
  session.Close();
  std::printf("%d calls agree\n", threads * calls);
  return 0;
}
