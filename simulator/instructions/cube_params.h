// Parameter types of the cube instructions (LoadData, Mmad, Fixpipe), as the AscendC manual names and lays them out.
#pragma once

#include <cstdint>

#include "instructions/encoded.h"

// On the card this enumeration comes from the compiler, hence the global namespace. Modes dav-c220 lacks are left out.
enum QuantMode_t : uint32_t {
  NoQuant = 0,
  F322F16 = 1,        // float -> half
  VREQ8 = 8,          // int32 -> int8 / uint8, a factor per column
  REQ8 = 9,           // int32 -> int8 / uint8, one factor
  VDEQF16 = 10,       // int32 -> half, a factor per column
  DEQF16 = 11,        // int32 -> half, one factor
  F322BF16 = 16,      // float -> bfloat16
  VQF322B8_PRE = 23,  // float -> int8 / uint8, a factor per column
  QF322B8_PRE = 24,   // float -> int8 / uint8, one factor
};

namespace AscendC {

using ascend_sim::Encoded;

inline constexpr int32_t PAD_SIZE = 4;

struct LoadData2DParams {
  LoadData2DParams() = default;
  LoadData2DParams(Encoded<uint16_t> startIndexIn, Encoded<uint8_t> repeatTimesIn, Encoded<uint16_t> srcStrideIn,
                   Encoded<uint8_t> sidIn, Encoded<uint16_t> dstGapIn, const bool ifTransposeIn,
                   Encoded<uint8_t> addrModeIn)
      : startIndex(startIndexIn),
        dstGap(dstGapIn),
        srcStride(srcStrideIn),
        ifTranspose(ifTransposeIn),
        repeatTimes(repeatTimesIn),
        sid(sidIn),
        addrMode(addrModeIn) {}

  Encoded<uint16_t> startIndex = 0;
  Encoded<uint16_t> dstGap = 0;
  Encoded<uint16_t> srcStride = 0;
  bool ifTranspose = false;
  Encoded<uint8_t> repeatTimes = 0;
  Encoded<uint8_t> sid = 0;
  Encoded<uint8_t> addrMode = 0;
};
using LoadData2dParams = LoadData2DParams;

struct LoadData2dTransposeParams {
  LoadData2dTransposeParams() = default;
  LoadData2dTransposeParams(Encoded<uint16_t> startIndexIn, Encoded<uint8_t> repeatTimesIn,
                            Encoded<uint16_t> srcStrideIn, Encoded<uint16_t> dstGapIn, Encoded<uint16_t> dstfracGapIn,
                            Encoded<uint8_t> addrModeIn)
      : startIndex(startIndexIn),
        repeatTimes(repeatTimesIn),
        srcStride(srcStrideIn),
        dstGap(dstGapIn),
        dstFracGap(dstfracGapIn),
        addrMode(addrModeIn) {}
  LoadData2dTransposeParams(Encoded<uint16_t> startIndexIn, Encoded<uint8_t> repeatTimesIn,
                            Encoded<uint16_t> srcStrideIn, Encoded<uint16_t> dstGapIn, Encoded<uint16_t> dstfracGapIn)
      : LoadData2dTransposeParams(startIndexIn, repeatTimesIn, srcStrideIn, dstGapIn, dstfracGapIn, 0) {}

  Encoded<uint16_t> startIndex = 0;
  Encoded<uint8_t> repeatTimes = 0;
  Encoded<uint16_t> srcStride = 0;
  Encoded<uint16_t> dstGap = 0;
  Encoded<uint16_t> dstFracGap = 0;
  Encoded<uint8_t> addrMode = 0;
};

struct IsResetLoad3dConfig {
  constexpr IsResetLoad3dConfig(const bool isSetFMatrixIn, const bool isSetPaddingIn)
      : isSetFMatrix(isSetFMatrixIn), isSetPadding(isSetPaddingIn) {}
  bool isSetFMatrix = true;
  bool isSetPadding = true;
};
inline constexpr IsResetLoad3dConfig IS_RESER_LOAD3D_DEFAULT_CONFIG = {true, true};

template <typename T>
struct LoadData3DParamsV2 {
  LoadData3DParamsV2() = default;
  LoadData3DParamsV2(const uint8_t padListIn[PAD_SIZE], Encoded<uint16_t> l1HIn, Encoded<uint16_t> l1WIn,
                     Encoded<uint16_t> channelSizeIn, Encoded<uint16_t> kExtensionIn, Encoded<uint16_t> mExtensionIn,
                     Encoded<uint16_t> kStartPtIn, Encoded<uint16_t> mStartPtIn, Encoded<uint8_t> strideWIn,
                     Encoded<uint8_t> strideHIn, Encoded<uint8_t> filterWIn, Encoded<uint8_t> filterHIn,
                     Encoded<uint8_t> dilationFilterWIn, Encoded<uint8_t> dilationFilterHIn, const bool enTransposeIn,
                     const bool enSmallKIn, const T padValueIn, const bool filterSizeWIn = false,
                     const bool filterSizeHIn = false, const bool fMatrixCtrlIn = false)
      : l1H(l1HIn),
        l1W(l1WIn),
        channelSize(channelSizeIn),
        kExtension(kExtensionIn),
        mExtension(mExtensionIn),
        kStartPt(kStartPtIn),
        mStartPt(mStartPtIn),
        strideW(strideWIn),
        strideH(strideHIn),
        filterW(filterWIn),
        filterH(filterHIn),
        dilationFilterW(dilationFilterWIn),
        dilationFilterH(dilationFilterHIn),
        enTranspose(enTransposeIn),
        enSmallK(enSmallKIn),
        padValue(padValueIn),
        filterSizeW(filterSizeWIn),
        filterSizeH(filterSizeHIn),
        fMatrixCtrl(fMatrixCtrlIn) {
    for (int32_t i = 0; i < PAD_SIZE; ++i) padList[i] = padListIn[i];
  }

  uint8_t padList[PAD_SIZE] = {0};  // left, right, top, bottom
  Encoded<uint16_t> l1H = 0;
  Encoded<uint16_t> l1W = 0;
  Encoded<uint16_t> channelSize = 0;
  Encoded<uint16_t> kExtension = 0;
  Encoded<uint16_t> mExtension = 0;
  Encoded<uint16_t> kStartPt = 0;
  Encoded<uint16_t> mStartPt = 0;
  Encoded<uint8_t> strideW = 1;
  Encoded<uint8_t> strideH = 1;
  Encoded<uint8_t> filterW = 1;
  Encoded<uint8_t> filterH = 1;
  Encoded<uint8_t> dilationFilterW = 1;
  Encoded<uint8_t> dilationFilterH = 1;
  bool enTranspose = false;
  bool enSmallK = false;
  T padValue = 0;
  bool filterSizeW = false;
  bool filterSizeH = false;
  bool fMatrixCtrl = false;
};

struct LoadData3DParamsV2Pro {
  LoadData3DParamsV2Pro() = default;
  LoadData3DParamsV2Pro(Encoded<uint16_t> channelSizeIn, const bool enTransposeIn, const bool enSmallKIn,
                        const bool filterSizeWIn, const bool filterSizeHIn, const bool fMatrixCtrlIn,
                        const uint64_t extConfigIn, const uint64_t filterConfigIn)
      : channelSize(channelSizeIn),
        enTranspose(enTransposeIn),
        enSmallK(enSmallKIn),
        filterSizeW(filterSizeWIn),
        filterSizeH(filterSizeHIn),
        fMatrixCtrl(fMatrixCtrlIn),
        extConfig(extConfigIn),
        filterConfig(filterConfigIn) {}

  Encoded<uint16_t> channelSize = 0;
  bool enTranspose = false;
  bool enSmallK = false;
  bool filterSizeW = false;
  bool filterSizeH = false;
  bool fMatrixCtrl = false;
  uint64_t extConfig = 0;                 // mStartPt:16 | kStartPt:16 | mExtension:16 | kExtension:16
  uint64_t filterConfig = 0X10101010101;  // dilation H, W | filter H, W | stride H, W, a byte each
};

enum class FmatrixMode : uint8_t { FMATRIX_LEFT = 0, FMATRIX_RIGHT = 1 };

struct LoadDataRepeatParam {
  LoadDataRepeatParam() = default;
  LoadDataRepeatParam(Encoded<uint16_t> repeatStrideIn, Encoded<uint8_t> repeatTimeIn, Encoded<uint8_t> repeatModeIn)
      : repeatStride(repeatStrideIn), repeatTime(repeatTimeIn), repeatMode(repeatModeIn) {}

  Encoded<uint16_t> repeatStride = 0;
  Encoded<uint8_t> repeatTime = 1;
  Encoded<uint8_t> repeatMode = 0;  // 0: along the height (m) of the destination, 1: along its width (k)
  Encoded<uint8_t> reserved = 0;
};

template <typename U>
struct InitConstValueParams {
  InitConstValueParams() = default;
  InitConstValueParams(Encoded<uint16_t> repeatTimesIn, Encoded<uint16_t> blockNumIn, Encoded<uint16_t> dstGapIn,
                       const U initValueIn)
      : repeatTimes(repeatTimesIn), blockNum(blockNumIn), dstGap(dstGapIn), initValue(initValueIn) {}
  InitConstValueParams(Encoded<uint16_t> repeatTimesIn, const U initValueIn)
      : repeatTimes(repeatTimesIn), initValue(initValueIn) {}

  Encoded<uint16_t> repeatTimes = 0;
  Encoded<uint16_t> blockNum = 0;
  Encoded<uint16_t> dstGap = 0;
  U initValue = 0;
};

struct MmadParams {
  MmadParams() = default;
  MmadParams(Encoded<uint16_t> mIn, Encoded<uint16_t> nIn, Encoded<uint16_t> kIn, const bool isBiasIn,
             const int32_t fmOffsetIn, const bool enSsparseIn, const bool enWinogradAIn, const bool enWinogradBIn)
      : m(mIn),
        n(nIn),
        k(kIn),
        isBias(isBiasIn),
        fmOffset(fmOffsetIn),
        enSsparse(enSsparseIn),
        enWinogradA(enWinogradAIn),
        enWinogradB(enWinogradBIn) {}
  MmadParams(Encoded<uint16_t> mIn, Encoded<uint16_t> nIn, Encoded<uint16_t> kIn, Encoded<uint8_t> unitFlagIn,
             const bool cmatrixSourceIn, const bool cmatrixInitValIn)
      : m(mIn),
        n(nIn),
        k(kIn),
        unitFlag(unitFlagIn),
        cmatrixSource(cmatrixSourceIn),
        cmatrixInitVal(cmatrixInitValIn) {}

  Encoded<uint16_t> m = 0;
  Encoded<uint16_t> n = 0;
  Encoded<uint16_t> k = 0;
  bool isBias = false;
  int32_t fmOffset = 0;
  bool enSsparse = false;
  bool enWinogradA = false;
  bool enWinogradB = false;
  Encoded<uint8_t> unitFlag = 0;
  bool kDirectionAlign = false;
  bool cmatrixSource = false;
  bool cmatrixInitVal = true;
};

enum class HF32Mode { ENABLE, DISABLE };
enum class HF32TransMode { NEAREST_ZERO, NEAREST_EVEN };

enum class CO2Layout : uint8_t { NZ = 0, ROW_MAJOR };

struct FixpipeConfig {
  CO2Layout format;
};
inline constexpr FixpipeConfig CFG_NZ = {CO2Layout::NZ};
inline constexpr FixpipeConfig CFG_ROW_MAJOR = {CO2Layout::ROW_MAJOR};

struct FixpipeParamsV220 {
  FixpipeParamsV220() = default;
  FixpipeParamsV220(Encoded<uint16_t> nSizeIn, Encoded<uint16_t> mSizeIn, Encoded<uint16_t> srcStrideIn,
                    const uint32_t dstStrideIn, const bool reluEnIn)
      : nSize(nSizeIn), mSize(mSizeIn), srcStride(srcStrideIn), dstStride(dstStrideIn), reluEn(reluEnIn) {}
  FixpipeParamsV220(Encoded<uint16_t> nSizeIn, Encoded<uint16_t> mSizeIn, Encoded<uint16_t> srcStrideIn,
                    const uint32_t dstStrideIn, const bool reluEnIn, const QuantMode_t quantPreIn,
                    const int64_t deqScalarIn, Encoded<uint16_t> ndNumIn, Encoded<uint16_t> srcNdStrideIn,
                    Encoded<uint16_t> dstNdStrideIn, Encoded<uint8_t> unitFlagIn, const bool isChannelSplitIn = false)
      : nSize(nSizeIn),
        mSize(mSizeIn),
        srcStride(srcStrideIn),
        dstStride(dstStrideIn),
        quantPre(quantPreIn),
        deqScalar(static_cast<uint64_t>(deqScalarIn)),
        ndNum(ndNumIn),
        srcNdStride(srcNdStrideIn),
        dstNdStride(dstNdStrideIn),
        reluEn(reluEnIn),
        unitFlag(unitFlagIn),
        isChannelSplit(isChannelSplitIn) {}

  Encoded<uint16_t> nSize = 0;
  Encoded<uint16_t> mSize = 0;
  Encoded<uint16_t> srcStride = 0;  // between the 16-column strips of the source, in rows of 16 elements
  uint32_t dstStride = 0;           // NZ2ND: elements of a row; NZ: between 16-column strips, in 32 bytes
  QuantMode_t quantPre = QuantMode_t::NoQuant;
  uint64_t deqScalar = 0;
  Encoded<uint16_t> ndNum = 1;
  Encoded<uint16_t> srcNdStride = 0;
  Encoded<uint16_t> dstNdStride = 0;
  bool reluEn = false;
  Encoded<uint8_t> unitFlag = 0;
  bool isChannelSplit = false;
};

}  // namespace AscendC
