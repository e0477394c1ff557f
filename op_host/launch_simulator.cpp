#include "launch_simulator.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tiling.h"

extern "C" void flash_attention_score(uint8_t* query, uint8_t* key, uint8_t* value, uint8_t* query_rope,
                                      uint8_t* key_rope, uint8_t* bias, uint8_t* mask, uint8_t* drop_bits,
                                      uint8_t* sink, uint8_t* out, uint8_t* softmax_max, uint8_t* softmax_sum,
                                      uint8_t* workspace, uint8_t* blob);

namespace npu_fa {
namespace {

constexpr uint64_t kGmAlignment = 512;

// The tensors of a call as regions of the simulated GM. Inputs may be views of one buffer: those become one region.
class Regions {
 public:
  // Returns the tensor's address; null where there is none.
  uint8_t* Input(const char* name, const Buffer& buffer) {
    if (buffer.bytes == 0) return nullptr;
    inputs_.push_back({name, static_cast<uint8_t*>(buffer.data), static_cast<uint8_t*>(buffer.data) + buffer.bytes});
    return static_cast<uint8_t*>(buffer.data);
  }
  uint8_t* Output(const char* name, const Buffer& buffer) {
    if (buffer.bytes == 0) return nullptr;
    gm_.Add(name, buffer.data, buffer.bytes, false, false);
    return static_cast<uint8_t*>(buffer.data);
  }
  ascend_sim::GmSpace& Finish() {
    std::sort(inputs_.begin(), inputs_.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
    for (size_t i = 0; i < inputs_.size();) {
      Span span = inputs_[i];
      for (++i; i < inputs_.size() && inputs_[i].begin < span.end; ++i) {
        span.end = std::max(span.end, inputs_[i].end);
        span.name += ", " + inputs_[i].name;
      }
      gm_.Add(span.name, span.begin, static_cast<uint64_t>(span.end - span.begin), true, true);
    }
    return gm_;
  }

 private:
  struct Span {
    std::string name;
    uint8_t *begin, *end;
  };
  ascend_sim::GmSpace gm_;
  std::vector<Span> inputs_;
};

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

}  // namespace

ascend_sim::LaunchResult ForwardOnSimulator(const HostProblem& built, const ForwardBuffers& b,
                                            ascend_sim::LaunchOptions options, int32_t cores) {
  const Tiling tiling = MakeForwardTiling(built, FindPlatform(options.soc), cores);
  std::vector<uint8_t> blob = ArgumentBlob(built, tiling);
  const uint64_t workspace_bytes = static_cast<uint64_t>(WorkspaceBytes(tiling));
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[workspace_bytes + kGmAlignment]);  // left as it comes
  uint8_t* workspace = memory.get() + (kGmAlignment - reinterpret_cast<uintptr_t>(memory.get()) % kGmAlignment);

  std::vector<uint8_t> generated;
  if (built.problem.dropout.kind == DropoutKind::kPhilox) generated = GeneratedBits(built.problem);
  const Buffer bits = generated.empty() ? b.drop_bits : Buffer{generated.data(), generated.size()};

  Regions regions;
  regions.Output("workspace", {workspace, workspace_bytes});
  regions.Input("tiling", {blob.data(), blob.size()});
  uint8_t* const query = regions.Input("query", b.query);
  uint8_t* const key = regions.Input("key", b.key);
  uint8_t* const value = regions.Input("value", b.value);
  uint8_t* const query_rope = regions.Input("query_rope", b.query_rope);
  uint8_t* const key_rope = regions.Input("key_rope", b.key_rope);
  uint8_t* const bias = regions.Input("pse", b.bias);
  uint8_t* const mask = regions.Input("atten_mask", b.mask);
  uint8_t* const drop_bits = regions.Input("drop_mask", bits);
  uint8_t* const sink = regions.Input("sink", b.sink);
  uint8_t* const out = regions.Output("attention_out", b.out);
  uint8_t* const softmax_max = regions.Output("softmax_max", b.softmax_max);
  uint8_t* const softmax_sum = regions.Output("softmax_sum", b.softmax_sum);
  options.block_dim = tiling.cores;
  return ascend_sim::Launch(
      [&] {
        flash_attention_score(query, key, value, query_rope, key_rope, bias, mask, drop_bits, sink, out, softmax_max,
                              softmax_sum, workspace, blob.data());
      },
      regions.Finish(), options);
}

}  // namespace npu_fa
