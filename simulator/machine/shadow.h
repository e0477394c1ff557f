// Shadow state of local memories and of GM: who touched which bytes last, and whether they were ever written.
//
// Memory is watched in granules of 32 bytes, the block size of the chip. A granule that different instructions touch
// in part gets one record per byte until a whole-granule write makes it uniform again, so the answer is exact for
// every byte while the common case stays one record for 32 of them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "machine/clocks.h"
#include "machine/location.h"

namespace ascend_sim {

inline constexpr uint32_t kGranule = 32;

// The accesses still worth remembering: the last write and the last read of each pipe since.
struct AccessHistory {
  Tick write = 0;  // 0: none
  uint8_t write_pipe = 0;
  std::array<Tick, kPipes> reads{};
};

// A conflict found by a check: the earlier access.
struct Conflict {
  bool found = false;
  bool earlier_is_write = false;
  int pipe = 0;
  Tick tick = 0;
  uint32_t byte = 0;
};

class LocalShadow {
 public:
  void Create(uint32_t size);
  bool enabled() const { return !granules_.empty(); }

  // Life cycle: bytes belong to a live buffer or not; a new life starts uninitialised.
  void Revive(uint32_t begin, uint32_t end);
  void Kill(uint32_t begin, uint32_t end);
  void Forget(uint32_t begin, uint32_t end);  // contents become undefined, ownership stays

  // First offset in [begin, end) that is not live / not initialised, or end.
  uint32_t FirstDead(uint32_t begin, uint32_t end) const;
  uint32_t FirstUninitialised(uint32_t begin, uint32_t end) const;

  // `seen` is what the acting pipe has seen of its core, with seen[pipe] the part of its own past that a barrier has
  // finished where the pipe needs barriers, else its whole past.
  Conflict Read(uint32_t begin, uint32_t end, int pipe, Tick tick, const LocalClock& seen);
  Conflict Write(uint32_t begin, uint32_t end, int pipe, Tick tick, const LocalClock& seen, bool initialises);

 private:
  struct Granule {
    AccessHistory history;
    uint32_t initialised = 0;  // a bit per byte
    uint32_t live = 0;         // a bit per byte
    int32_t detail = -1;       // index into details_ when bytes differ
  };
  using Detail = std::array<AccessHistory, kGranule>;

  Detail& Split(Granule& granule);
  Conflict CheckRead(const AccessHistory& history, const LocalClock& seen) const;
  Conflict CheckWrite(const AccessHistory& history, int pipe, const LocalClock& seen) const;

  std::vector<Granule> granules_;
  std::vector<std::unique_ptr<Detail>> details_;
  std::vector<int32_t> free_details_;
};

}  // namespace ascend_sim
