// Compiled once for each chip, against the launch headers that the AscendC compiler makes of the kernels.
#include "kernel_entries.h"

#include <utility>

#include "aclrtlaunch_flash_attention_score.h"
#include "aclrtlaunch_flash_attention_score_grad.h"
#include "aclrtlaunch_strided_copy.h"

namespace npu_fa {
namespace {

template <class... Parameters, size_t... I>
uint32_t Spread(uint32_t (*launch)(uint32_t, aclrtStream, Parameters...), uint32_t cores, aclrtStream stream,
                void* const* arguments, std::index_sequence<I...>) {
  return launch(cores, stream, static_cast<Parameters>(arguments[I])...);
}

template <class... Parameters>
uint32_t Enter(uint32_t (*launch)(uint32_t, aclrtStream, Parameters...), uint32_t cores, aclrtStream stream,
               void* const* arguments, size_t count) {
  if (count != sizeof...(Parameters)) return kWrongArgumentCount;
  return Spread(launch, cores, stream, arguments, std::index_sequence_for<Parameters...>());
}

}  // namespace
}  // namespace npu_fa

extern "C" __attribute__((visibility("default"))) uint32_t npu_fa_flash_attention_score(uint32_t cores, void* stream,
                                                                                        void* const* arguments,
                                                                                        size_t count) {
  return npu_fa::Enter(ACLRT_LAUNCH_KERNEL(flash_attention_score), cores, stream, arguments, count);
}

extern "C" __attribute__((visibility("default"))) uint32_t npu_fa_flash_attention_score_grad(uint32_t cores,
                                                                                             void* stream,
                                                                                             void* const* arguments,
                                                                                             size_t count) {
  return npu_fa::Enter(ACLRT_LAUNCH_KERNEL(flash_attention_score_grad), cores, stream, arguments, count);
}

extern "C" __attribute__((visibility("default"))) uint32_t npu_fa_strided_copy(uint32_t cores, void* stream,
                                                                               void* const* arguments, size_t count) {
  return npu_fa::Enter(ACLRT_LAUNCH_KERNEL(strided_copy), cores, stream, arguments, count);
}
