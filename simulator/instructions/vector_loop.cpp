#include "instructions/vector_loop.h"

#include <map>
#include <vector>

#include "machine/core.h"

namespace ascend_sim {
namespace {

// Rows of the same stretch of lanes in every full repeat, and once in the tail.
template <typename Declare>
void ForEachSpan(const VectorOperand& operand, const LaneSet& set, Declare&& declare) {
  const uint64_t pitch = static_cast<uint64_t>(operand.repeat_stride) * kBlockBytes;
  if (set.every_lane() && operand.Flat(set.lanes)) {
    const uint64_t count = static_cast<uint64_t>(set.full_repeats) * set.lanes + set.tail;
    if (count > 0) declare(uint64_t{0}, count * operand.element_bytes, uint64_t{1}, pitch);
    return;
  }
  const auto stretch = [&](int repeat, int first, int count, uint64_t rows) {
    if (operand.block_stride == 1) {
      declare(operand.Offset(repeat, first), static_cast<uint64_t>(count) * operand.element_bytes, rows, pitch);
      return;
    }
    const int per_block = static_cast<int>(operand.lanes_per_block());
    for (int lane = first; lane < first + count;) {
      const int stop = std::min((lane / per_block + 1) * per_block, first + count);
      declare(operand.Offset(repeat, lane), static_cast<uint64_t>(stop - lane) * operand.element_bytes, rows, pitch);
      lane = stop;
    }
  };
  // Repeats on the same spot touch it once. Rows without gaps are one span.
  const uint64_t rows = operand.repeat_stride == 0 ? 1 : static_cast<uint64_t>(set.full_repeats);
  if (set.full_repeats > 0) {
    for (int i = 0; i < set.run_count; ++i) stretch(0, set.runs[i].first, set.runs[i].count, rows);
  }
  if (set.tail > 0 && !(operand.repeat_stride == 0 && set.full_repeats > 0)) stretch(set.full_repeats, 0, set.tail, 1);
}

int LastLane(const LaneSet& set) {
  const LaneSet::Run& last = set.runs[set.run_count - 1];
  return last.first + last.count - 1;
}

}  // namespace

bool LaneSet::Active(int repeat, int lane) const {
  if (repeat >= full_repeats) return lane < tail;
  for (int i = 0; i < run_count; ++i) {
    if (lane >= runs[i].first && lane < runs[i].first + runs[i].count) return true;
  }
  return false;
}

LaneSet LaneSet::FirstOf(int64_t count, int lanes) {
  LaneSet set;
  set.lanes = lanes;
  set.full_repeats = static_cast<int>(count / lanes);
  set.tail = static_cast<int>(count % lanes);
  set.run_count = 1;
  set.runs[0] = {0, static_cast<uint16_t>(lanes)};
  return set;
}

LaneSet LaneSet::Prefix(int count, int lanes, int repeats) {
  LaneSet set;
  set.lanes = lanes;
  set.full_repeats = repeats;
  if (count > 0) {
    set.run_count = 1;
    set.runs[0] = {0, static_cast<uint16_t>(std::min(count, lanes))};
  }
  return set;
}

LaneSet LaneSet::OfBits(uint64_t low, uint64_t high, int lanes, int repeats) {
  LaneSet set;
  set.lanes = lanes;
  set.full_repeats = repeats;
  int start = -1;
  for (int lane = 0; lane <= lanes; ++lane) {
    const bool on = lane < lanes && lane < 128 && ((lane < 64 ? low >> lane : high >> (lane - 64)) & 1);
    if (on && start < 0) start = lane;
    if (!on && start >= 0) {
      set.runs[set.run_count++] = {static_cast<uint16_t>(start), static_cast<uint16_t>(lane - start)};
      start = -1;
    }
  }
  return set;
}

VectorRegisters& RegistersOf(const Instruction& frame) { return frame.core().vector; }

LaneSet ResolveLanes(const Instruction& frame, const MaskArgument& mask, int lanes, int repeats) {
  VectorRegisters& registers = RegistersOf(frame);
  switch (mask.kind) {
    case MaskArgument::Kind::kTensor:
      // The tensor form switches to counter mode for itself and leaves full masks in normal mode behind.
      frame.RequireRange("count", static_cast<int64_t>(mask.low), 0, INT32_MAX);
      registers.counter_mode = false;
      registers.mask_low = registers.mask_high = ~uint64_t{0};
      return LaneSet::FirstOf(static_cast<int64_t>(mask.low), lanes);
    case MaskArgument::Kind::kLanes:
      frame.RequireRange("mask", static_cast<int64_t>(mask.low), 0, lanes);
      frame.Require(
          !registers.counter_mode, FaultKind::kArgument, "mask",
          "in counter mode the mask register holds a total; a mask given as lanes of a repeat would turn into "
          "bits (pass mask[] = {total, 0} or set it with SetVectorMask)");
      registers.mask_low = mask.low >= 64 ? ~uint64_t{0} : (uint64_t{1} << mask.low) - 1;
      registers.mask_high = mask.low >= 128 ? ~uint64_t{0} : mask.low > 64 ? (uint64_t{1} << (mask.low - 64)) - 1 : 0;
      return LaneSet::Prefix(static_cast<int>(mask.low), lanes, repeats);
    case MaskArgument::Kind::kBits:
      registers.mask_low = mask.low;
      registers.mask_high = mask.high;
      break;
    case MaskArgument::Kind::kRegister:
      break;
  }
  if (registers.counter_mode) {
    frame.RequireRange("mask (elements, counter mode)", static_cast<int64_t>(registers.mask_low), 0, INT32_MAX);
    return LaneSet::FirstOf(static_cast<int64_t>(registers.mask_low), lanes);
  }
  return LaneSet::OfBits(registers.mask_low, registers.mask_high, lanes, repeats);
}

void CheckBounds(const Instruction& frame, const VectorOperand& operand, const LaneSet& set, bool write) {
  if (set.empty()) return;
  uint64_t end = 0;
  if (set.full_repeats > 0 && set.run_count > 0) {
    end = operand.Offset(set.full_repeats - 1, LastLane(set)) + operand.element_bytes;
  }
  if (set.tail > 0) {
    end = std::max(end, operand.Offset(set.full_repeats, set.tail - 1) + operand.element_bytes);
  }
  if (write) {
    frame.BoundsWrite(operand.memory, end);
  } else {
    frame.BoundsRead(operand.memory, end);
  }
}

void DeclareRows(Instruction& frame, const Operand& operand, bool write, uint64_t offset, uint64_t bytes, uint64_t rows,
                 uint64_t pitch) {
  if (pitch == bytes) {
    bytes *= rows;
    rows = 1;
  }
  if (write) {
    frame.WriteRows(operand, offset, bytes, rows, pitch);
  } else {
    frame.ReadRows(operand, offset, bytes, rows, pitch);
  }
}

void DeclareRead(Instruction& frame, const VectorOperand& operand, const LaneSet& set) {
  ForEachSpan(operand, set, [&](uint64_t offset, uint64_t bytes, uint64_t rows, uint64_t pitch) {
    DeclareRows(frame, operand.memory, false, offset, bytes, rows, pitch);
  });
}

void DeclareWrite(Instruction& frame, const VectorOperand& operand, const LaneSet& set) {
  ForEachSpan(operand, set, [&](uint64_t offset, uint64_t bytes, uint64_t rows, uint64_t pitch) {
    DeclareRows(frame, operand.memory, true, offset, bytes, rows, pitch);
  });
}

void CheckRead(Instruction& frame, const VectorOperand& operand, const LaneSet& set, uint32_t alignment) {
  CheckBounds(frame, operand, set, false);
  if (!frame.checking()) return;
  frame.AlignRead(operand.memory, alignment);
  DeclareRead(frame, operand, set);
}

void CheckWrite(Instruction& frame, const VectorOperand& operand, const LaneSet& set, uint32_t alignment) {
  CheckBounds(frame, operand, set, true);
  if (!frame.checking()) return;
  frame.AlignWrite(operand.memory, alignment);
  frame.Require(operand.block_stride != 0, FaultKind::kArgument, operand.memory.name,
                "a destination block stride of 0 is undefined");
  DeclareWrite(frame, operand, set);
}

void CheckOverlap(const Instruction& frame, const VectorOperand& dst, const VectorOperand& src, const LaneSet& set,
                  OverlapRule rule) {
  if (set.empty() || dst.memory.memory != src.memory.memory) return;
  const auto extent = [&](const VectorOperand& operand) {
    const int repeats = set.repeats() - 1;
    const uint64_t blocks = static_cast<uint64_t>(repeats) * operand.repeat_stride +
                            (set.lanes / operand.lanes_per_block()) * static_cast<uint64_t>(operand.block_stride) + 1;
    return blocks * kBlockBytes;
  };
  const uint64_t dst_begin = dst.memory.address, src_begin = src.memory.address;
  if (dst_begin + extent(dst) <= src_begin || src_begin + extent(src) <= dst_begin) return;
  const bool same_walk = dst_begin == src_begin && dst.element_bytes == src.element_bytes &&
                         dst.block_stride == src.block_stride && dst.repeat_stride == src.repeat_stride;
  if (rule != OverlapRule::kApart && same_walk &&
      (set.repeats() == 1 || dst.repeat_stride * kBlockBytes >= set.lanes * dst.element_bytes * dst.block_stride)) {
    return;
  }
  // Block by block: which repeat and position writes a block, which reads it.
  struct Use {
    int repeat;
    int lane;
  };
  std::map<uint64_t, std::vector<Use>> written;
  const auto visit_blocks = [&](const VectorOperand& operand, auto&& visit) {
    const int per_block = static_cast<int>(operand.lanes_per_block());
    for (int repeat = 0; repeat < set.repeats(); ++repeat) {
      for (int lane = 0; lane < set.lanes; lane += per_block) {
        bool active = false;
        for (int i = lane; i < lane + per_block && i < set.lanes && !active; ++i) active = set.Active(repeat, i);
        if (active) visit((operand.memory.address + operand.Offset(repeat, lane)) / kBlockBytes, Use{repeat, lane});
      }
    }
  };
  visit_blocks(dst, [&](uint64_t block, Use use) { written[block].push_back(use); });
  visit_blocks(src, [&](uint64_t block, Use read) {
    const auto found = written.find(block);
    if (found == written.end()) return;
    for (const Use& write : found->second) {
      const uint64_t at = block * kBlockBytes - src.memory.address;
      if (rule == OverlapRule::kApart) frame.Fail(FaultKind::kOverlap, src.memory, "dst must not overlap it");
      if (write.repeat == read.repeat) {
        if (rule == OverlapRule::kNarrowing) continue;
        if (write.lane != read.lane) {
          frame.Fail(FaultKind::kOverlap, src.memory,
                     "overlaps dst in part (byte %llu, repeat %d): within a repeat they must be equal or apart",
                     static_cast<unsigned long long>(at), read.repeat);
        }
      } else if (write.repeat < read.repeat && rule != OverlapRule::kAccumulate) {
        frame.Fail(FaultKind::kOverlap, src.memory, "repeat %d reads block %llu that repeat %d wrote", read.repeat,
                   static_cast<unsigned long long>(at / kBlockBytes), write.repeat);
      }
    }
  });
}

}  // namespace ascend_sim
