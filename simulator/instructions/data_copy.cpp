#include "instructions/data_copy.h"

#include <algorithm>
#include <cstring>

#include "machine/atomic.h"
#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

constexpr uint32_t kBlock = 32;

uint64_t End(const StridedCopy& copy, int64_t pitch) {
  if (copy.count == 0 || copy.bytes == 0) return 0;
  return static_cast<uint64_t>(pitch) * (copy.count - 1) + copy.bytes;
}

uint64_t RoundUp(uint64_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

void RequireGmAlignment(const Instruction& frame, const Operand& gm, uint32_t element_bytes, bool write) {
  if (gm.address % element_bytes == 0) return;
  frame.Fail(write ? FaultKind::kWriteMisaligned : FaultKind::kReadMisaligned, gm,
             "expected an address that is a multiple of the element's %u bytes", element_bytes);
}

// GM, UB and L1 are what the copy engines of the core reach.
void RequireCopyMemory(const Instruction& frame, const Operand& local) {
  frame.Require(local.memory == Hardware::UB || local.memory == Hardware::L1, FaultKind::kPosition, local.name,
                "expected a tensor in UB or L1, got one in %s", MemoryName(local.memory));
}

void Bursts(Instruction& frame, Path path, const StridedCopy& copy, const Operand& gm, int64_t pitch) {
  if (!frame.timing()) return;
  frame.Transfer(path, copy.bytes * copy.count, copy.count);
  frame.TransferAt(gm, pitch);
}

}  // namespace

StridedCopy CopyOf(const Instruction& frame, const AscendC::DataCopyParams& params) {
  frame.RequireRange("blockCount", params.blockCount, 0, 4095);
  return {params.blockCount, uint64_t{params.blockLen} * kBlock, (int64_t{params.blockLen} + params.srcStride) * kBlock,
          (int64_t{params.blockLen} + params.dstStride) * kBlock};
}

StridedCopy CopyOf(const Instruction& frame, uint64_t count, uint32_t element_bytes) {
  const uint64_t bytes = count * element_bytes;
  frame.Require(bytes % kBlock == 0, FaultKind::kArgument, "count",
                "%llu elements are %llu bytes, no multiple of 32: the hardware drops the rest; use DataCopyPad",
                static_cast<unsigned long long>(count), static_cast<unsigned long long>(bytes));
  frame.Require(bytes / kBlock <= 65535, FaultKind::kArgument, "count", "%llu bytes pass the 2097120 of one copy",
                static_cast<unsigned long long>(bytes));
  return {1, bytes, static_cast<int64_t>(bytes), static_cast<int64_t>(bytes)};
}

void RequireNormal(const Instruction& frame, const AscendC::DataCopyEnhancedParams& params) {
  frame.Require(params.blockMode == AscendC::BlockMode::BLOCK_MODE_NORMAL &&
                    params.deqScale == AscendC::DeqScale::DEQ_NONE && !params.isRelu,
                FaultKind::kArgument, "enhancedParams", "dav-c220 copies convert nothing on this path");
}

void RequirePadRange(const Instruction& frame, const AscendC::DataCopyExtParams& params, uint32_t element_bytes) {
  frame.RequireRange("blockCount", params.blockCount, 0, 4095);
  frame.RequireRange("blockLen", params.blockLen, 0, 2097151);
  frame.Require(params.blockLen % element_bytes == 0, FaultKind::kArgument, "blockLen",
                "%u bytes are no whole number of elements of %u", params.blockLen, element_bytes);
}

NzLayout LayoutOf(const Instruction& frame, const AscendC::Nd2NzParams& params, uint32_t element_bytes) {
  frame.RequireRange("ndNum", params.ndNum, 0, 4095);
  frame.RequireRange("nValue", params.nValue, 0, 16384);
  frame.RequireRange("srcDValue", params.srcDValue, 1, 65535);
  frame.RequireRange("dstNzC0Stride", params.dstNzC0Stride, 1, 16384);
  frame.RequireRange("dstNzNStride", params.dstNzNStride, 1, 16384);
  frame.Require(params.dValue <= params.srcDValue || params.nValue <= 1, FaultKind::kArgument, "srcDValue",
                "rows of %u elements are %u apart (srcDValue is 16 bits wide; did a larger pitch wrap?)",
                uint32_t{params.dValue}, uint32_t{params.srcDValue});
  return {params.ndNum,
          params.nValue,
          params.dValue,
          element_bytes,
          uint64_t{params.srcNdMatrixStride} * element_bytes,
          uint64_t{params.srcDValue} * element_bytes,
          uint64_t{params.dstNzC0Stride} * kBlock,
          uint64_t{params.dstNzNStride} * kBlock,
          uint64_t{params.dstNzMatrixStride} * element_bytes};
}

void CopyFromGm(Instruction& frame, const Operand& dst, const Operand& src, const StridedCopy& copy,
                uint32_t element_bytes) {
  RequireCopyMemory(frame, dst);
  frame.BoundsRead(src, End(copy, copy.source_pitch));
  frame.BoundsWrite(dst, End(copy, copy.target_pitch));
  if (copy.count == 0 || copy.bytes == 0) return;
  if (frame.checking()) {
    frame.AlignWrite(dst, kBlock);
    RequireGmAlignment(frame, src, element_bytes, false);
    frame.ReadRows(src, 0, copy.bytes, copy.count, copy.source_pitch);
    frame.WriteRows(dst, 0, copy.bytes, copy.count, copy.target_pitch);
  }
  for (uint32_t i = 0; i < copy.count; ++i) {
    std::memcpy(dst.data + i * copy.target_pitch, src.data + i * copy.source_pitch, copy.bytes);
  }
  Bursts(frame, dst.memory == Hardware::UB ? Path::kGmToUb : Path::kGmToL1, copy, src, copy.source_pitch);
}

void CopyToGm(Instruction& frame, const Operand& dst, const Operand& src, const StridedCopy& copy,
              uint32_t element_bytes) {
  RequireCopyMemory(frame, src);
  frame.BoundsRead(src, End(copy, copy.source_pitch));
  frame.BoundsWrite(dst, End(copy, copy.target_pitch));
  if (copy.count == 0 || copy.bytes == 0) return;
  Core& core = frame.core();
  const bool atomic = core.atomic_op != AtomicOp::kNone;
  if (atomic) {
    frame.Require(AtomicBytes(core.atomic_type) == element_bytes, FaultKind::kArgument, "dst",
                  "the atomic mode works on elements of %u bytes, the copy on %u", AtomicBytes(core.atomic_type),
                  element_bytes);
    frame.TakeAtomicTurn();
  }
  if (frame.checking()) {
    frame.AlignRead(src, kBlock);
    RequireGmAlignment(frame, dst, element_bytes, true);
    frame.ReadRows(src, 0, copy.bytes, copy.count, copy.source_pitch);
    if (atomic) {
      for (uint32_t i = 0; i < copy.count; ++i) frame.WriteAtomic(dst, i * copy.target_pitch, copy.bytes);
    } else {
      frame.WriteRows(dst, 0, copy.bytes, copy.count, copy.target_pitch);
    }
  }
  for (uint32_t i = 0; i < copy.count; ++i) {
    StoreToGm(core.atomic_op, core.atomic_type, dst.data + i * copy.target_pitch, src.data + i * copy.source_pitch,
              copy.bytes);
  }
  Bursts(frame, src.memory == Hardware::UB ? Path::kUbToGm : Path::kL1ToGm, copy, dst, copy.target_pitch);
}

void CopyLocal(Instruction& frame, const Operand& dst, const Operand& src, const StridedCopy& copy) {
  const bool ub = src.memory == Hardware::UB && dst.memory == Hardware::UB;
  const bool table = src.memory == Hardware::L1 && (dst.memory == Hardware::BIAS || dst.memory == Hardware::FIXBUF);
  frame.Require(ub || table, FaultKind::kPosition, "dst", "dav-c220 has no path from %s to %s", MemoryName(src.memory),
                MemoryName(dst.memory));
  frame.BoundsRead(src, End(copy, copy.source_pitch));
  frame.BoundsWrite(dst, End(copy, copy.target_pitch));
  if (copy.count == 0 || copy.bytes == 0) return;
  if (frame.checking()) {
    frame.AlignRead(src, kBlock);
    frame.AlignWrite(dst, ub ? kBlock : 64);
    frame.ReadRows(src, 0, copy.bytes, copy.count, copy.source_pitch);
    frame.WriteRows(dst, 0, copy.bytes, copy.count, copy.target_pitch);
  }
  for (uint32_t i = 0; i < copy.count; ++i) {
    std::memmove(dst.data + i * copy.target_pitch, src.data + i * copy.source_pitch, copy.bytes);
  }
  if (frame.timing()) {
    const double bytes = static_cast<double>(copy.bytes) * copy.count;
    frame.Transfer(ub ? Path::kUbToUb : Path::kL1ToTable, copy.bytes * copy.count, copy.count);
    frame.Cost(bytes / (ub ? cost::kUbToUb : cost::kL1ToTable));
  }
}

void CopyPadded(Instruction& frame, const Operand& dst, const Operand& src, const StridedCopy& copy,
                const RowPadding& padding) {
  RequireCopyMemory(frame, dst);
  frame.Require(padding.left <= kBlock && padding.right <= kBlock, FaultKind::kArgument, "padParams",
                "leftPadding and rightPadding: expected at most 32 bytes each, got %u and %u", padding.left,
                padding.right);
  if (copy.count == 0 || copy.bytes == 0) return;
  const uint64_t filled = padding.left + copy.bytes + padding.right;
  const uint64_t row = RoundUp(filled);
  frame.BoundsRead(src, End(copy, copy.source_pitch));
  frame.BoundsWrite(dst, static_cast<uint64_t>(copy.target_pitch) * (copy.count - 1) + row);
  if (frame.checking()) {
    frame.AlignWrite(dst, kBlock);
    frame.ReadRows(src, 0, copy.bytes, copy.count, copy.source_pitch);
    const bool whole = padding.set || row == copy.bytes;
    for (uint32_t i = 0; i < copy.count; ++i) {
      const uint64_t at = i * static_cast<uint64_t>(copy.target_pitch);
      if (whole) {
        frame.Write(dst, at, row);
        continue;
      }
      // Without a padding value, everything but the block itself is garbage.
      frame.Scramble(dst, at, padding.left);
      frame.Write(dst, at + padding.left, copy.bytes);
      frame.Scramble(dst, at + padding.left + copy.bytes, row - padding.left - copy.bytes);
    }
  }
  for (uint32_t i = 0; i < copy.count; ++i) {
    uint8_t* out = dst.data + i * copy.target_pitch;
    const uint8_t* in = src.data + i * copy.source_pitch;
    std::memcpy(out + padding.left, in, copy.bytes);
    uint8_t element[8];
    if (padding.set) {
      std::memcpy(element, &padding.value, sizeof(element));
    } else {
      std::memset(element, 0xFF, sizeof(element));
    }
    // With neither padding asked for, the hardware repeats the block's first element.
    if (padding.set && padding.left == 0 && padding.right == 0) std::memcpy(element, in, padding.element_bytes);
    for (uint64_t at = 0; at < padding.left; at += padding.element_bytes) {
      std::memcpy(out + at, element, padding.element_bytes);
    }
    for (uint64_t at = padding.left + copy.bytes; at + padding.element_bytes <= row; at += padding.element_bytes) {
      std::memcpy(out + at, element, padding.element_bytes);
    }
  }
  Bursts(frame, dst.memory == Hardware::UB ? Path::kGmToUb : Path::kGmToL1, copy, src, copy.source_pitch);
}

void CopyNdToNz(Instruction& frame, const Operand& dst, const Operand& src, const NzLayout& layout) {
  if (layout.matrices == 0 || layout.rows == 0 || layout.columns == 0) return;
  const uint64_t row_bytes = uint64_t{layout.columns} * layout.element_bytes;
  const uint32_t blocks = static_cast<uint32_t>(RoundUp(row_bytes) / kBlock);
  const uint64_t matrix_source = layout.source_row * (layout.rows - 1) + row_bytes;
  const uint64_t matrix_target = layout.target_column * (blocks - 1) + layout.target_row * (layout.rows - 1) + kBlock;
  frame.BoundsRead(src, layout.source_matrix * (layout.matrices - 1) + matrix_source);
  frame.BoundsWrite(dst, layout.target_matrix * (layout.matrices - 1) + matrix_target);
  if (frame.checking()) {
    frame.AlignWrite(dst, kBlock);
    for (uint32_t matrix = 0; matrix < layout.matrices; ++matrix) {
      frame.ReadRows(src, matrix * layout.source_matrix, row_bytes, layout.rows, layout.source_row);
      for (uint32_t block = 0; block < blocks; ++block) {
        frame.WriteRows(dst, matrix * layout.target_matrix + block * layout.target_column, kBlock, layout.rows,
                        layout.target_row);
      }
    }
  }
  for (uint32_t matrix = 0; matrix < layout.matrices; ++matrix) {
    for (uint32_t row = 0; row < layout.rows; ++row) {
      const uint8_t* in = src.data + matrix * layout.source_matrix + row * layout.source_row;
      uint8_t* out = dst.data + matrix * layout.target_matrix + row * layout.target_row;
      const uint32_t full = static_cast<uint32_t>(row_bytes / kBlock);
      for (uint32_t block = 0; block < full; ++block) {
        std::memcpy(out + block * layout.target_column, in + block * kBlock, kBlock);
      }
      if (full != blocks) {
        uint8_t last[kBlock] = {};
        std::memcpy(last, in + full * kBlock, row_bytes - full * kBlock);
        std::memcpy(out + full * layout.target_column, last, kBlock);
      }
    }
  }
  if (frame.timing()) {
    frame.Transfer(Path::kGmToL1, row_bytes * layout.rows * layout.matrices, layout.rows * layout.matrices);
    frame.TransferAt(src, static_cast<int64_t>(layout.source_row));
  }
}

void CopyNzToNd(Instruction& frame, const Operand& dst, const Operand& src, const AscendC::Nz2NdParamsFull& params,
                uint32_t element_bytes) {
  constexpr uint32_t kColumns = 16;  // of a strip
  frame.RequireRange("ndNum", params.ndNum, 0, 4095);
  frame.RequireRange("nValue", params.nValue, 1, 8192);
  frame.RequireRange("dValue", params.dValue, 1, 8192);
  frame.Require(params.dValue % kColumns == 0, FaultKind::kArgument, "dValue", "expected a multiple of 16, got %u",
                uint32_t{params.dValue});
  const Core& core = frame.core();
  frame.Require(core.atomic_op == AtomicOp::kNone, FaultKind::kArgument, "dst",
                "atomic modes are not modelled on this path");
  const uint64_t strip_row = kColumns * element_bytes;
  for (uint32_t matrix = 0; matrix < params.ndNum; ++matrix) {
    for (uint32_t row = 0; row < params.nValue; ++row) {
      for (uint32_t strip = 0; strip < params.dValue / kColumns; ++strip) {
        const uint64_t from = uint64_t{matrix} * params.srcNdMatrixStride * 256 * element_bytes +
                              (uint64_t{strip} * params.srcNStride + row) * strip_row;
        const uint64_t to =
            (uint64_t{matrix} * params.dstNdMatrixStride + uint64_t{row} * params.dstDStride + strip * kColumns) *
            element_bytes;
        frame.BoundsRead(src, from + strip_row);
        frame.BoundsWrite(dst, to + strip_row);
        if (frame.checking()) {
          frame.Read(src, from, strip_row);
          frame.Write(dst, to, strip_row);
        }
        std::memcpy(dst.data + to, src.data + from, strip_row);
      }
    }
  }
  if (frame.timing()) {
    frame.Transfer(Path::kUbToGm, uint64_t{params.ndNum} * params.nValue * params.dValue * element_bytes,
                   uint32_t{params.ndNum} * params.nValue);
  }
}

void CopySlices(Instruction& frame, const Operand& dst, const Operand& src, const AscendC::SliceInfo dst_slices[],
                const AscendC::SliceInfo src_slices[], uint32_t dimensions, uint32_t element_bytes, bool to_gm) {
  constexpr uint32_t kMaxDimensions = 8;
  frame.RequireRange("dimValue", dimensions, 1, kMaxDimensions);
  const Core& core = frame.core();
  frame.Require(!to_gm || core.atomic_op == AtomicOp::kNone, FaultKind::kArgument, "dst",
                "atomic modes are not modelled on this path");
  // Starts of the bursts of one operand, in elements. Dimension 0 is the innermost: it is cut into bursts of burstLen
  // blocks of 32 bytes, `stride` elements apart; outer dimensions select every (1 + stride)-th index.
  const auto starts = [&](const AscendC::SliceInfo slices[]) {
    std::vector<uint64_t> offsets{0};
    uint64_t pitch = 1;
    std::vector<uint64_t> result;
    for (uint32_t d = 0; d < dimensions; ++d) {
      const AscendC::SliceInfo& slice = slices[d];
      frame.Require(slice.startIndex <= slice.endIndex, FaultKind::kArgument, "SliceInfo",
                    "startIndex %u is after endIndex %u", slice.startIndex, slice.endIndex);
      const uint64_t step =
          d == 0 ? uint64_t{slice.burstLen} * kBlock / element_bytes + slice.stride : uint64_t{1} + slice.stride;
      result.clear();
      for (uint64_t index = slice.startIndex; index <= slice.endIndex; index += std::max<uint64_t>(step, 1)) {
        for (const uint64_t offset : offsets) result.push_back(offset + index * pitch);
      }
      offsets = result;
      pitch *= slice.shapeValue;
    }
    return offsets;
  };
  const std::vector<uint64_t> from = starts(src_slices), to = starts(dst_slices);
  frame.Require(from.size() == to.size() && src_slices[0].burstLen == dst_slices[0].burstLen, FaultKind::kArgument,
                "SliceInfo", "source and destination select different numbers of bursts");
  const uint64_t bytes = uint64_t{src_slices[0].burstLen} * kBlock;
  for (size_t i = 0; i < from.size(); ++i) {
    frame.BoundsRead(src, from[i] * element_bytes + bytes);
    frame.BoundsWrite(dst, to[i] * element_bytes + bytes);
    if (frame.checking()) {
      frame.Read(src, from[i] * element_bytes, bytes);
      frame.Write(dst, to[i] * element_bytes, bytes);
    }
    std::memcpy(dst.data + to[i] * element_bytes, src.data + from[i] * element_bytes, bytes);
  }
  if (frame.timing()) {
    frame.Transfer(to_gm ? Path::kUbToGm : Path::kGmToUb, bytes * from.size(), static_cast<uint32_t>(from.size()));
  }
}

}  // namespace ascend_sim
