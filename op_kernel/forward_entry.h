// Which instance of the forward computes a call: what every kernel entry of it does.
#pragma once

#include "forward.h"

namespace npu_fa {

template <class P>
FA_INLINE void Forward(const Arguments& arguments, const ForwardTensors& gm) {
  AscendC::TPipe pipe;
  if ASCEND_IS_AIC {
    ForwardCube<P> cube;
    cube.Run(&pipe, arguments, gm, AscendC::GetBlockIdx());
  }
  if ASCEND_IS_AIV {
    ForwardVector<P> vector;
    vector.Run(&pipe, arguments, gm, AscendC::GetBlockIdx() / AscendC::GetSubBlockNum(), AscendC::GetSubBlockIdx());
  }
}

FA_INLINE void RunForward(const ForwardTensors& gm, GM_ADDR blob) {
  Arguments arguments;
  arguments.Read(blob);
  switch (arguments.tiling.policy) {
#define FA_CASE(id, type, modified) \
  case id:                          \
    return Forward<Policy<type, modified>>(arguments, gm);
    FA_FORWARD_POLICIES(FA_CASE)
#undef FA_CASE
  }
}

}  // namespace npu_fa
