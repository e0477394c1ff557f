#include "machine/memory.h"

#include <cstring>

namespace ascend_sim {

void LocalMemory::Create(Hardware kind, uint32_t size, bool checked) {
  constexpr uintptr_t kAlignment = 64;
  constexpr int kPoison = 0xFF;  // a NaN as half, bfloat16 and float, -1 as an integer
  kind_ = kind;
  size_ = size;
  storage_.reset(new uint8_t[size + kSlack + kAlignment]);
  const uintptr_t start = reinterpret_cast<uintptr_t>(storage_.get());
  data_ = storage_.get() + (kAlignment - start % kAlignment) % kAlignment;
  std::memset(data_, kPoison, size + kSlack);
  if (checked) shadow_.Create(size);
}

}  // namespace ascend_sim
