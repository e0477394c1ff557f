// Filling, copying, gathering and rearranging.
#include "vector_image.h"

// Parameter 16: 1 for a pattern given in memory, else the built-in pattern is parameter 17.
// Parameter 18: the base of Gather, or reduceMode of GatherMask. Parameter 20 receives GatherMask's count.
enum DataOp : int64_t { kDuplicate, kCopy, kBrcb, kGather, kGatherMask, kCreateVecIndex };

template <typename T>
__aicore__ inline void Data(VectorImage& image) {
  AscendC::LocalTensor<T> dst = image.At<T>(image.DstOffset());
  const AscendC::LocalTensor<T> src = image.At<T>(image.Src0Offset());
  uint64_t mask[2] = {image.MaskLow(), image.MaskHigh()};
  const T scalar = static_cast<T>(image.Scalar());
  const uint16_t dst_block_stride = static_cast<uint16_t>(image.Parameter(9));
  const uint16_t src_block_stride = static_cast<uint16_t>(image.Parameter(10));
  const uint16_t dst_repeat_stride = static_cast<uint16_t>(image.Parameter(12));
  const uint16_t src_repeat_stride = static_cast<uint16_t>(image.Parameter(13));
  const uint8_t dst_repeat_stride8 = static_cast<uint8_t>(image.Parameter(12));
  const int64_t form = image.FormOf();
  switch (image.Op()) {
    case kDuplicate:
      if (form == kCount) AscendC::Duplicate(dst, scalar, image.Count());
      if (form == kMaskCount) {
        AscendC::Duplicate(dst, scalar, image.MaskLow(), image.Repeat(), dst_block_stride, dst_repeat_stride8);
      }
      if (form == kMaskBits) {
        AscendC::Duplicate(dst, scalar, mask, image.Repeat(), dst_block_stride, dst_repeat_stride8);
      }
      break;
    case kCopy: {
      const AscendC::CopyRepeatParams strides(dst_block_stride, src_block_stride, dst_repeat_stride, src_repeat_stride);
      if (form == kMaskCount) AscendC::Copy(dst, src, image.MaskLow(), image.Repeat(), strides);
      if (form == kMaskBits) AscendC::Copy(dst, src, mask, image.Repeat(), strides);
      break;
    }
    case kBrcb:
      AscendC::Brcb(dst, src, image.Repeat(), AscendC::BrcbRepeatParams(dst_block_stride, dst_repeat_stride));
      break;
    case kGather: {
      const AscendC::LocalTensor<uint32_t> offsets = image.At<uint32_t>(image.Src1Offset());
      const uint32_t base = static_cast<uint32_t>(image.Parameter(18));
      if (form == kCount) AscendC::Gather(dst, src, offsets, base, static_cast<uint32_t>(image.Count()));
      if (form == kMaskCount) {
        AscendC::Gather(dst, src, offsets, base, image.MaskLow(), image.Repeat(), dst_repeat_stride);
      }
      if (form == kMaskBits) AscendC::Gather(dst, src, offsets, base, mask, image.Repeat(), dst_repeat_stride);
      break;
    }
    case kGatherMask: {
      const AscendC::GatherMaskParams params(static_cast<uint8_t>(src_block_stride), image.Repeat(), src_repeat_stride,
                                             static_cast<uint8_t>(image.Parameter(14)));
      const bool counter = image.Parameter(18) != 0;
      const uint32_t elements = static_cast<uint32_t>(image.Count());
      uint64_t kept = 0;
      if (image.Parameter(16) != 0) {
        if constexpr (sizeof(T) == 2) {
          AscendC::GatherMask(dst, src, image.At<uint16_t>(image.Src1Offset()), counter, elements, params, kept);
        } else {
          AscendC::GatherMask(dst, src, image.At<uint32_t>(image.Src1Offset()), counter, elements, params, kept);
        }
      } else {
        AscendC::GatherMask(dst, src, static_cast<uint8_t>(image.Parameter(17)), counter, elements, params, kept);
      }
      image.SetParameter(20, static_cast<int64_t>(kept));
      break;
    }
  }
  if constexpr (!AscendC::IsSameType<T, uint16_t>::value && !AscendC::IsSameType<T, uint32_t>::value &&
                !AscendC::IsSameType<T, bfloat16_t>::value) {
    if (image.Op() == kCreateVecIndex) {
      if (form == kCount) AscendC::CreateVecIndex(dst, scalar, static_cast<uint32_t>(image.Count()));
      if (form == kMaskCount) {
        AscendC::CreateVecIndex(dst, scalar, image.MaskLow(), image.Repeat(), dst_block_stride, dst_repeat_stride8);
      }
      if (form == kMaskBits) {
        AscendC::CreateVecIndex(dst, scalar, mask, image.Repeat(), dst_block_stride, dst_repeat_stride8);
      }
    }
  }
}

VECTOR_KERNEL(vector_data_half, Data, half)
VECTOR_KERNEL(vector_data_bfloat16, Data, bfloat16_t)
VECTOR_KERNEL(vector_data_float, Data, float)
VECTOR_KERNEL(vector_data_int16, Data, int16_t)
VECTOR_KERNEL(vector_data_uint16, Data, uint16_t)
VECTOR_KERNEL(vector_data_int32, Data, int32_t)
VECTOR_KERNEL(vector_data_uint32, Data, uint32_t)

template <typename T>
__aicore__ inline void GatherBlocks(VectorImage& image) {
  AscendC::Gatherb(
      image.At<T>(image.DstOffset()), image.At<T>(image.Src0Offset()), image.At<uint32_t>(image.Src1Offset()),
      image.Repeat(),
      AscendC::GatherRepeatParams(static_cast<uint8_t>(image.Parameter(9)), static_cast<uint8_t>(image.Parameter(12))));
}
VECTOR_KERNEL(vector_gatherb_uint16, GatherBlocks, uint16_t)
VECTOR_KERNEL(vector_gatherb_uint32, GatherBlocks, uint32_t)

template <typename T>
__aicore__ inline void TransposeSquare(VectorImage& image) {
  AscendC::Transpose(image.At<T>(image.DstOffset()), image.At<T>(image.Src0Offset()));
}
VECTOR_KERNEL(vector_transpose_half, TransposeSquare, half)
VECTOR_KERNEL(vector_transpose_int16, TransposeSquare, int16_t)

template <typename T>
__aicore__ inline void Transpose5hd(VectorImage& image) {
  uint64_t dst[AscendC::NCHW_CONV_ADDR_LIST_SIZE], src[AscendC::NCHW_CONV_ADDR_LIST_SIZE];
  for (int32_t i = 0; i < AscendC::NCHW_CONV_ADDR_LIST_SIZE; ++i) {
    dst[i] = (uint64_t)image.At<T>(image.DstOffset() + i * 32).GetPhyAddr();
    src[i] = (uint64_t)image.At<T>(image.Src0Offset() + i * 32).GetPhyAddr();
  }
  const AscendC::TransDataTo5HDParams params(image.Parameter(16) != 0, image.Parameter(17) != 0, image.Repeat(),
                                             static_cast<uint16_t>(image.Parameter(12)),
                                             static_cast<uint16_t>(image.Parameter(13)));
  AscendC::TransDataTo5HD<T>(dst, src, params);
}
VECTOR_KERNEL(vector_5hd_int8, Transpose5hd, int8_t)
VECTOR_KERNEL(vector_5hd_half, Transpose5hd, half)
VECTOR_KERNEL(vector_5hd_float, Transpose5hd, float)
