// Global memory: the caller's arrays with their bounds, and the shadow that orders the accesses of all cores.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "machine/clocks.h"
#include "machine/segments.h"
#include "machine/shadow.h"

namespace ascend_sim {

// One access as seen by other cores: core number, pipe index, tick.
struct Epoch {
  uint32_t thread = 0;  // core number * 8 + pipe index
  Tick tick = 0;        // 0: none

  bool operator==(const Epoch& other) const { return thread == other.thread && tick == other.tick; }
  int core() const { return static_cast<int>(thread >> 3); }
  int pipe() const { return static_cast<int>(thread & 7); }
};

// The acting instruction.
struct GmActor {
  Epoch self;
  const LocalClock& seen;     // of its own core
  const RemoteClock& remote;  // of the others

  bool After(const Epoch& earlier) const {
    if (earlier.core() == self.core()) return earlier.tick <= seen[earlier.pipe()];
    return earlier.tick <= remote.At(earlier.thread);
  }
};

class GmShadow {
 public:
  GmShadow(uint64_t size, bool initialised);

  // `atomic` writes of any core may meet each other, but not other accesses.
  Verdict Read(uint64_t begin, uint64_t end, const GmActor& actor, bool need_initialised);
  Verdict Write(uint64_t begin, uint64_t end, const GmActor& actor, bool atomic);
  void Scramble(uint64_t begin, uint64_t end);

  // Scalar writes stay in the core's data cache until it is cleaned: nobody else may read them before.
  void Clean(uint64_t begin, uint64_t end, int core);
  // Counts writes, to tell whether a cached line is older than what GM holds now.
  static uint64_t Now() { return clock_.load(std::memory_order_relaxed); }
  // The latest write in the range by anyone but the scalar unit of `core`.
  uint64_t LastForeignWrite(uint64_t begin, uint64_t end, int core);

 private:
  struct State {
    Epoch write;
    uint64_t write_time = 0;
    std::vector<Epoch> reads;    // since the last write, the latest of each pipe
    std::vector<Epoch> atomics;  // since the last plain write
    bool initialised = true;
    bool dirty = false;  // written by a scalar unit, not cleaned

    bool operator==(const State& other) const {
      return write == other.write && write_time == other.write_time && initialised == other.initialised &&
             dirty == other.dirty && reads == other.reads && atomics == other.atomics;
    }
  };
  static constexpr uint32_t kPage = 4096;
  static constexpr int kLocks = 64;

  template <typename Visit>
  bool Locked(uint64_t begin, uint64_t end, Visit&& visit);

  static std::atomic<uint64_t> clock_;
  SegmentMap<State, kPage> map_;
  std::array<std::mutex, kLocks> locks_;
};

struct GmRegion {
  std::string name;  // as faults print it: "argument 2", "workspace"
  uint8_t* base = nullptr;
  uint64_t size = 0;
  // Where the array would lie on the card, so that the timeline's L2 does not depend on the host's addresses: one array
  // after the other in the order of the arguments, each on a boundary of 512 bytes. Never 0.
  uint64_t device_address = 0;
  bool read_only = false;
  bool initialised = true;  // false: the contents count as never written
  std::unique_ptr<GmShadow> shadow;

  uint64_t Offset(const uint8_t* address) const { return static_cast<uint64_t>(address - base); }
};

class GmSpace {
 public:
  // Regions must not overlap: Fault(kHost) otherwise.
  void Add(std::string name, void* base, uint64_t size, bool read_only, bool initialised);
  // Fresh shadows for a launch; none without checks.
  void Prepare(bool checked);
  // The region that contains the address, or null.
  GmRegion* Find(const uint8_t* address);
  const std::vector<std::unique_ptr<GmRegion>>& regions() const { return regions_; }

 private:
  std::vector<std::unique_ptr<GmRegion>> regions_;  // by base
  uint64_t next_device_address_ = 512;
};

}  // namespace ascend_sim
