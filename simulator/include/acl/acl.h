// Start and end of the ACL host runtime, and what went wrong last.
#pragma once

#include "acl_rt.h"

#ifdef __cplusplus
extern "C" {
#endif

// The version of the interface these headers follow.
#define ACL_MAJOR_VERSION 1
#define ACL_MINOR_VERSION 13
#define ACL_PATCH_VERSION 0

// configPath: null, or a readable file, whose settings are not used here.
ACL_FUNC_VISIBILITY aclError aclInit(const char* configPath);
// Waits for all streams, releases what is left and reports it as leaked.
ACL_FUNC_VISIBILITY aclError aclFinalize();
ACL_FUNC_VISIBILITY aclError aclrtGetVersion(int32_t* majorVersion, int32_t* minorVersion, int32_t* patchVersion);
// The messages of this thread's failed calls since it last asked, latest first; null if there were none. Valid until
// the thread asks again.
ACL_FUNC_VISIBILITY const char* aclGetRecentErrMsg();

#ifdef __cplusplus
}
#endif
