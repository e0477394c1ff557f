// What a library of operators builds on: the caller's handles (tensor.h), executors (executor.h), messages (report.h),
// and what the runtime knows.
#pragma once

#include <cstdint>
#include <string>

#include "acl/executor.h"
#include "acl/report.h"
#include "acl/tensor.h"

namespace ascend_sim::acl {

// ACL_OPT_DETERMINISTIC of this thread's current context, else of the process; false where nobody set it.
bool Deterministic();
// The chip that is simulated; ASCEND_SIMULATOR_SOC, by default "Ascend910B2".
std::string SocName();

// Whether the bytes lie inside one device allocation; else why not.
bool IsDeviceMemory(const void* address, uint64_t bytes, std::string* why);
// Makes somebody else's memory device memory of all devices, under the same checks, until Unregister.
aclError RegisterDeviceMemory(void* address, uint64_t bytes, const std::string& name);
aclError UnregisterDeviceMemory(void* address);

}  // namespace ascend_sim::acl
