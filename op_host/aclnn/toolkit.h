// What runtime_npu.cpp takes from the toolkit beside its C headers. toolkit.cpp implements it: the one file of this
// layer that is compiled as the toolkit's libraries are (the ABI of std::string), so nothing here has one.
#pragma once

#include <cstdint>
#include <vector>

#include "aclnn/acl_meta.h"

namespace npu_fa::aclnn::toolkit {

// False for an array that cannot be read.
bool Read(const aclIntArray* array, std::vector<int64_t>* values);

// Makes `text` this thread's aclGetRecentErrMsg.
void Report(aclnnStatus status, const char* text);

}  // namespace npu_fa::aclnn::toolkit
