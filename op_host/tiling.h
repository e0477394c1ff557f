// (problem, platform) -> Tiling: block sizes that fit the memories, blocks shared out over the cores by visible area.
#pragma once

#include <cstdint>
#include <vector>

#include "platform.h"
#include "problem_builder.h"
#include "schedule.h"

namespace npu_fa {

// A pure function. Block sizes are chosen for the whole chip, so that results do not depend on how many of its cores
// (`cores`, 0 for all) share the work. Throws AttentionError when sizes overflow or the chip has fewer cores.
Tiling MakeForwardTiling(const HostProblem& built, const Platform& platform, int32_t cores = 0);

int64_t WorkspaceBytes(const Tiling& tiling);

// {AttentionProblem, Tiling, Sequence[]}: the bytes the device receives.
std::vector<uint8_t> ArgumentBlob(const HostProblem& built, const Tiling& tiling);

// The same around any kernel's tiling.
std::vector<uint8_t> JoinedBlob(const HostProblem& built, const void* tiling, size_t tiling_bytes);

int32_t ElementBytes(DType dtype);

// Throws AttentionError when a chip has fewer than `cores`.
void RequireCores(const Platform& platform, int32_t cores);

// Shares the blocks out in contiguous ranges of about equal cost; returns the cost of the busiest core.
int64_t ShareBlocks(const HostProblem& built, Tiling& tiling);

// Bytes of L1 and UB the forward kernel takes under a tiling; at most kL1Bytes and kUbBytes.
int64_t ForwardL1Bytes(const Tiling& tiling, DType dtype);
int64_t ForwardUbBytes(const Tiling& tiling, DType dtype);

}  // namespace npu_fa
