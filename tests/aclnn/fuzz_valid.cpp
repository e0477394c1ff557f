// Valid calls by construction, and calls made of anything.
#include <algorithm>

#include "fuzz_call.h"

namespace {

constexpr int64_t kMask = 2048, kPrefixMask = 3072;

Sizes LayoutSizes(const std::string& layout, int64_t b, int64_t n, int64_t s, int64_t d) {
  if (layout == "BNSD") return {b, n, s, d};
  if (layout == "BSND") return {b, s, n, d};
  if (layout == "BSH") return {b, s, n * d};
  if (layout == "SBH") return {s, b, n * d};
  return {s, n, d};
}

Placement AnyPlacement(Random& r) {
  if (r.Chance(0.7)) return Placement::kContiguous;
  return r.Of<Placement>({Placement::kPaddedRows, Placement::kEverySecond, Placement::kTransposed});
}

int64_t Sum(const Sizes& values) {
  int64_t sum = 0;
  for (const int64_t value : values) sum += value;
  return sum;
}

Sizes Cumulative(Sizes lengths) {
  for (size_t i = 1; i < lengths.size(); ++i) lengths[i] += lengths[i - 1];
  return lengths;
}

class Maker {
 public:
  Maker(Random& r, CallSpec& c) : r_(r), c_(c) {}

  void Make() {
    const Function& f = *c_.function;
    rope_ = f.Has("queryRope") && (f.name.find("V3") != std::string::npos || r_.Chance(0.5));
    dtype_ = rope_ ? ACL_BF16 : r_.Of<aclDataType>({ACL_FLOAT16, ACL_BF16, ACL_FLOAT});
    c_.layout = c_.tnd() ? "TND" : r_.Of<std::string>({"BNSD", "BSND", "BSH", "SBH"});
    Geometry();
    Add("query", LayoutSizes(*c_.layout, c_.b, c_.n, c_.sq, c_.d), dtype_);
    Add("key", LayoutSizes(*c_.layout, c_.b, c_.n2, c_.skv, c_.d), dtype_);
    Add("value", LayoutSizes(*c_.layout, c_.b, c_.n2, c_.skv, c_.dv), dtype_);
    Mask();
    if (rope_)
      Rope();
    else
      Extras();
    if (f.Has(ParameterName(f, "sink")) && r_.Chance(0.5)) Add("sink", {c_.n}, ACL_FLOAT);
    if (f.Has("softmaxLayout") && r_.Chance(0.5)) c_.softmax_layout = "same_as_input";
    if (r_.Chance(0.2)) c_.inner_precise = r_.Between(0, 2);
    Outputs();
  }

 private:
  void Add(const char* name, const Sizes& sizes, aclDataType dtype) {
    TensorSpec spec;
    spec.sizes = sizes;
    spec.dtype = dtype;
    spec.placement = AnyPlacement(r_);
    c_.tensors[name] = spec;
  }

  void Geometry() {
    c_.n2 = r_.Between(1, 3);
    c_.n = c_.n2 * r_.Between(1, 3);
    c_.heads = c_.n;
    c_.d = r_.Chance(0.1) ? r_.Between(100, 300) : r_.Between(1, 40);
    c_.dv = r_.Chance(0.6) ? c_.d : r_.Between(1, c_.d);
    c_.b = r_.Between(1, 3);
    c_.sq = r_.Between(1, 40);
    c_.skv = r_.Chance(0.5) ? c_.sq : r_.Between(1, 40);
    if (!c_.tnd()) return;
    for (int64_t i = 0; i < c_.b; ++i) {
      c_.q_lengths.push_back(r_.Between(1, 20));
      c_.kv_lengths.push_back(c_.q_lengths.back() + (r_.Chance(0.5) ? 0 : r_.Between(0, 10)));
    }
    c_.sq = Sum(c_.q_lengths);
    c_.skv = Sum(c_.kv_lengths);
    c_.lists["actualSeqQLen"] = Cumulative(c_.q_lengths);
    c_.lists["actualSeqKvLen"] = Cumulative(c_.kv_lengths);
  }

  int64_t MaxOf(const Sizes& lengths, int64_t otherwise) const {
    return c_.tnd() ? *std::max_element(lengths.begin(), lengths.end()) : otherwise;
  }

  void Mask() {
    if (!rope_ && r_.Chance(0.4)) {
      // Without a mask modes and tokens mean nothing.
      if (r_.Chance(0.3)) c_.sparse_mode = r_.Between(-5, 20);
      if (r_.Chance(0.3)) c_.pre = r_.Between(-100, 100);
      return;
    }
    c_.sparse_mode =
        r_.Of<int64_t>(c_.tnd() ? rope_ ? Sizes{0, 1, 2, 3, 4} : Sizes{0, 1, 2, 3, 4, 6} : Sizes{0, 1, 2, 3, 4, 5, 6});
    const aclDataType dtype = r_.Chance(0.5) ? ACL_BOOL : ACL_UINT8;
    const int64_t rows = MaxOf(c_.q_lengths, c_.sq), columns = MaxOf(c_.kv_lengths, c_.skv);
    const bool full = c_.sparse_mode == 0 || c_.sparse_mode == 1 || c_.sparse_mode == 5;
    Sizes sizes = {c_.sparse_mode == 6 ? kPrefixMask : kMask, kMask};
    if (full && c_.sparse_mode == 5)
      sizes = {c_.b, r_.Chance(0.5) ? c_.n : 1, rows, columns};
    else if (full && c_.tnd())
      sizes = r_.Chance(0.5) ? Sizes{rows, columns} : Sizes{c_.sq, c_.skv};
    else if (full)
      sizes =
          r_.Of<Sizes>({{rows, columns}, {1, 1, rows, columns}, {c_.b, 1, rows, columns}, {c_.b, c_.n, rows, columns}});
    Add("attenMask", sizes, dtype);
    if (!full) c_.tensors["attenMask"].placement = Placement::kContiguous;  // 4 MiB a piece
    if (c_.sparse_mode == 0 || c_.sparse_mode == 4) {
      c_.pre = r_.Chance(0.5) ? 2147483647 : r_.Between(40, 60);
      c_.next = r_.Chance(0.5) ? 2147483647 : r_.Between(40, 60);
    }
    if (c_.sparse_mode == 6) {
      Sizes prefix;
      for (int64_t i = 0; i < c_.b; ++i) {
        const int64_t q = c_.tnd() ? c_.q_lengths[i] : c_.sq, kv = c_.tnd() ? c_.kv_lengths[i] : c_.skv;
        prefix.push_back(r_.Between(q > kv ? 0 : kv - q, kv));
      }
      c_.lists["prefix"] = prefix;
    }
  }

  void Rope() {
    const int64_t dr = r_.Between(1, c_.d);
    Add("queryRope", LayoutSizes("TND", c_.b, c_.n, c_.sq, dr), dtype_);
    Add("keyRope", LayoutSizes("TND", c_.b, c_.n2, c_.skv, dr), dtype_);
  }

  void Extras() {
    if (r_.Chance(0.3)) {
      const int64_t bits = ScoreElements();
      Add("dropMask", {(bits + 7) / 8 + r_.Between(0, 20)}, ACL_UINT8);
      c_.keep_prob = r_.Chance(0.8) ? 0.5 : 1.0;
    } else if (!c_.backward() && r_.Chance(0.1)) {
      c_.keep_prob = 0.5;  // without bits: no dropout
    }
    if (r_.Chance(0.3)) {
      const bool can_choose = c_.function->Has("pseType");
      c_.pse_type = can_choose && r_.Chance(0.4) ? 0 : 1;
      const bool slopes = can_choose && r_.Chance(0.4) && (c_.tnd() || c_.sq == c_.skv);
      if (slopes) {
        c_.pse_type = r_.Between(2, 3);
        Add("pse", r_.Chance(0.5) ? Sizes{c_.n} : Sizes{c_.b, c_.n}, ACL_FLOAT);
        if (r_.Chance(0.5)) c_.lists["qStartIdx"] = {r_.Between(-50, 50)};
        if (r_.Chance(0.5)) c_.lists["kvStartIdx"] = {r_.Between(-50, 50)};
      } else if (c_.tnd()) {
        Add("pse", {r_.Chance(0.5) ? ScoreElements() : c_.n * c_.skv}, dtype_);
      } else {
        Add("pse", {r_.Chance(0.5) ? c_.b : 1, c_.n, r_.Chance(0.7) ? c_.sq : 1, c_.skv}, dtype_);
      }
    }
    if (r_.Chance(0.1)) Add("paddingMask", {r_.Between(0, 5)}, ACL_INT32);  // reserved
  }

  int64_t ScoreElements() const {
    if (!c_.tnd()) return c_.b * c_.n * c_.sq * c_.skv;
    int64_t elements = 0;
    for (size_t i = 0; i < c_.q_lengths.size(); ++i) elements += c_.n * c_.q_lengths[i] * c_.kv_lengths[i];
    return elements;
  }

  void Outputs() {
    const Sizes out = LayoutSizes(*c_.layout, c_.b, c_.n, c_.sq, c_.dv);
    const Sizes statistics = c_.tnd() ? Sizes{c_.sq, c_.n, 8} : Sizes{c_.b, c_.n, c_.sq, 8};
    if (!c_.backward()) {
      Add("softmaxMaxOut", statistics, ACL_FLOAT);
      Add("softmaxSumOut", statistics, ACL_FLOAT);
      Add("attentionOut", out, dtype_);
      if (r_.Chance(0.5)) Add("softmaxOut", {0}, dtype_);
      return;
    }
    Add("dy", out, dtype_);
    Add("attentionIn", out, dtype_);
    Add("softmaxMax", statistics, ACL_FLOAT);
    Add("softmaxSum", statistics, ACL_FLOAT);
    Add("dq", c_.tensors["query"].sizes, dtype_);
    Add("dk", c_.tensors["key"].sizes, dtype_);
    Add("dv", c_.tensors["value"].sizes, dtype_);
    if (r_.Chance(0.5)) Add("dpse", {0}, dtype_);
    if (rope_) {
      Add("dqRope", c_.tensors["queryRope"].sizes, dtype_);
      Add("dkRope", c_.tensors["keyRope"].sizes, dtype_);
    }
    if (c_.Given("sink")) Add("dsink", {c_.n}, ACL_FLOAT);
  }

  Random& r_;
  CallSpec& c_;
  bool rope_ = false;
  aclDataType dtype_ = ACL_FLOAT;
};

}  // namespace

CallSpec ValidCall(Random& random, const std::vector<Function>& functions) {
  CallSpec call;
  call.function = &random.Of(functions);
  Maker(random, call).Make();
  return call;
}

CallSpec WildCall(Random& random, const std::vector<Function>& functions) {
  CallSpec call = ValidCall(random, functions);
  const auto integer = [&] {
    const Sizes edges = {-9223372036854775807 - 1, -1, 0, 1, 7, 8, 16, 2048, 3072, 2147483647, 4294967296,
                         9223372036854775807};
    return random.Chance(0.3) ? random.Of(edges) : random.Between(-3, 40);
  };
  const auto values = [&](int64_t count, double keep) {
    Sizes out;
    for (int64_t i = 0; i < count; ++i) out.push_back(random.Chance(keep) ? random.Between(1, 9) : integer());
    return out;
  };
  for (const std::string& parameter : call.function->parameters)
    if (random.Chance(0.03)) call.tensors[parameter == "keyIn" ? "key" : parameter] = {};
  for (auto entry = call.tensors.begin(); entry != call.tensors.end();) {
    TensorSpec& t = entry->second;
    if (random.Chance(0.15)) t.sizes = values(random.Between(0, 6), 0.7);
    if (random.Chance(0.1)) t.strides = values(static_cast<int64_t>(t.sizes.size()), 0.7);
    if (random.Chance(0.05)) t.offset = integer();
    if (random.Chance(0.1)) t.dtype = static_cast<aclDataType>(random.Between(-1, 40));
    if (random.Chance(0.05)) t.format = static_cast<aclFormat>(random.Between(-1, 60));
    if (random.Chance(0.02)) t.destroyed = true;
    entry = random.Chance(0.03) ? call.tensors.erase(entry) : std::next(entry);
  }
  for (const char* list : {"prefix", "actualSeqQLen", "actualSeqKvLen", "qStartIdx", "kvStartIdx"}) {
    if (random.Chance(0.15)) call.lists[list] = values(random.Between(0, 5), 0.5);
    if (random.Chance(0.05)) call.lists.erase(list);
  }
  if (random.Chance(0.2)) call.heads = integer();
  if (random.Chance(0.2)) call.sparse_mode = integer();
  if (random.Chance(0.2)) call.pse_type = integer();
  if (random.Chance(0.2)) call.pre = integer();
  if (random.Chance(0.2)) call.next = integer();
  if (random.Chance(0.2)) call.inner_precise = integer();
  const std::vector<double> numbers = {0.0, -1.0, 1e300, -1e-300, 0.0 / 0.0, 1.0 / 0.0, 0.5, 1.0};
  if (random.Chance(0.1)) call.scale = random.Of(numbers);
  if (random.Chance(0.1)) call.keep_prob = random.Of(numbers);
  if (random.Chance(0.1))
    call.layout = random.Of<std::string>({"", "TND", "BSH", "SBH", "BNSD", "BSND", "tnd", "\xff\x01"});
  if (random.Chance(0.03)) call.layout.reset();
  if (random.Chance(0.1)) call.softmax_layout = random.Of<std::string>({"", "TND", "same_as_input"});
  if (random.Chance(0.03)) call.softmax_layout.reset();
  call.null_size = random.Chance(0.02);
  call.null_executor = random.Chance(0.02);
  return call;
}
