// Kernels that copy their blob to their first output, in stream order: what each was given can be read afterwards.
// kernel_entries.cpp calls them as it calls the AscendC compiler's.
#include "recording_kernels.h"

#include <cstdint>

#include "acl/acl.h"

namespace {

uint32_t Record(uint32_t cores, aclrtStream stream, void* to, const void* blob) {
  if (cores == kRefusedCores) return kRefusal;
  return aclrtMemcpyAsync(to, kRecordedBytes, blob, kRecordedBytes, ACL_MEMCPY_DEVICE_TO_DEVICE, stream);
}

}  // namespace

extern "C" uint32_t aclrtlaunch_flash_attention_score(uint32_t cores, aclrtStream stream, void*, void*, void*, void*,
                                                      void*, void*, void*, void*, void*, void* out, void*, void*, void*,
                                                      void* blob) {
  return Record(cores, stream, out, blob);
}

extern "C" uint32_t aclrtlaunch_flash_attention_score_grad(uint32_t cores, aclrtStream stream, void*, void*, void*,
                                                           void*, void*, void*, void*, void*, void*, void*, void*,
                                                           void*, void*, void* dq, void*, void*, void*, void*, void*,
                                                           void*, void*, void* blob) {
  return Record(cores, stream, dq, blob);
}

extern "C" uint32_t aclrtlaunch_strided_copy(uint32_t cores, aclrtStream stream, void* to, void*, void*, void* blob) {
  return Record(cores, stream, to, blob);
}
