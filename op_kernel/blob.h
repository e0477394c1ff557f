// The argument blob {AttentionProblem, Tiling or BackwardTiling, Sequence[]}: written on the host, read on the device,
// byte for byte.
#pragma once

#include "schedule.h"

namespace npu_fa {

constexpr int64_t kBlobTiling = sizeof(AttentionProblem);
template <class KernelTiling>
constexpr int64_t kBlobSequences = kBlobTiling + static_cast<int64_t>(sizeof(KernelTiling));

// Two compilers lay these structs out. They agree where each scalar has the same size and alignment in both; the device
// reads in words of eight bytes.
template <class Part>
constexpr bool FitsTheBlob() {
  return __is_trivially_copyable(Part) && __is_standard_layout(Part) && alignof(Part) == 8 && sizeof(Part) % 8 == 0;
}
static_assert(FitsTheBlob<AttentionProblem>() && FitsTheBlob<Tiling>() && FitsTheBlob<Sequence>(),
              "a part of the blob is not plain data in words of eight bytes");
static_assert(sizeof(bool) == 1 && sizeof(int32_t) == 4 && alignof(int32_t) == 4 && sizeof(float) == 4 &&
                  sizeof(int64_t) == 8 && alignof(int64_t) == 8 && sizeof(double) == 8 && alignof(double) == 8,
              "host and device disagree about a scalar");
static_assert(sizeof(DType) == 4 && sizeof(BiasKind) == 4 && sizeof(BiasOrder) == 4 && sizeof(DropoutKind) == 4,
              "host and device disagree about an enumeration");

}  // namespace npu_fa
