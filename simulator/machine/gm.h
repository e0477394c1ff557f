// Global memory: the caller's arrays, with their bounds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ascend_sim {

class GmShadow;

struct GmRegion {
  std::string name;  // as faults print it: "arg 2", "workspace"
  uint8_t* base = nullptr;
  uint64_t size = 0;
  bool read_only = false;
  bool initialised = true;  // false: the contents count as never written (workspace)
  std::shared_ptr<GmShadow> shadow;

  uint64_t Offset(const uint8_t* address) const { return static_cast<uint64_t>(address - base); }
};

class GmSpace {
 public:
  // Regions must not overlap.
  void Add(GmRegion region);
  // The region that contains the address, or null.
  GmRegion* Find(const uint8_t* address);
  std::vector<std::unique_ptr<GmRegion>>& regions() { return regions_; }

 private:
  std::vector<std::unique_ptr<GmRegion>> regions_;  // by base
};

}  // namespace ascend_sim
