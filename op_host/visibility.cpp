// Sparse modes 0-8, tokens, prefix and the attention mask become a Band per sequence and, where one is given, a dense
// mask. The token rules are those of the operator's tiling; the backward's are looser, as the operator's are.
#include <cstring>

#include "problem_parts.h"

namespace npu_fa {
namespace {

constexpr int64_t kCompressed = 2048;  // side of the standard triangle
constexpr int64_t kPrefixRows = 3072;  // the triangle with the 1024-row prefix tile below

constexpr int64_t kFar = int64_t{1} << 40;  // beyond any sequence, far from overflow

enum Mode : int64_t {
  kDefaultMask,
  kAllMask,
  kLeftUpCausal,
  kRightDownCausal,
  kBandMode,
  kPrefixFull,
  kPrefixCompressed,
  kRightDownCausalBand,
  kBandLeftUpCausal,
};

// The window of a mode as it is written: origin - before <= k - q <= origin + after.
struct Window {
  int64_t origin, before, after;
};

int64_t BoundedTokens(int64_t tokens) { return Clamp(tokens, -kFar, kFar); }

Band MakeBand(const Sequence& s, const Window& w) {
  return {Clamp(w.origin - w.before, -s.q_len, s.kv_len), Clamp(w.origin + w.after, -s.q_len, s.kv_len), 0};
}

Band Everything(const Sequence& s) { return {-s.q_len, s.kv_len, 0}; }

class Visibility {
 public:
  Visibility(const Arguments& a, const Geometry& g, HostProblem* built)
      : args_(a),
        geometry_(g),
        built_(*built),
        mode_(a.sparse_mode),
        pre_(BoundedTokens(a.pre_tokens)),
        next_(BoundedTokens(a.next_tokens)) {}

  void Build() {
    for (Sequence& s : built_.sequences) s.band = Everything(s);
    if (!args_.atten_mask) return;  // no mask: everything is visible, whatever mode and tokens say
    BuildMask();
    if (IsBackward(args_))
      CheckBackwardTokens();
    else if (geometry_.tnd)
      CheckTokensTnd();
    else
      CheckTokensBatched();
    CheckPrefix();
    for (size_t i = 0; i < built_.sequences.size(); ++i) built_.sequences[i].band = BandOf(i);
  }

 private:
  // ---- the mask tensor ----

  bool Compressed() const { return mode_ >= kLeftUpCausal && mode_ != kPrefixFull; }

  void BuildMask() {
    const TensorArgument& mask = *args_.atten_mask;
    Require(mask.dtype == "bool" || mask.dtype == "uint8", Status::kTilingError,
            "atten_mask: expected dtype bool or uint8 (1 = hidden), got ", mask.dtype,
            "; a bias that is added to the scores goes to pse");
    if (Compressed())
      CheckCompressedMask(mask);
    else if (geometry_.tnd)
      BuildDenseTnd(mask);
    else
      BuildDenseBatched(mask);
  }

  void CheckCompressedMask(const TensorArgument& mask) const {
    const int64_t rows = mode_ == kPrefixCompressed ? kPrefixRows : kCompressed;
    Require(mask.sizes == std::vector<int64_t>{rows, kCompressed}, Status::kTilingError, "atten_mask: sparse_mode ",
            mode_, " expects the compressed mask of shape [", rows, ", ", kCompressed, "], got ", mask.sizes,
            "; a full mask goes with sparse_mode 0 or 1");
    if (!mask.data) return;
    for (int64_t row = 0; row < rows; ++row) {
      // Row i of the triangle hides columns > i; the prefix tile hides its right half.
      const int64_t first_hidden = row < kCompressed ? row + 1 : kCompressed / 2;
      const int64_t wrong = FirstDifference(mask, row, first_hidden);
      Require(wrong < 0, Status::kTilingError, "atten_mask: sparse_mode ", mode_,
              " takes the standard compressed pattern only (",
              mode_ == kPrefixCompressed
                  ? "torch.triu(torch.ones(2048, 2048), 1) with, below it, 1024 rows of 1024 zeros and 1024 ones"
                  : "torch.triu(torch.ones(2048, 2048), diagonal=1)",
              ", 1 = hidden), got ", wrong < first_hidden ? 1 : 0, " at [", row, ", ", wrong,
              "]; a mask of your own goes with sparse_mode 0 or 1");
    }
  }

  // Column of `row` that is not (column >= first_hidden), or -1.
  static int64_t FirstDifference(const TensorArgument& mask, int64_t row, int64_t first_hidden) {
    const auto* data = static_cast<const uint8_t*>(mask.data) + row * mask.strides[0];
    static const std::vector<uint8_t> zeros(kCompressed, 0), ones(kCompressed, 1);
    const bool dense = mask.strides[1] == 1;
    if (dense && std::memcmp(data, zeros.data(), first_hidden) == 0 &&
        std::memcmp(data + first_hidden, ones.data(), kCompressed - first_hidden) == 0)
      return -1;
    for (int64_t column = 0; column < kCompressed; ++column)
      if ((data[column * mask.strides[1]] != 0) != (column >= first_hidden)) return column;
    return -1;
  }

  void SetMaskStrides(int64_t batch, int64_t head, int64_t row, int64_t column) {
    built_.problem.mask = {true, batch, head, row, column};
    built_.mask = args_.atten_mask->data;
  }

  // 0 for an axis of size 1, which broadcasts.
  static int64_t BroadcastStride(const TensorArgument& t, size_t axis) {
    return t.sizes[axis] == 1 ? 0 : t.strides[axis];
  }

  void BuildDenseBatched(const TensorArgument& mask) {
    const int64_t b = geometry_.batch, n = geometry_.q_heads, rows = geometry_.max_q_len,
                  columns = geometry_.max_kv_len;
    const std::vector<int64_t>& sizes = mask.sizes;
    const bool plain =
        sizes == std::vector<int64_t>{rows, columns} || sizes == std::vector<int64_t>{1, 1, rows, columns};
    const bool per_batch = sizes == std::vector<int64_t>{b, 1, rows, columns};
    const bool per_head = sizes == std::vector<int64_t>{b, n, rows, columns};
    if (mode_ == kPrefixFull)
      Require(per_batch || per_head || (b == 1 && plain), Status::kTilingError,
              "atten_mask: sparse_mode 5 expects shape [B, N, Sq, Skv] = [", b, ", ", n, ", ", rows, ", ", columns,
              "] or [B, 1, Sq, Skv], got ", sizes);
    Require(plain || per_batch || per_head, Status::kTilingError,
            "get unsupported atten_mask shape: atten_mask: ", "expected [Sq, Skv] = [", rows, ", ", columns,
            "], [1, 1, Sq, Skv], [B, 1, Sq, Skv] or [B, N, Sq, Skv] ", "with B = ", b, " and N = ", n, ", got ", sizes,
            "; expand other broadcasts, a stride of 0 costs nothing");
    if (sizes.size() == 2)
      SetMaskStrides(0, 0, mask.strides[0], mask.strides[1]);
    else
      SetMaskStrides(BroadcastStride(mask, 0), BroadcastStride(mask, 1), mask.strides[2], mask.strides[3]);
    for (Sequence& s : built_.sequences) s.mask_start = s.batch * built_.problem.mask.batch_stride;
  }

  void BuildDenseTnd(const TensorArgument& mask) {
    const std::vector<int64_t>& sizes = mask.sizes;
    const int64_t rows = geometry_.max_q_len, columns = geometry_.max_kv_len;
    const int64_t sum_rows = geometry_.sum_q_len, sum_columns = geometry_.sum_kv_len;
    const int64_t b = geometry_.batch, n = geometry_.q_heads;
    if (sizes == std::vector<int64_t>{rows, columns}) {
      SetMaskStrides(0, 0, mask.strides[0], mask.strides[1]);
    } else if (sizes == std::vector<int64_t>{sum_rows, sum_columns} ||
               sizes == std::vector<int64_t>{args_.query.sizes[0], args_.key.sizes[0]}) {
      SetMaskStrides(0, 0, mask.strides[0], mask.strides[1]);
      for (Sequence& s : built_.sequences) s.mask_start = s.q_start * mask.strides[0] + s.kv_start * mask.strides[1];
    } else {
      Require(sizes.size() == 4 && (sizes[0] == 1 || sizes[0] == b) && (sizes[1] == 1 || sizes[1] == n) &&
                  (sizes[0] == b || sizes[1] == 1) && sizes[2] == rows && sizes[3] == columns,
              Status::kTilingError,
              "get unsupported atten_mask shape: atten_mask: layout TND expects [maxSq, maxSkv] = [", rows, ", ",
              columns, "], [sum of Sq, sum of Skv] = [", sum_rows, ", ", sum_columns,
              "], [1, 1, maxSq, maxSkv], [B, 1, maxSq, maxSkv] or [B, N, maxSq, maxSkv] with B = ", b, " and N = ", n,
              ", got ", sizes);
      SetMaskStrides(BroadcastStride(mask, 0), BroadcastStride(mask, 1), mask.strides[2], mask.strides[3]);
      for (size_t i = 0; i < built_.sequences.size(); ++i)
        built_.sequences[i].mask_start = static_cast<int64_t>(i) * built_.problem.mask.batch_stride;
    }
  }

  // ---- tokens ----

  template <class... Parts>
  void RequireTokens(bool condition, const Parts&... why) const {
    Require(condition, Status::kTilingError, "pre_tokens, next_tokens: sparse_mode ", mode_, " expects ", why...,
            "; got pre_tokens ", args_.pre_tokens, " and next_tokens ", args_.next_tokens);
  }

  void CheckTokensBatched() const {
    if (mode_ != kDefaultMask && mode_ != kBandMode) return;
    const int64_t sq = geometry_.max_q_len, skv = geometry_.max_kv_len;
    const int64_t origin = mode_ == kBandMode ? skv - sq : 0;
    const int64_t pre = pre_ - origin, next = next_ + origin;  // seen from the top-left corner
    const std::string seen =
        Text(" (from the top-left corner they are ", pre, " and ", next, ", Sq ", sq, ", Skv ", skv, ")");
    RequireTokens(pre >= 0 || next >= 0, "not both to be negative", seen);
    if (pre < 0)
      RequireTokens(next >= -pre && -pre < skv, "a window that is not empty and starts within the keys", seen);
    if (next < 0)
      RequireTokens(-next <= pre && -next < sq, "a window that is not empty and ends within the queries", seen);
  }

  void CheckTokensTnd() const {
    const std::vector<Sequence>& all = built_.sequences;
    const int64_t band = BandSequence();
    for (int64_t i = 0; i < static_cast<int64_t>(all.size()); ++i) {
      const Sequence& s = all[i];
      const std::string which = Text(" (sequence ", i, " has Sq ", s.q_len, ", Skv ", s.kv_len, ")");
      if (mode_ == kRightDownCausal)
        Require(s.q_len <= s.kv_len, Status::kTilingError,
                "actual_seq_qlen: sparse_mode 3 in layout TND expects Sq <= Skv in every sequence", which);
      if (mode_ == kBandMode && NonEmpty(s))
        RequireTokens(s.q_len - next_ <= s.kv_len, "Sq - next_tokens <= Skv in every sequence", which);
      if (mode_ == kRightDownCausalBand && NonEmpty(s))
        Require(s.q_len <= s.kv_len, Status::kTilingError,
                "actual_seq_qlen: sparse_mode 7 expects Sq <= Skv in every sequence", which);
      if (i == band) {
        RequireTokens(pre_ >= s.kv_len, "pre_tokens >= Skv of its band sequence", which);
        RequireTokens(s.q_len - next_ <= s.kv_len, "Sq - next_tokens <= Skv of its band sequence", which);
      }
    }
    if (mode_ == kRightDownCausalBand) RequireTokens(next_ <= 0, "next_tokens <= 0");
    if (mode_ == kBandMode) {
      RequireTokens(pre_ >= 0, "pre_tokens >= 0");
      RequireTokens(next_ >= 0 || pre_ + next_ >= 0, "pre_tokens + next_tokens >= 0");
    }
    if (mode_ == kDefaultMask) CheckDefaultTokensTnd();
  }

  void CheckDefaultTokensTnd() const {
    const bool causal = pre_ >= geometry_.max_q_len && next_ == 0;
    const bool dense = pre_ >= geometry_.max_q_len && next_ >= geometry_.max_kv_len;
    if (causal || dense) return;
    RequireTokens(next_ >= 0, "next_tokens >= 0 in layout TND");
    for (const Sequence& s : built_.sequences)
      if (NonEmpty(s))
        RequireTokens(s.kv_len + pre_ >= s.q_len, "Skv + pre_tokens >= Sq in every sequence (Sq ", s.q_len, ", Skv ",
                      s.kv_len, ")");
    if (pre_ < 0) RequireTokens(next_ >= -pre_, "next_tokens >= -pre_tokens");
  }

  void CheckBackwardTokens() const {
    const bool every = mode_ == kDefaultMask || mode_ == kBandMode;
    const int64_t band = BandSequence();
    for (int64_t i = 0; i < static_cast<int64_t>(built_.sequences.size()); ++i) {
      const Sequence& s = built_.sequences[i];
      if (!NonEmpty(s) || !(every || i == band)) continue;
      const int64_t origin = mode_ == kDefaultMask ? 0 : s.kv_len - s.q_len;
      const int64_t pre = pre_ - origin, next = next_ + origin;
      RequireTokens(-pre <= s.kv_len && -next <= s.q_len && pre + next >= 0,
                    "a window within the scores (from the top-left corner of sequence ", i, " it is ", -pre, " to ",
                    next, ", Sq ", s.q_len, ", Skv ", s.kv_len, ")");
    }
  }

  void CheckPrefix() const {
    const bool needed = mode_ == kPrefixCompressed;
    if (!needed && (mode_ != kPrefixFull || args_.ignore_wrong_prefix)) return;
    const size_t count = built_.sequences.size();
    Require(args_.prefix || !needed, Status::kTilingError, "prefix: sparse_mode 6 expects one value per batch (", count,
            "), got None");
    if (!args_.prefix) return;
    Require(args_.prefix->size() == count, Status::kTilingError, "prefix: sparse_mode ", mode_,
            " expects one value per batch (", count, "), got ", args_.prefix->size());
    for (size_t i = 0; i < count; ++i) {
      const Sequence& s = built_.sequences[i];
      const Range range = PrefixRange(s);
      const int64_t value = (*args_.prefix)[i];
      Require(range.begin <= value && value < range.end, Status::kTilingError, "prefix[", i, "]: expected ",
              range.begin, " to ", s.kv_len, " (Sq ", s.q_len, ", Skv ", s.kv_len, "), got ", value);
    }
  }

  static Range PrefixRange(const Sequence& s) { return {s.q_len > s.kv_len ? 0 : s.kv_len - s.q_len, s.kv_len + 1}; }

  bool PrefixFits() const {
    if (!args_.prefix || args_.prefix->size() != built_.sequences.size()) return false;
    for (size_t i = 0; i < built_.sequences.size(); ++i) {
      const Range range = PrefixRange(built_.sequences[i]);
      if ((*args_.prefix)[i] < range.begin || (*args_.prefix)[i] >= range.end) return false;
    }
    return true;
  }

  // ---- bands ----

  // Modes 7 and 8 treat one sequence apart: the last, or the first, that is not empty. -1 elsewhere.
  int64_t BandSequence() const {
    const std::vector<Sequence>& all = built_.sequences;
    const int64_t count = static_cast<int64_t>(all.size());
    if (mode_ == kRightDownCausalBand)
      for (int64_t i = count - 1; i >= 0; --i)
        if (NonEmpty(all[i])) return i;
    if (mode_ == kBandLeftUpCausal)
      for (int64_t i = 0; i < count; ++i)
        if (NonEmpty(all[i])) return i;
    return -1;
  }

  Band BandOf(size_t index) const {
    const Sequence& s = built_.sequences[index];
    const int64_t corner = s.kv_len - s.q_len;  // the bottom-right origin
    const Window left_up = {0, kFar, 0}, right_down = {corner, kFar, 0}, band = {corner, pre_, next_};
    const bool apart = static_cast<int64_t>(index) == BandSequence();
    switch (mode_) {
      case kDefaultMask:
        return MakeBand(s, {0, pre_, next_});
      case kAllMask:
        return Everything(s);
      case kLeftUpCausal:
        return MakeBand(s, left_up);
      case kBandMode:
        return MakeBand(s, band);
      case kPrefixFull:
        if (!PrefixFits()) return Everything(s);
        [[fallthrough]];
      case kPrefixCompressed: {
        Band causal = MakeBand(s, right_down);
        causal.prefix = (*args_.prefix)[index];
        return causal;
      }
      case kRightDownCausalBand:
        return MakeBand(s, apart ? band : right_down);
      case kBandLeftUpCausal:
        return MakeBand(s, apart ? Window{corner, kFar, next_} : left_up);
      default:
        return MakeBand(s, right_down);
    }
  }

  const Arguments& args_;
  const Geometry& geometry_;
  HostProblem& built_;
  const int64_t mode_, pre_, next_;
};

}  // namespace

void BuildVisibility(const Arguments& arguments, const Geometry& geometry, HostProblem* built) {
  Visibility(arguments, geometry, built).Build();
}

}  // namespace npu_fa
