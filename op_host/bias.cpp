// pse and pse_type become a Bias: a kind, an order, strides, and where each sequence starts in it.
#include "problem_parts.h"

namespace npu_fa {
namespace {

enum PseType : int64_t { kMulAdd, kAddMul, kSlopes, kSqrtSlopes };

int64_t Volume(const std::vector<int64_t>& sizes) { return CheckedProduct("pse: elements", sizes); }

class BiasPart {
 public:
  BiasPart(const Arguments& a, const Geometry& g, HostProblem* built) : args_(a), geometry_(g), built_(*built) {}

  void Build() {
    Bias& bias = built_.problem.bias;
    bias.order = args_.pse_type == kAddMul ? BiasOrder::kAddThenScale : BiasOrder::kScaleThenAdd;
    Require(args_.pse_type >= 0 && args_.pse_type <= 3, Status::kTilingError, "pse_type: expected 0, 1, 2 or 3, got ",
            args_.pse_type);
    const bool slopes = args_.pse_type >= kSlopes;
    Require(args_.pse || args_.pse_type == kAddMul, slopes ? DTypeStatus() : Status::kTilingError, "pse: pse_type ",
            args_.pse_type, " expects a tensor, got None; without pse leave pse_type at 1");
    if (!args_.pse) return;
    CheckDType(slopes);
    bias.dtype = PseDType();
    built_.bias = args_.pse->data;
    if (slopes)
      BuildSlopes();
    else if (geometry_.tnd)
      BuildTnd();
    else
      BuildBatched();
  }

 private:
  // The forward's first phase looks at the dtype of pse, the backward leaves it to the tiling.
  Status DTypeStatus() const { return IsBackward(args_) ? Status::kTilingError : Status::kParamInvalid; }

  void CheckDType(bool slopes) const {
    const std::string& got = args_.pse->dtype;
    const std::string& query = args_.query.dtype;
    if (slopes)
      Require(got == "float32" || (got == "float64" && query == "float64"), DTypeStatus(), "pse: pse_type ",
              args_.pse_type, " expects slopes of dtype float32, got ", got);
    else
      Require(got == query || (IsBackward(args_) && got == "float32"), DTypeStatus(), "pse: expected dtype ", query,
              " like query, got ", got);
  }

  DType PseDType() const {
    const std::string& got = args_.pse->dtype;
    return got == "float16"    ? DType::kFloat16
           : got == "bfloat16" ? DType::kBFloat16
           : got == "float32"  ? DType::kFloat32
                               : DType::kFloat64;
  }

  void SetStrides(BiasKind kind, int64_t batch, int64_t head, int64_t row, int64_t column) {
    Bias& bias = built_.problem.bias;
    bias.kind = kind;
    bias.batch_stride = batch;
    bias.head_stride = head;
    bias.row_stride = row;
    bias.column_stride = column;
    for (size_t i = 0; i < built_.sequences.size(); ++i)
      built_.sequences[i].bias_start = static_cast<int64_t>(i) * batch;
  }

  void BuildSlopes() {
    const std::vector<int64_t>& sizes = args_.pse->sizes;
    const std::vector<int64_t>& strides = args_.pse->strides;
    const int64_t b = geometry_.batch, n = geometry_.q_heads;
    const bool per_head = sizes == std::vector<int64_t>{n}, per_batch = sizes == std::vector<int64_t>{b, n};
    Require(per_head || per_batch, Status::kTilingError, "pse: pse_type ", args_.pse_type,
            " expects slopes of shape [N] = [", n, "] or [B, N] = [", b, ", ", n, "], got ", sizes);
    Require(args_.sparse_mode != 7 || !args_.atten_mask, Status::kTilingError,
            "pse_type: sparse_mode 7 does not go with pse_type 2 or 3, got ", args_.pse_type);
    SetStrides(args_.pse_type == kSlopes ? BiasKind::kSlope : BiasKind::kSlopeSqrt, per_batch ? strides[0] : 0,
               strides.back(), 0, 0);
    SetPositions();
  }

  void SetPositions() {
    const auto first = [](const std::optional<std::vector<int64_t>>& values) {
      return values && !values->empty() ? values->front() : int64_t{0};
    };
    const int64_t q_start = first(args_.q_start_idx), kv_start = q_start_given() ? first(args_.kv_start_idx) : 0;
    int64_t shift = 0;
    constexpr int64_t kExact = int64_t{1} << 53;
    Require(!__builtin_sub_overflow(kv_start, q_start, &shift) && -kExact < shift && shift < kExact,
            Status::kTilingError, "q_start_idx, kv_start_idx: expected positions less than 2^53 apart, got ", q_start,
            " and ", kv_start);
    const bool head_first = geometry_.tnd && args_.sparse_mode == 8 && args_.atten_mask;
    bool apart = true;  // in mode 8 only the first non-empty sequence is shifted
    for (Sequence& s : built_.sequences) {
      if (!geometry_.tnd) {
        Require(IsBackward(args_) || s.q_len == s.kv_len, Status::kTilingError, "pse: pse_type ", args_.pse_type,
                " expects Sq == Skv, got ", s.q_len, " and ", s.kv_len);
      } else if (head_first && NonEmpty(s)) {
        Require(apart ? s.q_len - s.kv_len == shift : s.q_len == s.kv_len, Status::kTilingError,
                "pse: sparse_mode 8 expects Sq - Skv + q_start - kv_start == 0 in its first sequence and Sq == Skv in "
                "the others, got Sq ",
                s.q_len, ", Skv ", s.kv_len, ", q_start ", q_start, ", kv_start ", kv_start);
      }
      s.position_shift = head_first && !apart ? 0 : shift;
      if (NonEmpty(s)) apart = false;
    }
  }

  bool q_start_given() const { return args_.q_start_idx && !args_.q_start_idx->empty(); }

  void BuildBatched() {
    const TensorArgument& pse = *args_.pse;
    const int64_t b = geometry_.batch, n = geometry_.q_heads, rows = geometry_.max_q_len,
                  columns = geometry_.max_kv_len;
    const std::vector<int64_t>& sizes = pse.sizes;
    const bool fits = sizes.size() == 4 && (sizes[0] == b || sizes[0] == 1) && sizes[1] == n && sizes[3] == columns;
    const bool full = fits && sizes[2] == rows, row = fits && sizes[2] == 1;
    const bool table = fits && sizes[2] == kDiagonalRows;
    Require(full || row || table, Status::kTilingError, "pse: pse_type ", args_.pse_type,
            " expects [B, N, Sq, Skv] = [", b, ", ", n, ", ", rows, ", ", columns,
            "], [1, N, Sq, Skv], [B, N, 1, Skv], [1, N, 1, Skv] or, for a compressed ",
            "ALiBi table, [B or 1, N, 1024, Skv], got ", sizes);
    const int64_t batch_stride = sizes[0] == 1 ? 0 : pse.strides[0];
    if (full || row) {
      SetStrides(BiasKind::kStrided, batch_stride, pse.strides[1], sizes[2] == 1 ? 0 : pse.strides[2], pse.strides[3]);
      return;
    }
    Require(rows >= kDiagonalRows, Status::kTilingError,
            "pse: a compressed table [B, N, 1024, Skv] expects Sq >= 1024, got ", rows);
    Require(
        rows == columns && Causal(), Status::kTilingError,
        "pse: a compressed table [B, N, 1024, Skv] expects Sq == Skv and a causal mask (sparse_mode 2, 3, or 0 with "
        "pre_tokens >= Sq and next_tokens 0), got Sq ",
        rows, ", Skv ", columns, ", sparse_mode ", args_.sparse_mode);
    SetStrides(BiasKind::kDiagonal, batch_stride, pse.strides[1], pse.strides[2], pse.strides[3]);
    built_.problem.bias.diagonal_origin = rows - kDiagonalRows;
  }

  bool Causal() const {
    if (!args_.atten_mask) return false;
    const bool by_tokens = args_.sparse_mode == 0 && args_.pre_tokens >= geometry_.max_q_len && args_.next_tokens == 0;
    return args_.sparse_mode == 2 || args_.sparse_mode == 3 || by_tokens;
  }

  void BuildTnd() {
    const TensorArgument& pse = *args_.pse;
    const std::vector<Sequence>& all = built_.sequences;
    const auto last = std::find_if(all.rbegin(), all.rend(), NonEmpty).base();  // trailing empty ones take no part
    for (auto s = all.begin(); s != last; ++s)
      Require(NonEmpty(*s), Status::kTilingError,
              "pse: layout TND expects no empty sequence beside pse, got one with Sq ", s->q_len, " and Skv ",
              s->kv_len);
    if (pse.sizes.size() == 1)
      BuildPacked(pse);
    else
      BuildTableTnd(pse);
  }

  void BuildPacked(const TensorArgument& pse) {
    const int64_t n = geometry_.q_heads;
    int64_t full = 0;
    for (const Sequence& s : built_.sequences)
      full = CheckedSum("pse: elements", full, CheckedProduct("pse: elements N*Sq*Skv", {n, s.q_len, s.kv_len}));
    const int64_t row = CheckedProduct("pse: elements N*T2", {n, geometry_.sum_kv_len}), got = Volume(pse.sizes);
    Require(got == full || got == row, Status::kTilingError, "pse: layout TND expects ", full,
            " packed elements (sum of N*Sq*Skv) or ", row, " (N * sum of Skv), got ", got);
    Require(pse.strides[0] == 1 || got <= 1, Status::kTilingError,
            "pse: expected packed elements to be contiguous, got stride ", pse.strides[0]);
    built_.problem.bias.kind = got == full ? BiasKind::kPacked : BiasKind::kPackedRow;
    int64_t start = 0;
    for (Sequence& s : built_.sequences) {
      s.bias_start = start;
      start += n * (got == full ? s.q_len : 1) * s.kv_len;
    }
  }

  void BuildTableTnd(const TensorArgument& pse) {
    const int64_t b = geometry_.batch, n = geometry_.q_heads, columns = geometry_.max_kv_len;
    const std::vector<int64_t>& sizes = pse.sizes;
    Require(sizes.size() == 4 && (sizes[0] == b || sizes[0] == 1) && sizes[1] == n && sizes[2] == kDiagonalRows &&
                sizes[3] == columns && columns >= kDiagonalRows,
            Status::kTilingError, "pse: layout TND expects packed elements (1 dimension) or a compressed table ",
            "[B or 1, N, 1024, maxSkv] = [", b, ", ", n, ", 1024, ", columns, "] with maxSkv >= 1024, got ", sizes);
    Require(Causal(), Status::kTilingError, "pse: a compressed table expects a causal mask (sparse_mode 2 or 3), got ",
            args_.atten_mask ? "sparse_mode " + std::to_string(args_.sparse_mode) : std::string("no atten_mask"));
    for (const Sequence& s : built_.sequences)
      Require(s.q_len == s.kv_len, Status::kTilingError,
              "pse: a compressed table expects Sq == Skv in every sequence, got ", s.q_len, " and ", s.kv_len);
    SetStrides(BiasKind::kDiagonalTnd, sizes[0] == 1 ? 0 : pse.strides[0], pse.strides[1], pse.strides[2],
               pse.strides[3]);
    built_.problem.bias.diagonal_origin = columns - kDiagonalRows;
  }

  const Arguments& args_;
  const Geometry& geometry_;
  HostProblem& built_;
};

}  // namespace

void BuildBias(const Arguments& arguments, const Geometry& geometry, HostProblem* built) {
  BiasPart(arguments, geometry, built).Build();
}

}  // namespace npu_fa
