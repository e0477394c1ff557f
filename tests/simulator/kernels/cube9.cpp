// The names CANN 9 gives to cube instructions CANN 8 has under others.
#include "kernel_operator.h"

extern "C" __global__ __aicore__ void cube_names_of_9(GM_ADDR out_gm) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIC_ONLY);
  AscendC::TPipe pipe;
  AscendC::TBuf<AscendC::TPosition::A2> a2;
  AscendC::TBuf<AscendC::TPosition::B2> b2;
  AscendC::TBuf<AscendC::TPosition::CO1> co1;
  pipe.InitBuffer(a2, 1024);
  pipe.InitBuffer(b2, 1024);
  pipe.InitBuffer(co1, 2048);
  AscendC::Fill(a2.Get<float>(), AscendC::InitConstValueParams<float>(1, 2, 0, 1.0f + 1.0f / 4096));
  AscendC::Fill(b2.Get<float>(), AscendC::InitConstValueParams<float>(1, 2, 0, 1.0f));
  AscendC::SetFlag<AscendC::HardEvent::MTE1_M>(EVENT_ID0);
  AscendC::WaitFlag<AscendC::HardEvent::MTE1_M>(EVENT_ID0);
  AscendC::MmadParams product;
  product.m = 16;
  product.n = 16;
  product.k = 16;
  AscendC::SetMMColumnMajor();
  AscendC::SetHF32Mode(AscendC::HF32Mode::ENABLE);
  AscendC::SetHF32TransMode(AscendC::HF32TransMode::NEAREST_ZERO);
  AscendC::Mmad(co1.Get<float>(), a2.Get<float>(), b2.Get<float>(), product);
  AscendC::SetHF32TransMode(AscendC::HF32TransMode::NEAREST_EVEN);
  AscendC::SetHF32Mode(AscendC::HF32Mode::DISABLE);
  AscendC::SetMMRowMajor();
  AscendC::Mmad(co1.Get<float>()[256], a2.Get<float>(), b2.Get<float>(), product);
  AscendC::SetFlag<AscendC::HardEvent::M_FIX>(EVENT_ID0);
  AscendC::WaitFlag<AscendC::HardEvent::M_FIX>(EVENT_ID0);
  AscendC::GlobalTensor<float> out;
  out.SetGlobalBuffer(reinterpret_cast<__gm__ float*>(out_gm));
  AscendC::Fixpipe<float, float>(out, co1.Get<float>(), AscendC::FixpipeParamsV220(32, 16, 16, 32, false));
}
