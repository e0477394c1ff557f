#include "launch_simulator.h"

#include <memory>
#include <vector>

#include "tiling.h"

extern "C" void flash_attention_score(uint8_t* query, uint8_t* key, uint8_t* value, uint8_t* query_rope,
                                      uint8_t* key_rope, uint8_t* bias, uint8_t* mask, uint8_t* drop_bits,
                                      uint8_t* sink, uint8_t* out, uint8_t* softmax_max, uint8_t* softmax_sum,
                                      uint8_t* workspace, uint8_t* blob);

namespace npu_fa {
namespace {

constexpr uint64_t kGmAlignment = 512;

// Adds a tensor under its name and returns its address; null where there is none.
uint8_t* AddInput(ascend_sim::GmSpace& gm, const char* name, const Buffer& buffer) {
  if (buffer.bytes == 0) return nullptr;
  gm.Add(name, buffer.data, buffer.bytes, true, true);
  return static_cast<uint8_t*>(buffer.data);
}

// The kernels read drop bits, as the operator's do; a generated stream is generated beforehand.
std::vector<uint8_t> GeneratedBits(const AttentionProblem& p) {
  std::vector<uint8_t> bits(static_cast<size_t>((p.drop_bits + 127) / 128 * 16));
  for (uint64_t group = 0; group < bits.size() * 2; ++group) {
    const PhiloxBlock words = DropoutWords(p.dropout.seed, p.dropout.offset, group);
    for (uint64_t i = 0; i < 4; ++i)
      bits[group / 2] |= static_cast<uint8_t>(KeepWord(p.dropout, words.word[i]) << (group % 2 * 4 + i));
  }
  return bits;
}

uint8_t* AddOutput(ascend_sim::GmSpace& gm, const char* name, const Buffer& buffer) {
  if (buffer.bytes == 0) return nullptr;
  gm.Add(name, buffer.data, buffer.bytes, false, false);
  return static_cast<uint8_t*>(buffer.data);
}

}  // namespace

ascend_sim::LaunchResult ForwardOnSimulator(const HostProblem& built, const ForwardBuffers& b,
                                            ascend_sim::LaunchOptions options, int32_t cores) {
  Platform platform = FindPlatform(options.soc);
  if (cores > 0) platform.cores = cores;
  const Tiling tiling = MakeForwardTiling(built, platform);
  std::vector<uint8_t> blob = ArgumentBlob(built, tiling);
  const uint64_t workspace_bytes = static_cast<uint64_t>(WorkspaceBytes(tiling));
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[workspace_bytes + kGmAlignment]);  // left as it comes
  uint8_t* workspace = memory.get() + (kGmAlignment - reinterpret_cast<uintptr_t>(memory.get()) % kGmAlignment);

  std::vector<uint8_t> generated;
  if (built.problem.dropout.kind == DropoutKind::kPhilox) generated = GeneratedBits(built.problem);
  const Buffer bits = generated.empty() ? b.drop_bits : Buffer{generated.data(), generated.size()};

  ascend_sim::GmSpace gm;
  gm.Add("workspace", workspace, workspace_bytes, false, false);
  gm.Add("tiling", blob.data(), blob.size(), true, true);
  uint8_t* const query = AddInput(gm, "query", b.query);
  uint8_t* const key = AddInput(gm, "key", b.key);
  uint8_t* const value = AddInput(gm, "value", b.value);
  uint8_t* const query_rope = AddInput(gm, "query_rope", b.query_rope);
  uint8_t* const key_rope = AddInput(gm, "key_rope", b.key_rope);
  uint8_t* const bias = AddInput(gm, "pse", b.bias);
  uint8_t* const mask = AddInput(gm, "atten_mask", b.mask);
  uint8_t* const drop_bits = AddInput(gm, "drop_mask", bits);
  uint8_t* const sink = AddInput(gm, "sink", b.sink);
  uint8_t* const out = AddOutput(gm, "attention_out", b.out);
  uint8_t* const softmax_max = AddOutput(gm, "softmax_max", b.softmax_max);
  uint8_t* const softmax_sum = AddOutput(gm, "softmax_sum", b.softmax_sum);
  options.block_dim = tiling.cores;
  return ascend_sim::Launch(
      [&] {
        flash_attention_score(query, key, value, query_rope, key_rope, bias, mask, drop_bits, sink, out, softmax_max,
                              softmax_sum, workspace, blob.data());
      },
      gm, options);
}

}  // namespace npu_fa
