// GlobalTensor and LocalTensor: typed windows on GM and on the memories of a core.
#pragma once

#include <cstdint>
#include <type_traits>

#include "machine/core.h"
#include "machine/gm.h"
#include "machine/instruction.h"
#include "types/enums.h"
#include "types/small_float.h"

namespace AscendC {

inline constexpr int32_t K_MAX_SHAPE_DIM = 8;

template <typename T>
struct TensorTrait {
  using LiteType = T;
};

struct ShapeInfo {
  ShapeInfo() = default;
  ShapeInfo(const uint8_t inputShapeDim, const uint32_t inputShape[], const uint8_t inputOriginalShapeDim,
            const uint32_t inputOriginalShape[], const DataFormat inputFormat)
      : shapeDim(inputShapeDim), originalShapeDim(inputOriginalShapeDim), dataFormat(inputFormat) {
    for (int i = 0; i < shapeDim && i < K_MAX_SHAPE_DIM; ++i) shape[i] = inputShape[i];
    for (int i = 0; i < originalShapeDim && i < K_MAX_SHAPE_DIM; ++i) originalShape[i] = inputOriginalShape[i];
  }
  ShapeInfo(const uint8_t inputShapeDim, const uint32_t inputShape[], const DataFormat inputFormat)
      : ShapeInfo(inputShapeDim, inputShape, inputShapeDim, inputShape, inputFormat) {}
  ShapeInfo(const uint8_t inputShapeDim, const uint32_t inputShape[])
      : ShapeInfo(inputShapeDim, inputShape, DataFormat::ND) {}

  uint8_t shapeDim = 0;
  uint8_t originalShapeDim = 0;
  uint32_t shape[K_MAX_SHAPE_DIM] = {};
  uint32_t originalShape[K_MAX_SHAPE_DIM] = {};
  DataFormat dataFormat = DataFormat::ND;
};

template <typename T>
class LocalTensor {
 public:
  using PrimType = T;

  LocalTensor() = default;
  // A tensor at a byte address of the memory behind `position`; CANN 9 creates tensors without a TPipe this way.
  LocalTensor(TPosition position, uint32_t address, uint32_t element_count, ASCEND_SIM_CALLER);

  // For TPipe and the simulator: `handle` names the queue buffer the tensor belongs to, -1 for none.
  static LocalTensor Make(TPosition position, uint32_t address, uint32_t bytes, int32_t handle) {
    LocalTensor tensor;
    tensor.position_ = position;
    tensor.address_ = address;
    tensor.bytes_ = bytes;
    tensor.handle_ = handle;
    return tensor;
  }

  T GetValue(uint32_t index, ASCEND_SIM_CALLER) const;
  template <typename V>
  void SetValue(uint32_t index, V value, ASCEND_SIM_CALLER) const;
  // A scalar access through a reference escapes every check, so this returns a value; use SetValue to write.
  T operator()(uint32_t index, ASCEND_SIM_CALLER) const { return GetValue(index, where); }
  // A view `offset` elements further on.
  LocalTensor operator[](uint32_t offset) const;
  // Becomes the view `bufferOffset` bytes into `source`.
  template <typename U>
  void SetAddrWithOffset(const LocalTensor<U>& source, uint32_t bufferOffset) {
    const LocalTensor<uint8_t> view = source.template ReinterpretCast<uint8_t>()[bufferOffset];
    *this = view.ReinterpretCast<T>();
  }
  template <typename U>
  LocalTensor<U> ReinterpretCast() const {
    return LocalTensor<U>::Make(position_, address_, bytes_, handle_);
  }
  void SetSize(uint32_t element_count, ASCEND_SIM_CALLER);
  // CANN 8 name of SetSize.
  void SetBufferLen(uint32_t element_count, ASCEND_SIM_CALLER) { SetSize(element_count, where); }
  uint32_t GetSize() const { return bytes_ / sizeof(T); }
  uint32_t GetLength() const { return bytes_; }
  int32_t GetPosition() const { return static_cast<int32_t>(position_); }
  uint64_t GetPhyAddr() const { return address_; }
  uint64_t GetPhyAddr(uint32_t offset) const { return address_ + uint64_t{offset} * sizeof(T); }
  void SetUserTag(TTagType tag) { tag_ = tag; }
  TTagType GetUserTag() const { return tag_; }
  void SetShapeInfo(const ShapeInfo& info) { shape_ = info; }
  ShapeInfo GetShapeInfo() const { return shape_; }

  // For the simulator's own code.
  Hardware memory() const { return GetPhyType(position_); }
  uint32_t address() const { return address_; }
  uint32_t bytes() const { return bytes_; }
  int32_t handle() const { return handle_; }

 private:
  TPosition position_ = TPosition::MAX;
  uint32_t address_ = 0;  // bytes from the start of the memory
  uint32_t bytes_ = 0;
  int32_t handle_ = -1;
  TTagType tag_ = 0;
  ShapeInfo shape_;
};

template <typename T>
class GlobalTensor {
 public:
  using PrimType = T;

  GlobalTensor() = default;
  void SetGlobalBuffer(__gm__ T* buffer, uint64_t element_count) { buffer_ = buffer, count_ = element_count; }
  void SetGlobalBuffer(__gm__ T* buffer) { buffer_ = buffer, count_ = kWholeRegion; }

  T GetValue(uint64_t index, ASCEND_SIM_CALLER) const;
  void SetValue(uint64_t index, T value, ASCEND_SIM_CALLER) const;
  // A scalar access through a reference escapes every check, so this returns a value; use SetValue to write.
  T operator()(uint64_t index, ASCEND_SIM_CALLER) const { return GetValue(index, where); }
  GlobalTensor operator[](uint64_t offset) const {
    GlobalTensor result = *this;
    result.buffer_ += offset;
    if (count_ != kWholeRegion) result.count_ = offset < count_ ? count_ - offset : 0;
    return result;
  }
  uint64_t GetSize() const { return count_ == kWholeRegion ? 0 : count_; }
  __gm__ T* GetPhyAddr() const { return buffer_; }
  __gm__ T* GetPhyAddr(uint64_t offset) const { return buffer_ + offset; }
  void SetShapeInfo(const ShapeInfo& info) { shape_ = info; }
  ShapeInfo GetShapeInfo() const { return shape_; }
  template <CacheRwMode rwMode = CacheRwMode::RW>
  void SetL2CacheHint(CacheMode mode) {
    cache_mode_ = mode;
  }
  // Bytes of the tensor from its start, or UINT64_MAX when it was set without a size.
  uint64_t SizeBytes() const { return count_ == kWholeRegion ? UINT64_MAX : count_ * sizeof(T); }
  CacheMode cache_mode() const { return cache_mode_; }

 private:
  static constexpr uint64_t kWholeRegion = UINT64_MAX;
  T* buffer_ = nullptr;
  uint64_t count_ = 0;
  CacheMode cache_mode_ = CacheMode::CACHE_MODE_NORMAL;
  ShapeInfo shape_;
};

template <typename T>
LocalTensor<T> LocalTensor<T>::operator[](uint32_t offset) const {
  LocalTensor result = *this;
  const uint64_t skipped = uint64_t{offset} * sizeof(T);
  if (skipped > bytes_) [[unlikely]] {
    ascend_sim::Core& core = ascend_sim::CurrentCore();
    core.Fail(ascend_sim::FaultKind::kArgument, "LocalTensor::operator[]", core.last_location(),
              "offset " + std::to_string(offset) + " is beyond the tensor's " + std::to_string(GetSize()) +
                  " elements (the line is that of the last instruction before)");
  }
  result.address_ += static_cast<uint32_t>(skipped);
  result.bytes_ -= static_cast<uint32_t>(skipped);
  return result;
}

}  // namespace AscendC

namespace ascend_sim {

// A LocalTensor made from a raw address: checks it against the memory and makes its bytes live.
void AdoptRawTensor(Hardware memory, uint64_t address, uint64_t bytes, const Location& where);
// Bounds of a stretch of GM, shared by all element types.
Operand GlobalOperand(const Instruction& frame, const char* name, uint8_t* address, uint64_t tensor_bytes);

template <typename T>
inline Operand Instruction::Global(const char* name, const AscendC::GlobalTensor<T>& tensor) const {
  return GlobalOperand(*this, name, reinterpret_cast<uint8_t*>(tensor.GetPhyAddr()), tensor.SizeBytes());
}

template <typename T>
inline Operand Instruction::Local(const char* name, const AscendC::LocalTensor<T>& tensor) const {
  const Hardware memory = tensor.memory();
  LocalMemory& local = core_.memory(memory);
  if (local.size() == 0 || tensor.GetPosition() == static_cast<int>(TPosition::MAX)) [[unlikely]] {
    FailPosition(name, memory, Hardware::MAX);
  }
  return Operand{name, memory, local.data() + tensor.address(), tensor.address(), tensor.bytes(), nullptr};
}

template <typename T>
inline Operand Instruction::Local(const char* name, const AscendC::LocalTensor<T>& tensor, Hardware allowed) const {
  if (tensor.memory() != allowed) [[unlikely]]
    FailPosition(name, tensor.memory(), allowed);
  return Local(name, tensor);
}

}  // namespace ascend_sim

namespace AscendC {

template <typename T>
LocalTensor<T>::LocalTensor(TPosition position, uint32_t address, uint32_t element_count, ascend_sim::Location where)
    : position_(position), address_(address), bytes_(element_count * static_cast<uint32_t>(sizeof(T))) {
  ascend_sim::AdoptRawTensor(memory(), address_, bytes_, where);
}

template <typename T>
void LocalTensor<T>::SetSize(uint32_t element_count, ascend_sim::Location where) {
  const uint64_t bytes = uint64_t{element_count} * sizeof(T);
  ascend_sim::Core& core = ascend_sim::CurrentCore();
  if (address_ + bytes > core.memory(memory()).size()) [[unlikely]] {
    core.Fail(ascend_sim::FaultKind::kArgument, "SetSize", where,
              "size: " + std::to_string(element_count) + " elements pass the end of the memory");
  }
  bytes_ = static_cast<uint32_t>(bytes);
}

template <typename T>
T LocalTensor<T>::GetValue(uint32_t index, ascend_sim::Location where) const {
  ascend_sim::Instruction frame("GetValue", PIPE_S, where);
  const ascend_sim::Operand operand = frame.Local("tensor", *this);
  const uint64_t offset = uint64_t{index} * sizeof(T);
  frame.BoundsRead(operand, offset + sizeof(T));
  if (frame.checking()) frame.Read(operand, offset, sizeof(T));
  T value;
  __builtin_memcpy(&value, operand.data + offset, sizeof(T));
  return value;
}

template <typename T>
template <typename V>
void LocalTensor<T>::SetValue(uint32_t index, V value, ascend_sim::Location where) const {
  ascend_sim::Instruction frame("SetValue", PIPE_S, where);
  const ascend_sim::Operand operand = frame.Local("tensor", *this);
  const uint64_t offset = uint64_t{index} * sizeof(T);
  frame.BoundsWrite(operand, offset + sizeof(T));
  if (frame.checking()) frame.Write(operand, offset, sizeof(T));
  const T stored = static_cast<T>(value);
  __builtin_memcpy(operand.data + offset, &stored, sizeof(T));
}

}  // namespace AscendC

namespace AscendC {

template <typename T>
T GlobalTensor<T>::GetValue(uint64_t index, ascend_sim::Location where) const {
  ascend_sim::Instruction frame("GetValue", PIPE_S, where);
  const ascend_sim::Operand operand = frame.Global("tensor", *this);
  frame.BoundsRead(operand, (index + 1) * sizeof(T));
  if (frame.checking()) frame.Read(operand, index * sizeof(T), sizeof(T));
  T value;
  __builtin_memcpy(&value, operand.data + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void GlobalTensor<T>::SetValue(uint64_t index, T value, ascend_sim::Location where) const {
  ascend_sim::Instruction frame("SetValue", PIPE_S, where);
  const ascend_sim::Operand operand = frame.Global("tensor", *this);
  frame.BoundsWrite(operand, (index + 1) * sizeof(T));
  if (frame.checking()) frame.Write(operand, index * sizeof(T), sizeof(T));
  __builtin_memcpy(operand.data + index * sizeof(T), &value, sizeof(T));
}

}  // namespace AscendC
