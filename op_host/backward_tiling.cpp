#include "backward_tiling.h"

#include <algorithm>

#include "require.h"

namespace npu_fa {
namespace {

constexpr int64_t kTileBytes = int64_t{kKeyTile} * kPieceBytes;
constexpr int32_t kTileSlots = 3;
constexpr int64_t kRingBytes = 8 << 20;  // of a core, so that the rings of all cores stay in L2
constexpr int32_t kLongestGroup = 8;     // stages

bool Fits(BackwardTiling& t, DType dtype) {
  for (t.tile_slots = kTileSlots + 1; t.tile_slots >= kTileSlots; --t.tile_slots) {
    if (BackwardL1Bytes(t, dtype) <= kL1Bytes) return BackwardUbBytes(t, dtype) <= kUbBytes;
  }
  return false;
}

int64_t CoreBytes(const BackwardTiling& t, DType dtype) {
  const int64_t ring = RingElements(t), bytes = ElementBytes(dtype);
  return CheckedProduct("workspace", {ring, kScoreSlots * 8 + (kProbabilitySlots + GradientSlots(t)) * bytes}) +
         CheckedProduct("workspace", {2, QueryGradientElements(t), 4});
}

// Keys of the longest sequence one of whose kv heads several cores share.
int64_t LongestSharedKv(const HostProblem& built, const Tiling& t) {
  const AttentionProblem& p = built.problem;
  int64_t longest = 0, first_block = 0;
  for (const Sequence& s : built.sequences) {
    for (int32_t head = 0; head < p.kv_heads; ++head) {
      if (!ShareOfKvHead(p, t, s, first_block, head).Alone(s)) longest = std::max(longest, s.kv_len);
    }
    first_block += BlocksPerHead(t, s) * p.q_heads;
  }
  return longest;
}

int64_t Aligned(int64_t bytes) { return CeilDiv64(bytes, 512) * 512; }

// The longest group of stages whose rings stay in L2.
int32_t GroupStages(BackwardTiling t, DType dtype) {
  for (t.group_stages = kLongestGroup; t.group_stages > 1 && CoreBytes(t, dtype) > kRingBytes;) t.group_stages /= 2;
  return t.group_stages;
}

// Scores that the cube computes of those in the blocks: tiles that see nothing are left out.
double ComputedShare(const HostProblem& built, const BackwardTiling& t) {
  double computed = 1, spanned = 1;
  for (const Sequence& s : built.sequences) {
    for (int64_t begin = 0; begin < s.q_len; begin += BlockRows(t)) {
      const int64_t end = std::min(begin + BlockRows(t), s.q_len);
      const Range span = StageSpan(t, s, {begin, end});
      spanned += static_cast<double>(span.end - span.begin) * static_cast<double>(end - begin);
      for (int64_t row = begin; row < end; row += t.tile_rows) {
        const int64_t last = std::min(row + t.tile_rows, end);
        const Range columns = VisibleKv(s, row, last);
        computed += static_cast<double>(columns.end - columns.begin) * static_cast<double>(last - row);
      }
    }
  }
  return std::min(1.0, computed / spanned);
}

// A model of the kernel, good enough to choose by: the busiest core's scores at the rate of the slowest engine, and the
// stages in which the pipeline fills and drains.
double EstimatedCycles(const HostProblem& built, BackwardTiling& t, int64_t longest) {
  constexpr double kReadRate = 110, kWriteRate = 86, kCubeMacs = 4096, kFill = 1;
  const double bytes = ElementBytes(built.problem.dtype), columns = t.group_stages * kBackwardStage;
  const double rows = BlockRows(t), widths = t.query_depth + t.value_width;
  const double filled = static_cast<double>(longest) / static_cast<double>(CeilDiv64(longest, BlockRows(t)));
  const double busiest = static_cast<double>(ShareBlocks(built, t)) * rows * ComputedShare(built, t);
  const double written = 8 + 2 * bytes + 4 * widths / filled + 4 * t.query_depth / columns;  // S, dP, P, dS; dK, dV; dQ
  const double read = 8 + 3 * bytes + bytes * (t.query_depth / static_cast<double>(t.tile_rows) + widths / filled);
  const double cube = (3 * t.query_depth + 2 * t.value_width) / kCubeMacs * (bytes == 4 ? 4 : 1);
  const double a_score = std::max({read / kReadRate, written / kWriteRate, cube});
  return (busiest + kFill * rows * kBackwardStage) * a_score;
}

}  // namespace

int64_t BackwardL1Bytes(const BackwardTiling& t, DType dtype) {
  return int64_t{BlockRows(t)} * (t.query_depth + t.value_width) * ElementBytes(dtype) +
         (1 + t.tile_slots) * kTileBytes;
}

// The sum of what VectorBoxes, RowTerms, ScoreModifiers and BackwardVector take in their Init.
int64_t BackwardUbBytes(const BackwardTiling& t, DType dtype) {
  const int64_t bytes = ElementBytes(dtype), tile = int64_t{t.vector_rows} * t.stage_columns;
  const int64_t boxes = 2 * 2 * tile * (4 + bytes);
  const int64_t terms = 3 * int64_t{CeilDiv(BlockRows(t), 2 * kFractalSide)} * kFractalSide * kBlockBytes +
                        (kFractalSide * kBlockFloats + kFractalSide) * 4;
  int64_t modifiers = 3 * (tile / 8) + 4 * kSlabColumns;
  if (t.policy % 2 == 1) modifiers += tile * (4 + bytes + 1) + 2 * (tile / 8);
  return boxes + terms + modifiers + 2 * kBlockBytes;
}

BackwardTiling MakeBackwardTiling(const HostProblem& built, const Platform& platform, int32_t cores,
                                  bool deterministic) {
  RequireCores(platform, cores);
  const AttentionProblem& p = built.problem;
  const int32_t bytes = ElementBytes(p.dtype), block = kBlockBytes / bytes;
  BackwardTiling t = {};
  t.policy = PolicyId(p);
  t.cores = platform.cores;
  t.query_depth = RoundUp(p.head_dim, block) + RoundUp(p.rope_dim, block);
  t.value_width = RoundUp(p.value_dim, kFractalSide);
  t.scale = static_cast<float>(p.scale);
  t.inverse_keep = static_cast<float>(KeptWeight(p.dropout));
  t.piece = kPieceBytes / bytes;
  t.stage_columns = kBackwardStage;
  t.vector_rows = kFractalSide;
  t.upwards = 1;  // causal blocks get shorter: beside the start of each there is a longer one's dQ to finish
  t.deterministic = deterministic ? 1 : 0;

  // Tall blocks write dK and dV less often, short ones fill more cores and start sooner.
  int64_t longest = 0;
  for (const Sequence& s : built.sequences) {
    longest = std::max(longest, s.q_len);
    const int64_t rows = p.num_sequences > 0 ? s.kv_len : 0;
    t.kv_rows = CheckedSum("keys of all sequences", t.kv_rows, rows);
  }
  double fewest = 0;
  BackwardTiling best = {};
  const auto consider = [&] {
    if (!Fits(t, p.dtype)) return;
    t.group_stages = GroupStages(t, p.dtype);
    const double cycles = EstimatedCycles(built, t, std::max<int64_t>(longest, 1));
    if (best.tiles != 0 && cycles >= fewest) return;
    fewest = cycles;
    best = t;
  };
  for (t.tile_rows = t.piece; t.tile_rows >= kFractalSide; t.tile_rows /= 2) {
    if (t.tile_rows > kFractalSide && t.tile_rows / 2 >= longest) continue;
    t.tiles = 1;
    consider();
  }
  t.tile_rows = t.piece;
  for (t.tiles = 2; t.tiles <= kMaxTiles && (t.tiles - 1) * t.tile_rows < longest; ++t.tiles) consider();
  t = best;
  Require(t.tiles != 0, Status::kTilingError, "head_dim, value_dim: expected sizes that fit the core's memories, got ",
          p.head_dim, " and ", p.value_dim);

  if (cores > 0) t.cores = cores;
  ShareBlocks(built, t);
  t.workspace_per_core = Aligned(CoreBytes(t, p.dtype));
  if (deterministic) t.longest_kv = LongestSharedKv(built, t);
  const int64_t own_rows = CheckedProduct("workspace", {2, t.cores, t.longest_kv});
  const int64_t sum_rows = CheckedProduct(
      "workspace", {CheckedSum("workspace", CheckedProduct("workspace", {p.kv_heads, t.kv_rows}), own_rows), 4});
  t.dk_at = CheckedProduct("workspace", {t.workspace_per_core, t.cores});
  t.dv_at = CheckedSum("workspace", t.dk_at, Aligned(CheckedProduct("workspace", {sum_rows, t.query_depth})));
  t.sink_at = CheckedSum("workspace", t.dv_at, Aligned(CheckedProduct("workspace", {sum_rows, t.value_width})));
  const int64_t blocks = t.first_block[t.cores];
  const int64_t parts = p.has_sink != 0 ? CheckedProduct("workspace", {blocks, 2 * kBlockBytes}) : 0;
  t.workspace_bytes = CheckedSum("workspace", t.sink_at, Aligned(parts));
  return t;
}

std::vector<uint8_t> ArgumentBlob(const HostProblem& built, const BackwardTiling& tiling) {
  return JoinedBlob(built, &tiling, sizeof(tiling));
}

}  // namespace npu_fa
