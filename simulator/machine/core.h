// One AIC or AIV: its memories, registers, clocks and flags. Everything an instruction needs is reached from here.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "instructions/core_registers.h"
#include "machine/clocks.h"
#include "machine/fault.h"
#include "machine/instruction.h"
#include "machine/memory.h"
#include "machine/modes.h"
#include "machine/soc.h"
#include "machine/trace.h"
#include "types/enums.h"

namespace AscendC {
class TPipe;
}

namespace ascend_sim {

class Machine;
class Block;
class Fiber;
struct Raise;
struct Wait;

enum class CoreType : uint8_t { kAic, kAiv };

// The atomic mode of writes into GM.
enum class AtomicOp : uint8_t { kNone, kAdd, kMax, kMin };
enum class AtomicType : uint8_t { kNone, kF32, kF16, kS16, kS32, kS8, kBf16 };

struct EventFlag {
  Tick waited = 0;  // the target pipe's count of waits at the last WaitFlag
  Location waited_at;
  bool set = false;
  LocalClock clock;  // what the setting pipe had seen
  Location where;
};

class Core {
 public:
  // `number` is unique in the launch and orders the cores.
  Core(Machine& machine, Block& block, CoreType type, int sub_block, int number);
  ~Core();

  // Identity. `number` is unique in the launch; AscendC's GetBlockIdx is block_idx().
  CoreType type() const { return type_; }
  bool is_aic() const { return type_ == CoreType::kAic; }
  int sub_block() const { return sub_block_; }
  int number() const { return number_; }
  int64_t block_idx() const;
  std::string Label() const;
  Machine& machine() const { return machine_; }
  Block& block() const { return block_; }
  uint32_t modes() const { return modes_; }
  bool checking() const { return modes_ & kChecks; }
  bool timing() const { return modes_ & kTimeline; }

  LocalMemory& memory(Hardware kind) { return memories_[static_cast<int>(kind)]; }
  bool HasMemory(Hardware kind) const { return memories_[static_cast<int>(kind)].size() != 0; }
  bool HasPipe(int pipe) const { return pipe_mask_ >> pipe & 1; }

  // Registers of the vector and cube instructions.
  VectorRegisters vector;
  CubeRegisters cube;
  AtomicOp atomic_op = AtomicOp::kNone;
  AtomicType atomic_type = AtomicType::kNone;

  AscendC::TPipe* tpipe = nullptr;  // the live TPipe of this core, for GetTPipePtr

  // Order inside the core.
  // Queues take the lowest free id again at once, whatever the other pipe is about: `of_queue`.
  void SetEvent(HardEvent event, int id, const Location& where, bool of_queue = false);
  void WaitEvent(HardEvent event, int id, const Location& where);
  void Barrier(pipe_t pipe, const Location& where);
  // The order FetchEventID + SetFlag + WaitFlag give, without an id.
  void OrderPipes(pipe_t from, pipe_t to);
  bool EventIsSet(HardEvent event, int id) const { return events_[static_cast<int>(event)][id].set; }
  // What comes before anything that is released after the pipe's instructions so far.
  LocalClock ReleaseClock(int pipe) const {
    LocalClock clock = seen_[pipe];
    clock[pipe] = ticks_[pipe];
    clock.waits(pipe) = waits_[pipe];
    return clock;
  }
  LocalClock ReleaseAll() const;
  // The pipe's later instructions come after what the clock holds.
  void Join(int pipe, const LocalClock& clock);
  // The same for all pipes: whatever holds up the issue.
  void JoinIssue(const LocalClock& clock);
  RemoteClock& remote() { return remote_; }

  // The line of the instruction that runs now or ran last.
  const Location& last_location() const { return last_location_; }
  void Visit(const Location& where) { last_location_ = where; }
  [[noreturn]] void Fail(FaultKind kind, const char* instruction, const Location& where, std::string detail) const;
  // "DataCopy at kernel.cpp:12", for an earlier instruction; empty without checks.
  std::string DescribePast(int pipe, Tick tick) const;

  // A record of the timeline; returns null when there is none.
  TraceRecord* Record(RecordKind kind, const char* name, int pipe, const Location& where);
  CoreTrace& trace() { return trace_; }
  uint64_t issued() const { return time_.load(std::memory_order_relaxed); }

  // Scalar cache (checks only): lines this core holds, and when it loaded them.
  void NoteCachedRead(GmRegion& region, uint64_t begin, uint64_t end, const Instruction& frame);
  void NoteCachedWrite(GmRegion& region, uint64_t begin, uint64_t end);
  void CleanCache(GmRegion* region, uint64_t begin, uint64_t end);  // null region: the whole cache

  // The end of the kernel: unbalanced flags, leaks.
  void Finish();

  std::string output;                  // printf, DumpTensor
  std::map<uint64_t, uint64_t> turns;  // rounds of WaitPreBlock by workspace

 private:
  friend class Instruction;
  friend class Machine;
  struct PastInstruction {
    const char* name;
    Location where;
  };
  struct CachedLine {
    uint64_t loaded = 0;  // GmShadow::Now() when the line came in
  };
  struct DirtyRange {
    GmRegion* region;
    uint64_t begin, end;
  };

  Tick Begin(const char* name, int pipe, const Location& where);
  void CheckEvent(HardEvent event, int id, const char* name, const Location& where) const;
  bool SkipsEvent(HardEvent event) const;
  // The launch asks to leave out synchronisation written here (LaunchOptions::dropped).
  bool Dropped(const Location& where) const;

  Machine& machine_;
  Block& block_;
  CoreType type_;
  int sub_block_;
  int number_;
  uint32_t modes_;
  uint32_t pipe_mask_;
  std::array<LocalMemory, static_cast<int>(Hardware::MAX)> memories_;

  // seen_[p][q]: the part of pipe q's past that pipe p's next instruction comes after. seen_[p][p] is the part of its
  // own past that dependent accesses may rely on: all of it on pipes that finish instructions in order, on V, MTE2 and
  // MTE3 only what a PipeBarrier or a round of flags has finished.
  std::array<LocalClock, kPipes> seen_;
  std::array<Tick, 8> ticks_{};
  std::array<Tick, 8> barrier_{};  // the part of a pipe's own past that a PipeBarrier or a wait has finished
  RemoteClock remote_;
  std::array<std::array<EventFlag, 8>, static_cast<int>(HardEvent::MAX)> events_;
  // WaitFlags so far, by the pipe that waits.
  std::array<Tick, 8> waits_{};
  std::array<std::vector<PastInstruction>, kPipes> past_;  // by tick, checks only
  std::map<std::pair<GmRegion*, uint64_t>, CachedLine> cached_lines_;
  std::vector<DirtyRange> dirty_;

  Location last_location_;
  CoreTrace trace_;

  // For the scheduler.
  std::unique_ptr<Fiber> fiber_;
  std::unique_ptr<Wait> wait_;
  std::array<std::deque<Raise>, 16> raised_;  // cross-core flags
  std::atomic<uint64_t> time_{0};             // logical: instructions issued, and what was waited for
  bool finished_ = false;
  bool cancelled_ = false;
  std::exception_ptr failure_;
  uint64_t sets_ = 0;
  uint32_t user_flags_ = 0;  // ids used by CrossCoreSetFlag
  bool sync_all_used_ = false;
};

// The core whose kernel runs on this thread now.
extern thread_local Core* current_core;
// Called outside a kernel: a Fault(kHost).
[[noreturn]] void FailWithoutCore();
inline Core& CurrentCore() {
  if (current_core == nullptr) [[unlikely]]
    FailWithoutCore();
  return *current_core;
}

}  // namespace ascend_sim
