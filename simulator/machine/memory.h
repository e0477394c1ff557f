// One bounded local memory of a core (UB, L1, L0A, L0B, L0C, bias table, fixpipe buffer).
#pragma once

#include <cstdint>
#include <memory>

#include "machine/shadow.h"
#include "types/enums.h"

namespace ascend_sim {

class LocalMemory {
 public:
  // Bytes after the end that batch code may read (never write) without a fault of the host.
  static constexpr uint32_t kSlack = 64;

  // Fills the memory with a NaN pattern, so that what was never written shows in the values too.
  void Create(Hardware kind, uint32_t size, bool checked);
  Hardware kind() const { return kind_; }
  uint32_t size() const { return size_; }
  uint8_t* data() const { return data_; }
  LocalShadow& shadow() { return shadow_; }

 private:
  Hardware kind_ = Hardware::MAX;
  uint32_t size_ = 0;
  std::unique_ptr<uint8_t[]> storage_;
  uint8_t* data_ = nullptr;  // aligned to 64 bytes
  LocalShadow shadow_;
};

}  // namespace ascend_sim
