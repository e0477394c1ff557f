// What a core did, in program order: the input of the timeline.
#pragma once

#include <cstdint>
#include <vector>

#include "machine/location.h"

namespace ascend_sim {

enum class RecordKind : uint8_t {
  kInstruction,
  kSetEvent,
  kWaitEvent,
  kBarrier,
  kOrder,      // OrderPipes
  kCrossSet,   // raises a flag other cores wait for
  kCrossWait,  // holds up the issue of this core
};

struct TraceRecord {
  const char* name;
  const char* file;
  int32_t line;
  RecordKind kind;
  uint8_t pipe;        // pipe index; for kWaitEvent and kOrder the waiting pipe
  uint8_t other_pipe;  // kSetEvent, kWaitEvent, kOrder: the other end
  uint8_t id;          // event id
  uint8_t path;        // Path of `bytes`
  uint8_t event;       // HardEvent
  uint32_t bursts;
  float cycles;
  uint64_t bytes;
  uint64_t gm_address;  // of a transfer with GM: its first byte, and the distance between its bursts
  int64_t gm_pitch;
  uint64_t token;  // kCrossSet: number of this set; kCrossWait: index into CoreTrace::waits
};

// A cross-core wait goes on when every set it names has arrived.
struct CrossWait {
  std::vector<uint64_t> tokens;
};

struct CoreTrace {
  std::vector<TraceRecord> records;
  std::vector<CrossWait> waits;
};

}  // namespace ascend_sim
