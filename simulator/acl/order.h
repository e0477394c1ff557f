// Which task on a device happens after which: by its stream, by events, or because the host waited. Two accesses to
// memory, one of them a write, must be ordered so; that they happened to come one after the other does not count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

namespace ascend_sim::acl {

// By stream number: how many of that stream's tasks are known to be done.
class Clock {
 public:
  uint64_t At(uint64_t stream) const {
    const auto found = ticks_.find(stream);
    return found == ticks_.end() ? 0 : found->second;
  }
  void Raise(uint64_t stream, uint64_t tick) {
    uint64_t& known = ticks_[stream];
    known = std::max(known, tick);
  }
  void Join(const Clock& other) {
    for (const auto& [stream, tick] : other.ticks_) Raise(stream, tick);
  }
  void Forget(uint64_t stream) { ticks_.erase(stream); }

 private:
  std::map<uint64_t, uint64_t> ticks_;
};

}  // namespace ascend_sim::acl
