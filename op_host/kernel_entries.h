// The C border of libnpu_fa_kernels_<soc>.so, in which the kernels are compiled for one chip.
#pragma once

#include <cstddef>
#include <cstdint>

namespace npu_fa {

// Queues a kernel on an aclrtStream; `arguments` are its GM_ADDR parameters. Returns 0, or what refused the launch.
using KernelEntry = uint32_t (*)(uint32_t cores, void* stream, void* const* arguments, size_t count);

constexpr uint32_t kWrongArgumentCount = 161002;

}  // namespace npu_fa
