#include "instructions/vector_reduce.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "instructions/half_batch.h"
#include "instructions/number_formats.h"
#include "machine/core.h"
#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

constexpr int kBlocks = 8;

float Rounded(ElementType element, float value) {
  return element == ElementType::kHalf ? HalfBitsToFloat(FloatToHalfNearest(value)) : value;
}

void StoreValue(ElementType element, float value, uint8_t* at) {
  if (element == ElementType::kHalf) {
    const uint16_t bits = FloatToHalfNearest(value);
    std::memcpy(at, &bits, 2);
  } else {
    std::memcpy(at, &value, 4);
  }
}

uint32_t ValueBits(ElementType element, float value) {
  uint32_t bits = 0;
  StoreValue(element, value, reinterpret_cast<uint8_t*>(&bits));
  return bits;
}

// One repeat of lanes as floats; inactive lanes are left out of `active`.
struct Lanes {
  float value[128];
  bool active[128];
};

void LoadLanes(ElementType element, const VectorOperand& src, const LaneSet& set, int repeat, Lanes* lanes) {
  const int per_block = static_cast<int>(src.lanes_per_block());
  const bool whole = repeat < set.full_repeats && set.every_lane();
  std::fill_n(lanes->active, set.lanes, whole);
  if (!whole && repeat >= set.full_repeats) std::fill_n(lanes->active, set.tail, true);
  if (!whole && repeat < set.full_repeats) {
    for (int i = 0; i < set.run_count; ++i) std::fill_n(lanes->active + set.runs[i].first, set.runs[i].count, true);
  }
  for (int lane = 0; lane < set.lanes; lane += per_block) {
    bool any = false;
    for (int i = 0; i < per_block; ++i) any = any || lanes->active[lane + i];
    if (!any) continue;  // nothing of the block is read
    const uint8_t* at = src.memory.data + src.Offset(repeat, lane);
    if (element == ElementType::kHalf) {
      HalfToFloatBatch(reinterpret_cast<const uint16_t*>(at), lanes->value + lane, per_block);
    } else {
      std::memcpy(lanes->value + lane, at, kBlockBytes);
    }
  }
}

// Pairs, pairs of pairs, ...: rounded at each level. Inactive lanes add nothing. Leaves a sum for each `width` lanes.
void TreeSums(ElementType element, const Lanes& lanes, int count, int width, float* sums) {
  float level[128];
  for (int i = 0; i < count; ++i) level[i] = lanes.active[i] ? lanes.value[i] : 0.0f;
  for (; width > 1; width /= 2) {
    count /= 2;
    for (int i = 0; i < count; ++i) level[i] = level[2 * i] + level[2 * i + 1];
    if (element == ElementType::kHalf) RoundToHalfBatch(level, static_cast<size_t>(count));
  }
  std::copy_n(level, count, sums);
}

float TreeSum(ElementType element, const Lanes& lanes, int count) {
  float sum;
  TreeSums(element, lanes, count, count, &sum);
  return sum;
}

struct Extreme {
  int lane = -1;  // -1: no active lane
  float value = 0.0f;
};

// The first lane that holds the extreme value.
Extreme FindExtreme(ReduceType type, const Lanes& lanes, int first, int count) {
  Extreme best;
  for (int lane = first; lane < first + count; ++lane) {
    if (!lanes.active[lane]) continue;
    const float value = lanes.value[lane];
    if (best.lane < 0 || (type == ReduceType::MAX ? value > best.value : value < best.value)) best = {lane, value};
  }
  return best;
}

bool AnyActive(const Lanes& lanes, int first, int count) {
  for (int i = 0; i < count; ++i) {
    if (lanes.active[first + i]) return true;
  }
  return false;
}

// Stretches (offset, bytes) of one repeat's results, neighbours joined.
using Spans = std::vector<std::pair<uint64_t, uint64_t>>;

void AppendSpan(Spans* spans, uint64_t offset, uint64_t bytes) {
  if (!spans->empty() && spans->back().first + spans->back().second == offset) {
    spans->back().second += bytes;
  } else {
    spans->push_back({offset, bytes});
  }
}

struct Destination {
  uint64_t unit = 0;  // bytes of one repeat's results; the stride counts these
  uint64_t bytes = 0;
  int64_t stride = 0;
};

void CheckDestination(Instruction& frame, const Operand& dst, const Destination& to, int repeats, uint32_t alignment,
                      const Spans& spans) {
  frame.RequireRange("dstRepStride", to.stride, 0, UINT16_MAX);
  if (repeats == 0) return;
  const uint64_t pitch = static_cast<uint64_t>(to.stride) * to.unit;
  frame.BoundsWrite(dst, (repeats - 1) * pitch + to.bytes);
  if (!frame.checking()) return;
  frame.AlignWrite(dst, alignment);
  const uint64_t rows = pitch == 0 ? 1 : static_cast<uint64_t>(repeats);
  for (const auto& [offset, bytes] : spans) DeclareRows(frame, dst, true, offset, bytes, rows, pitch);
}

// In place is fine as long as no repeat reads what an earlier one wrote.
void CheckOrder(const Instruction& frame, const Operand& dst, const Destination& to, const VectorOperand& src,
                const LaneSet& set) {
  if (!frame.checking() || dst.memory != src.memory.memory) return;
  const uint64_t pitch = static_cast<uint64_t>(to.stride) * to.unit;
  const uint64_t end = dst.address + (set.repeats() - 1) * pitch + to.bytes;
  for (int repeat = 1; repeat < set.repeats(); ++repeat) {
    for (int lane = 0; lane < set.lanes; ++lane) {
      if (!set.Active(repeat, lane)) continue;
      const uint64_t block = (src.memory.address + src.Offset(repeat, lane)) / kBlockBytes * kBlockBytes;
      if (block >= end || block + kBlockBytes <= dst.address) continue;
      // The first repeat whose results end beyond the start of the block.
      const uint64_t into = block - std::min(block, dst.address);
      const uint64_t writer = into < to.bytes || pitch == 0 ? 0 : (into - to.bytes) / pitch + 1;
      if (writer >= static_cast<uint64_t>(repeat) || dst.address + writer * pitch >= block + kBlockBytes) continue;
      frame.Fail(FaultKind::kOverlap, src.memory, "repeat %d reads what repeat %llu wrote", repeat,
                 static_cast<unsigned long long>(writer));
    }
  }
}

int LanesPerRepeat(const VectorOperand& src) { return static_cast<int>(kRepeatBytes / src.element_bytes); }

double WholeCycles(const LaneSet& set) { return set.repeats() * cost::kWholeReduceRepeat; }

}  // namespace

void RunWholeReduce(Instruction& frame, ReduceType type, ElementType element, const Operand& dst,
                    const VectorOperand& src, const MaskArgument& mask, int64_t repeats, int64_t dst_stride,
                    ReduceOrder order) {
  frame.RequireRange("repeatTime", repeats, 0, 255);
  const LaneSet set = ResolveLanes(frame, mask, LanesPerRepeat(src), static_cast<int>(repeats));
  if (set.empty()) return;
  const uint32_t size = src.element_bytes;
  const bool pair = order == ReduceOrder::ORDER_VALUE_INDEX || order == ReduceOrder::ORDER_INDEX_VALUE;
  const uint32_t unit = pair ? 2 * size : order == ReduceOrder::ORDER_ONLY_INDEX ? 4 : size;
  CheckRead(frame, src, set);
  CheckDestination(frame, dst, {unit, unit, dst_stride}, set.repeats(), unit, {{0, unit}});
  CheckOrder(frame, dst, {unit, unit, dst_stride}, src, set);

  VectorRegisters& registers = RegistersOf(frame);
  Extreme overall;
  Lanes lanes;
  for (int repeat = 0; repeat < set.repeats(); ++repeat) {
    LoadLanes(element, src, set, repeat, &lanes);
    uint8_t* at = dst.data + repeat * dst_stride * unit;
    if (type == ReduceType::SUM) {
      StoreValue(element, TreeSum(element, lanes, set.lanes), at);
      continue;
    }
    const Extreme best = FindExtreme(type, lanes, 0, set.lanes);
    if (overall.lane < 0 || (type == ReduceType::MAX ? best.value > overall.value : best.value < overall.value)) {
      overall = {repeat * set.lanes + best.lane, best.value};
    }
    const uint32_t index = static_cast<uint32_t>(best.lane);
    switch (order) {
      case ReduceOrder::ORDER_VALUE_INDEX:
        StoreValue(element, best.value, at);
        std::memcpy(at + size, &index, size);
        break;
      case ReduceOrder::ORDER_INDEX_VALUE:
        std::memcpy(at, &index, size);
        StoreValue(element, best.value, at + size);
        break;
      case ReduceOrder::ORDER_ONLY_VALUE:
        StoreValue(element, best.value, at);
        break;
      case ReduceOrder::ORDER_ONLY_INDEX:
        std::memcpy(at, &index, 4);
        break;
    }
  }
  if (type != ReduceType::SUM) {
    registers.max_min_value = ValueBits(element, overall.value);
    registers.max_min_index = static_cast<uint32_t>(overall.lane);
    frame.ReleaseTo(registers.results_ready);
  }
  if (frame.timing()) frame.Cost(WholeCycles(set));
}

void RunBlockReduce(Instruction& frame, ReduceType type, ElementType element, const Operand& dst,
                    const VectorOperand& src, const MaskArgument& mask, int64_t repeats, int64_t dst_stride) {
  frame.RequireRange("repeatTime", repeats, 0, 255);
  const LaneSet set = ResolveLanes(frame, mask, LanesPerRepeat(src), static_cast<int>(repeats));
  if (set.empty()) return;
  const uint32_t size = src.element_bytes;
  const int per_block = static_cast<int>(src.lanes_per_block());
  CheckRead(frame, src, set);
  // A block without an active lane leaves its result as it was. Which blocks have one is the same in every full repeat.
  Spans spans;
  for (int block = 0; block < kBlocks; ++block) {
    bool any = false;
    for (int i = 0; i < per_block; ++i) {
      any = any || set.Active(0, block * per_block + i);
    }
    if (any) AppendSpan(&spans, block * size, size);
  }
  const Destination to{kBlocks * size, spans.empty() ? 0 : spans.back().first + size, dst_stride};
  CheckOrder(frame, dst, to, src, set);
  if (set.tail == 0 || set.full_repeats == 0) {
    CheckDestination(frame, dst, to, set.repeats(), kBlocks * size, spans);
  } else {
    CheckDestination(frame, dst, to, set.full_repeats, kBlocks * size, spans);
    const uint64_t blocks = (set.tail + per_block - 1) / per_block;
    CheckDestination(frame, dst.Shifted(static_cast<uint64_t>(set.full_repeats) * dst_stride * kBlocks * size),
                     {kBlocks * size, blocks * size, dst_stride}, 1, size, {{0, blocks * size}});
  }
  Lanes lanes;
  for (int repeat = 0; repeat < set.repeats(); ++repeat) {
    LoadLanes(element, src, set, repeat, &lanes);
    float sums[kBlocks];
    if (type == ReduceType::SUM) TreeSums(element, lanes, set.lanes, per_block, sums);
    for (int block = 0; block < kBlocks; ++block) {
      const int first = block * per_block;
      if (!AnyActive(lanes, first, per_block)) continue;
      const float value = type == ReduceType::SUM ? sums[block] : FindExtreme(type, lanes, first, per_block).value;
      StoreValue(element, value, dst.data + (repeat * dst_stride * kBlocks + block) * size);
    }
  }
  if (!frame.timing()) return;
  // [vec] half: 128 elements in seven cycles, as for a whole repeat; float: 64 a cycle.
  const double repeat_cycles = element == ElementType::kHalf ? cost::kWholeReduceRepeat : cost::kBlockReduceRepeat;
  frame.Cost(set.repeats() * repeat_cycles);
}

void RunPairReduce(Instruction& frame, ElementType element, const Operand& dst, const VectorOperand& src,
                   const MaskArgument& mask, int64_t repeats, int64_t dst_stride) {
  frame.RequireRange("repeatTime", repeats, 0, 255);
  const LaneSet set = ResolveLanes(frame, mask, LanesPerRepeat(src), static_cast<int>(repeats));
  if (set.empty()) return;
  const uint32_t size = src.element_bytes;
  CheckRead(frame, src, set);
  const auto pair_spans = [&](int repeat) {
    Spans spans;
    for (int pair = 0; pair < set.lanes / 2; ++pair) {
      if (!set.Active(repeat, 2 * pair) && !set.Active(repeat, 2 * pair + 1)) continue;
      AppendSpan(&spans, pair * size, size);
    }
    return spans;
  };
  constexpr uint64_t kUnit = kRepeatBytes / 2;
  CheckOrder(frame, dst, {kUnit, kUnit, dst_stride}, src, set);
  if (set.full_repeats > 0) {
    const auto spans = pair_spans(0);
    CheckDestination(frame, dst, {kUnit, spans.back().first + spans.back().second, dst_stride}, set.full_repeats,
                     kBlockBytes, spans);
  }
  if (set.tail > 0) {
    const auto spans = pair_spans(set.full_repeats);
    CheckDestination(frame, dst.Shifted(static_cast<uint64_t>(set.full_repeats) * dst_stride * kUnit),
                     {kUnit, spans.back().first + spans.back().second, dst_stride}, 1, kBlockBytes, spans);
  }
  Lanes lanes;
  for (int repeat = 0; repeat < set.repeats(); ++repeat) {
    LoadLanes(element, src, set, repeat, &lanes);
    float sums[64];
    TreeSums(element, lanes, set.lanes, 2, sums);
    for (int pair = 0; pair < set.lanes / 2; ++pair) {
      if (!AnyActive(lanes, 2 * pair, 2)) continue;
      StoreValue(element, sums[pair], dst.data + repeat * dst_stride * kUnit + pair * size);
    }
  }
  if (frame.timing()) frame.Cost(set.repeats());
}

namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Elements of the work buffer the manual asks for.
int64_t WorkElements(const TensorReduce& call, int64_t repeats, int64_t lanes, int64_t per_block) {
  const auto to_blocks = [&](int64_t elements) { return CeilDiv(elements, per_block) * per_block; };
  if (call.type == ReduceType::SUM) return call.is_count ? 0 : to_blocks(repeats);
  const int64_t first = repeats * 2;
  if (!call.index) return to_blocks(first);
  const int64_t second = CeilDiv(first, lanes) * 2;
  int64_t needed = to_blocks(first) + to_blocks(second);
  if (second > 2) needed += to_blocks(CeilDiv(second, lanes) * 2);
  return needed;
}

float SumOfSums(ElementType element, const std::vector<float>& sums, int lanes) {
  // Each group of a repeat's worth over a tree, then the groups over a tree.
  std::vector<float> level = sums;
  while (level.size() > 1) {
    std::vector<float> next;
    for (size_t start = 0; start < level.size(); start += lanes) {
      Lanes group;
      for (int i = 0; i < lanes; ++i) {
        group.active[i] = start + i < level.size();
        group.value[i] = group.active[i] ? level[start + i] : 0.0f;
      }
      next.push_back(TreeSum(element, group, lanes));
    }
    level = next;
  }
  return level[0];
}

}  // namespace

TensorReduceResult RunTensorReduceVector(Instruction& frame, const TensorReduce& call, const Operand& dst,
                                         const VectorOperand& src, const Operand& work) {
  const int lanes = LanesPerRepeat(src);
  const uint32_t size = src.element_bytes;
  frame.RequireRange("repeatTime", call.repeats, 0, INT32_MAX);
  const LaneSet set = ResolveLanes(frame, call.mask, lanes, static_cast<int>(call.repeats));
  TensorReduceResult result;
  if (set.empty()) {
    result.written = true;
    return result;
  }
  CheckRead(frame, src, set);
  const int repeats = set.repeats();
  const bool sum = call.type == ReduceType::SUM;
  const uint32_t dst_bytes = call.index ? 2 * size : size;
  frame.BoundsWrite(dst, dst_bytes);
  // One repeat with its index is a single WholeReduceMax/Min into dst.
  const bool direct = !sum && call.index && repeats == 1;
  const int64_t needed = WorkElements(call, repeats, lanes, src.lanes_per_block());
  if (!direct) frame.BoundsWrite(work, static_cast<uint64_t>(needed) * size);
  if (frame.checking()) {
    frame.AlignWrite(dst, dst_bytes);
    if (direct) {
      frame.Write(dst, 0, dst_bytes);
    } else if (needed > 0) {
      frame.AlignWrite(work, kBlockBytes);
      frame.Write(work, 0, static_cast<uint64_t>(sum ? repeats : repeats * 2) * size);
    }
  }

  Lanes values;
  std::vector<float> sums;
  float accumulated = 0.0f;
  Extreme best;
  int64_t best_index = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    LoadLanes(call.element, src, set, repeat, &values);
    if (sum) {
      const float value = TreeSum(call.element, values, lanes);
      sums.push_back(value);
      accumulated = repeat == 0 ? value : Rounded(call.element, accumulated + value);
      continue;
    }
    const Extreme found = FindExtreme(call.type, values, 0, lanes);
    const bool better =
        best.lane < 0 || (call.type == ReduceType::MAX ? found.value > best.value : found.value < best.value);
    if (!better) continue;
    best = found;
    best_index = found.lane + repeat * static_cast<int64_t>(src.repeat_stride) * src.lanes_per_block();
  }
  VectorRegisters& registers = RegistersOf(frame);
  if (sum) {
    // The tensor form adds the repeats in order, the high-dimension form over a tree.
    const float total = call.is_count ? accumulated : SumOfSums(call.element, sums, lanes);
    result.value = ValueBits(call.element, total);
    registers.accumulated = result.value;
    result.by_scalar = call.is_count || repeats <= lanes;
  } else {
    result.value = ValueBits(call.element, best.value);
    result.index = static_cast<uint32_t>(best_index);
    registers.max_min_value = result.value;
    registers.max_min_index = result.index;
    result.by_scalar = !direct;
  }
  frame.ReleaseTo(registers.results_ready);
  if (direct) {
    std::memcpy(dst.data, &result.value, size);
    std::memcpy(dst.data + size, &result.index, size);
    result.written = true;
  }
  if (frame.timing()) {
    // The repeats of each step, until one result is left.
    double cycles = 0;
    for (int64_t left = repeats; left > 0; left = left == 1 ? 0 : CeilDiv(left * (sum ? 1 : 2), lanes)) {
      cycles += left * cost::kWholeReduceRepeat;
    }
    frame.Cost(cycles);
  }
  return result;
}

void RunTensorReduceStore(Instruction& frame, const TensorReduce& call, const Operand& dst,
                          const TensorReduceResult& result) {
  const uint32_t size = call.element == ElementType::kHalf ? 2 : 4;
  if (frame.checking()) frame.Write(dst, 0, call.index ? 2 * size : size);
  std::memcpy(dst.data, &result.value, size);
  if (call.index) std::memcpy(dst.data + size, &result.index, size);
  if (frame.timing()) frame.Cost(1);
}

uint32_t FetchAccumulated(Instruction& frame) {
  const VectorRegisters& registers = RegistersOf(frame);
  if (frame.checking()) frame.RequireSeen(registers.results_ready, "the sum register of the vector unit");
  return registers.accumulated;
}

void FetchMaxMin(Instruction& frame, uint32_t* value, uint32_t* index) {
  const VectorRegisters& registers = RegistersOf(frame);
  if (frame.checking()) frame.RequireSeen(registers.results_ready, "the max/min register of the vector unit");
  *value = registers.max_min_value;
  *index = registers.max_min_index;
}

}  // namespace ascend_sim
