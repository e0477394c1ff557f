#include "checks.h"

#include <cstring>

#include "problem_parts.h"

namespace npu_fa::aclnn {
namespace {

void RequirePointer(const void* pointer, const char* name) {
  Require(pointer != nullptr, Status::kParamNull, name, ": expected a pointer, got null");
}

class Checker {
 public:
  Checker(const Call& call, const Views& views) : call_(call), views_(views) {}

  void Check() const {
    CheckDTypes();
    Require(std::strcmp(call_.softmax_layout, "") == 0 || std::strcmp(call_.softmax_layout, "same_as_input") == 0,
            Status::kParamInvalid, call_.backward ? "softmaxInLayout" : "softmaxOutLayout",
            ": expected \"\" or \"same_as_input\", got \"", call_.softmax_layout, "\"");
    CheckAxes();
    CheckRope();
    CheckSink();
  }

 private:
  const TensorView& View(Role role) const { return *views_[role]; }
  const char* Name(Role role) const { return RoleName(call_, role); }

  void CheckDTypes() const {
    const aclDataType dtype = View(kQuery).dtype;
    Require(dtype == ACL_FLOAT16 || dtype == ACL_BF16 || dtype == ACL_FLOAT, Status::kParamInvalid,
            "query: expected dtype float16, bfloat16 or float32, got ", DTypeName(dtype));
    for (const Role role : {kKey, kValue})
      Require(View(role).dtype == dtype, Status::kParamInvalid, Name(role), ": expected dtype ", DTypeName(dtype),
              " like query, got ", DTypeName(View(role).dtype));
    for (int role = 0; role < kRoleCount; ++role)
      if (views_[role]) CheckFormat(Role(role));
    if (call_.backward) return;  // the backward's tiling looks at pse
    const bool slopes = call_.pse_type == 2 || call_.pse_type == 3;
    if (slopes)
      Require(views_[kPse].has_value(), Status::kParamInvalid, Name(kPse), ": pseType ", call_.pse_type,
              " expects slopes, got null");
    if (!views_[kPse]) return;
    const aclDataType expected = slopes ? ACL_FLOAT : dtype;
    Require(View(kPse).dtype == expected, Status::kParamInvalid, Name(kPse), ": pseType ", call_.pse_type,
            " expects dtype ", DTypeName(expected), ", got ", DTypeName(View(kPse).dtype));
  }

  void CheckFormat(Role role) const {
    switch (View(role).format) {
      case ACL_FORMAT_UNDEFINED:
      case ACL_FORMAT_ND:
      case ACL_FORMAT_NCHW:
      case ACL_FORMAT_NHWC:
      case ACL_FORMAT_NCDHW:
      case ACL_FORMAT_NDHWC:
        return;
      default:
        Require(false, Status::kParamInvalid, Name(role), ": expected format ND, got aclFormat ",
                static_cast<int>(View(role).format));
    }
  }

  void CheckAxes() const {
    const Attributes& a = call_.attributes;
    Require(a.head_num > 0, Status::kParamInvalid, "headNum: expected at least 1, got ", a.head_num);
    const Axes* axes = FindLayout(a.layout);
    Require(axes != nullptr && call_.varlen == (axes->batch < 0), Status::kParamInvalid, "inputLayout: expected ",
            call_.varlen ? "TND" : "BSH, SBH, BSND or BNSD", ", got \"", a.layout, "\"");
    for (const Role role : {kQuery, kKey, kValue, kDy, kAttentionIn, kAttentionOut, kDq, kDk, kDv})
      if (Has(call_, role))
        Require(static_cast<int>(View(role).sizes.size()) == axes->rank, Status::kParamInvalid, Name(role),
                ": expected ", axes->rank, " dimensions for layout ", a.layout, ", got shape ", View(role).sizes);
    const int64_t query = View(kQuery).sizes.back(), key = View(kKey).sizes.back(), value = View(kValue).sizes.back();
    int64_t depth = query, value_depth = value;
    if (axes->heads < 0) {
      depth = query / a.head_num;
      Require(depth > 0 || query == 0, Status::kParamInvalid, "query: expected a last dimension of at least headNum ",
              a.head_num, ", got shape ", View(kQuery).sizes);
      Require(depth > 0 || !call_.backward, Status::kParamInvalid, "query: expected a head size of at least 1, got 0");
      const int64_t kv_heads = depth > 0 ? key / depth : 0;
      value_depth = kv_heads > 0 ? value / kv_heads : 0;
    } else {
      Require(key == depth, Status::kParamInvalid, Name(kKey), ": expected query's head size ", depth, ", got ", key,
              " (shape ", View(kKey).sizes, ")");
    }
    Require(depth >= value_depth, Status::kParamInvalid, "value: expected a head size of at most query's ", depth,
            ", got ", value_depth);
    Require(depth <= kMaxHeadDim, Status::kParamInvalid, "query: expected a head size of at most ", kMaxHeadDim,
            ", got ", depth);
  }

  // One-sided rope is refused by the forward's first phase and by the backward's tiling.
  void CheckRope() const {
    const bool query = views_[kQueryRope].has_value(), key = views_[kKeyRope].has_value();
    if (!query && !key) return;
    const Role missing = query ? kKeyRope : kQueryRope;
    Require(query && key, call_.backward ? Status::kTilingError : Status::kParamNull, Name(missing),
            ": expected a tensor beside ", Name(query ? kQueryRope : kKeyRope), ", got null");
    const Status status = call_.rope_faults_are_null_faults ? Status::kParamNull : Status::kParamInvalid;
    for (const Role role : {kQueryRope, kKeyRope})
      Require(View(role).dtype == ACL_BF16 && View(kQuery).dtype == ACL_BF16, status, Name(role),
              ": expected dtype bfloat16 like query's, got ", DTypeName(View(role).dtype), " beside ",
              DTypeName(View(kQuery).dtype));
    for (const auto& [role, base] : {std::pair{kQueryRope, kQuery}, std::pair{kKeyRope, kKey}}) {
      const std::vector<int64_t>&rope = View(role).sizes, &whole = View(base).sizes;
      Require(rope.size() == whole.size() && std::equal(whole.begin(), whole.end() - 1, rope.begin()) &&
                  rope.back() == View(kQueryRope).sizes.back(),
              status, Name(role), ": expected ", Name(base), "'s shape ", whole,
              " with one last dimension for both, got ", rope);
      Require(rope.back() >= 1 && rope.back() <= View(kQuery).sizes.back(), status, Name(role),
              ": expected a head size of 1 to ", View(kQuery).sizes.back(), ", got ", rope.back());
    }
    for (const Role role : {kPse, kDropMask})
      Require(!views_[role], status, Name(role), ": expected null beside ", Name(kQueryRope), ", got a tensor");
    const float keep_prob = static_cast<float>(call_.attributes.keep_prob);
    Require(!(keep_prob < 1), status, "keepProb: expected 1 beside ", Name(kQueryRope), ", got ", keep_prob);
    Require(views_[kAttenMask].has_value(), Status::kParamNull, Name(kAttenMask), ": expected a tensor beside ",
            Name(kQueryRope), ", got null");
    Require(call_.attributes.sparse_mode != 6, status, "sparseMode: 6 does not go with ", Name(kQueryRope));
  }

  void CheckSink() const {
    if (!views_[kSink]) return;
    Require(View(kSink).dtype == ACL_FLOAT, Status::kParamInvalid, Name(kSink), ": expected dtype float32, got ",
            DTypeName(View(kSink).dtype));
    for (const Role role : {kSink, kDsink})
      if (views_[role])
        Require(View(role).sizes.size() == 1, Status::kParamInvalid, Name(role), ": expected 1 dimension, got shape ",
                View(role).sizes);
  }

  const Call& call_;
  const Views& views_;
};

}  // namespace

void CheckRequired(const Call& call, const uint64_t* workspace_size, aclOpExecutor* const* executor) {
  for (const Role role :
       {kQuery, kKey, kValue, kDy, kAttentionIn, kSoftmaxMaxOut, kSoftmaxSumOut, kAttentionOut, kDq, kDk, kDv})
    if (Has(call, role)) RequirePointer(call.tensors[role], RoleName(call, role));
  RequirePointer(call.attributes.layout, "inputLayout");
  RequirePointer(call.softmax_layout, call.backward ? "softmaxInLayout" : "softmaxOutLayout");
  if (call.varlen) {
    RequirePointer(call.lists.q_len, "actualSeqQLen");
    RequirePointer(call.lists.kv_len, "actualSeqKvLen");
  }
  if (call.rope_required)
    for (const Role role : {kQueryRope, kKeyRope}) RequirePointer(call.tensors[role], RoleName(call, role));
  for (const auto& [given, needed] :
       {std::pair{kQueryRope, kDqRope}, std::pair{kKeyRope, kDkRope}, std::pair{kSink, kDsink}})
    if (call.tensors[given] != nullptr && Has(call, needed))
      RequirePointer(call.tensors[needed], RoleName(call, needed));
  RequirePointer(workspace_size, "workspaceSize");
  RequirePointer(executor, "executor");
}

void CheckArguments(const Call& call, const Views& views) { Checker(call, views).Check(); }

}  // namespace npu_fa::aclnn
