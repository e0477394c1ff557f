#include "api/tpipe.h"

#include <exception>

#include "machine/machine.h"

namespace AscendC {

using ascend_sim::Core;
using ascend_sim::CurrentCore;
using ascend_sim::FaultKind;
using ascend_sim::Location;

namespace {

constexpr size_t kMaxBuffers = 64;  // a TPipe manages no more

const char* StateName(TBufState state) {
  static constexpr const char* kNames[] = {"free", "allocated", "enqueued", "dequeued"};
  return kNames[static_cast<int>(state)];
}

// Size of a memory, also on cores without it: shared code may lay out buffers a core never touches.
uint32_t MemorySize(const Core& core, Hardware memory) {
  const ascend_sim::Soc& soc = core.machine().soc();
  switch (memory) {
    case Hardware::UB:
      return soc.ub_bytes;
    case Hardware::L1:
      return soc.l1_bytes;
    case Hardware::L0A:
      return soc.l0a_bytes;
    case Hardware::L0B:
      return soc.l0b_bytes;
    case Hardware::L0C:
      return soc.l0c_bytes;
    case Hardware::BIAS:
      return soc.bt_bytes;
    case Hardware::FIXBUF:
      return soc.fixbuf_bytes;
    default:
      return 0;
  }
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------
// Queues

void QueueBase::Fail(FaultKind kind, const char* call, const Location& where, const std::string& text) const {
  CurrentCore().Fail(kind, call, where, text);
}

int32_t QueueBase::Alloc(const Location& where) {
  if (pipe_ == nullptr) Fail(FaultKind::kQueue, "AllocTensor", where, "InitBuffer was not called for this queue");
  for (int32_t tried = 0; tried < count_; ++tried) {
    const int32_t handle = first_ + cursor_;
    cursor_ = (cursor_ + 1) % count_;
    TPipe::Buffer& buffer = pipe_->buffers_[handle];
    if (buffer.state != TBufState::FREE) continue;
    pipe_->WaitFree(buffer, where);
    buffer.state = TBufState::OCCUPIED;
    buffer.where = where;
    ++used_;
    pipe_->Revive(buffer.memory, buffer.address, buffer.length);
    return handle;
  }
  const TPipe::Buffer& buffer = pipe_->buffers_[first_ + cursor_];
  Fail(FaultKind::kBuffer, "AllocTensor", where,
       "all " + std::to_string(count_) + " buffers of the queue are in use; the next one is " +
           StateName(buffer.state) + " since " + buffer.where.file + ":" + std::to_string(buffer.where.line));
}

void QueueBase::Free(int32_t handle, const Location& where) {
  if (pipe_ == nullptr || !Owns(handle)) {
    Fail(FaultKind::kFree, "FreeTensor", where, "the tensor does not come from this queue");
  }
  TPipe::Buffer& buffer = pipe_->buffers_[handle];
  if (buffer.state == TBufState::FREE) {
    Fail(FaultKind::kFree, "FreeTensor", where, "the tensor is free already");
  }
  if (buffer.state == TBufState::ENQUE) {
    Fail(FaultKind::kFree, "FreeTensor", where, "the tensor is still enqueued");
  }
  Core& core = CurrentCore();
  if (back_ != HardEvent::MAX) {
    buffer.free_event = back_;
    buffer.free_id = pipe_->AllocEvent(back_, where);
    core.SetEvent(back_, buffer.free_id, where, true);
  }
  buffer.state = TBufState::FREE;
  buffer.where = where;
  --used_;
  if (core.checking() && core.HasMemory(buffer.memory)) {
    core.memory(buffer.memory).shadow().Kill(buffer.address, buffer.address + buffer.length);
  }
}

void QueueBase::EnQue(int32_t handle, HardEvent event, const Location& where) {
  if (pipe_ == nullptr || !Owns(handle)) {
    Fail(FaultKind::kQueue, "EnQue", where, "the tensor does not come from this queue");
  }
  TPipe::Buffer& buffer = pipe_->buffers_[handle];
  if (buffer.state != TBufState::OCCUPIED && buffer.state != TBufState::DEQUE) {
    Fail(FaultKind::kQueue, "EnQue", where,
         std::string("expected an allocated tensor, it is ") + StateName(buffer.state));
  }
  if (static_cast<int32_t>(waiting_.size()) >= depth_) {
    Fail(FaultKind::kQueue, "EnQue", where,
         "the queue of depth " + std::to_string(depth_) + " holds " + std::to_string(waiting_.size()) + " already");
  }
  buffer.enque_event = event;
  if (event == HardEvent::V_V) {
    buffer.enque_id = 0;
  } else if (event != HardEvent::MAX) {
    buffer.enque_id = pipe_->AllocEvent(event, where);
    CurrentCore().SetEvent(event, buffer.enque_id, where, true);
  }
  buffer.state = TBufState::ENQUE;
  buffer.where = where;
  waiting_.push_back(handle);
}

int32_t QueueBase::DeQue(HardEvent event, const Location& where) {
  if (waiting_.empty()) Fail(FaultKind::kQueue, "DeQue", where, "nothing is enqueued");
  const int32_t handle = waiting_.front();
  waiting_.pop_front();
  TPipe::Buffer& buffer = pipe_->buffers_[handle];
  if (buffer.enque_event != event) {
    Fail(FaultKind::kQueue, "DeQue", where, "EnQue and DeQue name different positions");
  }
  Core& core = CurrentCore();
  if (event == HardEvent::V_V) {
    core.Barrier(PIPE_V, where);
  } else if (event != HardEvent::MAX) {
    core.WaitEvent(event, buffer.enque_id, where);
    pipe_->ReleaseEvent(event, buffer.enque_id, where);
  }
  buffer.enque_id = INVALID_TEVENTID;
  buffer.state = TBufState::DEQUE;
  buffer.where = where;
  return handle;
}

uint32_t QueueBase::AddressOf(int32_t handle) const { return pipe_->buffers_[handle].address; }
uint32_t QueueBase::LengthOf(int32_t handle) const { return pipe_->buffers_[handle].length; }
TBufState QueueBase::StateOf(int32_t handle) const {
  return pipe_ != nullptr && Owns(handle) ? pipe_->buffers_[handle].state : TBufState::FREE;
}

void QueueBase::FreeEvents(const Location& where) {
  for (int32_t i = 0; i < count_; ++i) pipe_->WaitFree(pipe_->buffers_[first_ + i], where);
}

// ---------------------------------------------------------------------------------------------------------------
// TPipe

TPipe::TPipe(Location where) { Init(where); }

TPipe::~TPipe() noexcept(false) {
  if (!alive_) return;
  if (std::uncaught_exceptions() != 0) {  // a fault or the end of another core is on its way: report nothing more
    alive_ = false;
    return;
  }
  Destroy(CurrentCore().last_location());
}

void TPipe::Init(Location where) {
  Core& core = CurrentCore();
  core.tpipe = this;
  core.atomic_op = ascend_sim::AtomicOp::kNone;
  core.vector.mask_low = core.vector.mask_high = ~uint64_t{0};
  core.vector.counter_mode = false;
  used_.fill(0);
  buffers_.clear();
  events_.fill(0);
  alive_ = true;
  // An AIC's TPipe raises M_MTE1 0 to 2 for itself and waits for them at its end.
  if (core.is_aic()) {
    for (int id = 0; id < 3; ++id) core.SetEvent(HardEvent::M_MTE1, AllocEvent(HardEvent::M_MTE1, where), where);
  }
}

void TPipe::CheckLeaks(const char* call, const Location& where) const {
  Core& core = CurrentCore();
  if (!core.checking()) return;
  for (const Buffer& buffer : buffers_) {
    if (buffer.state == TBufState::FREE) continue;
    core.Fail(FaultKind::kLeak, call, where,
              std::string("a queue tensor in ") + ascend_sim::MemoryName(buffer.memory) + " is " +
                  StateName(buffer.state) + " since " + buffer.where.file + ":" + std::to_string(buffer.where.line));
  }
}

void TPipe::Destroy(Location where) {
  if (!alive_) return;
  alive_ = false;
  CheckLeaks("TPipe", where);
  Core& core = CurrentCore();
  for (Buffer& buffer : buffers_) WaitFree(buffer, where);
  if (core.is_aic()) {
    for (int id = 0; id < 3; ++id) core.WaitEvent(HardEvent::M_MTE1, id, where);
  }
  core.Barrier(PIPE_ALL, where);
  if (core.tpipe == this) core.tpipe = nullptr;
}

void TPipe::Reset(Location where) {
  CheckLeaks("TPipe::Reset", where);
  Core& core = CurrentCore();
  for (Buffer& buffer : buffers_) WaitFree(buffer, where);
  if (core.checking()) {
    for (int memory = 0; memory < static_cast<int>(Hardware::MAX); ++memory) {
      if (used_[memory] != 0 && core.HasMemory(static_cast<Hardware>(memory))) {
        core.memory(static_cast<Hardware>(memory)).shadow().Kill(0, used_[memory]);
      }
    }
  }
  used_.fill(0);
  buffers_.clear();
}

uint32_t TPipe::Claim(Hardware memory, uint32_t num, uint32_t len, const Location& where) {
  Core& core = CurrentCore();
  const uint32_t size = MemorySize(core, memory);
  const uint64_t wanted = uint64_t{RoundUp(len)} * num;
  uint32_t& used = used_[static_cast<int>(memory)];
  if (len == 0 || num == 0) {
    core.Fail(FaultKind::kBuffer, "InitBuffer", where, "expected at least one buffer of at least one byte");
  }
  if (used + wanted > size) {
    core.Fail(FaultKind::kBuffer, "InitBuffer", where,
              std::to_string(wanted) + " bytes more than the " + std::to_string(used) + " in use pass the " +
                  std::to_string(size) + " of " + ascend_sim::MemoryName(memory));
  }
  const uint32_t address = used;
  used += static_cast<uint32_t>(wanted);
  return address;
}

void TPipe::Revive(Hardware memory, uint32_t address, uint32_t length) {
  Core& core = CurrentCore();
  if (core.checking() && core.HasMemory(memory)) core.memory(memory).shadow().Revive(address, address + length);
}

void TPipe::AddQueue(QueueBase& queue, uint8_t num, uint32_t len, const Location& where) {
  Core& core = CurrentCore();
  if (buffers_.size() + num > kMaxBuffers) {
    core.Fail(FaultKind::kBuffer, "InitBuffer", where, "a TPipe manages 64 buffers at most");
  }
  const Hardware memory = GetPhyType(queue.position_);
  const uint32_t address = Claim(memory, num, len, where);
  queue.pipe_ = this;
  queue.first_ = static_cast<int32_t>(buffers_.size());
  queue.count_ = num;
  queue.cursor_ = 0;
  queue.used_ = 0;
  queue.waiting_.clear();
  for (uint8_t i = 0; i < num; ++i) {
    Buffer buffer{};
    buffer.memory = memory;
    buffer.length = RoundUp(len);
    buffer.address = address + i * buffer.length;
    buffer.free_id = buffer.enque_id = INVALID_TEVENTID;
    buffers_.push_back(buffer);
  }
}

void TPipe::WaitFree(Buffer& buffer, const Location& where) {
  if (buffer.free_id == INVALID_TEVENTID) return;
  CurrentCore().WaitEvent(buffer.free_event, buffer.free_id, where);
  ReleaseEvent(buffer.free_event, buffer.free_id, where);
  buffer.free_id = INVALID_TEVENTID;
}

TEventID TPipe::FetchEventID(HardEvent event, Location where) {
  const uint8_t occupied = events_[static_cast<int>(event)];
  for (int id = 0; id < 8; ++id) {
    if (!(occupied >> id & 1)) return static_cast<TEventID>(id);
  }
  CurrentCore().Fail(FaultKind::kBuffer, "FetchEventID", where, "all 8 event ids of this pair of pipes are in use");
}

TEventID TPipe::AllocEvent(HardEvent event, const Location& where) {
  const TEventID id = FetchEventID(event, where);
  events_[static_cast<int>(event)] |= static_cast<uint8_t>(1 << id);
  return id;
}

void TPipe::ReleaseEvent(HardEvent event, TEventID id, const Location& where) {
  if (id < 0 || id > 7) {
    CurrentCore().Fail(FaultKind::kArgument, "ReleaseEventID", where, "id: expected 0 to 7, got " + std::to_string(id));
  }
  events_[static_cast<int>(event)] &= static_cast<uint8_t>(~(1 << id));
}

}  // namespace AscendC
