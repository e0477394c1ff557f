// An aclTensor as the rest of the layer sees it: sizes, strides and dtype, without its memory.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "arguments.h"
#include "call.h"

namespace npu_fa::aclnn {

struct TensorView {
  aclDataType dtype;
  aclFormat format;
  std::vector<int64_t> sizes, strides;
  int64_t offset;  // elements from the start of the storage

  int64_t Elements() const;  // throws AttentionError when the product does not fit
  int64_t ElementBytes() const;
  bool Empty() const;
  bool Contiguous() const;
  bool LastAxisContiguous() const;
  bool Overlapping() const;     // two elements may share memory
  int64_t ExtentBytes() const;  // from the first element to the end of the last one
  TensorView AsContiguous() const;
  // As the problem builder takes it. Without data: the content may not be there yet.
  TensorArgument Argument() const;
};

using Views = std::array<std::optional<TensorView>, kRoleCount>;

// Throws AttentionError for a tensor that is destroyed or cannot be one: negative sizes or strides.
TensorView ViewOf(const Call& call, Role role);

// torch's spelling: "float16", ..., or "aclDataType 13".
std::string DTypeName(aclDataType dtype);

}  // namespace npu_fa::aclnn
