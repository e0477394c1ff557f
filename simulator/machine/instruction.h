// The frame every instruction runs in.
//
//   template <typename T>
//   void Relu(const LocalTensor<T>& dst, const LocalTensor<T>& src, const int32_t& count, ASCEND_SIM_CALLER) {
//     Instruction frame("Relu", PIPE_V, where);
//     const Operand out = frame.Local("dst", dst, Hardware::UB), in = frame.Local("src", src, Hardware::UB);
//     frame.BoundsRead(in, bytes); frame.BoundsWrite(out, bytes);     // always on: protects the simulator itself
//     if (frame.checking()) {                                         // one bit test
//       frame.AlignRead(in, 32); frame.AlignWrite(out, 32);
//       frame.Read(in, 0, bytes); frame.Write(out, 0, bytes);         // reads first
//     }
//     ... effect on out.data, in.data ...
//     if (frame.timing()) frame.Cost(cycles);
//   }
#pragma once

#include <cstdint>
#include <vector>

#include "machine/clocks.h"
#include "machine/fault.h"
#include "machine/location.h"
#include "machine/modes.h"
#include "machine/shadow.h"
#include "types/enums.h"

namespace AscendC {
template <typename T>
class LocalTensor;
template <typename T>
class GlobalTensor;
}  // namespace AscendC

namespace ascend_sim {

class Core;
struct GmRegion;

// One tensor argument of an instruction: where it lies and how many bytes belong to it.
struct Operand {
  const char* name = "";
  Hardware memory = Hardware::MAX;
  uint8_t* data = nullptr;
  uint64_t address = 0;        // byte offset in its memory; for GM the host address
  uint64_t size = 0;           // bytes from address to the end of the tensor (GM: of the region)
  GmRegion* region = nullptr;  // GM only

  template <typename T>
  T* As() const {
    return reinterpret_cast<T*>(data);
  }
  // The same operand seen from `bytes` further on.
  Operand Shifted(uint64_t bytes) const {
    Operand result = *this;
    result.data += bytes;
    result.address += bytes;
    result.size -= bytes < size ? bytes : size;
    return result;
  }
};

// Data paths whose traffic the timeline counts.
enum class Path : uint8_t {
  kNone,
  kGmToUb,
  kGmToL1,
  kUbToGm,
  kL1ToGm,
  kL0cToGm,
  kL1ToL0a,
  kL1ToL0b,
  kL0cToL1,
  kUbToUb,
  kL1ToTable,
  kCount
};
const char* PathName(Path path);

class Instruction {
 public:
  // Refuses (kWrongCore) a pipe that this kind of core does not have.
  Instruction(const char* name, pipe_t pipe, Location where);
  ~Instruction();
  Instruction(const Instruction&) = delete;
  Instruction& operator=(const Instruction&) = delete;

  bool checking() const { return modes_ & kChecks; }
  bool timing() const { return modes_ & kTimeline; }
  Core& core() const { return core_; }
  const char* name() const { return name_; }
  int pipe() const { return pipe_; }

  // Operands. `allowed` is the memory the instruction can reach; the wrong one is kPosition.
  template <typename T>
  Operand Local(const char* name, const AscendC::LocalTensor<T>& tensor, Hardware allowed) const;
  template <typename T>
  Operand Local(const char* name, const AscendC::LocalTensor<T>& tensor) const;  // any local memory
  template <typename T>
  Operand Global(const char* name, const AscendC::GlobalTensor<T>& tensor) const;
  // A raw stretch of local memory, for hardware areas no tensor stands for (Select's 184..192 KB of UB).
  Operand Raw(const char* name, Hardware memory, uint64_t address, uint64_t size) const;

  // Preconditions.
  void Require(bool condition, FaultKind kind, const char* operand, const char* format, ...) const
      __attribute__((format(printf, 5, 6)));
  void RequireRange(const char* parameter, int64_t value, int64_t lowest, int64_t highest) const {
    if (value < lowest || value > highest) [[unlikely]]
      FailRange(parameter, value, lowest, highest);
  }
  // The first `bytes` of the operand must belong to it. The two differ in the name of the fault only.
  void BoundsRead(const Operand& operand, uint64_t bytes) const {
    if (bytes > operand.size) [[unlikely]]
      FailBounds(operand, bytes, FaultKind::kReadOutOfBounds);
  }
  void BoundsWrite(const Operand& operand, uint64_t bytes) const {
    if (bytes > operand.size) [[unlikely]]
      FailBounds(operand, bytes, FaultKind::kWriteOutOfBounds);
  }
  void AlignRead(const Operand& operand, uint32_t alignment) const {
    if (operand.address % alignment != 0) [[unlikely]]
      FailAlign(operand, alignment, FaultKind::kReadMisaligned);
  }
  void AlignWrite(const Operand& operand, uint32_t alignment) const {
    if (operand.address % alignment != 0) [[unlikely]]
      FailAlign(operand, alignment, FaultKind::kWriteMisaligned);
  }
  [[noreturn]] void Fail(FaultKind kind, const char* operand, uint64_t address, const char* memory, const char* format,
                         ...) const __attribute__((format(printf, 6, 7)));
  [[noreturn]] void Fail(FaultKind kind, const Operand& operand, const char* format, ...) const
      __attribute__((format(printf, 4, 5)));

  // Declares that the instruction touches bytes [offset, offset + bytes) of the operand. Checks life cycle,
  // initialisation and order at once, so call it only when checking(), all reads before the writes, and before the
  // effect. Adjacent bytes should be one span. `WriteAtomic` is for GM with an atomic mode set.
  void Read(const Operand& operand, uint64_t offset, uint64_t bytes);
  void Write(const Operand& operand, uint64_t offset, uint64_t bytes);
  void WriteAtomic(const Operand& operand, uint64_t offset, uint64_t bytes);
  // `rows` spans of `bytes`, `pitch` bytes apart.
  void ReadRows(const Operand& operand, uint64_t offset, uint64_t bytes, uint64_t rows, uint64_t pitch);
  void WriteRows(const Operand& operand, uint64_t offset, uint64_t bytes, uint64_t rows, uint64_t pitch);
  // Leaves bytes written but worthless (garbage tails): reading them later is an uninitialised read.
  void Scramble(const Operand& operand, uint64_t offset, uint64_t bytes);
  // A read that may see uninitialised bytes without harm (lanes the result never uses).
  void ReadDontCare(const Operand& operand, uint64_t offset, uint64_t bytes);
  // A read that only moves the bytes on, so that unwritten ones do no harm yet: adds those to `holes`, as offsets from
  // the operand's start, for the caller to Scramble where they arrive. GM must be written as for Read.
  void ReadThrough(const Operand& operand, uint64_t offset, uint64_t bytes, std::vector<ByteRange>& holes);
  void ReadRowsThrough(const Operand& operand, uint64_t offset, uint64_t bytes, uint64_t rows, uint64_t pitch,
                       std::vector<ByteRange>& holes);

  // Order without an event id: what this pipe has seen so far goes into the cell / is taken from it.
  void ReleaseTo(SyncCell& cell) const;
  void AcquireFrom(const SyncCell& cell);
  // Faults kRace unless this pipe comes after the release (a register another pipe wrote).
  void RequireSeen(const SyncCell& cell, const char* what) const;
  // True when an earlier access of this same pipe at clock `tick` is finished by a PipeBarrier.
  bool Barriered(Tick tick) const;
  Tick tick() const { return tick_; }

  // Before an atomic write to GM: waits until it is this core's turn, so that sums do not depend on thread timing.
  void TakeAtomicTurn();

  // Cost for the timeline: cycles the pipe is busy, besides the start-up every instruction has (cost_model.h).
  void Cost(double cycles);
  // Bytes over a data path; the timeline derives the time from the path's rate and its load at the time.
  void Transfer(Path path, uint64_t bytes, uint32_t bursts);
  // The GM side of that transfer, so that the timeline can tell what L2 holds: bursts `pitch` bytes apart.
  void TransferAt(const Operand& gm, int64_t pitch);

 private:
  enum class Access : uint8_t { kRead, kReadDontCare, kWrite, kAtomic };
  void Touch(const Operand& operand, uint64_t offset, uint64_t bytes, Access access);
  [[noreturn]] void FailBounds(const Operand& operand, uint64_t bytes, FaultKind kind) const;
  [[noreturn]] void FailAlign(const Operand& operand, uint32_t alignment, FaultKind kind) const;
  [[noreturn]] void FailRange(const char* parameter, int64_t value, int64_t lowest, int64_t highest) const;
  [[noreturn]] void FailPosition(const char* operand, Hardware actual, Hardware allowed) const;

  Core& core_;
  const char* name_;
  Location where_;
  int pipe_;
  uint32_t modes_;
  Tick tick_;
  friend class Core;
};

}  // namespace ascend_sim
