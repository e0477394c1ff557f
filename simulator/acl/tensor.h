// What the handles of aclnn/acl_meta.h hold.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "aclnn/acl_meta.h"

namespace ascend_sim::acl {

struct Tensor {
  aclDataType dtype = ACL_DT_UNDEFINED;
  aclFormat format = ACL_FORMAT_UNDEFINED;
  std::vector<int64_t> view_shape;
  std::vector<int64_t> strides;  // elements
  int64_t offset = 0;            // elements
  std::vector<int64_t> storage_shape;
  void* address = nullptr;  // of the storage
};

struct Scalar {
  aclDataType dtype = ACL_DT_UNDEFINED;
  std::array<uint8_t, 16> bytes{};  // the value's own first
};

// Copies what a handle holds. False where it is null, destroyed or no such handle; WhyNot says which.
bool Read(const aclTensor* handle, Tensor* value);
bool Read(const aclScalar* handle, Scalar* value);
bool Read(const aclIntArray* handle, std::vector<int64_t>* value);
bool Read(const aclFloatArray* handle, std::vector<float>* value);
bool Read(const aclBoolArray* handle, std::vector<bool>* value);
bool Read(const aclTensorList* handle, std::vector<Tensor>* value);

std::string WhyNot(const aclTensor* handle);
std::string WhyNot(const aclScalar* handle);
std::string WhyNot(const aclIntArray* handle);
std::string WhyNot(const aclFloatArray* handle);
std::string WhyNot(const aclBoolArray* handle);
std::string WhyNot(const aclTensorList* handle);

// The bytes a view touches, from its first to its last; null and 0 for an empty view or no address.
struct ByteSpan {
  uint8_t* begin = nullptr;
  uint64_t bytes = 0;
};
ByteSpan SpanOf(const Tensor& tensor);

// The objects of this file that still live, for the report at the end of the process.
std::vector<std::string> LivingObjects();

}  // namespace ascend_sim::acl
