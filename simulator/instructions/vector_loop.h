// How a vector instruction walks memory: repeats of eight blocks, strides between them, a mask over their lanes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>

#include "instructions/core_registers.h"
#include "instructions/vector_params.h"
#include "machine/instruction.h"
#include "types/small_float.h"

namespace ascend_sim {

inline constexpr uint32_t kBlockBytes = 32;
inline constexpr uint32_t kRepeatBytes = 256;
inline constexpr int kMaxLanes = 256;  // int4 is converted by 128, int8 by at most 256 lanes

enum class ElementType : uint8_t {
  kHalf,
  kBfloat16,
  kFloat,
  kInt4,
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
};

template <typename T>
constexpr ElementType TypeOf() {
  if constexpr (std::is_same_v<T, half>) return ElementType::kHalf;
  if constexpr (std::is_same_v<T, bfloat16_t>) return ElementType::kBfloat16;
  if constexpr (std::is_same_v<T, float>) return ElementType::kFloat;
  if constexpr (std::is_same_v<T, int8_t>) return ElementType::kInt8;
  if constexpr (std::is_same_v<T, uint8_t>) return ElementType::kUint8;
  if constexpr (std::is_same_v<T, int16_t>) return ElementType::kInt16;
  if constexpr (std::is_same_v<T, uint16_t>) return ElementType::kUint16;
  if constexpr (std::is_same_v<T, int32_t>) return ElementType::kInt32;
  if constexpr (std::is_same_v<T, uint32_t>) return ElementType::kUint32;
  if constexpr (std::is_same_v<T, int64_t>) return ElementType::kInt64;
  return ElementType::kUint64;
}

// The bits of a scalar, in the low bytes of a word.
template <typename T>
uint64_t LowBits(T value) {
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <typename T, typename... Allowed>
inline constexpr bool kIsOneOf = (std::is_same_v<T, Allowed> || ...);

// The mask argument of a call, before it is resolved against the mask registers.
struct MaskArgument {
  enum class Kind : uint8_t {
    kTensor,    // tensor form: so many elements in all
    kLanes,     // the first so many lanes of each repeat
    kBits,      // a bit per lane; in counter mode the low word is the number of elements
    kRegister,  // isSetMask = false: what SetVectorMask left
  };
  Kind kind = Kind::kRegister;
  uint64_t low = 0;
  uint64_t high = 0;

  static MaskArgument Tensor(int64_t count) { return {Kind::kTensor, static_cast<uint64_t>(count), 0}; }
  static MaskArgument Lanes(uint64_t count) { return {Kind::kLanes, count, 0}; }
  static MaskArgument Bits(const uint64_t* words) { return {Kind::kBits, words[0], words[1]}; }
  static MaskArgument Register() { return {}; }
  template <bool isSetMask>
  static MaskArgument Of(uint64_t count) {
    return isSetMask ? Lanes(count) : Register();
  }
  template <bool isSetMask>
  static MaskArgument Of(const uint64_t* words) {
    return isSetMask ? Bits(words) : Register();
  }
  template <bool isSetMask>
  static MaskArgument OfTensor(int64_t count) {
    return isSetMask ? Tensor(count) : Register();
  }
};

// The lanes that take part: `full_repeats` repeats with the same runs of lanes, then perhaps one with the first `tail`.
struct LaneSet {
  struct Run {
    uint16_t first = 0;
    uint16_t count = 0;
  };
  int lanes = 0;
  int full_repeats = 0;
  int tail = 0;
  int run_count = 0;
  std::array<Run, kMaxLanes / 2> runs;

  bool empty() const { return (full_repeats == 0 || run_count == 0) && tail == 0; }
  bool every_lane() const { return run_count == 1 && runs[0].first == 0 && runs[0].count == lanes; }
  int repeats() const { return full_repeats + (tail > 0 ? 1 : 0); }
  bool Active(int repeat, int lane) const;

  static LaneSet FirstOf(int64_t count, int lanes);                            // counter mode
  static LaneSet Prefix(int count, int lanes, int repeats);                    // mask as a count
  static LaneSet OfBits(uint64_t low, uint64_t high, int lanes, int repeats);  // mask as bits
};

// Resolves the mask of a call and leaves the mask registers as the call leaves them on the chip.
LaneSet ResolveLanes(const Instruction& frame, const MaskArgument& mask, int lanes, int repeats);

// An operand of a vector instruction. Strides are in blocks.
struct VectorOperand {
  Operand memory;
  uint32_t element_bytes = 0;
  uint32_t block_stride = 1;
  uint32_t repeat_stride = 8;

  uint32_t lanes_per_block() const { return kBlockBytes / element_bytes; }
  uint64_t Offset(int repeat, int lane) const {
    const uint32_t per_block = lanes_per_block();
    return (static_cast<uint64_t>(repeat) * repeat_stride + static_cast<uint64_t>(lane / per_block) * block_stride) *
               kBlockBytes +
           lane % per_block * element_bytes;
  }
  bool Flat(int lanes) const { return block_stride == 1 && repeat_stride * kBlockBytes == lanes * element_bytes; }
};

// Bounds (always) and, when checking, alignment and the declared accesses.
void CheckRead(Instruction& frame, const VectorOperand& operand, const LaneSet& set, uint32_t alignment = kBlockBytes);
void CheckWrite(Instruction& frame, const VectorOperand& operand, const LaneSet& set, uint32_t alignment = kBlockBytes);
void CheckBounds(const Instruction& frame, const VectorOperand& operand, const LaneSet& set, bool write);
// `rows` spans of `bytes`, `pitch` apart; one span where they leave no gaps.
void DeclareRows(Instruction& frame, const Operand& operand, bool write, uint64_t offset, uint64_t bytes, uint64_t rows,
                 uint64_t pitch);
void DeclareRead(Instruction& frame, const VectorOperand& operand, const LaneSet& set);
void DeclareWrite(Instruction& frame, const VectorOperand& operand, const LaneSet& set);

enum class OverlapRule : uint8_t {
  kSameOrApart,  // within a repeat entirely equal or apart; no repeat reads what an earlier one wrote
  kAccumulate,   // as above, but a repeat may read what an earlier one wrote through this source (stride 0)
  kNarrowing,    // Cast to a narrower type: a repeat may write into its own source
  kApart,        // never
};
void CheckOverlap(const Instruction& frame, const VectorOperand& dst, const VectorOperand& src, const LaneSet& set,
                  OverlapRule rule);

// Calls visit(count, pointer...) for stretches of lanes that are contiguous in every operand, in the order of the
// repeats.
template <size_t kOperands, typename Visit>
void ForEachPiece(const LaneSet& set, const std::array<VectorOperand, kOperands>& operands, Visit&& visit) {
  bool flat = set.every_lane();
  bool blocks_adjacent = true;
  uint32_t smallest_block = kMaxLanes;
  for (const VectorOperand& operand : operands) {
    flat = flat && operand.Flat(set.lanes);
    blocks_adjacent = blocks_adjacent && operand.block_stride == 1;
    smallest_block = std::min(smallest_block, operand.lanes_per_block());
  }
  const auto call = [&](int repeat, int lane, uint64_t count) {
    std::array<uint8_t*, kOperands> at;
    for (size_t i = 0; i < kOperands; ++i) at[i] = operands[i].memory.data + operands[i].Offset(repeat, lane);
    visit(count, at);
  };
  if (flat || (set.full_repeats == 0 && blocks_adjacent)) {
    const uint64_t count = static_cast<uint64_t>(set.full_repeats) * set.lanes + set.tail;
    if (count > 0) call(0, 0, count);
    return;
  }
  const auto run = [&](int repeat, int first, int count) {
    if (blocks_adjacent) {
      call(repeat, first, count);
      return;
    }
    for (int lane = first; lane < first + count;) {
      const int block_end = (lane / smallest_block + 1) * smallest_block;
      const int stop = std::min(block_end, first + count);
      call(repeat, lane, stop - lane);
      lane = stop;
    }
  };
  for (int repeat = 0; repeat < set.full_repeats; ++repeat) {
    for (int i = 0; i < set.run_count; ++i) run(repeat, set.runs[i].first, set.runs[i].count);
  }
  if (set.tail > 0) run(set.full_repeats, 0, set.tail);
}

// Cycles of a vector instruction: each repeat takes its lanes over the unit's elements per cycle, masked or not.
inline double VectorCycles(const LaneSet& set, double elements_per_cycle) {
  return set.repeats() * static_cast<double>(set.lanes) / elements_per_cycle;
}

VectorRegisters& RegistersOf(const Instruction& frame);

}  // namespace ascend_sim
