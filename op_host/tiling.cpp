#include "tiling.h"

#include <algorithm>
#include <cstring>

#include "blob.h"
#include "require.h"

namespace npu_fa {
namespace {

constexpr int32_t kL0SlotBytes = 32 * 1024;       // half of L0A or L0B
constexpr int32_t kAccumulatorBytes = 64 * 1024;  // half of L0C

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

int64_t Blocks(const HostProblem& built, const Tiling& t) {
  int64_t blocks = 0;
  for (const Sequence& s : built.sequences)
    blocks = CheckedSum("number of blocks", blocks, BlocksPerHead(t, s) * built.problem.q_heads);
  return blocks;
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
  if (t.value_piece == 0 || ForwardUbBytes(t, dtype) > kUbBytes) return false;
  // With two tiles of rows V stays until both have used it; with one it is only loaded early.
  const int32_t half_stage = std::max(1, CeilDiv(t.stage_columns / t.value_piece, 2));
  for (t.key_piece = 128; t.key_piece >= 64; t.key_piece /= 2) {
    t.depth_piece =
        std::min(t.query_depth, kL0SlotBytes / (std::max(t.tile_rows, t.key_piece) * bytes) / block * block);
    if (t.depth_piece == 0) continue;
    for (t.value_slot = half_stage; t.value_slot > 0; t.value_slot -= t.tiles == 2 ? half_stage : 1)
      for (t.query_buffers = 2; t.query_buffers > 0; --t.query_buffers)
        if (ForwardL1Bytes(t, dtype) <= kL1Bytes) return true;
  }
  return false;
}

// Blocks of `rows` rows and stages of `columns` columns, with the largest tile of the vector core that fits.
bool FitsSomehow(Tiling& t, int32_t rows, int32_t columns, DType dtype) {
  constexpr int32_t kTileElements = 12288;  // reductions of one tile repeat at most 255 times
  constexpr int32_t kTallestTile = 128;     // of the cube
  for (const int32_t tiles : {1, 2}) {
    if (rows / tiles < kFractalSide || rows / tiles > kTallestTile) continue;
    for (int32_t vector_rows = 48; vector_rows >= kBlockFloats; vector_rows -= kBlockFloats) {
      if (vector_rows * columns > kTileElements || vector_rows > std::max(kFractalSide, rows / 2)) continue;
      t.tile_rows = rows / tiles;
      t.tiles = tiles;
      t.stage_columns = columns;
      t.vector_rows = vector_rows;
      if (Fits(t, dtype)) return true;
    }
  }
  return false;
}

// A model of the kernel, good enough to choose by: the busiest core's scores at the rate of the slowest engine, a
// price for each stage, and the stages in which the pipeline fills and drains. Rates are those of the platform file and
// the manual; the vector unit's passes and the prices were read off the simulator's timeline.
double EstimatedCycles(const HostProblem& built, Tiling& t) {
  constexpr double kReadRate = 110, kWriteRate = 86, kCubeMacs = 4096, kVectorPlain = 0.116, kVectorModified = 0.246;
  constexpr double kTilePlain = 280, kTileModified = 600,
                   kTileOfSlabs = 70;  // what its vector instructions cost to start
  constexpr double kStagePrice = 1100, kFill = 2, kMeeting = 1000, kPartPrice = 700;
  const double bytes = ElementBytes(built.problem.dtype), rows = BlockRows(t), columns = t.stage_columns;
  const double busiest = static_cast<double>(ShareBlocks(built, t)) * rows;
  const double written = 4 + bytes + 4 * t.value_width / columns;  // a score: S, P, X
  const double read = written + (t.query_depth + t.value_width) * bytes / rows;
  const double cube = (t.query_depth + t.value_width) / kCubeMacs * (bytes == 4 ? 4 : 1);
  const bool modified = t.policy % 2 == 1;
  const double vector_rows = VectorCoreRows(t), tiles = CeilDiv(VectorCoreRows(t), t.vector_rows);
  const double tile_price = (modified ? kTileModified : kTilePlain) + (columns > kSlabColumns ? kTileOfSlabs : 0);
  const double vector =
      ((modified ? kVectorModified : kVectorPlain) * vector_rows + tiles * tile_price / columns) / rows;
  const double a_score = std::max({read / kReadRate, written / kWriteRate, cube, vector});
  double cycles =
      busiest * (a_score + kStagePrice / (rows * columns)) + kFill * (rows * columns * a_score + kStagePrice);
  if (t.parts > 1) {
    const double rows_of_core = CeilDiv64(Blocks(built, t) / t.parts, t.cores) * rows;
    cycles += kMeeting + t.parts * (kPartPrice + rows_of_core * t.value_width * 4 * (1 / kReadRate + 1 / kWriteRate));
  }
  return cycles;
}

// Stages of the rows that see most.
int64_t MostStages(const HostProblem& built, const Tiling& t) {
  int64_t widest = 0;
  for (const Sequence& s : built.sequences) {
    for (int64_t block = 0; block < BlocksPerHead(t, s); ++block) {
      const Range span = StageSpan(t, s, RowsOf(t, s, block));
      widest = std::max(widest, span.end - span.begin);
    }
  }
  return CeilDiv64(widest, t.stage_columns);
}

// Does a block leave a fractal of rows or values, or columns that are computed, unfilled?
bool Ragged(const HostProblem& built, const Tiling& t) {
  if (built.problem.value_dim % kFractalSide != 0) return true;
  for (const Sequence& s : built.sequences) {
    if (s.q_len % kFractalSide != 0) return true;
    for (int64_t block = 0; block < BlocksPerHead(t, s); ++block) {
      const Range span = StageSpan(t, s, RowsOf(t, s, block));
      if (span.begin == span.end) continue;
      const int64_t in_last_stage = (span.end - span.begin - 1) % t.stage_columns + 1;
      const Slabs slabs = SlabsOf(in_last_stage);
      if (in_last_stage != slabs.count * slabs.columns) return true;
    }
  }
  return false;
}

// Tries to cut the columns of each block into parts; leaves the best way in `t`, and returns its cycles.
double CutColumns(const HostProblem& built, Tiling& t) {
  constexpr int64_t kMostBlocks = 16;  // for each core: more are even enough
  t.parts = 1;
  t.part_stages = INT32_MAX;
  double fewest = EstimatedCycles(built, t);
  Tiling best = t;
  const int64_t blocks = Blocks(built, t), most_parts = blocks == 0 ? 0 : kMostBlocks * t.cores / blocks;
  const int64_t stages = most_parts < 2 ? 0 : MostStages(built, t);
  for (int32_t parts = 2; parts <= std::min<int64_t>({stages, t.cores, most_parts}); ++parts) {
    const int64_t part_stages = CeilDiv64(stages, parts);
    if (part_stages > INT32_MAX) continue;
    t.part_stages = static_cast<int32_t>(part_stages);
    t.parts = static_cast<int32_t>(CeilDiv64(stages, t.part_stages));
    if (t.parts != parts) continue;
    const double cycles = EstimatedCycles(built, t);
    if (cycles >= fewest) continue;
    fewest = cycles;
    best = t;
  }
  t = best;
  return fewest;
}

}  // namespace

int32_t ElementBytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

int64_t ShareBlocks(const HostProblem& built, Tiling& t) {
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
  CheckedProduct("cost of all blocks", {2, total, t.cores});
  int64_t done = 0, number = 0, mine = 0, busiest = 0;
  int32_t core = 0;
  t.first_block[0] = 0;
  for_each_block([&](int64_t cost) {
    // The block goes to the core in whose share its middle lies.
    while (core + 1 < t.cores && (2 * done + cost) * t.cores >= 2 * total * (core + 1)) {
      t.first_block[++core] = number;
      mine = 0;
    }
    done += cost;
    mine += cost;
    busiest = std::max(busiest, mine);
    ++number;
  });
  while (core < kMaxCores) t.first_block[++core] = number;
  return busiest;
}

int64_t ForwardL1Bytes(const Tiling& t, DType dtype) {
  const int64_t query = int64_t{t.query_buffers} * BlockRows(t) * t.query_depth;
  const int64_t key = 2 * int64_t{t.key_piece} * t.query_depth;
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
  const int64_t boxes = BoxElements(t) * (2 * 4 + kForwardOutboxes * bytes);
  const int64_t softmax = (3 * kRingSlots + 2) * padded * 4 + tile / 2 + TallestVectorTile(t) * (kBlockBytes + 256) +
                          padded * kBlockBytes + 2 * kBlockBytes + rows * t.value_width * 4;
  int64_t modifiers = 3 * (tile / 8) + 4 * kSlabColumns;
  if (t.policy % 2 == 1) modifiers += tile * (4 + bytes + 1) + 2 * (tile / 8);
  return boxes + softmax + modifiers;
}

void RequireCores(const Platform& platform, int32_t cores) {
  Require(cores >= 0 && cores <= platform.cores, Status::kTilingError, "cores: expected 0 to ", platform.cores, " on ",
          platform.name, ", got ", cores);
}

Tiling MakeForwardTiling(const HostProblem& built, const Platform& platform, int32_t cores) {
  RequireCores(platform, cores);
  const AttentionProblem& p = built.problem;
  const int32_t block = kBlockBytes / ElementBytes(p.dtype);
  Tiling t = {};
  t.policy = PolicyId(p);
  t.cores = platform.cores;
  t.query_depth = RoundUp(p.head_dim, block) + RoundUp(p.rope_dim, block);
  t.value_width = RoundUp(p.value_dim, kFractalSide);
  t.scale = static_cast<float>(p.scale);
  t.inverse_keep = static_cast<float>(KeptWeight(p.dropout));

  // Tall blocks read K and V less often and wide stages rescale O less often; small ones fill more cores and start
  // sooner. Short queries and keys take no more than they fill.
  const int64_t longest_query = LongestQuery(built), longest_key = LongestKey(built);
  double fewest = 0;
  Tiling best = {};
  for (int32_t rows = 256; rows >= kFractalSide; rows /= 2) {
    if (rows > kFractalSide && rows / 2 >= longest_query) continue;
    for (int32_t columns = 1024; columns >= kCompareColumns; columns /= 2) {
      if (columns > kCompareColumns && columns / 2 >= longest_key) continue;
      if (!FitsSomehow(t, rows, columns, p.dtype)) continue;
      const double cycles = CutColumns(built, t);
      if (best.tiles != 0 && cycles >= fewest) continue;
      fewest = cycles;
      best = t;
    }
  }
  t = best;
  Require(t.tiles != 0, Status::kTilingError, "head_dim, value_dim: expected sizes that fit the core's memories, got ",
          p.head_dim, " and ", p.value_dim);

  if (t.parts > 1) t.partial_bytes = CheckedProduct("workspace", {Blocks(built, t), PartialElements(t), 4});
  t.ragged = Ragged(built, t);
  if (cores > 0) t.cores = cores;
  const int64_t slots = CheckedProduct("workspace", {kRingSlots, ScoreSlotElements(t), 4 + ElementBytes(p.dtype)});
  const int64_t products = CheckedProduct("workspace", {kRingSlots, ProductSlotElements(t), 4});
  t.workspace_per_core = CeilDiv64(slots + products, 512) * 512;
  ShareBlocks(built, t);
  return t;
}

int64_t WorkspaceBytes(const Tiling& t) {
  return CheckedSum("workspace", CheckedProduct("workspace", {t.workspace_per_core, t.cores}), t.partial_bytes);
}

std::vector<uint8_t> JoinedBlob(const HostProblem& built, const void* tiling, size_t tiling_bytes) {
  const size_t sequences = built.sequences.size() * sizeof(Sequence);
  const size_t begin = kBlobTiling + tiling_bytes;
  std::vector<uint8_t> blob(begin + sequences);
  std::memcpy(blob.data(), &built.problem, sizeof(AttentionProblem));
  std::memcpy(blob.data() + kBlobTiling, tiling, tiling_bytes);
  if (sequences > 0) std::memcpy(blob.data() + begin, built.sequences.data(), sequences);
  return blob;
}

std::vector<uint8_t> ArgumentBlob(const HostProblem& built, const Tiling& tiling) {
  return JoinedBlob(built, &tiling, sizeof(tiling));
}

}  // namespace npu_fa
