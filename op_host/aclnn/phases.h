// The two phases, whichever function was called.
#pragma once

#include "call.h"

namespace npu_fa::aclnn {

aclnnStatus FirstPhase(const Call& call, uint64_t* workspace_size, aclOpExecutor** executor);

aclnnStatus SecondPhase(const char* function, void* workspace, uint64_t workspace_size, aclOpExecutor* executor,
                        aclrtStream stream);

}  // namespace npu_fa::aclnn
