#include "machine/core.h"

#include "machine/fiber.h"
#include "machine/gm.h"
#include "machine/machine.h"

namespace ascend_sim {

thread_local Core* current_core = nullptr;

namespace {

constexpr int kCacheLine = 64;

constexpr int kS = 0, kV = 1, kM = 2, kMte1 = 3, kMte2 = 4, kMte3 = 5, kFix = 6;

struct EventEnds {
  int source, target;  // pipe indices
};

EventEnds EndsOf(HardEvent event) {
  const EventPipes pipes = kEventPipes[static_cast<int>(event)];
  return {PipeIndex(pipes.source), PipeIndex(pipes.target)};
}

constexpr uint32_t kAicPipes = 1u << kS | 1u << kM | 1u << kMte1 | 1u << kMte2 | 1u << kMte3 | 1u << kFix;
constexpr uint32_t kAivPipes = 1u << kS | 1u << kV | 1u << kMte2 | 1u << kMte3;

// Pipes on which a dependent instruction needs a PipeBarrier even after its own predecessor. The manual asks for it
// between dependent vector instructions and between copies whose destinations overlap.
constexpr uint32_t kOverlappingPipes = 1u << kV | 1u << kMte2 | 1u << kMte3;

std::string EventName(HardEvent event) {
  const EventEnds pipes = EndsOf(event);
  return std::string(PipeName(pipes.source)) + "_" + PipeName(pipes.target);
}

}  // namespace

Core::Core(Machine& machine, Block& block, CoreType type, int sub_block, int number)
    : machine_(machine),
      block_(block),
      type_(type),
      sub_block_(sub_block),
      number_(number),
      modes_(machine.options().modes),
      pipe_mask_(type == CoreType::kAic ? kAicPipes : kAivPipes) {
  const Soc& soc = machine.soc();
  const auto create = [&](Hardware kind, uint32_t size) { memory(kind).Create(kind, size, checking()); };
  if (is_aic()) {
    create(Hardware::L1, soc.l1_bytes);
    create(Hardware::L0A, soc.l0a_bytes);
    create(Hardware::L0B, soc.l0b_bytes);
    create(Hardware::L0C, soc.l0c_bytes);
    create(Hardware::BIAS, soc.bt_bytes);
    create(Hardware::FIXBUF, soc.fixbuf_bytes);
  } else {
    create(Hardware::UB, soc.ub_bytes);
  }
}

Core::~Core() = default;

int64_t Core::block_idx() const {
  if (is_aic()) return block_.index();
  return static_cast<int64_t>(block_.index()) * machine_.ratio() + sub_block_;
}

std::string Core::Label() const {
  std::string label = "block " + std::to_string(block_.index());
  label += is_aic() ? " AIC" : " AIV";
  if (!is_aic() && block_.cores().size() > 2) label += " " + std::to_string(sub_block_);
  return label;
}

void Core::Fail(FaultKind kind, const char* instruction, const Location& where, std::string detail) const {
  FaultRecord record;
  record.kind = kind;
  record.where = where;
  record.core = Label();
  record.instruction = instruction;
  record.detail = std::move(detail);
  throw Fault(std::move(record));
}

Tick Core::Begin(const char* name, int pipe, const Location& where) {
  const Tick tick = ++ticks_[pipe];
  if (!(kOverlappingPipes >> pipe & 1)) seen_[pipe][pipe] = tick;
  last_location_ = where;
  time_.store(time_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  if (modes_ != 0) [[unlikely]] {
    if (modes_ & kChecks) past_[pipe].push_back({name, where});
    if (modes_ & kTimeline) Record(RecordKind::kInstruction, name, pipe, where);
  }
  return tick;
}

TraceRecord* Core::Record(RecordKind kind, const char* name, int pipe, const Location& where) {
  if (!timing()) return nullptr;
  TraceRecord record{};
  record.name = name;
  record.file = where.file;
  record.line = where.line;
  record.kind = kind;
  record.pipe = static_cast<uint8_t>(pipe);
  trace_.records.push_back(record);
  return &trace_.records.back();
}

std::string Core::DescribePast(int pipe, Tick tick) const {
  if (tick == 0 || tick > past_[pipe].size()) return "";
  const PastInstruction& past = past_[pipe][tick - 1];
  return std::string(past.name) + " at " + past.where.file + ":" + std::to_string(past.where.line);
}

LocalClock Core::ReleaseAll() const {
  LocalClock clock;
  for (int pipe = 0; pipe < kPipes; ++pipe) {
    clock[pipe] = ticks_[pipe];
    clock.waits(pipe) = waits_[pipe];
  }
  return clock;
}

void Core::Join(int pipe, const LocalClock& clock) {
  seen_[pipe].Join(clock);
  barrier_[pipe] = std::max(barrier_[pipe], clock[pipe]);
}

void Core::JoinIssue(const LocalClock& clock) {
  for (int pipe = 0; pipe < kPipes; ++pipe) Join(pipe, clock);
}

// The vendor's SetFlag and WaitFlag do nothing on an AIC for events of the vector pipe, so that code shared by both
// kinds of core can be written once.
bool Core::SkipsEvent(HardEvent event) const {
  if (!is_aic()) return false;
  switch (event) {
    case HardEvent::MTE2_V:
    case HardEvent::V_MTE2:
    case HardEvent::MTE3_V:
    case HardEvent::V_MTE3:
    case HardEvent::V_V:
    case HardEvent::S_V:
    case HardEvent::V_S:
      return true;
    default:
      return false;
  }
}

bool Core::Dropped(const Location& where) const {
  if (machine_.options().dropped.empty()) return false;
  const std::string file = where.file;
  for (const auto& [suffix, line] : machine_.options().dropped) {
    if (line == where.line && file.size() >= suffix.size() &&
        file.compare(file.size() - suffix.size(), suffix.size(), suffix) == 0) {
      return true;
    }
  }
  return false;
}

void Core::CheckEvent(HardEvent event, int id, const char* name, const Location& where) const {
  if (id < 0 || id > 7) {
    Fail(FaultKind::kArgument, name, where, "eventID: expected 0 to 7, got " + std::to_string(id));
  }
  const EventEnds pipes = EndsOf(event);
  if (!HasPipe(pipes.source) || !HasPipe(pipes.target)) {
    Fail(FaultKind::kWrongCore, name, where, EventName(event) + " joins pipes this core does not have");
  }
}

void Core::SetEvent(HardEvent event, int id, const Location& where, bool of_queue) {
  if (SkipsEvent(event) || Dropped(where)) return;
  last_location_ = where;
  CheckEvent(event, id, "SetFlag", where);
  const EventEnds pipes = EndsOf(event);
  EventFlag& flag = events_[static_cast<int>(event)][id];
  if (flag.set) {
    Fail(FaultKind::kRepeatedFlag, "SetFlag", where,
         EventName(event) + " id " + std::to_string(id) + " was set at " + flag.where.file + ":" +
             std::to_string(flag.where.line) + " and not waited for");
  }
  // The flag is one bit: raised before the target pipe has come to its last wait, it is lost.
  if ((modes_ & kChecks) && !of_queue && seen_[pipes.source].waits(pipes.target) < flag.waited) {
    Fail(FaultKind::kRepeatedFlag, "SetFlag", where,
         EventName(event) + " id " + std::to_string(id) + ": pipe " + PipeName(pipes.target) +
             " may not have come to the WaitFlag at " + flag.waited_at.file + ":" +
             std::to_string(flag.waited_at.line) + " yet: nothing orders it before this");
  }
  flag.set = true;
  flag.where = where;
  flag.clock = ReleaseClock(pipes.source);
  if (TraceRecord* record = Record(RecordKind::kSetEvent, "SetFlag", pipes.source, where)) {
    record->other_pipe = static_cast<uint8_t>(pipes.target);
    record->event = static_cast<uint8_t>(event);
    record->id = static_cast<uint8_t>(id);
  }
}

void Core::WaitEvent(HardEvent event, int id, const Location& where) {
  if (SkipsEvent(event) || Dropped(where)) return;
  last_location_ = where;
  CheckEvent(event, id, "WaitFlag", where);
  const EventEnds pipes = EndsOf(event);
  EventFlag& flag = events_[static_cast<int>(event)][id];
  if (!flag.set) {
    Fail(FaultKind::kUnpairedFlag, "WaitFlag", where,
         "nothing set " + EventName(event) + " id " + std::to_string(id) + " before: pipe " + PipeName(pipes.target) +
             " would wait for ever");
  }
  flag.set = false;
  if (pipes.target == kS) {
    JoinIssue(flag.clock);  // the scalar unit issues everything, so all pipes wait with it
  } else {
    Join(pipes.target, flag.clock);
  }
  if ((modes_ & kChecks) && pipes.target != kS) {
    flag.waited = ++waits_[pipes.target];
    flag.waited_at = where;
  }
  if (TraceRecord* record = Record(RecordKind::kWaitEvent, "WaitFlag", pipes.target, where)) {
    record->other_pipe = static_cast<uint8_t>(pipes.source);
    record->event = static_cast<uint8_t>(event);
    record->id = static_cast<uint8_t>(id);
  }
}

void Core::Barrier(pipe_t pipe, const Location& where) {
  if (Dropped(where)) return;
  last_location_ = where;
  if (pipe == PIPE_S) Fail(FaultKind::kArgument, "PipeBarrier", where, "PIPE_S has no barrier");
  if (pipe == PIPE_ALL) {
    JoinIssue(ReleaseAll());

    if (TraceRecord* record = Record(RecordKind::kBarrier, "PipeBarrier", 0, where)) record->other_pipe = 0xFF;
    return;
  }
  const int index = PipeIndex(pipe);
  if (!HasPipe(index)) {
    if (is_aic() && index == kV) return;  // as with the events of V
    Fail(FaultKind::kWrongCore, "PipeBarrier", where, std::string("this core has no pipe ") + PipeName(index));
  }
  seen_[index][index] = ticks_[index];
  barrier_[index] = ticks_[index];
  if (TraceRecord* record = Record(RecordKind::kBarrier, "PipeBarrier", index, where)) {
    record->other_pipe = static_cast<uint8_t>(index);
  }
}

void Core::OrderPipes(pipe_t from, pipe_t to) {
  const LocalClock clock = ReleaseClock(PipeIndex(from));
  if (to == PIPE_S) {
    JoinIssue(clock);
  } else {
    Join(PipeIndex(to), clock);
  }
  if (TraceRecord* record = Record(RecordKind::kOrder, "order", PipeIndex(to), last_location_)) {
    record->other_pipe = static_cast<uint8_t>(PipeIndex(from));
  }
}

void Core::NoteCachedRead(GmRegion& region, uint64_t begin, uint64_t end, const Instruction& frame) {
  for (uint64_t line = begin / kCacheLine; line <= (end - 1) / kCacheLine; ++line) {
    const auto [entry, fresh] = cached_lines_.try_emplace({&region, line}, CachedLine{GmShadow::Now()});
    if (fresh) continue;
    const uint64_t from = std::max(begin, line * kCacheLine), to = std::min(end, (line + 1) * kCacheLine);
    if (region.shadow->LastForeignWrite(from, to, number_) > entry->second.loaded) {
      frame.Fail(FaultKind::kStaleCache, "tensor", from, region.name.c_str(),
                 "the line was cached before another unit wrote it; DataCacheCleanAndInvalid first");
    }
  }
}

void Core::NoteCachedWrite(GmRegion& region, uint64_t begin, uint64_t end) {
  for (uint64_t line = begin / kCacheLine; line <= (end - 1) / kCacheLine; ++line) {
    cached_lines_.try_emplace({&region, line}, CachedLine{GmShadow::Now()});
  }
  dirty_.push_back({&region, begin, end});
}

void Core::CleanCache(GmRegion* region, uint64_t begin, uint64_t end) {
  if (region == nullptr) {
    for (const DirtyRange& range : dirty_) range.region->shadow->Clean(range.begin, range.end, number_);
    dirty_.clear();
    cached_lines_.clear();
    return;
  }
  region->shadow->Clean(begin, std::min(end, region->size), number_);
  for (uint64_t line = begin / kCacheLine; line <= (end - 1) / kCacheLine; ++line) cached_lines_.erase({region, line});
}

void Core::Finish() {
  for (int event = 0; event < static_cast<int>(HardEvent::MAX); ++event) {
    for (int id = 0; id < 8; ++id) {
      const EventFlag& flag = events_[event][id];
      if (!flag.set) continue;
      Fail(FaultKind::kUnpairedFlag, "SetFlag", flag.where,
           EventName(static_cast<HardEvent>(event)) + " id " + std::to_string(id) +
               " is still set at the end of the kernel: a WaitFlag is missing");
    }
  }
}

}  // namespace ascend_sim
