#include "tiling.h"

#include <algorithm>
#include <cstring>

#include "require.h"

namespace npu_fa {
namespace {

constexpr int32_t kL0SlotBytes = 32 * 1024;       // half of L0A or L0B
constexpr int32_t kAccumulatorBytes = 64 * 1024;  // half of L0C

int32_t ElementBytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

int64_t LongestQuery(const HostProblem& built) {
  int64_t longest = 0;
  for (const Sequence& s : built.sequences) longest = std::max(longest, s.q_len);
  return longest;
}

int64_t LongestKey(const HostProblem& built) {
  int64_t longest = 0;
  for (const Sequence& s : built.sequences) longest = std::max(longest, s.kv_len);
  return longest;
}

// The largest power of two from `largest` down to `smallest` that fits, or 0.
template <class Fits>
int32_t LargestPiece(int32_t largest, int32_t smallest, Fits fits) {
  for (int32_t piece = largest; piece >= smallest; piece /= 2)
    if (fits(piece)) return piece;
  return 0;
}

// Completes a tiling whose tile_rows, tiles, stage_columns and vector_rows are chosen; false when a memory is too
// small.
bool Fits(Tiling& t, DType dtype) {
  const int32_t bytes = ElementBytes(dtype), block = kBlockBytes / bytes;
  if (t.tile_rows * t.value_width * 4 > kAccumulatorBytes) return false;
  t.value_piece = LargestPiece(128, kFractalSide, [&](int32_t piece) {
    return piece * t.value_width * bytes <= kL0SlotBytes && t.tile_rows * piece * bytes <= kL0SlotBytes;
  });
  t.depth_piece = std::min(t.query_depth, kL0SlotBytes / (std::max(t.tile_rows, kKeyPiece) * bytes) / block * block);
  if (t.value_piece == 0 || t.depth_piece == 0) return false;
  // With two tiles of rows V stays until both have used it; with one each piece goes at once.
  t.value_slot = t.tiles == 2 ? CeilDiv(t.stage_columns / t.value_piece, 2) : 1;
  if (ForwardUbBytes(t, dtype) > kUbBytes) return false;
  for (t.query_buffers = 2; t.query_buffers > 0; --t.query_buffers)
    if (ForwardL1Bytes(t, dtype) <= kL1Bytes) return true;
  return false;
}

// Shares the blocks out in contiguous ranges of about equal cost.
void ShareBlocks(const HostProblem& built, Tiling& t) {
  int64_t total = 0;
  const auto for_each_block = [&](auto visit) {
    for (const Sequence& s : built.sequences) {
      const int64_t per_head = BlocksPerHead(t, s);
      std::vector<int64_t> cost(per_head);
      for (int64_t block = 0; block < per_head; ++block) cost[block] = BlockCost(t, s, block);
      for (int32_t head = 0; head < built.problem.q_heads; ++head)
        for (const int64_t c : cost) visit(c);
    }
  };
  for_each_block([&](int64_t cost) { total = CheckedSum("cost of all blocks", total, cost); });
  int64_t done = 0, number = 0;
  int32_t core = 0;
  t.first_block[0] = 0;
  for_each_block([&](int64_t cost) {
    // The block goes to the core in whose share its middle lies.
    while (core + 1 < t.cores && (2 * done + cost) * t.cores >= 2 * total * (core + 1)) t.first_block[++core] = number;
    done += cost;
    ++number;
  });
  while (core < kMaxCores) t.first_block[++core] = number;
}

}  // namespace

int64_t ForwardL1Bytes(const Tiling& t, DType dtype) {
  const int64_t query = int64_t{t.query_buffers} * BlockRows(t) * t.query_depth;
  const int64_t key = 2 * int64_t{kKeyPiece} * t.query_depth;
  const int64_t probability = 2 * int64_t{t.tile_rows} * t.value_piece;
  const int64_t value = 2 * int64_t{t.value_slot} * t.value_piece * t.value_width;
  return (query + key + probability + value) * ElementBytes(dtype);
}

// The sum of what VectorBoxes, OnlineSoftmax and ScoreModifiers take in their Init.
int64_t ForwardUbBytes(const Tiling& t, DType dtype) {
  const int64_t bytes = ElementBytes(dtype), rows = VectorCoreRows(t), padded = RoundUp(rows, kRepeatFloats);
  const int64_t tile = int64_t{t.vector_rows} * t.stage_columns;
  const int64_t box = std::max<int64_t>(BoxElements(t) * bytes, 2 * padded * kBlockBytes);
  if (box > BoxElements(t) * bytes) return INT64_MAX;  // the statistics of a block go through a box
  const int64_t boxes = 2 * BoxElements(t) * (4 + bytes);
  const int64_t softmax = (3 * kRingSlots + 2) * padded * 4 + tile / 2 + t.vector_rows * (kBlockBytes + 256) +
                          padded * kBlockBytes + 2 * kBlockBytes + rows * t.value_width * 4;
  int64_t modifiers = 3 * (tile / 8) + 4 * kSlabColumns;
  if (t.policy % 2 == 1) modifiers += tile * (4 + bytes + 1) + 2 * (tile / 8);
  return boxes + softmax + modifiers;
}

Tiling MakeForwardTiling(const HostProblem& built, const Platform& platform) {
  const AttentionProblem& p = built.problem;
  const int32_t block = kBlockBytes / ElementBytes(p.dtype);
  Tiling t = {};
  t.policy = PolicyId(p);
  t.cores = platform.cores;
  t.query_depth = RoundUp(p.head_dim, block) + RoundUp(p.rope_dim, block);
  t.value_width = RoundUp(p.value_dim, kFractalSide);
  t.scale = static_cast<float>(p.scale);
  t.inverse_keep = static_cast<float>(KeptWeight(p.dropout));

  // Tall blocks read K and V less often, wide stages rescale O less often; both give way to the memories' sizes. Short
  // queries and keys take no more than they fill.
  const int64_t longest_query = LongestQuery(built), longest_key = LongestKey(built);
  bool found = false;
  for (int32_t rows = 256; rows >= kFractalSide && !found; rows /= 2) {
    if (rows > kFractalSide && rows / 2 >= longest_query) continue;
    for (const int32_t tiles : {2, 1}) {
      if (rows / tiles < kFractalSide || rows / tiles > 128) continue;
      for (int32_t columns = 1024; columns >= kCompareColumns && !found; columns /= 2) {
        if (columns > kCompareColumns && columns / 2 >= longest_key) continue;
        for (int32_t vector_rows = 32; vector_rows >= kBlockFloats && !found; vector_rows /= 2) {
          if (vector_rows > kFractalSide && vector_rows > rows / 2) continue;
          if (vector_rows * columns > 8192) continue;  // one instruction repeats at most 255 times
          t.tile_rows = rows / tiles;
          t.tiles = tiles;
          t.stage_columns = columns;
          t.vector_rows = vector_rows;
          found = Fits(t, p.dtype);
        }
      }
      if (found) break;
    }
  }
  Require(found, Status::kTilingError, "head_dim, value_dim: expected sizes that fit the core's memories, got ",
          p.head_dim, " and ", p.value_dim);

  const int64_t slots = CheckedProduct("workspace", {kRingSlots, ScoreSlotElements(t), 4 + ElementBytes(p.dtype)});
  const int64_t products = CheckedProduct("workspace", {kRingSlots, ProductSlotElements(t), 4});
  t.workspace_per_core = CeilDiv64(slots + products, 512) * 512;
  ShareBlocks(built, t);
  return t;
}

int64_t WorkspaceBytes(const Tiling& t) { return CheckedProduct("workspace", {t.workspace_per_core, t.cores}); }

std::vector<uint8_t> ArgumentBlob(const HostProblem& built, const Tiling& tiling) {
  const size_t sequences = built.sequences.size() * sizeof(Sequence);
  std::vector<uint8_t> blob(sizeof(AttentionProblem) + sizeof(Tiling) + sequences);
  std::memcpy(blob.data(), &built.problem, sizeof(AttentionProblem));
  std::memcpy(blob.data() + sizeof(AttentionProblem), &tiling, sizeof(Tiling));
  if (sequences > 0)
    std::memcpy(blob.data() + sizeof(AttentionProblem) + sizeof(Tiling), built.sequences.data(), sequences);
  return blob;
}

}  // namespace npu_fa
