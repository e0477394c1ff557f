// Which instance of the backward computes a call: what every kernel entry of it does.
#pragma once

#include "backward.h"

namespace npu_fa {

template <class P>
FA_INLINE void Backward(const ArgumentsOf<BackwardTiling>& arguments, const BackwardTensors& gm) {
  AscendC::TPipe pipe;
  if ASCEND_IS_AIC {
    BackwardCube<P> cube;
    cube.Run(&pipe, arguments, gm, AscendC::GetBlockIdx());
  }
  if ASCEND_IS_AIV {
    BackwardVector<P> vector;
    vector.Run(&pipe, arguments, gm, AscendC::GetBlockIdx() / AscendC::GetSubBlockNum(), AscendC::GetSubBlockIdx());
  }
}

FA_INLINE void RunBackward(const BackwardTensors& gm, GM_ADDR blob) {
  ArgumentsOf<BackwardTiling> arguments;
  arguments.Read(blob);
  switch (arguments.tiling.policy) {
#define FA_CASE(id, type, modified) \
  case id:                          \
    return Backward<Policy<type, modified>>(arguments, gm);
    FA_FORWARD_POLICIES(FA_CASE)
#undef FA_CASE
  }
}

}  // namespace npu_fa
