// Wrong use: what is refused, with which status, and what the message names.
#include <cstring>
#include <stdexcept>
#include <thread>

#include "aclnn_scale.h"
#include "case.h"
#include "kernel_operator.h"
#include "machine/launch.h"
#include "tasks.h"

namespace {

void FaultyKernel() {
  using namespace AscendC;
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  TPipe pipe;
  TBuf<TPosition::VECCALC> buffer;
  pipe.InitBuffer(buffer, 256);
  LocalTensor<float> tile = buffer.Get<float>();
  Duplicate(tile, 1.0f, 64);
  Adds(tile, tile, 1.0f, 64);
}

void RunFaultyKernel() {
  ascend_sim::GmSpace gm;
  ascend_sim::Launch(FaultyKernel, gm, {});
}

}  // namespace

CASE(copies_outside_an_allocation) {
  Session session;
  auto* memory = static_cast<char*>(Malloc(100));
  std::vector<char> host(300);
  REFUSED(107000, "dst: bytes 0 to 101 reach beyond the end of aclrtMalloc",
          aclrtMemcpy(memory, 101, host.data(), 101, ACL_MEMCPY_HOST_TO_DEVICE));
  REFUSED(107000, "src: bytes 60 to 110 reach beyond the end of aclrtMalloc",
          aclrtMemcpy(host.data(), 300, memory + 60, 50, ACL_MEMCPY_DEVICE_TO_HOST));
  REFUSED(107000, "src: bytes 0 to 101 reach beyond the end of aclrtMalloc",
          aclrtMemcpy(host.data(), 300, memory, 101, ACL_MEMCPY_DEFAULT));
  REFUSED(107000, "lies 3 bytes after the end of aclrtMalloc", aclrtMemset(memory + 103, 1, 0, 1));
  REFUSED(107000, "do not fit into destMax, 20", aclrtMemcpy(memory, 20, host.data(), 21, ACL_MEMCPY_HOST_TO_DEVICE));
  REFUSED(107000, "do not fit into maxCount, 20", aclrtMemset(memory, 20, 0, 21));
  REFUSED(107000, "beyond 64 bits",
          aclrtMemcpy(memory + 1, UINT64_MAX, host.data(), UINT64_MAX, ACL_MEMCPY_HOST_TO_DEVICE));
  REFUSED(107000, "do not fit pitches", aclrtMemcpy2d(memory, 8, host.data(), 8, 9, 2, ACL_MEMCPY_HOST_TO_DEVICE));
  REFUSED(107000, "bytes 0 to 104 reach beyond",
          aclrtMemcpy2d(memory, 24, host.data(), 8, 8, 5, ACL_MEMCPY_HOST_TO_DEVICE));
  REFUSED(107000, "reach beyond", aclrtMemcpyAsync(memory, 101, host.data(), 101, ACL_MEMCPY_HOST_TO_DEVICE, nullptr));
  REFUSED(107000, "reach beyond", aclrtMemsetAsync(memory, 101, 0, 101, nullptr));
  REFUSED(107000, "reach beyond", aclrtMemFlush(memory, 101));
  void* pinned = nullptr;
  EXPECT(0, aclrtMallocHost(&pinned, 50));
  REFUSED(107000, "src: bytes 0 to 60 reach beyond the end of aclrtMallocHost",
          aclrtMemcpy(memory, 100, pinned, 60, ACL_MEMCPY_HOST_TO_DEVICE));
  EXPECT(0, aclrtFreeHost(pinned));
  EXPECT(0, aclrtFree(memory));
  session.Close();
}

CASE(host_and_device_exchanged) {
  Session session;
  auto* memory = static_cast<char*>(Malloc(100));
  char host[100];
  void* pinned = nullptr;
  EXPECT(0, aclrtMallocHost(&pinned, 100));
  REFUSED(107000, "dst: 0x", aclrtMemcpy(host, 100, host, 100, ACL_MEMCPY_HOST_TO_DEVICE));
  REFUSED(107000, "is not device memory", aclrtMemcpy(host, 100, host, 100, ACL_MEMCPY_DEVICE_TO_HOST));
  REFUSED(107000, "src: expected host memory, got device memory of aclrtMalloc",
          aclrtMemcpy(memory, 100, memory, 100, ACL_MEMCPY_HOST_TO_DEVICE));
  REFUSED(107000, "dst: expected device memory, got host memory of aclrtMallocHost",
          aclrtMemcpy(pinned, 100, host, 100, ACL_MEMCPY_HOST_TO_DEVICE));
  REFUSED(107000, "is not device memory", aclrtMemset(host, 100, 0, 100));
  REFUSED(ACL_ERROR_INVALID_PARAM, "kind", aclrtMemcpy(host, 1, host, 1, static_cast<aclrtMemcpyKind>(99)));
  REFUSED(ACL_ERROR_INVALID_PARAM, "dst is null", aclrtMemcpy(nullptr, 1, host, 1, ACL_MEMCPY_HOST_TO_HOST));
  EXPECT(0, aclrtFreeHost(pinned));
  EXPECT(0, aclrtFree(memory));
  session.Close();
}

CASE(frees_that_do_not_match) {
  Session session;
  auto* memory = static_cast<char*>(Malloc(100));
  void* pinned = nullptr;
  char host[4];
  EXPECT(0, aclrtMallocHost(&pinned, 100));
  REFUSED(107000, "is no memory of aclrtMalloc", aclrtFree(pinned));
  REFUSED(107000, "is no memory of aclrtMallocHost", aclrtFreeHost(memory));
  REFUSED(107000, "is not the beginning of aclrtMalloc", aclrtFree(memory + 32));
  REFUSED(107000, "is not device memory", aclrtFree(host));
  REFUSED(ACL_ERROR_INVALID_PARAM, "is null", aclrtFree(nullptr));
  EXPECT(0, aclrtFree(memory));
  EXPECT(0, aclrtFreeHost(pinned));
  session.Close();
}

CASE(memory_after_its_end) {
  Session session;
  auto* memory = static_cast<char*>(Malloc(4096));
  char host[8];
  EXPECT(0, aclrtFree(memory));
  REFUSED(107000, "was released by aclrtFree: aclrtMalloc", aclrtFree(memory));
  REFUSED(107000, "was released by aclrtFree", aclrtMemcpy(host, 8, memory + 8, 8, ACL_MEMCPY_DEVICE_TO_HOST));
  EXPECT(0, aclrtResetDevice(0));
  EXPECT(0, aclrtSetDevice(0));
  void* again = Malloc(8192);
  EXPECT(0, aclrtResetDevice(0));
  EXPECT(0, aclrtSetDevice(0));
  REFUSED(107000, "was released by aclrtResetDevice", aclrtFree(again));
  session.Close();
}

CASE(handles_after_their_end) {
  Session session;
  aclrtStream stream = Stream();
  aclrtEvent event = nullptr;
  aclrtContext context = nullptr, common = nullptr;
  int made_up = 0;
  EXPECT(0, aclrtCreateEvent(&event));
  EXPECT(0, aclrtDestroyStream(stream));
  REFUSED(107017, "was destroyed", aclrtDestroyStream(stream));
  REFUSED(107017, "was destroyed", aclrtSynchronizeStream(stream));
  REFUSED(107017, "was destroyed", aclrtRecordEvent(event, stream));
  REFUSED(107017, "is no living stream", aclrtSynchronizeStream(&made_up));
  REFUSED(107017, "is no living stream", aclrtSynchronizeStream(event));
  REFUSED(ACL_ERROR_INVALID_PARAM, "stream is null", aclrtDestroyStream(nullptr));
  EXPECT(0, aclrtDestroyEvent(event));
  REFUSED(107017, "was destroyed", aclrtDestroyEvent(event));
  REFUSED(107017, "was destroyed", aclrtRecordEvent(event, nullptr));
  REFUSED(ACL_ERROR_INVALID_PARAM, "event is null", aclrtSynchronizeEvent(nullptr));
  EXPECT(0, aclrtGetCurrentContext(&common));
  REFUSED(ACL_ERROR_RT_CONTEXT_RELEASE_ERROR, "ends with aclrtResetDevice", aclrtDestroyContext(common));
  EXPECT(0, aclrtCreateContext(&context, 0));
  stream = Stream();
  EXPECT(0, aclrtDestroyContext(context));  // takes its stream along
  REFUSED(107017, "was released by aclrtDestroyContext", aclrtSetCurrentContext(context));
  REFUSED(ACL_ERROR_RT_CONTEXT_NULL, "was released by aclrtDestroyContext", aclrtSynchronizeDevice());
  EXPECT(0, aclrtSetCurrentContext(common));
  REFUSED(107017, "was released by aclrtDestroyContext", aclrtSynchronizeStream(stream));
  session.Close();
}

CASE(streams_of_another_context) {
  setenv("ASCEND_SIMULATOR_DEVICES", "2", 1);
  Session session;
  const aclrtStream stream = Stream();
  void* memory = Malloc(64);
  aclrtEvent event = nullptr;
  EXPECT(0, aclrtCreateEvent(&event));
  EXPECT(0, aclrtSetDevice(1));
  REFUSED(ACL_ERROR_RT_STREAM_CONTEXT, "belongs to context", aclrtSynchronizeStream(stream));
  REFUSED(ACL_ERROR_RT_STREAM_CONTEXT, "belongs to context", aclrtMemsetAsync(memory, 64, 0, 64, stream));
  REFUSED(ACL_ERROR_RT_STREAM_CONTEXT, "belongs to context", aclrtDestroyStream(stream));
  REFUSED(361001, "belongs to context", Put(stream, [] {}));
  REFUSED(107000, "is on device 0, the stream on device 1", aclrtMemsetAsync(memory, 64, 0, 64, nullptr));
  REFUSED(107000, "is of device 0, the stream of device 1", aclrtRecordEvent(event, nullptr));
  EXPECT(0, aclrtResetDevice(1));
  EXPECT(0, aclrtSetDevice(0));
  EXPECT(0, aclrtDestroyEvent(event));
  EXPECT(0, aclrtFree(memory));
  EXPECT(0, aclrtDestroyStream(stream));
  EXPECT(0, aclrtResetDevice(0));
  session.Close();
}

CASE(events_that_were_not_recorded) {
  Session session;
  aclrtEvent event = nullptr;
  float ms = 0;
  EXPECT(0, aclrtCreateEvent(&event));
  REFUSED(107000, "was not recorded", aclrtSynchronizeEvent(event));
  REFUSED(107000, "was not recorded", aclrtStreamWaitEvent(nullptr, event));
  REFUSED(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "was not recorded", aclrtEventElapsedTime(&ms, event, event));
  EXPECT(0, aclrtDestroyEvent(event));
  session.Close();
}

// The order of accesses is what streams, events and waiting make it, not what happened this time: every task below is
// long done when the wrong access comes.
CASE(the_host_does_not_wait) {
  Session session;
  const aclrtStream stream = Stream();
  auto* memory = static_cast<float*>(Malloc(256));
  float host[64];
  EXPECT(0, Put(stream, [] {}, {Touch("x", memory, 0, 32, false), Touch("y", memory, 32, 32, true)}));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  REFUSED(ACL_ERROR_RT_STREAM_NOT_COMPLETE, "src: the host has not waited for work (task 1 of stream ",
          aclrtMemcpy(host, 256, memory, 256, ACL_MEMCPY_DEVICE_TO_HOST));
  EXPECT(0, aclrtMemcpy(host, 128, memory, 128, ACL_MEMCPY_DEVICE_TO_HOST));  // both only read
  REFUSED(ACL_ERROR_RT_STREAM_NOT_COMPLETE, "reads bytes 0 to 128", aclrtMemset(memory, 4, 0, 4));
  REFUSED(ACL_ERROR_RT_MEMORY_FREE, "the host has not waited", aclrtFree(memory));
  EXPECT(0, aclrtSynchronizeStream(stream));
  EXPECT(0, aclrtMemset(memory, 256, 0, 256));
  EXPECT(0, Put(stream, [] {}, {Touch("y", memory, 0, 64, true)}));
  aclrtStreamStatus status = ACL_STREAM_STATUS_RESERVED;
  do {
    EXPECT(0, aclrtStreamQuery(stream, &status));
  } while (status != ACL_STREAM_STATUS_COMPLETE);
  EXPECT(0, aclrtFree(memory));  // a query that says complete is a wait
  EXPECT(0, aclrtDestroyStream(stream));
  session.Close();
}

CASE(streams_without_an_event_between) {
  Session session;
  const aclrtStream first = Stream(), second = Stream(), third = Stream();
  aclrtEvent event = nullptr;
  EXPECT(0, aclrtCreateEvent(&event));
  void* memory = Malloc(256);
  const auto write = Touch("y", memory, 0, 64, true), read = Touch("x", memory, 0, 64, false);
  EXPECT(0, Put(first, [] {}, {write}));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  REFUSED(361001, "x: no event orders it after work (task 1 of stream", Put(second, [] {}, {read}));
  EXPECT(0, aclrtRecordEvent(event, first));
  EXPECT(0, aclrtStreamWaitEvent(second, event));
  EXPECT(0, Put(second, [] {}, {read}));
  REFUSED(361001, "writes bytes 0 to 256", Put(third, [] {}, {read}));
  EXPECT(0, aclrtStreamWaitEvent(third, event));
  EXPECT(0, Put(third, [] {}, {read}));  // two readers
  REFUSED(361001, "reads bytes 0 to 256", Put(third, [] {}, {write}));
  EXPECT(0, aclrtRecordEvent(event, second));
  EXPECT(0, aclrtStreamWaitEvent(third, event));
  EXPECT(0, Put(third, [] {}, {write}));
  // Known through third, which knew second and first.
  EXPECT(0, aclrtRecordEvent(event, third));
  EXPECT(0, aclrtSynchronizeEvent(event));
  EXPECT(0, aclrtFree(memory));
  EXPECT(0, aclrtDestroyEvent(event));
  for (const aclrtStream stream : {first, second, third}) EXPECT(0, aclrtDestroyStream(stream));
  session.Close();
}

CASE(workspaces) {
  Session session;
  void *x = Upload(std::vector<float>(64, 2.0f)), *y = Malloc(256), *workspace = Malloc(256), *small = Malloc(255);
  char host[256];
  aclTensor *from = Vector(x, 64), *to = Vector(y, 64);
  uint64_t size = 0;
  aclOpExecutor* executor = nullptr;
  EXPECT(0, aclnnScaleGetWorkspaceSize(from, 2.0, to, &size, &executor));
  REFUSED(161002, "workspaceSize: expected 256 or more, got 255", aclnnScale(workspace, 255, executor, nullptr));
  REFUSED(161001, "workspace is null", aclnnScale(nullptr, size, executor, nullptr));
  REFUSED(361001, "workspace: 0x", aclnnScale(host, size, executor, nullptr));
  REFUSED(361001, "workspace: bytes 0 to 256 reach beyond the end of aclrtMalloc",
          aclnnScale(small, size, executor, nullptr));
  EXPECT(0, aclnnScale(workspace, size, executor, nullptr));  // a refusal costs no executor
  REFUSED(ACL_ERROR_RT_MEMORY_FREE, "aclnnScale", aclrtFree(workspace));
  EXPECT(0, aclnnScaleGetWorkspaceSize(from, 2.0, to, &size, &executor));
  const aclrtStream other = Stream();
  REFUSED(361001, "workspace: no event orders it after aclnnScale", aclnnScale(workspace, size, executor, other));
  EXPECT(0, aclrtSynchronizeStream(nullptr));
  EXPECT(0, aclnnScale(workspace, size, executor, other));
  EXPECT(0, aclrtDestroyStream(other));
  for (void* memory : {x, y, workspace, small}) EXPECT(0, aclrtFree(memory));
  EXPECT(0, aclDestroyTensor(from));
  EXPECT(0, aclDestroyTensor(to));
  session.Close();
}

CASE(executors) {
  Session session;
  void *x = Upload(std::vector<float>(64, 2.0f)), *y = Malloc(256), *workspace = Malloc(256);
  float host[64];
  aclTensor *from = Vector(x, 64), *to = Vector(y, 64), *on_host = Vector(host, 64), *beyond = Vector(x, 128),
            *long_enough = Vector(y, 128);
  uint64_t size = 0;
  aclOpExecutor *executor = nullptr, *spare = nullptr;
  REFUSED(161001, "aclOpExecutor is null", aclnnScale(workspace, size, nullptr, nullptr));
  REFUSED(161002, "is no living aclOpExecutor",
          aclnnScale(workspace, size, reinterpret_cast<aclOpExecutor*>(from), nullptr));
  EXPECT(0, aclnnScaleGetWorkspaceSize(from, 2.0, to, &size, &executor));
  REFUSED(161002, "the executor was made for aclnnScale",
          ascend_sim::acl::LaunchExecutor("aclnnOther", workspace, size, executor, nullptr));
  EXPECT(0, aclnnScale(workspace, size, executor, nullptr));
  REFUSED(161002, "was launched already; it is not repeatable", aclnnScale(workspace, size, executor, nullptr));
  REFUSED(161002, "was launched already", aclDestroyAclOpExecutor(executor));
  REFUSED(161002, "was launched already", aclSetAclOpExecutorRepeatable(executor));
  EXPECT(0, aclnnScaleGetWorkspaceSize(on_host, 2.0, to, &size, &spare));
  REFUSED(361001, "x: 0x", aclnnScale(workspace, size, spare, nullptr));
  EXPECT(0, aclDestroyAclOpExecutor(spare));
  REFUSED(161002, "was destroyed", aclDestroyAclOpExecutor(spare));
  EXPECT(0, aclrtSynchronizeStream(nullptr));
  EXPECT(0, aclrtFree(workspace));
  workspace = Malloc(512);
  EXPECT(0, aclnnScaleGetWorkspaceSize(beyond, 2.0, long_enough, &size, &spare));
  REFUSED(361001, "x: bytes 0 to 512 reach beyond the end of aclrtMalloc", aclnnScale(workspace, size, spare, nullptr));
  EXPECT(0, aclDestroyAclOpExecutor(spare));
  EXPECT(0, aclDestroyTensor(from));
  REFUSED(161001, "x: aclTensor 0x", aclnnScaleGetWorkspaceSize(from, 2.0, to, &size, &spare));
  REFUSED(161002, "was destroyed", aclDestroyTensor(from));
  int64_t offset = 0;
  REFUSED(161002, "was destroyed", aclGetViewOffset(from, &offset));
  REFUSED(161001, "aclTensor is null", aclGetViewOffset(nullptr, &offset));
  REFUSED(161001, "address is null", aclGetViewOffset(to, nullptr));
  for (aclTensor* tensor : {to, on_host, beyond, long_enough}) EXPECT(0, aclDestroyTensor(tensor));
  for (void* memory : {x, y, workspace}) EXPECT(0, aclrtFree(memory));
  session.Close();
}

CASE(failures_come_out_at_the_next_wait) {
  Session session;
  const aclrtStream stream = Stream(), stopping = Stream();
  int done = 0;
  EXPECT(0, Put(stream, [] { throw std::runtime_error("the task said no"); }));
  EXPECT(0, Put(stream, [&] { ++done; }));
  REFUSED(ACL_ERROR_RT_INTERNAL_ERROR, "failed: the task said no", aclrtSynchronizeStream(stream));
  EXPECT(0, aclrtSynchronizeStream(stream));  // told once
  CHECK(done == 1);
  EXPECT(0, aclrtSetStreamFailureMode(stopping, ACL_STOP_ON_FAILURE));
  EXPECT(0, Put(stopping, [] { throw std::runtime_error("no again"); }));
  EXPECT(0, Put(stopping, [&] { ++done; }));
  REFUSED(ACL_ERROR_RT_INTERNAL_ERROR, "no again", aclrtSynchronizeStream(stopping));
  REFUSED(ACL_ERROR_RT_INTERNAL_ERROR, "no again", aclrtSynchronizeDevice());
  CHECK(done == 1);
  REFUSED(ACL_ERROR_INVALID_PARAM, "expected 0 or 1", aclrtSetStreamFailureMode(stream, 2));
  EXPECT(0, aclrtDestroyStream(stopping));

  // A fault of the simulated chip: one vector instruction after another on the same data, without a barrier.
  EXPECT(0, Put(stream, [] { RunFaultyKernel(); }));
  REFUSED(ACL_ERROR_RT_VECTOR_CORE_EXCEPTION, "ErrorSync1", aclrtSynchronizeStream(stream));
  EXPECT(0, aclrtDestroyStream(stream));
  session.Close();
}

CASE(a_task_destroys_its_own_stream) {
  Session session;
  const aclrtStream stream = Stream();
  aclrtContext context = nullptr;
  EXPECT(0, aclrtGetCurrentContext(&context));
  EXPECT(0, Put(stream, [&] {
           EXPECT(0, aclrtSetCurrentContext(context));
           REFUSED(107000, "by a task of the stream itself", aclrtDestroyStream(stream));
           REFUSED(107000, "by a task of the stream itself", aclrtSynchronizeStream(stream));
         }));
  EXPECT(0, aclrtSynchronizeStream(stream));
  EXPECT(0, aclrtDestroyStream(stream));
  session.Close();
}

// ---------------------------------------------------------------------------------------------------------------
// For the reports: test_acl.py reads stderr and the exit status.

CASE(report_nothing) {
  Session session;
  session.Close();
}

CASE(report_leaks) {
  Session session;
  const aclrtStream stream = Stream();
  aclrtEvent event = nullptr;
  aclrtContext context = nullptr;
  void* pinned = nullptr;
  EXPECT(0, aclrtCreateEvent(&event));
  Malloc(4321);
  EXPECT(0, aclrtMallocHost(&pinned, 1234));
  EXPECT(0, aclrtCreateContext(&context, 0));
  const int64_t value = 1;
  aclCreateIntArray(&value, 1);
  void* x = Malloc(256);
  aclTensor* tensor = Vector(x, 64);
  uint64_t size = 0;
  aclOpExecutor* executor = nullptr;
  EXPECT(0, aclnnScaleGetWorkspaceSize(tensor, 2.0, tensor, &size, &executor));
  EXPECT(0, aclDestroyTensor(tensor));
  EXPECT(0, aclrtFree(x));
  CHECK(stream != nullptr);
  EXPECT(0, aclFinalize());
}

CASE(report_leaks_without_finalize) {
  Session session;
  Stream();
  Malloc(4321);
}

CASE(report_unasked_failure) {
  Session session;
  const aclrtStream stream = Stream();
  EXPECT(0, Put(stream, [] { throw std::runtime_error("nobody asked"); }));
  EXPECT(0, aclrtDestroyStream(stream));
  session.Close();
}

CASE(report_busy_streams_at_exit) {
  Session session;
  const aclrtStream stream = Stream();
  EXPECT(0, Put(stream, [] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }));
}

// Statics end after the main thread's own variables; calls from their destructors still work.
CASE(report_calls_from_statics) {
  Session session;
  static struct Static {
    void* memory = Malloc(64);
    aclTensor* tensor = Vector(memory, 16);
    ~Static() {
      aclDestroyTensor(tensor);
      aclrtFree(memory);
      aclrtFree(memory);
      std::fprintf(stderr, "the message is %s\n", aclGetRecentErrMsg() == nullptr ? "gone" : "there");
      aclFinalize();
    }
  } object;
  aclGetRecentErrMsg();
  EXPECT(0, Put(nullptr, [] { throw std::runtime_error("nobody asked"); }));
}

int main(int count, char** arguments) { return RunCase(count, arguments); }
