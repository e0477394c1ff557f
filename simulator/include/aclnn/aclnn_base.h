// Start and end of the operator library, for programs that use it without aclInit.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "aclnn/acl_meta.h"

#ifdef __cplusplus
extern "C" {
#endif

// As aclInit and aclFinalize, but aclnnInit may follow aclInit, and then only aclFinalize ends.
ACL_FUNC_VISIBILITY aclnnStatus aclnnInit(const char* configPath);
ACL_FUNC_VISIBILITY aclnnStatus aclnnFinalize();

#ifdef __cplusplus
}
#endif
