#include "launch_simulator.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

extern "C" void flash_attention_score(uint8_t* query, uint8_t* key, uint8_t* value, uint8_t* query_rope,
                                      uint8_t* key_rope, uint8_t* bias, uint8_t* mask, uint8_t* drop_bits,
                                      uint8_t* sink, uint8_t* out, uint8_t* softmax_max, uint8_t* softmax_sum,
                                      uint8_t* workspace, uint8_t* blob);
extern "C" void flash_attention_score_grad(uint8_t* query, uint8_t* key, uint8_t* value, uint8_t* dy,
                                           uint8_t* query_rope, uint8_t* key_rope, uint8_t* bias, uint8_t* mask,
                                           uint8_t* drop_bits, uint8_t* sink, uint8_t* softmax_max,
                                           uint8_t* softmax_sum, uint8_t* attention_in, uint8_t* dq, uint8_t* dk,
                                           uint8_t* dv, uint8_t* dq_rope, uint8_t* dk_rope, uint8_t* dbias,
                                           uint8_t* dsink, uint8_t* workspace, uint8_t* blob);
extern "C" void strided_copy(uint8_t* to, uint8_t* from, uint8_t* workspace, uint8_t* blob);

namespace npu_fa {
namespace {

// The tensors of a call as regions of the simulated GM. Several may be views of one buffer: those become one region.
class Regions {
 public:
  // Returns the tensor's address; null where there is none.
  uint8_t* Input(const char* name, const Buffer& buffer) { return Add(name, buffer, true, true); }
  uint8_t* Output(const char* name, const Buffer& buffer) { return Add(name, buffer, false, false); }
  // Holds something from the start that the kernel adds to.
  uint8_t* Sum(const char* name, const Buffer& buffer) { return Add(name, buffer, false, true); }
  ascend_sim::GmSpace& Finish() {
    std::sort(spans_.begin(), spans_.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
    for (size_t i = 0; i < spans_.size();) {
      Span span = spans_[i];
      for (++i; i < spans_.size() && spans_[i].begin < span.end; ++i) {
        span.end = std::max(span.end, spans_[i].end);
        span.name += ", " + spans_[i].name;
        span.read_only &= spans_[i].read_only;
        span.initialised |= spans_[i].initialised;
      }
      gm_.Add(span.name, span.begin, static_cast<uint64_t>(span.end - span.begin), span.read_only, span.initialised);
    }
    return gm_;
  }

 private:
  struct Span {
    std::string name;
    uint8_t *begin, *end;
    bool read_only, initialised;
  };
  uint8_t* Add(const char* name, const Buffer& buffer, bool read_only, bool initialised) {
    if (buffer.bytes == 0) return nullptr;
    auto* const begin = static_cast<uint8_t*>(buffer.data);
    spans_.push_back({name, begin, begin + buffer.bytes, read_only, initialised});
    return begin;
  }
  ascend_sim::GmSpace gm_;
  std::vector<Span> spans_;
};

// Enters work space and blob; returns the blob's address.
uint8_t* PlaceBlob(Regions& regions, const LaunchPlan& plan, const Buffer& workspace) {
  CheckWorkspace(plan, workspace);
  auto* const scratch = static_cast<uint8_t*>(workspace.data);
  uint8_t* const blob = scratch + BlobOffset(plan);
  std::memcpy(blob, plan.blob.data(), plan.blob.size());
  regions.Output("workspace", {scratch, BlobOffset(plan)});
  regions.Input("tiling", {blob, plan.blob.size()});
  return blob;
}

ascend_sim::LaunchResult Run(const LaunchPlan& plan, const ForwardBuffers& b, Buffer workspace,
                             ascend_sim::LaunchOptions options) {
  Regions regions;
  uint8_t* const blob = PlaceBlob(regions, plan, workspace);
  auto* const scratch = static_cast<uint8_t*>(workspace.data);
  uint8_t* const query = regions.Input("query", b.query);
  uint8_t* const key = regions.Input("key", b.key);
  uint8_t* const value = regions.Input("value", b.value);
  uint8_t* const query_rope = regions.Input("query_rope", b.query_rope);
  uint8_t* const key_rope = regions.Input("key_rope", b.key_rope);
  uint8_t* const bias = regions.Input("pse", b.bias);
  uint8_t* const mask = regions.Input("atten_mask", b.mask);
  uint8_t* const drop_bits = regions.Input("drop_mask", b.drop_bits);
  uint8_t* const sink = regions.Input("sink", b.sink);
  uint8_t* const out = regions.Output("attention_out", b.out);
  uint8_t* const softmax_max = regions.Output("softmax_max", b.softmax_max);
  uint8_t* const softmax_sum = regions.Output("softmax_sum", b.softmax_sum);
  options.block_dim = plan.cores;
  return ascend_sim::Launch(
      [&] {
        flash_attention_score(query, key, value, query_rope, key_rope, bias, mask, drop_bits, sink, out, softmax_max,
                              softmax_sum, scratch, blob);
      },
      regions.Finish(), options);
}

ascend_sim::LaunchResult Run(const LaunchPlan& plan, const BackwardBuffers& b, Buffer workspace,
                             ascend_sim::LaunchOptions options) {
  Regions regions;
  uint8_t* const blob = PlaceBlob(regions, plan, workspace);
  auto* const scratch = static_cast<uint8_t*>(workspace.data);
  uint8_t* const query = regions.Input("query", b.query);
  uint8_t* const key = regions.Input("key", b.key);
  uint8_t* const value = regions.Input("value", b.value);
  uint8_t* const dy = regions.Input("dy", b.dy);
  uint8_t* const query_rope = regions.Input("query_rope", b.query_rope);
  uint8_t* const key_rope = regions.Input("key_rope", b.key_rope);
  uint8_t* const bias = regions.Input("pse", b.bias);
  uint8_t* const mask = regions.Input("atten_mask", b.mask);
  uint8_t* const drop_bits = regions.Input("drop_mask", b.drop_bits);
  uint8_t* const sink = regions.Input("sink", b.sink);
  uint8_t* const softmax_max = regions.Input("softmax_max", b.softmax_max);
  uint8_t* const softmax_sum = regions.Input("softmax_sum", b.softmax_sum);
  uint8_t* const attention_in = regions.Input("attention_in", b.attention_in);
  uint8_t* const dq = regions.Output("dq", b.dq);
  uint8_t* const dk = regions.Output("dk", b.dk);
  uint8_t* const dv = regions.Output("dv", b.dv);
  uint8_t* const dq_rope = regions.Output("dq_rope", b.dq_rope);
  uint8_t* const dk_rope = regions.Output("dk_rope", b.dk_rope);
  uint8_t* const dbias = regions.Sum("dpse", b.dbias);
  uint8_t* const dsink = regions.Output("dsink", b.dsink);
  options.block_dim = plan.cores;
  return ascend_sim::Launch(
      [&] {
        flash_attention_score_grad(query, key, value, dy, query_rope, key_rope, bias, mask, drop_bits, sink,
                                   softmax_max, softmax_sum, attention_in, dq, dk, dv, dq_rope, dk_rope, dbias, dsink,
                                   scratch, blob);
      },
      regions.Finish(), options);
}

// On work space of its own and, where the problem names a seed, its dropout stream.
template <class Buffers>
ascend_sim::LaunchResult RunAlone(const LaunchPlan& plan, const AttentionProblem& problem, Buffers buffers,
                                  const ascend_sim::LaunchOptions& options) {
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[plan.workspace_bytes + kGmAlignment]);  // left as it comes
  uint8_t* workspace = memory.get() + (kGmAlignment - reinterpret_cast<uintptr_t>(memory.get()) % kGmAlignment);
  std::vector<uint8_t> generated;
  if (problem.dropout.kind == DropoutKind::kPhilox) {
    generated = GeneratedDropBits(problem);
    buffers.drop_bits = {generated.data(), generated.size()};
  }
  return Run(plan, buffers, {workspace, plan.workspace_bytes}, options);
}

void RequireNoStream(const void* stream) {
  if (stream != nullptr) throw LaunchError("stream: the simulator runs a launch at once, it has no streams");
}

}  // namespace

ascend_sim::LaunchResult ForwardOnSimulator(const HostProblem& built, ForwardBuffers buffers,
                                            const ascend_sim::LaunchOptions& options, int32_t cores) {
  return RunAlone(PlanForward(built, FindPlatform(options.soc), cores), built.problem, buffers, options);
}

ascend_sim::LaunchResult BackwardOnSimulator(const HostProblem& built, BackwardBuffers buffers,
                                             const ascend_sim::LaunchOptions& options, int32_t cores,
                                             bool deterministic) {
  return RunAlone(PlanBackward(built, FindPlatform(options.soc), cores, deterministic), built.problem, buffers,
                  options);
}

std::string LaunchSoc() { return ascend_sim::LaunchOptions().soc; }

void LaunchForward(const LaunchPlan& plan, const ForwardBuffers& buffers, Buffer workspace, void* stream) {
  RequireNoStream(stream);
  Run(plan, buffers, workspace, {});
}

void LaunchBackward(const LaunchPlan& plan, const BackwardBuffers& buffers, Buffer workspace, void* stream) {
  RequireNoStream(stream);
  Run(plan, buffers, workspace, {});
}

void LaunchCopy(const LaunchPlan& plan, Buffer to, Buffer from, Buffer workspace, void* stream) {
  RequireNoStream(stream);
  Regions regions;
  uint8_t* const blob = PlaceBlob(regions, plan, workspace);
  uint8_t* const target = regions.Output("copy", to);
  uint8_t* const source = regions.Input("original", from);
  ascend_sim::LaunchOptions options;
  options.block_dim = plan.cores;
  ascend_sim::Launch([&] { strided_copy(target, source, static_cast<uint8_t*>(workspace.data), blob); },
                     regions.Finish(), options);
}

}  // namespace npu_fa
