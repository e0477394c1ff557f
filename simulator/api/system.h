// Who am I, which kind of kernel is this, where are workspace and tiling.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "api/tensor.h"
#include "machine/core.h"
#include "machine/machine.h"

enum KernelMetaType {
  KERNEL_TYPE_AIV_ONLY,
  KERNEL_TYPE_AIC_ONLY,
  KERNEL_TYPE_MIX_AIV_1_0,
  KERNEL_TYPE_MIX_AIC_1_0,
  KERNEL_TYPE_MIX_AIC_1_1,
  KERNEL_TYPE_MIX_AIC_1_2,
};

namespace ascend_sim {
constexpr KernelType KernelTypeOf(KernelMetaType type) {
  switch (type) {
    case KERNEL_TYPE_AIV_ONLY:
      return KernelType::kAivOnly;
    case KERNEL_TYPE_AIC_ONLY:
      return KernelType::kAicOnly;
    case KERNEL_TYPE_MIX_AIV_1_0:
      return KernelType::kMixAiv10;
    case KERNEL_TYPE_MIX_AIC_1_0:
      return KernelType::kMixAic10;
    case KERNEL_TYPE_MIX_AIC_1_1:
      return KernelType::kMixAic11;
    default:
      return KernelType::kMixAic12;
  }
}
inline void DeclareKernelTypeFor(uint64_t tiling_key, KernelType type) {
  if (tiling_key == probe_tiling_key) DeclareKernelType(type);
}
// Copies a tiling struct out of GM, within bounds.
void ReadTiling(void* destination, const void* source, uint64_t bytes, const Location& where);
}  // namespace ascend_sim

// First statements of a kernel. A launch runs the kernel up to here once to learn which cores to start.
#define KERNEL_TASK_TYPE_DEFAULT(value) ::ascend_sim::DeclareKernelType(::ascend_sim::KernelTypeOf(value))
#define KERNEL_TASK_TYPE(key, value) ::ascend_sim::DeclareKernelTypeFor(key, ::ascend_sim::KernelTypeOf(value))

#define ASCEND_IS_AIC (::ascend_sim::CurrentCore().is_aic())
#define ASCEND_IS_AIV (!::ascend_sim::CurrentCore().is_aic())
#define ASCEND_IS_NOT_AIC ASCEND_IS_AIV
#define ASCEND_IS_NOT_AIV ASCEND_IS_AIC

#define TILING_KEY_IS(key) (::ascend_sim::CurrentCore().machine().options().tiling_key == (key))
#define REGISTER_TILING_DEFAULT(type) using AscendSimDefaultTiling = type
#define GET_TILING_DATA_WITH_STRUCT(type, name, address) \
  type name;                                             \
  ::ascend_sim::ReadTiling(&name, address, sizeof(type), ::ascend_sim::Location::Here())
#define GET_TILING_DATA(name, address) GET_TILING_DATA_WITH_STRUCT(AscendSimDefaultTiling, name, address)
#define GET_TILING_DATA_MEMBER(type, member, name, address)                                                         \
  std::remove_const_t<decltype(type::member)> name;                                                                 \
  ::ascend_sim::ReadTiling(&name, reinterpret_cast<const uint8_t*>(address) + offsetof(type, member), sizeof(name), \
                           ::ascend_sim::Location::Here())
#define COPY_TILING_WITH_STRUCT(type, source, destination) \
  ::ascend_sim::ReadTiling(destination, source, sizeof(type), ::ascend_sim::Location::Here())

// `if (g_coreType == AIC)`: the older way to write ASCEND_IS_AIC.
#define g_coreType (::ascend_sim::CurrentCore().is_aic() ? AscendC::AIC : AscendC::AIV)

namespace AscendC {

inline constexpr int32_t AIC = 1, AIV = 2;  // what g_coreType may be

inline int64_t GetBlockIdx() { return ascend_sim::CurrentCore().block_idx(); }
inline int64_t GetBlockNum() { return ascend_sim::CurrentCore().machine().options().block_dim; }
inline int64_t GetSubBlockIdx() { return ascend_sim::CurrentCore().sub_block(); }
// AIVs to an AIC.
inline int64_t GetSubBlockNum() { return ascend_sim::CurrentCore().machine().ratio(); }
inline int64_t GetTaskRation() { return ascend_sim::CurrentCore().machine().ratio(); }
inline int64_t GetTaskRatio() { return ascend_sim::CurrentCore().machine().ratio(); }

// Instructions this core has issued, not cycles: a functional run has no time. It only ever grows.
inline int64_t GetSystemCycle() { return static_cast<int64_t>(ascend_sim::CurrentCore().issued()); }
inline void GetArchVersion(uint32_t& coreVersion) { coreVersion = 220; }

// The launch passes user workspace only; nothing is reserved before it for the system.
inline GM_ADDR GetUserWorkspace(GM_ADDR workspace) { return workspace; }
inline void SetSysWorkspace(GM_ADDR) {}
inline GM_ADDR GetSysWorkSpacePtr() { return nullptr; }

inline constexpr uint16_t GetDataBlockSizeInBytes() { return 32; }

[[noreturn]] void Trap(ASCEND_SIM_CALLER);

}  // namespace AscendC
