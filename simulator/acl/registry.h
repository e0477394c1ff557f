// Which handles of a kind are alive. A handle is an address the caller hands back; nothing is read through it before it
// was found here, so a null, destroyed or made-up handle costs a message and no crash.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "acl/report.h"

namespace ascend_sim::acl {

// Not synchronised: the owner's mutex guards it.
template <typename Object>
class Registry {
 public:
  explicit Registry(const char* kind) : kind_(kind) {}

  Object* Add(std::shared_ptr<Object> object) {
    Object* handle = object.get();
    live_.emplace(handle, std::move(object));
    return handle;
  }

  std::shared_ptr<Object> Find(const void* handle) const {
    const auto found = live_.find(handle);
    return found == live_.end() ? nullptr : found->second;
  }

  // `how` it ended, as a later use of the handle will be told: "was destroyed". The object's memory is kept for a
  // while, so that a new object does not get the address and revive the stale handle.
  std::shared_ptr<Object> Remove(const void* handle, const std::string& how) {
    const auto found = live_.find(handle);
    if (found == live_.end()) return nullptr;
    std::shared_ptr<Object> object = found->second;
    live_.erase(found);
    ended_.emplace_back(object, how);
    if (ended_.size() > kQuarantine) ended_.pop_front();
    return object;
  }

  // Why Find found nothing.
  std::string WhyNot(const void* handle) const {
    if (handle == nullptr) return std::string(kind_) + " is null";
    for (const auto& [object, how] : ended_) {
      if (object.get() == handle) return std::string(kind_) + " " + Hex(handle) + " " + how;
    }
    return Hex(handle) + " is no living " + kind_;
  }

  std::vector<std::shared_ptr<Object>> All() const {
    std::vector<std::shared_ptr<Object>> all;
    for (const auto& [handle, object] : live_) all.push_back(object);
    return all;
  }
  size_t size() const { return live_.size(); }

 private:
  static constexpr size_t kQuarantine = 1024;

  const char* kind_;
  std::unordered_map<const void*, std::shared_ptr<Object>> live_;
  std::deque<std::pair<std::shared_ptr<Object>, std::string>> ended_;
};

}  // namespace ascend_sim::acl
