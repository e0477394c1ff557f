// An operator in the manner of the toolkit's: y = x * factor, for float vectors whose length is a multiple of 64.
#pragma once

#include "aclnn/acl_meta.h"

#ifdef __cplusplus
extern "C" {
#endif

aclnnStatus aclnnScaleGetWorkspaceSize(const aclTensor* x, double factor, const aclTensor* y, uint64_t* workspaceSize,
                                       aclOpExecutor** executor);
aclnnStatus aclnnScale(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor, aclrtStream stream);

#ifdef __cplusplus
}
#endif
