// What every entry of a kernel does: it picks the instance that computes the call, and the part of it that the core
// runs.
#pragma once

#include "kernel_arguments.h"

namespace npu_fa {

template <class CubePart, class VectorPart, class Arguments, class Tensors>
FA_INLINE void RunInstance(const Arguments& arguments, const Tensors& gm) {
  AscendC::TPipe pipe;
  if ASCEND_IS_AIC {
    CubePart cube;
    cube.Run(&pipe, arguments, gm, AscendC::GetBlockIdx());
  }
  if ASCEND_IS_AIV {
    VectorPart vector;
    vector.Run(&pipe, arguments, gm, AscendC::GetBlockIdx() / AscendC::GetSubBlockNum(), AscendC::GetSubBlockIdx());
  }
}

template <template <class> class CubePart, template <class> class VectorPart, class KernelTiling, class Tensors>
FA_INLINE void RunKernel(const Tensors& gm, GM_ADDR blob) {
  ArgumentsOf<KernelTiling> arguments;
  arguments.Read(blob);
  switch (arguments.tiling.policy) {
#define FA_CASE(id, type, modified) \
  case id:                          \
    return RunInstance<CubePart<Policy<type, modified>>, VectorPart<Policy<type, modified>>>(arguments, gm);
    FA_POLICIES(FA_CASE)
#undef FA_CASE
  }
}

}  // namespace npu_fa
