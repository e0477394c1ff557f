// The sixteen functions by the names of their parameters, written down from the operator's specification: what calls
// them here finds out when a parameter is in another place.
#pragma once

#include <acl/acl.h>

#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "aclnnop/aclnn_flash_attention_score.h"
#include "aclnnop/aclnn_flash_attention_score_grad.h"

struct Handles {
  std::map<std::string, const aclTensor*> tensors;
  std::map<std::string, const aclIntArray*> lists;
  std::map<std::string, double> numbers;
  std::map<std::string, int64_t> integers;
  std::map<std::string, char*> texts;
};

struct Function {
  std::string name;
  std::vector<std::string> parameters;
  std::function<aclnnStatus(const Handles&, uint64_t*, aclOpExecutor**)> plan;
  aclnnStatus (*launch)(void*, uint64_t, aclOpExecutor*, const aclrtStream);

  bool Has(const std::string& parameter) const {
    for (const std::string& own : parameters)
      if (own == parameter) return true;
    return false;
  }
  bool Backward() const { return Has("dy"); }
  bool VarLen() const { return Has("actualSeqQLen"); }
};

namespace api_detail {

template <class P>
P Find(const Handles& handles, const std::string& name);
template <>
inline const aclTensor* Find(const Handles& h, const std::string& name) {
  const auto found = h.tensors.find(name);
  return found == h.tensors.end() ? nullptr : found->second;
}
template <>
inline const aclIntArray* Find(const Handles& h, const std::string& name) {
  const auto found = h.lists.find(name);
  return found == h.lists.end() ? nullptr : found->second;
}
template <>
inline double Find(const Handles& h, const std::string& name) {
  return h.numbers.at(name);
}
template <>
inline int64_t Find(const Handles& h, const std::string& name) {
  return h.integers.at(name);
}
template <>
inline char* Find(const Handles& h, const std::string& name) {
  return h.texts.at(name);
}

template <class... P, size_t... I>
Function Make(const char* name, const std::string& parameters, aclnnStatus (*plan)(P...),
              decltype(Function::launch) launch, std::index_sequence<I...>) {
  Function function = {name, {}, {}, launch};
  std::istringstream words(parameters);
  for (std::string word; words >> word;) function.parameters.push_back(word);
  if (function.parameters.size() != sizeof...(I)) std::abort();
  function.plan = [plan, names = function.parameters](const Handles& h, uint64_t* size, aclOpExecutor** executor) {
    return plan(Find<std::tuple_element_t<I, std::tuple<P...>>>(h, names[I])..., size, executor);
  };
  return function;
}

template <class... P>
Function Make(const char* name, const std::string& parameters, aclnnStatus (*plan)(P...),
              decltype(Function::launch) launch) {
  return Make(name, parameters, plan, launch, std::make_index_sequence<sizeof...(P) - 2>());
}

}  // namespace api_detail

inline const std::vector<Function>& AllFunctions() {
  static const std::string tail =
      " scaleValue keepProb preTokens nextTokens headNum inputLayout innerPrecise sparseMode";
  static const std::string masks = " dropMask paddingMask attenMask",
                           saved = " softmaxMax softmaxSum softmaxIn attentionIn";
  static const std::string five = " prefix actualSeqQLen actualSeqKvLen qStartIdx kvStartIdx";
  static const std::string out = " softmaxMaxOut softmaxSumOut softmaxOut attentionOut", grads = " dq dk dv dpse";
  static const std::string rope_grads = " dq dqRope dk dkRope dv dpse";
  static const std::string fwd = "query key value realShift" + masks,
                           bwd = "query keyIn value dy pseShift" + masks + saved;
  static const std::string rope = "query queryRope key keyRope value realShift" + masks;
  static const std::string rope_bwd = "query queryRope keyIn keyInRope value dy pseShift" + masks + saved;
  static const std::string lengths = " prefix actualSeqQLen actualSeqKvLen", starts = " prefix qStartIdx kvStartIdx";
#define FA_MAKE(name, parameters) api_detail::Make(#name, parameters, name##GetWorkspaceSize, name)
  static const std::vector<Function> functions = {
      FA_MAKE(aclnnFlashAttentionScore, fwd + " prefix" + tail + out),
      FA_MAKE(aclnnFlashAttentionScoreV2, fwd + starts + tail + " pseType" + out),
      FA_MAKE(aclnnFlashAttentionScoreV3, fwd + " sink" + starts + tail + " pseType" + out),
      FA_MAKE(aclnnFlashAttentionVarLenScore, fwd + lengths + tail + out),
      FA_MAKE(aclnnFlashAttentionVarLenScoreV2, fwd + five + tail + " pseType" + out),
      FA_MAKE(aclnnFlashAttentionVarLenScoreV3, rope + five + tail + " pseType" + out),
      FA_MAKE(aclnnFlashAttentionVarLenScoreV4, fwd + lengths + tail + " softmaxLayout" + out),
      FA_MAKE(aclnnFlashAttentionVarLenScoreV5, rope + " sink" + five + tail + " pseType softmaxLayout" + out),
      FA_MAKE(aclnnFlashAttentionScoreGrad, bwd + " prefix" + tail + grads),
      FA_MAKE(aclnnFlashAttentionScoreGradV2, bwd + starts + tail + " pseType" + grads),
      FA_MAKE(aclnnFlashAttentionScoreGradV3, bwd + " sinkIn" + starts + tail + " pseType" + grads + " dsink"),
      FA_MAKE(aclnnFlashAttentionUnpaddingScoreGrad, bwd + lengths + tail + grads),
      FA_MAKE(aclnnFlashAttentionUnpaddingScoreGradV2, bwd + five + tail + " pseType" + grads),
      FA_MAKE(aclnnFlashAttentionUnpaddingScoreGradV3, rope_bwd + five + tail + " pseType" + rope_grads),
      FA_MAKE(aclnnFlashAttentionUnpaddingScoreGradV4, bwd + lengths + tail + grads + " softmaxLayout"),
      FA_MAKE(aclnnFlashAttentionUnpaddingScoreGradV5,
              rope_bwd + " sinkIn" + five + tail + " pseType softmaxLayout" + rope_grads + " dsink"),
  };
#undef FA_MAKE
  return functions;
}
