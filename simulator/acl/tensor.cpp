#include "acl/tensor.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "acl/registry.h"
#include "aclnn/opdev/op_errno.h"

struct aclTensor {
  ascend_sim::acl::Tensor value;
};
struct aclScalar {
  ascend_sim::acl::Scalar value;
};
struct aclIntArray {
  std::vector<int64_t> value;
};
struct aclFloatArray {
  std::vector<float> value;
};
struct aclBoolArray {
  std::vector<bool> value;
};
struct aclTensorList {
  std::vector<const aclTensor*> value;
};
struct aclScalarList {
  std::vector<const aclScalar*> value;
};

namespace ascend_sim::acl {
namespace {

constexpr uint64_t kMaxDims = 25;  // what the toolkit's shapes hold

// All living objects of one kind.
template <typename Object>
struct Objects {
  explicit Objects(const char* kind) : kind(kind), registry(kind) {}
  const char* kind;
  std::mutex mutex;
  Registry<Object> registry;
};

template <typename Object>
const char* kKind = nullptr;
template <>
const char* const kKind<aclTensor> = "aclTensor";
template <>
const char* const kKind<aclScalar> = "aclScalar";
template <>
const char* const kKind<aclIntArray> = "aclIntArray";
template <>
const char* const kKind<aclFloatArray> = "aclFloatArray";
template <>
const char* const kKind<aclBoolArray> = "aclBoolArray";
template <>
const char* const kKind<aclTensorList> = "aclTensorList";
template <>
const char* const kKind<aclScalarList> = "aclScalarList";

// Never destroyed: handles may be used until the very end of the process.
template <typename Object>
Objects<Object>& All() {
  static Objects<Object>& objects = *new Objects<Object>(kKind<Object>);
  return objects;
}

template <typename Object>
std::string WhyNotA(const Object* handle) {
  Objects<Object>& all = All<Object>();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.registry.WhyNot(handle);
}

// The mistake of handing over a destroyed object counts as misuse; null is an ordinary refusal.
template <typename Object>
aclnnStatus Refuse(const char* api, const Object* handle) {
  const std::string message = std::string(api) + ": " + WhyNotA(handle);
  return handle == nullptr ? Fail(ACLNN_ERR_PARAM_NULLPTR, message) : Misuse(ACLNN_ERR_PARAM_INVALID, message);
}

template <typename Object, typename Visit>
aclnnStatus With(const char* api, const Object* handle, Visit&& visit) {
  Objects<Object>& all = All<Object>();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    const std::shared_ptr<Object> object = all.registry.Find(handle);
    if (object != nullptr) return visit(*object);
  }
  return Refuse(api, handle);
}

template <typename Object, typename Value>
bool ReadA(const Object* handle, Value* value) {
  Objects<Object>& all = All<Object>();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const std::shared_ptr<Object> object = all.registry.Find(handle);
  if (object == nullptr) return false;
  *value = object->value;
  return true;
}

template <typename Object, typename Value>
Object* Create(Value value) {
  auto object = std::make_shared<Object>();
  object->value = std::move(value);
  Objects<Object>& all = All<Object>();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.registry.Add(std::move(object));
}

template <typename Object>
aclnnStatus Destroy(const char* api, const Object* handle) {
  if (handle == nullptr) return ACLNN_SUCCESS;
  Objects<Object>& all = All<Object>();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    if (all.registry.Remove(handle, "was destroyed") != nullptr) return ACLNN_SUCCESS;
  }
  return Refuse(api, handle);
}

// Runs a creator; whatever it throws is a message, and null.
template <typename Make>
auto Created(const char* api, Make&& make) -> decltype(make()) {
  try {
    return make();
  } catch (const std::exception& error) {
    AddMessage(std::string(api) + ": " + error.what());
    return nullptr;
  }
}

template <typename Object, typename Value>
Object* CreateArray(const char* api, const Value* value, uint64_t size) {
  if (value == nullptr && size != 0) {
    return Fail(static_cast<Object*>(nullptr), std::string(api) + ": value is null");
  }
  return Created(api, [&] { return Create<Object>(decltype(Object::value)(value, value + size)); });
}

template <typename Object>
aclnnStatus SizeOf(const char* api, const Object* handle, uint64_t* size) {
  if (size == nullptr) return Fail(ACLNN_ERR_PARAM_NULLPTR, std::string(api) + ": size is null");
  return With(api, handle, [size](const Object& object) {
    *size = object.value.size();
    return aclnnStatus{ACLNN_SUCCESS};
  });
}

aclnnStatus CopyOut(const std::vector<int64_t>& values, int64_t** copy, uint64_t* count) {
  *count = values.size();
  *copy = new int64_t[values.size()];
  std::copy(values.begin(), values.end(), *copy);
  return ACLNN_SUCCESS;
}

// Null where the description makes sense, else what does not.
std::string Describe(const int64_t* view_dims, uint64_t view_count, aclDataType dtype, const int64_t* strides,
                     int64_t offset, aclFormat format, const int64_t* storage_dims, uint64_t storage_count,
                     void* address, Tensor* tensor) {
  const auto dims = [](const char* name, const int64_t* values, uint64_t count) -> std::string {
    if (count > kMaxDims) {
      return std::string(name) + ": expected at most " + std::to_string(kMaxDims) + " dimensions, got " +
             std::to_string(count);
    }
    if (values == nullptr && count != 0) return std::string(name) + " is null";
    for (uint64_t i = 0; i < count; ++i) {
      if (values[i] < 0) {
        return std::string(name) + "[" + std::to_string(i) + "]: expected 0 or more, got " + std::to_string(values[i]);
      }
    }
    return "";
  };
  std::string problem = dims("viewDims", view_dims, view_count);
  if (problem.empty()) problem = dims("storageDims", storage_dims, storage_count);
  if (problem.empty() && offset < 0) problem = "offset: expected 0 or more, got " + std::to_string(offset);
  if (!problem.empty()) return problem;

  tensor->dtype = dtype;
  tensor->format = format;
  tensor->view_shape.assign(view_dims, view_dims + view_count);
  tensor->storage_shape.assign(storage_dims, storage_dims + storage_count);
  tensor->offset = offset;
  tensor->address = address;
  if (strides != nullptr) {
    tensor->strides.assign(strides, strides + view_count);
  } else {
    tensor->strides.assign(view_count, 1);
    for (uint64_t i = view_count; i-- > 1;) {
      if (__builtin_mul_overflow(tensor->strides[i], std::max<int64_t>(view_dims[i], 1), &tensor->strides[i - 1])) {
        return "viewDims: the number of elements is beyond 64 bits";
      }
    }
  }
  return "";
}

template <typename Object>
void AppendLiving(std::vector<std::string>* names) {
  Objects<Object>& all = All<Object>();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (const auto& object : all.registry.All()) names->push_back(std::string(all.kind) + " " + Hex(object.get()));
}

// Takes a list's elements out of the callers' hands.
template <typename List, typename Element>
List* CreateList(const char* api, const Element* const* value, uint64_t size) {
  if (value == nullptr && size != 0) return Fail(static_cast<List*>(nullptr), std::string(api) + ": value is null");
  return Created(api, [&]() -> List* {
    for (uint64_t i = 0; i < size; ++i) {
      const aclnnStatus status = With(api, value[i], [](const Element&) { return aclnnStatus{ACLNN_SUCCESS}; });
      if (status != ACLNN_SUCCESS) return nullptr;
    }
    return Create<List>(std::vector<const Element*>(value, value + size));
  });
}

template <typename List, typename Element>
aclnnStatus DestroyList(const char* api, const List* handle) {
  if (handle == nullptr) return ACLNN_SUCCESS;
  std::vector<const Element*> elements;
  if (!ReadA(handle, &elements)) return Refuse(api, handle);
  aclnnStatus status = Destroy(api, handle);
  for (const Element* element : elements) {
    const aclnnStatus one = Destroy(api, element);
    if (status == ACLNN_SUCCESS) status = one;
  }
  return status;
}

}  // namespace

bool Read(const aclTensor* handle, Tensor* value) { return ReadA(handle, value); }
bool Read(const aclScalar* handle, Scalar* value) { return ReadA(handle, value); }
bool Read(const aclIntArray* handle, std::vector<int64_t>* value) { return ReadA(handle, value); }
bool Read(const aclFloatArray* handle, std::vector<float>* value) { return ReadA(handle, value); }
bool Read(const aclBoolArray* handle, std::vector<bool>* value) { return ReadA(handle, value); }

bool Read(const aclTensorList* handle, std::vector<Tensor>* value) {
  std::vector<const aclTensor*> elements;
  if (!ReadA(handle, &elements)) return false;
  value->resize(elements.size());
  for (size_t i = 0; i < elements.size(); ++i) {
    if (!Read(elements[i], &(*value)[i])) return false;
  }
  return true;
}

std::string WhyNot(const aclTensor* handle) { return WhyNotA(handle); }
std::string WhyNot(const aclScalar* handle) { return WhyNotA(handle); }
std::string WhyNot(const aclIntArray* handle) { return WhyNotA(handle); }
std::string WhyNot(const aclFloatArray* handle) { return WhyNotA(handle); }
std::string WhyNot(const aclBoolArray* handle) { return WhyNotA(handle); }
std::string WhyNot(const aclTensorList* handle) { return WhyNotA(handle); }

ByteSpan SpanOf(const Tensor& tensor) {
  const int64_t size = static_cast<int64_t>(aclDataTypeSize(tensor.dtype));
  if (tensor.address == nullptr || size == 0) return {};
  // In 128 bits: the caller's strides may be anything.
  __int128 first = tensor.offset, last = tensor.offset;
  for (size_t i = 0; i < tensor.view_shape.size(); ++i) {
    if (tensor.view_shape[i] == 0) return {};
    const __int128 reach = static_cast<__int128>(tensor.view_shape[i] - 1) * tensor.strides[i];
    (reach < 0 ? first : last) += reach;
  }
  const __int128 begin = first * size, bytes = (last - first + 1) * size;
  const uint64_t base = reinterpret_cast<uintptr_t>(tensor.address);
  if (bytes > INT64_MAX || begin > INT64_MAX || begin < -static_cast<__int128>(base)) {
    return {static_cast<uint8_t*>(tensor.address), UINT64_MAX};  // fits in no memory
  }
  return {reinterpret_cast<uint8_t*>(base + static_cast<uint64_t>(begin)), static_cast<uint64_t>(bytes)};
}

std::vector<std::string> LivingObjects() {
  std::vector<std::string> names;
  AppendLiving<aclTensor>(&names);
  AppendLiving<aclScalar>(&names);
  AppendLiving<aclIntArray>(&names);
  AppendLiving<aclFloatArray>(&names);
  AppendLiving<aclBoolArray>(&names);
  AppendLiving<aclTensorList>(&names);
  AppendLiving<aclScalarList>(&names);
  return names;
}

}  // namespace ascend_sim::acl

using namespace ascend_sim::acl;

aclTensor* aclCreateTensor(const int64_t* viewDims, uint64_t viewDimsNum, aclDataType dataType, const int64_t* stride,
                           int64_t offset, aclFormat format, const int64_t* storageDims, uint64_t storageDimsNum,
                           void* tensorData) {
  return Created("aclCreateTensor", [&]() -> aclTensor* {
    Tensor tensor;
    const std::string problem = Describe(viewDims, viewDimsNum, dataType, stride, offset, format, storageDims,
                                         storageDimsNum, tensorData, &tensor);
    if (!problem.empty()) return Fail(static_cast<aclTensor*>(nullptr), "aclCreateTensor: " + problem);
    return Create<aclTensor>(std::move(tensor));
  });
}

aclnnStatus aclInitTensor(aclTensor* tensor, const int64_t* viewDims, uint64_t viewDimsNum, aclDataType dataType,
                          const int64_t* stride, int64_t offset, aclFormat format, const int64_t* storageDims,
                          uint64_t storageDimsNum, void* tensorDataAddr) {
  Tensor described;
  const std::string problem = Describe(viewDims, viewDimsNum, dataType, stride, offset, format, storageDims,
                                       storageDimsNum, tensorDataAddr, &described);
  if (!problem.empty()) return Fail(ACLNN_ERR_PARAM_INVALID, "aclInitTensor: " + problem);
  return With("aclInitTensor", tensor, [&described](aclTensor& object) {
    object.value = std::move(described);
    return aclnnStatus{ACLNN_SUCCESS};
  });
}

aclScalar* aclCreateScalar(void* value, aclDataType dataType) {
  const size_t size = aclDataTypeSize(dataType);
  if (value == nullptr) return Fail(static_cast<aclScalar*>(nullptr), "aclCreateScalar: value is null");
  if (size == 0) {
    return Fail(static_cast<aclScalar*>(nullptr),
                "aclCreateScalar: dataType: expected a type of whole bytes, got " + std::to_string(dataType));
  }
  return Created("aclCreateScalar", [&] {
    Scalar scalar;
    scalar.dtype = dataType;
    std::memcpy(scalar.bytes.data(), value, size);
    return Create<aclScalar>(scalar);
  });
}

aclIntArray* aclCreateIntArray(const int64_t* value, uint64_t size) {
  return CreateArray<aclIntArray>("aclCreateIntArray", value, size);
}
aclFloatArray* aclCreateFloatArray(const float* value, uint64_t size) {
  return CreateArray<aclFloatArray>("aclCreateFloatArray", value, size);
}
aclBoolArray* aclCreateBoolArray(const bool* value, uint64_t size) {
  return CreateArray<aclBoolArray>("aclCreateBoolArray", value, size);
}
aclTensorList* aclCreateTensorList(const aclTensor* const* value, uint64_t size) {
  return CreateList<aclTensorList>("aclCreateTensorList", value, size);
}
aclScalarList* aclCreateScalarList(const aclScalar* const* value, uint64_t size) {
  return CreateList<aclScalarList>("aclCreateScalarList", value, size);
}

aclnnStatus aclDestroyTensor(const aclTensor* tensor) { return Destroy("aclDestroyTensor", tensor); }
aclnnStatus aclDestroyScalar(const aclScalar* scalar) { return Destroy("aclDestroyScalar", scalar); }
aclnnStatus aclDestroyIntArray(const aclIntArray* array) { return Destroy("aclDestroyIntArray", array); }
aclnnStatus aclDestroyFloatArray(const aclFloatArray* array) { return Destroy("aclDestroyFloatArray", array); }
aclnnStatus aclDestroyBoolArray(const aclBoolArray* array) { return Destroy("aclDestroyBoolArray", array); }
aclnnStatus aclDestroyTensorList(const aclTensorList* array) {
  return DestroyList<aclTensorList, aclTensor>("aclDestroyTensorList", array);
}
aclnnStatus aclDestroyScalarList(const aclScalarList* array) {
  return DestroyList<aclScalarList, aclScalar>("aclDestroyScalarList", array);
}

aclnnStatus aclGetViewShape(const aclTensor* tensor, int64_t** viewDims, uint64_t* viewDimsNum) {
  if (viewDims == nullptr || viewDimsNum == nullptr) {
    return Fail(ACLNN_ERR_PARAM_NULLPTR, "aclGetViewShape: viewDims or viewDimsNum is null");
  }
  return With("aclGetViewShape", tensor,
              [=](const aclTensor& object) { return CopyOut(object.value.view_shape, viewDims, viewDimsNum); });
}

aclnnStatus aclGetStorageShape(const aclTensor* tensor, int64_t** storageDims, uint64_t* storageDimsNum) {
  if (storageDims == nullptr || storageDimsNum == nullptr) {
    return Fail(ACLNN_ERR_PARAM_NULLPTR, "aclGetStorageShape: storageDims or storageDimsNum is null");
  }
  return With("aclGetStorageShape", tensor, [=](const aclTensor& object) {
    return CopyOut(object.value.storage_shape, storageDims, storageDimsNum);
  });
}

aclnnStatus aclGetViewStrides(const aclTensor* tensor, int64_t** stridesValue, uint64_t* stridesNum) {
  if (stridesValue == nullptr || stridesNum == nullptr) {
    return Fail(ACLNN_ERR_PARAM_NULLPTR, "aclGetViewStrides: stridesValue or stridesNum is null");
  }
  return With("aclGetViewStrides", tensor,
              [=](const aclTensor& object) { return CopyOut(object.value.strides, stridesValue, stridesNum); });
}

namespace {

template <typename Value>
aclnnStatus GetField(const char* api, const aclTensor* tensor, Value Tensor::* field, Value* value) {
  if (value == nullptr) return Fail(ACLNN_ERR_PARAM_NULLPTR, std::string(api) + ": the result's address is null");
  return With(api, tensor, [=](const aclTensor& object) {
    *value = object.value.*field;
    return aclnnStatus{ACLNN_SUCCESS};
  });
}

}  // namespace

aclnnStatus aclGetViewOffset(const aclTensor* tensor, int64_t* offset) {
  return GetField("aclGetViewOffset", tensor, &Tensor::offset, offset);
}
aclnnStatus aclGetFormat(const aclTensor* tensor, aclFormat* format) {
  return GetField("aclGetFormat", tensor, &Tensor::format, format);
}
aclnnStatus aclGetDataType(const aclTensor* tensor, aclDataType* dataType) {
  return GetField("aclGetDataType", tensor, &Tensor::dtype, dataType);
}
aclnnStatus aclGetRawTensorAddr(const aclTensor* tensor, void** addr) {
  return GetField("aclGetRawTensorAddr", tensor, &Tensor::address, addr);
}

aclnnStatus aclSetRawTensorAddr(aclTensor* tensor, void* addr) {
  return With("aclSetRawTensorAddr", tensor, [addr](aclTensor& object) {
    object.value.address = addr;
    return aclnnStatus{ACLNN_SUCCESS};
  });
}

aclnnStatus aclGetIntArraySize(const aclIntArray* array, uint64_t* size) {
  return SizeOf("aclGetIntArraySize", array, size);
}
aclnnStatus aclGetFloatArraySize(const aclFloatArray* array, uint64_t* size) {
  return SizeOf("aclGetFloatArraySize", array, size);
}
aclnnStatus aclGetBoolArraySize(const aclBoolArray* array, uint64_t* size) {
  return SizeOf("aclGetBoolArraySize", array, size);
}
aclnnStatus aclGetTensorListSize(const aclTensorList* tensorList, uint64_t* size) {
  return SizeOf("aclGetTensorListSize", tensorList, size);
}
aclnnStatus aclGetScalarListSize(const aclScalarList* scalarList, uint64_t* size) {
  return SizeOf("aclGetScalarListSize", scalarList, size);
}
