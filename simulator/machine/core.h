// One AIC or AIV: its memories, registers, clocks and flags. Everything an instruction needs is reached from here.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
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

enum class CoreType : uint8_t { kAic, kAiv };

// The atomic mode of writes into GM.
enum class AtomicOp : uint8_t { kNone, kAdd, kMax, kMin };
enum class AtomicType : uint8_t { kNone, kF32, kF16, kS16, kS32, kS8, kBf16 };

struct EventFlag {
  bool set = false;
  LocalClock clock;  // what the setting pipe had seen
  Location where;
};

class Core {
 public:
  Core(Machine& machine, Block& block, CoreType type, int sub_block);
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

  // Order.
  void SetEvent(HardEvent event, int id, const Location& where);
  void WaitEvent(HardEvent event, int id, const Location& where);
  void Barrier(pipe_t pipe, const Location& where);
  // The order FetchEventID + SetFlag + WaitFlag give, without a user-visible id. Costs nothing in the timeline.
  void OrderPipes(pipe_t from, pipe_t to);
  // What the pipe has seen so far, this instant.
  const LocalClock& Seen(int pipe) const { return seen_[pipe]; }
  RemoteClock& remote() { return remote_; }
  bool EventIsSet(HardEvent event, int id) const { return events_[static_cast<int>(event)][id].set; }

  // Everything the issue of an instruction does: clocks, logical time, trace record.
  Tick Begin(const char* name, int pipe, const Location& where);
  // The instruction that runs now or ran last; faults outside a frame name its line.
  const Location& last_location() const { return last_location_; }
  const char* last_instruction() const { return last_name_; }
  void Visit(const char* name, const Location& where) { last_name_ = name, last_location_ = where; }

  [[noreturn]] void Fail(FaultKind kind, const char* instruction, const Location& where, std::string detail) const;

  // End of the kernel on this core: unbalanced flags, leaks.
  void Finish();

  CoreTrace& trace() { return trace_; }
  uint64_t instructions_issued() const { return issued_; }

 private:
  friend class Instruction;
  struct PastInstruction {
    const char* name;
    Location where;
  };

  void JoinIssue(const LocalClock& clock);
  std::string DescribePast(int pipe, Tick tick) const;

  Machine& machine_;
  Block& block_;
  CoreType type_;
  int sub_block_;
  int number_;
  uint32_t modes_;
  uint32_t pipe_mask_;
  std::array<LocalMemory, static_cast<int>(Hardware::MAX)> memories_;

  // seen_[p][q]: the part of pipe q's past that pipe p's next instruction comes after. seen_[p][p] is what a
  // PipeBarrier has finished for pipes that need one, and the whole past for the others.
  std::array<LocalClock, kPipes> seen_;
  std::array<Tick, kPipes> ticks_{};
  RemoteClock remote_;
  std::array<std::array<EventFlag, 8>, static_cast<int>(HardEvent::MAX)> events_;
  std::array<std::vector<PastInstruction>, kPipes> past_;  // by tick, checks only

  Location last_location_;
  const char* last_name_ = "";
  uint64_t issued_ = 0;
  CoreTrace trace_;
};

// The core whose kernel runs on this thread now.
extern thread_local Core* current_core;
inline Core& CurrentCore() { return *current_core; }
[[noreturn]] void FailPosition(const char* instruction, const char* operand, Hardware actual, const Location& where);

}  // namespace ascend_sim
