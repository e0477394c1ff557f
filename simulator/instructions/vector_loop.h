// The walk of a vector instruction: repeats of 256 bytes, each of eight 32-byte blocks, with a stride between blocks, a
// stride between repeats, and a mask over the elements of a repeat.
//
// An instruction turns its arguments into a VectorLoop (which elements take part) and one OperandWalk per operand
// (where they lie), then sees the work as runs: stretches of elements that are contiguous in every operand. Without
// mask and strides the whole instruction is one run, so the common case is one tight loop and one declared access.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "instructions/vector_params.h"
#include "machine/core.h"
#include "machine/instruction.h"

namespace ascend_sim {

inline constexpr uint32_t kBlockBytes = 32;
inline constexpr uint32_t kRepeatBytes = 256;

// Elements of one repeat that take part, as maximal intervals.
struct MaskRuns {
  struct Interval {
    uint16_t begin;
    uint16_t length;
  };
  uint32_t count = 0;
  std::array<Interval, 128> intervals;

  void Clear() { count = 0; }
  void Add(uint32_t begin, uint32_t length) {
    intervals[count++] = {static_cast<uint16_t>(begin), static_cast<uint16_t>(length)};
  }
  uint32_t End() const { return count == 0 ? 0u : intervals[count - 1].begin + intervals[count - 1].length; }
};

// The iteration space of one vector instruction.
struct VectorLoop {
  uint32_t elements = 0;      // in a repeat
  uint32_t full_repeats = 0;  // that use `mask`
  uint32_t tail = 0;          // leading elements of one more, unmasked repeat (counter mode)
  uint64_t mask[2] = {0, 0};

  bool unmasked() const {
    const uint64_t low = elements >= 64 ? ~uint64_t{0} : (uint64_t{1} << elements) - 1;
    const uint64_t high = elements > 64 ? (elements >= 128 ? ~uint64_t{0} : (uint64_t{1} << (elements - 64)) - 1) : 0;
    return (mask[0] & low) == low && (mask[1] & high) == high;
  }
  uint32_t repeats() const { return full_repeats + (tail != 0 ? 1 : 0); }
  uint64_t total() const { return uint64_t{full_repeats} * elements + tail; }  // unmasked loops only
};

// `count` leading elements: the tensor form, and every counter-mode form.
inline VectorLoop LoopOfCount(uint64_t count, uint32_t widest_element) {
  VectorLoop loop;
  loop.elements = kRepeatBytes / widest_element;
  loop.full_repeats = static_cast<uint32_t>(count / loop.elements);
  loop.tail = static_cast<uint32_t>(count % loop.elements);
  loop.mask[0] = loop.mask[1] = ~uint64_t{0};
  return loop;
}

// The loop the mask register describes.
inline VectorLoop LoopOfRegister(const Core& core, uint32_t widest_element, uint32_t repeats) {
  if (core.vector.counter_mode) return LoopOfCount(core.vector.mask_low, widest_element);
  VectorLoop loop;
  loop.elements = kRepeatBytes / widest_element;
  loop.full_repeats = repeats;
  loop.mask[0] = core.vector.mask_low;
  loop.mask[1] = loop.elements > 64 ? core.vector.mask_high : 0;
  return loop;
}

// High-dimension form, mask as a count. With kSetMask the argument goes into the mask register, else the register set
// by SetVectorMask rules and the argument is a placeholder.
template <bool kSetMask = true>
inline VectorLoop LoopOfMask(const Instruction& frame, uint64_t mask, uint32_t widest_element, uint32_t repeats) {
  VectorRegisters& registers = frame.core().vector;
  if constexpr (kSetMask) {
    if (registers.counter_mode) {
      registers.mask_low = mask;
      registers.mask_high = 0;
    } else {
      frame.RequireRange("mask", static_cast<int64_t>(mask), 0, kRepeatBytes / widest_element);
      registers.mask_low = mask >= 64 ? ~uint64_t{0} : (uint64_t{1} << mask) - 1;
      registers.mask_high = mask >= 128 ? ~uint64_t{0} : mask > 64 ? (uint64_t{1} << (mask - 64)) - 1 : 0;
    }
  }
  return LoopOfRegister(frame.core(), widest_element, repeats);
}

// High-dimension form, mask as bits. For 4-byte elements a repeat has 64 and mask[1] must be zero.
template <bool kSetMask = true>
inline VectorLoop LoopOfMask(const Instruction& frame, const uint64_t mask[], uint32_t widest_element,
                             uint32_t repeats) {
  VectorRegisters& registers = frame.core().vector;
  if constexpr (kSetMask) {
    registers.mask_low = mask[0];
    registers.mask_high = kRepeatBytes / widest_element > 64 ? mask[1] : 0;
  }
  return LoopOfRegister(frame.core(), widest_element, repeats);
}

// Where the elements of one operand lie.
struct OperandWalk {
  uint32_t element_bytes = 0;
  uint32_t block_stride = 1;   // in blocks
  uint32_t repeat_stride = 8;  // in blocks

  uint64_t Offset(uint32_t repeat, uint32_t element) const {
    const uint32_t per_block = kBlockBytes / element_bytes;
    return uint64_t{repeat} * repeat_stride * kBlockBytes + uint64_t{element / per_block} * block_stride * kBlockBytes +
           uint64_t{element % per_block} * element_bytes;
  }
  bool Contiguous(uint32_t elements_per_repeat) const {
    return block_stride == 1 && repeat_stride * kBlockBytes == elements_per_repeat * element_bytes;
  }
  // A walk without strides.
  static OperandWalk Dense(uint32_t element_bytes, uint32_t widest_element) {
    return OperandWalk{element_bytes, 1, 8 * element_bytes / widest_element};
  }
};

inline void CollectRuns(uint64_t low, uint64_t high, uint32_t elements, uint32_t chunk, MaskRuns& runs) {
  runs.Clear();
  uint32_t begin = elements;
  for (uint32_t element = 0; element <= elements; ++element) {
    const bool active = element < elements && ((element < 64 ? low >> element : high >> (element - 64)) & 1);
    if (begin < element && (!active || element % chunk == 0)) {
      runs.Add(begin, element - begin);
      begin = elements;
    }
    if (active && begin == elements) begin = element;
  }
}

// Bytes from the operand's start to the end of the last element the loop touches.
inline uint64_t Extent(const VectorLoop& loop, const OperandWalk& walk) {
  uint64_t extent = 0;
  if (loop.full_repeats != 0 && (loop.mask[0] | loop.mask[1]) != 0) {
    uint32_t last = loop.mask[1] != 0 && loop.elements > 64 ? 127 - __builtin_clzll(loop.mask[1])
                    : loop.mask[0] != 0                     ? 63 - __builtin_clzll(loop.mask[0])
                                                            : 0;
    last = std::min(last, loop.elements - 1);
    extent = walk.Offset(loop.full_repeats - 1, last) + walk.element_bytes;
    // With small repeat strides an earlier block of the walk may reach further than the last element.
    const uint32_t per_block = kBlockBytes / walk.element_bytes;
    if (walk.block_stride == 0)
      extent = std::max<uint64_t>(
          extent, walk.Offset(loop.full_repeats - 1, std::min(last, per_block - 1)) + walk.element_bytes);
  }
  if (loop.tail != 0) {
    extent = std::max(extent, walk.Offset(loop.full_repeats, loop.tail - 1) + walk.element_bytes);
    if (walk.block_stride == 0)
      extent =
          std::max<uint64_t>(extent, walk.Offset(loop.full_repeats, 0) +
                                         std::min<uint64_t>(kBlockBytes, uint64_t{loop.tail} * walk.element_bytes));
  }
  return extent;
}

// Calls visit(offsets, n): n elements contiguous in every operand, at the given byte offsets.
template <size_t N, typename Visit>
inline void ForEachRun(const VectorLoop& loop, const std::array<OperandWalk, N>& walks, Visit&& visit) {
  std::array<uint64_t, N> offsets{};
  bool dense_blocks = true;
  bool dense = true;
  uint32_t chunk = loop.elements;
  for (const OperandWalk& walk : walks) {
    if (walk.block_stride != 1) {
      dense_blocks = false;
      chunk = std::min(chunk, kBlockBytes / walk.element_bytes);
    }
    if (!walk.Contiguous(loop.elements)) dense = false;
  }
  const bool unmasked = loop.unmasked();
  if (unmasked && dense) {
    if (loop.total() != 0) visit(offsets, static_cast<uint32_t>(loop.total()));
    return;
  }
  if (unmasked && dense_blocks) {
    for (uint32_t repeat = 0; repeat < loop.repeats(); ++repeat) {
      for (size_t i = 0; i < N; ++i) offsets[i] = walks[i].Offset(repeat, 0);
      visit(offsets, repeat < loop.full_repeats ? loop.elements : loop.tail);
    }
    return;
  }
  MaskRuns runs;
  CollectRuns(loop.mask[0], loop.mask[1], loop.elements, chunk, runs);
  for (uint32_t repeat = 0; repeat < loop.full_repeats; ++repeat) {
    for (uint32_t run = 0; run < runs.count; ++run) {
      for (size_t i = 0; i < N; ++i) offsets[i] = walks[i].Offset(repeat, runs.intervals[run].begin);
      visit(offsets, uint32_t{runs.intervals[run].length});
    }
  }
  for (uint32_t begin = 0; begin < loop.tail; begin += chunk) {
    for (size_t i = 0; i < N; ++i) offsets[i] = walks[i].Offset(loop.full_repeats, begin);
    visit(offsets, std::min(chunk, loop.tail - begin));
  }
}

// Declares every access of the walk, one span per run.
inline void DeclareRead(Instruction& frame, const Operand& operand, const VectorLoop& loop, const OperandWalk& walk) {
  ForEachRun(loop, std::array<OperandWalk, 1>{walk}, [&](const std::array<uint64_t, 1>& offset, uint32_t n) {
    frame.Read(operand, offset[0], uint64_t{n} * walk.element_bytes);
  });
}
inline void DeclareWrite(Instruction& frame, const Operand& operand, const VectorLoop& loop, const OperandWalk& walk) {
  ForEachRun(loop, std::array<OperandWalk, 1>{walk}, [&](const std::array<uint64_t, 1>& offset, uint32_t n) {
    frame.Write(operand, offset[0], uint64_t{n} * walk.element_bytes);
  });
}

}  // namespace ascend_sim
