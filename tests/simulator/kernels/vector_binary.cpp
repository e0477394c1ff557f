// Every two-source vector instruction, in every form.
#include "vector_image.h"

enum BinaryOp : int64_t {
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
  kFusedMulAdd,
  kFusedMulAddRelu
};

template <typename T>
__aicore__ inline void Binary(VectorImage& image) {
  constexpr bool kIsFloating = AscendC::IsSameType<T, half>::value || AscendC::IsSameType<T, float>::value;
  constexpr bool kIsUnsigned = AscendC::IsSameType<T, uint16_t>::value;
  constexpr bool kIsBits16 = kIsUnsigned || AscendC::IsSameType<T, int16_t>::value;
  switch (image.Op()) {
    case kAdd:
      if constexpr (!kIsUnsigned) VECTOR_CALL_FORMS(T, Add, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
    case kSub:
      if constexpr (!kIsUnsigned) VECTOR_CALL_FORMS(T, Sub, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
    case kMul:
      if constexpr (!kIsUnsigned) VECTOR_CALL_FORMS(T, Mul, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
    case kDiv:
      if constexpr (kIsFloating) VECTOR_CALL_FORMS(T, Div, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
    case kMax:
      if constexpr (!kIsUnsigned) VECTOR_CALL_FORMS(T, Max, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
    case kMin:
      if constexpr (!kIsUnsigned) VECTOR_CALL_FORMS(T, Min, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
    case kAnd:
      if constexpr (kIsBits16) VECTOR_CALL_FORMS(T, And, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
    case kOr:
      if constexpr (kIsBits16) VECTOR_CALL_FORMS(T, Or, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
    case kAddRelu:
      if constexpr (kIsFloating || AscendC::IsSameType<T, int16_t>::value) {
        VECTOR_CALL_FORMS(T, AddRelu, VECTOR_BINARY_OPERANDS, BinaryStrides);
      }
      break;
    case kSubRelu:
      if constexpr (kIsFloating || AscendC::IsSameType<T, int16_t>::value) {
        VECTOR_CALL_FORMS(T, SubRelu, VECTOR_BINARY_OPERANDS, BinaryStrides);
      }
      break;
    case kFusedMulAdd:
      if constexpr (kIsFloating) VECTOR_CALL_FORMS(T, FusedMulAdd, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
    case kFusedMulAddRelu:
      if constexpr (kIsFloating) VECTOR_CALL_FORMS(T, FusedMulAddRelu, VECTOR_BINARY_OPERANDS, BinaryStrides);
      break;
  }
}

VECTOR_KERNEL(vector_binary_half, Binary, half)
VECTOR_KERNEL(vector_binary_float, Binary, float)
VECTOR_KERNEL(vector_binary_int16, Binary, int16_t)
VECTOR_KERNEL(vector_binary_uint16, Binary, uint16_t)
VECTOR_KERNEL(vector_binary_int32, Binary, int32_t)
