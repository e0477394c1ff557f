// Compare, CompareScalar, the CmpMask register, and Select in its three modes.
#include "vector_image.h"

// Parameter 16: CMPMODE or SELMODE. Parameter 17: UB offset of the bits.
enum CompareOp : int64_t { kCompare, kCompareScalar, kCompareRegister, kSelectTensor, kSelectScalar };

template <typename T>
__aicore__ inline void CompareAndSelect(VectorImage& image) {
  constexpr bool kIsFloating = AscendC::IsSameType<T, half>::value || AscendC::IsSameType<T, float>::value;
  const AscendC::LocalTensor<T> src0 = image.At<T>(image.Src0Offset());
  const AscendC::LocalTensor<T> src1 = image.At<T>(image.Src1Offset());
  const AscendC::LocalTensor<uint8_t> bits = image.At<uint8_t>(image.Parameter(17));
  const auto cmp_mode = static_cast<AscendC::CMPMODE>(image.Parameter(16));
  const auto sel_mode = static_cast<AscendC::SELMODE>(image.Parameter(16));
  const uint32_t count = static_cast<uint32_t>(image.Count());
  const T scalar = static_cast<T>(image.Scalar());
  uint64_t mask[2] = {image.MaskLow(), image.MaskHigh()};
  const int64_t form = image.FormOf();
  switch (image.Op()) {
    case kCompare:
      if (form == kCount) AscendC::Compare(bits, src0, src1, cmp_mode, count);
      if (form == kMaskCount) {
        AscendC::Compare(bits, src0, src1, cmp_mode, image.MaskLow(), image.Repeat(), image.BinaryStrides());
      }
      if (form == kMaskBits) AscendC::Compare(bits, src0, src1, cmp_mode, mask, image.Repeat(), image.BinaryStrides());
      break;
    case kCompareScalar:
      if (form == kCount) AscendC::CompareScalar(bits, src0, scalar, cmp_mode, count);
      if (form == kMaskCount) {
        AscendC::CompareScalar(bits, src0, scalar, cmp_mode, image.MaskLow(), image.Repeat(), image.UnaryStrides());
      }
      if (form == kMaskBits) {
        AscendC::CompareScalar(bits, src0, scalar, cmp_mode, mask, image.Repeat(), image.UnaryStrides());
      }
      break;
  }
  if constexpr (kIsFloating) {
    const AscendC::LocalTensor<T> dst = image.At<T>(image.DstOffset());
    switch (image.Op()) {
      case kCompareRegister:
        if (form == kMaskBits) AscendC::Compare(src0, src1, cmp_mode, mask, image.BinaryStrides());
        if (form == kMaskCount) AscendC::Compare(src0, src1, cmp_mode, image.MaskLow(), image.BinaryStrides());
        AscendC::PipeBarrier<PIPE_V>();
        AscendC::GetCmpMask(bits);
        break;
      case kSelectTensor:
        if (form == kCount) AscendC::Select(dst, bits, src0, src1, sel_mode, count);
        if (form == kMaskCount) {
          AscendC::Select(dst, bits, src0, src1, sel_mode, image.MaskLow(), image.Repeat(), image.BinaryStrides());
        }
        if (form == kMaskBits) {
          AscendC::Select(dst, bits, src0, src1, sel_mode, mask, image.Repeat(), image.BinaryStrides());
        }
        if (form == kOutsideBits) {  // mask and bits from the registers
          AscendC::SetCmpMask(bits);
          AscendC::PipeBarrier<PIPE_V>();
          AscendC::SetVectorMask<T>(image.MaskHigh(), image.MaskLow());
          AscendC::Select<T, AscendC::SELMODE::VSEL_CMPMASK_SPR>(dst, src0, src1, image.Repeat(),
                                                                 image.BinaryStrides());
          AscendC::ResetMask();
        }
        break;
      case kSelectScalar:
        if (form == kCount) AscendC::Select(dst, bits, src0, scalar, sel_mode, count);
        if (form == kMaskCount) {
          AscendC::Select(dst, bits, src0, scalar, sel_mode, image.MaskLow(), image.Repeat(), image.BinaryStrides());
        }
        if (form == kMaskBits) {
          AscendC::Select(dst, bits, src0, scalar, sel_mode, mask, image.Repeat(), image.BinaryStrides());
        }
        break;
    }
  }
}

VECTOR_KERNEL(vector_compare_half, CompareAndSelect, half)
VECTOR_KERNEL(vector_compare_float, CompareAndSelect, float)
VECTOR_KERNEL(vector_compare_int32, CompareAndSelect, int32_t)
