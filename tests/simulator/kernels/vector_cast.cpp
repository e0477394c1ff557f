// Cast between every pair of data types the chip converts, in every form; AddReluCast, SubReluCast, MulCast.
#include "vector_image.h"

// Parameter 16: RoundMode. Parameter 18: 0 Cast, 1 AddReluCast, 2 SubReluCast, 3 MulCast.
template <typename T, typename U>
__aicore__ inline void Convert(VectorImage& image) {
  const AscendC::LocalTensor<T> dst = image.At<T>(image.DstOffset());
  const AscendC::LocalTensor<U> src = image.At<U>(image.Src0Offset());
  const auto mode = static_cast<AscendC::RoundMode>(image.Parameter(16));
  const uint64_t mask[2] = {image.MaskLow(), image.MaskHigh()};
  switch (image.FormOf()) {
    case kCount:
      AscendC::Cast(dst, src, mode, static_cast<uint32_t>(image.Count()));
      break;
    case kMaskCount:
      AscendC::Cast(dst, src, mode, image.MaskLow(), image.Repeat(), image.UnaryStrides());
      break;
    case kMaskBits:
      AscendC::Cast(dst, src, mode, mask, image.Repeat(), image.UnaryStrides());
      break;
    case kCounter:
      AscendC::SetMaskCount();
      AscendC::SetVectorMask<T, AscendC::MaskMode::COUNTER>(image.Count());
      AscendC::Cast<T, U, false>(dst, src, mode, AscendC::MASK_PLACEHOLDER, 1, image.UnaryStrides());
      AscendC::SetMaskNorm();
      AscendC::ResetMask();
      break;
  }
}

#define CAST_KERNEL(NAME, TO, FROM)                                                       \
  __aicore__ inline void Convert_##NAME(VectorImage& image) { Convert<TO, FROM>(image); } \
  template <typename T>                                                                   \
  __aicore__ inline void Body_##NAME(VectorImage& image) {                                \
    Convert_##NAME(image);                                                                \
  }                                                                                       \
  VECTOR_KERNEL(vector_cast_##NAME, Body_##NAME, TO)

CAST_KERNEL(int8_to_half, half, int8_t)
CAST_KERNEL(uint8_to_half, half, uint8_t)
CAST_KERNEL(int16_to_half, half, int16_t)
CAST_KERNEL(int16_to_float, float, int16_t)
CAST_KERNEL(half_to_int8, int8_t, half)
CAST_KERNEL(half_to_uint8, uint8_t, half)
CAST_KERNEL(half_to_int16, int16_t, half)
CAST_KERNEL(half_to_int32, int32_t, half)
CAST_KERNEL(half_to_float, float, half)
CAST_KERNEL(bfloat16_to_int32, int32_t, bfloat16_t)
CAST_KERNEL(bfloat16_to_float, float, bfloat16_t)
CAST_KERNEL(int32_to_int16, int16_t, int32_t)
CAST_KERNEL(int32_to_float, float, int32_t)
CAST_KERNEL(int32_to_int64, int64_t, int32_t)
CAST_KERNEL(float_to_int16, int16_t, float)
CAST_KERNEL(float_to_half, half, float)
CAST_KERNEL(float_to_bfloat16, bfloat16_t, float)
CAST_KERNEL(float_to_int32, int32_t, float)
CAST_KERNEL(float_to_float, float, float)
CAST_KERNEL(float_to_int64, int64_t, float)
CAST_KERNEL(int64_to_int32, int32_t, int64_t)
CAST_KERNEL(int64_to_float, float, int64_t)

template <typename T>
__aicore__ inline void ScaledCast(VectorImage& image) {
  AscendC::SetDeqScale(static_cast<half>(image.Scalar()));
  AscendC::Cast(image.At<half>(image.DstOffset()), image.At<int32_t>(image.Src0Offset()), AscendC::RoundMode::CAST_NONE,
                static_cast<uint32_t>(image.Count()));
}
VECTOR_KERNEL(vector_cast_int32_to_half, ScaledCast, half)

template <typename T, typename U>
__aicore__ inline void Fused(VectorImage& image) {
  const AscendC::LocalTensor<T> dst = image.At<T>(image.DstOffset());
  const AscendC::LocalTensor<U> src0 = image.At<U>(image.Src0Offset());
  const AscendC::LocalTensor<U> src1 = image.At<U>(image.Src1Offset());
  const uint32_t count = static_cast<uint32_t>(image.Count());
  if (image.Parameter(18) == 1) AscendC::AddReluCast(dst, src0, src1, count);
  if (image.Parameter(18) == 2) AscendC::SubReluCast(dst, src0, src1, count);
}
template <typename T>
__aicore__ inline void FusedHalf(VectorImage& image) {
  Fused<T, half>(image);
}
template <typename T>
__aicore__ inline void FusedFloat(VectorImage& image) {
  Fused<T, float>(image);
}
template <typename T>
__aicore__ inline void FusedMul(VectorImage& image) {
  AscendC::MulCast(image.At<T>(image.DstOffset()), image.At<half>(image.Src0Offset()),
                   image.At<half>(image.Src1Offset()), static_cast<uint32_t>(image.Count()));
}
VECTOR_KERNEL(vector_relu_cast_half_to_int8, FusedHalf, int8_t)
VECTOR_KERNEL(vector_relu_cast_float_to_half, FusedFloat, half)
VECTOR_KERNEL(vector_mul_cast_int8, FusedMul, int8_t)
VECTOR_KERNEL(vector_mul_cast_uint8, FusedMul, uint8_t)
