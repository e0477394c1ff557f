// The problem builder speaks of arguments as Python names them.
#pragma once

#include <string>

#include "call.h"

namespace npu_fa::aclnn {

// The message in the words of the function's header: atten_mask -> attenMask.
std::string InHeaderWords(const Call& call, const std::string& message);

}  // namespace npu_fa::aclnn
