#include "launch.h"

#include <cstring>
#include <utility>

#include "backward_tiling.h"
#include "require.h"
#include "semantics.h"
#include "tiling.h"

namespace npu_fa {
namespace {

uint64_t Aligned(uint64_t bytes) { return (bytes + kGmAlignment - 1) / kGmAlignment * kGmAlignment; }

uint64_t KernelBytes(const Tiling& tiling) { return static_cast<uint64_t>(WorkspaceBytes(tiling)); }
uint64_t KernelBytes(const BackwardTiling& tiling) { return static_cast<uint64_t>(tiling.workspace_bytes); }

template <class KernelTiling>
LaunchPlan PlanOf(std::vector<uint8_t> blob) {
  const size_t head = kBlobSequences<KernelTiling>;
  if (blob.size() < head || (blob.size() - head) % sizeof(Sequence) != 0)
    throw std::invalid_argument(
        Text("plan: expected problem, tiling and whole sequences, got ", blob.size(), " bytes"));
  KernelTiling tiling;
  std::memcpy(&tiling, blob.data() + kBlobTiling, sizeof(tiling));
  LaunchPlan plan;
  plan.cores = tiling.cores;
  plan.workspace_bytes = Aligned(KernelBytes(tiling)) + Aligned(blob.size());
  plan.blob = std::move(blob);
  return plan;
}

}  // namespace

LaunchPlan PlanForward(const HostProblem& built, const Platform& platform, int32_t cores) {
  return ForwardPlanOf(ArgumentBlob(built, MakeForwardTiling(built, platform, cores)));
}

LaunchPlan PlanBackward(const HostProblem& built, const Platform& platform, int32_t cores, bool deterministic) {
  return BackwardPlanOf(ArgumentBlob(built, MakeBackwardTiling(built, platform, cores, deterministic)));
}

LaunchPlan ForwardPlanOf(std::vector<uint8_t> blob) { return PlanOf<Tiling>(std::move(blob)); }
LaunchPlan BackwardPlanOf(std::vector<uint8_t> blob) { return PlanOf<BackwardTiling>(std::move(blob)); }

std::vector<uint8_t> GeneratedDropBits(const AttentionProblem& p) {
  std::vector<uint8_t> bits(static_cast<size_t>((p.drop_bits + 127) / 128 * 16));
  for (uint64_t group = 0; group < bits.size() * 2; ++group) {
    const PhiloxBlock words = DropoutWords(p.dropout.seed, p.dropout.offset, group);
    for (uint64_t i = 0; i < 4; ++i)
      bits[group / 2] |= static_cast<uint8_t>(KeepWord(p.dropout, words.word[i]) << (group % 2 * 4 + i));
  }
  return bits;
}

uint64_t BlobOffset(const LaunchPlan& plan) { return plan.workspace_bytes - Aligned(plan.blob.size()); }

void CheckWorkspace(const LaunchPlan& plan, const Buffer& workspace) {
  if (workspace.data == nullptr || workspace.bytes < plan.workspace_bytes)
    throw std::invalid_argument(
        Text("workspace: expected ", plan.workspace_bytes, " bytes, got ", workspace.data ? workspace.bytes : 0));
  if (reinterpret_cast<uintptr_t>(workspace.data) % kGmAlignment != 0)
    throw std::invalid_argument(Text("workspace: expected an address that is a multiple of ", kGmAlignment, ", got ",
                                     reinterpret_cast<uintptr_t>(workspace.data)));
}

}  // namespace npu_fa
