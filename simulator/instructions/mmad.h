// Mmad: C = A * B (+ C or a bias), A in L0A, B in L0B, C in L0C.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "instructions/mmad_kernel.h"
#include "instructions/vector_loop.h"

namespace ascend_sim {

// `bias` lies in the bias table (a row of n values) or in L0C (the matrix itself is accumulated); null: none.
void RunMmad(Instruction& frame, ElementType input, const Operand& c, const Operand& a, const Operand& b,
             const Operand* bias, const AscendC::MmadParams& params);

// Order between Mmad and Fixpipe on each 512 bytes of L0C, when both ask for it (unitFlag 2 or 3).
enum class UnitUse : uint8_t { kWrite, kRead };
void EnterUnits(Instruction& frame, const Operand& c, uint64_t bytes, uint8_t unit_flag, UnitUse use);
void LeaveUnits(Instruction& frame, const Operand& c, uint64_t bytes, uint8_t unit_flag, UnitUse use);

template <typename C, typename A, typename B>
inline constexpr bool kMmadTypes =
    std::is_same_v<A, B> && ((std::is_same_v<C, float> && kIsOneOf<A, half, bfloat16_t, float>) ||
                             (std::is_same_v<C, int32_t> && std::is_same_v<A, int8_t>));

}  // namespace ascend_sim

namespace AscendC {

template <typename T, typename U, typename S>
void Mmad(const LocalTensor<T>& dst, const LocalTensor<U>& fm, const LocalTensor<S>& filter,
          const MmadParams& mmadParams, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kMmadTypes<T, U, S>, "Mmad: this combination of data types is not supported");
  ascend_sim::Instruction frame("Mmad", PIPE_M, where);
  ascend_sim::RunMmad(frame, ascend_sim::TypeOf<U>(), frame.Local("dst", dst, ascend_sim::Hardware::L0C),
                      frame.Local("fm", fm, ascend_sim::Hardware::L0A),
                      frame.Local("filter", filter, ascend_sim::Hardware::L0B), nullptr, mmadParams);
}
template <typename T, typename U, typename S, typename V>
void Mmad(const LocalTensor<T>& dst, const LocalTensor<U>& fm, const LocalTensor<S>& filter, const LocalTensor<V>& bias,
          const MmadParams& mmadParams, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kMmadTypes<T, U, S> && std::is_same_v<T, V>,
                "Mmad: this combination of data types is not supported");
  ascend_sim::Instruction frame("Mmad", PIPE_M, where);
  const ascend_sim::Operand bias_operand = frame.Local("bias", bias);
  ascend_sim::RunMmad(frame, ascend_sim::TypeOf<U>(), frame.Local("dst", dst, ascend_sim::Hardware::L0C),
                      frame.Local("fm", fm, ascend_sim::Hardware::L0A),
                      frame.Local("filter", filter, ascend_sim::Hardware::L0B), &bias_operand, mmadParams);
}

// HF32: float inputs are rounded to 11 mantissa bits first, which doubles the rate. CANN 8 passes a bool.
inline void SetHF32Mode(bool hf32Mode) { ascend_sim::CurrentCore().cube.hf32 = hf32Mode; }
inline void SetHF32Mode(HF32Mode mode) { SetHF32Mode(mode == HF32Mode::ENABLE); }
// true: a tie goes to zero, false: to even.
inline void SetHF32TransMode(bool hf32TransMode) { ascend_sim::CurrentCore().cube.hf32_ties_to_zero = hf32TransMode; }
inline void SetHF32TransMode(HF32TransMode mode) { SetHF32TransMode(mode == HF32TransMode::NEAREST_ZERO); }

// The direction in which the cube walks C has no effect on values or on this model's time.
inline void SetMMLayoutTransform(bool) {}
inline void SetMMColumnMajor() {}
inline void SetMMRowMajor() {}

}  // namespace AscendC
