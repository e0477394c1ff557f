// aclnnFlashAttentionScoreGrad after aclnnFlashAttentionScore: gradients of one head, float32, causal by a full mask.
#include "aclnnop/aclnn_flash_attention_score.h"
#include "aclnnop/aclnn_flash_attention_score_grad.h"
#include "device.h"

namespace {

constexpr int kRows = 48, kDepth = 32;
constexpr double kScale = 0.25;
constexpr int64_t kUnbounded = 2147483647;

bool Hidden(int i, int j) { return j > i; }

void Run() {
  const Session session;
  const std::vector<int64_t> sizes = {1, 1, kRows, kDepth}, statistics = {1, 1, kRows, 8};
  DeviceTensor query(sizes, ACL_FLOAT), key(sizes, ACL_FLOAT), value(sizes, ACL_FLOAT), dy(sizes, ACL_FLOAT);
  DeviceTensor mask({kRows, kRows}, ACL_BOOL), out(sizes, ACL_FLOAT);
  DeviceTensor softmax_max(statistics, ACL_FLOAT), softmax_sum(statistics, ACL_FLOAT);
  DeviceTensor dq(sizes, ACL_FLOAT), dk(sizes, ACL_FLOAT), dv(sizes, ACL_FLOAT), dpse({0}, ACL_FLOAT);
  const std::vector<float> q = query.Upload(RandomValues(kRows * kDepth, 1));
  const std::vector<float> k = key.Upload(RandomValues(kRows * kDepth, 2));
  const std::vector<float> v = value.Upload(RandomValues(kRows * kDepth, 3));
  const std::vector<float> g = dy.Upload(RandomValues(kRows * kDepth, 4));
  std::vector<float> hidden(kRows * kRows);
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kRows; ++j) hidden[i * kRows + j] = Hidden(i, j);
  mask.Upload(hidden);

  char layout[] = "BNSD";
  uint64_t forward_size = 0, backward_size = 0;
  aclOpExecutor* executor = nullptr;
  Check(aclnnFlashAttentionScoreGetWorkspaceSize(query.Handle(), key.Handle(), value.Handle(), nullptr, nullptr,
                                                 nullptr, mask.Handle(), nullptr, kScale, 1.0, kUnbounded, 0, 1, layout,
                                                 0, 0, softmax_max.Handle(), softmax_sum.Handle(), nullptr,
                                                 out.Handle(), &forward_size, &executor),
        "aclnnFlashAttentionScoreGetWorkspaceSize");
  const DeviceMemory forward_workspace(forward_size);
  Check(aclnnFlashAttentionScore(forward_workspace.Data(), forward_size, executor, session.Stream()),
        "aclnnFlashAttentionScore");

  // The stream keeps the order: the backward may be launched before the forward is done.
  Check(aclnnFlashAttentionScoreGradGetWorkspaceSize(
            query.Handle(), key.Handle(), value.Handle(), dy.Handle(), nullptr, nullptr, nullptr, mask.Handle(),
            softmax_max.Handle(), softmax_sum.Handle(), nullptr, out.Handle(), nullptr, kScale, 1.0, kUnbounded, 0, 1,
            layout, 0, 0, dq.Handle(), dk.Handle(), dv.Handle(), dpse.Handle(), &backward_size, &executor),
        "aclnnFlashAttentionScoreGradGetWorkspaceSize");
  const DeviceMemory backward_workspace(backward_size);
  Check(aclnnFlashAttentionScoreGrad(backward_workspace.Data(), backward_size, executor, session.Stream()),
        "aclnnFlashAttentionScoreGrad");
  Check(aclrtSynchronizeStream(session.Stream()), "aclrtSynchronizeStream");

  const Head head(q.data(), k.data(), v.data(), kRows, kRows, kDepth, kScale, Hidden);
  std::vector<double> expected_dq(kRows * kDepth), expected_dk(kRows * kDepth), expected_dv(kRows * kDepth);
  for (int i = 0; i < kRows; ++i) {
    double y_dy = 0;
    for (int d = 0; d < kDepth; ++d) y_dy += head.out[i * kDepth + d] * g[i * kDepth + d];
    for (int j = 0; j < kRows; ++j) {
      double dp = 0;
      for (int d = 0; d < kDepth; ++d) dp += static_cast<double>(g[i * kDepth + d]) * v[j * kDepth + d];
      const double p = head.probability[i * kRows + j], ds = kScale * p * (dp - y_dy);
      for (int d = 0; d < kDepth; ++d) {
        expected_dq[i * kDepth + d] += ds * k[j * kDepth + d];
        expected_dk[j * kDepth + d] += ds * q[i * kDepth + d];
        expected_dv[j * kDepth + d] += p * g[i * kDepth + d];
      }
    }
  }
  Compare("dq", dq.Download().data(), expected_dq, 1e-4);
  Compare("dk", dk.Download().data(), expected_dk, 1e-4);
  Compare("dv", dv.Download().data(), expected_dv, 1e-4);
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
