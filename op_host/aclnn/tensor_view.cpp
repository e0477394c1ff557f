#include "tensor_view.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "require.h"

namespace npu_fa::aclnn {
namespace {

struct DType {
  aclDataType dtype;
  const char* name;
  int64_t bytes;
};

constexpr DType kDTypes[] = {
    {ACL_FLOAT, "float32", 4}, {ACL_FLOAT16, "float16", 2}, {ACL_BF16, "bfloat16", 2}, {ACL_DOUBLE, "float64", 8},
    {ACL_INT8, "int8", 1},     {ACL_UINT8, "uint8", 1},     {ACL_BOOL, "bool", 1},     {ACL_INT16, "int16", 2},
    {ACL_UINT16, "uint16", 2}, {ACL_INT32, "int32", 4},     {ACL_UINT32, "uint32", 4}, {ACL_INT64, "int64", 8},
    {ACL_UINT64, "uint64", 8},
};

const DType* Find(aclDataType dtype) {
  for (const DType& known : kDTypes)
    if (known.dtype == dtype) return &known;
  return nullptr;
}

using Getter = aclnnStatus (*)(const aclTensor*, int64_t**, uint64_t*);

// The runtime's getters hand out arrays that are the caller's to delete.
bool Read(Getter getter, const aclTensor* tensor, std::vector<int64_t>* values) {
  int64_t* array = nullptr;
  uint64_t count = 0;
  if (getter(tensor, &array, &count) != OK) return false;
  const std::unique_ptr<int64_t[]> owned(array);
  values->assign(array, array + count);
  return true;
}

}  // namespace

std::string DTypeName(aclDataType dtype) {
  const DType* known = Find(dtype);
  return known ? known->name : Text("aclDataType ", static_cast<int>(dtype));
}

TensorView ViewOf(const Call& call, Role role) {
  const char* name = RoleName(call, role);
  const aclTensor* tensor = call.tensors[role];
  TensorView view = {};
  const bool readable = Read(aclGetViewShape, tensor, &view.sizes) && Read(aclGetViewStrides, tensor, &view.strides) &&
                        aclGetViewOffset(tensor, &view.offset) == OK && aclGetDataType(tensor, &view.dtype) == OK &&
                        aclGetFormat(tensor, &view.format) == OK;
  Require(readable, Status::kParamInvalid, name, ": expected a tensor that exists, got one that was destroyed");
  Require(view.sizes.size() == view.strides.size(), Status::kParamInvalid, name,
          ": expected a stride for each dimension, got shape ", view.sizes, " and strides ", view.strides);
  const auto negative = [](int64_t x) { return x < 0; };
  Require(std::none_of(view.sizes.begin(), view.sizes.end(), negative), Status::kParamInvalid, name,
          ": expected sizes of at least 0, got shape ", view.sizes);
  Require(std::none_of(view.strides.begin(), view.strides.end(), negative) && view.offset >= 0, Status::kParamInvalid,
          name, ": expected strides and an offset of at least 0, got strides ", view.strides, " and offset ",
          view.offset);
  return view;
}

int64_t TensorView::Elements() const {
  if (Empty()) return 0;
  return CheckedProduct("elements of a tensor", sizes);
}

int64_t TensorView::ElementBytes() const {
  const DType* known = Find(dtype);
  Require(known != nullptr, Status::kParamInvalid, "dtype: expected a plain number type, got ", DTypeName(dtype));
  return known->bytes;
}

bool TensorView::Empty() const { return std::find(sizes.begin(), sizes.end(), 0) != sizes.end(); }

TensorView TensorView::AsContiguous() const {
  TensorView copy = *this;
  int64_t stride = 1;
  for (size_t axis = sizes.size(); axis-- > 0;) {
    copy.strides[axis] = stride;
    stride = CheckedProduct("elements of a tensor", {stride, std::max<int64_t>(sizes[axis], 1)});
  }
  copy.offset = 0;
  return copy;
}

bool TensorView::Contiguous() const {
  if (Empty()) return true;
  const TensorView contiguous = AsContiguous();
  for (size_t axis = 0; axis < sizes.size(); ++axis)
    if (sizes[axis] > 1 && strides[axis] != contiguous.strides[axis]) return false;
  return true;
}

bool TensorView::LastAxisContiguous() const { return sizes.empty() || sizes.back() <= 1 || strides.back() == 1; }

bool TensorView::Overlapping() const {
  std::vector<size_t> axes(sizes.size());
  std::iota(axes.begin(), axes.end(), size_t{0});
  std::sort(axes.begin(), axes.end(), [&](size_t a, size_t b) { return strides[a] < strides[b]; });
  int64_t reach = 0;  // of the axes so far: the largest distance between two elements
  for (const size_t axis : axes) {
    if (sizes[axis] <= 1) continue;
    if (strides[axis] <= reach) return true;
    reach =
        CheckedSum("extent of a tensor", reach, CheckedProduct("extent of a tensor", {sizes[axis] - 1, strides[axis]}));
  }
  return false;
}

int64_t TensorView::ExtentBytes() const {
  if (Empty()) return 0;
  int64_t last = 0;
  for (size_t axis = 0; axis < sizes.size(); ++axis)
    last =
        CheckedSum("extent of a tensor", last, CheckedProduct("extent of a tensor", {sizes[axis] - 1, strides[axis]}));
  const int64_t end = CheckedSum("extent of a tensor", last, 1);
  CheckedProduct("extent of a tensor", {CheckedSum("extent of a tensor", end, offset), ElementBytes()});
  return end * ElementBytes();
}

TensorArgument TensorView::Argument() const { return {DTypeName(dtype), sizes, strides, nullptr}; }

}  // namespace npu_fa::aclnn
