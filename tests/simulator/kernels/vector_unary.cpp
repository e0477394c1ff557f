// Every one-source vector instruction, in every form.
#include "vector_image.h"

enum UnaryOp : int64_t { kAbs, kExp, kLn, kSqrt, kRsqrt, kReciprocal, kRelu, kNot };

template <typename T>
__aicore__ inline void Unary(VectorImage& image) {
  constexpr bool kIsFloating = AscendC::IsSameType<T, half>::value || AscendC::IsSameType<T, float>::value;
  constexpr bool kIsBits16 = AscendC::IsSameType<T, uint16_t>::value || AscendC::IsSameType<T, int16_t>::value;
  if constexpr (kIsFloating) {
    switch (image.Op()) {
      case kAbs:
        VECTOR_CALL_FORMS(T, Abs, VECTOR_UNARY_OPERANDS, UnaryStrides);
        break;
      case kExp:
        VECTOR_CALL_FORMS(T, Exp, VECTOR_UNARY_OPERANDS, UnaryStrides);
        break;
      case kLn:
        VECTOR_CALL_FORMS(T, Ln, VECTOR_UNARY_OPERANDS, UnaryStrides);
        break;
      case kSqrt:
        VECTOR_CALL_FORMS(T, Sqrt, VECTOR_UNARY_OPERANDS, UnaryStrides);
        break;
      case kRsqrt:
        VECTOR_CALL_FORMS(T, Rsqrt, VECTOR_UNARY_OPERANDS, UnaryStrides);
        break;
      case kReciprocal:
        VECTOR_CALL_FORMS(T, Reciprocal, VECTOR_UNARY_OPERANDS, UnaryStrides);
        break;
    }
  }
  if constexpr (kIsFloating || AscendC::IsSameType<T, int32_t>::value) {
    if (image.Op() == kRelu) VECTOR_CALL_FORMS(T, Relu, VECTOR_UNARY_OPERANDS, UnaryStrides);
  }
  if constexpr (kIsBits16) {
    if (image.Op() == kNot) VECTOR_CALL_FORMS(T, Not, VECTOR_UNARY_OPERANDS, UnaryStrides);
  }
}

VECTOR_KERNEL(vector_unary_half, Unary, half)
VECTOR_KERNEL(vector_unary_float, Unary, float)
VECTOR_KERNEL(vector_unary_int16, Unary, int16_t)
VECTOR_KERNEL(vector_unary_uint16, Unary, uint16_t)
VECTOR_KERNEL(vector_unary_int32, Unary, int32_t)
