// Vector clocks of the happens-before relation.
//
// Each pipe of each core is one thread of the relation. Knowledge about pipes of the *own* core differs from pipe to
// pipe and travels through flags and barriers: LocalClock, one count per pipe. Knowledge about *other* cores arrives
// only through waits that hold up the whole instruction issue of a core (CrossCoreWaitFlag and what is built on it),
// so one RemoteClock per core is enough: all its later instructions share it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "machine/location.h"
#include "types/enums.h"

namespace ascend_sim {

using Tick = uint32_t;

struct LocalClock {
  std::array<Tick, 16> ticks{};  // instructions by pipe index, then WaitFlags that the pipe has come to

  Tick operator[](int pipe) const { return ticks[pipe]; }
  Tick& operator[](int pipe) { return ticks[pipe]; }
  Tick waits(int pipe) const { return ticks[8 + pipe]; }
  Tick& waits(int pipe) { return ticks[8 + pipe]; }
  void Join(const LocalClock& other) {
    for (size_t i = 0; i < ticks.size(); ++i) ticks[i] = std::max(ticks[i], other.ticks[i]);
  }
};

// Index: core number * 8 + pipe index.
struct RemoteClock {
  std::vector<Tick> ticks;

  void Join(const RemoteClock& other) {
    if (ticks.size() < other.ticks.size()) ticks.resize(other.ticks.size());
    for (size_t i = 0; i < other.ticks.size(); ++i) ticks[i] = std::max(ticks[i], other.ticks[i]);
  }
  Tick At(size_t index) const { return index < ticks.size() ? ticks[index] : 0; }
};

// What one pipe has seen of its core at the moment something was released (a flag set, a unit flag, a buffer freed).
struct SyncCell {
  LocalClock clock;
  Location where;
  const char* instruction = "";
  bool valid = false;
};

}  // namespace ascend_sim
