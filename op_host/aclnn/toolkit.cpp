#include "toolkit.h"

#include <string>

#include "opdev/common_types.h"
#include "opdev/op_log.h"

namespace npu_fa::aclnn::toolkit {

bool Read(const aclIntArray* array, std::vector<int64_t>* values) {
  const int64_t* const data = array->GetData();
  values->assign(data, data + array->Size());
  return true;
}

void Report(aclnnStatus status, const char* text) { ReportErrorMessage(std::to_string(status).c_str(), "%s", text); }

}  // namespace npu_fa::aclnn::toolkit
