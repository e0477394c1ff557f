// The fast CPU backend: one call of the operator, divided into tasks that the threads of PyTorch take.
#pragma once

#include <string>

#include "kernels.h"
#include "problem_builder.h"

namespace npu_fa {

struct CpuOptions {
  int threads = 1;
  bool deterministic = false;  // equal bits at every number of threads, not only at every run
};

// The kernels of the level that PyTorch chose for this process (ATEN_CPU_CAPABILITY lowers it).
const Kernels& MachineKernels();

// Completes a call from the description of its problem: kernels, products, dropout threshold.
void PrepareCall(const HostProblem& host, CpuCall* call);

// Fills out, softmax_max and softmax_sum. Rows of empty sequences are left as they are.
void Forward(const HostProblem& host, CpuCall call, const CpuOptions& options);

// Fills dq, dk, dv (and their rope parts) where they are not null, and adds to dpse and dsink. Rows of empty sequences
// are left as they are. dsink has a float64 per head.
void Backward(const HostProblem& host, CpuCall call, double* dsink, const CpuOptions& options);

// Multiplications and additions per second, in 1e9, that `threads` threads do on tiles that stay in their caches: what
// the kernels could reach if nothing but products took time.
double ProductRate(bool bfloat16, int threads, double seconds);

}  // namespace npu_fa
