// The public call as it arrives: tensors by their metadata, the vendor's raw numbers and strings. Nothing is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace npu_fa {

struct TensorArgument {
  std::string dtype;  // torch spelling: "float16", "bfloat16", "float32", "float64", "bool", "uint8", ...
  std::vector<int64_t> sizes, strides;
  const void* data = nullptr;  // null where the content cannot be read (fake tensors)
};

// Which entry point was called; they differ in the order and the spelling of their checks.
enum class Entry { kForward, kForwardV2, kBackward, kBackwardV2 };

// Where the caller brings the outputs; those that are absent come contiguous.
struct OutputArguments {
  std::optional<TensorArgument> attention_out, softmax_max, softmax_sum, dq, dk, dv, dq_rope, dk_rope, dsink;
};

constexpr int64_t kUnboundedTokens = 2147483647;

struct Arguments {
  Entry entry = Entry::kForward;
  TensorArgument query, key, value;
  int64_t head_num = 0;
  std::string input_layout;
  std::optional<TensorArgument> pse, atten_mask, query_rope, key_rope, sink, dropout_mask;
  double scale = 1.0, keep_prob = 1.0;
  int64_t pre_tokens = kUnboundedTokens, next_tokens = kUnboundedTokens;
  std::optional<std::vector<int64_t>> prefix, actual_seq_qlen, actual_seq_kvlen, q_start_idx, kv_start_idx;
  int64_t sparse_mode = 0, pse_type = 1;
  std::string softmax_layout;
  bool ignore_wrong_prefix = false;  // sparse mode 5: a prefix out of range leaves all to the mask, as none does
  int64_t seed = 0, offset = 0;
  // Backward only.
  std::optional<TensorArgument> dy, softmax_max, softmax_sum, attention_in;
  OutputArguments outputs;
};

}  // namespace npu_fa
