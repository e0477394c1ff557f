// aclnnFlashAttentionVarLenScoreV2: three sequences in one TND tensor, each causal from its bottom right corner by the
// compressed mask of sparse mode 3; four query heads share two key heads. float16.
#include "aclnnop/aclnn_flash_attention_score.h"
#include "device.h"

namespace {

constexpr int kHeads = 4, kKvHeads = 2, kDepth = 32, kMask = 2048;
constexpr double kScale = 0.2;
const std::vector<int64_t> kQueryEnds = {20, 20, 65}, kKeyEnds = {33, 40, 90};  // cumulative; the second has no queries

void Run() {
  const Session session;
  const int64_t rows = kQueryEnds.back(), columns = kKeyEnds.back();
  DeviceTensor query({rows, kHeads, kDepth}, ACL_FLOAT16), out({rows, kHeads, kDepth}, ACL_FLOAT16);
  DeviceTensor key({columns, kKvHeads, kDepth}, ACL_FLOAT16), value({columns, kKvHeads, kDepth}, ACL_FLOAT16);
  DeviceTensor softmax_max({rows, kHeads, 8}, ACL_FLOAT), softmax_sum({rows, kHeads, 8}, ACL_FLOAT);
  DeviceTensor mask({kMask, kMask}, ACL_UINT8);
  const std::vector<float> q = query.Upload(RandomValues(rows * kHeads * kDepth, 1));
  const std::vector<float> k = key.Upload(RandomValues(columns * kKvHeads * kDepth, 2));
  const std::vector<float> v = value.Upload(RandomValues(columns * kKvHeads * kDepth, 3));
  std::vector<float> triangle(kMask * kMask);
  for (int i = 0; i < kMask; ++i)
    for (int j = i + 1; j < kMask; ++j) triangle[i * kMask + j] = 1;
  mask.Upload(triangle);
  aclIntArray* query_ends = aclCreateIntArray(kQueryEnds.data(), kQueryEnds.size());
  aclIntArray* key_ends = aclCreateIntArray(kKeyEnds.data(), kKeyEnds.size());

  char layout[] = "TND";
  uint64_t workspace_size = 0;
  aclOpExecutor* executor = nullptr;
  Check(aclnnFlashAttentionVarLenScoreV2GetWorkspaceSize(
            query.Handle(), key.Handle(), value.Handle(), nullptr, nullptr, nullptr, mask.Handle(), nullptr, query_ends,
            key_ends, nullptr, nullptr, kScale, 1.0, 2147483647, 2147483647, kHeads, layout, 0, 3, 1,
            softmax_max.Handle(), softmax_sum.Handle(), nullptr, out.Handle(), &workspace_size, &executor),
        "aclnnFlashAttentionVarLenScoreV2GetWorkspaceSize");
  const DeviceMemory workspace(workspace_size);
  Check(aclnnFlashAttentionVarLenScoreV2(workspace.Data(), workspace_size, executor, session.Stream()),
        "aclnnFlashAttentionVarLenScoreV2");
  Check(aclrtSynchronizeStream(session.Stream()), "aclrtSynchronizeStream");

  const std::vector<float> got = out.Download();
  // Rows of one head of one sequence, out of [T, N, D].
  const auto head_of = [](const std::vector<float>& tokens, int64_t begin, int64_t end, int heads, int head) {
    std::vector<float> values;
    for (int64_t t = begin; t < end; ++t) {
      const float* first = &tokens[(t * heads + head) * kDepth];
      values.insert(values.end(), first, first + kDepth);
    }
    return values;
  };
  int64_t q_begin = 0, k_begin = 0;
  for (size_t s = 0; s < kQueryEnds.size(); ++s) {
    const int q_len = static_cast<int>(kQueryEnds[s] - q_begin), k_len = static_cast<int>(kKeyEnds[s] - k_begin);
    for (int head = 0; head < kHeads && q_len > 0; ++head) {
      const int kv_head = head / (kHeads / kKvHeads);
      const std::vector<float> one_q = head_of(q, q_begin, kQueryEnds[s], kHeads, head);
      const std::vector<float> one_k = head_of(k, k_begin, kKeyEnds[s], kKvHeads, kv_head);
      const std::vector<float> one_v = head_of(v, k_begin, kKeyEnds[s], kKvHeads, kv_head);
      const Head expected(one_q.data(), one_k.data(), one_v.data(), q_len, k_len, kDepth, kScale,
                          [&](int i, int j) { return j > i + k_len - q_len; });
      Compare("attention_out", head_of(got, q_begin, kQueryEnds[s], kHeads, head).data(), expected.out, 2e-3);
    }
    q_begin = kQueryEnds[s];
    k_begin = kKeyEnds[s];
  }
  aclDestroyIntArray(query_ends);
  aclDestroyIntArray(key_ends);
}

}  // namespace

int main() {
  try {
    Run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::puts("passed");
}
