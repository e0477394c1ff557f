// The kernels of one instruction-set level; built once for each, with NPU_FA_CPU_LEVEL as its name.
#ifndef NPU_FA_CPU_LEVEL
#error "NPU_FA_CPU_LEVEL: expected one of the names in NPU_FA_CPU_LEVELS (kernels.h)"
#endif
// The rules of semantics.h get internal linkage: each level needs its own copy, see vec.h.
#define FA_FUNCTION [[maybe_unused]] __attribute__((always_inline)) static constexpr

#include "kernels.h"

#include "backward.h"
#include "forward.h"

#define NPU_FA_PASTE(a, b) a##b
#define NPU_FA_KERNELS(level) NPU_FA_PASTE(kKernels_, level)
#define NPU_FA_STRING(x) #x
#define NPU_FA_NAME(x) NPU_FA_STRING(x)

namespace npu_fa {
namespace {

template <class Input, class Operand>
struct Types {
  using In = Input;
  using E = Operand;
};

// Runs `body` with the input type of the call and the type of its matrix operands.
template <class Body>
auto WithTypes(const CpuCall& call, Body body) {
  switch (call.problem->dtype) {
    case DType::kBFloat16:
#if defined(__AVX512BF16__)
      if (call.bfloat16_products) return body(Types<BFloat16, BFloat16>{});
#endif
      return body(Types<BFloat16, float>{});
    case DType::kFloat16:
      return body(Types<Half, float>{});
    case DType::kFloat64:
      return body(Types<double, double>{});
    default:
      return body(Types<float, float>{});
  }
}

template <template <class, class> class Kernel, class Task>
int64_t ScratchOf(const CpuCall& call, const Task& task) {
  return WithTypes(
      call, [&](auto t) { return Kernel<typename decltype(t)::In, typename decltype(t)::E>::Scratch(call, task); });
}

template <template <class, class> class Kernel, class Task>
void RunOn(const CpuCall& call, const Task& task, void* scratch) {
  WithTypes(call, [&](auto t) { Kernel<typename decltype(t)::In, typename decltype(t)::E>::Run(call, task, scratch); });
}

int64_t FinishScratch(const CpuCall& call) {
  return WithTypes(
      call, [&](auto t) { return QueryFinisher<typename decltype(t)::In, typename decltype(t)::E>::Scratch(call); });
}

void FinishQueries(const CpuCall& call, const RowTask& task, const QuerySlot* slots, int64_t count, void* scratch) {
  WithTypes(call, [&](auto t) {
    QueryFinisher<typename decltype(t)::In, typename decltype(t)::E>::Run(call, task, slots, count, scratch);
  });
}

void Exp2Array(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += kWidth<float>) {
    float lanes[kWidth<float>] = {};
    const int64_t n = Min(count - i, kWidth<float>);
    std::memcpy(lanes, x + i, n * sizeof(float));
    StoreVector(lanes, Exp2(LoadVector<Floats>(lanes)));
    std::memcpy(y + i, lanes, n * sizeof(float));
  }
}

}  // namespace

extern const Kernels NPU_FA_KERNELS(NPU_FA_CPU_LEVEL);
const Kernels NPU_FA_KERNELS(NPU_FA_CPU_LEVEL) = {
    NPU_FA_NAME(NPU_FA_CPU_LEVEL),
    &ScratchOf<ForwardKernel, RowTask>,
    &RunOn<ForwardKernel, RowTask>,
    &ScratchOf<StatisticsKernel, RowTask>,
    &RunOn<StatisticsKernel, RowTask>,
    &ScratchOf<BackwardKernel, KeyTask>,
    &RunOn<BackwardKernel, KeyTask>,
    &FinishQueries,
    &FinishScratch,
    &Exp2Array,
};

}  // namespace npu_fa
