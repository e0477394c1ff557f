// The arithmetic of atomic writes to GM.
#pragma once

#include <cstdint>

#include "machine/core.h"

namespace ascend_sim {

uint32_t AtomicBytes(AtomicType type);

// memory = op(memory, data) element by element; plain copy for AtomicOp::kNone.
void StoreToGm(AtomicOp op, AtomicType type, uint8_t* memory, const uint8_t* data, uint64_t bytes);

}  // namespace ascend_sim
