// The steps of BuildProblem that fill one part of the problem each; problem_builder.cpp runs them in order.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "problem_builder.h"
#include "require.h"
#include "semantics.h"

namespace npu_fa {

constexpr int64_t kMaxHeadDim = 768;

// Positions of the axes of q, k and v in a layout; heads == -1 where they share the last axis with the head size,
// batch == -1 in TND.
struct Axes {
  const char* name;
  int rank, batch, sequence, heads;
};

// By its name in capital letters; null for any other.
inline const Axes* FindLayout(const std::string& name) {
  static constexpr Axes kLayouts[] = {
      {"BSH", 3, 0, 1, -1}, {"SBH", 3, 1, 0, -1}, {"BNSD", 4, 0, 2, 1}, {"BSND", 4, 0, 1, 2}, {"TND", 3, -1, 0, 1},
  };
  for (const Axes& layout : kLayouts)
    if (name == layout.name) return &layout;
  return nullptr;
}

// What the layout says, before strides.
struct Geometry {
  bool tnd = false;
  int64_t batch = 0;  // batched layouts: B; TND: number of sequences
  int64_t q_heads = 0, kv_heads = 0;
  int64_t max_q_len = 0, max_kv_len = 0;  // over sequences
  int64_t sum_q_len = 0, sum_kv_len = 0;  // TND: last cumulative length
};

inline bool IsBackward(const Arguments& a) { return a.entry == Entry::kBackward || a.entry == Entry::kBackwardV2; }

inline bool NonEmpty(const Sequence& s) { return s.q_len > 0 && s.kv_len > 0; }

// visibility.cpp: sparse mode, tokens, prefix and atten_mask -> a Band per sequence and the dense mask.
void BuildVisibility(const Arguments& arguments, const Geometry& geometry, HostProblem* built);

// bias.cpp: pse and pse_type -> Bias, and each sequence's place in it.
void BuildBias(const Arguments& arguments, const Geometry& geometry, HostProblem* built);

}  // namespace npu_fa
