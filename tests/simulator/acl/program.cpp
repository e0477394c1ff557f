// A program as one writes it for a card: nothing but the toolkit's headers. Prints the sum of the result.
#include <cstdio>
#include <numeric>
#include <vector>

#include "acl/acl.h"
#include "aclnn_scale.h"

#define CHECK_RET(condition, action) \
  do {                               \
    if (!(condition)) {              \
      action;                        \
    }                                \
  } while (0)

static int Report(const char* call, int status) {
  std::printf("%s failed with %d: %s\n", call, status, aclGetRecentErrMsg());
  return status;
}

template <typename T>
static int CreateAclTensor(const std::vector<T>& host, const std::vector<int64_t>& shape, aclDataType dtype,
                           void** device, aclTensor** tensor) {
  const size_t bytes = host.size() * sizeof(T);
  auto ret = aclrtMalloc(device, bytes, ACL_MEM_MALLOC_HUGE_FIRST);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclrtMalloc", ret));
  ret = aclrtMemcpy(*device, bytes, host.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclrtMemcpy", ret));
  std::vector<int64_t> strides(shape.size(), 1);
  for (int64_t i = static_cast<int64_t>(shape.size()) - 2; i >= 0; i--) strides[i] = shape[i + 1] * strides[i + 1];
  *tensor = aclCreateTensor(shape.data(), shape.size(), dtype, strides.data(), 0, aclFormat::ACL_FORMAT_ND,
                            shape.data(), shape.size(), *device);
  return ACL_SUCCESS;
}

int main() {
  const int32_t deviceId = 0;
  aclrtContext context;
  aclrtStream stream;
  auto ret = aclInit(nullptr);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclInit", ret));
  ret = aclrtSetDevice(deviceId);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclrtSetDevice", ret));
  ret = aclrtCreateContext(&context, deviceId);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclrtCreateContext", ret));
  ret = aclrtSetCurrentContext(context);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclrtSetCurrentContext", ret));
  ret = aclrtCreateStream(&stream);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclrtCreateStream", ret));

  const std::vector<int64_t> shape = {256};
  std::vector<float> x(256), y(256, 0.0f);
  std::iota(x.begin(), x.end(), 0.0f);
  void *xDevice = nullptr, *yDevice = nullptr, *workspace = nullptr;
  aclTensor *xTensor = nullptr, *yTensor = nullptr;
  ret = CreateAclTensor(x, shape, aclDataType::ACL_FLOAT, &xDevice, &xTensor);
  CHECK_RET(ret == ACL_SUCCESS, return ret);
  ret = CreateAclTensor(y, shape, aclDataType::ACL_FLOAT, &yDevice, &yTensor);
  CHECK_RET(ret == ACL_SUCCESS, return ret);

  uint64_t workspaceSize = 0;
  aclOpExecutor* executor = nullptr;
  ret = aclnnScaleGetWorkspaceSize(xTensor, 0.5, yTensor, &workspaceSize, &executor);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclnnScaleGetWorkspaceSize", ret));
  if (workspaceSize > 0) {
    ret = aclrtMalloc(&workspace, workspaceSize, ACL_MEM_MALLOC_HUGE_FIRST);
    CHECK_RET(ret == ACL_SUCCESS, return Report("aclrtMalloc", ret));
  }
  ret = aclnnScale(workspace, workspaceSize, executor, stream);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclnnScale", ret));
  ret = aclrtSynchronizeStream(stream);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclrtSynchronizeStream", ret));
  ret = aclrtMemcpy(y.data(), y.size() * sizeof(float), yDevice, y.size() * sizeof(float), ACL_MEMCPY_DEVICE_TO_HOST);
  CHECK_RET(ret == ACL_SUCCESS, return Report("aclrtMemcpy", ret));
  std::printf("%g\n", std::accumulate(y.begin(), y.end(), 0.0));

  aclDestroyTensor(xTensor);
  aclDestroyTensor(yTensor);
  aclrtFree(xDevice);
  aclrtFree(yDevice);
  if (workspaceSize > 0) aclrtFree(workspace);
  aclrtDestroyStream(stream);
  aclrtDestroyContext(context);
  aclrtResetDevice(deviceId);
  aclFinalize();
  return 0;
}
