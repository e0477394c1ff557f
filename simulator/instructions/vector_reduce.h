// Reductions: of a block, of adjacent pairs, of a repeat, of a whole tensor.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "instructions/vector_arithmetic.h"
#include "instructions/vector_loop.h"

namespace ascend_sim {

using AscendC::ReduceOrder;
using AscendC::ReduceType;

// One result per repeat: the sum over a binary tree of its lanes, or the extreme value and its lane.
// Destination strides count results (value and index together where both are written).
void RunWholeReduce(Instruction& frame, ReduceType type, ElementType element, const Operand& dst,
                    const VectorOperand& src, const MaskArgument& mask, int64_t repeats, int64_t dst_stride,
                    ReduceOrder order);
// One result per block of 32 bytes; the eight results of a repeat lie side by side.
void RunBlockReduce(Instruction& frame, ReduceType type, ElementType element, const Operand& dst,
                    const VectorOperand& src, const MaskArgument& mask, int64_t repeats, int64_t dst_stride);
// One sum per pair of neighbours; the results of a repeat fill 128 bytes.
void RunPairReduce(Instruction& frame, ElementType element, const Operand& dst, const VectorOperand& src,
                   const MaskArgument& mask, int64_t repeats, int64_t dst_stride);

// Over a whole tensor. These are sequences of instructions with their own barriers and flags.
struct TensorReduce {
  const char* name = "";
  ReduceType type = ReduceType::SUM;
  ElementType element = ElementType::kFloat;
  bool index = false;
  bool is_count = false;  // tensor form
  int64_t count = 0;
  int64_t repeats = 0;
  int64_t repeat_stride = 8;
  MaskArgument mask;
};
// First step: a result per repeat into the work buffer (or straight into dst when one repeat gives the answer).
// Returns the value and index as bits.
struct TensorReduceResult {
  uint32_t value = 0;
  uint32_t index = 0;
  bool written = false;    // nothing to do, or dst is written already
  bool by_scalar = false;  // the scalar unit writes dst
};
TensorReduceResult RunTensorReduceVector(Instruction& frame, const TensorReduce& call, const Operand& dst,
                                         const VectorOperand& src, const Operand& work);
void RunTensorReduceStore(Instruction& frame, const TensorReduce& call, const Operand& dst,
                          const TensorReduceResult& result);

template <typename T>
void CallTensorReduce(const TensorReduce& call, const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<T>& src,
                      const AscendC::LocalTensor<T>& work, Location where) {
  static_assert(kIsOneOf<T, half, float>, "Reduce: this data type is not supported on dav-c220");
  TensorReduceResult result;
  {
    Instruction frame(call.name, PIPE_V, where);
    frame.RequireRange("srcRepStride", call.repeat_stride, 0, UINT16_MAX);
    result = RunTensorReduceVector(frame, call, frame.Local("dst", dst, Hardware::UB),
                                   UbOperand(frame, "src", src, 1, static_cast<uint32_t>(call.repeat_stride)),
                                   frame.Local("sharedTmpBuffer", work, Hardware::UB));
  }
  if (result.written) return;
  Core& core = CurrentCore();
  if (!result.by_scalar) core.Barrier(PIPE_V, where);
  if (result.by_scalar) core.OrderPipes(PIPE_V, PIPE_S);
  {
    Instruction frame(call.name, result.by_scalar ? PIPE_S : PIPE_V, where);
    RunTensorReduceStore(frame, call, frame.Local("dst", dst, Hardware::UB), result);
  }
  if (result.by_scalar) {
    core.OrderPipes(PIPE_S, PIPE_V);
    core.OrderPipes(PIPE_S, PIPE_MTE3);
  }
}

uint32_t FetchAccumulated(Instruction& frame);
void FetchMaxMin(Instruction& frame, uint32_t* value, uint32_t* index);

template <typename T>
T FromLowBits(uint32_t bits) {
  T value;
  __builtin_memcpy(static_cast<void*>(&value), &bits, sizeof(T));
  return value;
}

template <typename T>
void CallWholeReduce(const char* name, ReduceType type, const AscendC::LocalTensor<T>& dst,
                     const AscendC::LocalTensor<T>& src, const MaskArgument& mask, int32_t repeats, int32_t dst_stride,
                     int32_t block_stride, int32_t repeat_stride, ReduceOrder order, Location where) {
  static_assert(kIsOneOf<T, half, float>, "WholeReduce: this data type is not supported on dav-c220");
  Instruction frame(name, PIPE_V, where);
  frame.RequireRange("srcBlkStride", block_stride, 0, UINT16_MAX);
  frame.RequireRange("srcRepStride", repeat_stride, 0, UINT16_MAX);
  RunWholeReduce(frame, type, TypeOf<T>(), frame.Local("dst", dst, Hardware::UB),
                 UbOperand(frame, "src", src, block_stride, repeat_stride), mask, repeats, dst_stride, order);
}

template <typename T>
void CallBlockReduce(const char* name, ReduceType type, const AscendC::LocalTensor<T>& dst,
                     const AscendC::LocalTensor<T>& src, const MaskArgument& mask, int32_t repeats, int32_t dst_stride,
                     int32_t block_stride, int32_t repeat_stride, Location where) {
  static_assert(kIsOneOf<T, half, float>, "BlockReduce: this data type is not supported on dav-c220");
  Instruction frame(name, PIPE_V, where);
  frame.RequireRange("srcBlkStride", block_stride, 0, UINT16_MAX);
  frame.RequireRange("srcRepStride", repeat_stride, 0, UINT16_MAX);
  RunBlockReduce(frame, type, TypeOf<T>(), frame.Local("dst", dst, Hardware::UB),
                 UbOperand(frame, "src", src, block_stride, repeat_stride), mask, repeats, dst_stride);
}

template <typename T>
void CallPairReduce(const char* name, const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<T>& src,
                    const MaskArgument& mask, int32_t repeats, int32_t dst_stride, int32_t block_stride,
                    int32_t repeat_stride, Location where) {
  static_assert(kIsOneOf<T, half, float>, "PairReduce: this data type is not supported on dav-c220");
  Instruction frame(name, PIPE_V, where);
  frame.RequireRange("srcBlkStride", block_stride, 0, UINT16_MAX);
  frame.RequireRange("srcRepStride", repeat_stride, 0, UINT16_MAX);
  RunPairReduce(frame, TypeOf<T>(), frame.Local("dst", dst, Hardware::UB),
                UbOperand(frame, "src", src, block_stride, repeat_stride), mask, repeats, dst_stride);
}

}  // namespace ascend_sim

namespace AscendC {

#define ASCEND_SIM_WHOLE_REDUCE(NAME, TYPE)                                                                        \
  template <typename T, bool isSetMask = true>                                                                     \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const uint64_t mask[], const int32_t repeatTime, \
            const int32_t dstRepStride, const int32_t srcBlkStride, const int32_t srcRepStride,                    \
            ReduceOrder order = ReduceOrder::ORDER_VALUE_INDEX, ASCEND_SIM_CALLER) {                               \
    ascend_sim::CallWholeReduce(#NAME, ReduceType::TYPE, dst, src, ascend_sim::MaskArgument::Of<isSetMask>(mask),  \
                                repeatTime, dstRepStride, srcBlkStride, srcRepStride, order, where);               \
  }                                                                                                                \
  template <typename T, bool isSetMask = true>                                                                     \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const int32_t mask, const int32_t repeatTime,    \
            const int32_t dstRepStride, const int32_t srcBlkStride, const int32_t srcRepStride,                    \
            ReduceOrder order = ReduceOrder::ORDER_VALUE_INDEX, ASCEND_SIM_CALLER) {                               \
    ascend_sim::CallWholeReduce(#NAME, ReduceType::TYPE, dst, src,                                                 \
                                ascend_sim::MaskArgument::Of<isSetMask>(static_cast<uint64_t>(mask)), repeatTime,  \
                                dstRepStride, srcBlkStride, srcRepStride, order, where);                           \
  }
ASCEND_SIM_WHOLE_REDUCE(WholeReduceMax, MAX)
ASCEND_SIM_WHOLE_REDUCE(WholeReduceMin, MIN)
#undef ASCEND_SIM_WHOLE_REDUCE

template <typename T, bool isSetMask = true>
void WholeReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, const uint64_t mask[],
                    const int32_t repeatTime, const int32_t dstRepStride, const int32_t srcBlkStride,
                    const int32_t srcRepStride, ASCEND_SIM_CALLER) {
  ascend_sim::CallWholeReduce("WholeReduceSum", ReduceType::SUM, dst, src,
                              ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, dstRepStride, srcBlkStride,
                              srcRepStride, ReduceOrder::ORDER_ONLY_VALUE, where);
}
template <typename T, bool isSetMask = true>
void WholeReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, const int32_t mask, const int32_t repeatTime,
                    const int32_t dstRepStride, const int32_t srcBlkStride, const int32_t srcRepStride,
                    ASCEND_SIM_CALLER) {
  ascend_sim::CallWholeReduce("WholeReduceSum", ReduceType::SUM, dst, src,
                              ascend_sim::MaskArgument::Of<isSetMask>(static_cast<uint64_t>(mask)), repeatTime,
                              dstRepStride, srcBlkStride, srcRepStride, ReduceOrder::ORDER_ONLY_VALUE, where);
}
template <typename T, bool isSetMask = true>
void RepeatReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, const int32_t repeatTime,
                     const int32_t elemsInOneRepeat, const int32_t dstBlkStride, const int32_t srcBlkStride,
                     const int32_t dstRepStride, const int32_t srcRepStride, ASCEND_SIM_CALLER) {
  static_cast<void>(dstBlkStride);  // has no effect: a repeat has one result
  ascend_sim::CallWholeReduce("RepeatReduceSum", ReduceType::SUM, dst, src,
                              ascend_sim::MaskArgument::Of<isSetMask>(static_cast<uint64_t>(elemsInOneRepeat)),
                              repeatTime, dstRepStride, srcBlkStride, srcRepStride, ReduceOrder::ORDER_ONLY_VALUE,
                              where);
}

#define ASCEND_SIM_BLOCK_REDUCE(NAME, CALL, ...)                                                                     \
  template <typename T, bool isSetMask = true>                                                                       \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const int32_t repeatTime, const int32_t mask,      \
            const int32_t dstRepStride, const int32_t srcBlkStride, const int32_t srcRepStride, ASCEND_SIM_CALLER) { \
    ascend_sim::CALL(#NAME, __VA_ARGS__ dst, src,                                                                    \
                     ascend_sim::MaskArgument::Of<isSetMask>(static_cast<uint64_t>(mask)), repeatTime, dstRepStride, \
                     srcBlkStride, srcRepStride, where);                                                             \
  }                                                                                                                  \
  template <typename T, bool isSetMask = true>                                                                       \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const int32_t repeatTime, const uint64_t mask[],   \
            const int32_t dstRepStride, const int32_t srcBlkStride, const int32_t srcRepStride, ASCEND_SIM_CALLER) { \
    ascend_sim::CALL(#NAME, __VA_ARGS__ dst, src, ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime,         \
                     dstRepStride, srcBlkStride, srcRepStride, where);                                               \
  }
#define ASCEND_SIM_COMMA ,
ASCEND_SIM_BLOCK_REDUCE(BlockReduceSum, CallBlockReduce, ReduceType::SUM ASCEND_SIM_COMMA)
ASCEND_SIM_BLOCK_REDUCE(BlockReduceMax, CallBlockReduce, ReduceType::MAX ASCEND_SIM_COMMA)
ASCEND_SIM_BLOCK_REDUCE(BlockReduceMin, CallBlockReduce, ReduceType::MIN ASCEND_SIM_COMMA)
ASCEND_SIM_BLOCK_REDUCE(PairReduceSum, CallPairReduce, )
#undef ASCEND_SIM_BLOCK_REDUCE
#undef ASCEND_SIM_COMMA

// CANN 9 names of the same instructions; here the mask comes before the repeats.
template <ReduceType reduceType, typename T, typename U = T, bool isSetMask = true>
void ReduceRepeat(const LocalTensor<T>& dst, const LocalTensor<U>& src, const uint64_t mask[], const int32_t repeatTime,
                  const int32_t dstRepStride, const int32_t srcBlkStride, const int32_t srcRepStride,
                  ReduceOrder order = ReduceOrder::ORDER_VALUE_INDEX, ASCEND_SIM_CALLER) {
  static_assert(std::is_same_v<T, U>, "ReduceRepeat: source and destination have one type on dav-c220");
  ascend_sim::CallWholeReduce("ReduceRepeat", reduceType, dst, src, ascend_sim::MaskArgument::Of<isSetMask>(mask),
                              repeatTime, dstRepStride, srcBlkStride, srcRepStride,
                              reduceType == ReduceType::SUM ? ReduceOrder::ORDER_ONLY_VALUE : order, where);
}
template <ReduceType reduceType, typename T, typename U = T, bool isSetMask = true>
void ReduceRepeat(const LocalTensor<T>& dst, const LocalTensor<U>& src, const int32_t mask, const int32_t repeatTime,
                  const int32_t dstRepStride, const int32_t srcBlkStride, const int32_t srcRepStride,
                  ReduceOrder order = ReduceOrder::ORDER_VALUE_INDEX, ASCEND_SIM_CALLER) {
  static_assert(std::is_same_v<T, U>, "ReduceRepeat: source and destination have one type on dav-c220");
  ascend_sim::CallWholeReduce("ReduceRepeat", reduceType, dst, src,
                              ascend_sim::MaskArgument::Of<isSetMask>(static_cast<uint64_t>(mask)), repeatTime,
                              dstRepStride, srcBlkStride, srcRepStride,
                              reduceType == ReduceType::SUM ? ReduceOrder::ORDER_ONLY_VALUE : order, where);
}
template <ReduceType reduceType, typename T, typename U = T, bool isSetMask = true, typename Mask>
void ReduceDataBlock(const LocalTensor<T>& dst, const LocalTensor<U>& src, Mask mask, const int32_t repeatTime,
                     const int32_t dstRepStride, const int32_t srcBlkStride, const int32_t srcRepStride,
                     ASCEND_SIM_CALLER) {
  static_assert(std::is_same_v<T, U>, "ReduceDataBlock: source and destination have one type on dav-c220");
  ascend_sim::CallBlockReduce("ReduceDataBlock", reduceType, dst, src, ascend_sim::MaskArgument::Of<isSetMask>(mask),
                              repeatTime, dstRepStride, srcBlkStride, srcRepStride, where);
}
template <ReduceType reduceType, typename T, typename U = T, bool isSetMask = true, typename Mask>
void ReducePairElem(const LocalTensor<T>& dst, const LocalTensor<U>& src, Mask mask, const int32_t repeatTime,
                    const int32_t dstRepStride, const int32_t srcBlkStride, const int32_t srcRepStride,
                    ASCEND_SIM_CALLER) {
  static_assert(reduceType == ReduceType::SUM, "ReducePairElem: sums only");
  static_assert(std::is_same_v<T, U>, "ReducePairElem: source and destination have one type on dav-c220");
  ascend_sim::CallPairReduce("ReducePairElem", dst, src, ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime,
                             dstRepStride, srcBlkStride, srcRepStride, where);
}

#define ASCEND_SIM_TENSOR_REDUCE(NAME, TYPE)                                                                        \
  template <typename T>                                                                                             \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<T>& sharedTmpBuffer,            \
            const int32_t mask, const int32_t repeatTime, const int32_t srcRepStride, bool calIndex = 0,            \
            ASCEND_SIM_CALLER) {                                                                                    \
    ascend_sim::CallTensorReduce({#NAME, ReduceType::TYPE, ascend_sim::TypeOf<T>(), calIndex, false, 0, repeatTime, \
                                  srcRepStride, ascend_sim::MaskArgument::Lanes(static_cast<uint64_t>(mask))},      \
                                 dst, src, sharedTmpBuffer, where);                                                 \
  }                                                                                                                 \
  template <typename T>                                                                                             \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<T>& sharedTmpBuffer,            \
            const uint64_t mask[], const int32_t repeatTime, const int32_t srcRepStride, bool calIndex = 0,         \
            ASCEND_SIM_CALLER) {                                                                                    \
    ascend_sim::CallTensorReduce({#NAME, ReduceType::TYPE, ascend_sim::TypeOf<T>(), calIndex, false, 0, repeatTime, \
                                  srcRepStride, ascend_sim::MaskArgument::Bits(mask)},                              \
                                 dst, src, sharedTmpBuffer, where);                                                 \
  }                                                                                                                 \
  template <typename T>                                                                                             \
  void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<T>& sharedTmpBuffer,            \
            const int32_t count, bool calIndex = 0, ASCEND_SIM_CALLER) {                                            \
    ascend_sim::CallTensorReduce({#NAME, ReduceType::TYPE, ascend_sim::TypeOf<T>(), calIndex, true, count, 0, 8,    \
                                  ascend_sim::MaskArgument::Tensor(count)},                                         \
                                 dst, src, sharedTmpBuffer, where);                                                 \
  }
ASCEND_SIM_TENSOR_REDUCE(ReduceMax, MAX)
ASCEND_SIM_TENSOR_REDUCE(ReduceMin, MIN)
#undef ASCEND_SIM_TENSOR_REDUCE

template <typename T>
void ReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<T>& sharedTmpBuffer,
               const int32_t mask, const int32_t repeatTime, const int32_t srcRepStride, ASCEND_SIM_CALLER) {
  ascend_sim::CallTensorReduce({"ReduceSum", ReduceType::SUM, ascend_sim::TypeOf<T>(), false, false, 0, repeatTime,
                                srcRepStride, ascend_sim::MaskArgument::Lanes(static_cast<uint64_t>(mask))},
                               dst, src, sharedTmpBuffer, where);
}
template <typename T>
void ReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<T>& sharedTmpBuffer,
               const uint64_t mask[], const int32_t repeatTime, const int32_t srcRepStride, ASCEND_SIM_CALLER) {
  ascend_sim::CallTensorReduce({"ReduceSum", ReduceType::SUM, ascend_sim::TypeOf<T>(), false, false, 0, repeatTime,
                                srcRepStride, ascend_sim::MaskArgument::Bits(mask)},
                               dst, src, sharedTmpBuffer, where);
}
template <typename T, bool isSetMask = true>
void ReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<T>& sharedTmpBuffer,
               const int32_t count, ASCEND_SIM_CALLER) {
  ascend_sim::CallTensorReduce({"ReduceSum", ReduceType::SUM, ascend_sim::TypeOf<T>(), false, true, count, 0, 8,
                                ascend_sim::MaskArgument::OfTensor<isSetMask>(count)},
                               dst, src, sharedTmpBuffer, where);
}

// Results of the last reduction, as the scalar unit sees them once it has waited for the vector unit.
template <typename T>
T GetAccVal(ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("GetAccVal", PIPE_S, where);
  return ascend_sim::FromLowBits<T>(ascend_sim::FetchAccumulated(frame));
}
template <typename T>
T GetReduceRepeatSumSpr(ASCEND_SIM_CALLER) {
  return GetAccVal<T>(where);
}
template <typename T>
void GetReduceMaxMinCount(T& maxMinValue, T& maxMinIndex, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("GetReduceMaxMinCount", PIPE_S, where);
  uint32_t value, index;
  ascend_sim::FetchMaxMin(frame, &value, &index);
  maxMinValue = ascend_sim::FromLowBits<T>(value);
  maxMinIndex = ascend_sim::FromLowBits<T>(index);
}
template <typename T>
void GetReduceRepeatMaxMinSpr(T& maxMinValue, T& maxMinIndex, ASCEND_SIM_CALLER) {
  GetReduceMaxMinCount(maxMinValue, maxMinIndex, where);
}

}  // namespace AscendC
