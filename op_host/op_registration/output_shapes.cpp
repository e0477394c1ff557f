#include "output_shapes.h"

#include <algorithm>
#include <cctype>

namespace npu_fa::graph {

OutputShapes ForwardShapes(const std::string& layout, int64_t head_num, const std::vector<int64_t>& q,
                           const std::vector<int64_t>& k, const std::vector<int64_t>& v) {
  constexpr int64_t kColumns = 8;
  std::string upper = layout;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  const size_t rank = upper == "BNSD" || upper == "BSND" ? 4 : 3;
  if (q.size() != rank || k.size() != rank || v.size() != rank || head_num <= 0) return {};
  std::vector<int64_t> out = q;
  out.back() = v.back();
  if (upper == "TND") return {out, {q[0], q[1], kColumns}};
  if (upper == "BNSD") return {out, {q[0], q[1], q[2], kColumns}};
  if (upper == "BSND") return {out, {q[0], q[2], q[1], kColumns}};
  if (upper != "BSH" && upper != "SBH") return {};
  if (q[2] == kUnknown || k[2] == kUnknown || v[2] == kUnknown) {
    out[2] = kUnknown;
  } else {
    const int64_t depth = q[2] / head_num, kv_heads = depth > 0 ? k[2] / depth : 0;
    if (kv_heads == 0) return {};
    out[2] = head_num * (v[2] / kv_heads);
  }
  const bool batch_first = upper == "BSH";
  return {out, {q[batch_first ? 0 : 1], head_num, q[batch_first ? 1 : 0], kColumns}};
}

}  // namespace npu_fa::graph
