// Parameter types of the vector instructions, as the AscendC manual names and lays them out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "instructions/encoded.h"

namespace AscendC {

using ascend_sim::Encoded;

template <typename T, typename U>
struct IsSameType {
  static constexpr bool value = false;
};
template <typename T>
struct IsSameType<T, T> {
  static constexpr bool value = true;
};

inline constexpr int32_t ONE_BLK_SIZE = 32;     // bytes of a data block
inline constexpr int32_t DEFAULT_C0_SIZE = 32;  // bytes of a fractal's row
inline constexpr int32_t BLOCK_CUBE = 16;       // rows of a fractal
inline constexpr int32_t MAX_REPEAT_TIMES = 255;
inline constexpr int32_t ONE_REPEAT_BYTE_SIZE = 256;  // eight data blocks: what one repeat reads
inline constexpr int32_t DEFAULT_BLK_NUM = 8;
inline constexpr int32_t DEFAULT_BLK_STRIDE = 1;
inline constexpr int32_t DEFAULT_REPEAT_STRIDE = 8;
inline constexpr uint64_t MASK_PLACEHOLDER = 0;
inline constexpr int32_t NCHW_CONV_ADDR_LIST_SIZE = 16;
inline constexpr int32_t MRG_SORT_ELEMENT_LEN = 4;
inline constexpr int32_t VDEQ_TENSOR_SIZE = 16;

enum class MaskMode : uint8_t { NORMAL = 0, COUNTER };

enum class RoundMode : uint8_t {
  CAST_NONE = 0,  // rint where the conversion loses bits
  CAST_RINT,      // nearest, ties to even
  CAST_FLOOR,     // towards minus infinity
  CAST_CEIL,      // towards plus infinity
  CAST_ROUND,     // nearest, ties away from zero
  CAST_TRUNC,     // towards zero
  CAST_ODD,       // von Neumann: an inexact result gets an odd last bit
};

enum class CMPMODE : uint8_t { LT = 0, GT, EQ, LE, GE, NE };

enum class SELMODE : uint8_t { VSEL_CMPMASK_SPR = 0, VSEL_TENSOR_SCALAR_MODE, VSEL_TENSOR_TENSOR_MODE };

enum class ReduceOrder : uint8_t { ORDER_VALUE_INDEX = 0, ORDER_INDEX_VALUE, ORDER_ONLY_VALUE, ORDER_ONLY_INDEX };

enum class ReduceType : uint8_t { SUM = 0, MAX, MIN };

// Strides are in data blocks of 32 bytes. Block strides lie between the eight blocks of a repeat, repeat strides
// between the first blocks of two repeats.
struct UnaryRepeatParams {
  UnaryRepeatParams() = default;
  UnaryRepeatParams(Encoded<uint16_t> dstBlkStrideIn, Encoded<uint16_t> srcBlkStrideIn, Encoded<uint8_t> dstRepStrideIn,
                    Encoded<uint8_t> srcRepStrideIn)
      : dstBlkStride(dstBlkStrideIn),
        srcBlkStride(srcBlkStrideIn),
        dstRepStride(dstRepStrideIn),
        srcRepStride(srcRepStrideIn) {}
  UnaryRepeatParams(Encoded<uint16_t> dstBlkStrideIn, Encoded<uint16_t> srcBlkStrideIn, Encoded<uint8_t> dstRepStrideIn,
                    Encoded<uint8_t> srcRepStrideIn, const bool halfBlockIn)
      : dstBlkStride(dstBlkStrideIn),
        srcBlkStride(srcBlkStrideIn),
        dstRepStride(dstRepStrideIn),
        srcRepStride(srcRepStrideIn),
        halfBlock(halfBlockIn) {}

  uint32_t blockNumber = DEFAULT_BLK_NUM;
  Encoded<uint16_t> dstBlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint16_t> srcBlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> dstRepStride = DEFAULT_REPEAT_STRIDE;
  Encoded<uint8_t> srcRepStride = DEFAULT_REPEAT_STRIDE;
  bool repeatStrideMode = false;
  bool strideSizeMode = false;
  bool halfBlock = false;
};

struct BinaryRepeatParams {
  BinaryRepeatParams() = default;
  BinaryRepeatParams(Encoded<uint8_t> dstBlkStrideIn, Encoded<uint8_t> src0BlkStrideIn,
                     Encoded<uint8_t> src1BlkStrideIn, Encoded<uint8_t> dstRepStrideIn,
                     Encoded<uint8_t> src0RepStrideIn, Encoded<uint8_t> src1RepStrideIn)
      : dstBlkStride(dstBlkStrideIn),
        src0BlkStride(src0BlkStrideIn),
        src1BlkStride(src1BlkStrideIn),
        dstRepStride(dstRepStrideIn),
        src0RepStride(src0RepStrideIn),
        src1RepStride(src1RepStrideIn) {}

  uint32_t blockNumber = DEFAULT_BLK_NUM;
  Encoded<uint8_t> dstBlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> src0BlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> src1BlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> dstRepStride = DEFAULT_REPEAT_STRIDE;
  Encoded<uint8_t> src0RepStride = DEFAULT_REPEAT_STRIDE;
  Encoded<uint8_t> src1RepStride = DEFAULT_REPEAT_STRIDE;
  bool repeatStrideMode = false;
  bool strideSizeMode = false;
};

struct CopyRepeatParams {
  CopyRepeatParams() = default;
  CopyRepeatParams(Encoded<uint16_t> dstStrideIn, Encoded<uint16_t> srcStrideIn, Encoded<uint16_t> dstRepeatSizeIn,
                   Encoded<uint16_t> srcRepeatSizeIn)
      : dstStride(dstStrideIn),
        srcStride(srcStrideIn),
        dstRepeatSize(dstRepeatSizeIn),
        srcRepeatSize(srcRepeatSizeIn) {}

  Encoded<uint16_t> dstStride = DEFAULT_BLK_STRIDE;
  Encoded<uint16_t> srcStride = DEFAULT_BLK_STRIDE;
  Encoded<uint16_t> dstRepeatSize = DEFAULT_REPEAT_STRIDE;
  Encoded<uint16_t> srcRepeatSize = DEFAULT_REPEAT_STRIDE;
};

struct BrcbRepeatParams {
  BrcbRepeatParams() = default;
  BrcbRepeatParams(Encoded<uint16_t> dstBlkStrideIn, Encoded<uint16_t> dstRepStrideIn)
      : dstRepStride(dstRepStrideIn), dstBlkStride(dstBlkStrideIn) {}

  uint32_t blockNumber = DEFAULT_BLK_NUM;
  Encoded<uint16_t> dstRepStride = DEFAULT_REPEAT_STRIDE;
  Encoded<uint16_t> dstBlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> src0BlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> src1BlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> src0RepStride = DEFAULT_REPEAT_STRIDE;
  Encoded<uint8_t> src1RepStride = DEFAULT_REPEAT_STRIDE;
  bool repeatStrideMode = false;
  bool strideSizeMode = false;
};

struct GatherRepeatParams {
  GatherRepeatParams() = default;
  GatherRepeatParams(Encoded<uint8_t> dstBlkStrideIn, Encoded<uint8_t> dstRepStrideIn)
      : dstRepStride(static_cast<uint8_t>(dstRepStrideIn)), dstBlkStride(dstBlkStrideIn) {}

  uint32_t blockNumber = DEFAULT_BLK_NUM;
  Encoded<uint16_t> dstRepStride = DEFAULT_REPEAT_STRIDE;
  Encoded<uint8_t> dstBlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> src0BlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> src1BlkStride = DEFAULT_BLK_STRIDE;
  Encoded<uint8_t> src0RepStride = DEFAULT_REPEAT_STRIDE;
  Encoded<uint8_t> src1RepStride = DEFAULT_REPEAT_STRIDE;
  bool repeatStrideMode = false;
  bool strideSizeMode = false;
};

enum class GatherMaskMode : uint8_t { VERSION_V1 = 0, VERSION_V2 = 1 };
inline constexpr GatherMaskMode defaultGatherMaskMode = GatherMaskMode::VERSION_V2;

struct GatherMaskParams {
  GatherMaskParams() = default;
  GatherMaskParams(Encoded<uint8_t> src0BlockStrideIn, Encoded<uint16_t> repeatTimesIn,
                   Encoded<uint16_t> src0RepeatStrideIn, Encoded<uint8_t> src1RepeatStrideIn)
      : src0BlockStride(src0BlockStrideIn),
        repeatTimes(repeatTimesIn),
        src0RepeatStride(src0RepeatStrideIn),
        src1RepeatStride(src1RepeatStrideIn) {}

  Encoded<uint8_t> src0BlockStride = DEFAULT_BLK_STRIDE;
  Encoded<uint16_t> repeatTimes = 0;
  Encoded<uint16_t> src0RepeatStride = DEFAULT_REPEAT_STRIDE;
  Encoded<uint8_t> src1RepeatStride = DEFAULT_REPEAT_STRIDE;
};

struct TransDataTo5HDParams {
  TransDataTo5HDParams() = default;
  TransDataTo5HDParams(const bool dstHighHalfIn, const bool srcHighHalfIn, Encoded<uint8_t> repeatTimesIn,
                       Encoded<uint16_t> dstRepStrideIn, Encoded<uint16_t> srcRepStrideIn)
      : dstHighHalf(dstHighHalfIn),
        srcHighHalf(srcHighHalfIn),
        repeatTimes(repeatTimesIn),
        dstRepStride(dstRepStrideIn),
        srcRepStride(srcRepStrideIn) {}

  bool dstHighHalf = false;
  bool srcHighHalf = false;
  Encoded<uint8_t> repeatTimes = 1;
  Encoded<uint16_t> dstRepStride = 0;
  Encoded<uint16_t> srcRepStride = 0;
};

template <typename T>
class LocalTensor;

struct MrgSort4Info {
  MrgSort4Info() = default;
  MrgSort4Info(const uint16_t elementLengthsIn[MRG_SORT_ELEMENT_LEN], const bool ifExhaustedSuspensionIn,
               Encoded<uint16_t> validBitIn, Encoded<uint16_t> repeatTimesIn)
      : ifExhaustedSuspension(ifExhaustedSuspensionIn),
        validBit(validBitIn),
        repeatTimes(static_cast<uint16_t>(repeatTimesIn)) {
    for (int32_t i = 0; i < MRG_SORT_ELEMENT_LEN; ++i) elementLengths[i] = elementLengthsIn[i];
  }

  uint16_t elementLengths[MRG_SORT_ELEMENT_LEN] = {0};
  bool ifExhaustedSuspension = false;
  Encoded<uint16_t> validBit = 0;
  Encoded<uint8_t> repeatTimes = 1;
};

}  // namespace AscendC
