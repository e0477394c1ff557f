// Fixpipe: results out of L0C into GM or L1, converted on the way.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "instructions/mmad.h"
#include "instructions/vector_loop.h"

namespace ascend_sim {

// `factors`: a 64-bit quantisation word per column in L1, for the V... modes; null otherwise.
void RunFixpipe(Instruction& frame, ElementType to, ElementType from, const Operand& dst, const Operand& src,
                const Operand* factors, bool row_major, const AscendC::FixpipeParamsV220& params);

template <typename To, typename From>
inline constexpr bool kFixpipeTypes =
    (std::is_same_v<From, float> && kIsOneOf<To, int8_t, uint8_t, half, bfloat16_t, float>) ||
    (std::is_same_v<From, int32_t> && kIsOneOf<To, int8_t, uint8_t, half, int32_t>);

}  // namespace ascend_sim

namespace AscendC {

template <typename T, typename U, const FixpipeConfig& config = CFG_ROW_MAJOR>
void Fixpipe(const GlobalTensor<T>& dst, const LocalTensor<U>& src, const FixpipeParamsV220& intriParams,
             ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kFixpipeTypes<T, U>, "Fixpipe: this combination of data types is not supported");
  ascend_sim::Instruction frame("Fixpipe", PIPE_FIX, where);
  ascend_sim::RunFixpipe(frame, ascend_sim::TypeOf<T>(), ascend_sim::TypeOf<U>(), frame.Global("dst", dst),
                         frame.Local("src", src, ascend_sim::Hardware::L0C), nullptr,
                         config.format == CO2Layout::ROW_MAJOR, intriParams);
}
template <typename T, typename U, const FixpipeConfig& config = CFG_ROW_MAJOR>
void Fixpipe(const GlobalTensor<T>& dst, const LocalTensor<U>& src, const LocalTensor<uint64_t>& cbufWorkspace,
             const FixpipeParamsV220& intriParams, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kFixpipeTypes<T, U>, "Fixpipe: this combination of data types is not supported");
  ascend_sim::Instruction frame("Fixpipe", PIPE_FIX, where);
  const ascend_sim::Operand factors = frame.Local("cbufWorkspace", cbufWorkspace, ascend_sim::Hardware::L1);
  ascend_sim::RunFixpipe(frame, ascend_sim::TypeOf<T>(), ascend_sim::TypeOf<U>(), frame.Global("dst", dst),
                         frame.Local("src", src, ascend_sim::Hardware::L0C), &factors,
                         config.format == CO2Layout::ROW_MAJOR, intriParams);
}
template <typename T, typename U, const FixpipeConfig& config = CFG_ROW_MAJOR>
void Fixpipe(const LocalTensor<T>& dst, const LocalTensor<U>& src, const FixpipeParamsV220& intriParams,
             ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kFixpipeTypes<T, U> && !std::is_same_v<T, U>,
                "Fixpipe: results go to L1 in a narrower type only");
  static_assert(config.format == CO2Layout::NZ, "Fixpipe: results go to L1 in NZ layout only");
  ascend_sim::Instruction frame("Fixpipe", PIPE_FIX, where);
  ascend_sim::RunFixpipe(frame, ascend_sim::TypeOf<T>(), ascend_sim::TypeOf<U>(),
                         frame.Local("dst", dst, ascend_sim::Hardware::L1),
                         frame.Local("src", src, ascend_sim::Hardware::L0C), nullptr, false, intriParams);
}
template <typename T, typename U, const FixpipeConfig& config = CFG_ROW_MAJOR>
void Fixpipe(const LocalTensor<T>& dst, const LocalTensor<U>& src, const LocalTensor<uint64_t>& cbufWorkspace,
             const FixpipeParamsV220& intriParams, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kFixpipeTypes<T, U> && !std::is_same_v<T, U>,
                "Fixpipe: results go to L1 in a narrower type only");
  static_assert(config.format == CO2Layout::NZ, "Fixpipe: results go to L1 in NZ layout only");
  ascend_sim::Instruction frame("Fixpipe", PIPE_FIX, where);
  const ascend_sim::Operand factors = frame.Local("cbufWorkspace", cbufWorkspace, ascend_sim::Hardware::L1);
  ascend_sim::RunFixpipe(frame, ascend_sim::TypeOf<T>(), ascend_sim::TypeOf<U>(),
                         frame.Local("dst", dst, ascend_sim::Hardware::L1),
                         frame.Local("src", src, ascend_sim::Hardware::L0C), &factors, false, intriParams);
}

// isUnitFlag = true clears every unit flag of L0C.
template <typename T, bool setRelu = false>
void SetFixPipeConfig(const LocalTensor<T>&, bool isUnitFlag = false) {
  if (isUnitFlag) ascend_sim::CurrentCore().cube.unit_full.fill(false);
}
template <typename T>
void SetFixPipeConfig(const LocalTensor<T>&, const LocalTensor<T>&, bool isUnitFlag = false) {
  if (isUnitFlag) ascend_sim::CurrentCore().cube.unit_full.fill(false);
}

}  // namespace AscendC
