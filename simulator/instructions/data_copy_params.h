// Parameter types of the copies, as the AscendC manual names and lays them out.
#pragma once

#include <cstdint>

#include "instructions/encoded.h"
#include "types/enums.h"

namespace ascend_sim {
// A value that does not fit the field is a fault on the line that gives it: the device would drop its high bits.
using U8 = Encoded<uint8_t>;
using U16 = Encoded<uint16_t>;
}  // namespace ascend_sim

namespace AscendC {

struct DataCopyParams {
  DataCopyParams() = default;
  DataCopyParams(ascend_sim::U16 count, ascend_sim::U16 len, ascend_sim::U16 srcStrideIn, ascend_sim::U16 dstStrideIn)
      : blockCount(count), blockLen(len), srcStride(srcStrideIn), dstStride(dstStrideIn) {}

  ascend_sim::U16 blockCount = 1;
  ascend_sim::U16 blockLen = 0;   // in 32 bytes
  ascend_sim::U16 srcStride = 0;  // between the end of a block and the start of the next, in 32 bytes
  ascend_sim::U16 dstStride = 0;
};

enum class BlockMode : uint8_t {
  BLOCK_MODE_NORMAL = 0,
  BLOCK_MODE_MATRIX,
  BLOCK_MODE_VECTOR,
  BLOCK_MODE_SMALL_CHANNEL,
  BLOCK_MODE_DEPTHWISE,
};
enum class DeqScale : uint8_t { DEQ_NONE = 0, DEQ, VDEQ, DEQ8, VDEQ8, DEQ16, VDEQ16 };

struct DataCopyEnhancedParams {
  DataCopyEnhancedParams() = default;
  DataCopyEnhancedParams(const BlockMode blockModeIn, const DeqScale deqScaleIn, const uint64_t deqValueIn,
                         const uint8_t sidStoreModeIn, const bool isReluIn, const pad_t padModeIn,
                         const uint64_t padValueIn)
      : blockMode(blockModeIn),
        deqScale(deqScaleIn),
        deqValue(deqValueIn),
        sidStoreMode(sidStoreModeIn),
        isRelu(isReluIn),
        padMode(padModeIn),
        padValue(padValueIn) {}

  BlockMode blockMode = BlockMode::BLOCK_MODE_NORMAL;
  DeqScale deqScale = DeqScale::DEQ_NONE;
  uint64_t deqValue = 0;
  uint8_t sidStoreMode = 0;
  bool isRelu = false;
  pad_t padMode = pad_t::PAD_NONE;
  uint64_t padValue = 0;
  uint64_t deqTensorAddr = 0;
};

struct DataCopyExtParams {
  DataCopyExtParams() = default;
  DataCopyExtParams(ascend_sim::U16 count, const uint32_t len, const uint32_t srcStrideIn, const uint32_t dstStrideIn,
                    const uint32_t rsvIn)
      : blockCount(count), blockLen(len), srcStride(srcStrideIn), dstStride(dstStrideIn), rsv(rsvIn) {}

  ascend_sim::U16 blockCount = 1;
  uint32_t blockLen = 0;   // in bytes
  uint32_t srcStride = 0;  // GM: bytes; local memory: 32 bytes
  uint32_t dstStride = 0;
  uint32_t rsv = 0;
};

struct DataCopyPadParams {
  DataCopyPadParams() = default;
  DataCopyPadParams(const bool isPadValue, ascend_sim::U8 leftPadValue, ascend_sim::U8 rightPadValue,
                    const uint64_t padValue)
      : isPad(isPadValue), leftPadding(leftPadValue), rightPadding(rightPadValue), paddingValue(padValue) {}

  bool isPad = false;
  ascend_sim::U8 leftPadding = 0;  // in elements
  ascend_sim::U8 rightPadding = 0;
  uint64_t paddingValue = 0;
};

template <typename T>
struct DataCopyPadExtParams {
  DataCopyPadExtParams() = default;
  DataCopyPadExtParams(const bool isPadValue, ascend_sim::U8 leftPadValue, ascend_sim::U8 rightPadValue, T padValue)
      : isPad(isPadValue), leftPadding(leftPadValue), rightPadding(rightPadValue), paddingValue(padValue) {}

  bool isPad = false;
  ascend_sim::U8 leftPadding = 0;  // in elements
  ascend_sim::U8 rightPadding = 0;
  T paddingValue = 0;
};

struct Nd2NzParams {
  Nd2NzParams() = default;
  Nd2NzParams(ascend_sim::U16 ndNumIn, ascend_sim::U16 nValueIn, ascend_sim::U16 dValueIn,
              ascend_sim::U16 srcNdMatrixStrideIn, ascend_sim::U16 srcDValueIn, ascend_sim::U16 dstNzC0StrideIn,
              ascend_sim::U16 dstNzNStrideIn, ascend_sim::U16 dstNzMatrixStrideIn)
      : ndNum(ndNumIn),
        nValue(nValueIn),
        dValue(dValueIn),
        srcNdMatrixStride(srcNdMatrixStrideIn),
        srcDValue(srcDValueIn),
        dstNzC0Stride(dstNzC0StrideIn),
        dstNzNStride(dstNzNStrideIn),
        dstNzMatrixStride(dstNzMatrixStrideIn) {}

  ascend_sim::U16 ndNum = 0;
  ascend_sim::U16 nValue = 0;             // rows
  ascend_sim::U16 dValue = 0;             // columns, in elements
  ascend_sim::U16 srcNdMatrixStride = 0;  // in elements
  ascend_sim::U16 srcDValue = 0;          // pitch of a row, in elements
  ascend_sim::U16 dstNzC0Stride = 0;      // between 32-byte columns, in 32 bytes
  ascend_sim::U16 dstNzNStride = 0;       // between rows, in 32 bytes
  ascend_sim::U16 dstNzMatrixStride = 0;  // in elements
};

struct Nz2NdParamsFull {
  Nz2NdParamsFull() = default;
  Nz2NdParamsFull(ascend_sim::U16 ndNumIn, ascend_sim::U16 nValueIn, ascend_sim::U16 dValueIn,
                  ascend_sim::U16 srcNdMatrixStrideIn, ascend_sim::U16 srcNStrideIn, ascend_sim::U16 dstDStrideIn,
                  ascend_sim::U16 dstNdMatrixStrideIn)
      : ndNum(ndNumIn),
        nValue(nValueIn),
        dValue(dValueIn),
        srcNdMatrixStride(srcNdMatrixStrideIn),
        srcNStride(srcNStrideIn),
        dstDStride(dstDStrideIn),
        dstNdMatrixStride(dstNdMatrixStrideIn) {}

  ascend_sim::U16 ndNum = 1;
  ascend_sim::U16 nValue = 0;             // rows
  ascend_sim::U16 dValue = 0;             // columns, in elements
  ascend_sim::U16 srcNdMatrixStride = 1;  // in fractals of 256 elements
  ascend_sim::U16 srcNStride = 0;         // between 16-column strips, in rows of 16 elements
  ascend_sim::U16 dstDStride = 0;         // pitch of a row, in elements
  ascend_sim::U16 dstNdMatrixStride = 1;  // in elements
};

struct SliceInfo {
  SliceInfo() = default;
  SliceInfo(const uint32_t startIndexIn, const uint32_t endIndexIn, const uint32_t strideIn, const uint32_t burstLenIn,
            const uint32_t shapeValueIn = 0)
      : startIndex(startIndexIn),
        endIndex(endIndexIn),
        stride(strideIn),
        burstLen(burstLenIn),
        shapeValue(shapeValueIn) {}

  uint32_t startIndex = 0;
  uint32_t endIndex = 31;
  uint32_t stride = 0;
  uint32_t burstLen = 32;
  uint32_t shapeValue = 0;
};

}  // namespace AscendC
