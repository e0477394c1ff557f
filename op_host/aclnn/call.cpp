#include "call.h"

namespace npu_fa::aclnn {

bool Has(const Call& call, Role role) {
  switch (role) {
    case kQuery:
    case kKey:
    case kValue:
    case kPse:
    case kDropMask:
    case kPaddingMask:
    case kAttenMask:
      return true;
    case kQueryRope:
    case kKeyRope:
      return call.has_rope;
    case kDqRope:
    case kDkRope:
      return call.has_rope && call.backward;
    case kSink:
      return call.has_sink;
    case kDsink:
      return call.has_sink && call.backward;
    case kSoftmaxMaxOut:
    case kSoftmaxSumOut:
    case kSoftmaxOutOut:
    case kAttentionOut:
      return !call.backward;
    default:
      return call.backward;
  }
}

const char* RoleName(const Call& call, Role role) {
  switch (role) {
    case kQuery:
      return "query";
    case kQueryRope:
      return "queryRope";
    case kKey:
      return call.backward ? "keyIn" : "key";
    case kKeyRope:
      return call.backward ? "keyInRope" : "keyRope";
    case kValue:
      return "value";
    case kDy:
      return "dy";
    case kPse:
      return call.backward ? "pseShift" : "realShift";
    case kDropMask:
      return "dropMask";
    case kPaddingMask:
      return "paddingMask";
    case kAttenMask:
      return "attenMask";
    case kSoftmaxMax:
    case kSoftmaxMaxOut:
      return "softmaxMax";
    case kSoftmaxSum:
    case kSoftmaxSumOut:
      return "softmaxSum";
    case kSoftmaxIn:
      return "softmaxIn";
    case kAttentionIn:
      return "attentionIn";
    case kSink:
      return call.backward ? "sinkIn" : "sink";
    case kSoftmaxOutOut:
      return "softmaxOut";
    case kAttentionOut:
      return "attentionOut";
    case kDq:
      return "dq";
    case kDqRope:
      return "dqRope";
    case kDk:
      return "dk";
    case kDkRope:
      return "dkRope";
    case kDv:
      return "dv";
    case kDpse:
      return "dpse";
    case kDsink:
      return "dsink";
    case kRoleCount:
      break;
  }
  return "";
}

}  // namespace npu_fa::aclnn
