// TPipe, TQue, TQueBind and TBuf: who owns which piece of local memory when, and the events that hand it over.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "api/tensor.h"
#include "machine/core.h"
#include "types/enums.h"

namespace AscendC {

inline constexpr TEventID INVALID_TEVENTID = -1;

enum class TBufState : uint8_t { FREE = 0, OCCUPIED, ENQUE, DEQUE };

struct TQueConfig {
  bool nd2nz = false;
  bool nz2nd = false;
  bool scmBlockGroup = false;
  uint32_t bufferLen = 0;
  uint32_t bufferNumber = 0;
  uint32_t consumerSize = 0;
  TPosition consumer[8] = {};
  bool enableStaticEvtId = false;
  bool enableLoopQueue = false;
};

// Source and destination of the copy that fills or empties a queue at this position.
constexpr TPosition GetBufferLogicPos(TPosition position, bool source) {
  switch (position) {
    case TPosition::A1:
    case TPosition::B1:
    case TPosition::C1:
    case TPosition::VECIN:
      return source ? TPosition::GM : position;
    case TPosition::A2:
      return source ? TPosition::A1 : position;
    case TPosition::B2:
      return source ? TPosition::B1 : position;
    case TPosition::C2:
      return source ? TPosition::C1 : position;
    case TPosition::C2PIPE2GM:
      return source ? TPosition::B1 : position;
    case TPosition::CO1:
      return source ? position : TPosition::CO2;
    case TPosition::CO2:
    case TPosition::VECOUT:
      return source ? position : TPosition::GM;
    default:
      return TPosition::MAX;
  }
}

// Where a queue's buffers lie: at the destination, unless that is GM.
constexpr TPosition GetPosition(TPosition source, TPosition destination) {
  return destination == TPosition::GM || destination == TPosition::CO2 ? source : destination;
}

// The event that hands a buffer on (forward) or back.
constexpr HardEvent GetQueEvt(Hardware source, Hardware destination, bool forward) {
  using H = Hardware;
  using E = HardEvent;
  if (source == H::GM && destination == H::UB) return forward ? E::MTE2_V : E::V_MTE2;
  if (source == H::GM && destination == H::L1) return forward ? E::MTE2_MTE1 : E::MTE1_MTE2;
  if (source == H::UB && destination == H::GM) return forward ? E::V_MTE3 : E::MTE3_V;
  if (source == H::UB && destination == H::UB) return forward ? E::MTE2_MTE3 : E::MTE3_MTE2;
  if (source == H::L1 && destination == H::FIXBUF) return forward ? E::MTE1_FIX : E::FIX_MTE1;
  if (source == H::L1) return forward ? E::MTE1_M : E::M_MTE1;
  if (source == H::L0C) return forward ? E::M_FIX : E::FIX_M;
  return E::MAX;
}

class TPipe;

// What all queues share, whatever their positions.
class QueueBase {
 public:
  bool VacantInQue() const { return static_cast<int32_t>(waiting_.size()) < depth_; }
  bool HasTensorInQue() const { return !waiting_.empty(); }
  int32_t GetTensorCountInQue() const { return static_cast<int32_t>(waiting_.size()); }
  bool HasIdleBuffer() const { return used_ < count_; }

 protected:
  // Depth 0 asks for a queue without a list; it holds one tensor.
  QueueBase(TPosition position, int32_t depth, HardEvent back)
      : position_(position), depth_(depth == 0 ? 1 : depth), back_(back) {}
  ~QueueBase() = default;

  int32_t Alloc(const ascend_sim::Location& where);
  void Free(int32_t handle, const ascend_sim::Location& where);
  void EnQue(int32_t handle, HardEvent event, const ascend_sim::Location& where);
  int32_t DeQue(HardEvent event, const ascend_sim::Location& where);
  uint32_t AddressOf(int32_t handle) const;
  uint32_t LengthOf(int32_t handle) const;
  TBufState StateOf(int32_t handle) const;
  void FreeEvents(const ascend_sim::Location& where);

  TPosition position_;

 private:
  friend class TPipe;
  bool Owns(int32_t handle) const { return handle >= first_ && handle < first_ + count_; }
  [[noreturn]] void Fail(ascend_sim::FaultKind kind, const char* call, const ascend_sim::Location& where,
                         const std::string& text) const;

  int32_t depth_;
  HardEvent back_;
  TPipe* pipe_ = nullptr;
  int32_t first_ = 0;  // buffers first_ .. first_ + count_ - 1 of the pipe
  int32_t count_ = 0;
  int32_t cursor_ = 0;
  int32_t used_ = 0;
  std::deque<int32_t> waiting_;
};

template <TPosition src, TPosition dst, int32_t depth, auto mask = 0>
class TQueBind : public QueueBase {
 public:
  static constexpr TPosition srcPosition = src;
  static constexpr TPosition dstPosition = dst;

  TQueBind() : QueueBase(AscendC::GetPosition(src, dst), depth, GetQueEvt(GetPhyType(src), GetPhyType(dst), false)) {}

  template <typename T>
  LocalTensor<T> AllocTensor(ASCEND_SIM_CALLER) {
    return Tensor<T>(Alloc(where));
  }
  // The forms of CANN 9 that fill in a tensor.
  template <typename T>
  void AllocTensor(LocalTensor<T>& tensor, ASCEND_SIM_CALLER) {
    tensor = Tensor<T>(Alloc(where));
  }
  template <typename T>
  void DeQue(LocalTensor<T>& tensor, ASCEND_SIM_CALLER) {
    tensor = DeQue<T>(where);
  }
  template <typename T>
  void FreeTensor(LocalTensor<T>& tensor, ASCEND_SIM_CALLER) {
    Free(tensor.handle(), where);
  }
  template <typename T>
  bool EnQue(const LocalTensor<T>& tensor, ASCEND_SIM_CALLER) {
    QueueBase::EnQue(tensor.handle(), GetQueEvt(GetPhyType(src), GetPhyType(dst), true), where);
    return true;
  }
  template <typename T>
  LocalTensor<T> DeQue(ASCEND_SIM_CALLER) {
    return Tensor<T>(QueueBase::DeQue(GetQueEvt(GetPhyType(src), GetPhyType(dst), true), where));
  }
  // A queue bound to several stages names the pair it hands over between.
  template <TPosition srcUserPos, TPosition dstUserPos, typename T>
  bool EnQue(const LocalTensor<T>& tensor, ASCEND_SIM_CALLER) {
    QueueBase::EnQue(tensor.handle(), UserEvent<srcUserPos, dstUserPos>(), where);
    return true;
  }
  template <TPosition srcUserPos, TPosition dstUserPos, typename T>
  LocalTensor<T> DeQue(ASCEND_SIM_CALLER) {
    return Tensor<T>(QueueBase::DeQue(UserEvent<srcUserPos, dstUserPos>(), where));
  }
  template <typename T>
  TBufState GetState(const LocalTensor<T>& tensor) const {
    return StateOf(tensor.handle());
  }
  void FreeAllEvent(ASCEND_SIM_CALLER) { FreeEvents(where); }

 private:
  template <TPosition from, TPosition to>
  static constexpr HardEvent UserEvent() {
    static_assert(GetPhyType(from) == Hardware::GM || GetPhyType(from) == Hardware::UB, "source: GM or UB");
    static_assert(GetPhyType(to) == Hardware::GM || GetPhyType(to) == Hardware::UB, "destination: GM or UB");
    static_assert(from != TPosition::GM || to != TPosition::GM, "GM to GM is no stage");
    if constexpr (GetPhyType(from) == Hardware::UB && GetPhyType(to) == Hardware::UB) return HardEvent::V_V;
    return GetQueEvt(GetPhyType(from), GetPhyType(to), true);
  }
  template <typename T>
  LocalTensor<T> Tensor(int32_t handle) const {
    return LocalTensor<T>::Make(position_, AddressOf(handle), LengthOf(handle), handle);
  }
};

template <TPosition pos, int32_t depth, auto mask = 0>
class TQue : public TQueBind<GetBufferLogicPos(pos, true), GetBufferLogicPos(pos, false), depth, mask> {};

// A buffer without a life cycle: the kernel orders its uses itself.
template <TPosition pos = TPosition::LCM>
class TBuf {
 public:
  template <typename T>
  LocalTensor<T> Get(ASCEND_SIM_CALLER) {
    Check(0, length_, where);
    return LocalTensor<T>::Make(pos, address_, length_, -1);
  }
  // The first `count` elements.
  template <typename T>
  LocalTensor<T> Get(uint32_t count, ASCEND_SIM_CALLER) {
    return GetWithOffset<T>(count, 0, where);
  }
  // `count` elements from byte `offset` on.
  template <typename T>
  LocalTensor<T> GetWithOffset(uint32_t count, uint32_t offset, ASCEND_SIM_CALLER) {
    Check(offset, uint64_t{count} * sizeof(T), where);
    return LocalTensor<T>::Make(pos, address_ + offset, count * static_cast<uint32_t>(sizeof(T)), -1);
  }
  // The calls of a queue, for code written for both: a TBuf hands out itself and orders nothing.
  template <typename T>
  LocalTensor<T> AllocTensor(ASCEND_SIM_CALLER) {
    return Get<T>(where);
  }
  template <typename T>
  bool EnQue(const LocalTensor<T>&) {
    return true;
  }
  template <typename T>
  LocalTensor<T> DeQue(ASCEND_SIM_CALLER) {
    return Get<T>(where);
  }
  template <typename T>
  void FreeTensor(LocalTensor<T>&) {}

 private:
  friend class TPipe;
  void Check(uint64_t offset, uint64_t bytes, const ascend_sim::Location& where) const {
    if (offset + bytes <= length_ && length_ != 0) [[likely]]
      return;
    ascend_sim::CurrentCore().Fail(ascend_sim::FaultKind::kBuffer, "TBuf::Get", where,
                                   std::to_string(bytes) + " bytes from " + std::to_string(offset) +
                                       " on, but InitBuffer gave it " + std::to_string(length_));
  }
  uint32_t address_ = 0;
  uint32_t length_ = 0;
};

class TPipe {
 public:
  explicit TPipe(ASCEND_SIM_CALLER);
  ~TPipe() noexcept(false);
  TPipe(const TPipe&) = delete;
  TPipe& operator=(const TPipe&) = delete;

  // `num` buffers of `len` bytes, rounded up to 32 each.
  template <class Queue>
  bool InitBuffer(Queue& queue, uint8_t num, uint32_t len, ASCEND_SIM_CALLER) {
    AddQueue(queue, num, len, where);
    return true;
  }
  template <TPosition pos>
  bool InitBuffer(TBuf<pos>& buffer, uint32_t len, ASCEND_SIM_CALLER) {
    buffer.length_ = RoundUp(len);
    buffer.address_ = Claim(GetPhyType(pos), 1, len, where);
    Revive(GetPhyType(pos), buffer.address_, buffer.length_);
    return true;
  }

  template <HardEvent event>
  TEventID AllocEventID(ASCEND_SIM_CALLER) {
    return AllocEvent(event, where);
  }
  template <HardEvent event>
  void ReleaseEventID(TEventID id, ASCEND_SIM_CALLER) {
    ReleaseEvent(event, id, where);
  }
  template <HardEvent event>
  TEventID FetchEventID(ASCEND_SIM_CALLER) {
    return FetchEventID(event, where);
  }
  TEventID FetchEventID(HardEvent event, ASCEND_SIM_CALLER);

  void Init(ASCEND_SIM_CALLER);
  void Reset(ASCEND_SIM_CALLER);
  void Destroy(ASCEND_SIM_CALLER);

  // A tensor at an absolute byte offset of the memory behind `pos`, `size` elements.
  template <TPosition pos, typename T>
  LocalTensor<T> GetAbsAddr(int32_t offset, int32_t size, ASCEND_SIM_CALLER) const {
    return LocalTensor<T>(pos, static_cast<uint32_t>(offset), static_cast<uint32_t>(size), where);
  }

 private:
  friend class QueueBase;
  struct Buffer {
    Hardware memory;
    uint32_t address;
    uint32_t length;
    TBufState state = TBufState::FREE;
    HardEvent enque_event = HardEvent::MAX;
    TEventID enque_id = INVALID_TEVENTID;
    HardEvent free_event = HardEvent::MAX;
    TEventID free_id = INVALID_TEVENTID;
    ascend_sim::Location where;  // of the call that gave it its state
  };

  static uint32_t RoundUp(uint32_t bytes) { return (bytes + 31) / 32 * 32; }
  uint32_t Claim(Hardware memory, uint32_t num, uint32_t len, const ascend_sim::Location& where);
  void Revive(Hardware memory, uint32_t address, uint32_t length);
  void AddQueue(QueueBase& queue, uint8_t num, uint32_t len, const ascend_sim::Location& where);
  TEventID AllocEvent(HardEvent event, const ascend_sim::Location& where);
  void ReleaseEvent(HardEvent event, TEventID id, const ascend_sim::Location& where);
  void WaitFree(Buffer& buffer, const ascend_sim::Location& where);
  void CheckLeaks(const char* call, const ascend_sim::Location& where) const;

  std::array<uint32_t, static_cast<int>(Hardware::MAX)> used_{};  // bytes claimed of each memory
  std::vector<Buffer> buffers_;
  std::array<uint8_t, static_cast<int>(HardEvent::MAX)> events_{};  // ids in use, a bit each
  bool alive_ = false;
};

inline TPipe* GetTPipePtr() { return ascend_sim::CurrentCore().tpipe; }

}  // namespace AscendC

using AscendC::GetTPipePtr;  // the vendor has it in both namespaces
