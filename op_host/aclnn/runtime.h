// The aclnn layer's executors: all it asks of a runtime beside the public aclCreateTensor family and launch.h.
// runtime_simulator.cpp implements it on the simulator's runtime, runtime_npu.cpp on a card's.
#pragma once

#include "program.h"

namespace npu_fa::aclnn::runtime {

// False for one that was destroyed.
bool Read(const aclIntArray* array, std::vector<int64_t>* values);

// Makes `message` this thread's aclGetRecentErrMsg; returns the status.
aclnnStatus Report(aclnnStatus status, const std::string& message);

bool Deterministic();  // ACL_OPT_DETERMINISTIC

aclOpExecutor* MakeExecutor(Program program);

// Checks executor, workspace, addresses and stream, and enqueues the program without waiting.
aclnnStatus LaunchExecutor(const char* function, void* workspace, uint64_t workspace_bytes, aclOpExecutor* executor,
                           aclrtStream stream);

}  // namespace npu_fa::aclnn::runtime
