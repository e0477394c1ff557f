// A call as the fuzzer holds it, before there are handles: everything by name, free to be changed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "api.h"

using Sizes = std::vector<int64_t>;

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int64_t Between(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  bool Chance(double p) { return std::uniform_real_distribution<>()(engine_) < p; }
  template <class T>
  const T& Of(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(Between(0, static_cast<int64_t>(choices.size()) - 1))];
  }

 private:
  std::mt19937_64 engine_;
};

enum class Placement { kContiguous, kPaddedRows, kEverySecond, kTransposed };

struct TensorSpec {
  Sizes sizes;
  aclDataType dtype = ACL_FLOAT;
  Placement placement = Placement::kContiguous;
  aclFormat format = ACL_FORMAT_ND;
  std::optional<Sizes> strides;  // instead of the placement's
  int64_t offset = 0;
  bool destroyed = false;
};

struct CallSpec {
  const Function* function = nullptr;
  std::map<std::string, TensorSpec> tensors;  // by canonical name; absent: null
  std::map<std::string, Sizes> lists;
  double scale = 0.125, keep_prob = 1;
  int64_t pre = 2147483647, next = 2147483647, heads = 1, inner_precise = 0, sparse_mode = 0, pse_type = 1;
  std::optional<std::string> layout = "BNSD", softmax_layout = "";
  bool null_size = false, null_executor = false;
  bool zero_filled = false;  // no keys: every output is 0

  // Of the tensors.
  int64_t b = 0, n = 0, n2 = 0, sq = 0, skv = 0, d = 0, dv = 0;
  Sizes q_lengths, kv_lengths;  // of the sequences, TND

  bool backward() const { return function->Backward(); }
  bool tnd() const { return function->VarLen(); }
  bool Given(const std::string& name) const { return tensors.count(name) > 0; }
};

// The name of a canonical tensor among a function's parameters.
inline std::string ParameterName(const Function& f, const std::string& name) {
  if (name == "pse") return f.Backward() ? "pseShift" : "realShift";
  if (f.Backward() && (name == "key" || name == "keyRope" || name == "sink"))
    return name == "key" ? "keyIn" : name == "keyRope" ? "keyInRope" : "sinkIn";
  return name;
}

// A call the operator takes, with random shapes, layouts, dtypes, modes, masks and strides.
CallSpec ValidCall(Random& random, const std::vector<Function>& functions);

// A call made of anything.
CallSpec WildCall(Random& random, const std::vector<Function>& functions);

// What one change makes of a valid call.
struct Expectation {
  std::vector<aclnnStatus> statuses;
  std::string word;  // part of the message, where there is one
};

// Breaks one rule of the specification; nothing where the call has nothing to break that way.
using Mutation = std::optional<Expectation> (*)(CallSpec&, Random&);
struct NamedMutation {
  const char* name;
  Mutation apply;
};
const std::vector<NamedMutation>& Mutations();
