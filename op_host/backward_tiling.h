// (problem, platform) -> BackwardTiling: rows that fit beside the rings of tiles, blocks shared out by visible area,
// and where everything lies in the workspace.
#pragma once

#include "backward_schedule.h"
#include "tiling.h"

namespace npu_fa {

// A pure function. Block sizes are chosen for the whole chip; `cores` (0 for all) share the work. Throws AttentionError
// when sizes overflow or fit no memory, or the chip has fewer cores.
BackwardTiling MakeBackwardTiling(const HostProblem& built, const Platform& platform, int32_t cores = 0,
                                  bool deterministic = false);

// {AttentionProblem, BackwardTiling, Sequence[]}: the bytes the device receives.
std::vector<uint8_t> ArgumentBlob(const HostProblem& built, const BackwardTiling& tiling);

// Bytes of L1 and UB the backward kernel takes under a tiling; at most kL1Bytes and kUbBytes.
int64_t BackwardL1Bytes(const BackwardTiling& tiling, DType dtype);
int64_t BackwardUbBytes(const BackwardTiling& tiling, DType dtype);

}  // namespace npu_fa
