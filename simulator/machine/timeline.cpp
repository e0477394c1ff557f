#include "machine/timeline.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <list>
#include <queue>
#include <unordered_map>

#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

constexpr int kScalar = 0, kV = 1, kM = 2;
constexpr int kEventIds = static_cast<int>(HardEvent::MAX) * 8;
constexpr int kOrderIds = kPipes * 8;
constexpr double kNever = std::numeric_limits<double>::infinity();

bool IsRead(Path path) { return path == Path::kGmToUb || path == Path::kGmToL1; }
bool IsWrite(Path path) { return path == Path::kUbToGm || path == Path::kL1ToGm || path == Path::kL0cToGm; }

// Which lines of GM are in L2: least recently used ones leave first.
class L2Cache {
 public:
  L2Cache(uint64_t bytes, bool warm) : capacity_(bytes / cost::kL2Line), warm_(warm) {}

  // Bytes of the transfer that L2 does not hold yet.
  uint64_t Touch(const TraceRecord& record) {
    if (warm_ || record.gm_address == 0 || record.bursts == 0) return 0;
    const uint64_t burst = record.bytes / record.bursts;
    uint64_t cold = 0;
    for (uint32_t i = 0; i < record.bursts; ++i) {
      const uint64_t begin = record.gm_address + static_cast<uint64_t>(record.gm_pitch) * i;
      for (uint64_t line = begin / cost::kL2Line; line <= (begin + burst - 1) / cost::kL2Line; ++line) {
        if (!Hold(line)) cold += cost::kL2Line;
      }
    }
    return std::min(cold, record.bytes);
  }

 private:
  bool Hold(uint64_t line) {
    const auto found = where_.find(line);
    if (found != where_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return true;
    }
    order_.push_front(line);
    where_[line] = order_.begin();
    if (order_.size() > capacity_) {
      where_.erase(order_.back());
      order_.pop_back();
    }
    return false;
  }

  uint64_t capacity_;
  bool warm_;
  std::list<uint64_t> order_;
  std::unordered_map<uint64_t, std::list<uint64_t>::iterator> where_;
};

class Replay {
 public:
  Replay(const Soc& soc, const std::vector<CoreInfo>& cores, const std::vector<const CoreTrace*>& traces,
         const TimelineOptions& options)
      : soc_(soc), options_(options), l2_(soc.l2_bytes, options.warm_l2) {
    timeline_.soc = &soc;
    timeline_.cores = cores;
    timeline_.busy.resize(cores.size());
    timeline_.work.resize(cores.size());
    for (size_t i = 0; i < cores.size(); ++i) {
      cores_.emplace_back();
      cores_.back().trace = traces[i];
      cores_.back().flags.resize(kEventIds + kOrderIds);
    }
  }

  Timeline Run() {
    const double start = options_.launch ? cost::kLaunchMicroseconds * soc_.mhz : 0;
    for (uint32_t core = 0; core < cores_.size(); ++core) At(start, Kind::kIssue, core, 0);
    timeline_.cycles = start;
    while (!events_.empty() || !transfers_.empty()) {
      const double next_event = events_.empty() ? kNever : events_.top().time;
      const double next_transfer = NextTransfer();
      if (next_transfer <= next_event) {
        FinishTransfer(next_transfer);
        continue;
      }
      const Event event = events_.top();
      events_.pop();
      now_ = event.time;
      switch (event.kind) {
        case Kind::kIssue:
          Issue(event.core);
          break;
        case Kind::kTry:
          Try(event.core, event.pipe);
          break;
        case Kind::kDone:
          Done(event.core, event.pipe);
          break;
        case Kind::kTransfer:
          StartTransfer(event.core, event.pipe);
          break;
      }
    }
    FindCriticalPath();
    return std::move(timeline_);
  }

 private:
  enum class Kind : uint8_t { kIssue, kTry, kDone, kTransfer };
  struct Event {
    double time;
    uint64_t order;  // ties in the order they were made, so that a replay is repeatable
    Kind kind;
    uint32_t core;
    int pipe;
    bool operator<(const Event& other) const { return time != other.time ? time > other.time : order > other.order; }
  };
  struct Queued {
    const TraceRecord* record;
    double ready;  // when it was issued
    int64_t cause;
  };
  struct Arrival {
    double time;
    int64_t cause;
  };
  struct Flag {
    std::deque<Arrival> arrivals;
    bool awaited = false;
    int waiter = 0;  // pipe
  };
  struct Pipe {
    std::deque<Queued> queue;
    bool busy = false;
    int64_t last = -1;  // the instruction that ran last, or whose flag it waited for
    TimelineEvent running;
    double work = 0;
    int64_t running_cause = -1;
    const TraceRecord* current = nullptr;
    double held_until = 0;  // a flag it waits for is on its way until then
  };
  struct CoreState {
    const CoreTrace* trace = nullptr;
    size_t next = 0;
    double issue_time = 0;
    int64_t issue_cause = -1;
    bool draining = false;
    bool order_issued = false;  // the OrderPipes record at `next` is already in its source pipe
    std::array<Pipe, kPipes> pipes;
    std::vector<Flag> flags;
  };
  struct Transfer {
    uint32_t core;
    int pipe;
    double left;
    double own_rate;
    bool write;
    double ddr_share;  // of its bytes
    double rate = 0;
  };

  double Head(double cycles) const { return options_.heads ? cycles : 0; }

  void At(double time, Kind kind, uint32_t core, int pipe) { events_.push({time, order_++, kind, core, pipe}); }

  int FlagOf(const TraceRecord& record) const {
    if (record.kind == RecordKind::kOrder) return kEventIds + record.other_pipe * 8 + record.pipe;
    return record.event * 8 + record.id;
  }

  void Issue(uint32_t index) {
    CoreState& core = cores_[index];
    core.issue_time = std::max(core.issue_time, now_);
    while (core.next < core.trace->records.size()) {
      const TraceRecord& record = core.trace->records[core.next];
      const int pipe = record.pipe;
      switch (record.kind) {
        case RecordKind::kWaitEvent:
          if (pipe == kScalar) {
            if (!TakeFlag(core, FlagOf(record), kScalar, core.issue_time, core.issue_cause)) return;
          } else {
            Enqueue(index, pipe, record);
          }
          break;
        case RecordKind::kOrder: {
          if (!core.order_issued) Enqueue(index, record.other_pipe, record);
          core.order_issued = pipe == kScalar;
          if (pipe == kScalar) {
            if (!TakeFlag(core, FlagOf(record), kScalar, core.issue_time, core.issue_cause)) return;
            core.order_issued = false;
          } else {
            Enqueue(index, pipe, record);
          }
          break;
        }
        case RecordKind::kBarrier:
          if (record.other_pipe == 0xFF) {
            if (!Drained(core)) {
              core.draining = true;
              return;
            }
            for (const Pipe& each : core.pipes) core.issue_cause = Later(each.last, core.issue_cause);
            core.issue_time += Head(cost::kHeadBarrier);
          } else {
            Enqueue(index, pipe, record);
          }
          break;
        case RecordKind::kCrossWait:
          if (!CrossReady(index, record)) return;
          break;
        default:
          Enqueue(index, pipe, record);
      }
      ++core.next;
      core.issue_time += Head(cost::kHeadIssue);
    }
    timeline_.cycles = std::max(timeline_.cycles, core.issue_time);
  }

  void Enqueue(uint32_t index, int pipe, const TraceRecord& record) {
    CoreState& core = cores_[index];
    core.pipes[pipe].queue.push_back({&record, core.issue_time, core.issue_cause});
    At(core.issue_time, Kind::kTry, index, pipe);
  }

  bool Drained(const CoreState& core) const {
    for (const Pipe& pipe : core.pipes) {
      if (pipe.busy || !pipe.queue.empty() || pipe.held_until > now_) return false;
    }
    return true;
  }

  double EndOf(int64_t instruction) const { return instruction < 0 ? -1 : timeline_.events[instruction].end; }

  // Takes one arrival of a flag, moving `time` to it; otherwise notes who waits.
  bool TakeFlag(CoreState& core, int flag_id, int waiter, double& time, int64_t& cause) {
    Flag& flag = core.flags[flag_id];
    if (flag.arrivals.empty()) {
      flag.awaited = true;
      flag.waiter = waiter;
      return false;
    }
    const Arrival arrival = flag.arrivals.front();
    flag.arrivals.pop_front();
    time = std::max(time, arrival.time);
    cause = Later(arrival.cause, cause);
    return true;
  }

  void RaiseFlag(uint32_t index, int flag_id, double time, int64_t cause) {
    Flag& flag = cores_[index].flags[flag_id];
    flag.arrivals.push_back({time, cause});
    if (!flag.awaited) return;
    flag.awaited = false;
    At(std::max(now_, time), flag.waiter == kScalar ? Kind::kIssue : Kind::kTry, index, flag.waiter);
  }

  bool CrossReady(uint32_t index, const TraceRecord& record) {
    CoreState& core = cores_[index];
    double time = core.issue_time;
    int64_t cause = core.issue_cause;
    for (const uint64_t token : core.trace->waits[record.token].tokens) {
      const auto found = tokens_.find(token);
      if (found == tokens_.end()) {
        token_waiters_[token].push_back(index);
        return false;
      }
      time = std::max(time, found->second.time);
      cause = Later(found->second.cause, cause);
    }
    core.issue_time = time;
    core.issue_cause = cause;
    return true;
  }

  void Try(uint32_t index, int pipe_index) {
    CoreState& core = cores_[index];
    Pipe& pipe = core.pipes[pipe_index];
    if (pipe.held_until > now_) {
      At(pipe.held_until, Kind::kTry, index, pipe_index);
      return;
    }
    while (!pipe.busy && !pipe.queue.empty()) {
      Queued& front = pipe.queue.front();
      if (front.ready > now_) {
        At(front.ready, Kind::kTry, index, pipe_index);
        return;
      }
      const TraceRecord& record = *front.record;
      const bool waits =
          record.kind == RecordKind::kWaitEvent || (record.kind == RecordKind::kOrder && record.pipe == pipe_index);
      if (waits) {
        double time = now_;
        int64_t cause = pipe.last;
        if (!TakeFlag(core, FlagOf(record), pipe_index, time, cause)) return;
        pipe.last = cause;
        pipe.queue.pop_front();
        if (time > now_) {
          pipe.held_until = time;
          At(time, Kind::kTry, index, pipe_index);
          return;
        }
        continue;
      }
      if (record.kind == RecordKind::kSetEvent || record.kind == RecordKind::kOrder) {
        const double latency = record.kind == RecordKind::kSetEvent ? Head(cost::kHeadFlag) : 0;
        RaiseFlag(index, FlagOf(record), now_ + latency, Later(pipe.last, front.cause));
        pipe.queue.pop_front();
        continue;
      }
      if (record.kind == RecordKind::kCrossSet) {
        tokens_[record.token] = {now_ + Head(cost::kHeadCrossFlag), Later(pipe.last, front.cause)};
        const auto waiters = token_waiters_.find(record.token);
        if (waiters != token_waiters_.end()) {
          for (const uint32_t waiter : waiters->second) {
            At(now_ + Head(cost::kHeadCrossFlag), Kind::kIssue, waiter, kScalar);
          }
          token_waiters_.erase(waiters);
        }
        pipe.queue.pop_front();
        continue;
      }
      Start(index, pipe_index, record, front);
      return;
    }
    if (core.draining && Drained(core)) {
      core.draining = false;
      At(now_, Kind::kIssue, index, kScalar);
    }
  }

  int64_t Later(int64_t a, int64_t b) const { return EndOf(a) >= EndOf(b) ? a : b; }

  void Start(uint32_t index, int pipe_index, const TraceRecord& record, const Queued& queued) {
    Pipe& pipe = cores_[index].pipes[pipe_index];
    pipe.busy = true;
    pipe.running_cause = Later(pipe.last, queued.cause);
    pipe.current = &record;
    pipe.running = {index, static_cast<uint8_t>(pipe_index), record.name, record.file, record.line, record.bytes, now_,
                    now_};
    const Path path = static_cast<Path>(record.path);
    timeline_.path_bytes[record.path] += record.bytes;
    double head = 0;
    if (record.kind == RecordKind::kBarrier) {
      head = Head(cost::kHeadBarrier);
    } else if (pipe_index == kV) {
      head = Head(cost::kHeadVector);
    } else if (pipe_index == kM) {
      head = Head(cost::kHeadCube);
    } else if (pipe_index != kScalar) {
      head = Head(cost::kHeadMte);
    }
    pipe.work = record.cycles;
    if (IsRead(path) || IsWrite(path)) {
      pipe.work = std::max<double>(pipe.work, static_cast<double>(record.bytes) / OwnRate(path));
      At(now_ + head, Kind::kTransfer, index, pipe_index);
      return;
    }
    if (path == Path::kL1ToL0a || path == Path::kL1ToL0b) {
      const double rate = path == Path::kL1ToL0a ? cost::kL1ToL0a : cost::kL1ToL0b;
      pipe.work = std::max<double>(pipe.work, static_cast<double>(record.bytes) / rate);
    }
    At(now_ + head + pipe.work, Kind::kDone, index, pipe_index);
  }

  void Done(uint32_t index, int pipe_index) {
    CoreState& core = cores_[index];
    Pipe& pipe = core.pipes[pipe_index];
    pipe.busy = false;
    pipe.queue.pop_front();
    pipe.running.end = now_;
    pipe.last = static_cast<int64_t>(timeline_.events.size());
    timeline_.events.push_back(pipe.running);
    causes_.push_back(pipe.running_cause);
    timeline_.busy[index][pipe_index] += pipe.running.end - pipe.running.begin;
    timeline_.work[index][pipe_index] += pipe.work;
    timeline_.cycles = std::max(timeline_.cycles, now_);
    Try(index, pipe_index);
  }

  // ------------------------------------------------------------------------------------------- shared bandwidth

  double OwnRate(Path path) const {
    if (IsRead(path)) return soc_.l2_read_rate;
    return path == Path::kUbToGm ? soc_.ub_to_l2_rate : soc_.l2_write_rate;
  }

  void StartTransfer(uint32_t index, int pipe_index) {
    const TraceRecord& record = *cores_[index].pipes[pipe_index].current;
    const Path path = static_cast<Path>(record.path);
    const uint64_t cold = l2_.Touch(record);
    timeline_.ddr_bytes += cold;
    Progress();
    transfers_.push_back({index, pipe_index, static_cast<double>(record.bytes), OwnRate(path), IsWrite(path),
                          record.bytes == 0 ? 0 : static_cast<double>(cold) / static_cast<double>(record.bytes)});
    ShareOut();
  }

  // Moves every transfer on to the present at its current rate.
  void Progress() {
    for (Transfer& transfer : transfers_) transfer.left -= transfer.rate * (now_ - progressed_);
    progressed_ = now_;
  }

  // Everybody gets its own rate, cut in proportion where all together pass what L2 (each direction) or DDR has.
  void ShareOut() {
    if (!options_.contention) {
      for (Transfer& transfer : transfers_) transfer.rate = transfer.own_rate;
      return;
    }
    double read = 0, write = 0;
    for (const Transfer& transfer : transfers_) (transfer.write ? write : read) += transfer.own_rate;
    const double read_cut = std::min(1.0, soc_.l2_read_rate * soc_.aic_count / std::max(read, 1.0));
    const double write_cut = std::min(1.0, soc_.l2_write_rate * soc_.aic_count / std::max(write, 1.0));
    double ddr = 0;
    for (Transfer& transfer : transfers_) {
      transfer.rate = transfer.own_rate * (transfer.write ? write_cut : read_cut);
      ddr += transfer.rate * transfer.ddr_share;
    }
    const double ddr_cut = std::min(1.0, soc_.ddr_rate * soc_.aic_count / std::max(ddr, 1.0));
    for (Transfer& transfer : transfers_) {
      if (transfer.ddr_share > 0) transfer.rate *= 1 - transfer.ddr_share + transfer.ddr_share * ddr_cut;
    }
  }

  double NextTransfer() const {
    double next = kNever;
    for (const Transfer& transfer : transfers_) {
      next = std::min(next, progressed_ + std::max(0.0, transfer.left) / transfer.rate);
    }
    return next;
  }

  void FinishTransfer(double time) {
    now_ = time;
    Progress();
    std::vector<std::pair<uint32_t, int>> finished;
    for (size_t i = 0; i < transfers_.size();) {
      if (transfers_[i].left > 1e-6) {
        ++i;
        continue;
      }
      finished.emplace_back(transfers_[i].core, transfers_[i].pipe);
      transfers_.erase(transfers_.begin() + static_cast<int64_t>(i));
    }
    ShareOut();
    for (const auto& [core, pipe] : finished) Done(core, pipe);
  }

  void FindCriticalPath() {
    int64_t at = -1;
    for (size_t i = 0; i < timeline_.events.size(); ++i) {
      if (at < 0 || timeline_.events[i].end > timeline_.events[at].end) at = static_cast<int64_t>(i);
    }
    double next_begin = timeline_.cycles;
    for (; at >= 0; at = causes_[at]) {
      const TimelineEvent& event = timeline_.events[at];
      timeline_.critical[event.pipe] += event.end - event.begin;
      timeline_.critical_wait += std::max(0.0, next_begin - event.end);
      next_begin = event.begin;
    }
    timeline_.critical_wait += next_begin;
  }

  const Soc& soc_;
  TimelineOptions options_;
  L2Cache l2_;
  Timeline timeline_;
  std::vector<int64_t> causes_;  // by instruction: the one it waited for last
  std::vector<CoreState> cores_;
  std::priority_queue<Event> events_;
  uint64_t order_ = 0;
  double now_ = 0;
  std::vector<Transfer> transfers_;
  double progressed_ = 0;
  std::unordered_map<uint64_t, Arrival> tokens_;
  std::unordered_map<uint64_t, std::vector<uint32_t>> token_waiters_;
};

}  // namespace

Timeline BuildTimeline(const Soc& soc, const std::vector<CoreInfo>& cores, const std::vector<const CoreTrace*>& traces,
                       const TimelineOptions& options) {
  return Replay(soc, cores, traces, options).Run();
}

}  // namespace ascend_sim
