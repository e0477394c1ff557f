#include "machine/soc.h"

#include <cstdlib>

#include "machine/fault.h"

namespace ascend_sim {
namespace {

constexpr uint64_t kGiB = 1ull << 30;
constexpr uint64_t kMiB = 1ull << 20;

// The core is the same on all of them (dav-c220).
Soc C220(const char* name, int aic, int mhz, uint64_t hbm, uint64_t l2) {
  return Soc{name,       aic,  2 * aic,  mhz, hbm, l2, 192 * 1024, 512 * 1024, 64 * 1024, 64 * 1024,
             128 * 1024, 1024, 7 * 1024, 32,  110, 86, 64,         512,        256};
}

}  // namespace

const std::vector<Soc>& SocTable() {
  static const std::vector<Soc> table = {
      C220("Ascend910B1", 24, 1850, 64 * kGiB, 192 * kMiB),    C220("Ascend910B2", 24, 1800, 64 * kGiB, 192 * kMiB),
      C220("Ascend910B2C", 24, 1800, 0, 192 * kMiB),  // its file leaves memory_size empty
      C220("Ascend910B3", 20, 1800, 64 * kGiB, 192 * kMiB),    C220("Ascend910B4", 20, 1500, 32 * kGiB, 96 * kMiB),
      C220("Ascend910B4-1", 20, 1500, 32 * kGiB, 168 * kMiB),  C220("Ascend910_9362", 20, 1500, 32 * kGiB, 168 * kMiB),
      C220("Ascend910_9372", 20, 1800, 64 * kGiB, 192 * kMiB), C220("Ascend910_9381", 24, 1800, 64 * kGiB, 192 * kMiB),
      C220("Ascend910_9382", 24, 1800, 64 * kGiB, 192 * kMiB), C220("Ascend910_9391", 24, 1850, 64 * kGiB, 192 * kMiB),
      C220("Ascend910_9392", 24, 1850, 64 * kGiB, 192 * kMiB),
  };
  return table;
}

std::string DefaultSoc() {
  const char* const chosen = std::getenv("ASCEND_SIMULATOR_SOC");
  return chosen == nullptr || *chosen == '\0' ? "Ascend910B2" : chosen;
}

const Soc& FindSoc(const std::string& name) {
  std::string known;
  for (const Soc& soc : SocTable()) {
    if (name == soc.name) return soc;
    known += std::string(known.empty() ? "" : ", ") + soc.name;
  }
  FaultRecord record;
  record.detail = "soc: expected one of " + known + ", got " + name;
  throw Fault(record);
}

}  // namespace ascend_sim
