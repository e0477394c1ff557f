// What the first phase refuses before the operator's own rules are asked: statuses 161001 and 161002, in its order.
#pragma once

#include "tensor_view.h"

namespace npu_fa::aclnn {

// 161001: pointers that may not be null.
void CheckRequired(const Call& call, const uint64_t* workspace_size, aclOpExecutor* const* executor);

// 161002: dtypes, formats, layout strings, ranks, head sizes; rope. `views` holds the tensors that are there.
void CheckArguments(const Call& call, const Views& views);

}  // namespace npu_fa::aclnn
