// Elementwise arithmetic of the vector unit: one, two or three tensors, or a tensor and a scalar.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "instructions/vector_loop.h"

namespace ascend_sim {

enum class UnaryOp : uint8_t { kAbs, kExp, kLn, kSqrt, kRsqrt, kReciprocal, kRelu, kNot };
enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMax,
  kMin,
  kAnd,
  kOr,
  kAddRelu,
  kSubRelu,
  // dst is a third source.
  kMulAddDst,        // dst = src0 * src1 + dst
  kFusedMulAdd,      // dst = src0 * dst + src1
  kFusedMulAddRelu,  // the same, negative results become 0
};
enum class ScalarOp : uint8_t {
  kAdds,
  kMuls,
  kMaxs,
  kMins,
  kLeakyRelu,
  kShiftLeft,
  kShiftRight,
  kShiftRightRound,  // to nearest: adds half of the last place before it shifts
  kAxpy,             // dst = src * scalar + dst
};

// `dst` and the sources carry their strides; the scalar is passed as the bits of its type in the low bytes.
void RunUnary(Instruction& frame, UnaryOp op, ElementType type, const VectorOperand& dst, const VectorOperand& src,
              const MaskArgument& mask, int repeats);
void RunBinary(Instruction& frame, BinaryOp op, ElementType dst_type, ElementType src_type, const VectorOperand& dst,
               const VectorOperand& src0, const VectorOperand& src1, const MaskArgument& mask, int repeats);
void RunScalar(Instruction& frame, ScalarOp op, ElementType dst_type, ElementType src_type, const VectorOperand& dst,
               const VectorOperand& src, uint64_t scalar_bits, const MaskArgument& mask, int repeats);

template <typename T>
VectorOperand UbOperand(const Instruction& frame, const char* name, const AscendC::LocalTensor<T>& tensor,
                        uint32_t block_stride = 1, uint32_t repeat_stride = 8) {
  return {frame.Local(name, tensor, Hardware::UB), sizeof(T), block_stride, repeat_stride};
}

template <typename T>
void CallUnary(const char* name, UnaryOp op, const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<T>& src,
               const MaskArgument& mask, int repeats, const AscendC::UnaryRepeatParams& strides, Location where) {
  Instruction frame(name, PIPE_V, where);
  RunUnary(frame, op, TypeOf<T>(), UbOperand(frame, "dst", dst, strides.dstBlkStride, strides.dstRepStride),
           UbOperand(frame, "src", src, strides.srcBlkStride, strides.srcRepStride), mask, repeats);
}

// `packed`: the tensor form, whose operands lie without gaps whatever their widths.
template <typename T, typename U>
void CallBinary(const char* name, BinaryOp op, const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<U>& src0,
                const AscendC::LocalTensor<U>& src1, const MaskArgument& mask, int repeats,
                const AscendC::BinaryRepeatParams& strides, Location where) {
  Instruction frame(name, PIPE_V, where);
  RunBinary(frame, op, TypeOf<T>(), TypeOf<U>(),
            UbOperand(frame, "dst", dst, strides.dstBlkStride, strides.dstRepStride),
            UbOperand(frame, "src0", src0, strides.src0BlkStride, strides.src0RepStride),
            UbOperand(frame, "src1", src1, strides.src1BlkStride, strides.src1RepStride), mask, repeats);
}

template <typename T, typename U, typename S>
void CallScalar(const char* name, ScalarOp op, const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<U>& src,
                S scalar, const MaskArgument& mask, int repeats, const AscendC::UnaryRepeatParams& strides,
                Location where) {
  Instruction frame(name, PIPE_V, where);
  RunScalar(frame, op, TypeOf<T>(), TypeOf<U>(),
            UbOperand(frame, "dst", dst, strides.dstBlkStride, strides.dstRepStride),
            UbOperand(frame, "src", src, strides.srcBlkStride, strides.srcRepStride), LowBits(static_cast<U>(scalar)),
            mask, repeats);
}

// Strides of the tensor form: blocks side by side. A narrower operand fills fewer blocks of a repeat.
template <typename T, typename U>
AscendC::UnaryRepeatParams PackedUnary() {
  constexpr uint32_t kLanes = kRepeatBytes / (sizeof(T) > sizeof(U) ? sizeof(T) : sizeof(U));
  return {1, 1, kLanes * sizeof(T) / kBlockBytes, kLanes * sizeof(U) / kBlockBytes};
}

template <typename T, typename U>
AscendC::BinaryRepeatParams PackedBinary() {
  const AscendC::UnaryRepeatParams unary = PackedUnary<T, U>();
  return {1, 1, 1, unary.dstRepStride, unary.srcRepStride, unary.srcRepStride};
}

}  // namespace ascend_sim

namespace AscendC {

// The three forms of a one-source instruction: a bit mask, a lane count, the tensor form.
#define ASCEND_SIM_UNARY(NAME, ...)                                                                                   \
  template <typename T, bool isSetMask = true>                                                                        \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, uint64_t mask[], const Encoded<uint8_t> repeatTime, \
            const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {                                               \
    static_assert(ascend_sim::kIsOneOf<T, __VA_ARGS__>, #NAME ": this data type is not supported on dav-c220");       \
    ascend_sim::CallUnary(#NAME, ascend_sim::UnaryOp::k##NAME, dst, src,                                              \
                          ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);            \
  }                                                                                                                   \
  template <typename T, bool isSetMask = true>                                                                        \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, uint64_t mask, const Encoded<uint8_t> repeatTime,   \
            const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {                                               \
    static_assert(ascend_sim::kIsOneOf<T, __VA_ARGS__>, #NAME ": this data type is not supported on dav-c220");       \
    ascend_sim::CallUnary(#NAME, ascend_sim::UnaryOp::k##NAME, dst, src,                                              \
                          ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);            \
  }                                                                                                                   \
  template <typename T>                                                                                               \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const int32_t& count, ASCEND_SIM_CALLER) {          \
    static_assert(ascend_sim::kIsOneOf<T, __VA_ARGS__>, #NAME ": this data type is not supported on dav-c220");       \
    ascend_sim::CallUnary(#NAME, ascend_sim::UnaryOp::k##NAME, dst, src, ascend_sim::MaskArgument::Tensor(count), 1,  \
                          UnaryRepeatParams(), where);                                                                \
  }

ASCEND_SIM_UNARY(Abs, half, float)
ASCEND_SIM_UNARY(Exp, half, float)
ASCEND_SIM_UNARY(Ln, half, float)
ASCEND_SIM_UNARY(Sqrt, half, float)
ASCEND_SIM_UNARY(Rsqrt, half, float)
ASCEND_SIM_UNARY(Reciprocal, half, float)
ASCEND_SIM_UNARY(Relu, half, int32_t, float)
ASCEND_SIM_UNARY(Not, int16_t, uint16_t)
#undef ASCEND_SIM_UNARY

#define ASCEND_SIM_BINARY(NAME, ...)                                                                                 \
  template <typename T, bool isSetMask = true>                                                                       \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, uint64_t mask[],      \
            const Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {          \
    static_assert(ascend_sim::kIsOneOf<T, __VA_ARGS__>, #NAME ": this data type is not supported on dav-c220");      \
    ascend_sim::CallBinary(#NAME, ascend_sim::BinaryOp::k##NAME, dst, src0, src1,                                    \
                           ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);          \
  }                                                                                                                  \
  template <typename T, bool isSetMask = true>                                                                       \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, uint64_t mask,        \
            const Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {          \
    static_assert(ascend_sim::kIsOneOf<T, __VA_ARGS__>, #NAME ": this data type is not supported on dav-c220");      \
    ascend_sim::CallBinary(#NAME, ascend_sim::BinaryOp::k##NAME, dst, src0, src1,                                    \
                           ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);          \
  }                                                                                                                  \
  template <typename T>                                                                                              \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, const int32_t& count, \
            ASCEND_SIM_CALLER) {                                                                                     \
    static_assert(ascend_sim::kIsOneOf<T, __VA_ARGS__>, #NAME ": this data type is not supported on dav-c220");      \
    ascend_sim::CallBinary(#NAME, ascend_sim::BinaryOp::k##NAME, dst, src0, src1,                                    \
                           ascend_sim::MaskArgument::Tensor(count), 1, BinaryRepeatParams(), where);                 \
  }

ASCEND_SIM_BINARY(Add, int16_t, half, int32_t, float)
ASCEND_SIM_BINARY(Sub, int16_t, half, int32_t, float)
ASCEND_SIM_BINARY(Mul, int16_t, half, int32_t, float)
ASCEND_SIM_BINARY(Div, half, float)
ASCEND_SIM_BINARY(Max, int16_t, half, int32_t, float)
ASCEND_SIM_BINARY(Min, int16_t, half, int32_t, float)
ASCEND_SIM_BINARY(And, int16_t, uint16_t)
ASCEND_SIM_BINARY(Or, int16_t, uint16_t)
ASCEND_SIM_BINARY(AddRelu, int16_t, half, float)
ASCEND_SIM_BINARY(SubRelu, int16_t, half, float)
ASCEND_SIM_BINARY(FusedMulAdd, half, float)
ASCEND_SIM_BINARY(FusedMulAddRelu, half, float)
#undef ASCEND_SIM_BINARY

// CANN 9 calls FusedMulAddRelu MulAddRelu.
template <typename T, bool isSetMask = true, typename Mask>
void MulAddRelu(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, Mask mask,
                const Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  FusedMulAddRelu<T, isSetMask>(dst, src0, src1, mask, repeatTime, repeatParams, where);
}
template <typename T>
void MulAddRelu(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, const int32_t& count,
                ASCEND_SIM_CALLER) {
  FusedMulAddRelu(dst, src0, src1, count, where);
}

template <typename T, typename U>
inline constexpr bool kMulAddTypes = (std::is_same_v<T, U> && ascend_sim::kIsOneOf<T, half, float>) ||
                                     (std::is_same_v<T, float> && std::is_same_v<U, half>);

// dst = src0 * src1 + dst; half sources may accumulate in float, 64 lanes a repeat.
template <typename T, typename U, bool isSetMask = true>
void MulAddDst(const LocalTensor<T>& dst, const LocalTensor<U>& src0, const LocalTensor<U>& src1, const uint64_t mask[],
               const Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  static_assert(kMulAddTypes<T, U>, "MulAddDst: this data type is not supported on dav-c220");
  ascend_sim::CallBinary("MulAddDst", ascend_sim::BinaryOp::kMulAddDst, dst, src0, src1,
                         ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);
}
template <typename T, typename U, bool isSetMask = true>
void MulAddDst(const LocalTensor<T>& dst, const LocalTensor<U>& src0, const LocalTensor<U>& src1, uint64_t mask,
               const Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  static_assert(kMulAddTypes<T, U>, "MulAddDst: this data type is not supported on dav-c220");
  ascend_sim::CallBinary("MulAddDst", ascend_sim::BinaryOp::kMulAddDst, dst, src0, src1,
                         ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);
}
template <typename T, typename U>
void MulAddDst(const LocalTensor<T>& dst, const LocalTensor<U>& src0, const LocalTensor<U>& src1, const int32_t& count,
               ASCEND_SIM_CALLER) {
  static_assert(kMulAddTypes<T, U>, "MulAddDst: this data type is not supported on dav-c220");
  ascend_sim::CallBinary("MulAddDst", ascend_sim::BinaryOp::kMulAddDst, dst, src0, src1,
                         ascend_sim::MaskArgument::Tensor(count), 1, ascend_sim::PackedBinary<T, U>(), where);
}

// The scalar has the element type; the tensor form has an isSetMask of its own.
#define ASCEND_SIM_SCALAR(NAME, ...)                                                                             \
  template <typename T, bool isSetMask = true>                                                                   \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const T& scalarValue, uint64_t mask[],         \
            const Encoded<uint8_t> repeatTime, const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {       \
    static_assert(ascend_sim::kIsOneOf<T, __VA_ARGS__>, #NAME ": this data type is not supported on dav-c220");  \
    ascend_sim::CallScalar(#NAME, ascend_sim::ScalarOp::k##NAME, dst, src, scalarValue,                          \
                           ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);      \
  }                                                                                                              \
  template <typename T, bool isSetMask = true>                                                                   \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const T& scalarValue, uint64_t mask,           \
            const Encoded<uint8_t> repeatTime, const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {       \
    static_assert(ascend_sim::kIsOneOf<T, __VA_ARGS__>, #NAME ": this data type is not supported on dav-c220");  \
    ascend_sim::CallScalar(#NAME, ascend_sim::ScalarOp::k##NAME, dst, src, scalarValue,                          \
                           ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);      \
  }                                                                                                              \
  template <typename T, bool isSetMask = true>                                                                   \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const T& scalarValue, const int32_t& count,    \
            ASCEND_SIM_CALLER) {                                                                                 \
    static_assert(ascend_sim::kIsOneOf<T, __VA_ARGS__>, #NAME ": this data type is not supported on dav-c220");  \
    ascend_sim::CallScalar(#NAME, ascend_sim::ScalarOp::k##NAME, dst, src, scalarValue,                          \
                           ascend_sim::MaskArgument::OfTensor<isSetMask>(count), 1, UnaryRepeatParams(), where); \
  }

ASCEND_SIM_SCALAR(Adds, int16_t, half, int32_t, float)
ASCEND_SIM_SCALAR(Muls, int16_t, half, int32_t, float)
ASCEND_SIM_SCALAR(Maxs, int16_t, half, int32_t, float)
ASCEND_SIM_SCALAR(Mins, int16_t, half, int32_t, float)
ASCEND_SIM_SCALAR(LeakyRelu, half, float)
ASCEND_SIM_SCALAR(ShiftLeft, int16_t, uint16_t, int32_t, uint32_t)
#undef ASCEND_SIM_SCALAR

// roundEn rounds to nearest while it shifts; the chip has it for signed integers.
template <typename T, bool isSetMask = true, typename Mask,
          std::enable_if_t<std::is_same_v<Mask, uint64_t*> || std::is_integral_v<Mask>, bool> = true>
void ShiftRight(const LocalTensor<T>& dst, const LocalTensor<T>& src, const T& scalarValue, Mask mask,
                const Encoded<uint8_t> repeatTime, const UnaryRepeatParams& repeatParams, bool roundEn = false,
                ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsOneOf<T, int16_t, uint16_t, int32_t, uint32_t>,
                "ShiftRight: this data type is not supported on dav-c220");
  ascend_sim::CallScalar("ShiftRight",
                         roundEn ? ascend_sim::ScalarOp::kShiftRightRound : ascend_sim::ScalarOp::kShiftRight, dst, src,
                         scalarValue, ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);
}
template <typename T, bool isSetMask = true>
void ShiftRight(const LocalTensor<T>& dst, const LocalTensor<T>& src, const T& scalarValue, const int32_t& count,
                ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsOneOf<T, int16_t, uint16_t, int32_t, uint32_t>,
                "ShiftRight: this data type is not supported on dav-c220");
  ascend_sim::CallScalar("ShiftRight", ascend_sim::ScalarOp::kShiftRight, dst, src, scalarValue,
                         ascend_sim::MaskArgument::OfTensor<isSetMask>(count), 1, UnaryRepeatParams(), where);
}

// dst = src * scalar + dst; half sources may accumulate in float, 64 lanes a repeat.
template <typename T, typename U, bool isSetMask = true>
void Axpy(const LocalTensor<T>& dst, const LocalTensor<U>& src, const U& scalarValue, uint64_t mask,
          const Encoded<uint8_t> repeatTime, const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  static_assert(kMulAddTypes<T, U>, "Axpy: this data type is not supported on dav-c220");
  ascend_sim::CallScalar("Axpy", ascend_sim::ScalarOp::kAxpy, dst, src, scalarValue,
                         ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);
}
template <typename T, typename U, bool isSetMask = true>
void Axpy(const LocalTensor<T>& dst, const LocalTensor<U>& src, const U& scalarValue, uint64_t mask[],
          const Encoded<uint8_t> repeatTime, const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  static_assert(kMulAddTypes<T, U>, "Axpy: this data type is not supported on dav-c220");
  ascend_sim::CallScalar("Axpy", ascend_sim::ScalarOp::kAxpy, dst, src, scalarValue,
                         ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);
}
template <typename T, typename U>
void Axpy(const LocalTensor<T>& dst, const LocalTensor<U>& src, const U& scalarValue, const int32_t& count,
          ASCEND_SIM_CALLER) {
  static_assert(kMulAddTypes<T, U>, "Axpy: this data type is not supported on dav-c220");
  ascend_sim::CallScalar("Axpy", ascend_sim::ScalarOp::kAxpy, dst, src, scalarValue,
                         ascend_sim::MaskArgument::Tensor(count), 1, ascend_sim::PackedUnary<T, U>(), where);
}

}  // namespace AscendC
