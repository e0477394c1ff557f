// Layouts, dtypes, head counts, sequences, dropout and statistics. The order of the checks is the operator's: first
// those of the torch entry points (with their texts), then those of the first aclnn phase, then those of the tiling.
#include "problem_builder.h"

#include <cmath>
#include <limits>

#include "problem_parts.h"

namespace npu_fa {
namespace {

std::string UpperCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

bool NearlyOne(double x) { return std::abs(x - 1.0) < 1e-9; }

class Builder {
 public:
  explicit Builder(const Arguments& a) : args_(a), v2_(a.entry == Entry::kForwardV2 || a.entry == Entry::kBackwardV2) {}

  HostProblem Build() {
    layout_name_ = UpperCase(args_.input_layout);
    CheckTorchLevel();
    CheckRequired();
    ReadGeometry();
    CheckRope();
    CheckSink();
    BuildSequences();
    BuildStrides();
    BuildBias(args_, geometry_, &built_);
    BuildVisibility(args_, geometry_, &built_);
    BuildDropout();
    BuildStatistics();
    if (IsBackward(args_)) CheckBackwardTensors();
    BuildOutputs();
    return std::move(built_);
  }

 private:
  // ---- the torch entry points' own checks, in their order ----

  void CheckTorchLevel() {
    Require(args_.head_num > 0, Status::kParamInvalid, "head_num must > 0, but got ", args_.head_num);
    CheckRank("query", &args_.query);
    if (v2_) CheckRank("query_rope", Pointer(args_.query_rope));
    CheckRank("key", &args_.key);
    if (v2_) CheckRank("key_rope", Pointer(args_.key_rope));
    CheckRank("value", &args_.value);
    CheckRank("dy", Pointer(args_.dy));
    if (v2_ && (args_.key_rope || args_.query_rope))
      Require(
          ListsGiven(), Status::kParamInvalid,
          "the size of actual_seq_qlen and actual_seq_kvlen cannot be empty. query_rope and key_rope are for layout "
          "TND only");
    Require(args_.keep_prob > 0 && args_.keep_prob <= 1, Status::kTilingError,
            "The keep_prob value must be in range of (0, 1], but got ", args_.keep_prob);
    Require(!args_.input_layout.empty(), Status::kParamInvalid,
            v2_ ? "The input_layout is empty" : "input_layout is empty");
    if (!v2_) CheckSoftmaxLayout();
    geometry_.tnd = layout_name_ == "TND";
    if (geometry_.tnd) {
      Require((0 <= args_.sparse_mode && args_.sparse_mode < 5) || (5 < args_.sparse_mode && args_.sparse_mode <= 8),
              Status::kTilingError, "The sparse_mode value must be in range of [0,5) or (5,8], but got ",
              args_.sparse_mode);
      Require(ListsGiven() && args_.actual_seq_qlen->size() == args_.actual_seq_kvlen->size(), Status::kTilingError,
              "the size of actual_seq_qlen and actual_seq_kvlen must be the same and cannot be empty. Got ",
              args_.actual_seq_qlen ? args_.actual_seq_qlen->size() : 0, " and ",
              args_.actual_seq_kvlen ? args_.actual_seq_kvlen->size() : 0);
    } else {
      Require(0 <= args_.sparse_mode && args_.sparse_mode <= 6, Status::kTilingError,
              "The sparse_mode value must be in range of [0,6], but got ", args_.sparse_mode);
    }
    const Axes* axes = FindLayout(layout_name_);
    Require(axes != nullptr, Status::kParamInvalid,
            "The input_layout should be BSH/SBH/BNSD/BSND/TND(case-insensitive), but got ", args_.input_layout);
    axes_ = *axes;
    if (v2_) {
      CheckSoftmaxLayout();
      CheckOneMillion();
    }
  }

  static const TensorArgument* Pointer(const std::optional<TensorArgument>& t) { return t ? &*t : nullptr; }

  static void CheckRank(const char* name, const TensorArgument* t) {
    if (t)
      Require(t->sizes.size() == 3 || t->sizes.size() == 4, Status::kParamInvalid, "The shapes of the input ", name,
              " should be 3 or 4 dimensional, but got ", t->sizes.size(), "-dimensional");
  }

  bool ListsGiven() const {
    return args_.actual_seq_qlen && args_.actual_seq_kvlen && !args_.actual_seq_qlen->empty() &&
           !args_.actual_seq_kvlen->empty();
  }

  void CheckSoftmaxLayout() const {
    Require(args_.softmax_layout.empty() || args_.softmax_layout == "TND", Status::kParamInvalid,
            "only supported softmax_layout=TND, got ", args_.softmax_layout);
    Require(args_.softmax_layout.empty() || layout_name_ == "TND", Status::kParamInvalid,
            "softmax_layout=TND only supported when input_layout_str=TND, got input_layout ", args_.input_layout);
  }

  void CheckOneMillion() const {
    if (!ListsGiven()) return;
    constexpr int64_t kLimit = 1000000;
    for (size_t i = 0; i < std::min(args_.actual_seq_qlen->size(), args_.actual_seq_kvlen->size()); ++i) {
      const int64_t q = (*args_.actual_seq_qlen)[i], kv = (*args_.actual_seq_kvlen)[i];
      Require(q <= kLimit && kv <= kLimit, Status::kTilingError,
              "The sequence length should not greater than 1M, but got q", q, "kv", kv);
    }
  }

  // ---- the first aclnn phase ----

  void CheckRequired() const {
    if (!IsBackward(args_)) return;
    Require(args_.dy.has_value(), Status::kParamNull, "dy: expected a tensor, got None");
    Require(args_.softmax_max && args_.softmax_sum, Status::kTilingError,
            "softmax_max, softmax_sum: expected the forward's statistics, got None");
  }

  void ReadGeometry() {
    CheckLayoutRank("query", args_.query);
    CheckLayoutRank("key", args_.key);
    CheckLayoutRank("value", args_.value);
    ReadDType();
    Require(geometry_.tnd || !ListsGiven(), Status::kParamInvalid,
            "input_layout: actual_seq_qlen and actual_seq_kvlen go with layout TND, got ", args_.input_layout);
    AttentionProblem& p = built_.problem;
    const int64_t n = args_.head_num;
    int64_t kv_heads = 0, head_dim = 0, value_dim = 0;
    const int64_t key_last = args_.key.sizes.back(), value_last = args_.value.sizes.back();
    if (axes_.heads < 0) {
      const int64_t hidden = args_.query.sizes.back();
      Require(hidden % n == 0, Status::kTilingError, "query: expected a last dimension divisible by head_num ", n,
              ", got ", args_.query.sizes);
      head_dim = hidden / n;
      Require(head_dim > 0, Status::kParamInvalid, "query: expected a head size of 1 to ", kMaxHeadDim,
              ", got 0 (shape ", args_.query.sizes, ")");
      Require(key_last % head_dim == 0 && key_last > 0, Status::kTilingError,
              "key: expected a last dimension that is a multiple of query's head size ", head_dim, ", got ",
              args_.key.sizes);
      kv_heads = key_last / head_dim;
      Require(value_last % kv_heads == 0, Status::kTilingError, "value: expected a last dimension divisible by key's ",
              kv_heads, " heads, got ", args_.value.sizes);
      value_dim = value_last / kv_heads;
    } else {
      head_dim = args_.query.sizes.back();
      value_dim = value_last;
      kv_heads = args_.key.sizes[axes_.heads];
      Require(args_.query.sizes[axes_.heads] == n, Status::kTilingError, "head_num: expected query's ",
              args_.query.sizes[axes_.heads], " heads (shape ", args_.query.sizes, "), got ", n);
      Require(key_last == head_dim, Status::kParamInvalid, "key: expected query's head size ", head_dim, ", got ",
              key_last, " (shape ", args_.key.sizes, ")");
      Require(args_.value.sizes[axes_.heads] == kv_heads, Status::kTilingError, "value: expected key's ", kv_heads,
              " heads, got ", args_.value.sizes);
    }
    Require(head_dim >= value_dim, Status::kParamInvalid, "value: expected a head size of at most query's ", head_dim,
            ", got ", value_dim);
    Require(head_dim >= 1 && head_dim <= kMaxHeadDim && value_dim >= 1, Status::kParamInvalid,
            "query: expected a head size of 1 to ", kMaxHeadDim, " and value one of at least 1, got ", head_dim,
            " and ", value_dim);
    Require(kv_heads > 0 && n % kv_heads == 0, Status::kTilingError, "head_num: expected a multiple of key's ",
            kv_heads, " heads, got ", n);
    CheckOuterAxes();
    constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();
    Require(n <= kInt32Max, Status::kTilingError, "head_num: expected at most ", kInt32Max, ", got ", n);
    geometry_.q_heads = n;
    geometry_.kv_heads = kv_heads;
    p.q_heads = static_cast<int32_t>(n);
    p.kv_heads = static_cast<int32_t>(kv_heads);
    p.head_dim = static_cast<int32_t>(head_dim);
    p.value_dim = static_cast<int32_t>(value_dim);
    Require(std::isfinite(args_.scale), Status::kParamInvalid, "scale: expected a finite number, got ", args_.scale);
    p.scale = args_.scale;
  }

  void CheckLayoutRank(const char* name, const TensorArgument& t) const {
    Require(static_cast<int>(t.sizes.size()) == axes_.rank, Status::kParamInvalid, name, ": expected ", axes_.rank,
            " dimensions for layout ", layout_name_, ", got shape ", t.sizes);
  }

  void ReadDType() {
    const std::string& dtype = args_.query.dtype;
    CheckSameDType("key", args_.key);
    CheckSameDType("value", args_.value);
    const struct {
      const char* name;
      DType dtype;
    } known[] = {{"float16", DType::kFloat16},
                 {"bfloat16", DType::kBFloat16},
                 {"float32", DType::kFloat32},
                 {"float64", DType::kFloat64}};
    for (const auto& candidate : known)
      if (dtype == candidate.name) {
        built_.problem.dtype = candidate.dtype;
        return;
      }
    Require(false, Status::kParamInvalid, "query: expected dtype float16, bfloat16 or float32 (float64 to check), got ",
            dtype);
  }

  void CheckSameDType(const char* name, const TensorArgument& t) const {
    Require(t.dtype == args_.query.dtype, Status::kParamInvalid, name, ": expected dtype ", args_.query.dtype,
            " like query, got ", t.dtype);
  }

  void CheckOuterAxes() {
    const std::vector<int64_t>&q = args_.query.sizes, &k = args_.key.sizes, &v = args_.value.sizes;
    if (axes_.batch >= 0)
      Require(k[axes_.batch] == q[axes_.batch], Status::kTilingError, "key: expected query's batch size ",
              q[axes_.batch], ", got ", k[axes_.batch]);
    if (axes_.batch >= 0)
      Require(v[axes_.batch] == k[axes_.batch], Status::kTilingError, "value: expected key's batch size ",
              k[axes_.batch], ", got ", v[axes_.batch]);
    Require(v[axes_.sequence] == k[axes_.sequence], Status::kTilingError, "value: expected key's sequence length ",
            k[axes_.sequence], ", got ", v[axes_.sequence]);
  }

  void CheckRope() {
    if (!args_.query_rope && !args_.key_rope) return;
    Require(args_.query_rope && args_.key_rope, Status::kParamNull, args_.query_rope ? "key_rope" : "query_rope",
            ": expected a tensor beside ", args_.query_rope ? "query_rope" : "key_rope", ", got None");
    const TensorArgument &q = *args_.query_rope, &k = *args_.key_rope;
    for (const auto& [name, rope] : {std::pair{"query_rope", &q}, std::pair{"key_rope", &k}})
      Require(rope->dtype == args_.query.dtype && (rope->dtype == "bfloat16" || rope->dtype == "float64"),
              Status::kParamInvalid, name, ": expected dtype bfloat16 like query, got ", rope->dtype, " beside ",
              args_.query.dtype);
    CheckRopeShape("query_rope", q, "query", args_.query);
    CheckRopeShape("key_rope", k, "key", args_.key);
    const int64_t rope_dim = q.sizes.back();
    Require(rope_dim == k.sizes.back(), Status::kParamInvalid, "key_rope: expected query_rope's head size ", rope_dim,
            ", got ", k.sizes.back());
    Require(rope_dim >= 1 && rope_dim <= built_.problem.head_dim, Status::kParamInvalid,
            "query_rope: expected a head size of 1 to ", built_.problem.head_dim, ", got ", rope_dim);
    Require(args_.sparse_mode != 6, Status::kParamInvalid, "sparse_mode: 6 does not go with query_rope and key_rope");
    Require(!args_.pse, Status::kParamInvalid, "pse: expected None beside query_rope and key_rope, got a tensor");
    Require(!args_.dropout_mask, Status::kParamInvalid,
            "dropout_mask: expected None beside query_rope and key_rope, got a tensor");
    Require(NearlyOne(args_.keep_prob), Status::kParamInvalid,
            "keep_prob: expected 1 beside query_rope and key_rope, got ", args_.keep_prob);
    Require(args_.atten_mask.has_value(), Status::kParamNull,
            "atten_mask: expected a tensor beside query_rope and key_rope, got None");
    built_.problem.rope_dim = static_cast<int32_t>(rope_dim);
  }

  static void CheckRopeShape(const char* name, const TensorArgument& rope, const char* base_name,
                             const TensorArgument& base) {
    const bool same = rope.sizes.size() == base.sizes.size() &&
                      std::equal(base.sizes.begin(), base.sizes.end() - 1, rope.sizes.begin());
    Require(same, Status::kParamInvalid, name, ": expected ", base_name, "'s shape ", base.sizes,
            " but for the last dimension, got ", rope.sizes);
  }

  void CheckSink() {
    if (!args_.sink) return;
    const TensorArgument& sink = *args_.sink;
    Require(sink.dtype == "float32" || (sink.dtype == "float64" && args_.query.dtype == "float64"),
            Status::kParamInvalid, "sink: expected dtype float32, got ", sink.dtype);
    Require(sink.sizes == std::vector<int64_t>{geometry_.q_heads}, Status::kParamInvalid,
            "sink: expected shape [head_num] = [", geometry_.q_heads, "], got ", sink.sizes);
    built_.problem.has_sink = 1;
  }

  // ---- sequences ----

  void BuildSequences() {
    if (geometry_.tnd)
      BuildSequencesTnd();
    else
      BuildSequencesBatched();
    built_.problem.num_sequences = static_cast<int32_t>(built_.sequences.size());
  }

  void BuildSequencesBatched() {
    const int64_t batch = args_.query.sizes[axes_.batch];
    const int64_t q_len = args_.query.sizes[axes_.sequence], kv_len = args_.key.sizes[axes_.sequence];
    constexpr int64_t kMaxBatch = int64_t{1} << 27;  // a table of sequences, not a limit of the operator
    Require(batch <= kMaxBatch, Status::kTilingError, "query: expected a batch of at most ", kMaxBatch, ", got ",
            batch);
    geometry_.batch = batch;
    geometry_.max_q_len = q_len;
    geometry_.max_kv_len = kv_len;
    built_.sequences.resize(batch);
    for (int64_t b = 0; b < batch; ++b) {
      Sequence& s = built_.sequences[b];
      s.batch = b;
      s.q_len = q_len;
      s.kv_len = kv_len;
    }
  }

  void BuildSequencesTnd() {
    const std::vector<int64_t> q_ends = CumulativeEnds("actual_seq_qlen", *args_.actual_seq_qlen, "query", args_.query);
    const std::vector<int64_t> kv_ends = CumulativeEnds("actual_seq_kvlen", *args_.actual_seq_kvlen, "key", args_.key);
    int64_t q_start = 0, kv_start = 0;
    for (size_t i = 0; i < q_ends.size(); ++i) {
      Sequence s = {};
      s.q_start = q_start;
      s.q_len = q_ends[i] - q_start;
      s.kv_start = kv_start;
      s.kv_len = kv_ends[i] - kv_start;
      geometry_.max_q_len = Max(geometry_.max_q_len, s.q_len);
      geometry_.max_kv_len = Max(geometry_.max_kv_len, s.kv_len);
      q_start = q_ends[i];
      kv_start = kv_ends[i];
      built_.sequences.push_back(s);
    }
    geometry_.batch = static_cast<int64_t>(q_ends.size());
    geometry_.sum_q_len = q_start;
    geometry_.sum_kv_len = kv_start;
  }

  // Cumulative ends with trailing zeros, which mean "no further sequence", turned into empty sequences.
  std::vector<int64_t> CumulativeEnds(const char* name, std::vector<int64_t> ends, const char* tensor_name,
                                      const TensorArgument& tensor) const {
    size_t used = ends.size();
    while (used > 0 && ends[used - 1] == 0) --used;
    int64_t last = 0;
    for (size_t i = 0; i < ends.size(); ++i) {
      if (i >= used) ends[i] = last;
      Require(ends[i] >= last, Status::kTilingError, name,
              ": expected cumulative lengths, each at least the one before (trailing zeros apart), got ", ends[i],
              " after ", last, " at index ", i);
      last = ends[i];
    }
    Require(last <= tensor.sizes[0], Status::kTilingError, name, ": expected the last cumulative length to be at most ",
            tensor_name, "'s ", tensor.sizes[0], " tokens, got ", last);
    return ends;
  }

  // ---- strides ----

  void BuildStrides() {
    AttentionProblem& p = built_.problem;
    p.q = StridesOf("query", args_.query, p.head_dim);
    p.k = StridesOf("key", args_.key, p.head_dim);
    p.v = StridesOf("value", args_.value, p.value_dim);
    p.dq = ContiguousLike(args_.query, p.q_heads, p.head_dim);
    p.dk = ContiguousLike(args_.key, p.kv_heads, p.head_dim);
    p.dv = ContiguousLike(args_.value, p.kv_heads, p.value_dim);
    p.out = ContiguousLike(args_.query, p.q_heads, p.value_dim);
    if (p.rope_dim > 0) {
      p.q_rope = StridesOf("query_rope", *args_.query_rope, p.rope_dim);
      p.k_rope = StridesOf("key_rope", *args_.key_rope, p.rope_dim);
      p.dq_rope = ContiguousLike(args_.query, p.q_heads, p.rope_dim);
      p.dk_rope = ContiguousLike(args_.key, p.kv_heads, p.rope_dim);
    }
  }

  Strides StridesOf(const char* name, const TensorArgument& t, int64_t dim) const {
    Require(t.sizes.back() <= 1 || t.strides.back() == 1, Status::kParamInvalid, name,
            ": expected a last dimension with stride 1, got strides ", t.strides);
    return {axes_.batch < 0 ? 0 : t.strides[axes_.batch], t.strides[axes_.sequence],
            axes_.heads < 0 ? dim : t.strides[axes_.heads]};
  }

  Strides ContiguousLike(const TensorArgument& t, int64_t heads, int64_t dim) const {
    std::vector<int64_t> sizes = t.sizes;
    sizes.back() = axes_.heads < 0 ? CheckedProduct("heads * head size", {heads, dim}) : dim;
    std::vector<int64_t> strides(sizes.size());
    int64_t stride = 1;
    for (size_t axis = sizes.size(); axis-- > 0;) {
      strides[axis] = stride;
      stride = CheckedProduct("elements of a contiguous tensor like it", {stride, Max(sizes[axis], 1)});
    }
    TensorArgument contiguous = t;
    contiguous.strides = strides;
    return StridesOf("output", contiguous, dim);
  }

  // ---- dropout and statistics ----

  void BuildDropout() {
    AttentionProblem& p = built_.problem;
    int64_t bits = 0;
    for (Sequence& s : built_.sequences) {
      s.drop_start = bits;
      bits = CheckedSum("numels: scores of all sequences", bits,
                        CheckedProduct("numels: N * Sq * Skv", {p.q_heads, s.q_len, s.kv_len}));
    }
    p.drop_bits = bits;
    Dropout& d = p.dropout;
    d.kind = DropoutKind::kNone;
    d.keep_prob = NearlyOne(args_.keep_prob) ? 1.0 : args_.keep_prob;
    d.keep_below = KeepBelow(d.keep_prob);
    d.seed = static_cast<uint64_t>(args_.seed);
    d.offset = static_cast<uint64_t>(args_.offset);
    if (args_.dropout_mask) {
      const TensorArgument& mask = *args_.dropout_mask;
      Require(mask.dtype == "uint8", Status::kTilingError, "dropout_mask: expected dtype uint8 (packed bits), got ",
              mask.dtype);
      const int64_t bytes = CheckedProduct("dropout_mask: bytes", mask.sizes), needed = bits / 8 + (bits % 8 != 0);
      Require(bytes >= needed, Status::kTilingError, "dropout_mask: expected at least ", needed,
              " bytes (one bit for each of ", bits, " scores), got ", bytes);
      d.kind = DropoutKind::kBits;
      built_.drop_bits = mask.data;
    } else if (d.keep_prob < 1.0) {
      d.kind = DropoutKind::kPhilox;
    }
  }

  void BuildStatistics() {
    AttentionProblem& p = built_.problem;
    p.statistics_by_token = args_.softmax_layout == "TND";
    int64_t rows = 0;
    for (Sequence& s : built_.sequences) {
      s.statistic_start = rows;
      rows = CheckedSum("softmax_max: rows", rows, CheckedProduct("softmax_max: N * Sq", {p.q_heads, s.q_len}));
    }
    p.statistic_rows = geometry_.tnd ? CheckedProduct("softmax_max: N * T", {p.q_heads, args_.query.sizes[0]}) : rows;
    CheckedProduct("softmax_max: rows * 8", {p.statistic_rows, kStatisticColumns});
  }

  void CheckBackwardTensors() const {
    std::vector<int64_t> out = args_.query.sizes;
    out.back() =
        axes_.heads < 0 ? built_.problem.q_heads * int64_t{built_.problem.value_dim} : built_.problem.value_dim;
    CheckLikeOutput("dy", *args_.dy, out);
    if (args_.attention_in) CheckLikeOutput("attention_in", *args_.attention_in, out);
    const std::vector<int64_t> statistics = StatisticSizes();
    for (const auto& [name, t] :
         {std::pair{"softmax_max", &*args_.softmax_max}, std::pair{"softmax_sum", &*args_.softmax_sum}}) {
      Require(t->sizes == statistics, Status::kTilingError, name, ": expected shape ", statistics, ", got ", t->sizes);
      Require(t->dtype == "float32" || (t->dtype == "float64" && args_.query.dtype == "float64"), Status::kTilingError,
              name, ": expected dtype float32, got ", t->dtype);
    }
  }

  std::vector<int64_t> StatisticSizes() const {
    const int64_t n = geometry_.q_heads;
    if (geometry_.tnd) return {args_.query.sizes[0], n, kStatisticColumns};
    return {geometry_.batch, n, geometry_.max_q_len, kStatisticColumns};
  }

  // Outputs that the caller brings must have the shape and dtype they get; their strides are the caller's.
  void BuildOutputs() {
    AttentionProblem& p = built_.problem;
    const OutputArguments& o = args_.outputs;
    const std::string& dtype = args_.query.dtype;
    PlaceOutput("attention_out", o.attention_out, args_.query, p.q_heads, p.value_dim, &p.out);
    PlaceOutput("dq", o.dq, args_.query, p.q_heads, p.head_dim, &p.dq);
    PlaceOutput("dk", o.dk, args_.key, p.kv_heads, p.head_dim, &p.dk);
    PlaceOutput("dv", o.dv, args_.value, p.kv_heads, p.value_dim, &p.dv);
    PlaceOutput("dq_rope", o.dq_rope, args_.query, p.q_heads, p.rope_dim, &p.dq_rope);
    PlaceOutput("dk_rope", o.dk_rope, args_.key, p.kv_heads, p.rope_dim, &p.dk_rope);
    const std::string statistics = dtype == "float64" ? dtype : "float32";
    if (o.softmax_max) CheckOutput("softmax_max", *o.softmax_max, StatisticSizes(), statistics);
    if (o.softmax_sum) CheckOutput("softmax_sum", *o.softmax_sum, StatisticSizes(), statistics);
    if (o.dsink && args_.sink) CheckOutput("dsink", *o.dsink, args_.sink->sizes, args_.sink->dtype);
  }

  void PlaceOutput(const char* name, const std::optional<TensorArgument>& t, const TensorArgument& like, int64_t heads,
                   int64_t dim, Strides* strides) const {
    if (!t || dim == 0) return;
    std::vector<int64_t> sizes = like.sizes;
    sizes.back() = axes_.heads < 0 ? CheckedProduct("heads * head size", {heads, dim}) : dim;
    CheckOutput(name, *t, sizes, like.dtype);
    *strides = StridesOf(name, *t, dim);
  }

  static void CheckOutput(const char* name, const TensorArgument& t, const std::vector<int64_t>& sizes,
                          const std::string& dtype) {
    Require(t.sizes == sizes, Status::kParamInvalid, name, ": expected shape ", sizes, ", got ", t.sizes);
    Require(t.dtype == dtype, Status::kParamInvalid, name, ": expected dtype ", dtype, ", got ", t.dtype);
  }

  void CheckLikeOutput(const char* name, const TensorArgument& t, const std::vector<int64_t>& sizes) const {
    Require(t.sizes == sizes, Status::kTilingError, name, ": expected the output's shape ", sizes, ", got ", t.sizes);
    Require(t.dtype == args_.query.dtype, Status::kTilingError, name, ": expected dtype ", args_.query.dtype,
            " like query, got ", t.dtype);
  }

  const Arguments& args_;
  const bool v2_;
  std::string layout_name_;
  Axes axes_ = {"", 0, -1, 0, -1};
  Geometry geometry_;
  HostProblem built_;
};

}  // namespace

HostProblem BuildProblem(const Arguments& arguments) { return Builder(arguments).Build(); }

}  // namespace npu_fa
