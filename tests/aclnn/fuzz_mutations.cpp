// The oracle: one broken rule each, with the status that the operator's specification gives for it (sections 5.1-5.4).
#include <algorithm>
#include <limits>

#include "fuzz_call.h"

namespace {

constexpr aclnnStatus kNull = 161001, kInvalid = 161002, kTiling = 561002;

using Result = std::optional<Expectation>;

bool Rope(const CallSpec& c) { return c.Given("queryRope"); }
bool Version(const CallSpec& c, const char* version) {
  const std::string& name = c.function->name;
  return name.size() > 2 && name.substr(name.size() - 2) == version;
}
// aclnnFlashAttentionVarLenScoreV3 reports its rope faults as null outputs.
aclnnStatus RopeStatus(const CallSpec& c) {
  return c.function->name == "aclnnFlashAttentionVarLenScoreV3" ? kNull : kInvalid;
}
std::string Name(const CallSpec& c, const char* name) { return ParameterName(*c.function, name); }
Result Refused(aclnnStatus status, const std::string& word = "") { return Expectation{{status}, word}; }
bool HeadsApart(const CallSpec& c) { return *c.layout != "BSH" && *c.layout != "SBH"; }
// Position of the head axis where it is one.
size_t HeadAxis(const CallSpec& c) { return *c.layout == "BNSD" ? 1 : *c.layout == "BSND" ? 2 : 1; }
size_t SequenceAxis(const CallSpec& c) { return c.tnd() || *c.layout == "SBH" ? 0 : *c.layout == "BNSD" ? 2 : 1; }
aclDataType OtherFloat(aclDataType dtype) { return dtype == ACL_FLOAT16 ? ACL_BF16 : ACL_FLOAT16; }

Result Null(CallSpec& c, Random& r) {
  std::vector<std::string> names = {"query", "key", "value"};
  if (c.backward())
    names.insert(names.end(), {"dy", "attentionIn", "dq", "dk", "dv"});
  else
    names.insert(names.end(), {"softmaxMaxOut", "softmaxSumOut", "attentionOut"});
  const std::string name = r.Of(names);
  c.tensors.erase(name);
  const std::string parameter = Name(c, name.c_str());
  const size_t out = parameter.find("Out");
  return Refused(kNull, parameter == "attentionOut" || out == std::string::npos ? parameter : parameter.substr(0, out));
}
Result NullLayout(CallSpec& c, Random&) {
  c.layout.reset();
  return Refused(kNull, "inputLayout");
}
Result NullSoftmaxLayout(CallSpec& c, Random&) {
  if (!c.function->Has("softmaxLayout")) return {};
  c.softmax_layout.reset();
  return Refused(kNull, "Layout");
}
Result NullResults(CallSpec& c, Random& r) {
  (r.Chance(0.5) ? c.null_size : c.null_executor) = true;
  return Refused(kNull, c.null_size ? "workspaceSize" : "executor");
}
Result NullLengths(CallSpec& c, Random& r) {
  if (!c.tnd()) return {};
  const std::string name = r.Chance(0.5) ? "actualSeqQLen" : "actualSeqKvLen";
  c.lists.erase(name);
  return Refused(kNull, name);
}
Result NullStatistics(CallSpec& c, Random& r) {
  if (!c.backward()) return {};
  c.tensors.erase(r.Chance(0.5) ? "softmaxMax" : "softmaxSum");
  return Refused(kTiling, "softmaxMax");
}
Result NullRope(CallSpec& c, Random& r) {
  if (!Rope(c)) return {};
  const std::string name = r.Chance(0.5) ? "queryRope" : "keyRope";
  c.tensors.erase(name);
  return Refused(c.backward() && Version(c, "V5") ? kTiling : kNull, Name(c, name.c_str()));
}
Result NullRopeGradient(CallSpec& c, Random& r) {
  if (!Rope(c) || !c.backward()) return {};
  const std::string name = r.Chance(0.5) ? "dqRope" : "dkRope";
  c.tensors.erase(name);
  return Refused(kNull, name);
}
Result RopeWithoutMask(CallSpec& c, Random&) {
  if (!Rope(c)) return {};
  c.tensors.erase("attenMask");
  return Refused(kNull, "attenMask");
}
Result NullSinkGradient(CallSpec& c, Random&) {
  if (!c.backward() || !c.Given("sink")) return {};
  c.tensors.erase("dsink");
  return Refused(kNull, "dsink");
}
Result Destroyed(CallSpec& c, Random& r) {
  const std::string name = r.Of<std::string>({"query", "key", "value"});
  c.tensors[name].destroyed = true;
  return Refused(kInvalid, Name(c, name.c_str()));
}

Result OneDType(CallSpec& c, Random& r) {
  const std::string name = r.Chance(0.5) ? "key" : "value";
  c.tensors[name].dtype = OtherFloat(c.tensors[name].dtype);
  return Refused(kInvalid, Name(c, name.c_str()));
}
Result AllDTypes(CallSpec& c, Random& r) {
  const aclDataType dtype = r.Of<aclDataType>({ACL_INT8, ACL_INT32, ACL_DOUBLE, ACL_BOOL, ACL_UINT8});
  for (const char* name : {"query", "key", "value"}) c.tensors[name].dtype = dtype;
  return Refused(kInvalid, "query");
}
Result PrivateFormat(CallSpec& c, Random& r) {
  const std::string name = r.Of<std::string>({"query", "key", "value"});
  c.tensors[name].format = ACL_FORMAT_FRACTAL_NZ;
  return Refused(kInvalid, Name(c, name.c_str()));
}
Result PseDType(CallSpec& c, Random&) {
  if (!c.Given("pse")) return {};
  TensorSpec& pse = c.tensors["pse"];
  if (c.pse_type >= 2)
    pse.dtype = ACL_FLOAT16;
  else
    pse.dtype = c.backward() ? ACL_INT8 : OtherFloat(pse.dtype);
  return Refused(c.backward() ? kTiling : kInvalid, Name(c, "pse"));
}
Result MaskDType(CallSpec& c, Random& r) {
  if (!c.Given("attenMask")) return {};
  c.tensors["attenMask"].dtype = r.Of<aclDataType>({ACL_FLOAT16, ACL_INT8, ACL_FLOAT, ACL_INT32});
  return Refused(kTiling, "attenMask");
}
Result DropMaskDType(CallSpec& c, Random& r) {
  if (!c.Given("dropMask")) return {};
  c.tensors["dropMask"].dtype = r.Of<aclDataType>({ACL_BOOL, ACL_INT8, ACL_FLOAT});
  return Refused(kTiling, "dropMask");
}
Result StatisticsDType(CallSpec& c, Random& r) {
  if (!c.backward()) return {};
  const std::string name = r.Chance(0.5) ? "softmaxMax" : "softmaxSum";
  c.tensors[name].dtype = ACL_FLOAT16;
  return Refused(kTiling, name);
}
Result AttentionInDType(CallSpec& c, Random& r) {
  if (!c.backward()) return {};
  const std::string name = r.Chance(0.5) ? "attentionIn" : "dy";
  c.tensors[name].dtype = OtherFloat(c.tensors[name].dtype);
  return Refused(kTiling, name);
}
Result SinkDType(CallSpec& c, Random& r) {
  if (!c.Given("sink")) return {};
  if (r.Chance(0.5))
    c.tensors["sink"].dtype = ACL_FLOAT16;
  else
    c.tensors["sink"].sizes = {1, c.n};
  return Refused(kInvalid, Name(c, "sink"));
}

Result NoHeads(CallSpec& c, Random& r) {
  c.heads = r.Between(-3, 0);
  return Refused(kInvalid, "headNum");
}
Result OtherHeads(CallSpec& c, Random&) {
  if (!HeadsApart(c)) return {};
  c.heads = c.n + 1;
  return Refused(kTiling, "headNum");
}
Result IndivisibleHidden(CallSpec& c, Random&) {
  if (HeadsApart(c) || c.d < 2 || c.dv != c.d || c.n != c.n2) return {};
  c.heads = c.n * c.d - 1;  // one element a head, and one left over
  if (c.n * c.d % c.heads == 0) return {};
  return Refused(kTiling, "query");
}
Result WrongLayout(CallSpec& c, Random& r) {
  c.layout = r.Of<std::string>({"", "XYZ", "bnsd", "tnd", c.tnd() ? "BSND" : "TND"});
  return Refused(kInvalid, "inputLayout");
}
Result WrongSoftmaxLayout(CallSpec& c, Random& r) {
  if (!c.function->Has("softmaxLayout")) return {};
  c.softmax_layout = r.Of<std::string>({"TND", "same", "SAME_AS_INPUT"});
  return Refused(kInvalid, "Layout");
}
Result KeepProb(CallSpec& c, Random& r) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  c.keep_prob = Rope(c) ? 1.5 : r.Of<double>({0.0, -0.5, 1.5, nan});
  return Refused(kTiling, "keepProb");
}
Result DropoutWithoutBits(CallSpec& c, Random&) {
  if (!c.backward() || c.Given("dropMask") || Rope(c)) return {};
  c.keep_prob = 0.9;
  return Refused(kTiling, "dropMask");
}
Result WrongPseType(CallSpec& c, Random& r) {
  if (!c.function->Has("pseType") || c.pse_type >= 2) return {};
  c.pse_type = r.Of<int64_t>({-1, 4, 100});
  return Refused(kTiling, "pseType");
}
Result PseTypeWithoutPse(CallSpec& c, Random& r) {
  if (!c.function->Has("pseType") || Rope(c)) return {};
  c.tensors.erase("pse");
  c.pse_type = r.Of<int64_t>({0, 2, 3});
  return Refused(c.pse_type >= 2 && !c.backward() ? kInvalid : kTiling, Name(c, "pse"));
}
Result WrongSparseMode(CallSpec& c, Random& r) {
  if (!c.Given("attenMask")) return {};
  c.sparse_mode = r.Of<int64_t>(c.tnd() ? Sizes{9, -1, 5} : Sizes{9, -1, 7, 8});
  return Refused(kTiling, "sparse");
}
Result EmptyWindow(CallSpec& c, Random&) {
  if (!c.Given("attenMask") || (c.sparse_mode != 0 && c.sparse_mode != 4)) return {};
  c.pre = c.next = -1000;
  return Refused(kTiling, "preTokens");
}

Result KeyDepth(CallSpec& c, Random&) {
  if (!HeadsApart(c)) return {};
  c.tensors["key"].sizes.back() += 1;
  return Refused(kInvalid, Name(c, "key"));
}
Result ValueDepth(CallSpec& c, Random&) {
  if (!HeadsApart(c)) return {};
  c.tensors["value"].sizes.back() = c.d + 1;
  return Refused(kInvalid, "value");
}
Result TooDeep(CallSpec& c, Random&) {
  if (!HeadsApart(c)) return {};
  for (const char* name : {"query", "key"}) c.tensors[name].sizes.back() = 776;
  return Refused(kInvalid, "head size");
}
Result WrongRank(CallSpec& c, Random& r) {
  const std::string name = r.Of<std::string>({"query", "key", "value"});
  Sizes& sizes = c.tensors[name].sizes;
  if (r.Chance(0.5))
    sizes.pop_back();
  else
    sizes.insert(sizes.begin(), 2, 1);
  return Refused(kInvalid, Name(c, name.c_str()));
}
Result WrongBatch(CallSpec& c, Random&) {
  if (c.tnd()) return {};
  c.tensors["key"].sizes[*c.layout == "SBH" ? 1 : 0] += 1;
  return Refused(kTiling, Name(c, "key"));
}
Result ValueLength(CallSpec& c, Random&) {
  c.tensors["value"].sizes[SequenceAxis(c)] += 1;
  return Refused(kTiling, "value");
}
Result KvHeads(CallSpec& c, Random&) {
  if (!HeadsApart(c)) return {};
  for (const char* name : {"key", "value", "keyRope"})
    if (c.Given(name)) c.tensors[name].sizes[HeadAxis(c)] = c.n + 1;
  return Refused(kTiling, "headNum");
}
Result MaskShape(CallSpec& c, Random& r) {
  if (!c.Given("attenMask")) return {};
  TensorSpec& mask = c.tensors["attenMask"];
  mask.sizes = r.Of<Sizes>({{1024, 1024}, {c.b, 1, 1, 77}, {5}, {2048, 2048, 1}, {2047, 2048}});
  return Refused(kTiling, "attenMask");
}
Result PseShape(CallSpec& c, Random&) {
  if (!c.Given("pse")) return {};
  TensorSpec& pse = c.tensors["pse"];
  pse.sizes = c.pse_type >= 2 ? Sizes{c.n + 7} : c.tnd() ? Sizes{1} : Sizes{c.b, c.n + 1, c.sq, c.skv};
  if (c.pse_type < 2 && c.tnd() && c.n * c.skv == 1) return {};
  return Refused(kTiling, Name(c, "pse"));
}
Result SlopesBetweenLengths(CallSpec& c, Random&) {
  if (c.tnd() || c.backward() || c.pse_type < 2 || !c.Given("pse")) return {};
  for (const char* gone : {"attenMask", "dropMask"}) c.tensors.erase(gone);
  c.keep_prob = 1;
  for (const char* name : {"key", "value"}) c.tensors[name].sizes[SequenceAxis(c)] += 1;
  return Refused(kTiling, Name(c, "pse"));
}
Result FewDropBits(CallSpec& c, Random&) {
  if (!c.Given("dropMask") || c.tensors["dropMask"].sizes[0] < 25) return {};
  c.tensors["dropMask"].sizes[0] -= 24;
  return Refused(kTiling, "dropMask");
}
Result Prefix(CallSpec& c, Random& r) {
  if (!c.Given("attenMask") || c.sparse_mode != 6) return {};
  switch (r.Between(0, 3)) {
    case 0:
      c.lists.erase("prefix");
      break;
    case 1:
      c.lists["prefix"].push_back(1);
      break;
    case 2:
      c.lists["prefix"][0] = -1;
      break;
    default:
      c.lists["prefix"][0] = 1000;
  }
  return Refused(kTiling, "prefix");
}
Result Lengths(CallSpec& c, Random& r) {
  if (!c.tnd()) return {};
  const std::string name = r.Chance(0.5) ? "actualSeqQLen" : "actualSeqKvLen";
  Sizes& list = c.lists[name];
  switch (r.Between(0, 3)) {
    case 0:
      list.push_back(list.back());
      break;
    case 1:
      list.back() += 1000;
      break;
    case 2:
      list = {};
      break;
    default:
      list.back() = -1;
  }
  return Refused(kTiling, "actualSeq");
}
Result ShortKeys(CallSpec& c, Random&) {
  if (!c.tnd() || c.backward() || !c.Given("attenMask") || c.sparse_mode != 3) return {};
  Sizes& list = c.lists["actualSeqKvLen"];
  list[0] = 0;  // the first sequence has queries and no keys
  for (const char* gone : {"pse", "dropMask"}) c.tensors.erase(gone);
  c.keep_prob = 1;
  c.pse_type = 1;
  return Refused(kTiling, "actualSeqQLen");
}
Result StatisticsShape(CallSpec& c, Random& r) {
  if (!c.backward()) return {};
  const std::string name = r.Chance(0.5) ? "softmaxMax" : "softmaxSum";
  c.tensors[name].sizes.back() = 1;
  return Refused(kTiling, name);
}
Result DyShape(CallSpec& c, Random& r) {
  if (!c.backward()) return {};
  const std::string name = r.Chance(0.5) ? "dy" : "attentionIn";
  c.tensors[name].sizes[SequenceAxis(c)] += 1;
  return Refused(kTiling, name);
}
Result OutputShape(CallSpec& c, Random& r) {
  const std::string name = c.backward() ? r.Of<std::string>({"dq", "dk", "dv"})
                                        : r.Of<std::string>({"softmaxMaxOut", "softmaxSumOut", "attentionOut"});
  if (r.Chance(0.5))
    c.tensors[name].sizes.back() += 1;
  else
    c.tensors[name].dtype = ACL_INT32;
  return Refused(kInvalid, name == "attentionOut" || c.backward() ? name : name.substr(0, name.size() - 3));
}
Result NegativeStride(CallSpec& c, Random&) {
  TensorSpec& query = c.tensors["query"];
  query.strides = Sizes(query.sizes.size(), 1);
  query.strides->front() = -1;
  return Refused(kInvalid, "query");
}

Result RopeRules(CallSpec& c, Random& r) {
  if (!Rope(c)) return {};
  const int64_t which = r.Between(0, 5);
  if (which == 0) {
    for (const char* name : {"queryRope", "keyRope"}) c.tensors[name].sizes.back() = c.d + 8;
    if (c.backward())
      for (const char* name : {"dqRope", "dkRope"}) c.tensors[name].sizes.back() = c.d + 8;
  } else if (which == 1) {
    for (const char* name : {"query", "key", "value"}) c.tensors[name].dtype = ACL_FLOAT16;
  } else if (which == 2) {
    c.sparse_mode = 6;
  } else if (which == 3) {
    c.tensors["pse"] = {{c.n * c.skv}, ACL_BF16, Placement::kContiguous, ACL_FORMAT_ND, {}, 0, false};
  } else if (which == 4) {
    c.tensors["dropMask"] = {{100000}, ACL_UINT8, Placement::kContiguous, ACL_FORMAT_ND, {}, 0, false};
  } else {
    c.keep_prob = 0.5;
  }
  return Refused(RopeStatus(c));
}

// ---- changes that refuse nothing ----

Result NoQueries(CallSpec& c, Random&) {
  if (c.tnd()) return {};
  const int64_t axis = static_cast<int64_t>(SequenceAxis(c));
  for (const char* name : {"query", "attentionOut", "dy", "attentionIn", "dq"})
    if (c.Given(name)) c.tensors[name].sizes[axis] = 0;
  for (const char* name : {"softmaxMax", "softmaxSum", "softmaxMaxOut", "softmaxSumOut"})
    if (c.Given(name)) c.tensors[name].sizes[2] = 0;
  c.zero_filled = true;
  return Expectation{{0}, ""};
}
Result NoKeys(CallSpec& c, Random&) {
  if (c.tnd()) return {};
  const int64_t axis = static_cast<int64_t>(SequenceAxis(c));
  for (const char* name : {"key", "value", "dk", "dv"})
    if (c.Given(name)) c.tensors[name].sizes[axis] = 0;
  c.zero_filled = true;
  return Expectation{{0}, ""};
}
Result PrefixBesideFullMask(CallSpec& c, Random& r) {
  if (!c.Given("attenMask") || c.sparse_mode != 5) return {};
  c.lists["prefix"] = r.Of<Sizes>({{-7}, {}, {1000, 1000, 1000}});
  return Expectation{{0}, ""};
}
Result ScalarIsNull(CallSpec& c, Random&) {
  if (!c.backward() || c.Given("pse") || Rope(c)) return {};
  c.tensors["pse"] = {{}, ACL_INT64, Placement::kContiguous, ACL_FORMAT_ND, {}, 0, false};
  return Expectation{{0}, ""};
}

}  // namespace

const std::vector<NamedMutation>& Mutations() {
#define FA_MUTATION(name) \
  {                       \
    #name, name           \
  }
  static const std::vector<NamedMutation> mutations = {
      FA_MUTATION(Null),
      FA_MUTATION(NullLayout),
      FA_MUTATION(NullSoftmaxLayout),
      FA_MUTATION(NullResults),
      FA_MUTATION(NullLengths),
      FA_MUTATION(NullStatistics),
      FA_MUTATION(NullRope),
      FA_MUTATION(NullRopeGradient),
      FA_MUTATION(RopeWithoutMask),
      FA_MUTATION(NullSinkGradient),
      FA_MUTATION(Destroyed),
      FA_MUTATION(OneDType),
      FA_MUTATION(AllDTypes),
      FA_MUTATION(PrivateFormat),
      FA_MUTATION(PseDType),
      FA_MUTATION(MaskDType),
      FA_MUTATION(DropMaskDType),
      FA_MUTATION(StatisticsDType),
      FA_MUTATION(AttentionInDType),
      FA_MUTATION(SinkDType),
      FA_MUTATION(NoHeads),
      FA_MUTATION(OtherHeads),
      FA_MUTATION(IndivisibleHidden),
      FA_MUTATION(WrongLayout),
      FA_MUTATION(WrongSoftmaxLayout),
      FA_MUTATION(KeepProb),
      FA_MUTATION(DropoutWithoutBits),
      FA_MUTATION(WrongPseType),
      FA_MUTATION(PseTypeWithoutPse),
      FA_MUTATION(WrongSparseMode),
      FA_MUTATION(EmptyWindow),
      FA_MUTATION(KeyDepth),
      FA_MUTATION(ValueDepth),
      FA_MUTATION(TooDeep),
      FA_MUTATION(WrongRank),
      FA_MUTATION(WrongBatch),
      FA_MUTATION(ValueLength),
      FA_MUTATION(KvHeads),
      FA_MUTATION(MaskShape),
      FA_MUTATION(PseShape),
      FA_MUTATION(SlopesBetweenLengths),
      FA_MUTATION(FewDropBits),
      FA_MUTATION(Prefix),
      FA_MUTATION(Lengths),
      FA_MUTATION(ShortKeys),
      FA_MUTATION(StatisticsShape),
      FA_MUTATION(DyShape),
      FA_MUTATION(OutputShape),
      FA_MUTATION(NegativeStride),
      FA_MUTATION(RopeRules),
      FA_MUTATION(NoQueries),
      FA_MUTATION(NoKeys),
      FA_MUTATION(PrefixBesideFullMask),
      FA_MUTATION(ScalarIsNull),
  };
#undef FA_MUTATION
  return mutations;
}
