#include "machine/gm.h"

#include <algorithm>

#include "machine/fault.h"

namespace ascend_sim {

std::atomic<uint64_t> GmShadow::clock_{1};

namespace {

// Notes that `self` acted, forgetting its earlier action.
void Note(std::vector<Epoch>& epochs, const Epoch& self) {
  for (Epoch& epoch : epochs) {
    if (epoch.thread == self.thread) {
      epoch.tick = self.tick;
      return;
    }
  }
  epochs.push_back(self);
}

}  // namespace

GmShadow::GmShadow(uint64_t size, bool initialised) {
  State initial;
  initial.initialised = initialised;
  map_.Create(size, initial);
}

template <typename Visit>
bool GmShadow::Locked(uint64_t begin, uint64_t end, Visit&& visit) {
  while (begin < end) {
    const uint64_t page = begin / kPage;
    const uint64_t stop = std::min<uint64_t>(end, (page + 1) * kPage);
    const std::lock_guard<std::mutex> lock(locks_[page % kLocks]);
    if (!map_.ForRange(begin, stop, visit)) return false;
    begin = stop;
  }
  return true;
}

Verdict GmShadow::Read(uint64_t begin, uint64_t end, const GmActor& actor, bool need_initialised) {
  Verdict verdict;
  const bool scalar = actor.self.pipe() == PipeIndex(PIPE_S);
  Locked(begin, end, [&](State& state, uint64_t from, uint64_t) {
    if (state.write.tick != 0 && !(state.write == actor.self) && !actor.After(state.write)) {
      verdict = {Problem::kAfterWrite, from, state.write.pipe(), state.write.tick, state.write.core()};
      return false;
    }
    for (const Epoch& atomic : state.atomics) {
      if (!actor.After(atomic)) {
        verdict = {Problem::kAfterWrite, from, atomic.pipe(), atomic.tick, atomic.core()};
        return false;
      }
    }
    if (state.dirty && !(scalar && state.write.core() == actor.self.core())) {
      verdict = {Problem::kStale, from, state.write.pipe(), state.write.tick, state.write.core()};
      return false;
    }
    if (!state.initialised && need_initialised) {
      verdict = {Problem::kUninitialised, from, 0, 0, -1};
      return false;
    }
    Note(state.reads, actor.self);
    return true;
  });
  return verdict;
}

Verdict GmShadow::Write(uint64_t begin, uint64_t end, const GmActor& actor, bool atomic) {
  Verdict verdict;
  const int scalar = PipeIndex(PIPE_S);
  const uint64_t now = clock_.fetch_add(1, std::memory_order_relaxed) + 1;
  Locked(begin, end, [&](State& state, uint64_t from, uint64_t) {
    if (state.write.tick != 0 && !(state.write == actor.self) && !actor.After(state.write)) {
      verdict = {Problem::kAfterWrite, from, state.write.pipe(), state.write.tick, state.write.core()};
      return false;
    }
    if (!atomic) {
      for (const Epoch& other : state.atomics) {
        if (!actor.After(other)) {
          verdict = {Problem::kAfterWrite, from, other.pipe(), other.tick, other.core()};
          return false;
        }
      }
    }
    for (const Epoch& read : state.reads) {
      // In order with itself, and a scalar load of the own core is complete before anything later is issued.
      if (read.thread == actor.self.thread) continue;
      if (read.core() == actor.self.core() && read.pipe() == scalar) continue;
      if (!actor.After(read)) {
        verdict = {Problem::kAfterRead, from, read.pipe(), read.tick, read.core()};
        return false;
      }
    }
    state.reads.clear();
    state.initialised = true;
    state.write_time = now;
    if (atomic) {
      Note(state.atomics, actor.self);
    } else {
      state.atomics.clear();
      state.write = actor.self;
      state.dirty = actor.self.pipe() == scalar;
    }
    return true;
  });
  return verdict;
}

void GmShadow::Scramble(uint64_t begin, uint64_t end) {
  Locked(begin, end, [](State& state, uint64_t, uint64_t) {
    state.initialised = false;
    return true;
  });
}

void GmShadow::Clean(uint64_t begin, uint64_t end, int core) {
  Locked(begin, end, [core](State& state, uint64_t, uint64_t) {
    if (state.dirty && state.write.core() == core) state.dirty = false;
    return true;
  });
}

uint64_t GmShadow::LastForeignWrite(uint64_t begin, uint64_t end, int core) {
  uint64_t latest = 0;
  Locked(begin, end, [&](State& state, uint64_t, uint64_t) {
    const bool own = state.atomics.empty() && state.write.core() == core && state.write.pipe() == PipeIndex(PIPE_S);
    if (!own) latest = std::max(latest, state.write_time);
    return true;
  });
  return latest;
}

void GmSpace::Add(std::string name, void* base, uint64_t size, bool read_only, bool initialised) {
  auto region = std::make_unique<GmRegion>();
  region->name = std::move(name);
  region->base = static_cast<uint8_t*>(base);
  region->size = size;
  region->read_only = read_only;
  region->initialised = initialised;
  auto after = std::upper_bound(regions_.begin(), regions_.end(), region->base,
                                [](const uint8_t* address, const auto& other) { return address < other->base; });
  const GmRegion* clash = nullptr;
  if (after != regions_.end() && region->base + size > (*after)->base) clash = after->get();
  if (after != regions_.begin() && (*(after - 1))->base + (*(after - 1))->size > region->base) {
    clash = (after - 1)->get();
  }
  if (clash != nullptr) {
    FaultRecord record;
    record.detail = region->name + " and " + clash->name + " overlap in memory; pass one buffer once";
    throw Fault(record);
  }
  region->device_address = next_device_address_;
  next_device_address_ += (size + 511) / 512 * 512;
  regions_.insert(after, std::move(region));
}

void GmSpace::Prepare(bool checked) {
  for (const auto& region : regions_) {
    region->shadow = checked ? std::make_unique<GmShadow>(region->size, region->initialised) : nullptr;
  }
}

GmRegion* GmSpace::Find(const uint8_t* address) {
  auto after = std::upper_bound(regions_.begin(), regions_.end(), address,
                                [](const uint8_t* a, const auto& region) { return a < region->base; });
  if (after == regions_.begin()) return nullptr;
  GmRegion* region = (after - 1)->get();
  return address < region->base + region->size ? region : nullptr;
}

}  // namespace ascend_sim
