// The steps of BuildProblem that fill one part of the problem each; problem_builder.cpp runs them in order.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "problem_builder.h"
#include "require.h"
#include "semantics.h"

namespace npu_fa {

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
