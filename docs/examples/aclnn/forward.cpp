// aclnnFlashAttentionScore: two heads of 96 queries over 160 keys, layout BNSD, float16.
#include "aclnnop/aclnn_flash_attention_score.h"
#include "device.h"

namespace {

constexpr int kHeads = 2, kRows = 96, kColumns = 160, kDepth = 64;
constexpr double kScale = 0.125;

void Run() {
  const Session session;
  DeviceTensor query({1, kHeads, kRows, kDepth}, ACL_FLOAT16), key({1, kHeads, kColumns, kDepth}, ACL_FLOAT16);
  DeviceTensor value({1, kHeads, kColumns, kDepth}, ACL_FLOAT16), out({1, kHeads, kRows, kDepth}, ACL_FLOAT16);
  DeviceTensor softmax_max({1, kHeads, kRows, 8}, ACL_FLOAT), softmax_sum({1, kHeads, kRows, 8}, ACL_FLOAT);
  const std::vector<float> q = query.Upload(RandomValues(kHeads * kRows * kDepth, 1));
  const std::vector<float> k = key.Upload(RandomValues(kHeads * kColumns * kDepth, 2));
  const std::vector<float> v = value.Upload(RandomValues(kHeads * kColumns * kDepth, 3));

  char layout[] = "BNSD";
  uint64_t workspace_size = 0;
  aclOpExecutor* executor = nullptr;
  Check(aclnnFlashAttentionScoreGetWorkspaceSize(query.Handle(), key.Handle(), value.Handle(), nullptr, nullptr,
                                                 nullptr, nullptr, nullptr, kScale, 1.0, 2147483647, 2147483647, kHeads,
                                                 layout, 0, 0, softmax_max.Handle(), softmax_sum.Handle(), nullptr,
                                                 out.Handle(), &workspace_size, &executor),
        "aclnnFlashAttentionScoreGetWorkspaceSize");
  const DeviceMemory workspace(workspace_size);
  Check(aclnnFlashAttentionScore(workspace.Data(), workspace_size, executor, session.Stream()),
        "aclnnFlashAttentionScore");
  Check(aclrtSynchronizeStream(session.Stream()), "aclrtSynchronizeStream");

  const std::vector<float> got = out.Download(), got_max = softmax_max.Download(), got_sum = softmax_sum.Download();
  for (int head = 0; head < kHeads; ++head) {
    const Head expected(&q[head * kRows * kDepth], &k[head * kColumns * kDepth], &v[head * kColumns * kDepth], kRows,
                        kColumns, kDepth, kScale, [](int, int) { return false; });
    Compare("attention_out", &got[head * kRows * kDepth], expected.out, 2e-3);
    std::vector<double> row_max, row_sum;
    for (int i = 0; i < kRows; ++i) {
      row_max.insert(row_max.end(), 8, expected.row_max[i]);
      row_sum.insert(row_sum.end(), 8, expected.row_sum[i]);
    }
    Compare("softmax_max", &got_max[head * kRows * 8], row_max, 1e-5);
    Compare("softmax_sum", &got_sum[head * kRows * 8], row_sum, 1e-3);
  }
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
