// Filling, copying, gathering and rearranging elements inside UB.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "instructions/vector_arithmetic.h"
#include "instructions/vector_loop.h"

namespace ascend_sim {

void RunDuplicate(Instruction& frame, const VectorOperand& dst, uint64_t scalar_bits, const MaskArgument& mask,
                  int repeats);
void RunCopy(Instruction& frame, const VectorOperand& dst, const VectorOperand& src, const MaskArgument& mask,
             int repeats);
// Each source element fills one block of the destination, eight a repeat.
void RunBrcb(Instruction& frame, const VectorOperand& dst, const Operand& src, int repeats);
// dst[i] = the element `offsets[i]` bytes after src + base.
void RunGather(Instruction& frame, const VectorOperand& dst, const Operand& src, const Operand& offsets, uint32_t base,
               const MaskArgument& mask, int repeats);
// Block i of dst = the block offsets[i] bytes after src, eight a repeat.
void RunGatherBlocks(Instruction& frame, const VectorOperand& dst, const Operand& src, const Operand& offsets,
                     int repeats);

struct GatherMaskCall {
  int pattern = 0;                // 1..7: built in; 0: bits in memory
  const Operand* bits = nullptr;  // for pattern 0
  bool counter = false;           // reduceMode
  uint32_t mask = 0;              // counter: elements of each repeat
  uint32_t repeats = 0;
  uint32_t bit_repeat_stride = 8;
};
// Packs the chosen elements. Returns how many.
uint64_t RunGatherMask(Instruction& frame, const VectorOperand& src, const Operand& dst, const GatherMaskCall& call);

// The two halves of CreateVecIndex: the scalar unit writes the head, the vector unit goes on from it.
void RunIndexHead(Instruction& frame, ElementType type, const VectorOperand& dst, double first, const LaneSet& set,
                  int head_lanes);
void RunIndexRest(Instruction& frame, ElementType type, const VectorOperand& dst, double first, const LaneSet& set,
                  int head_lanes);

void RunTranspose16(Instruction& frame, const Operand& dst, const Operand& src);
struct BlockList {
  Operand blocks[AscendC::NCHW_CONV_ADDR_LIST_SIZE];
};
void RunTransDataTo5hd(Instruction& frame, uint32_t element_bytes, const BlockList& dst, const BlockList& src,
                       const AscendC::TransDataTo5HDParams& params);

template <typename T>
inline constexpr bool kIsMovable = kIsOneOf<T, int16_t, uint16_t, half, bfloat16_t, int32_t, uint32_t, float>;

template <typename T>
void CallDuplicate(const AscendC::LocalTensor<T>& dst, T value, const MaskArgument& mask, int repeats,
                   uint32_t block_stride, uint32_t repeat_stride, Location where) {
  static_assert(kIsMovable<T>, "Duplicate: this data type is not supported on dav-c220");
  Instruction frame("Duplicate", PIPE_V, where);
  RunDuplicate(frame, UbOperand(frame, "dst", dst, block_stride, repeat_stride), LowBits(value), mask, repeats);
}

template <typename T>
void CallCopy(const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<T>& src, const MaskArgument& mask,
              int repeats, const AscendC::CopyRepeatParams& strides, Location where) {
  static_assert(kIsMovable<T>, "Copy: this data type is not supported on dav-c220");
  Instruction frame("Copy", PIPE_V, where);
  frame.RequireRange("dstRepeatSize", strides.dstRepeatSize, 0, 4095);
  frame.RequireRange("srcRepeatSize", strides.srcRepeatSize, 0, 4095);
  RunCopy(frame, UbOperand(frame, "dst", dst, strides.dstStride, strides.dstRepeatSize),
          UbOperand(frame, "src", src, strides.srcStride, strides.srcRepeatSize), mask, repeats);
}

template <typename T>
void CallGather(const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<T>& src,
                const AscendC::LocalTensor<uint32_t>& offsets, uint32_t base, const MaskArgument& mask, int repeats,
                uint32_t repeat_stride, Location where) {
  static_assert(kIsMovable<T>, "Gather: this data type is not supported on dav-c220");
  Instruction frame("Gather", PIPE_V, where);
  RunGather(frame, UbOperand(frame, "dst", dst, 1, repeat_stride), frame.Local("src", src, Hardware::UB),
            frame.Local("srcOffset", offsets, Hardware::UB), base, mask, repeats);
}

template <typename T>
void CallCreateVecIndex(const AscendC::LocalTensor<T>& dst, T first, const MaskArgument& mask, int repeats,
                        uint32_t block_stride, uint32_t repeat_stride, int head_lanes, Location where) {
  static_assert(kIsOneOf<T, int16_t, half, int32_t, float>,
                "CreateVecIndex: this data type is not supported on dav-c220");
  LaneSet set;
  Core& core = CurrentCore();
  {
    Instruction frame("CreateVecIndex", PIPE_S, where);
    set = ResolveLanes(frame, mask, kRepeatBytes / sizeof(T), repeats);
    if (set.empty()) return;
    RunIndexHead(frame, TypeOf<T>(), UbOperand(frame, "dst", dst, block_stride, repeat_stride),
                 static_cast<double>(first), set, head_lanes);
  }
  core.OrderPipes(PIPE_S, PIPE_V);
  {
    Instruction frame("CreateVecIndex", PIPE_V, where);
    RunIndexRest(frame, TypeOf<T>(), UbOperand(frame, "dst", dst, block_stride, repeat_stride),
                 static_cast<double>(first), set, head_lanes);
  }
  core.Barrier(PIPE_V, where);
}

}  // namespace ascend_sim

namespace AscendC {

template <typename T, bool isSetMask = true>
void Duplicate(const LocalTensor<T>& dst, const T& scalarValue, uint64_t mask, const Encoded<uint8_t> repeatTime,
               const Encoded<uint16_t> dstBlockStride, const Encoded<uint8_t> dstRepeatStride, ASCEND_SIM_CALLER) {
  ascend_sim::CallDuplicate(dst, scalarValue, ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, dstBlockStride,
                            dstRepeatStride, where);
}
template <typename T, bool isSetMask = true>
void Duplicate(const LocalTensor<T>& dst, const T& scalarValue, uint64_t mask[], const Encoded<uint8_t> repeatTime,
               const Encoded<uint16_t> dstBlockStride, const Encoded<uint8_t> dstRepeatStride, ASCEND_SIM_CALLER) {
  ascend_sim::CallDuplicate(dst, scalarValue, ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, dstBlockStride,
                            dstRepeatStride, where);
}
template <typename T>
void Duplicate(const LocalTensor<T>& dst, const T& scalarValue, const int32_t& count, ASCEND_SIM_CALLER) {
  ascend_sim::CallDuplicate(dst, scalarValue, ascend_sim::MaskArgument::Tensor(count), 1, DEFAULT_BLK_STRIDE,
                            DEFAULT_REPEAT_STRIDE, where);
}

// In counter mode the mask counts the elements of each repeat here, not of the whole.
template <typename T, bool isSetMask = true>
void Copy(const LocalTensor<T>& dst, const LocalTensor<T>& src, const uint64_t mask[],
          const Encoded<uint8_t> repeatTime, const CopyRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::CallCopy(dst, src, ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);
}
template <typename T, bool isSetMask = true>
void Copy(const LocalTensor<T>& dst, const LocalTensor<T>& src, const uint64_t mask, const Encoded<uint8_t> repeatTime,
          const CopyRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::CallCopy(dst, src, ascend_sim::MaskArgument::Of<isSetMask>(mask), repeatTime, repeatParams, where);
}

template <typename T>
void Brcb(const LocalTensor<T>& dst, const LocalTensor<T>& src, const Encoded<uint8_t> repeatTime,
          const BrcbRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsMovable<T>, "Brcb: this data type is not supported on dav-c220");
  ascend_sim::Instruction frame("Brcb", PIPE_V, where);
  ascend_sim::RunBrcb(frame,
                      ascend_sim::UbOperand(frame, "dst", dst, repeatParams.dstBlkStride, repeatParams.dstRepStride),
                      frame.Local("src", src, ascend_sim::Hardware::UB), repeatTime);
}

template <typename T>
void Gather(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<uint32_t>& srcOffset,
            const uint32_t srcBaseAddr, const uint64_t mask, const Encoded<uint8_t> repeatTime,
            const Encoded<uint16_t> dstRepStride, ASCEND_SIM_CALLER) {
  ascend_sim::CallGather(dst, src, srcOffset, srcBaseAddr, ascend_sim::MaskArgument::Lanes(mask), repeatTime,
                         dstRepStride, where);
}
template <typename T>
void Gather(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<uint32_t>& srcOffset,
            const uint32_t srcBaseAddr, const uint64_t mask[], const Encoded<uint8_t> repeatTime,
            const Encoded<uint16_t> dstRepStride, ASCEND_SIM_CALLER) {
  ascend_sim::CallGather(dst, src, srcOffset, srcBaseAddr, ascend_sim::MaskArgument::Bits(mask), repeatTime,
                         dstRepStride, where);
}
template <typename T>
void Gather(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<uint32_t>& srcOffset,
            const uint32_t srcBaseAddr, const uint32_t count, ASCEND_SIM_CALLER) {
  ascend_sim::CallGather(dst, src, srcOffset, srcBaseAddr, ascend_sim::MaskArgument::Tensor(count), 1,
                         DEFAULT_REPEAT_STRIDE, where);
}

template <typename T>
void Gatherb(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<uint32_t>& offset,
             const Encoded<uint8_t> repeatTime, const GatherRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsOneOf<T, uint16_t, uint32_t>, "Gatherb: this data type is not supported on dav-c220");
  ascend_sim::Instruction frame("Gatherb", PIPE_V, where);
  ascend_sim::RunGatherBlocks(
      frame, ascend_sim::UbOperand(frame, "dst", dst, repeatParams.dstBlkStride, repeatParams.dstRepStride),
      frame.Local("src0", src0, ascend_sim::Hardware::UB), frame.Local("offset", offset, ascend_sim::Hardware::UB),
      repeatTime);
}

template <typename T, typename U, GatherMaskMode mode = defaultGatherMaskMode>
void GatherMask(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<U>& src1Pattern,
                const bool reduceMode, const uint32_t mask, const GatherMaskParams& gatherMaskParams, uint64_t& rsvdCnt,
                ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsMovable<T> && sizeof(T) == sizeof(U) && ascend_sim::kIsOneOf<U, uint16_t, uint32_t>,
                "GatherMask: this combination of data types is not supported on dav-c220");
  {
    ascend_sim::Instruction frame("GatherMask", PIPE_V, where);
    const ascend_sim::Operand bits = frame.Local("src1Pattern", src1Pattern, ascend_sim::Hardware::UB);
    rsvdCnt = ascend_sim::RunGatherMask(
        frame,
        ascend_sim::UbOperand(frame, "src0", src0, gatherMaskParams.src0BlockStride, gatherMaskParams.src0RepeatStride),
        frame.Local("dst", dst, ascend_sim::Hardware::UB),
        {0, &bits, reduceMode, mask, gatherMaskParams.repeatTimes, gatherMaskParams.src1RepeatStride});
  }
  ascend_sim::CurrentCore().OrderPipes(PIPE_V, PIPE_S);  // the count comes back to the scalar unit
}
template <typename T, GatherMaskMode mode = defaultGatherMaskMode>
void GatherMask(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const uint8_t src1Pattern, const bool reduceMode,
                const uint32_t mask, const GatherMaskParams& gatherMaskParams, uint64_t& rsvdCnt, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsMovable<T>, "GatherMask: this data type is not supported on dav-c220");
  {
    ascend_sim::Instruction frame("GatherMask", PIPE_V, where);
    frame.RequireRange("src1Pattern", src1Pattern, 1, 7);
    rsvdCnt = ascend_sim::RunGatherMask(
        frame,
        ascend_sim::UbOperand(frame, "src0", src0, gatherMaskParams.src0BlockStride, gatherMaskParams.src0RepeatStride),
        frame.Local("dst", dst, ascend_sim::Hardware::UB),
        {src1Pattern, nullptr, reduceMode, mask, gatherMaskParams.repeatTimes, gatherMaskParams.src1RepeatStride});
  }
  ascend_sim::CurrentCore().OrderPipes(PIPE_V, PIPE_S);
}
inline int64_t GetGatherMaskRemainCount() { return ascend_sim::CurrentCore().vector.gathered; }

// dst[i] = firstValue + i. The head is written by the scalar unit: order earlier vector work on dst before it.
template <typename T>
void CreateVecIndex(LocalTensor<T> dst, const T& firstValue, uint32_t count, ASCEND_SIM_CALLER) {
  ascend_sim::CallCreateVecIndex(dst, firstValue, ascend_sim::MaskArgument::Tensor(count), 1, DEFAULT_BLK_STRIDE,
                                 DEFAULT_REPEAT_STRIDE, ONE_BLK_SIZE / sizeof(T), where);
}
template <typename T>
void CreateVecIndex(LocalTensor<T>& dst, const T& firstValue, uint64_t mask, Encoded<uint8_t> repeatTime,
                    Encoded<uint16_t> dstBlkStride, Encoded<uint8_t> dstRepStride, ASCEND_SIM_CALLER) {
  ascend_sim::CallCreateVecIndex(dst, firstValue, ascend_sim::MaskArgument::Lanes(mask), repeatTime, dstBlkStride,
                                 dstRepStride, ONE_BLK_SIZE / sizeof(T), where);
}
template <typename T>
void CreateVecIndex(LocalTensor<T>& dst, const T& firstValue, uint64_t mask[], Encoded<uint8_t> repeatTime,
                    Encoded<uint16_t> dstBlkStride, Encoded<uint8_t> dstRepStride, ASCEND_SIM_CALLER) {
  ascend_sim::CallCreateVecIndex(dst, firstValue, ascend_sim::MaskArgument::Bits(mask), repeatTime, dstBlkStride,
                                 dstRepStride, ONE_REPEAT_BYTE_SIZE / sizeof(T), where);
}

// A 16 x 16 matrix of 16-bit elements.
template <typename T>
void Transpose(const LocalTensor<T>& dst, const LocalTensor<T>& src, ASCEND_SIM_CALLER) {
  static_assert(ascend_sim::kIsOneOf<T, int16_t, uint16_t, half>,
                "Transpose: this data type is not supported on dav-c220");
  ascend_sim::Instruction frame("Transpose", PIPE_V, where);
  ascend_sim::RunTranspose16(frame, frame.Local("dst", dst, ascend_sim::Hardware::UB),
                             frame.Local("src", src, ascend_sim::Hardware::UB));
}

// Transposes 16 blocks given by their tensors or their UB addresses.
template <typename T>
void TransDataTo5HD(const LocalTensor<T> (&dstList)[NCHW_CONV_ADDR_LIST_SIZE],
                    const LocalTensor<T> (&srcList)[NCHW_CONV_ADDR_LIST_SIZE],
                    const TransDataTo5HDParams& nchwconvParams, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("TransDataTo5HD", PIPE_V, where);
  ascend_sim::BlockList dst, src;
  for (int i = 0; i < NCHW_CONV_ADDR_LIST_SIZE; ++i) {
    dst.blocks[i] = frame.Local("dstList", dstList[i], ascend_sim::Hardware::UB);
    src.blocks[i] = frame.Local("srcList", srcList[i], ascend_sim::Hardware::UB);
  }
  ascend_sim::RunTransDataTo5hd(frame, sizeof(T), dst, src, nchwconvParams);
}
template <typename T>
void TransDataTo5HD(uint64_t dstList[NCHW_CONV_ADDR_LIST_SIZE], uint64_t srcList[NCHW_CONV_ADDR_LIST_SIZE],
                    const TransDataTo5HDParams& nchwconvParams, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("TransDataTo5HD", PIPE_V, where);
  const uint64_t ub_bytes = frame.core().memory(ascend_sim::Hardware::UB).size();
  ascend_sim::BlockList dst, src;
  for (int i = 0; i < NCHW_CONV_ADDR_LIST_SIZE; ++i) {
    frame.RequireRange("dstList", static_cast<int64_t>(dstList[i]), 0, static_cast<int64_t>(ub_bytes) - ONE_BLK_SIZE);
    frame.RequireRange("srcList", static_cast<int64_t>(srcList[i]), 0, static_cast<int64_t>(ub_bytes) - ONE_BLK_SIZE);
    dst.blocks[i] = frame.Raw("dstList", ascend_sim::Hardware::UB, dstList[i], ub_bytes - dstList[i]);
    src.blocks[i] = frame.Raw("srcList", ascend_sim::Hardware::UB, srcList[i], ub_bytes - srcList[i]);
  }
  ascend_sim::RunTransDataTo5hd(frame, sizeof(T), dst, src, nchwconvParams);
}

}  // namespace AscendC
