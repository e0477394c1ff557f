// Shadow state of a local memory: which bytes are owned and written, and which pipe touched them last.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "machine/clocks.h"
#include "machine/segments.h"

namespace ascend_sim {

// Why an access is wrong.
enum class Problem : uint8_t { kNone, kDead, kUninitialised, kAfterWrite, kAfterRead, kStale, kReadOnly };

struct Verdict {
  Problem problem = Problem::kNone;
  uint64_t byte = 0;  // where
  int pipe = 0;       // the earlier access, for kAfterWrite and kAfterRead
  Tick tick = 0;
  int core = -1;  // GM: its core
};

struct ByteRange {
  uint64_t begin = 0, end = 0;
};

class LocalShadow {
 public:
  void Create(uint32_t size) { map_.Create(size, State{}); }

  // Life cycle. Bytes of a dead buffer may not be touched; a new life starts uninitialised. Order survives both: the
  // next owner of the bytes must still come after the last accesses of the former one.
  void Revive(uint32_t begin, uint32_t end);
  void Adopt(uint32_t begin, uint32_t end);  // live, contents kept: a raw tensor may be created twice
  void Kill(uint32_t begin, uint32_t end);
  void Scramble(uint32_t begin, uint32_t end);

  bool AnyLive(uint32_t begin, uint32_t end);
  // The stretches of [begin, end) that nobody has written.
  std::vector<ByteRange> Unwritten(uint32_t begin, uint32_t end);

  // An access by `pipe` at `tick`, which comes after what `seen` holds; seen[pipe] is how much of its own past is
  // finished for a dependent access. An access of the same tick is the same instruction and never conflicts.
  Verdict Read(uint32_t begin, uint32_t end, int pipe, Tick tick, const LocalClock& seen, bool need_initialised);
  Verdict Write(uint32_t begin, uint32_t end, int pipe, Tick tick, const LocalClock& seen);

 private:
  struct State {
    Tick write = 0;  // 0: never
    uint8_t write_pipe = 0;
    bool live = false;
    bool initialised = false;
    std::array<Tick, kPipes> reads{};  // since the last write, the latest of each pipe

    bool operator==(const State& other) const {
      return write == other.write && write_pipe == other.write_pipe && live == other.live &&
             initialised == other.initialised && reads == other.reads;
    }
  };
  SegmentMap<State, 2048> map_;
};

}  // namespace ascend_sim
