// What the CPU kernels compute, one unit of work at a time: the border between backend.cpp, which divides a call into
// units and runs them on threads, and kernels.cpp, which is compiled once per instruction-set level.
#pragma once

#include <cstdint>

#include "problem.h"
#include "products.h"

namespace npu_fa {

// Rows of all query heads that share a key head are flattened as lane = row * group + head_of_group, so that they share
// one pass over its keys. kLanes of them are a block; a vector instruction works on as many lanes as fit.
constexpr int64_t kLanes = 64;

// Keys of a tile are handled 32 at a time: one bit each of a word says visible or kept.
constexpr int64_t kKeysOfWord = 32;

// One call: the problem and where its tensors are. Pointers are null where the call has no such tensor.
struct CpuCall {
  const AttentionProblem* problem;
  const Sequence* sequences;
  const Products* products;
  bool bfloat16_products;  // operands stay bfloat16; else they are widened to float32
  const void *q, *k, *v, *q_rope, *k_rope;
  const void *mask, *bias, *drop_bits;
  const void* sink;  // in the dtype of the statistics, like softmax_max and softmax_sum
  void *out, *softmax_max, *softmax_sum;
  // Backward. The gradients are laid out as the problem says; null where not needed.
  const void *dy, *y;
  void *dq, *dk, *dv, *dq_rope, *dk_rope;
  void* dpse;  // in the dtype of the statistics, addressed like the bias
  // Per (sequence, key head) starting at lane_start: maximum, 1 / sum and sum_j P dP of each lane, 0 for lanes that
  // pad.
  void *lane_max, *lane_inverse_sum, *lane_delta;
  uint64_t keep_below;  // a random word keeps its element iff it is below this
};

// Lane blocks [block_begin, block_end) of one sequence and key head.
struct RowTask {
  int32_t sequence, kv_head;
  int64_t block_begin, block_end;
  int64_t lane_start;  // where the lanes of (sequence, kv_head) start in CpuCall's lane arrays
};

// Gradients of keys [key_begin, key_end) of one sequence and key head, and their share of the gradient of its queries:
// dq_slot holds [head_dim + rope_dim][kLanes] for each lane block from dq_block on, dq_written says which hold
// anything.
struct KeyTask {
  int32_t sequence, kv_head;
  int64_t key_begin, key_end;
  int64_t lane_start;
  int64_t dq_block;
  void* dq_slot;
  uint8_t* dq_written;
};

// One of the slots that make up the gradient of a range of lane blocks, in the order in which they are added.
struct QuerySlot {
  int64_t block_begin, block_end;
  const void* slot;
  const uint8_t* written;
};

// The kernels of one instruction-set level. `scratch` is 64-byte aligned and as large as the matching size says.
struct Kernels {
  const char* level;
  int64_t (*forward_scratch)(const CpuCall&, const RowTask&);
  void (*forward)(const CpuCall&, const RowTask&, void* scratch);
  int64_t (*statistics_scratch)(const CpuCall&, const RowTask&);
  void (*statistics)(const CpuCall&, const RowTask&, void* scratch);  // fills the lane arrays
  int64_t (*backward_scratch)(const CpuCall&, const KeyTask&);
  void (*backward)(const CpuCall&, const KeyTask&, void* scratch);
  void (*finish_queries)(const CpuCall&, const RowTask&, const QuerySlot* slots, int64_t count, void* scratch);
  int64_t (*finish_scratch)(const CpuCall&);
  void (*exp2)(const float* x, float* y, int64_t count);  // for its test
};

#define NPU_FA_CPU_LEVELS(X) X(plain) X(avx2) X(avx512) X(avx512_bf16)
#define NPU_FA_DECLARE_LEVEL(name) extern const Kernels kKernels_##name;
NPU_FA_CPU_LEVELS(NPU_FA_DECLARE_LEVEL)
#undef NPU_FA_DECLARE_LEVEL

}  // namespace npu_fa
