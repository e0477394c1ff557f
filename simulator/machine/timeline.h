// When everything happened: the recorded instructions of all cores laid out in time by the cost model.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "machine/instruction.h"
#include "machine/soc.h"
#include "machine/trace.h"

namespace ascend_sim {

struct TimelineOptions {
  bool heads = true;       // start-up cost of every instruction
  bool launch = false;     // cost of launching the kernel
  bool warm_l2 = false;    // GM is in L2 when the kernel starts
  bool contention = true;  // cores share what L2 and DDR have; else each moves at its own rate, as if alone
};

// One instruction in time; cycles from the start of the kernel.
struct TimelineEvent {
  uint32_t core;
  uint8_t pipe;
  const char* name;
  const char* file;
  int32_t line;
  uint64_t bytes;
  double begin;
  double end;
};

struct CoreInfo {
  std::string label;
  bool is_aic;
};

struct Timeline {
  const Soc* soc = nullptr;
  std::vector<CoreInfo> cores;
  std::vector<TimelineEvent> events;
  double cycles = 0;                                                  // makespan
  std::vector<std::array<double, kPipes>> busy;                       // by core and pipe: an instruction is running
  std::vector<std::array<double, kPipes>> work;                       // the same without start-up and lost bandwidth
  std::array<uint64_t, static_cast<int>(Path::kCount)> path_bytes{};  // all cores
  uint64_t ddr_bytes = 0;                                             // of them past L2
  std::array<double, kPipes> critical{};                              // cycles of the critical path spent on each pipe
  double critical_wait = 0;                                           // and in latencies between them

  double Microseconds() const { return cycles / soc->mhz; }
  // Mean over the cores of one kind.
  double BusyShare(bool aic, int pipe) const { return Share(busy, aic, pipe); }
  double WorkShare(bool aic, int pipe) const { return Share(work, aic, pipe); }
  // Bytes a cycle all cores together could move over a path at best.
  double PathPeak(Path path) const;
  std::string CriticalPipe() const;
  std::string Summary() const;      // a table for people
  std::string ChromeTrace() const;  // JSON for Perfetto or chrome://tracing

 private:
  double Share(const std::vector<std::array<double, kPipes>>& cycles_by_core, bool aic, int pipe) const;
};

Timeline BuildTimeline(const Soc& soc, const std::vector<CoreInfo>& cores, const std::vector<const CoreTrace*>& traces,
                       const TimelineOptions& options);

}  // namespace ascend_sim
