// The backend `simulator` as Python sees it: kernels launched on a simulated chip, on the memory of numpy arrays.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "backward_tiling.h"
#include "launch_simulator.h"
#include "machine/fault.h"
#include "tiling.h"

namespace py = pybind11;

namespace npu_fa {
namespace {

// (address, bytes) of each tensor by name; names that are missing are absent tensors.
Buffer BufferOf(const py::dict& tensors, const char* name) {
  if (!tensors.contains(name)) return {};
  const auto [address, bytes] = tensors[name].cast<std::pair<uintptr_t, uint64_t>>();
  return {reinterpret_cast<void*>(address), bytes};
}

ascend_sim::LaunchOptions OptionsOf(const std::string& soc, bool checks, bool timeline, bool heads, bool warm_l2,
                                    bool contention, int threads) {
  ascend_sim::LaunchOptions options;
  options.soc = soc;
  options.modes = (checks ? ascend_sim::kChecks : 0u) | (timeline ? ascend_sim::kTimeline : 0u);
  options.threads = threads;
  options.timeline.heads = heads;
  options.timeline.warm_l2 = warm_l2;
  options.timeline.contention = contention;
  return options;
}

py::dict Describe(const ascend_sim::LaunchResult& result) {
  py::dict out;
  out["instructions"] = result.instructions;
  out["printed"] = result.output;
  if (!result.timeline) return out;
  const ascend_sim::Timeline& timeline = *result.timeline;
  out["cycles"] = timeline.cycles;
  out["microseconds"] = timeline.Microseconds();
  out["summary"] = timeline.Summary();
  py::dict bytes;
  for (int path = 1; path < static_cast<int>(ascend_sim::Path::kCount); ++path)
    bytes[ascend_sim::PathName(static_cast<ascend_sim::Path>(path))] = timeline.path_bytes[path];
  out["bytes"] = bytes;
  py::dict pipes;  // (busy, work) as shares of the makespan
  for (const bool aic : {true, false}) {
    for (int pipe = 0; pipe < ascend_sim::kPipes; ++pipe) {
      pipes[py::make_tuple(aic ? "AIC" : "AIV", ascend_sim::PipeName(pipe))] =
          py::make_tuple(timeline.BusyShare(aic, pipe), timeline.WorkShare(aic, pipe));
    }
  }
  out["pipes"] = pipes;
  out["trace"] = py::cpp_function([keep = result.timeline] { return keep->ChromeTrace(); });
  return out;
}

py::dict Forward(const HostProblem& built, const py::dict& tensors, const std::string& soc, int cores, bool checks,
                 bool timeline, bool heads, bool warm_l2, bool contention, int threads) {
  const ForwardBuffers buffers = {
      BufferOf(tensors, "query"),         BufferOf(tensors, "key"),          BufferOf(tensors, "value"),
      BufferOf(tensors, "query_rope"),    BufferOf(tensors, "key_rope"),     BufferOf(tensors, "pse"),
      BufferOf(tensors, "atten_mask"),    BufferOf(tensors, "dropout_mask"), BufferOf(tensors, "sink"),
      BufferOf(tensors, "attention_out"), BufferOf(tensors, "softmax_max"),  BufferOf(tensors, "softmax_sum")};
  const ascend_sim::LaunchOptions options = OptionsOf(soc, checks, timeline, heads, warm_l2, contention, threads);
  ascend_sim::LaunchResult result;
  {
    const py::gil_scoped_release release;
    result = ForwardOnSimulator(built, buffers, options, cores);
  }
  return Describe(result);
}

py::dict Backward(const HostProblem& built, const py::dict& tensors, bool deterministic, const std::string& soc,
                  int cores, bool checks, bool timeline, bool heads, bool warm_l2, bool contention, int threads) {
  BackwardBuffers buffers;
  buffers.query = BufferOf(tensors, "query");
  buffers.key = BufferOf(tensors, "key");
  buffers.value = BufferOf(tensors, "value");
  buffers.dy = BufferOf(tensors, "dy");
  buffers.query_rope = BufferOf(tensors, "query_rope");
  buffers.key_rope = BufferOf(tensors, "key_rope");
  buffers.bias = BufferOf(tensors, "pse");
  buffers.mask = BufferOf(tensors, "atten_mask");
  buffers.drop_bits = BufferOf(tensors, "dropout_mask");
  buffers.sink = BufferOf(tensors, "sink");
  buffers.softmax_max = BufferOf(tensors, "softmax_max");
  buffers.softmax_sum = BufferOf(tensors, "softmax_sum");
  buffers.attention_in = BufferOf(tensors, "attention_in");
  buffers.dq = BufferOf(tensors, "dq");
  buffers.dk = BufferOf(tensors, "dk");
  buffers.dv = BufferOf(tensors, "dv");
  buffers.dq_rope = BufferOf(tensors, "dq_rope");
  buffers.dk_rope = BufferOf(tensors, "dk_rope");
  buffers.dbias = BufferOf(tensors, "dpse");
  buffers.dsink = BufferOf(tensors, "dsink");
  ascend_sim::LaunchOptions options = OptionsOf(soc, checks, timeline, heads, warm_l2, contention, threads);
  // Sums of dpse alone may meet in any order: docs/kernels.md, limits.
  if (checks && deterministic && buffers.dbias.bytes == 0) options.modes |= ascend_sim::kOrderedAtomics;
  ascend_sim::LaunchResult result;
  {
    const py::gil_scoped_release release;
    result = BackwardOnSimulator(built, buffers, options, cores, deterministic);
  }
  return Describe(result);
}

py::dict BackwardTilingOf(const HostProblem& built, const std::string& soc, int cores, bool deterministic) {
  const BackwardTiling t = MakeBackwardTiling(built, FindPlatform(soc), cores, deterministic);
  py::dict out;
#define FA_FIELD(name) out[#name] = t.name
  FA_FIELD(policy);
  FA_FIELD(cores);
  FA_FIELD(tile_rows);
  FA_FIELD(tiles);
  FA_FIELD(stage_columns);
  FA_FIELD(query_depth);
  FA_FIELD(value_width);
  FA_FIELD(piece);
  FA_FIELD(tile_slots);
  FA_FIELD(group_stages);
  FA_FIELD(deterministic);
  FA_FIELD(kv_rows);
  FA_FIELD(workspace_per_core);
  FA_FIELD(workspace_bytes);
#undef FA_FIELD
  out["first_block"] = std::vector<int64_t>(t.first_block, t.first_block + t.cores + 1);
  out["l1_bytes"] = BackwardL1Bytes(t, built.problem.dtype);
  out["ub_bytes"] = BackwardUbBytes(t, built.problem.dtype);
  return out;
}

py::dict ForwardTiling(const HostProblem& built, const std::string& soc, int cores) {
  const Tiling t = MakeForwardTiling(built, FindPlatform(soc), cores);
  py::dict out;
#define FA_FIELD(name) out[#name] = t.name
  FA_FIELD(policy);
  FA_FIELD(cores);
  FA_FIELD(tile_rows);
  FA_FIELD(tiles);
  FA_FIELD(stage_columns);
  FA_FIELD(value_piece);
  FA_FIELD(value_slot);
  FA_FIELD(depth_piece);
  FA_FIELD(query_depth);
  FA_FIELD(value_width);
  FA_FIELD(vector_rows);
  FA_FIELD(query_buffers);
  FA_FIELD(parts);
  FA_FIELD(part_stages);
  FA_FIELD(key_piece);
  FA_FIELD(workspace_per_core);
#undef FA_FIELD
  out["first_block"] = std::vector<int64_t>(t.first_block, t.first_block + t.cores + 1);
  out["l1_bytes"] = ForwardL1Bytes(t, built.problem.dtype);
  out["ub_bytes"] = ForwardUbBytes(t, built.problem.dtype);
  return out;
}

}  // namespace
}  // namespace npu_fa

PYBIND11_MODULE(_S, m) {
  m.doc() = "Kernels on a simulated Ascend chip.";
  static py::handle fault_type = py::exception<ascend_sim::Fault>(m, "KernelFault", PyExc_RuntimeError).release();
  py::register_exception_translator([](std::exception_ptr exception) {
    try {
      if (exception) std::rethrow_exception(exception);
    } catch (const ascend_sim::Fault& fault) {
      py::object error = py::reinterpret_borrow<py::object>(fault_type)(fault.what());
      error.attr("kind") = ascend_sim::FaultName(fault.record().kind);
      error.attr("line") = fault.record().where.line;
      error.attr("instruction") = fault.record().instruction;
      error.attr("operand") = fault.record().operand;
      PyErr_SetObject(fault_type.ptr(), error.ptr());
    }
  });
  m.def("forward", &npu_fa::Forward, py::arg("problem"), py::arg("tensors"), py::kw_only(),
        py::arg("soc") = "Ascend910B2", py::arg("cores") = 0, py::arg("checks") = true, py::arg("timeline") = false,
        py::arg("heads") = true, py::arg("warm_l2") = false, py::arg("contention") = true, py::arg("threads") = 0,
        "Runs flash_attention_score; tensors: name -> (address, bytes). Raises KernelFault.");
  m.def("backward", &npu_fa::Backward, py::arg("problem"), py::arg("tensors"), py::kw_only(),
        py::arg("deterministic") = false, py::arg("soc") = "Ascend910B2", py::arg("cores") = 0,
        py::arg("checks") = true, py::arg("timeline") = false, py::arg("heads") = true, py::arg("warm_l2") = false,
        py::arg("contention") = true, py::arg("threads") = 0,
        "Runs flash_attention_score_grad; tensors as in forward. Raises KernelFault.");
  m.def("backward_tiling", &npu_fa::BackwardTilingOf, py::arg("problem"), py::kw_only(), py::arg("soc") = "Ascend910B2",
        py::arg("cores") = 0, py::arg("deterministic") = false);
  m.def("forward_tiling", &npu_fa::ForwardTiling, py::arg("problem"), py::kw_only(), py::arg("soc") = "Ascend910B2",
        py::arg("cores") = 0);
}
