#include "messages.h"

#include <cctype>

namespace npu_fa::aclnn {
namespace {

bool InWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

std::string HeaderWord(const Call& call, const std::string& word) {
  const struct {
    const char* word;
    Role role;
  } tensors[] = {
      {"key", kKey},
      {"pse", kPse},
      {"query_rope", kQueryRope},
      {"key_rope", kKeyRope},
      {"dropout_mask", kDropMask},
      {"atten_mask", kAttenMask},
      {"sink", kSink},
      {"softmax_max", call.backward ? kSoftmaxMax : kSoftmaxMaxOut},
      {"softmax_sum", call.backward ? kSoftmaxSum : kSoftmaxSumOut},
      {"attention_in", kAttentionIn},
      {"attention_out", kAttentionOut},
      {"dq_rope", kDqRope},
      {"dk_rope", kDkRope},
  };
  constexpr struct {
    const char *word, *header;
  } kOthers[] = {
      {"scale", "scaleValue"},
      {"keep_prob", "keepProb"},
      {"pre_tokens", "preTokens"},
      {"next_tokens", "nextTokens"},
      {"head_num", "headNum"},
      {"input_layout", "inputLayout"},
      {"sparse_mode", "sparseMode"},
      {"pse_type", "pseType"},
      {"actual_seq_qlen", "actualSeqQLen"},
      {"actual_seq_kvlen", "actualSeqKvLen"},
      {"q_start_idx", "qStartIdx"},
      {"kv_start_idx", "kvStartIdx"},
      {"None", "null"},
  };
  for (const auto& known : tensors)
    if (word == known.word) return RoleName(call, known.role);
  for (const auto& known : kOthers)
    if (word == known.word) return known.header;
  return word;
}

}  // namespace

std::string InHeaderWords(const Call& call, const std::string& message) {
  std::string out;
  for (size_t i = 0; i < message.size();) {
    size_t end = i;
    while (end < message.size() && InWord(message[end])) ++end;
    if (end == i) {
      out += message[i++];
      continue;
    }
    out += HeaderWord(call, message.substr(i, end - i));
    i = end;
  }
  return out;
}

}  // namespace npu_fa::aclnn
