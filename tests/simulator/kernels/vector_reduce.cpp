// Reductions of a repeat, a block, a pair and a whole tensor.
#include "vector_image.h"

// Parameter 16: ReduceOrder. Parameter 17: destination stride. Parameter 18: UB offset of the work buffer.
// Parameter 19: whether an index is wanted. Results in registers go to parameters 20 and 21.
enum ReduceOp : int64_t {
  kWholeMax,
  kWholeMin,
  kWholeSum,
  kBlockMax,
  kBlockMin,
  kBlockSum,
  kPairSum,
  kTensorMax,
  kTensorMin,
  kTensorSum,
  kRepeatSum
};

template <typename T>
__aicore__ inline int64_t BitsOf(T value) {
  int64_t bits = 0;
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&value);
  for (uint32_t i = 0; i < sizeof(T); ++i) bits |= static_cast<int64_t>(bytes[i]) << (8 * i);
  return bits;
}

template <typename T>
__aicore__ inline void Reduce(VectorImage& image) {
  const AscendC::LocalTensor<T> dst = image.At<T>(image.DstOffset());
  const AscendC::LocalTensor<T> src = image.At<T>(image.Src0Offset());
  const AscendC::LocalTensor<T> work = image.At<T>(image.Parameter(18));
  const auto order = static_cast<AscendC::ReduceOrder>(image.Parameter(16));
  const int32_t dst_stride = static_cast<int32_t>(image.Parameter(17));
  const int32_t repeat = static_cast<int32_t>(image.Parameter(5));
  const int32_t block_stride = static_cast<int32_t>(image.Parameter(10));
  const int32_t repeat_stride = static_cast<int32_t>(image.Parameter(13));
  const int32_t lanes = static_cast<int32_t>(image.MaskLow());
  const bool index = image.Parameter(19) != 0;
  const uint64_t mask[2] = {image.MaskLow(), image.MaskHigh()};
  const bool bits = image.FormOf() == kMaskBits;
  switch (image.Op()) {
    case kWholeMax:
      if (bits) {
        AscendC::WholeReduceMax(dst, src, mask, repeat, dst_stride, block_stride, repeat_stride, order);
      } else {
        AscendC::WholeReduceMax(dst, src, lanes, repeat, dst_stride, block_stride, repeat_stride, order);
      }
      break;
    case kWholeMin:
      if (bits) {
        AscendC::WholeReduceMin(dst, src, mask, repeat, dst_stride, block_stride, repeat_stride, order);
      } else {
        AscendC::WholeReduceMin(dst, src, lanes, repeat, dst_stride, block_stride, repeat_stride, order);
      }
      break;
    case kWholeSum:
      if (bits) {
        AscendC::WholeReduceSum(dst, src, mask, repeat, dst_stride, block_stride, repeat_stride);
      } else {
        AscendC::WholeReduceSum(dst, src, lanes, repeat, dst_stride, block_stride, repeat_stride);
      }
      break;
    case kBlockMax:
      if (bits) {
        AscendC::BlockReduceMax(dst, src, repeat, mask, dst_stride, block_stride, repeat_stride);
      } else {
        AscendC::BlockReduceMax(dst, src, repeat, lanes, dst_stride, block_stride, repeat_stride);
      }
      break;
    case kBlockMin:
      if (bits) {
        AscendC::BlockReduceMin(dst, src, repeat, mask, dst_stride, block_stride, repeat_stride);
      } else {
        AscendC::BlockReduceMin(dst, src, repeat, lanes, dst_stride, block_stride, repeat_stride);
      }
      break;
    case kBlockSum:
      if (bits) {
        AscendC::BlockReduceSum(dst, src, repeat, mask, dst_stride, block_stride, repeat_stride);
      } else {
        AscendC::BlockReduceSum(dst, src, repeat, lanes, dst_stride, block_stride, repeat_stride);
      }
      break;
    case kPairSum:
      if (bits) {
        AscendC::PairReduceSum(dst, src, repeat, mask, dst_stride, block_stride, repeat_stride);
      } else {
        AscendC::PairReduceSum(dst, src, repeat, lanes, dst_stride, block_stride, repeat_stride);
      }
      break;
    case kRepeatSum:
      AscendC::RepeatReduceSum(dst, src, repeat, lanes, 1, block_stride, dst_stride, repeat_stride);
      break;
    case kTensorMax:
      if (image.FormOf() == kCount) AscendC::ReduceMax(dst, src, work, image.Count(), index);
      if (image.FormOf() == kMaskCount) AscendC::ReduceMax(dst, src, work, lanes, repeat, repeat_stride, index);
      if (bits) AscendC::ReduceMax(dst, src, work, mask, repeat, repeat_stride, index);
      break;
    case kTensorMin:
      if (image.FormOf() == kCount) AscendC::ReduceMin(dst, src, work, image.Count(), index);
      if (image.FormOf() == kMaskCount) AscendC::ReduceMin(dst, src, work, lanes, repeat, repeat_stride, index);
      if (bits) AscendC::ReduceMin(dst, src, work, mask, repeat, repeat_stride, index);
      break;
    case kTensorSum:
      if (image.FormOf() == kCount) AscendC::ReduceSum(dst, src, work, image.Count());
      if (image.FormOf() == kMaskCount) AscendC::ReduceSum(dst, src, work, lanes, repeat, repeat_stride);
      if (bits) AscendC::ReduceSum(dst, src, work, mask, repeat, repeat_stride);
      break;
  }
  if (image.Parameter(20) == 0) return;
  // What the scalar unit sees of the reduction once the vector unit is done.
  AscendC::SetFlag<AscendC::HardEvent::V_S>(EVENT_ID1);
  AscendC::WaitFlag<AscendC::HardEvent::V_S>(EVENT_ID1);
  if (image.Op() == kTensorSum) {
    image.SetParameter(20, BitsOf(AscendC::GetAccVal<T>()));
  } else {
    T value = 0, position = 0;
    AscendC::GetReduceMaxMinCount<T>(value, position);
    image.SetParameter(20, BitsOf(value));
    image.SetParameter(21, BitsOf(position));
  }
}

VECTOR_KERNEL(vector_reduce_half, Reduce, half)
VECTOR_KERNEL(vector_reduce_float, Reduce, float)
