// Python module _simulator: runs kernels of a shared library on numpy arrays.
#include <dlfcn.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "instruction_list.h"
#include "machine/fault.h"
#include "machine/launch.h"
#include "machine/soc.h"

namespace py = pybind11;
using ascend_sim::Fault;
using ascend_sim::Timeline;

namespace {

constexpr size_t kMaxArguments = 16;

template <size_t... kIndex>
void CallWith(void* function, const std::array<uint8_t*, kMaxArguments>& arguments, std::index_sequence<kIndex...>) {
  reinterpret_cast<void (*)(decltype((void)kIndex, static_cast<uint8_t*>(nullptr))...)>(function)(arguments[kIndex]...);
}

// A kernel takes `count` GM addresses.
void Call(void* function, const std::array<uint8_t*, kMaxArguments>& arguments, size_t count) {
  switch (count) {
#define CASE(n) \
  case n:       \
    return CallWith(function, arguments, std::make_index_sequence<n>());
    CASE(0)
    CASE(1)
    CASE(2)
    CASE(3)
    CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14) CASE(15) CASE(16)
#undef CASE
  }
}

class Library {
 public:
  explicit Library(const std::string& path) : path_(path), handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw std::invalid_argument(dlerror());
  }
  // Never closed: results hold pointers to its file names.
  void* Find(const std::string& name) const {
    void* function = dlsym(handle_, name.c_str());
    if (function == nullptr) {
      throw std::invalid_argument("name: expected a kernel of " + path_ + ", got " + name);
    }
    return function;
  }

 private:
  std::string path_;
  void* handle_;
};

ascend_sim::KernelType TypeOf(const std::string& name) {
  using ascend_sim::KernelType;
  static const std::vector<std::pair<std::string, KernelType>> kTypes = {{"auto", KernelType::kAuto},
                                                                         {"aiv_only", KernelType::kAivOnly},
                                                                         {"aic_only", KernelType::kAicOnly},
                                                                         {"mix_aiv_1_0", KernelType::kMixAiv10},
                                                                         {"mix_aic_1_0", KernelType::kMixAic10},
                                                                         {"mix_aic_1_1", KernelType::kMixAic11},
                                                                         {"mix_aic_1_2", KernelType::kMixAic12}};
  std::string known;
  for (const auto& [text, type] : kTypes) {
    if (text == name) return type;
    known += (known.empty() ? "" : ", ") + text;
  }
  throw std::invalid_argument("kernel_type: expected one of " + known + ", got " + name);
}

ascend_sim::LaunchResult LaunchKernel(const Library& library, const std::string& name, const py::list& arrays,
                                      int block_dim, bool checks, bool timeline, int threads, const std::string& soc,
                                      const std::string& kernel_type, uint64_t tiling_key,
                                      const std::vector<size_t>& uninitialised, bool heads, bool launch_cost,
                                      bool warm_l2, bool contention, bool ordered_atomics,
                                      const std::vector<std::pair<std::string, int>>& drop) {
  void* function = library.Find(name);
  if (arrays.size() > kMaxArguments) throw std::invalid_argument("args: expected at most 16 arrays");
  ascend_sim::GmSpace gm;
  std::array<uint8_t*, kMaxArguments> arguments{};
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].is_none()) continue;
    py::array array = py::array::ensure(arrays[i]);
    if (!array || array.ptr() != arrays[i].ptr() || !(array.flags() & py::array::c_style)) {
      throw std::invalid_argument("args[" + std::to_string(i) + "]: expected a C-contiguous numpy array or None");
    }
    arguments[i] = static_cast<uint8_t*>(const_cast<void*>(array.data()));
    bool initialised = true;
    for (const size_t index : uninitialised) initialised &= index != i;
    if (array.nbytes() != 0) {
      gm.Add("argument " + std::to_string(i), arguments[i], static_cast<uint64_t>(array.nbytes()), !array.writeable(),
             initialised);
    }
  }
  ascend_sim::LaunchOptions options;
  options.soc = soc;
  options.block_dim = block_dim;
  options.modes = (checks ? ascend_sim::kChecks : 0u) | (timeline ? ascend_sim::kTimeline : 0u) |
                  (ordered_atomics ? ascend_sim::kOrderedAtomics : 0u);
  options.threads = threads;
  options.type = TypeOf(kernel_type);
  options.tiling_key = tiling_key;
  options.timeline.heads = heads;
  options.timeline.launch = launch_cost;
  options.timeline.warm_l2 = warm_l2;
  options.timeline.contention = contention;
  options.dropped = drop;
  const size_t count = arrays.size();
  const py::gil_scoped_release release;
  return ascend_sim::Launch([&] { Call(function, arguments, count); }, gm, options);
}

py::dict ByPipe(const Timeline& timeline, bool aic, bool work) {
  py::dict result;
  for (int pipe = 0; pipe < ascend_sim::kPipes; ++pipe) {
    result[ascend_sim::PipeName(pipe)] = work ? timeline.WorkShare(aic, pipe) : timeline.BusyShare(aic, pipe);
  }
  return result;
}

}  // namespace

PYBIND11_MODULE(_simulator, module) {
  module.doc() = "Runs AscendC kernels on the host. See docs/simulator.md.";

  static py::handle fault_type = py::exception<Fault>(module, "SimulatorFault", PyExc_RuntimeError).release();
  py::register_exception_translator([](std::exception_ptr exception) {
    try {
      if (exception) std::rethrow_exception(exception);
    } catch (const Fault& fault) {
      const ascend_sim::FaultRecord& record = fault.record();
      py::object error = py::reinterpret_borrow<py::object>(fault_type)(fault.what());
      error.attr("kind") = ascend_sim::FaultName(record.kind);
      error.attr("file") = record.where.file;
      error.attr("line") = record.where.line;
      error.attr("core") = record.core;
      error.attr("pipe") = record.pipe;
      error.attr("instruction") = record.instruction;
      error.attr("operand") = record.operand;
      error.attr("memory") = record.memory;
      error.attr("address") = record.address;
      error.attr("detail") = record.detail;
      PyErr_SetObject(fault_type.ptr(), error.ptr());
    }
  });

  py::class_<Timeline, std::shared_ptr<Timeline>>(module, "Timeline",
                                                  "When everything happened; a model, not a measurement.")
      .def_readonly("cycles", &Timeline::cycles)
      .def_property_readonly("microseconds", &Timeline::Microseconds)
      .def_property_readonly("critical_pipe", &Timeline::CriticalPipe)
      .def_property_readonly(
          "critical",
          [](const Timeline& t) {
            py::dict result;
            for (int pipe = 0; pipe < ascend_sim::kPipes; ++pipe) result[ascend_sim::PipeName(pipe)] = t.critical[pipe];
            return result;
          },
          "Cycles of the critical path spent on each pipe.")
      .def_readonly("critical_wait", &Timeline::critical_wait)
      .def_readonly("ddr_bytes", &Timeline::ddr_bytes)
      .def(
          "busy", [](const Timeline& t, bool aic) { return ByPipe(t, aic, false); }, py::arg("aic"),
          "Share of the makespan each pipe of the AICs (or AIVs) is busy, mean over the cores.")
      .def(
          "work", [](const Timeline& t, bool aic) { return ByPipe(t, aic, true); }, py::arg("aic"),
          "The same without start-up costs and lost bandwidth.")
      .def_property_readonly("path_bytes",
                             [](const Timeline& t) {
                               py::dict result;
                               for (int path = 1; path < static_cast<int>(ascend_sim::Path::kCount); ++path) {
                                 result[ascend_sim::PathName(static_cast<ascend_sim::Path>(path))] = t.path_bytes[path];
                               }
                               return result;
                             })
      .def_property_readonly(
          "events",
          [](const Timeline& t) {
            py::list result;
            for (const auto& event : t.events) {
              result.append(py::make_tuple(t.cores[event.core].label, ascend_sim::PipeName(event.pipe), event.name,
                                           event.begin, event.end, event.line));
            }
            return result;
          },
          "(core, pipe, instruction, begin, end, kernel line) of every instruction, in cycles.")
      .def("summary", &Timeline::Summary)
      .def("chrome_trace", &Timeline::ChromeTrace, "JSON for Perfetto or chrome://tracing.");

  py::class_<ascend_sim::LaunchResult>(module, "Result")
      .def_readonly("output", &ascend_sim::LaunchResult::output, "What printf and DumpTensor wrote, core by core.")
      .def_readonly("instructions", &ascend_sim::LaunchResult::instructions)
      .def_property_readonly("timeline", [](const ascend_sim::LaunchResult& result) {
        return std::const_pointer_cast<Timeline>(result.timeline);
      });

  py::class_<Library>(module, "Library", "A shared library of kernels linked with ascend_simulator_shared.")
      .def(py::init<const std::string&>(), py::arg("path"))
      .def("launch", &LaunchKernel, py::arg("name"), py::arg("args"), py::kw_only(), py::arg("block_dim") = 1,
           py::arg("checks") = true, py::arg("timeline") = false, py::arg("threads") = 0,
           py::arg("soc") = "Ascend910B2", py::arg("kernel_type") = "auto", py::arg("tiling_key") = 0,
           py::arg("uninitialised") = std::vector<size_t>{}, py::arg("heads") = true, py::arg("launch_cost") = false,
           py::arg("warm_l2") = false, py::arg("contention") = true, py::arg("ordered_atomics") = false,
           py::arg("drop") = std::vector<std::pair<std::string, int>>{},
           "Runs extern \"C\" kernel `name`, whose parameters are GM addresses, on C-contiguous numpy arrays (None: a\n"
           "null address). Arrays that are not writeable may not be written; the contents of args[i] for i in\n"
           "`uninitialised` count as never written. `drop` lists (file name, line) of flags and barriers to leave out, "
           "to see\n"
           "that the checks notice. `ordered_atomics`: atomic writes that nothing orders are faults. Raises "
           "SimulatorFault.");

  module.def(
      "instructions",
      [] {
        py::list result;
#define X(name, family, pipe, header) result.append(py::make_tuple(#name, #family, #pipe, #header));
        ASCEND_SIM_INSTRUCTIONS(X)
#undef X
        return result;
      },
      "(name, family, pipe, header) of every instruction.");
  module.def(
      "faults",
      [] {
        py::list result;
#define X(enumerator, name, meaning) result.append(py::make_tuple(name, meaning));
        ASCEND_SIM_FAULTS(X)
#undef X
        return result;
      },
      "(name, meaning) of every fault.");
  module.def("soc_table", [] {
    py::list result;
    for (const ascend_sim::Soc& soc : ascend_sim::SocTable()) {
      py::dict entry;
      entry["name"] = soc.name;
      entry["aic"] = soc.aic_count;
      entry["aiv"] = soc.aiv_count;
      entry["mhz"] = soc.mhz;
      entry["l2_bytes"] = soc.l2_bytes;
      entry["hbm_bytes"] = soc.hbm_bytes;
      result.append(entry);
    }
    return result;
  });
}
