#include "acl/memory.h"

#include <algorithm>
#include <utility>

#include "acl/report.h"

namespace ascend_sim::acl {
namespace {

constexpr size_t kRemembered = 256;  // ended allocations, for messages

const uint8_t* Bytes(const void* address) { return static_cast<const uint8_t*>(address); }

}  // namespace

std::string Allocation::Describe() const {
  return name + " (" + std::to_string(bytes) + " bytes at " + Hex(base) + ")";
}

void MemoryTable::Add(std::shared_ptr<Allocation> allocation) {
  const uint8_t* base = allocation->base;
  if (allocation->kind == MemoryKind::kDevice) device_bytes_[allocation->device] += allocation->bytes;
  live_.emplace(base, std::move(allocation));
}

void MemoryTable::Remove(const void* base, const std::string& how) {
  const auto found = live_.find(Bytes(base));
  const Allocation& allocation = *found->second;
  if (allocation.kind == MemoryKind::kDevice) device_bytes_[allocation.device] -= allocation.bytes;
  ended_.push_back({allocation.base, allocation.bytes, how + ": " + allocation.Describe()});
  if (ended_.size() > kRemembered) ended_.pop_front();
  live_.erase(found);
}

std::shared_ptr<Allocation> MemoryTable::Find(const void* address) const {
  auto after = live_.upper_bound(Bytes(address));
  if (after == live_.begin()) return nullptr;
  --after;
  const std::shared_ptr<Allocation>& candidate = after->second;
  return Bytes(address) < candidate->base + candidate->bytes ? candidate : nullptr;
}

bool MemoryTable::Overlaps(const void* base, uint64_t bytes) const {
  if (Find(base) != nullptr) return true;
  const auto after = live_.upper_bound(Bytes(base));
  return after != live_.end() && static_cast<uint64_t>(after->first - Bytes(base)) < bytes;
}

std::vector<std::shared_ptr<Allocation>> MemoryTable::All() const {
  std::vector<std::shared_ptr<Allocation>> all;
  for (const auto& [base, allocation] : live_) all.push_back(allocation);
  return all;
}

uint64_t MemoryTable::DeviceBytes(int32_t device) const {
  const auto found = device_bytes_.find(device);
  return found == device_bytes_.end() ? 0 : found->second;
}

std::string MemoryTable::WhyNot(const void* address) const {
  if (address == nullptr) return "is null";
  for (auto ended = ended_.rbegin(); ended != ended_.rend(); ++ended) {
    if (Bytes(address) >= ended->base && Bytes(address) < ended->base + ended->bytes) {
      return Hex(address) + " " + ended->text;
    }
  }
  const auto after = live_.upper_bound(Bytes(address));
  if (after != live_.begin()) {
    const Allocation& before = *std::prev(after)->second;
    const uint64_t beyond = static_cast<uint64_t>(Bytes(address) - (before.base + before.bytes));
    if (beyond < 4096) {
      return Hex(address) + " lies " + std::to_string(beyond) + " bytes after the end of " + before.Describe();
    }
  }
  return Hex(address) + " is not device memory";
}

std::shared_ptr<Allocation> MemoryTable::Locate(const Use& use, std::string* why) const {
  std::shared_ptr<Allocation> allocation = Find(use.begin);
  if (allocation == nullptr) {
    *why = use.name + ": " + WhyNot(use.begin);
    return nullptr;
  }
  if (!allocation->on_device() && !use.host_too) {
    *why = use.name + ": expected device memory, got host memory of " + allocation->Describe();
    return nullptr;
  }
  const uint64_t offset = static_cast<uint64_t>(Bytes(use.begin) - allocation->base);
  if (use.bytes > allocation->bytes - offset) {
    *why = use.name + ": bytes " + std::to_string(offset) + " to " +
           (use.bytes > UINT64_MAX - offset ? "beyond 64 bits" : std::to_string(offset + use.bytes)) +
           " reach beyond the end of " + allocation->Describe();
    return nullptr;
  }
  return allocation;
}

std::string MemoryTable::Conflict(const Allocation& allocation, const Use& use, const Clock& known) {
  const uint64_t begin = static_cast<uint64_t>(Bytes(use.begin) - allocation.base), end = begin + use.bytes;
  for (const Allocation::Touch& touch : allocation.touches) {
    if (touch.begin >= end || touch.end <= begin) continue;
    if (touch.access == Access::kRead && use.access == Access::kRead) continue;
    if (touch.tick <= known.At(touch.stream)) continue;
    return touch.task + " (task " + std::to_string(touch.tick) + " of stream " + std::to_string(touch.stream) +
           "), which " + (touch.access == Access::kRead ? "reads" : "writes") + " bytes " +
           std::to_string(touch.begin) + " to " + std::to_string(touch.end) + " of " + allocation.Describe();
  }
  return "";
}

void MemoryTable::Note(Allocation& allocation, const Use& use, uint64_t stream, uint64_t tick, const std::string& task,
                       const Clock& host) {
  const uint64_t begin = static_cast<uint64_t>(Bytes(use.begin) - allocation.base), end = begin + use.bytes;
  auto& touches = allocation.touches;
  // What the host waited for is before everything to come; what the stream did before to the same bytes is before this.
  touches.erase(std::remove_if(touches.begin(), touches.end(),
                               [&](const Allocation::Touch& touch) {
                                 if (touch.tick <= host.At(touch.stream)) return true;
                                 return touch.stream == stream && touch.begin >= begin && touch.end <= end &&
                                        (use.access == Access::kWrite || touch.access == Access::kRead);
                               }),
                touches.end());
  touches.push_back({begin, end, use.access, stream, tick, task});
}

void MemoryTable::ForgetStream(uint64_t stream) {
  for (const auto& [base, allocation] : live_) {
    auto& touches = allocation->touches;
    touches.erase(std::remove_if(touches.begin(), touches.end(),
                                 [stream](const Allocation::Touch& touch) { return touch.stream == stream; }),
                  touches.end());
  }
}

}  // namespace ascend_sim::acl
