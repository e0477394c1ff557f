// What the vector test kernels share: an image of the UB that is loaded whole, worked on, and stored whole, and the
// parameters of the one instruction under test. The host compares every byte of the image.
#pragma once

#include "kernel_operator.h"

// How the mask of an instruction is given; the numbers are those of the Python side.
enum Form : int64_t {
  kCount = 0,        // tensor form: the first `count` elements
  kMaskCount = 1,    // high-dimension form, mask as a count
  kMaskBits = 2,     // high-dimension form, mask as bits
  kOutsideBits = 3,  // mask set before the call, bit by bit
  kCounter = 4,      // counter mode, total set before the call
};

constexpr int32_t kParameterCount = 32;

class VectorImage {
 public:
  __aicore__ inline VectorImage(AscendC::TPipe& pipe, GM_ADDR image, GM_ADDR parameters, uint32_t bytes)
      : bytes_(bytes) {
    image_.SetGlobalBuffer(reinterpret_cast<__gm__ uint8_t*>(image), bytes);
    parameters_.SetGlobalBuffer(reinterpret_cast<__gm__ int64_t*>(parameters), kParameterCount);
    pipe.InitBuffer(buffer_, bytes);
    AscendC::DataCopy(buffer_.Get<uint8_t>(), image_, bytes);
    AscendC::SetFlag<AscendC::HardEvent::MTE2_V>(EVENT_ID0);
    AscendC::WaitFlag<AscendC::HardEvent::MTE2_V>(EVENT_ID0);
    AscendC::SetFlag<AscendC::HardEvent::MTE2_S>(EVENT_ID0);
    AscendC::WaitFlag<AscendC::HardEvent::MTE2_S>(EVENT_ID0);
  }

  __aicore__ inline void Store() {
    AscendC::SetFlag<AscendC::HardEvent::V_MTE3>(EVENT_ID0);
    AscendC::WaitFlag<AscendC::HardEvent::V_MTE3>(EVENT_ID0);
    AscendC::SetFlag<AscendC::HardEvent::S_MTE3>(EVENT_ID0);
    AscendC::WaitFlag<AscendC::HardEvent::S_MTE3>(EVENT_ID0);
    AscendC::DataCopy(image_, buffer_.Get<uint8_t>(), bytes_);
  }

  __aicore__ inline int64_t Parameter(int32_t index) { return parameters_.GetValue(index); }
  __aicore__ inline void SetParameter(int32_t index, int64_t value) { parameters_.SetValue(index, value); }

  template <typename T>
  __aicore__ inline AscendC::LocalTensor<T> At(int64_t byte_offset) {
    return buffer_.Get<uint8_t>()[static_cast<uint32_t>(byte_offset)].template ReinterpretCast<T>();
  }

  // Standard places of the parameters.
  __aicore__ inline int64_t Op() { return Parameter(0); }
  __aicore__ inline int64_t FormOf() { return Parameter(1); }
  __aicore__ inline int32_t Count() { return static_cast<int32_t>(Parameter(2)); }
  __aicore__ inline uint64_t MaskLow() { return static_cast<uint64_t>(Parameter(3)); }
  __aicore__ inline uint64_t MaskHigh() { return static_cast<uint64_t>(Parameter(4)); }
  __aicore__ inline uint8_t Repeat() { return static_cast<uint8_t>(Parameter(5)); }
  __aicore__ inline int64_t DstOffset() { return Parameter(6); }
  __aicore__ inline int64_t Src0Offset() { return Parameter(7); }
  __aicore__ inline int64_t Src1Offset() { return Parameter(8); }
  // 9..14: block strides of dst, src0, src1, then their repeat strides.
  __aicore__ inline AscendC::BinaryRepeatParams BinaryStrides() {
    return AscendC::BinaryRepeatParams(static_cast<uint8_t>(Parameter(9)), static_cast<uint8_t>(Parameter(10)),
                                       static_cast<uint8_t>(Parameter(11)), static_cast<uint8_t>(Parameter(12)),
                                       static_cast<uint8_t>(Parameter(13)), static_cast<uint8_t>(Parameter(14)));
  }
  __aicore__ inline AscendC::UnaryRepeatParams UnaryStrides() {
    return AscendC::UnaryRepeatParams(static_cast<uint16_t>(Parameter(9)), static_cast<uint16_t>(Parameter(10)),
                                      static_cast<uint8_t>(Parameter(12)), static_cast<uint8_t>(Parameter(13)));
  }
  __aicore__ inline float Scalar() { return static_cast<float>(Parameter(15)) / 1024.0f; }  // sent in 1/1024

 private:
  AscendC::TBuf<AscendC::TPosition::VECCALC> buffer_;
  AscendC::GlobalTensor<uint8_t> image_;
  AscendC::GlobalTensor<int64_t> parameters_;
  uint32_t bytes_;
};

// Issues one instruction in the form the parameters ask for. LEADING are its arguments up to the mask, STRIDES the
// member that gives its stride structure.
#define VECTOR_CALL_FORMS(T, NAME, LEADING, STRIDES)                                                            \
  do {                                                                                                          \
    uint64_t bits[2] = {image.MaskLow(), image.MaskHigh()};                                                     \
    switch (image.FormOf()) {                                                                                   \
      case kCount:                                                                                              \
        AscendC::NAME(LEADING(T, image), image.Count());                                                        \
        break;                                                                                                  \
      case kMaskCount:                                                                                          \
        AscendC::NAME(LEADING(T, image), image.MaskLow(), image.Repeat(), image.STRIDES());                     \
        break;                                                                                                  \
      case kMaskBits:                                                                                           \
        AscendC::NAME(LEADING(T, image), bits, image.Repeat(), image.STRIDES());                                \
        break;                                                                                                  \
      case kOutsideBits:                                                                                        \
        AscendC::SetMaskNorm();                                                                                 \
        AscendC::SetVectorMask<T, AscendC::MaskMode::NORMAL>(image.MaskHigh(), image.MaskLow());                \
        AscendC::NAME<T, false>(LEADING(T, image), AscendC::MASK_PLACEHOLDER, image.Repeat(), image.STRIDES()); \
        AscendC::ResetMask();                                                                                   \
        break;                                                                                                  \
      case kCounter:                                                                                            \
        AscendC::SetMaskCount();                                                                                \
        AscendC::SetVectorMask<T, AscendC::MaskMode::COUNTER>(image.Count());                                   \
        AscendC::NAME<T, false>(LEADING(T, image), AscendC::MASK_PLACEHOLDER, image.Repeat(), image.STRIDES()); \
        AscendC::SetMaskNorm();                                                                                 \
        AscendC::ResetMask();                                                                                   \
        break;                                                                                                  \
    }                                                                                                           \
  } while (0)

#define VECTOR_BINARY_OPERANDS(T, image)                                                     \
  (image).template At<T>((image).DstOffset()), (image).template At<T>((image).Src0Offset()), \
      (image).template At<T>((image).Src1Offset())
#define VECTOR_UNARY_OPERANDS(T, image) \
  (image).template At<T>((image).DstOffset()), (image).template At<T>((image).Src0Offset())
#define VECTOR_SCALAR_OPERANDS(T, image) VECTOR_UNARY_OPERANDS(T, image), static_cast<T>((image).Scalar())

// A kernel entry for one data type: (image, parameters, number of bytes in the image as the last parameter).
#define VECTOR_KERNEL(NAME, BODY, T)                                                                                   \
  extern "C" __global__ __aicore__ void NAME(GM_ADDR image_gm, GM_ADDR parameters_gm) {                                \
    KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);                                                                    \
    AscendC::TPipe pipe;                                                                                               \
    AscendC::GlobalTensor<int64_t> parameters;                                                                         \
    parameters.SetGlobalBuffer(reinterpret_cast<__gm__ int64_t*>(parameters_gm), kParameterCount);                     \
    VectorImage image(pipe, image_gm, parameters_gm, static_cast<uint32_t>(parameters.GetValue(kParameterCount - 1))); \
    BODY<T>(image);                                                                                                    \
    image.Store();                                                                                                     \
  }
