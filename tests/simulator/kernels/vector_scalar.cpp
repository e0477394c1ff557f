// Every vector instruction with a scalar, and those that accumulate into the destination.
#include "vector_image.h"

enum ScalarOp : int64_t { kAdds, kMuls, kMaxs, kMins, kLeakyRelu, kShiftLeft, kShiftRight };

template <typename T>
__aicore__ inline void Scalar(VectorImage& image) {
  constexpr bool kIsFloating = AscendC::IsSameType<T, half>::value || AscendC::IsSameType<T, float>::value;
  constexpr bool kIsUnsigned = AscendC::IsSameType<T, uint16_t>::value || AscendC::IsSameType<T, uint32_t>::value;
  if constexpr (!kIsUnsigned) {
    switch (image.Op()) {
      case kAdds:
        VECTOR_CALL_FORMS(T, Adds, VECTOR_SCALAR_OPERANDS, UnaryStrides);
        break;
      case kMuls:
        VECTOR_CALL_FORMS(T, Muls, VECTOR_SCALAR_OPERANDS, UnaryStrides);
        break;
      case kMaxs:
        VECTOR_CALL_FORMS(T, Maxs, VECTOR_SCALAR_OPERANDS, UnaryStrides);
        break;
      case kMins:
        VECTOR_CALL_FORMS(T, Mins, VECTOR_SCALAR_OPERANDS, UnaryStrides);
        break;
    }
  }
  if constexpr (kIsFloating) {
    if (image.Op() == kLeakyRelu) VECTOR_CALL_FORMS(T, LeakyRelu, VECTOR_SCALAR_OPERANDS, UnaryStrides);
  } else {
    if (image.Op() == kShiftLeft) VECTOR_CALL_FORMS(T, ShiftLeft, VECTOR_SCALAR_OPERANDS, UnaryStrides);
    if (image.Op() == kShiftRight) VECTOR_CALL_FORMS(T, ShiftRight, VECTOR_SCALAR_OPERANDS, UnaryStrides);
  }
}

VECTOR_KERNEL(vector_scalar_half, Scalar, half)
VECTOR_KERNEL(vector_scalar_float, Scalar, float)
VECTOR_KERNEL(vector_scalar_int16, Scalar, int16_t)
VECTOR_KERNEL(vector_scalar_uint16, Scalar, uint16_t)
VECTOR_KERNEL(vector_scalar_int32, Scalar, int32_t)
VECTOR_KERNEL(vector_scalar_uint32, Scalar, uint32_t)

// dst += src * scalar and dst += src0 * src1, with half sources widened into float as well.
enum AccumulateOp : int64_t { kAxpy, kMulAddDst };

template <typename T, typename U>
__aicore__ inline void Accumulate(VectorImage& image) {
  const AscendC::LocalTensor<T> dst = image.At<T>(image.DstOffset());
  const AscendC::LocalTensor<U> src0 = image.At<U>(image.Src0Offset());
  const AscendC::LocalTensor<U> src1 = image.At<U>(image.Src1Offset());
  const U scalar = static_cast<U>(image.Scalar());
  uint64_t bits[2] = {image.MaskLow(), image.MaskHigh()};
  if (image.Op() == kAxpy) {
    if (image.FormOf() == kCount) AscendC::Axpy(dst, src0, scalar, image.Count());
    if (image.FormOf() == kMaskCount) {
      AscendC::Axpy(dst, src0, scalar, image.MaskLow(), image.Repeat(), image.UnaryStrides());
    }
    if (image.FormOf() == kMaskBits) AscendC::Axpy(dst, src0, scalar, bits, image.Repeat(), image.UnaryStrides());
  } else {
    if (image.FormOf() == kCount) AscendC::MulAddDst(dst, src0, src1, image.Count());
    if (image.FormOf() == kMaskCount) {
      AscendC::MulAddDst(dst, src0, src1, image.MaskLow(), image.Repeat(), image.BinaryStrides());
    }
    if (image.FormOf() == kMaskBits) AscendC::MulAddDst(dst, src0, src1, bits, image.Repeat(), image.BinaryStrides());
  }
}
template <typename T>
__aicore__ inline void AccumulateSame(VectorImage& image) {
  Accumulate<T, T>(image);
}
template <typename T>
__aicore__ inline void AccumulateHalf(VectorImage& image) {
  Accumulate<T, half>(image);
}

VECTOR_KERNEL(vector_accumulate_half, AccumulateSame, half)
VECTOR_KERNEL(vector_accumulate_float, AccumulateSame, float)
VECTOR_KERNEL(vector_accumulate_mixed, AccumulateHalf, float)
