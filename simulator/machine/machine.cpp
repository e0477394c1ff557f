#include "machine/machine.h"

#include <algorithm>
#include <thread>

namespace ascend_sim {
namespace {

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
