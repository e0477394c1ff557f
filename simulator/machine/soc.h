// The chips the simulator knows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ascend_sim {

// Every number is from the toolkit's platform file of that name (CANN 8.1.RC1, data/platform_config/<name>.ini);
// the key is beside each field.
struct Soc {
  const char* name;       // SoC_version
  int aic_count;          // cube_core_cnt
  int aiv_count;          // vector_core_cnt
  int mhz;                // cube_freq
  uint64_t hbm_bytes;     // memory_size
  uint64_t l2_bytes;      // l2_size
  uint32_t ub_bytes;      // ub_size
  uint32_t l1_bytes;      // l1_size
  uint32_t l0a_bytes;     // l0_a_size
  uint32_t l0b_bytes;     // l0_b_size
  uint32_t l0c_bytes;     // l0_c_size
  uint32_t bt_bytes;      // bt_size
  uint32_t fixbuf_bytes;  // fb0_size + fb1_size + fb2_size + fb3_size
  double ddr_rate;        // ddr_rate, bytes a cycle a core
  double l2_read_rate;    // l2_read_rate
  double l2_write_rate;   // l2_write_rate
  double ub_to_l2_rate;   // ub_to_l2_rate
  double l1_to_l0a_rate;  // l1_to_l0_a_rate
  double l1_to_l0b_rate;  // l1_to_l0_b_rate
};

const std::vector<Soc>& SocTable();
// The chip where nobody names one: ASCEND_SIMULATOR_SOC, by default "Ascend910B2".
std::string DefaultSoc();
// Throws Fault(kHost) naming the known chips.
const Soc& FindSoc(const std::string& name);

}  // namespace ascend_sim
