// What a kernel is called with, as the device reads it: pointers to tensors, and the argument blob.
#pragma once

#include "blob.h"
#include "gm_tile.h"

namespace npu_fa {

// A plain struct out of GM, by the scalar unit.
template <typename Struct>
FA_INLINE void ReadStruct(Struct& target, GM_ADDR address) {
  static_assert(sizeof(Struct) % sizeof(uint64_t) == 0, "read in words of eight bytes");
  GlobalTensor<uint64_t> words = GmTensor<uint64_t>(address);
  uint64_t* out = reinterpret_cast<uint64_t*>(&target);
  for (uint32_t i = 0; i < sizeof(Struct) / sizeof(uint64_t); ++i) out[i] = words.GetValue(i);
}

// The sequences behind problem and tiling in the kernel's argument blob.
struct GmSequences {
  GM_ADDR address = nullptr;
  FA_INLINE Sequence At(int64_t index) const {
    Sequence sequence;
    ReadStruct(sequence, address + index * static_cast<int64_t>(sizeof(Sequence)));
    return sequence;
  }
};

// A pointer into GM; GM_ADDR is a macro, which several names in one declaration cannot share.
using GmAddress = GM_ADDR;

// What both kernels read.
struct InputTensors {
  GmAddress query, key, value, query_rope, key_rope, bias, mask, drop_bits, sink;
};

// What the device receives, by the kind of tiling.
template <class KernelTiling>
struct ArgumentsOf {
  AttentionProblem problem;
  KernelTiling tiling;
  GmSequences sequences;

  FA_INLINE void Read(GM_ADDR blob) {
    ReadStruct(problem, blob);
    ReadStruct(tiling, blob + kBlobTiling);
    sequences.address = blob + kBlobSequences<KernelTiling>;
  }
};
using Arguments = ArgumentsOf<Tiling>;

}  // namespace npu_fa
