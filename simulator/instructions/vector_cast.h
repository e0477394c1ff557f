// Conversions between data types: Cast in every rounding mode the chip has for a pair, and the fused forms.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "instructions/vector_arithmetic.h"
#include "instructions/vector_loop.h"

namespace ascend_sim {

void RunCast(Instruction& frame, ElementType to, ElementType from, AscendC::RoundMode mode, const VectorOperand& dst,
             const VectorOperand& src, const MaskArgument& mask, int repeats);

enum class FusedCast : uint8_t { kAddRelu, kSubRelu, kMul };
// dst = cast(op(src0, src1)): the value is rounded to the source type, then converted to nearest even, saturating.
void RunFusedCast(Instruction& frame, FusedCast op, ElementType to, ElementType from, const VectorOperand& dst,
                  const VectorOperand& src0, const VectorOperand& src1, const MaskArgument& mask, int repeats);

// Pairs (from, to) of the manual's table for this chip.
template <typename T, typename U>
inline constexpr bool kCastable =
    (std::is_same_v<U, half> && kIsOneOf<T, int8_t, uint8_t, int16_t, int32_t, float>) ||
    (kIsOneOf<U, int8_t, uint8_t> && std::is_same_v<T, half>) ||
    (std::is_same_v<U, int16_t> && kIsOneOf<T, half, float>) ||
    (std::is_same_v<U, bfloat16_t> && kIsOneOf<T, int32_t, float>) ||
    (std::is_same_v<U, int32_t> && kIsOneOf<T, int16_t, half, float, int64_t>) ||
    (std::is_same_v<U, float> && kIsOneOf<T, int16_t, half, bfloat16_t, int32_t, float, int64_t>) ||
    (std::is_same_v<U, int64_t> && kIsOneOf<T, int32_t, float>);

template <typename T, typename U>
void CallCast(const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<U>& src, AscendC::RoundMode mode,
              const MaskArgument& mask, int repeats, const AscendC::UnaryRepeatParams& strides, Location where) {
  static_assert(kCastable<T, U>, "Cast: this pair of data types is not supported on dav-c220");
  Instruction frame("Cast", PIPE_V, where);
  RunCast(frame, TypeOf<T>(), TypeOf<U>(), mode,
          UbOperand(frame, "dst", dst, strides.dstBlkStride, strides.dstRepStride),
          UbOperand(frame, "src", src, strides.srcBlkStride, strides.srcRepStride), mask, repeats);
}

template <typename T, typename U>
void CallFusedCast(const char* name, FusedCast op, const AscendC::LocalTensor<T>& dst,
                   const AscendC::LocalTensor<U>& src0, const AscendC::LocalTensor<U>& src1, const MaskArgument& mask,
                   int repeats, const AscendC::BinaryRepeatParams& strides, Location where) {
  Instruction frame(name, PIPE_V, where);
  RunFusedCast(frame, op, TypeOf<T>(), TypeOf<U>(),
               UbOperand(frame, "dst", dst, strides.dstBlkStride, strides.dstRepStride),
               UbOperand(frame, "src0", src0, strides.src0BlkStride, strides.src0RepStride),
               UbOperand(frame, "src1", src1, strides.src1BlkStride, strides.src1RepStride), mask, repeats);
}

}  // namespace ascend_sim

namespace AscendC {

template <typename T, typename U, bool isSetMask = true>
void Cast(const LocalTensor<T>& dst, const LocalTensor<U>& src, const RoundMode& roundMode, const uint64_t mask[],
          const Encoded<uint8_t> repeatTime, const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::CallCast(dst, src, roundMode, ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams,
                       where);
}
template <typename T, typename U, bool isSetMask = true>
void Cast(const LocalTensor<T>& dst, const LocalTensor<U>& src, const RoundMode& roundMode, const uint64_t mask,
          const Encoded<uint8_t> repeatTime, const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::CallCast(dst, src, roundMode, ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams,
                       where);
}
template <typename T, typename U>
void Cast(const LocalTensor<T>& dst, const LocalTensor<U>& src, const RoundMode& roundMode, const uint32_t count,
          ASCEND_SIM_CALLER) {
  ascend_sim::CallCast(dst, src, roundMode, ascend_sim::MaskArgument::Tensor(count), 1, ascend_sim::PackedUnary<T, U>(),
                       where);
}

// int32 -> half multiplies by this scale instead of rounding by mode.
inline void SetDeqScale(half scale) { ascend_sim::CurrentCore().vector.deq_scale_half = scale; }

#define ASCEND_SIM_FUSED_CAST(NAME, OP, SUPPORTED)                                                                   \
  template <typename T, typename U, bool isSetMask = true>                                                           \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<U>& src0, const LocalTensor<U>& src1, uint64_t mask,        \
            const Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {          \
    static_assert(SUPPORTED, #NAME ": this pair of data types is not supported on dav-c220");                        \
    ascend_sim::CallFusedCast(#NAME, ascend_sim::FusedCast::OP, dst, src0, src1,                                     \
                              ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);       \
  }                                                                                                                  \
  template <typename T, typename U, bool isSetMask = true>                                                           \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<U>& src0, const LocalTensor<U>& src1, uint64_t mask[],      \
            const Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {          \
    static_assert(SUPPORTED, #NAME ": this pair of data types is not supported on dav-c220");                        \
    ascend_sim::CallFusedCast(#NAME, ascend_sim::FusedCast::OP, dst, src0, src1,                                     \
                              ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);       \
  }                                                                                                                  \
  template <typename T, typename U>                                                                                  \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<U>& src0, const LocalTensor<U>& src1, const uint32_t count, \
            ASCEND_SIM_CALLER) {                                                                                     \
    static_assert(SUPPORTED, #NAME ": this pair of data types is not supported on dav-c220");                        \
    ascend_sim::CallFusedCast(#NAME, ascend_sim::FusedCast::OP, dst, src0, src1,                                     \
                              ascend_sim::MaskArgument::Tensor(count), 1, ascend_sim::PackedBinary<T, U>(), where);  \
  }

#define ASCEND_SIM_RELU_CAST_TYPES                                          \
  ((std::is_same_v<T, int8_t> && ascend_sim::kIsOneOf<U, half, int16_t>) || \
   (std::is_same_v<T, half> && std::is_same_v<U, float>))
#define ASCEND_SIM_MUL_CAST_TYPES (ascend_sim::kIsOneOf<T, int8_t, uint8_t> && std::is_same_v<U, half>)
ASCEND_SIM_FUSED_CAST(AddReluCast, kAddRelu, ASCEND_SIM_RELU_CAST_TYPES)
ASCEND_SIM_FUSED_CAST(SubReluCast, kSubRelu, ASCEND_SIM_RELU_CAST_TYPES)
ASCEND_SIM_FUSED_CAST(MulCast, kMul, ASCEND_SIM_MUL_CAST_TYPES)
#undef ASCEND_SIM_MUL_CAST_TYPES
#undef ASCEND_SIM_RELU_CAST_TYPES
#undef ASCEND_SIM_FUSED_CAST

}  // namespace AscendC
