// What cores tell each other: cross-core flags, and flags kept in GM.
#include <algorithm>

#include "machine/machine.h"

namespace ascend_sim {
namespace {

constexpr int kFlagIds = 16;
constexpr size_t kFlagDepth = 15;
constexpr uint32_t kSyncAllIds = 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14;

void Merge(Raise& raise, const Release& release) {
  raise.clock.Join(release.clock);
  raise.time = std::max(raise.time, release.time);
  raise.tokens.push_back(release.token);
}

}  // namespace

Release Machine::MakeRelease(Core& core, const LocalClock& clock) {
  Release release;
  release.clock = core.remote_;
  release.clock.ticks.resize(cores_.size() * 8);
  for (int pipe = 0; pipe < kPipes; ++pipe) release.clock.ticks[core.number() * 8 + pipe] = clock[pipe];
  release.time = core.issued();
  release.token = static_cast<uint64_t>(core.number()) << 40 | core.sets_++;
  return release;
}

void Machine::Push(Core& target, int id, const Raise& raise, const Location& where) {
  if (target.raised_[id].size() >= kFlagDepth) {
    CurrentCore().Fail(FaultKind::kRepeatedFlag, "CrossCoreSetFlag", where,
                       "flag " + std::to_string(id) + " of " + target.Label() +
                           " is raised a sixteenth time without a wait; its counter holds 15");
  }
  target.raised_[id].push_back(raise);
}

void Machine::SetCross(Core& core, int mode, pipe_t pipe, int id, bool user, const Location& where) {
  if (core.Dropped(where)) return;
  const char* name = user ? "CrossCoreSetFlag" : "SyncAll";
  core.last_location_ = where;
  const auto fail = [&](FaultKind kind, const std::string& text) { core.Fail(kind, name, where, text); };
  if (mode < 0 || mode > 2) fail(FaultKind::kArgument, "modeId: expected 0 to 2, got " + std::to_string(mode));
  if (id < 0 || id >= kFlagIds) fail(FaultKind::kArgument, "flagId: expected 0 to 15, got " + std::to_string(id));
  if (pipe == PIPE_S || pipe == PIPE_ALL) {
    fail(FaultKind::kArgument, "pipe: expected the pipe that produced the data, got PIPE_S or PIPE_ALL");
  }
  if (!core.HasPipe(PipeIndex(pipe))) {
    fail(FaultKind::kWrongCore, std::string("this core has no pipe ") + PipeName(PipeIndex(pipe)));
  }
  if (type_ == KernelType::kAivOnly || type_ == KernelType::kAicOnly) {
    fail(FaultKind::kArgument,
         "cores of an AIV_ONLY or AIC_ONLY kernel cannot reach each other; use KERNEL_TYPE_MIX_AIV_1_0, _AIC_1_0 or a "
         "mix");
  }
  if (mode != 0 && cores_.size() / blocks_.size() < 2) {
    fail(FaultKind::kArgument, "modeId " + std::to_string(mode) + " needs a mixed kernel");
  }
  const int available = cores_.front()->is_aic() ? soc_.aic_count : soc_.aiv_count;
  if (static_cast<int>(blocks_.size()) > available) {
    fail(FaultKind::kArgument, "block_dim " + std::to_string(blocks_.size()) + " is more than the " +
                                   std::to_string(available) + " cores of " + soc_.name +
                                   ": blocks that wait for each other must all run at once");
  }
  if (user) {
    core.user_flags_ |= 1u << id;
  } else {
    core.sync_all_used_ = true;
  }
  if (core.sync_all_used_ && (core.user_flags_ & kSyncAllIds) != 0) {
    fail(FaultKind::kArgument, "flagId: SyncAll takes 11 to 14 for itself, and this core uses one of them");
  }

  const Release release = MakeRelease(core, core.ReleaseClock(PipeIndex(pipe)));
  if (TraceRecord* record = core.Record(RecordKind::kCrossSet, name, PipeIndex(pipe), where)) {
    record->token = release.token;
    record->id = static_cast<uint8_t>(id);
  }
  core.time_.store(core.issued() + 1, std::memory_order_release);

  const std::lock_guard<std::mutex> lock(mutex_);
  Block& block = core.block();
  const auto full = [&](const std::deque<Release>& queue) {
    if (queue.size() >= kFlagDepth) {
      fail(FaultKind::kRepeatedFlag,
           "flag " + std::to_string(id) + " is set a sixteenth time before its partners set it; its counter holds 15");
    }
  };
  if (mode == 2 && core.is_aic()) {
    Raise raise;
    Merge(raise, release);
    for (const auto& other : block.cores()) {
      if (!other->is_aic()) Push(*other, id, raise, where);
    }
  } else if (mode == 2 || mode == 1) {
    auto& queues = mode == 2 ? block.to_aic : block.between;
    full(queues[core.sub_block()][id]);
    queues[core.sub_block()][id].push_back(release);
    const int aivs = ratio();
    for (int i = 0; i < aivs; ++i) {
      if (queues[i][id].empty()) return;
    }
    Raise raise;
    for (int i = 0; i < aivs; ++i) {
      Merge(raise, queues[i][id].front());
      queues[i][id].pop_front();
    }
    for (const auto& other : block.cores()) {
      if (other->is_aic() == (mode == 2)) Push(*other, id, raise, where);
    }
  } else {
    auto& pending = (core.is_aic() ? aic_group_ : aiv_group_).pending[id];
    full(pending[core.number()]);
    pending[core.number()].push_back(release);
    for (Core* other : cores_) {
      if (other->is_aic() == core.is_aic() && pending[other->number()].empty()) return;
    }
    Raise raise;
    for (auto& [number, queue] : pending) {
      Merge(raise, queue.front());
      queue.pop_front();
    }
    for (Core* other : cores_) {
      if (other->is_aic() == core.is_aic()) Push(*other, id, raise, where);
    }
  }
  Changed();
}

void Machine::WaitCross(Core& core, int id, const Location& where) {
  if (core.Dropped(where)) return;
  core.last_location_ = where;
  if (id < 0 || id >= kFlagIds) {
    core.Fail(FaultKind::kArgument, "CrossCoreWaitFlag", where, "flagId: expected 0 to 15, got " + std::to_string(id));
  }
  Wait wait;
  wait.what = "cross-core flag " + std::to_string(id);
  wait.where = where;
  wait.ready = [&core, id] { return !core.raised_[id].empty(); };
  wait.resume_time = [&core, id] { return core.raised_[id].front().time; };
  wait.missing = [this, &core, id] { return MissingSetters(core, id); };
  Suspend(core, std::move(wait));
  Raise raise;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    raise = std::move(core.raised_[id].front());
    core.raised_[id].pop_front();
  }
  Acquire(core, raise, "CrossCoreWaitFlag", id, where);
}

// Which cores have not set the flag; called under the lock.
std::string Machine::MissingSetters(const Core& core, int id) const {
  std::string text;
  const auto add = [&](const Core& other, const char* how) {
    text += std::string(text.empty() ? "" : ", ") + other.Label() + how;
  };
  const auto state = [](const Core& other) { return other.finished_ ? " (has ended)" : ""; };
  const Block& block = const_cast<Core&>(core).block();
  for (const auto& other : const_cast<Block&>(block).cores()) {
    if (other.get() == &core) continue;
    if (core.is_aic() || other->is_aic()) {
      const bool set = core.is_aic() && !block.to_aic[other->sub_block()][id].empty();
      if (!set) add(*other, state(*other));
    } else if (!block.between[core.sub_block()][id].empty() && block.between[other->sub_block()][id].empty()) {
      add(*other, state(*other));
    }
  }
  const Group& group = core.is_aic() ? aic_group_ : aiv_group_;
  const auto mine = group.pending[id].find(core.number());
  if (mine != group.pending[id].end() && !mine->second.empty()) {
    text.clear();
    for (const Core* other : cores_) {
      if (other->is_aic() != core.is_aic()) continue;
      const auto found = group.pending[id].find(other->number());
      if (found == group.pending[id].end() || found->second.empty()) add(*other, state(*other));
    }
  }
  return text.empty() ? "nobody" : text;
}

void Machine::Acquire(Core& core, const Raise& raise, const char* name, int id, const Location& where) {
  core.remote_.Join(raise.clock);
  LocalClock own;  // what the others had seen of this core's pipes comes back with their flags
  for (int pipe = 0; pipe < kPipes; ++pipe) own[pipe] = raise.clock.At(core.number() * 8 + pipe);
  core.JoinIssue(own);
  core.time_.store(std::max(core.issued(), raise.time) + 1, std::memory_order_release);
  if (TraceRecord* record = core.Record(RecordKind::kCrossWait, name, 0, where)) {
    record->token = core.trace_.waits.size();
    record->id = static_cast<uint8_t>(id);
    core.trace_.waits.push_back({raise.tokens});
  }
}

void Machine::CheckCrossFlagsDown() {
  for (Core* core : cores_) {
    for (int id = 0; id < kFlagIds; ++id) {
      if (core->raised_[id].empty()) continue;
      core->Fail(FaultKind::kUnpairedFlag, "CrossCoreSetFlag", Location{},
                 "flag " + std::to_string(id) + " is still raised " + std::to_string(core->raised_[id].size()) +
                     " times at the end of the kernel: a CrossCoreWaitFlag is missing");
    }
  }
  const auto check = [](const Core& core, int id, const std::deque<Release>& queue) {
    if (queue.empty()) return;
    core.Fail(FaultKind::kUnpairedFlag, "CrossCoreSetFlag", Location{},
              "flag " + std::to_string(id) + " was set by this core but not by its partners");
  };
  for (Core* core : cores_) {
    for (int id = 0; id < kFlagIds; ++id) {
      if (!core->is_aic()) {
        check(*core, id, core->block().to_aic[core->sub_block()][id]);
        check(*core, id, core->block().between[core->sub_block()][id]);
      }
      auto& pending = (core->is_aic() ? aic_group_ : aiv_group_).pending[id];
      const auto found = pending.find(core->number());
      if (found != pending.end()) check(*core, id, found->second);
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------
// Flags in GM

void Machine::SetNamed(Core& core, uint64_t key, const Location& where) {
  Wait wait;
  wait.what = "the IBSet flag to be taken down";
  wait.where = where;
  wait.ready = [this, key] { return !named_[key].up; };
  wait.resume_time = [this, key] { return named_[key].lowered.time; };
  wait.missing = [] { return std::string("an IBWait"); };
  Suspend(core, std::move(wait));
  const Release release = MakeRelease(core, core.ReleaseAll());
  Raise lowered;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    lowered = named_[key].lowered;
  }
  if (lowered.time != 0) Acquire(core, lowered, "IBSet", 0, where);
  if (TraceRecord* record = core.Record(RecordKind::kCrossSet, "IBSet", 0, where)) record->token = release.token;
  const std::lock_guard<std::mutex> lock(mutex_);
  NamedFlag& flag = named_[key];
  flag.up = true;
  flag.raise = Raise{};
  Merge(flag.raise, release);
  Changed();
}

void Machine::WaitNamed(Core& core, uint64_t key, const Location& where) {
  Wait wait;
  wait.what = "an IBSet flag";
  wait.where = where;
  wait.ready = [this, key] { return named_[key].up; };
  wait.resume_time = [this, key] { return named_[key].raise.time; };
  wait.missing = [] { return std::string("an IBSet with the same workspace, block and event"); };
  Suspend(core, std::move(wait));
  const Release release = MakeRelease(core, core.ReleaseAll());
  Raise raise;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    NamedFlag& flag = named_[key];
    flag.up = false;
    raise = flag.raise;
    flag.lowered = Raise{};
    Merge(flag.lowered, release);
    Changed();
  }
  if (TraceRecord* record = core.Record(RecordKind::kCrossSet, "IBWait", 0, where)) record->token = release.token;
  Acquire(core, raise, "IBWait", 0, where);
}

void Machine::MeetNamed(Core& core, uint64_t key, int participants, const Location& where) {
  const Release release = MakeRelease(core, core.ReleaseAll());
  if (TraceRecord* record = core.Record(RecordKind::kCrossSet, "SyncAll", 0, where)) record->token = release.token;
  uint64_t generation;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    Meeting& meeting = meetings_[key];
    generation = meeting.generation;
    Merge(meeting.gathering, release);
    if (++meeting.arrived == participants) {
      meeting.complete = std::move(meeting.gathering);
      std::sort(meeting.complete.tokens.begin(), meeting.complete.tokens.end());
      meeting.gathering = Raise{};
      meeting.arrived = 0;
      ++meeting.generation;
      Changed();
    }
  }
  Wait wait;
  wait.what = "SyncAll";
  wait.where = where;
  wait.ready = [this, key, generation] { return meetings_[key].generation != generation; };
  wait.resume_time = [this, key] { return meetings_[key].complete.time; };
  wait.missing = [this, key, participants] {
    return std::to_string(participants - meetings_[key].arrived) + " more cores";
  };
  Suspend(core, std::move(wait));
  Raise raise;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    raise = meetings_[key].complete;
  }
  Acquire(core, raise, "SyncAll", 0, where);
}

}  // namespace ascend_sim
