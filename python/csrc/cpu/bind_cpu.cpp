// The fast CPU backend as Python sees it. Tensors arrive as addresses: backends/native.py keeps them alive, and has
// their layout described by the Problem of the _C module.
#include <pybind11/pybind11.h>

#include <string>

#include "backend.h"

namespace py = pybind11;

namespace npu_fa {
namespace {

template <class Pointer>
Pointer Address(const py::dict& tensors, const char* name) {
  const py::object value = tensors[name];
  return reinterpret_cast<Pointer>(value.is_none() ? uintptr_t{0} : value.cast<uintptr_t>());
}

CpuCall CallFrom(const HostProblem& host, const py::dict& tensors) {
  CpuCall call = {};
  PrepareCall(host, &call);
  call.q = Address<const void*>(tensors, "query");
  call.k = Address<const void*>(tensors, "key");
  call.v = Address<const void*>(tensors, "value");
  call.q_rope = Address<const void*>(tensors, "query_rope");
  call.k_rope = Address<const void*>(tensors, "key_rope");
  call.sink = Address<const void*>(tensors, "sink");
  call.softmax_max = Address<void*>(tensors, "softmax_max");
  call.softmax_sum = Address<void*>(tensors, "softmax_sum");
  return call;
}

void BindForward(const HostProblem& host, const py::dict& tensors, int threads) {
  CpuCall call = CallFrom(host, tensors);
  call.out = Address<void*>(tensors, "out");
  py::gil_scoped_release release;
  Forward(host, call, {threads, false});
}

void BindBackward(const HostProblem& host, const py::dict& tensors, int threads, bool deterministic) {
  CpuCall call = CallFrom(host, tensors);
  call.dy = Address<const void*>(tensors, "dy");
  call.y = Address<const void*>(tensors, "attention_in");
  call.dq = Address<void*>(tensors, "dq");
  call.dk = Address<void*>(tensors, "dk");
  call.dv = Address<void*>(tensors, "dv");
  call.dq_rope = Address<void*>(tensors, "dq_rope");
  call.dk_rope = Address<void*>(tensors, "dk_rope");
  call.dpse = Address<void*>(tensors, "dpse");
  double* dsink = Address<double*>(tensors, "dsink");
  py::gil_scoped_release release;
  Backward(host, call, dsink, {threads, deterministic});
}

py::dict Describe() {
  const Products& products = MachineProducts();
  py::dict d;
  d["level"] = MachineKernels().level;
  d["bfloat16_products"] = products.bfloat16 ? "brgemm" : "none";
  d["float32_products"] = products.float32 ? "brgemm" : "plain";
  return d;
}

void Exp2(uintptr_t x, uintptr_t y, int64_t count) {
  MachineKernels().exp2(reinterpret_cast<const float*>(x), reinterpret_cast<float*>(y), count);
}

}  // namespace
}  // namespace npu_fa

PYBIND11_MODULE(_cpu, m) {
  m.doc() = "Fast CPU kernels of npu_flash_attention.";
  m.def("forward", &npu_fa::BindForward, py::arg("problem"), py::arg("tensors"), py::arg("threads"),
        "Fills out, softmax_max and softmax_sum of the problem. `tensors` maps names to addresses or None.");
  m.def("backward", &npu_fa::BindBackward, py::arg("problem"), py::arg("tensors"), py::arg("threads"),
        py::arg("deterministic"), "Fills the gradients whose addresses are given; adds to dpse and dsink.");
  m.def("describe", &npu_fa::Describe, "The instruction-set level in use and who multiplies the matrices.");
  m.def("product_rate", &npu_fa::ProductRate, py::arg("bfloat16"), py::arg("threads"), py::arg("seconds"),
        py::call_guard<py::gil_scoped_release>(), "GFLOP/s of the matrix products on tiles in the cache.");
  m.def("exp2", &npu_fa::Exp2, py::arg("x"), py::arg("y"), py::arg("count"),
        "The kernels' exponential of `count` float32 at address x, written to y.");
}
