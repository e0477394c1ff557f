// Compare and Select: from values to bits, and from bits back to values.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "instructions/vector_arithmetic.h"
#include "instructions/vector_loop.h"

namespace ascend_sim {

// A bit per lane, packed without gaps whatever the destination strides say; the mask has no effect (the manual calls it
// reserved on this chip).
void RunCompare(Instruction& frame, AscendC::CMPMODE mode, ElementType type, const Operand& dst,
                const VectorOperand& src0, const VectorOperand* src1, uint64_t scalar_bits, int repeats);
// Into the 128-bit CmpMask register; masked lanes keep their bits.
void RunCompareToRegister(Instruction& frame, AscendC::CMPMODE mode, ElementType type, const VectorOperand& src0,
                          const VectorOperand& src1, const MaskArgument& mask);
// Tensor form: `count` elements must be whole repeats.
int WholeRepeats(const Instruction& frame, uint32_t count, uint32_t element_bytes);
// How many repeats a call asks for, said directly or as a number of elements.
struct RepeatsOrCount {
  bool is_count = false;
  uint32_t value = 0;
  int Resolve(const Instruction& frame, uint32_t element_bytes) const {
    return is_count ? WholeRepeats(frame, value, element_bytes) : static_cast<int>(value);
  }
};

void RunSetCmpMask(Instruction& frame, const Operand& src);
void RunGetCmpMask(Instruction& frame, const Operand& dst);

// Where Select finds its bits and its second source.
struct Selection {
  AscendC::SELMODE mode = AscendC::SELMODE::VSEL_CMPMASK_SPR;
  const Operand* bits = nullptr;        // null: CmpMask holds them (mode 0) or their UB address (mode 2)
  const VectorOperand* src1 = nullptr;  // null: the scalar
  bool scalar_in_register = false;      // mode 1 without a scalar argument: CmpMask holds it
  uint64_t scalar_bits = 0;
};
// What the call does before it selects: the bits, their address or the scalar go into CmpMask, behind a PipeBarrier.
void PrepareSelect(Instruction& frame, const Selection& selection, Location where);
void RunSelect(Instruction& frame, ElementType type, const VectorOperand& dst, const VectorOperand& src0,
               const Selection& selection, const MaskArgument& mask, int repeats);

template <typename T, typename U, typename Strides>
void CallCompare(const AscendC::LocalTensor<U>& dst, const AscendC::LocalTensor<T>& src0,
                 const AscendC::LocalTensor<T>& src1, AscendC::CMPMODE mode, RepeatsOrCount repeats,
                 const Strides& strides, Location where) {
  static_assert(kIsOneOf<T, half, float, int32_t>, "Compare: this source type is not supported on dav-c220");
  static_assert(kIsOneOf<U, int8_t, uint8_t>, "Compare: the result is int8_t or uint8_t");
  Instruction frame("Compare", PIPE_V, where);
  const VectorOperand right = UbOperand(frame, "src1", src1, strides.src1BlkStride, strides.src1RepStride);
  RunCompare(frame, mode, TypeOf<T>(), frame.Local("dst", dst, Hardware::UB),
             UbOperand(frame, "src0", src0, strides.src0BlkStride, strides.src0RepStride), &right, 0,
             repeats.Resolve(frame, sizeof(T)));
}

template <typename T, typename U>
void CallCompareScalar(const char* name, const AscendC::LocalTensor<U>& dst, const AscendC::LocalTensor<T>& src0,
                       T scalar, AscendC::CMPMODE mode, RepeatsOrCount repeats,
                       const AscendC::UnaryRepeatParams& strides, Location where) {
  static_assert(kIsOneOf<T, half, float, int32_t>, "CompareScalar: this source type is not supported on dav-c220");
  static_assert(kIsOneOf<U, int8_t, uint8_t>, "CompareScalar: the result is int8_t or uint8_t");
  Instruction frame(name, PIPE_V, where);
  RunCompare(frame, mode, TypeOf<T>(), frame.Local("dst", dst, Hardware::UB),
             UbOperand(frame, "src0", src0, strides.srcBlkStride, strides.srcRepStride), nullptr, LowBits(scalar),
             repeats.Resolve(frame, sizeof(T)));
}

template <typename T, typename U>
void CallSelect(const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<U>* bits,
                const AscendC::LocalTensor<T>& src0, const AscendC::LocalTensor<T>* src1, Selection selection,
                const MaskArgument& mask, int repeats, const AscendC::BinaryRepeatParams& strides, Location where) {
  static_assert(kIsOneOf<T, half, float>, "Select: this data type is not supported on dav-c220");
  static_assert(kIsOneOf<U, uint8_t, uint16_t, uint32_t, uint64_t>, "Select: selMask holds unsigned integers");
  VectorOperand to, from, right;
  Operand bit_operand;
  const auto name_operands = [&](const Instruction& frame) {
    to = UbOperand(frame, "dst", dst, strides.dstBlkStride, strides.dstRepStride);
    from = UbOperand(frame, "src0", src0, strides.src0BlkStride, strides.src0RepStride);
    if (bits != nullptr) {
      bit_operand = frame.Local("selMask", *bits, Hardware::UB);
      selection.bits = &bit_operand;
    }
    if (src1 != nullptr) {
      right = UbOperand(frame, "src1", *src1, strides.src1BlkStride, strides.src1RepStride);
      selection.src1 = &right;
    }
  };
  if (bits != nullptr && !selection.scalar_in_register) {
    Instruction frame("Select", PIPE_V, where);
    name_operands(frame);
    PrepareSelect(frame, selection, where);
  }
  Instruction frame("Select", PIPE_V, where);
  name_operands(frame);
  RunSelect(frame, TypeOf<T>(), to, from, selection, mask, repeats);
}

}  // namespace ascend_sim

namespace AscendC {

template <typename T, typename U, bool isSetMask = true>
void Compare(const LocalTensor<U>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, CMPMODE cmpMode,
             const uint64_t mask[], Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams,
             ASCEND_SIM_CALLER) {
  static_cast<void>(mask);
  ascend_sim::CallCompare(dst, src0, src1, cmpMode, {false, repeatTime}, repeatParams, where);
}
template <typename T, typename U, bool isSetMask = true>
void Compare(const LocalTensor<U>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, CMPMODE cmpMode,
             const uint64_t mask, Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams,
             ASCEND_SIM_CALLER) {
  static_cast<void>(mask);
  ascend_sim::CallCompare(dst, src0, src1, cmpMode, {false, repeatTime}, repeatParams, where);
}
template <typename T, typename U>
void Compare(const LocalTensor<U>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, CMPMODE cmpMode,
             uint32_t count, ASCEND_SIM_CALLER) {
  ascend_sim::CallCompare(dst, src0, src1, cmpMode, {true, count}, BinaryRepeatParams(), where);
}

template <typename T, bool isSetMask = true>
void Compare(const LocalTensor<T>& src0, const LocalTensor<T>& src1, CMPMODE cmpMode, const uint64_t mask[],
             const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsOneOf<T, half, float>, "Compare: this source type is not supported on dav-c220");
  ascend_sim::Instruction frame("Compare", PIPE_V, where);
  ascend_sim::RunCompareToRegister(frame, cmpMode, ascend_sim::TypeOf<T>(),
                                   ascend_sim::UbOperand(frame, "src0", src0, repeatParams.src0BlkStride),
                                   ascend_sim::UbOperand(frame, "src1", src1, repeatParams.src1BlkStride),
                                   ascend_sim::MaskArgument::Of<isSetMask>(mask));
}
template <typename T, bool isSetMask = true>
void Compare(const LocalTensor<T>& src0, const LocalTensor<T>& src1, CMPMODE cmpMode, const uint64_t mask,
             const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsOneOf<T, half, float>, "Compare: this source type is not supported on dav-c220");
  ascend_sim::Instruction frame("Compare", PIPE_V, where);
  ascend_sim::RunCompareToRegister(frame, cmpMode, ascend_sim::TypeOf<T>(),
                                   ascend_sim::UbOperand(frame, "src0", src0, repeatParams.src0BlkStride),
                                   ascend_sim::UbOperand(frame, "src1", src1, repeatParams.src1BlkStride),
                                   ascend_sim::MaskArgument::Of<isSetMask>(mask));
}

template <typename T>
void GetCmpMask(const LocalTensor<T>& dst, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("GetCmpMask", PIPE_V, where);
  ascend_sim::RunGetCmpMask(frame, frame.Local("dst", dst, ascend_sim::Hardware::UB));
}
template <typename T>
void SetCmpMask(const LocalTensor<T>& src, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("SetCmpMask", PIPE_V, where);
  ascend_sim::RunSetCmpMask(frame, frame.Local("src", src, ascend_sim::Hardware::UB));
}

// CANN 8 says CompareScalar, CANN 9 Compares.
#define ASCEND_SIM_COMPARE_SCALAR(NAME)                                                                              \
  template <typename T, typename U, bool isSetMask = true>                                                           \
  void NAME(const LocalTensor<U>& dst, const LocalTensor<T>& src0, const T src1Scalar, CMPMODE cmpMode,              \
            const uint64_t mask[], Encoded<uint8_t> repeatTime, const UnaryRepeatParams& repeatParams,               \
            ASCEND_SIM_CALLER) {                                                                                     \
    static_cast<void>(mask);                                                                                         \
    ascend_sim::CallCompareScalar(#NAME, dst, src0, src1Scalar, cmpMode, {false, repeatTime}, repeatParams, where);  \
  }                                                                                                                  \
  template <typename T, typename U, bool isSetMask = true>                                                           \
  void NAME(const LocalTensor<U>& dst, const LocalTensor<T>& src0, const T src1Scalar, CMPMODE cmpMode,              \
            const uint64_t mask, Encoded<uint8_t> repeatTime, const UnaryRepeatParams& repeatParams,                 \
            ASCEND_SIM_CALLER) {                                                                                     \
    static_cast<void>(mask);                                                                                         \
    ascend_sim::CallCompareScalar(#NAME, dst, src0, src1Scalar, cmpMode, {false, repeatTime}, repeatParams, where);  \
  }                                                                                                                  \
  template <typename T, typename U>                                                                                  \
  void NAME(const LocalTensor<U>& dst, const LocalTensor<T>& src0, const T src1Scalar, CMPMODE cmpMode,              \
            uint32_t count, ASCEND_SIM_CALLER) {                                                                     \
    ascend_sim::CallCompareScalar(#NAME, dst, src0, src1Scalar, cmpMode, {true, count}, UnaryRepeatParams(), where); \
  }
ASCEND_SIM_COMPARE_SCALAR(CompareScalar)
ASCEND_SIM_COMPARE_SCALAR(Compares)
#undef ASCEND_SIM_COMPARE_SCALAR

// Modes 0 and 2: between two tensors.
template <typename T, typename U, bool isSetMask = true>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0,
            const LocalTensor<T>& src1, SELMODE selMode, uint64_t mask[], Encoded<uint8_t> repeatTime,
            const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::CallSelect(dst, &selMask, src0, &src1, {selMode}, ascend_sim::MaskArgument::Of<isSetMask>(mask),
                         repeatTime, repeatParams, where);
}
template <typename T, typename U, bool isSetMask = true>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0,
            const LocalTensor<T>& src1, SELMODE selMode, uint64_t mask, Encoded<uint8_t> repeatTime,
            const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::CallSelect(dst, &selMask, src0, &src1, {selMode}, ascend_sim::MaskArgument::Of<isSetMask>(mask),
                         repeatTime, repeatParams, where);
}
template <typename T, typename U>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0,
            const LocalTensor<T>& src1, SELMODE selMode, uint32_t count, ASCEND_SIM_CALLER) {
  ascend_sim::CallSelect(dst, &selMask, src0, &src1, {selMode}, ascend_sim::MaskArgument::Tensor(count), 1,
                         BinaryRepeatParams(), where);
}

// Mode 1: between a tensor and a scalar.
template <typename T, typename U, bool isSetMask = true>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0, T src1,
            SELMODE selMode, uint64_t mask[], Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams,
            ASCEND_SIM_CALLER) {
  ascend_sim::CallSelect<T, U>(dst, &selMask, src0, nullptr,
                               {selMode, nullptr, nullptr, false, ascend_sim::LowBits(src1)},
                               ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);
}
template <typename T, typename U, bool isSetMask = true>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0, T src1,
            SELMODE selMode, uint64_t mask, Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams,
            ASCEND_SIM_CALLER) {
  ascend_sim::CallSelect<T, U>(dst, &selMask, src0, nullptr,
                               {selMode, nullptr, nullptr, false, ascend_sim::LowBits(src1)},
                               ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);
}
template <typename T, typename U>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0, T src1,
            SELMODE selMode, uint32_t count, ASCEND_SIM_CALLER) {
  ascend_sim::CallSelect<T, U>(dst, &selMask, src0, nullptr,
                               {selMode, nullptr, nullptr, false, ascend_sim::LowBits(src1)},
                               ascend_sim::MaskArgument::Tensor(count), 1, BinaryRepeatParams(), where);
}

// The forms that take mask and CmpMask from the registers.
template <typename T, SELMODE selMode>
void Select(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
            Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::CallSelect<T, uint8_t>(dst, nullptr, src0, &src1, {selMode}, ascend_sim::MaskArgument::Register(),
                                     repeatTime, repeatParams, where);
}
template <typename T, typename U>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0,
            Encoded<uint8_t> repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::CallSelect<T, U>(dst, &selMask, src0, nullptr,
                               {SELMODE::VSEL_TENSOR_SCALAR_MODE, nullptr, nullptr, true, 0},
                               ascend_sim::MaskArgument::Register(), repeatTime, repeatParams, where);
}

}  // namespace AscendC
