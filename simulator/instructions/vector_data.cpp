#include "instructions/vector_data.h"

#include <cstring>

#include "instructions/number_formats.h"
#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

template <typename T>
void Fill(uint8_t* at, uint64_t count, uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  std::fill_n(reinterpret_cast<T*>(at), count, value);
}

int LanesOf(const VectorOperand& operand) { return static_cast<int>(kRepeatBytes / operand.element_bytes); }

double Throughput(const VectorOperand& operand) { return cost::kVectorLanesBytes / operand.element_bytes; }

// Elements read one by one, declared in stretches of neighbours.
class ScatteredReads {
 public:
  ScatteredReads(Instruction& frame, const Operand& operand) : frame_(frame), operand_(operand) {}
  void Add(uint64_t offset, uint64_t bytes) {
    if (bytes_ > 0 && offset == begin_ + bytes_) {
      bytes_ += bytes;
      return;
    }
    if (bytes_ > 0) frame_.Read(operand_, begin_, bytes_);
    begin_ = offset;
    bytes_ = bytes;
  }
  void Flush() {
    if (bytes_ > 0) frame_.Read(operand_, begin_, bytes_);
    bytes_ = 0;
  }

 private:
  Instruction& frame_;
  const Operand& operand_;
  uint64_t begin_ = 0;
  uint64_t bytes_ = 0;
};

template <typename Visit>
void ForEachLane(const LaneSet& set, Visit&& visit) {
  for (int repeat = 0; repeat < set.full_repeats; ++repeat) {
    for (int i = 0; i < set.run_count; ++i) {
      for (int lane = set.runs[i].first; lane < set.runs[i].first + set.runs[i].count; ++lane) visit(repeat, lane);
    }
  }
  for (int lane = 0; lane < set.tail; ++lane) visit(set.full_repeats, lane);
}

void StoreIndex(ElementType type, double value, uint8_t* at) {
  switch (type) {
    case ElementType::kHalf: {
      const uint16_t bits = FloatToHalfNearest(static_cast<float>(value));
      std::memcpy(at, &bits, 2);
      break;
    }
    case ElementType::kInt16: {
      const int16_t index = static_cast<int16_t>(static_cast<int64_t>(value));
      std::memcpy(at, &index, 2);
      break;
    }
    case ElementType::kInt32: {
      const int32_t index = static_cast<int32_t>(static_cast<int64_t>(value));
      std::memcpy(at, &index, 4);
      break;
    }
    default: {
      const float index = static_cast<float>(value);
      std::memcpy(at, &index, 4);
      break;
    }
  }
}

}  // namespace

void RunDuplicate(Instruction& frame, const VectorOperand& dst, uint64_t scalar_bits, const MaskArgument& mask,
                  int repeats) {
  const LaneSet set = ResolveLanes(frame, mask, LanesOf(dst), repeats);
  CheckWrite(frame, dst, set);
  ForEachPiece(set, std::array<VectorOperand, 1>{dst}, [&](uint64_t count, const std::array<uint8_t*, 1>& at) {
    if (dst.element_bytes == 2) {
      Fill<uint16_t>(at[0], count, scalar_bits);
    } else {
      Fill<uint32_t>(at[0], count, scalar_bits);
    }
  });
  if (frame.timing()) frame.Cost(VectorCycles(set, Throughput(dst)));
}

void RunCopy(Instruction& frame, const VectorOperand& dst, const VectorOperand& src, const MaskArgument& mask,
             int repeats) {
  const VectorRegisters& registers = RegistersOf(frame);
  LaneSet set;
  if (registers.counter_mode && mask.kind != MaskArgument::Kind::kLanes) {
    const uint64_t count = mask.kind == MaskArgument::Kind::kBits ? mask.low : registers.mask_low;
    frame.RequireRange("mask (elements of each repeat, counter mode)", static_cast<int64_t>(count), 0, UINT16_MAX);
    set = LaneSet::Prefix(static_cast<int>(count), static_cast<int>(count), repeats);
  } else {
    set = ResolveLanes(frame, mask, LanesOf(dst), repeats);
  }
  if (frame.checking()) CheckOverlap(frame, dst, src, set, OverlapRule::kSameOrApart);
  CheckRead(frame, src, set);
  CheckWrite(frame, dst, set);
  ForEachPiece(set, std::array<VectorOperand, 2>{dst, src}, [&](uint64_t count, const std::array<uint8_t*, 2>& at) {
    std::memmove(at[0], at[1], count * dst.element_bytes);
  });
  if (frame.timing()) frame.Cost(VectorCycles(set, Throughput(dst)));
}

void RunBrcb(Instruction& frame, const VectorOperand& dst, const Operand& src, int repeats) {
  const int lanes = LanesOf(dst);
  const uint32_t size = dst.element_bytes;
  const LaneSet set = LaneSet::Prefix(lanes, lanes, repeats);
  const uint64_t src_bytes = static_cast<uint64_t>(repeats) * 8 * size;
  RegistersOf(frame).mask_low = RegistersOf(frame).mask_high = ~uint64_t{0};
  frame.BoundsRead(src, src_bytes);
  if (frame.checking() && repeats > 0) {
    frame.AlignRead(src, kBlockBytes);
    frame.Read(src, 0, src_bytes);
    // The source walks 8 elements a repeat, the destination 8 blocks: no shared byte is allowed at all.
    CheckBounds(frame, dst, set, true);
    const uint64_t dst_end = dst.Offset(repeats - 1, lanes - 1) + size;
    frame.Require(src.address + src_bytes <= dst.memory.address || dst.memory.address + dst_end <= src.address,
                  FaultKind::kOverlap, "src", "source and destination share UB bytes");
  }
  CheckWrite(frame, dst, set);
  for (int repeat = 0; repeat < repeats; ++repeat) {
    for (int block = 0; block < 8; ++block) {
      uint64_t bits = 0;
      std::memcpy(&bits, src.data + (repeat * 8 + block) * size, size);
      const int per_block = static_cast<int>(dst.lanes_per_block());
      uint8_t* at = dst.memory.data + dst.Offset(repeat, block * per_block);
      if (size == 2) {
        Fill<uint16_t>(at, per_block, bits);
      } else {
        Fill<uint32_t>(at, per_block, bits);
      }
    }
  }
  if (frame.timing()) frame.Cost(repeats);  // [vec] 8 elements in, 8 blocks out a cycle
}

void RunGather(Instruction& frame, const VectorOperand& dst, const Operand& src, const Operand& offsets, uint32_t base,
               const MaskArgument& mask, int repeats) {
  const int lanes = LanesOf(dst);
  const uint32_t size = dst.element_bytes;
  const LaneSet set = ResolveLanes(frame, mask, lanes, repeats);
  if (set.empty()) return;
  // Offsets lie without gaps: `lanes` of them a repeat, masked or not.
  const VectorOperand walk{offsets, 4, 1, static_cast<uint32_t>(lanes) * 4 / kBlockBytes};
  CheckRead(frame, walk, set);
  frame.Require(base % size == 0, FaultKind::kReadMisaligned, "srcBaseAddr",
                "%u is no multiple of the element's %u bytes", base, size);
  const auto offset_of = [&](int repeat, int lane) {
    uint32_t offset;
    std::memcpy(&offset, offsets.data + walk.Offset(repeat, lane), sizeof(offset));
    return static_cast<uint64_t>(base) + offset;
  };
  ForEachLane(set, [&](int repeat, int lane) {
    const uint64_t at = offset_of(repeat, lane);
    frame.BoundsRead(src, at + size);
    frame.Require(at % size == 0, FaultKind::kReadMisaligned, "srcOffset",
                  "byte %llu (lane %d of repeat %d) is no multiple of the element's size",
                  static_cast<unsigned long long>(at), lane, repeat);
  });
  if (frame.checking()) {
    frame.AlignRead(src, kBlockBytes);
    ScatteredReads reads(frame, src);
    ForEachLane(set, [&](int repeat, int lane) { reads.Add(offset_of(repeat, lane), size); });
    reads.Flush();
    const uint64_t src_end = src.address + src.size;
    const uint64_t dst_end = dst.memory.address + dst.Offset(set.repeats() - 1, lanes - 1) + size;
    frame.Require(src.address >= dst_end || dst.memory.address >= src_end || src.address != dst.memory.address,
                  FaultKind::kOverlap, "src", "source and destination are the same memory");
  }
  CheckWrite(frame, dst, set);
  ForEachLane(set, [&](int repeat, int lane) {
    std::memcpy(dst.memory.data + dst.Offset(repeat, lane), src.data + offset_of(repeat, lane), size);
  });
  if (frame.timing()) frame.Cost(VectorCycles(set, cost::kGatherElements));
}

void RunGatherBlocks(Instruction& frame, const VectorOperand& dst, const Operand& src, const Operand& offsets,
                     int repeats) {
  const int lanes = LanesOf(dst);
  const int per_block = static_cast<int>(dst.lanes_per_block());
  const LaneSet set = LaneSet::Prefix(lanes, lanes, repeats);
  RegistersOf(frame).mask_low = RegistersOf(frame).mask_high = ~uint64_t{0};
  const uint64_t offset_bytes = static_cast<uint64_t>(repeats) * 8 * sizeof(uint32_t);
  frame.BoundsRead(offsets, offset_bytes);
  const auto offset_of = [&](int block) {
    uint32_t offset;
    std::memcpy(&offset, offsets.data + block * sizeof(uint32_t), sizeof(offset));
    return offset;
  };
  if (frame.checking() && repeats > 0) {
    frame.AlignRead(offsets, kBlockBytes);
    frame.AlignRead(src, kBlockBytes);
    frame.Read(offsets, 0, offset_bytes);
  }
  for (int block = 0; block < repeats * 8; ++block) {
    const uint32_t offset = offset_of(block);
    frame.Require(offset % kBlockBytes == 0, FaultKind::kReadMisaligned, "offset",
                  "block %d: %u is no multiple of 32 bytes", block, offset);
    frame.BoundsRead(src, static_cast<uint64_t>(offset) + kBlockBytes);
  }
  if (frame.checking()) {
    ScatteredReads reads(frame, src);
    for (int block = 0; block < repeats * 8; ++block) reads.Add(offset_of(block), kBlockBytes);
    reads.Flush();
  }
  CheckWrite(frame, dst, set);
  for (int block = 0; block < repeats * 8; ++block) {
    std::memcpy(dst.memory.data + dst.Offset(block / 8, block % 8 * per_block), src.data + offset_of(block),
                kBlockBytes);
  }
  // [vec] 42 16-bit or 21 32-bit elements a cycle.
  if (frame.timing()) frame.Cost(VectorCycles(set, cost::kGatherBlockBytes / dst.element_bytes));
}

uint64_t RunGatherMask(Instruction& frame, const VectorOperand& src, const Operand& dst, const GatherMaskCall& call) {
  const int lanes = LanesOf(src);
  const uint32_t size = src.element_bytes;
  if (call.counter) frame.RequireRange("mask", call.mask, 1, INT32_MAX);
  const int per_repeat = call.counter ? static_cast<int>(call.mask) : lanes;
  frame.RequireRange("repeatTimes", call.repeats, 0, UINT16_MAX);
  VectorRegisters& registers = RegistersOf(frame);
  registers.counter_mode = false;
  registers.mask_low = call.mask;
  registers.mask_high = 0;

  static constexpr uint8_t kPatterns[8] = {0, 0x55, 0xAA, 0x11, 0x22, 0x44, 0x88, 0xFF};
  const auto chosen = [&](uint32_t repeat, int element) {
    if (call.bits == nullptr) return (kPatterns[call.pattern] >> (element % 8)) & 1;
    const uint64_t byte = static_cast<uint64_t>(repeat) * call.bit_repeat_stride * kBlockBytes + element / 8;
    return (call.bits->data[byte] >> (element % 8)) & 1;
  };
  if (call.repeats == 0) return registers.gathered = 0;
  const uint64_t last = src.Offset(static_cast<int>(call.repeats) - 1, per_repeat - 1) + size;
  frame.BoundsRead(src.memory, last);
  const uint64_t bit_bytes = (per_repeat + 7) / 8;
  if (call.bits != nullptr) {
    frame.BoundsRead(*call.bits,
                     (call.repeats - 1) * static_cast<uint64_t>(call.bit_repeat_stride) * kBlockBytes + bit_bytes);
  }
  uint64_t count = 0;
  for (uint32_t repeat = 0; repeat < call.repeats; ++repeat) {
    for (int element = 0; element < per_repeat; ++element) count += chosen(repeat, element);
  }
  frame.BoundsWrite(dst, count * size);
  if (frame.checking()) {
    frame.AlignRead(src.memory, kBlockBytes);
    frame.AlignWrite(dst, kBlockBytes);
    const int per_block = static_cast<int>(src.lanes_per_block());
    for (uint32_t repeat = 0; repeat < call.repeats; ++repeat) {
      for (int element = 0; element < per_repeat; element += per_block) {
        const int n = std::min(per_block, per_repeat - element);
        frame.Read(src.memory, src.Offset(static_cast<int>(repeat), element), static_cast<uint64_t>(n) * size);
      }
    }
    if (call.bits != nullptr) {
      frame.AlignRead(*call.bits, kBlockBytes);
      frame.ReadRows(*call.bits, 0, bit_bytes, call.bit_repeat_stride == 0 ? 1 : call.repeats,
                     static_cast<uint64_t>(call.bit_repeat_stride) * kBlockBytes);
    }
    if (count > 0) frame.Write(dst, 0, count * size);
  }
  uint64_t written = 0;
  for (uint32_t repeat = 0; repeat < call.repeats; ++repeat) {
    for (int element = 0; element < per_repeat; ++element) {
      if (!chosen(repeat, element)) continue;
      std::memmove(dst.data + written * size, src.memory.data + src.Offset(static_cast<int>(repeat), element), size);
      ++written;
    }
  }
  registers.gathered = static_cast<int64_t>(written);
  if (frame.timing()) {
    // [vec] half the rate of plain arithmetic.
    frame.Cost(static_cast<double>(call.repeats) * per_repeat / (Throughput(src) / 2));
  }
  return written;
}

void RunIndexHead(Instruction& frame, ElementType type, const VectorOperand& dst, double first, const LaneSet& set,
                  int head_lanes) {
  CheckBounds(frame, dst, set, true);
  if (frame.checking()) {
    frame.AlignWrite(dst.memory, kBlockBytes);
    frame.Require(dst.block_stride != 0, FaultKind::kArgument, "dstBlkStride", "0 is undefined");
  }
  for (int lane = 0; lane < head_lanes; ++lane) {
    if (!set.Active(0, lane)) continue;
    if (frame.checking()) frame.Write(dst.memory, dst.Offset(0, lane), dst.element_bytes);
    StoreIndex(type, first + lane, dst.memory.data + dst.Offset(0, lane));
  }
  if (frame.timing()) frame.Cost(head_lanes);
}

void RunIndexRest(Instruction& frame, ElementType type, const VectorOperand& dst, double first, const LaneSet& set,
                  int head_lanes) {
  ForEachLane(set, [&](int repeat, int lane) {
    if (repeat == 0 && lane < head_lanes) return;
    if (frame.checking()) frame.Write(dst.memory, dst.Offset(repeat, lane), dst.element_bytes);
    StoreIndex(type, first + static_cast<double>(repeat) * set.lanes + lane,
               dst.memory.data + dst.Offset(repeat, lane));
  });
  if (frame.timing()) frame.Cost(VectorCycles(set, Throughput(dst)));
}

void RunTranspose16(Instruction& frame, const Operand& dst, const Operand& src) {
  constexpr int kSide = 16;
  constexpr uint64_t kBytes = kSide * kSide * sizeof(uint16_t);
  frame.BoundsRead(src, kBytes);
  frame.BoundsWrite(dst, kBytes);
  if (frame.checking()) {
    frame.AlignRead(src, kBlockBytes);
    frame.AlignWrite(dst, kBlockBytes);
    frame.Read(src, 0, kBytes);
    frame.Write(dst, 0, kBytes);
  }
  uint16_t matrix[kSide][kSide];
  std::memcpy(matrix, src.data, kBytes);
  uint16_t* out = dst.As<uint16_t>();
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column) out[column * kSide + row] = matrix[row][column];
  }
  if (frame.timing()) frame.Cost(kBytes / cost::kVectorLanesBytes);
}

void RunTransDataTo5hd(Instruction& frame, uint32_t element_bytes, const BlockList& dst, const BlockList& src,
                       const AscendC::TransDataTo5HDParams& params) {
  constexpr int kCount = AscendC::NCHW_CONV_ADDR_LIST_SIZE;
  const int repeats = params.repeatTimes;
  const int columns = element_bytes == 4 ? 8 : 16;  // elements a source block gives
  for (int repeat = 0; repeat < repeats; ++repeat) {
    // A single repeat starts one stride into the blocks, as the manual says.
    const uint64_t step = repeats == 1 ? 1 : static_cast<uint64_t>(repeat);
    const uint64_t src_shift = step * params.srcRepStride * kBlockBytes;
    const uint64_t dst_shift = step * params.dstRepStride * kBlockBytes;
    const uint64_t src_half = element_bytes == 1 && params.srcHighHalf ? kBlockBytes / 2 : 0;
    const uint64_t dst_half = element_bytes == 1 && params.dstHighHalf ? kBlockBytes / 2 : 0;
    const uint64_t bytes = element_bytes == 1 ? kBlockBytes / 2 : kBlockBytes;
    uint8_t values[kCount][kBlockBytes];
    for (int i = 0; i < kCount; ++i) {
      frame.BoundsRead(src.blocks[i], src_shift + kBlockBytes);
      if (frame.checking()) {
        frame.AlignRead(src.blocks[i], kBlockBytes);
        frame.Read(src.blocks[i], src_shift + src_half, bytes);
      }
      std::memcpy(values[i], src.blocks[i].data + src_shift + src_half, bytes);
    }
    for (int i = 0; i < kCount; ++i) {
      frame.BoundsWrite(dst.blocks[i], dst_shift + kBlockBytes);
      if (frame.checking()) {
        frame.AlignWrite(dst.blocks[i], kBlockBytes);
        frame.Write(dst.blocks[i], dst_shift + dst_half, bytes);
      }
      uint8_t* out = dst.blocks[i].data + dst_shift + dst_half;
      for (int j = 0; j < static_cast<int>(bytes / element_bytes); ++j) {
        // 32-bit elements: a column of 16 fills two destination blocks of 8.
        const int column = element_bytes == 4 ? i / 2 : i;
        const int row = element_bytes == 4 ? i % 2 * columns + j : j;
        std::memcpy(out + j * element_bytes, values[row] + column * element_bytes, element_bytes);
      }
    }
  }
  if (frame.timing()) frame.Cost(repeats * kCount * static_cast<double>(kBlockBytes) / cost::kVectorLanesBytes);
}

}  // namespace ascend_sim
