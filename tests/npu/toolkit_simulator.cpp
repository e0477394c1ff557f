// The twin of op_host/aclnn/toolkit.cpp on the simulator's ACL runtime.
#include "acl/operator_layer.h"
#include "toolkit.h"

namespace npu_fa::aclnn::toolkit {

bool Read(const aclIntArray* array, std::vector<int64_t>* values) { return ascend_sim::acl::Read(array, values); }

void Report(aclnnStatus status, const char* text) { ascend_sim::acl::Fail(status, text); }

}  // namespace npu_fa::aclnn::toolkit
