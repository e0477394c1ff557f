// The aclnn C API as Python sees it: handles, both phases of every function, streams. npu_flash_attention/aclnn.py
// makes functions of it; nothing here knows a parameter by name.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "acl/acl.h"
#include "acl/operator_layer.h"
#include "aclnnop/aclnn_flash_attention_score.h"
#include "aclnnop/aclnn_flash_attention_score_grad.h"

namespace py = pybind11;

namespace {

std::string RecentError() {
  const char* message = aclGetRecentErrMsg();
  return message ? message : "";
}

// A handle that is destroyed with its Python object.
template <class T, aclnnStatus (*kDestroy)(const T*)>
class Owned {
 public:
  explicit Owned(T* handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  ~Owned() { Destroy(); }
  T* Get() const { return handle_; }
  void Destroy() {
    if (handle_ != nullptr) kDestroy(std::exchange(handle_, nullptr));
  }

 private:
  T* handle_;
};

using Tensor = Owned<aclTensor, aclDestroyTensor>;
using IntArray = Owned<aclIntArray, aclDestroyIntArray>;

Tensor MakeTensor(uintptr_t address, int dtype, const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides,
                  int64_t offset, const std::vector<int64_t>& storage) {
  aclTensor* tensor =
      aclCreateTensor(sizes.data(), sizes.size(), static_cast<aclDataType>(dtype), strides.data(), offset,
                      ACL_FORMAT_ND, storage.data(), storage.size(), reinterpret_cast<void*>(address));
  if (tensor == nullptr) throw std::runtime_error("aclCreateTensor: " + RecentError());
  return Tensor(tensor);
}

IntArray MakeIntArray(const std::vector<int64_t>& values) {
  aclIntArray* array = aclCreateIntArray(values.data(), values.size());
  if (array == nullptr) throw std::runtime_error("aclCreateIntArray: " + RecentError());
  return IntArray(array);
}

// ---- a Python value as the parameter of type P ----

template <class P>
struct Parameter {
  P value;
  explicit Parameter(const py::handle& given) : value(given.cast<P>()) {}
  P Get() { return value; }
};

template <>
struct Parameter<const aclTensor*> {
  const aclTensor* value;
  explicit Parameter(const py::handle& given) : value(given.is_none() ? nullptr : given.cast<Tensor&>().Get()) {}
  const aclTensor* Get() { return value; }
};

template <>
struct Parameter<const aclIntArray*> {
  const aclIntArray* value;
  explicit Parameter(const py::handle& given) : value(given.is_none() ? nullptr : given.cast<IntArray&>().Get()) {}
  const aclIntArray* Get() { return value; }
};

template <>
struct Parameter<char*> {
  bool null;
  std::string value;
  explicit Parameter(const py::handle& given)
      : null(given.is_none()), value(null ? std::string() : given.cast<std::string>()) {}
  char* Get() { return null ? nullptr : value.data(); }
};

struct Planned {
  aclnnStatus status;
  uint64_t workspace_size;
  uintptr_t executor;
};

using Plan = std::function<Planned(const py::tuple&)>;
using Launch = aclnnStatus (*)(void*, uint64_t, aclOpExecutor*, const aclrtStream);

template <class... P, size_t... I>
Planned Call(aclnnStatus (*function)(P...), const py::tuple& given, std::index_sequence<I...>) {
  using All = std::tuple<P...>;
  constexpr size_t kGiven = sizeof...(I);
  static_assert(std::is_same_v<std::tuple_element_t<kGiven, All>, uint64_t*>, "workspaceSize follows the parameters");
  if (given.size() != kGiven) throw py::type_error("expected " + std::to_string(kGiven) + " parameters");
  std::tuple<Parameter<std::tuple_element_t<I, All>>...> converted{
      Parameter<std::tuple_element_t<I, All>>(py::handle(given[I]))...};
  Planned planned = {};
  aclOpExecutor* executor = nullptr;
  {
    const py::gil_scoped_release release;
    planned.status = function(std::get<I>(converted).Get()..., &planned.workspace_size, &executor);
  }
  planned.executor = reinterpret_cast<uintptr_t>(executor);
  return planned;
}

struct Function {
  Plan plan;
  Launch launch;
};

template <class... P>
Function MakeFunction(aclnnStatus (*plan)(P...), Launch launch) {
  return {[plan](const py::tuple& given) { return Call(plan, given, std::make_index_sequence<sizeof...(P) - 2>()); },
          launch};
}

const std::map<std::string, Function>& Functions() {
#define FA_FUNCTION(name)                             \
  {                                                   \
    #name, MakeFunction(name##GetWorkspaceSize, name) \
  }
  static const std::map<std::string, Function> functions = {
      FA_FUNCTION(aclnnFlashAttentionScore),
      FA_FUNCTION(aclnnFlashAttentionScoreV2),
      FA_FUNCTION(aclnnFlashAttentionScoreV3),
      FA_FUNCTION(aclnnFlashAttentionVarLenScore),
      FA_FUNCTION(aclnnFlashAttentionVarLenScoreV2),
      FA_FUNCTION(aclnnFlashAttentionVarLenScoreV3),
      FA_FUNCTION(aclnnFlashAttentionVarLenScoreV4),
      FA_FUNCTION(aclnnFlashAttentionVarLenScoreV5),
      FA_FUNCTION(aclnnFlashAttentionScoreGrad),
      FA_FUNCTION(aclnnFlashAttentionScoreGradV2),
      FA_FUNCTION(aclnnFlashAttentionScoreGradV3),
      FA_FUNCTION(aclnnFlashAttentionUnpaddingScoreGrad),
      FA_FUNCTION(aclnnFlashAttentionUnpaddingScoreGradV2),
      FA_FUNCTION(aclnnFlashAttentionUnpaddingScoreGradV3),
      FA_FUNCTION(aclnnFlashAttentionUnpaddingScoreGradV4),
      FA_FUNCTION(aclnnFlashAttentionUnpaddingScoreGradV5),
  };
#undef FA_FUNCTION
  return functions;
}

const Function& Find(const std::string& name) { return Functions().at(name); }

py::tuple PlanByName(const std::string& name, const py::tuple& given) {
  const Planned planned = Find(name).plan(given);
  return py::make_tuple(planned.status, planned.workspace_size, planned.executor);
}

aclnnStatus LaunchByName(const std::string& name, uintptr_t workspace, uint64_t workspace_size, uintptr_t executor,
                         uintptr_t stream) {
  const Launch launch = Find(name).launch;
  const py::gil_scoped_release release;
  return launch(reinterpret_cast<void*>(workspace), workspace_size, reinterpret_cast<aclOpExecutor*>(executor),
                reinterpret_cast<aclrtStream>(stream));
}

aclOpExecutor* ExecutorAt(uintptr_t executor) { return reinterpret_cast<aclOpExecutor*>(executor); }

std::pair<aclError, uintptr_t> CreateStream() {
  aclrtStream stream = nullptr;
  const aclError error = aclrtCreateStream(&stream);
  return {error, reinterpret_cast<uintptr_t>(stream)};
}

}  // namespace

PYBIND11_MODULE(_aclnn, m) {
  m.doc() = "The aclnn C API and what it needs of the ACL runtime; npu_flash_attention.aclnn makes functions of it.";
  py::class_<Tensor>(m, "Tensor", "An aclTensor.")
      .def(py::init(&MakeTensor), py::arg("address"), py::arg("dtype"), py::arg("sizes"), py::arg("strides"),
           py::arg("offset"), py::arg("storage"))
      .def("destroy", &Tensor::Destroy);
  py::class_<IntArray>(m, "IntArray", "An aclIntArray.")
      .def(py::init(&MakeIntArray), py::arg("values"))
      .def("destroy", &IntArray::Destroy);
  m.def("plan", &PlanByName, py::arg("name"), py::arg("parameters"),
        "First phase: (status, workspace size, executor).");
  m.def("launch", &LaunchByName, py::arg("name"), py::arg("workspace"), py::arg("workspace_size"), py::arg("executor"),
        py::arg("stream"), "Second phase: status.");
  m.def("functions", [] {
    std::vector<std::string> names;
    for (const auto& [name, function] : Functions()) names.push_back(name);
    return names;
  });
  m.def("set_repeatable", [](uintptr_t executor) { return aclSetAclOpExecutorRepeatable(ExecutorAt(executor)); });
  m.def("destroy_executor", [](uintptr_t executor) { return aclDestroyAclOpExecutor(ExecutorAt(executor)); });
  m.def("recent_error", &RecentError);
  m.def("init", [] { return aclInit(nullptr); });
  m.def("set_device", [](int32_t device) { return aclrtSetDevice(device); });
  m.def("set_deterministic", [](bool value) { return aclrtCtxSetSysParamOpt(ACL_OPT_DETERMINISTIC, value ? 1 : 0); });
  m.def("create_stream", &CreateStream, "(error, stream)");
  m.def(
      "destroy_stream", [](uintptr_t stream) { return aclrtDestroyStream(reinterpret_cast<aclrtStream>(stream)); },
      py::call_guard<py::gil_scoped_release>());
  m.def(
      "synchronize_stream",
      [](uintptr_t stream) { return aclrtSynchronizeStream(reinterpret_cast<aclrtStream>(stream)); },
      py::call_guard<py::gil_scoped_release>());
  m.def("synchronize_device", &aclrtSynchronizeDevice, py::call_guard<py::gil_scoped_release>());
  m.def(
      "register_memory",
      [](uintptr_t address, uint64_t bytes, const std::string& name) {
        return ascend_sim::acl::RegisterDeviceMemory(reinterpret_cast<void*>(address), bytes, name);
      },
      py::arg("address"), py::arg("bytes"), py::arg("name"), "Takes host memory as memory of the device.");
  m.def("unregister_memory",
        [](uintptr_t address) { return ascend_sim::acl::UnregisterDeviceMemory(reinterpret_cast<void*>(address)); });
}
