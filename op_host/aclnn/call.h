// One call of an aclnn function, whichever it was: tensors by role, lists, attributes. Nothing is checked.
#pragma once

#include <array>
#include <cstdint>

#include "aclnn/acl_meta.h"

namespace npu_fa::aclnn {

// In the order in which parameters that share a function follow each other.
enum Role : int {
  kQuery,
  kQueryRope,
  kKey,
  kKeyRope,
  kValue,
  kDy,
  kPse,
  kDropMask,
  kPaddingMask,
  kAttenMask,
  kSoftmaxMax,
  kSoftmaxSum,
  kSoftmaxIn,
  kAttentionIn,
  kSink,
  // Outputs.
  kSoftmaxMaxOut,
  kSoftmaxSumOut,
  kSoftmaxOutOut,
  kAttentionOut,
  kDq,
  kDqRope,
  kDk,
  kDkRope,
  kDv,
  kDpse,
  kDsink,
  kRoleCount,
};

constexpr bool IsOutput(Role role) { return role >= kSoftmaxMaxOut; }

struct Tensors {
  std::array<const aclTensor*, kRoleCount> by_role = {};
  const aclTensor*& operator[](Role role) { return by_role[role]; }
  const aclTensor* operator[](Role role) const { return by_role[role]; }
};

struct Lists {
  const aclIntArray *prefix = nullptr, *q_len = nullptr, *kv_len = nullptr, *q_start = nullptr, *kv_start = nullptr;
};

// The attributes all functions have, in the order all have them.
struct Attributes {
  double scale, keep_prob;
  int64_t pre_tokens, next_tokens, head_num;
  const char* layout;
  int64_t inner_precise, sparse_mode;
};

struct Call {
  const char* function;
  bool backward, varlen;
  Attributes attributes;
  Tensors tensors = {};
  Lists lists = {};
  int64_t pse_type = 1;
  const char* softmax_layout = "";
  bool has_rope = false, has_sink = false;  // among the function's parameters
  bool rope_required = false;
  bool rope_faults_are_null_faults = false;  // aclnnFlashAttentionVarLenScoreV3 reports every rope fault as 161001
};

// Whether the function has the parameter.
bool Has(const Call& call, Role role);

// The parameter's name in the header, without "Optional" and "Out".
const char* RoleName(const Call& call, Role role);

}  // namespace npu_fa::aclnn
