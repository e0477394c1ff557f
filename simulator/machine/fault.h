// What a kernel did wrong, said once: kind, kernel line, core, pipe, instruction, operand, address.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "machine/location.h"

namespace ascend_sim {

// The vendor's CPU checker has names for some of these (second column); the others are ours.
#define ASCEND_SIM_FAULTS(X)                                                                                \
  X(kReadUnallocated, "ErrorRead1", "reads memory that belongs to no live buffer")                          \
  X(kReadUninitialised, "ErrorRead2", "reads bytes nobody has written")                                     \
  X(kReadOutOfBounds, "ErrorRead3", "reads beyond the end")                                                 \
  X(kReadMisaligned, "ErrorRead4", "reads from a misaligned address")                                       \
  X(kWriteUnallocated, "ErrorWrite1", "writes to memory that belongs to no live buffer")                    \
  X(kWriteOutOfBounds, "ErrorWrite2", "writes beyond the end")                                              \
  X(kWriteMisaligned, "ErrorWrite4", "writes to a misaligned address")                                      \
  X(kWriteReadOnly, "ErrorWriteReadOnly", "writes to a read-only input")                                    \
  X(kMissingBarrier, "ErrorSync1", "depends on an earlier instruction of its own pipe without PipeBarrier") \
  X(kRace, "ErrorSync2", "is not ordered after a conflicting access of another pipe or core")               \
  X(kUnpairedFlag, "ErrorSync3", "flag set and wait do not pair")                                           \
  X(kRepeatedFlag, "ErrorSync4", "flag is raised again before it was waited for")                           \
  X(kDeadlock, "ErrorDeadlock", "cores wait for each other for ever")                                       \
  X(kLeak, "ErrorLeak", "buffer still held when the kernel ends")                                           \
  X(kFree, "ErrorFree", "buffer is freed wrongly")                                                          \
  X(kBuffer, "ErrorBuffer", "buffer request the memory or the queue cannot satisfy")                        \
  X(kQueue, "ErrorQueue", "queue operation out of order")                                                   \
  X(kCrossCoreWrite, "ErrorGmOverlap", "cores write one GM address without atomics or order")               \
  X(kStaleCache, "ErrorCache", "scalar GM access is not made visible by a cache clean")                     \
  X(kArgument, "ErrorArgument", "parameter outside what the instruction can encode")                        \
  X(kOverlap, "ErrorOverlap", "operands overlap in a way the instruction forbids")                          \
  X(kPosition, "ErrorPosition", "operand lies in a memory the instruction cannot reach")                    \
  X(kWrongCore, "ErrorCore", "this kind of core does not have the instruction")                             \
  X(kAssertion, "ErrorAssert", "kernel assertion failed")                                                   \
  X(kHost, "ErrorLaunch", "launch cannot be carried out")

enum class FaultKind {
#define X(enumerator, name, meaning) enumerator,
  ASCEND_SIM_FAULTS(X)
#undef X
};

const char* FaultName(FaultKind kind);
const char* FaultMeaning(FaultKind kind);

struct FaultRecord {
  FaultKind kind = FaultKind::kHost;
  Location where;
  std::string core;         // "block 3 AIV 1"
  std::string pipe;         // "MTE2"
  std::string instruction;  // "DataCopy"
  std::string operand;      // "dst"
  std::string memory;       // "UB"
  uint64_t address = 0;     // byte offset in that memory; for GM the offset in its region
  std::string detail;
  // The earlier access of a race, resolved to a line when the launch ends: core number (-1: none), pipe index, tick.
  int other_core = -1;
  int other_pipe = 0;
  uint32_t other_tick = 0;
};

class Fault : public std::runtime_error {
 public:
  explicit Fault(FaultRecord record);
  const FaultRecord& record() const { return record_; }
  FaultKind kind() const { return record_.kind; }

 private:
  FaultRecord record_;
};

}  // namespace ascend_sim
