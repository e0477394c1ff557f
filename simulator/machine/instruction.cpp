#include "machine/instruction.h"

#include <cstdarg>
#include <cstdio>

#include "api/tensor.h"
#include "machine/core.h"
#include "machine/gm.h"
#include "machine/machine.h"

namespace ascend_sim {
namespace {

std::string Format(const char* format, va_list arguments) {
  char text[512];
  std::vsnprintf(text, sizeof(text), format, arguments);
  return text;
}

}  // namespace

Instruction::Instruction(const char* name, pipe_t pipe, Location where)
    : core_(CurrentCore()), name_(name), where_(where), pipe_(PipeIndex(pipe)), modes_(core_.modes()) {
  if (!core_.HasPipe(pipe_)) [[unlikely]] {
    Fail(FaultKind::kWrongCore, "", 0, "", "pipe %s is not on an %s", PipeName(pipe_), core_.is_aic() ? "AIC" : "AIV");
  }
  tick_ = core_.Begin(name, pipe_, where);
}

Instruction::~Instruction() = default;

void Instruction::Fail(FaultKind kind, const char* operand, uint64_t address, const char* memory, const char* format,
                       ...) const {
  FaultRecord record;
  record.kind = kind;
  record.where = where_;
  record.core = core_.Label();
  record.pipe = PipeName(pipe_);
  record.instruction = name_;
  record.operand = operand;
  record.memory = memory;
  record.address = address;
  va_list arguments;
  va_start(arguments, format);
  record.detail = Format(format, arguments);
  va_end(arguments);
  throw Fault(std::move(record));
}

void Instruction::Fail(FaultKind kind, const Operand& operand, const char* format, ...) const {
  va_list arguments;
  va_start(arguments, format);
  const std::string detail = Format(format, arguments);
  va_end(arguments);
  const bool gm = operand.region != nullptr;
  Fail(kind, operand.name, gm ? operand.region->Offset(operand.data) : operand.address,
       gm ? operand.region->name.c_str() : MemoryName(operand.memory), "%s", detail.c_str());
}

void Instruction::Require(bool condition, FaultKind kind, const char* operand, const char* format, ...) const {
  if (condition) [[likely]]
    return;
  va_list arguments;
  va_start(arguments, format);
  const std::string detail = Format(format, arguments);
  va_end(arguments);
  Fail(kind, operand, 0, "", "%s", detail.c_str());
}

void Instruction::FailBounds(const Operand& operand, uint64_t bytes, FaultKind kind) const {
  Fail(kind, operand, "touches %llu bytes, the tensor has %llu left", static_cast<unsigned long long>(bytes),
       static_cast<unsigned long long>(operand.size));
}

void Instruction::FailAlign(const Operand& operand, uint32_t alignment, FaultKind kind) const {
  Fail(kind, operand, "expected an address that is a multiple of %u bytes", alignment);
}

void Instruction::FailRange(const char* parameter, int64_t value, int64_t lowest, int64_t highest) const {
  Fail(FaultKind::kArgument, parameter, 0, "", "expected %lld to %lld, got %lld", static_cast<long long>(lowest),
       static_cast<long long>(highest), static_cast<long long>(value));
}

void Instruction::FailPosition(const char* operand, Hardware actual, Hardware allowed) const {
  if (actual == Hardware::MAX || allowed == Hardware::MAX) {
    Fail(FaultKind::kPosition, operand, 0, "", "the tensor lies in %s, which this core does not have",
         MemoryName(actual));
  }
  Fail(FaultKind::kPosition, operand, 0, "", "expected a tensor in %s, got one in %s", MemoryName(allowed),
       MemoryName(actual));
}

Operand Instruction::Raw(const char* name, Hardware memory, uint64_t address, uint64_t size) const {
  LocalMemory& local = core_.memory(memory);
  if (local.size() == 0) FailPosition(name, memory, Hardware::MAX);
  Operand operand{name, memory, local.data() + address, address, size, nullptr};
  if (address + size > local.size()) FailBounds(operand, address + size, FaultKind::kWriteOutOfBounds);
  return operand;
}

namespace {

[[noreturn]] void FailVerdict(const Instruction& frame, const Core& core, const Operand& operand, bool write,
                              const Verdict& verdict, Location where) {
  FaultRecord record;
  record.where = where;
  record.core = core.Label();
  record.pipe = PipeName(frame.pipe());
  record.instruction = frame.name();
  record.operand = operand.name;
  record.memory = operand.region != nullptr ? operand.region->name : MemoryName(operand.memory);
  record.address = verdict.byte;
  switch (verdict.problem) {
    case Problem::kDead:
      record.kind = write ? FaultKind::kWriteUnallocated : FaultKind::kReadUnallocated;
      record.detail = "the queue buffer is freed or not allocated";
      break;
    case Problem::kUninitialised:
      record.kind = FaultKind::kReadUninitialised;
      break;
    case Problem::kStale:
      record.kind = FaultKind::kStaleCache;
      record.detail = "a scalar write lies in a core's data cache; DataCacheCleanAndInvalid after it";
      break;
    case Problem::kReadOnly:
      record.kind = FaultKind::kWriteReadOnly;
      break;
    default: {
      const bool other_core = verdict.core >= 0 && verdict.core != core.number();
      const bool same_pipe = !other_core && verdict.pipe == frame.pipe();
      record.kind = same_pipe                                                        ? FaultKind::kMissingBarrier
                    : other_core && write && verdict.problem == Problem::kAfterWrite ? FaultKind::kCrossCoreWrite
                                                                                     : FaultKind::kRace;
      record.detail = std::string(write ? "write" : "read") + " after a " +
                      (verdict.problem == Problem::kAfterWrite ? "write" : "read") + " by ";
      record.other_core = verdict.core >= 0 ? verdict.core : core.number();
      record.other_pipe = verdict.pipe;
      record.other_tick = verdict.tick;
    }
  }
  throw Fault(std::move(record));
}

}  // namespace

void Instruction::Touch(const Operand& operand, uint64_t offset, uint64_t bytes, Access access) {
  if (bytes == 0) return;
  const bool write = access == Access::kWrite || access == Access::kAtomic;
  if (offset + bytes > operand.size) [[unlikely]] {
    FailBounds(operand, offset + bytes, write ? FaultKind::kWriteOutOfBounds : FaultKind::kReadOutOfBounds);
  }
  const LocalClock& seen = core_.seen_[pipe_];
  Verdict verdict;
  if (operand.region == nullptr) {
    LocalShadow& shadow = core_.memory(operand.memory).shadow();
    const uint32_t begin = static_cast<uint32_t>(operand.address + offset), end = static_cast<uint32_t>(begin + bytes);
    verdict = write ? shadow.Write(begin, end, pipe_, tick_, seen)
                    : shadow.Read(begin, end, pipe_, tick_, seen, access == Access::kRead);
  } else {
    GmRegion& region = *operand.region;
    const uint64_t begin = region.Offset(operand.data) + offset, end = begin + bytes;
    const GmActor actor{{static_cast<uint32_t>(core_.number()) * 8 + pipe_, tick_}, seen, core_.remote_};
    const bool scalar = pipe_ == PipeIndex(PIPE_S);
    if (region.read_only) {
      if (!write) return;
      verdict.problem = Problem::kReadOnly;
      verdict.byte = begin;
    } else if (write) {
      const bool atomic = access == Access::kAtomic && !(modes_ & kOrderedAtomics);
      verdict = region.shadow->Write(begin, end, actor, atomic);
      if (scalar) core_.NoteCachedWrite(region, begin, end);
    } else {
      verdict = region.shadow->Read(begin, end, actor, access == Access::kRead);
      if (scalar && verdict.problem == Problem::kNone) core_.NoteCachedRead(region, begin, end, *this);
    }
  }
  if (verdict.problem != Problem::kNone) [[unlikely]]
    FailVerdict(*this, core_, operand, write, verdict, where_);
}

void Instruction::Read(const Operand& operand, uint64_t offset, uint64_t bytes) {
  Touch(operand, offset, bytes, Access::kRead);
}
void Instruction::ReadDontCare(const Operand& operand, uint64_t offset, uint64_t bytes) {
  Touch(operand, offset, bytes, Access::kReadDontCare);
}
void Instruction::ReadThrough(const Operand& operand, uint64_t offset, uint64_t bytes, std::vector<ByteRange>& holes) {
  if (operand.region != nullptr) return Read(operand, offset, bytes);
  ReadDontCare(operand, offset, bytes);
  const uint64_t begin = operand.address + offset;
  for (const ByteRange& range : core_.memory(operand.memory)
                                    .shadow()
                                    .Unwritten(static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + bytes))) {
    holes.push_back({range.begin - operand.address, range.end - operand.address});
  }
}
void Instruction::ReadRowsThrough(const Operand& operand, uint64_t offset, uint64_t bytes, uint64_t rows,
                                  uint64_t pitch, std::vector<ByteRange>& holes) {
  if (pitch == bytes) return ReadThrough(operand, offset, bytes * rows, holes);
  for (uint64_t row = 0; row < rows; ++row) ReadThrough(operand, offset + row * pitch, bytes, holes);
}
void Instruction::Write(const Operand& operand, uint64_t offset, uint64_t bytes) {
  Touch(operand, offset, bytes, Access::kWrite);
}
void Instruction::WriteAtomic(const Operand& operand, uint64_t offset, uint64_t bytes) {
  Touch(operand, offset, bytes, Access::kAtomic);
}

void Instruction::ReadRows(const Operand& operand, uint64_t offset, uint64_t bytes, uint64_t rows, uint64_t pitch) {
  if (pitch == bytes) return Read(operand, offset, bytes * rows);
  for (uint64_t row = 0; row < rows; ++row) Read(operand, offset + row * pitch, bytes);
}
void Instruction::WriteRows(const Operand& operand, uint64_t offset, uint64_t bytes, uint64_t rows, uint64_t pitch) {
  if (pitch == bytes) return Write(operand, offset, bytes * rows);
  for (uint64_t row = 0; row < rows; ++row) Write(operand, offset + row * pitch, bytes);
}

void Instruction::Scramble(const Operand& operand, uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return;
  Write(operand, offset, bytes);
  if (operand.region == nullptr) {
    const uint32_t begin = static_cast<uint32_t>(operand.address + offset);
    core_.memory(operand.memory).shadow().Scramble(begin, static_cast<uint32_t>(begin + bytes));
  } else {
    const uint64_t begin = operand.region->Offset(operand.data) + offset;
    operand.region->shadow->Scramble(begin, begin + bytes);
  }
}

void Instruction::ReleaseTo(SyncCell& cell) const {
  cell.clock = core_.ReleaseClock(pipe_);
  cell.where = where_;
  cell.instruction = name_;
  cell.valid = true;
}

void Instruction::AcquireFrom(const SyncCell& cell) {
  if (!cell.valid) return;
  if (pipe_ == PipeIndex(PIPE_S)) {
    core_.JoinIssue(cell.clock);
  } else {
    core_.Join(pipe_, cell.clock);
  }
}

void Instruction::RequireSeen(const SyncCell& cell, const char* what) const {
  if (!cell.valid) return;
  const LocalClock& seen = core_.seen_[pipe_];
  for (int pipe = 0; pipe < kPipes; ++pipe) {
    if (pipe == pipe_ || cell.clock[pipe] <= seen[pipe]) continue;
    Fail(FaultKind::kRace, what, 0, "", "pipe %s has not waited for %s at %s:%d", PipeName(pipe_), cell.instruction,
         cell.where.file, cell.where.line);
  }
}

bool Instruction::Barriered(Tick tick) const { return tick <= core_.barrier_[pipe_]; }

void Instruction::TakeAtomicTurn() { core_.machine().TakeTurn(core_, where_); }

void Instruction::Cost(double cycles) { core_.trace_.records.back().cycles += static_cast<float>(cycles); }

void Instruction::Transfer(Path path, uint64_t bytes, uint32_t bursts) {
  TraceRecord& record = core_.trace_.records.back();
  record.path = static_cast<uint8_t>(path);
  record.bytes += bytes;
  record.bursts += bursts;
}

void Instruction::TransferAt(const Operand& gm, int64_t pitch) {
  TraceRecord& record = core_.trace_.records.back();
  record.gm_address = gm.region->device_address + gm.region->Offset(gm.data);
  record.gm_pitch = pitch;
}

Operand GlobalOperand(const Instruction& frame, const char* name, uint8_t* address, uint64_t tensor_bytes) {
  GmRegion* region = frame.core().machine().gm().Find(address);
  if (region == nullptr) [[unlikely]] {
    // One past the end is a legal empty tensor.
    frame.Fail(FaultKind::kReadOutOfBounds, name, reinterpret_cast<uint64_t>(address), "GM",
               "the address lies in no array given to the launch");
  }
  const uint64_t left = region->size - region->Offset(address);
  return Operand{name,  Hardware::GM, address, reinterpret_cast<uint64_t>(address), std::min(left, tensor_bytes),
                 region};
}

void AdoptRawTensor(Hardware memory, uint64_t address, uint64_t bytes, const Location& where) {
  Core& core = CurrentCore();
  LocalMemory& local = core.memory(memory);
  if (local.size() == 0) {
    core.Fail(FaultKind::kPosition, "LocalTensor", where, std::string("this core has no ") + MemoryName(memory));
  }
  if (address + bytes > local.size()) {
    core.Fail(FaultKind::kBuffer, "LocalTensor", where,
              "bytes " + std::to_string(address) + " to " + std::to_string(address + bytes) + " pass the " +
                  std::to_string(local.size()) + " of " + MemoryName(memory));
  }
  if (core.checking()) local.shadow().Adopt(static_cast<uint32_t>(address), static_cast<uint32_t>(address + bytes));
}

}  // namespace ascend_sim
