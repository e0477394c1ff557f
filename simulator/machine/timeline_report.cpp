// What people read of a timeline: a summary table and a trace for a viewer.
#include <cinttypes>
#include <cstdio>

#include "machine/cost_model.h"
#include "machine/timeline.h"

namespace ascend_sim {
namespace {

std::string Quoted(const char* text) {
  std::string result = "\"";
  for (; *text != 0; ++text) {
    if (*text == '"' || *text == '\\') result += '\\';
    result += *text;
  }
  return result + "\"";
}

template <typename... Args>
void Append(std::string& out, const char* format, Args... args) {
  char text[512];
  std::snprintf(text, sizeof(text), format, args...);
  out += text;
}

}  // namespace

double Timeline::Share(const std::vector<std::array<double, kPipes>>& cycles_by_core, bool aic, int pipe) const {
  double sum = 0;
  int count = 0;
  for (size_t i = 0; i < cores.size(); ++i) {
    if (cores[i].is_aic != aic) continue;
    sum += cycles_by_core[i][pipe];
    ++count;
  }
  return count == 0 || cycles == 0 ? 0 : sum / count / cycles;
}

double Timeline::PathPeak(Path path) const {
  int aic = 0, aiv = 0;
  for (const CoreInfo& core : cores) ++(core.is_aic ? aic : aiv);
  const auto least = [](double a, double b) { return a < b ? a : b; };
  switch (path) {
    case Path::kGmToUb:
      return least(aiv * soc->l2_read_rate, soc->aic_count * soc->l2_read_rate);
    case Path::kGmToL1:
      return aic * soc->l2_read_rate;
    case Path::kUbToGm:
      return least(aiv * soc->ub_to_l2_rate, soc->aic_count * soc->l2_write_rate);
    case Path::kL1ToGm:
    case Path::kL0cToGm:
      return aic * soc->l2_write_rate;
    case Path::kL1ToL0a:
      return aic * cost::kL1ToL0a;
    case Path::kL1ToL0b:
      return aic * cost::kL1ToL0b;
    case Path::kUbToUb:
      return aiv * cost::kUbToUb;
    default:
      return 0;
  }
}

std::string Timeline::CriticalPipe() const {
  int longest = 0;
  for (int pipe = 1; pipe < kPipes; ++pipe) {
    if (critical[pipe] > critical[longest]) longest = pipe;
  }
  return PipeName(longest);
}

std::string Timeline::Summary() const {
  std::string out;
  Append(out, "%s, %zu cores: %.0f cycles = %.2f us at %d MHz (a model, not a measurement)\n", soc->name, cores.size(),
         cycles, Microseconds(), soc->mhz);
  out += "  pipe     busy AIC  work AIC   busy AIV  work AIV   on the critical path\n";
  for (int pipe = 0; pipe < kPipes; ++pipe) {
    Append(out, "  %-6s %9.1f%% %8.1f%% %9.1f%% %8.1f%% %15.1f%%\n", PipeName(pipe), 100 * BusyShare(true, pipe),
           100 * WorkShare(true, pipe), 100 * BusyShare(false, pipe), 100 * WorkShare(false, pipe),
           cycles == 0 ? 0.0 : 100 * critical[pipe] / cycles);
  }
  Append(out, "  latency and waiting on the critical path %.1f%%\n", cycles == 0 ? 0.0 : 100 * critical_wait / cycles);
  for (int path = 1; path < static_cast<int>(Path::kCount); ++path) {
    if (path_bytes[path] == 0) continue;
    const double rate = cycles == 0 ? 0 : static_cast<double>(path_bytes[path]) / cycles;
    const double peak = PathPeak(static_cast<Path>(path));
    Append(out, "  %-9s %12" PRIu64 " bytes, %8.1f bytes/cycle", PathName(static_cast<Path>(path)), path_bytes[path],
           rate);
    if (peak > 0) Append(out, " of %.0f (%.1f%%)", peak, 100 * rate / peak);
    out += "\n";
  }
  Append(out, "  beyond L2 %12" PRIu64 " bytes\n", ddr_bytes);
  return out;
}

std::string Timeline::ChromeTrace() const {
  std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  bool first = true;
  const auto comma = [&] {
    if (!first) out += ",\n";
    first = false;
  };
  for (size_t core = 0; core < cores.size(); ++core) {
    comma();
    Append(out, "{\"ph\":\"M\",\"pid\":%zu,\"name\":\"process_name\",\"args\":{\"name\":\"%s\"}}", core,
           cores[core].label.c_str());
    for (int pipe = 0; pipe < kPipes; ++pipe) {
      comma();
      Append(out, "{\"ph\":\"M\",\"pid\":%zu,\"tid\":%d,\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}}", core,
             pipe, PipeName(pipe));
    }
  }
  for (const TimelineEvent& event : events) {
    if (event.end == event.begin) continue;
    comma();
    out += "{\"ph\":\"X\",\"name\":" + Quoted(event.name);
    Append(out,
           ",\"pid\":%u,\"tid\":%d,\"ts\":%.4f,\"dur\":%.4f,\"args\":{\"cycles\":%.0f,\"bytes\":%" PRIu64 ",\"line\":",
           event.core, event.pipe, event.begin / soc->mhz, (event.end - event.begin) / soc->mhz,
           event.end - event.begin, event.bytes);
    out += Quoted((std::string(event.file) + ":" + std::to_string(event.line)).c_str()) + "}}";
  }
  return out + "\n]}\n";
}

}  // namespace ascend_sim
