// Of the toolkit's graph capture: the question whether a stream is captured, which the simulated runtime's never is.
#pragma once

#include "acl/acl.h"

typedef enum { ACL_MODEL_RI_CAPTURE_STATUS_NONE, ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE } aclmdlRICaptureStatus;
typedef void* aclmdlRI;

inline bool& CaptureIsActive() {
  static bool active = false;
  return active;
}

inline aclError aclmdlRICaptureGetInfo(aclrtStream, aclmdlRICaptureStatus* status, aclmdlRI*) {
  *status = CaptureIsActive() ? ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE : ACL_MODEL_RI_CAPTURE_STATUS_NONE;
  return ACL_SUCCESS;
}
