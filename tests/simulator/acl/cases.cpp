// Right use: what the calls do.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <thread>
#include <utility>

#include "acl/operator_layer.h"
#include "aclnn/aclnn_base.h"
#include "aclnn_scale.h"
#include "case.h"
#include "tasks.h"

CASE(init_is_once_and_can_come_again) {
  REFUSED(ACL_ERROR_UNINITIALIZE, "before aclInit", aclrtSetDevice(0));
  REFUSED(ACL_ERROR_UNINITIALIZE, "not initialised", aclFinalize());
  REFUSED(ACL_ERROR_INVALID_FILE, "/no/such/file.json", aclInit("/no/such/file.json"));
  EXPECT(0, aclInit(nullptr));
  REFUSED(ACL_ERROR_REPEAT_INITIALIZE, "already", aclInit(nullptr));
  EXPECT(0, aclFinalize());
  REFUSED(ACL_ERROR_UNINITIALIZE, "after aclFinalize", aclrtSetDevice(0));
  REFUSED(ACL_ERROR_REPEAT_FINALIZE, "not initialised", aclFinalize());
  EXPECT(0, aclInit(""));
  EXPECT(0, aclnnInit(nullptr));
  EXPECT(0, aclnnFinalize());  // aclInit came first, so this ends nothing
  EXPECT(0, aclrtSetDevice(0));
  EXPECT(0, aclFinalize());
  EXPECT(0, aclnnInit(nullptr));
  EXPECT(0, aclrtSetDevice(0));
  EXPECT(0, aclnnFinalize());
  REFUSED(ACL_ERROR_UNINITIALIZE, "after aclFinalize", aclrtSetDevice(0));
}

CASE(messages_are_per_thread_and_latest_first) {
  CHECK(aclGetRecentErrMsg() == nullptr);
  EXPECT(ACL_ERROR_INVALID_PARAM, aclrtGetRunMode(nullptr));
  EXPECT(ACL_ERROR_INVALID_PARAM, aclrtGetDeviceCount(nullptr));
  std::thread([] { CHECK(aclGetRecentErrMsg() == nullptr); }).join();
  CHECK(aclrtPeekAtLastError(ACL_RT_THREAD_LEVEL) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtGetLastError(ACL_RT_THREAD_LEVEL) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtGetLastError(ACL_RT_THREAD_LEVEL) == ACL_SUCCESS);
  CHECK(std::string(aclGetRecentErrMsg()) == "aclrtGetDeviceCount: count is null\naclrtGetRunMode: runMode is null");
  CHECK(aclGetRecentErrMsg() == nullptr);
}

CASE(devices_are_counted) {
  setenv("ASCEND_SIMULATOR_DEVICES", "2", 1);
  setenv("ASCEND_SIMULATOR_SOC", "Ascend910B4", 1);
  EXPECT(0, aclInit(nullptr));
  uint32_t count = 0;
  EXPECT(0, aclrtGetDeviceCount(&count));
  CHECK(count == 2);
  int64_t cores = 0;
  EXPECT(0, aclGetDeviceCapability(0, ACL_DEVICE_INFO_AI_CORE_NUM, &cores));
  CHECK(cores == 20);
  CHECK(std::string(aclrtGetSocName()) == "Ascend910B4");
  int32_t device = -1;
  REFUSED(ACL_ERROR_RT_CONTEXT_NULL, "no current context", aclrtGetDevice(&device));
  REFUSED(ACL_ERROR_RT_INVALID_DEVICEID, "expected 0 to 1, got 2", aclrtSetDevice(2));
  EXPECT(0, aclrtSetDevice(0));
  aclrtContext first = nullptr, again = nullptr;
  EXPECT(0, aclrtGetCurrentContext(&first));
  EXPECT(0, aclrtSetDevice(1));
  EXPECT(0, aclrtGetDevice(&device));
  CHECK(device == 1);
  EXPECT(0, aclrtSetDevice(0));  // twice by now
  EXPECT(0, aclrtGetCurrentContext(&again));
  CHECK(first == again);
  EXPECT(0, aclrtResetDevice(0));
  EXPECT(0, aclrtSetCurrentContext(first));  // still there
  EXPECT(0, aclrtResetDevice(0));
  REFUSED(ACL_ERROR_RT_CONTEXT_NULL, "was released by aclrtResetDevice", aclrtGetDevice(&device));
  REFUSED(ACL_ERROR_RT_CONTEXT_NULL, "reset already", aclrtResetDevice(0));
  EXPECT(0, aclrtSetDevice(1));
  EXPECT(0, aclrtSetDevice(1));
  EXPECT(0, aclrtResetDeviceForce(1));
  EXPECT(0, aclFinalize());
}

CASE(contexts_belong_to_threads) {
  Session session;
  aclrtContext own = nullptr, common = nullptr, seen = nullptr;
  EXPECT(0, aclrtGetCurrentContext(&common));
  EXPECT(0, aclrtCreateContext(&own, 0));
  EXPECT(0, aclrtGetCurrentContext(&seen));
  CHECK(seen == own);
  std::thread([&] {
    aclrtContext nothing = nullptr;
    void* memory = nullptr;
    REFUSED(ACL_ERROR_RT_CONTEXT_NULL, "no current context", aclrtGetCurrentContext(&nothing));
    REFUSED(ACL_ERROR_RT_CONTEXT_NULL, "no current context", aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST));
    EXPECT(0, aclrtSetCurrentContext(common));
    EXPECT(0, aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST));
    EXPECT(0, aclrtFree(memory));
  }).join();
  EXPECT(0, aclrtDestroyContext(own));
  EXPECT(0, aclrtSetCurrentContext(common));
  session.Close();
}

CASE(options_of_context_and_process) {
  Session session;
  int64_t value = -1;
  CHECK(!ascend_sim::acl::Deterministic());
  REFUSED(ACL_ERROR_RT_SYSPARAMOPT_NOT_SET, "not set", aclrtCtxGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value));
  REFUSED(ACL_ERROR_INVALID_PARAM, "expected 0 or 1, got 2", aclrtSetSysParamOpt(ACL_OPT_DETERMINISTIC, 2));
  REFUSED(ACL_ERROR_INVALID_PARAM, "opt", aclrtSetSysParamOpt(static_cast<aclSysParamOpt>(7), 1));
  EXPECT(0, aclrtSetSysParamOpt(ACL_OPT_DETERMINISTIC, 1));
  CHECK(ascend_sim::acl::Deterministic());
  EXPECT(0, aclrtCtxGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value));
  CHECK(value == 1);
  EXPECT(0, aclrtCtxSetSysParamOpt(ACL_OPT_DETERMINISTIC, 0));
  CHECK(!ascend_sim::acl::Deterministic());
  EXPECT(0, aclrtGetSysParamOpt(ACL_OPT_DETERMINISTIC, &value));
  CHECK(value == 1);
  session.Close();
}

CASE(memory_is_aligned_poisoned_and_counted) {
  Session session;
  size_t free_before = 0, total = 0, free_after = 0;
  EXPECT(0, aclrtGetMemInfo(ACL_HBM_MEM, &free_before, &total));
  CHECK(total > (size_t{32} << 30) && free_before == total);
  auto* memory = static_cast<unsigned char*>(Malloc(1000));
  CHECK(reinterpret_cast<uintptr_t>(memory) % 512 == 0);
  EXPECT(0, aclrtGetMemInfo(ACL_HBM_MEM, &free_after, &total));
  CHECK(free_after == free_before - 1000);
  std::vector<float> nothing = Download(memory, 250);
  for (const float value : nothing) CHECK(std::isnan(value));
  aclrtPtrAttributes attributes;
  EXPECT(0, aclrtPointerGetAttributes(memory + 999, &attributes));
  CHECK(attributes.location.type == ACL_MEM_LOCATION_TYPE_DEVICE && attributes.location.id == 0);
  EXPECT(0, aclrtPointerGetAttributes(nothing.data(), &attributes));
  CHECK(attributes.location.type == ACL_MEM_LOCATION_TYPE_HOST);
  void* much = nullptr;
  REFUSED(ACL_ERROR_RT_MEMORY_ALLOCATION, "in use", aclrtMalloc(&much, total, ACL_MEM_MALLOC_HUGE_FIRST));
  REFUSED(ACL_ERROR_INVALID_PARAM, "expected 1 or more", aclrtMalloc(&much, 0, ACL_MEM_MALLOC_HUGE_FIRST));
  EXPECT(0, aclrtFree(memory));
  session.Close();
}

CASE(copies_of_every_kind) {
  Session session;
  const aclrtStream stream = Stream();
  std::vector<float> host(64), back(64);
  std::iota(host.begin(), host.end(), 1.0f);
  void *first = Malloc(256), *second = Malloc(256), *pinned = nullptr;
  EXPECT(0, aclrtMallocHost(&pinned, 256));
  EXPECT(0, aclrtMemcpy(pinned, 256, host.data(), 256, ACL_MEMCPY_HOST_TO_HOST));
  EXPECT(0, aclrtMemcpyAsync(first, 256, pinned, 256, ACL_MEMCPY_HOST_TO_DEVICE, stream));
  EXPECT(0, aclrtMemcpyAsync(second, 256, first, 256, ACL_MEMCPY_DEVICE_TO_DEVICE, stream));
  EXPECT(0, aclrtMemcpyAsync(back.data(), 256, second, 256, ACL_MEMCPY_DEVICE_TO_HOST, stream));
  EXPECT(0, aclrtSynchronizeStream(stream));
  CHECK(back == host);
  EXPECT(0, aclrtMemset(first, 256, 0, 128));
  EXPECT(0, aclrtMemcpy(back.data(), 256, first, 256, ACL_MEMCPY_DEFAULT));
  CHECK(back[31] == 0.0f && back[32] == host[32]);
  EXPECT(0, aclrtMemsetAsync(first, 256, 0, 256, stream));
  EXPECT(0, aclrtSynchronizeStream(stream));
  CHECK(Download(first, 64)[63] == 0.0f);
  // Rows of 8 floats into rows of 16.
  EXPECT(0, aclrtMemcpy2d(first, 64, host.data(), 32, 32, 4, ACL_MEMCPY_HOST_TO_DEVICE));
  CHECK(Download(first, 64)[16] == host[8] && Download(first, 64)[8] == 0.0f);
  EXPECT(0, aclrtMemcpy2dAsync(back.data(), 32, first, 64, 32, 4, ACL_MEMCPY_DEVICE_TO_HOST, stream));
  EXPECT(0, aclrtSynchronizeStream(stream));
  CHECK(back[31] == host[31]);
  EXPECT(0, aclrtMemcpy(back.data(), 256, first, 0, ACL_MEMCPY_DEVICE_TO_HOST));
  EXPECT(0, aclrtFree(first));
  EXPECT(0, aclrtFree(second));
  EXPECT(0, aclrtFreeHost(pinned));
  EXPECT(0, aclrtDestroyStream(stream));
  session.Close();
}

CASE(numbers) {
  CHECK(aclDataTypeSize(ACL_FLOAT) == 4 && aclDataTypeSize(ACL_BF16) == 2 && aclDataTypeSize(ACL_BOOL) == 1);
  CHECK(aclDataTypeSize(ACL_INT64) == 8 && aclDataTypeSize(ACL_COMPLEX128) == 16 && aclDataTypeSize(ACL_STRING) == 0);
  CHECK(aclFloatToFloat16(1.0f) == 0x3C00 && aclFloatToFloat16(65520.0f) == 0x7C00);
  CHECK(aclFloatToFloat16(2049.0f) == 0x6800 && aclFloatToFloat16(0x1p-24f) == 1);  // ties to even; subnormal
  CHECK(aclFloat16ToFloat(0xC000) == -2.0f && std::isnan(aclFloat16ToFloat(0x7E00)));
  for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
    CHECK(aclFloatToFloat16(aclFloat16ToFloat(static_cast<aclFloat16>(bits))) == bits);
  }
}

CASE(tensors_say_what_they_were_told) {
  const int64_t view[] = {2, 3}, storage[] = {4, 8}, strides[] = {8, 2};
  char data[64];
  aclTensor* tensor = aclCreateTensor(view, 2, ACL_FLOAT16, strides, 5, ACL_FORMAT_ND, storage, 2, data);
  CHECK(tensor != nullptr);
  int64_t* values = nullptr;
  uint64_t count = 0;
  EXPECT(0, aclGetViewShape(tensor, &values, &count));
  CHECK(count == 2 && values[0] == 2 && values[1] == 3);
  delete[] values;
  EXPECT(0, aclGetViewStrides(tensor, &values, &count));
  CHECK(count == 2 && values[0] == 8 && values[1] == 2);
  delete[] values;
  EXPECT(0, aclGetStorageShape(tensor, &values, &count));
  CHECK(count == 2 && values[0] == 4 && values[1] == 8);
  delete[] values;
  int64_t offset = 0;
  aclFormat format = ACL_FORMAT_UNDEFINED;
  aclDataType dtype = ACL_DT_UNDEFINED;
  void* address = nullptr;
  EXPECT(0, aclGetViewOffset(tensor, &offset));
  EXPECT(0, aclGetFormat(tensor, &format));
  EXPECT(0, aclGetDataType(tensor, &dtype));
  EXPECT(0, aclGetRawTensorAddr(tensor, &address));
  CHECK(offset == 5 && format == ACL_FORMAT_ND && dtype == ACL_FLOAT16 && address == data);
  using ascend_sim::acl::SpanOf;
  ascend_sim::acl::Tensor read;
  CHECK(ascend_sim::acl::Read(tensor, &read));
  CHECK(SpanOf(read).begin == reinterpret_cast<uint8_t*>(data) + 10 && SpanOf(read).bytes == 26);  // 1 * 8 + 2 * 2 + 1
  read.strides = {-1, 1};
  CHECK(SpanOf(read).begin == reinterpret_cast<uint8_t*>(data) + 8 && SpanOf(read).bytes == 8);
  read.strides = {INT64_MAX, INT64_MAX};
  CHECK(SpanOf(read).bytes == UINT64_MAX);
  read.view_shape = {0, 3};
  CHECK(SpanOf(read).bytes == 0);
  EXPECT(0, aclSetRawTensorAddr(tensor, data + 2));
  EXPECT(0, aclGetRawTensorAddr(tensor, &address));
  CHECK(address == data + 2);
  EXPECT(0, aclInitTensor(tensor, storage, 2, ACL_INT8, nullptr, 0, ACL_FORMAT_ND, storage, 2, data));
  EXPECT(0, aclGetViewStrides(tensor, &values, &count));
  CHECK(values[0] == 8 && values[1] == 1);  // contiguous
  delete[] values;
  EXPECT(0, aclDestroyTensor(tensor));

  CHECK(aclCreateTensor(nullptr, 2, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, storage, 2, data) == nullptr);
  CHECK(aclCreateTensor(view, uint64_t{1} << 60, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, storage, 2, data) == nullptr);
  const int64_t negative[] = {-1}, enormous[] = {INT64_MAX, INT64_MAX, INT64_MAX};
  CHECK(aclCreateTensor(negative, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, storage, 2, data) == nullptr);
  CHECK(aclCreateTensor(enormous, 3, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, storage, 2, data) == nullptr);
  CHECK(aclCreateTensor(view, 2, ACL_FLOAT, nullptr, -1, ACL_FORMAT_ND, storage, 2, data) == nullptr);
}

CASE(arrays_and_scalars) {
  const int64_t whole[] = {3, -1};
  const float real[] = {0.5f};
  const bool truth[] = {true, false, true};
  uint64_t size = 0;
  aclIntArray* ints = aclCreateIntArray(whole, 2);
  std::vector<int64_t> read;
  CHECK(ascend_sim::acl::Read(ints, &read) && read == std::vector<int64_t>({3, -1}));
  EXPECT(0, aclGetIntArraySize(ints, &size));
  CHECK(size == 2);
  aclFloatArray* floats = aclCreateFloatArray(real, 1);
  EXPECT(0, aclGetFloatArraySize(floats, &size));
  CHECK(size == 1);
  aclBoolArray* bools = aclCreateBoolArray(truth, 3);
  EXPECT(0, aclGetBoolArraySize(bools, &size));
  CHECK(size == 3);
  double pi = 3.25;
  aclScalar* scalar = aclCreateScalar(&pi, ACL_DOUBLE);
  ascend_sim::acl::Scalar value;
  CHECK(ascend_sim::acl::Read(scalar, &value) && value.dtype == ACL_DOUBLE);
  CHECK(std::memcmp(value.bytes.data(), &pi, sizeof(pi)) == 0);
  const aclTensor* tensors[] = {Vector(nullptr, 4), Vector(nullptr, 5)};
  aclTensorList* list = aclCreateTensorList(tensors, 2);
  EXPECT(0, aclGetTensorListSize(list, &size));
  CHECK(size == 2);
  const aclScalar* scalars[] = {scalar};
  aclScalarList* scalar_list = aclCreateScalarList(scalars, 1);
  EXPECT(0, aclGetScalarListSize(scalar_list, &size));
  CHECK(size == 1);
  EXPECT(0, aclDestroyTensorList(list));  // and its tensors
  REFUSED(161002, "was destroyed", aclDestroyTensor(tensors[1]));
  EXPECT(0, aclDestroyScalarList(scalar_list));
  REFUSED(161002, "was destroyed", aclDestroyScalar(scalar));
  EXPECT(0, aclDestroyIntArray(ints));
  EXPECT(0, aclDestroyFloatArray(floats));
  EXPECT(0, aclDestroyBoolArray(bools));
  EXPECT(0, aclDestroyIntArray(nullptr));
  CHECK(aclCreateIntArray(nullptr, 3) == nullptr);
  aclIntArray* empty = aclCreateIntArray(nullptr, 0);
  EXPECT(0, aclDestroyIntArray(empty));
  CHECK(aclCreateIntArray(whole, UINT64_MAX) == nullptr);
}

CASE(streams_run_in_order_beside_the_host) {
  Session session;
  const aclrtStream stream = Stream();
  Gate gate;
  std::vector<int> order;
  EXPECT(0, Put(stream, [&] {
           gate.Wait();
           order.push_back(1);
         }));
  EXPECT(0, Put(stream, [&] { order.push_back(2); }));
  aclrtStreamStatus status = ACL_STREAM_STATUS_RESERVED;
  EXPECT(0, aclrtStreamQuery(stream, &status));
  CHECK(status == ACL_STREAM_STATUS_NOT_READY);
  REFUSED(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "after 5 ms", aclrtSynchronizeStreamWithTimeout(stream, 5));
  REFUSED(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "after 5 ms", aclrtSynchronizeDeviceWithTimeout(5));
  REFUSED(ACL_ERROR_INVALID_PARAM, "expected -1 or more", aclrtSynchronizeStreamWithTimeout(stream, -2));
  gate.Open();
  EXPECT(0, aclrtSynchronizeStreamWithTimeout(stream, -1));
  EXPECT(0, aclrtStreamQuery(stream, &status));
  CHECK(status == ACL_STREAM_STATUS_COMPLETE);
  CHECK(order == std::vector<int>({1, 2}));
  int32_t number = -1, other = -1;
  EXPECT(0, aclrtStreamGetId(stream, &number));
  EXPECT(0, aclrtStreamGetId(nullptr, &other));
  CHECK(number != other);
  EXPECT(0, Put(nullptr, [&] { order.push_back(3); }));
  EXPECT(0, aclrtSynchronizeDevice());
  CHECK(order.size() == 3);
  aclrtStream fast = nullptr;
  EXPECT(0, aclrtCreateStreamWithConfig(&fast, 0, ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC));
  EXPECT(0, Put(fast, [&] { order.push_back(4); }));
  EXPECT(0, aclrtDestroyStream(fast));  // waits
  CHECK(order.size() == 4);
  EXPECT(0, aclrtDestroyStream(stream));
  session.Close();
}

CASE(destroying_by_force_drops_what_has_not_begun) {
  Session session;
  const aclrtStream stream = Stream(), waiting = Stream();
  Gate gate;
  std::atomic<bool> begun{false};
  int done = 0;
  aclrtEvent event = nullptr;
  EXPECT(0, aclrtCreateEvent(&event));
  EXPECT(0, Put(stream, [&] {
           begun = true;
           gate.Wait();
           ++done;
         }));
  EXPECT(0, Put(stream, [&] { ++done; }));
  EXPECT(0, aclrtRecordEvent(event, stream));
  EXPECT(0, aclrtStreamWaitEvent(waiting, event));
  while (!begun) std::this_thread::yield();
  std::thread opener([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    gate.Open();
  });
  EXPECT(0, aclrtDestroyStreamForce(stream));
  opener.join();
  CHECK(done == 1);
  EXPECT(0, aclrtSynchronizeStream(waiting));  // is not left waiting for ever
  EXPECT(0, aclrtDestroyStream(waiting));
  EXPECT(0, aclrtDestroyEvent(event));
  session.Close();
}

CASE(events_order_streams_and_tell_time) {
  Session session;
  const aclrtStream first = Stream(), second = Stream();
  aclrtEvent begin = nullptr, end = nullptr, plain = nullptr;
  EXPECT(0, aclrtCreateEventWithFlag(&begin, ACL_EVENT_TIME_LINE));
  EXPECT(0, aclrtCreateEventExWithFlag(&end, ACL_EVENT_TIME_LINE | ACL_EVENT_SYNC));
  EXPECT(0, aclrtCreateEventWithFlag(&plain, ACL_EVENT_SYNC));
  REFUSED(ACL_ERROR_INVALID_PARAM, "ACL_EVENT_", aclrtCreateEventWithFlag(&plain, 0x40));
  aclrtEventRecordedStatus status = ACL_EVENT_RECORDED_STATUS_COMPLETE;
  EXPECT(0, aclrtQueryEventStatus(end, &status));
  CHECK(status == ACL_EVENT_RECORDED_STATUS_NOT_READY);

  Gate gate;
  std::vector<int> order;
  EXPECT(0, aclrtRecordEvent(begin, first));
  EXPECT(0, Put(first, [&] {
           gate.Wait();
           std::this_thread::sleep_for(std::chrono::milliseconds(20));
           order.push_back(1);
         }));
  EXPECT(0, aclrtRecordEvent(end, first));
  EXPECT(0, aclrtStreamWaitEvent(second, end));
  EXPECT(0, Put(second, [&] { order.push_back(2); }));
  aclrtEventWaitStatus wait_status = ACL_EVENT_WAIT_STATUS_RESERVED;
  EXPECT(0, aclrtQueryEventWaitStatus(end, &wait_status));
  CHECK(wait_status == ACL_EVENT_WAIT_STATUS_NOT_READY);
  REFUSED(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, "after 5 ms", aclrtSynchronizeEventWithTimeout(end, 5));
  float ms = 0;
  REFUSED(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "is not complete", aclrtEventElapsedTime(&ms, begin, end));
  gate.Open();
  EXPECT(0, aclrtSynchronizeEvent(end));
  EXPECT(0, aclrtQueryEventStatus(end, &status));
  CHECK(status == ACL_EVENT_RECORDED_STATUS_COMPLETE);
  EXPECT(0, aclrtSynchronizeStream(second));
  CHECK(order == std::vector<int>({1, 2}));
  EXPECT(0, aclrtEventElapsedTime(&ms, begin, end));
  CHECK(ms >= 20.0f && ms < 20000.0f);
  REFUSED(ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL, "before startEvent", aclrtEventElapsedTime(&ms, end, begin));
  uint64_t early = 0, late = 0;
  EXPECT(0, aclrtEventGetTimestamp(begin, &early));
  EXPECT(0, aclrtEventGetTimestamp(end, &late));
  CHECK(late - early >= 20000);
  EXPECT(0, aclrtRecordEvent(plain, first));
  EXPECT(0, aclrtSynchronizeStream(first));
  REFUSED(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "without ACL_EVENT_TIME_LINE", aclrtEventElapsedTime(&ms, plain, end));
  EXPECT(0, aclrtResetEvent(end, first));
  EXPECT(0, aclrtQueryEventStatus(end, &status));
  CHECK(status == ACL_EVENT_RECORDED_STATUS_NOT_READY);
  for (const aclrtEvent event : {begin, end, plain}) EXPECT(0, aclrtDestroyEvent(event));
  EXPECT(0, aclrtDestroyStream(first));
  EXPECT(0, aclrtDestroyStream(second));
  session.Close();
}

CASE(an_operator_runs_on_a_stream) {
  Session session;
  const aclrtStream stream = Stream();
  std::vector<float> host(640);
  std::iota(host.begin(), host.end(), 0.0f);
  void *x = Upload(host), *y = Malloc(host.size() * 4);
  aclTensor *from = Vector(x, 640), *to = Vector(y, 640);
  uint64_t size = 0;
  aclOpExecutor* executor = nullptr;
  EXPECT(0, aclnnScaleGetWorkspaceSize(from, 3.0, to, &size, &executor));
  CHECK(size == 2560 && executor != nullptr);
  void* workspace = Malloc(size);
  EXPECT(0, aclnnScale(workspace, size, executor, stream));
  EXPECT(0, aclDestroyTensor(from));  // the launch has what it needs
  EXPECT(0, aclDestroyTensor(to));
  EXPECT(0, aclrtSynchronizeStream(stream));
  const std::vector<float> result = Download(y, 640);
  for (size_t i = 0; i < host.size(); ++i) CHECK(result[i] == 3.0f * host[i]);
  for (void* memory : {x, y, workspace}) EXPECT(0, aclrtFree(memory));
  EXPECT(0, aclrtDestroyStream(stream));
  session.Close();
}

CASE(a_repeatable_executor_takes_new_addresses) {
  Session session;
  void *x = Upload(std::vector<float>(64, 2.0f)), *other = Upload(std::vector<float>(64, 5.0f)), *y = Malloc(256),
       *z = Malloc(256);
  aclTensor *from = Vector(x, 64), *to = Vector(y, 64);
  uint64_t size = 0;
  aclOpExecutor* executor = nullptr;
  EXPECT(0, aclnnScaleGetWorkspaceSize(from, 2.0, to, &size, &executor));
  void* workspace = Malloc(size);
  EXPECT(0, aclSetAclOpExecutorRepeatable(executor));
  EXPECT(0, aclnnScale(workspace, size, executor, nullptr));
  EXPECT(0, aclSetInputTensorAddr(executor, 0, from, other));
  EXPECT(0, aclSetTensorAddr(executor, 1, to, z));
  EXPECT(0, aclnnScale(workspace, size, executor, nullptr));
  EXPECT(0, aclrtSynchronizeStream(nullptr));
  CHECK(Download(y, 64)[7] == 4.0f && Download(z, 64)[7] == 10.0f);
  REFUSED(161002, "expected 0 to 1 (excluded), got 1", aclSetInputTensorAddr(executor, 1, from, x));
  REFUSED(161002, "is y, made with another tensor", aclSetOutputTensorAddr(executor, 0, from, x));
  EXPECT(0, aclDestroyAclOpExecutor(executor));
  REFUSED(161002, "was destroyed", aclnnScale(workspace, size, executor, nullptr));
  EXPECT(0, aclDestroyTensor(from));
  EXPECT(0, aclDestroyTensor(to));
  for (void* memory : {x, other, y, z, workspace}) EXPECT(0, aclrtFree(memory));
  session.Close();
}

CASE(foreign_memory_counts_as_device_memory) {
  using namespace ascend_sim::acl;
  Session session;
  std::vector<float> x(64, 1.5f), y(64);
  EXPECT(0, RegisterDeviceMemory(x.data(), 256, "array x"));
  EXPECT(0, RegisterDeviceMemory(y.data(), 256, "array y"));
  REFUSED(107000, "overlaps", RegisterDeviceMemory(x.data() + 63, 8, "array z"));
  aclTensor *from = Vector(x.data(), 64), *to = Vector(y.data(), 64);
  uint64_t size = 0;
  aclOpExecutor* executor = nullptr;
  EXPECT(0, aclnnScaleGetWorkspaceSize(from, 2.0, to, &size, &executor));
  void* workspace = Malloc(size);
  EXPECT(0, aclnnScale(workspace, size, executor, nullptr));
  REFUSED(ACL_ERROR_RT_MEMORY_FREE, "aclnnScale (task 1", UnregisterDeviceMemory(y.data()));
  EXPECT(0, aclrtSynchronizeStream(nullptr));
  CHECK(y[63] == 3.0f);
  EXPECT(0, UnregisterDeviceMemory(x.data()));
  EXPECT(0, UnregisterDeviceMemory(y.data()));
  std::string why;
  CHECK(!IsDeviceMemory(y.data(), 4, &why));
  EXPECT(0, aclDestroyTensor(from));
  EXPECT(0, aclDestroyTensor(to));
  EXPECT(0, aclrtFree(workspace));
  session.Close();
}

int main(int count, char** arguments) { return RunCase(count, arguments); }
