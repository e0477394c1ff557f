#include "machine/machine.h"

#include <algorithm>
#include <thread>

namespace ascend_sim {
namespace {

constexpr int kFlagIds = 16;
constexpr size_t kFlagDepth = 15;
constexpr uint32_t kSyncAllIds = 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14;

struct CoreKinds {
  bool aic;
  int aivs;
};

CoreKinds KindsOf(KernelType type) {
  switch (type) {
    case KernelType::kAivOnly:
    case KernelType::kMixAiv10:
      return {false, 1};
    case KernelType::kAicOnly:
    case KernelType::kMixAic10:
      return {true, 0};
    case KernelType::kMixAic11:
      return {true, 1};
    default:
      return {true, 2};
  }
}

[[noreturn]] void FailLaunch(std::string detail) {
  FaultRecord record;
  record.detail = std::move(detail);
  throw Fault(std::move(record));
}

}  // namespace

Block::Block(Machine& machine, int index, KernelType type) : index_(index) {
  const CoreKinds kinds = KindsOf(type);
  const int first = index * ((kinds.aic ? 1 : 0) + kinds.aivs);
  if (kinds.aic) cores_.push_back(std::make_unique<Core>(machine, *this, CoreType::kAic, 0, first));
  for (int i = 0; i < kinds.aivs; ++i) {
    const int number = first + static_cast<int>(cores_.size());
    cores_.push_back(std::make_unique<Core>(machine, *this, CoreType::kAiv, i, number));
  }
}

Machine::Machine(const Soc& soc, GmSpace& gm, const LaunchOptions& options, KernelType type)
    : soc_(soc), gm_(gm), options_(options), type_(type) {
  if (options.block_dim < 1) FailLaunch("block_dim: expected 1 or more, got " + std::to_string(options.block_dim));
  gm.Prepare(options.modes & kChecks);
  for (int i = 0; i < options.block_dim; ++i) {
    blocks_.push_back(std::make_unique<Block>(*this, i, type));
    for (const auto& core : blocks_.back()->cores()) cores_.push_back(core.get());
  }
}

Machine::~Machine() = default;

int Machine::ratio() const { return std::max(1, KindsOf(type_).aivs); }

LaunchResult Machine::Run(const std::function<void()>& kernel) {
  int threads = options_.threads > 0 ? options_.threads : static_cast<int>(std::thread::hardware_concurrency());
  threads = std::max(1, std::min(threads, static_cast<int>(blocks_.size())));
  live_threads_ = threads;
  for (Core* core : cores_) {
    core->fiber_ = std::make_unique<Fiber>([this, core, &kernel] { KernelBody(*core, kernel); }, options_.stack_bytes);
  }
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i) workers.emplace_back([this, i, threads] { RunThread(i, threads); });
  RunThread(0, threads);
  for (std::thread& worker : workers) worker.join();
  RethrowFirstFailure();
  if (options_.modes & kChecks) CheckCrossFlagsDown();

  LaunchResult result;
  std::vector<CoreInfo> infos;
  std::vector<const CoreTrace*> traces;
  for (Core* core : cores_) {
    result.output += core->output;
    result.instructions += core->issued();
    infos.push_back({core->Label(), core->is_aic()});
    traces.push_back(&core->trace());
  }
  if (options_.modes & kTimeline) {
    result.timeline = std::make_shared<Timeline>(BuildTimeline(soc_, infos, traces, options_.timeline));
  }
  return result;
}

void Machine::KernelBody(Core& core, const std::function<void()>& kernel) {
  try {
    kernel();
    core.Finish();
  } catch (const Cancelled&) {
  } catch (...) {
    core.failure_ = std::current_exception();
  }
}

// The failure earliest in logical time is the one to report: others may be its consequences, and the choice must not
// depend on the number of threads.
void Machine::RethrowFirstFailure() {
  Core* first = nullptr;
  for (Core* core : cores_) {
    if (core->failure_ && (first == nullptr || core->issued() < first->issued())) first = core;
  }
  if (first == nullptr) {
    if (!deadlock_.empty()) {
      FaultRecord record = deadlock_record_;
      record.kind = FaultKind::kDeadlock;
      record.detail = deadlock_;
      throw Fault(std::move(record));
    }
    return;
  }
  try {
    std::rethrow_exception(first->failure_);
  } catch (const Fault& fault) {
    FaultRecord record = fault.record();
    if (record.other_core < 0) throw;
    const Core& other = *cores_[record.other_core];
    const std::string past = other.DescribePast(record.other_pipe, record.other_tick);
    record.detail += past.empty() ? "an earlier instruction" : past;
    record.detail += std::string(" (") + (record.other_core == first->number() ? "" : other.Label() + ", ") + "pipe " +
                     PipeName(record.other_pipe) + ")";
    throw Fault(std::move(record));
  }
}

// ---------------------------------------------------------------------------------------------------------------
// Scheduling

void Machine::RunThread(int thread, int threads) {
  std::vector<Core*> mine;
  for (size_t block = thread; block < blocks_.size(); block += threads) {
    for (const auto& core : blocks_[block]->cores()) mine.push_back(core.get());
  }
  for (;;) {
    bool progress = false, unfinished = false, turn_waiting = false;
    for (Core* core : mine) {
      if (core->finished_) continue;
      unfinished = true;
      if (core->wait_ != nullptr) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (stopping_) {
          core->cancelled_ = true;
        } else if (!core->wait_->ready()) {
          turn_waiting |= core->wait_->turn;
          continue;
        }
      }
      RunCore(*core);
      progress = true;
    }
    if (!unfinished) break;
    if (progress) continue;
    if (turn_waiting) {
      std::this_thread::yield();
      continue;
    }
    WaitForOthers(mine);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  --live_threads_;
  changed_.notify_all();
}

void Machine::RunCore(Core& core) {
  current_core = &core;
  core.fiber_->Resume();
  current_core = nullptr;
  if (core.fiber_->done()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    core.finished_ = true;
    core.fiber_.reset();
    if (core.failure_) failed_ = true;
    Changed();
  }
}

// All cores of this thread wait for cores of other threads. When every thread says so, nobody will ever move.
void Machine::WaitForOthers(const std::vector<Core*>& mine) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (Core* core : mine) {
    if (!core->finished_ && core->wait_ != nullptr && core->wait_->ready()) return;
  }
  ++idle_threads_;
  if (idle_threads_ == live_threads_ && !stopping_) {
    // The last to go idle looks at every core: a flag may have been raised for a thread that has not woken yet.
    bool stuck = true;
    for (Core* core : cores_) stuck &= core->finished_ || (core->wait_ != nullptr && !core->wait_->ready());
    if (stuck) {
      if (!failed_) DescribeDeadlock();
      stopping_ = true;
      Changed();
    }
  }
  const uint64_t seen = version_;
  if (!stopping_) {
    changed_.wait(lock, [&] { return version_ != seen || stopping_ || idle_threads_ == live_threads_; });
  }
  --idle_threads_;
}

void Machine::Changed() {
  ++version_;
  changed_.notify_all();
}

void Machine::Suspend(Core& core, Wait wait) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (wait.ready()) return;
    core.wait_ = std::make_unique<Wait>(std::move(wait));
  }
  core.fiber_->Suspend();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    core.wait_.reset();
  }
  if (core.cancelled_) throw Cancelled{};
}

void Machine::DescribeDeadlock() {
  for (Core* core : cores_) {
    if (core->finished_ || core->wait_ == nullptr) continue;
    const Wait& wait = *core->wait_;
    if (deadlock_.empty()) {
      deadlock_record_.where = wait.where;
      deadlock_record_.core = core->Label();
    }
    deadlock_ += "\n    " + core->Label() + " waits at " + wait.where.file + ":" + std::to_string(wait.where.line) +
                 " for " + wait.what + " from " + wait.missing();
  }
}

// ---------------------------------------------------------------------------------------------------------------
// Deterministic order of atomics

bool Machine::IsTurn(const Core& core) const {
  const uint64_t time = core.time_.load(std::memory_order_relaxed);
  for (const Core* other : cores_) {
    if (other == &core || other->finished_) continue;
    uint64_t other_time = other->time_.load(std::memory_order_acquire);
    if (other->wait_ != nullptr && !other->wait_->turn) {
      if (!other->wait_->ready()) continue;  // whoever wakes it is later than us, or is itself waited for here
      other_time = std::max(other_time, other->wait_->resume_time() + 1);
    }
    if (other_time < time || (other_time == time && other->number() < core.number())) return false;
  }
  return true;
}

void Machine::TakeTurn(Core& core, const Location& where) {
  if (cores_.size() == 1) return;
  Wait wait;
  wait.what = "its turn";
  wait.where = where;
  wait.turn = true;
  wait.ready = [this, &core] { return IsTurn(core); };
  wait.resume_time = [] { return uint64_t{0}; };
  wait.missing = [] { return std::string("all cores"); };
  Suspend(core, std::move(wait));
}

// ---------------------------------------------------------------------------------------------------------------
// Cross-core flags

Release Machine::MakeRelease(Core& core, const LocalClock& clock) {
  Release release;
  release.clock = core.remote_;
  release.clock.ticks.resize(cores_.size() * 8);
  for (int pipe = 0; pipe < kPipes; ++pipe) release.clock.ticks[core.number() * 8 + pipe] = clock[pipe];
  release.time = core.issued();
  release.token = static_cast<uint64_t>(core.number()) << 40 | core.sets_++;
  return release;
}

namespace {

void Merge(Raise& raise, const Release& release) {
  raise.clock.Join(release.clock);
  raise.time = std::max(raise.time, release.time);
  raise.tokens.push_back(release.token);
}

}  // namespace

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
  const int available = KindsOf(type_).aic ? soc_.aic_count : soc_.aiv_count;
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

// ---------------------------------------------------------------------------------------------------------------
// Launch

namespace {

thread_local bool probing = false;

struct Declared {
  KernelType type;
};

// Runs the kernel up to its first use of the device to learn the type it declares there.
KernelType DeclaredType(const std::function<void()>& kernel, const LaunchOptions& options) {
  KernelType type = KernelType::kMixAic12;
  Fiber fiber(
      [&] {
        try {
          kernel();
        } catch (const Declared& declared) {
          type = declared.type;
        } catch (const Undeclared&) {
        } catch (...) {
          // Whatever it is happens again in the run itself, with a core to report it.
        }
      },
      options.stack_bytes);
  probing = true;
  probe_tiling_key = options.tiling_key;
  fiber.Resume();
  probing = false;
  return type;
}

}  // namespace

thread_local uint64_t probe_tiling_key = 0;

void DeclareKernelType(KernelType type) {
  if (probing) throw Declared{type};
}

void FailWithoutCore() {
  if (probing) throw Undeclared{};
  FailLaunch("the AscendC API works inside a launched kernel only");
}

LaunchResult Launch(const std::function<void()>& kernel, GmSpace& gm, const LaunchOptions& options) {
  const Soc& soc = FindSoc(options.soc);
  const KernelType type = options.type == KernelType::kAuto ? DeclaredType(kernel, options) : options.type;
  Machine machine(soc, gm, options, type);
  return machine.Run(kernel);
}

}  // namespace ascend_sim
