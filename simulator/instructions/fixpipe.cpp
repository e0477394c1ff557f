#include "instructions/fixpipe.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "instructions/half_batch.h"
#include "instructions/number_formats.h"
#include "machine/atomic.h"
#include "machine/core.h"
#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

constexpr uint64_t kStrip = 16;  // columns of L0C that lie together

uint64_t CeilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

uint32_t BytesOf(ElementType type) {
  if (type == ElementType::kInt8 || type == ElementType::kUint8) return 1;
  return type == ElementType::kHalf || type == ElementType::kBfloat16 ? 2 : 4;
}

bool IsVectorMode(QuantMode_t mode) { return mode == VREQ8 || mode == VDEQF16 || mode == VQF322B8_PRE; }

void RequireMode(const Instruction& frame, ElementType to, ElementType from, QuantMode_t mode) {
  bool good = false;
  const bool bytes = to == ElementType::kInt8 || to == ElementType::kUint8;
  if (from == ElementType::kFloat) {
    if (to == ElementType::kFloat) good = mode == NoQuant;
    if (to == ElementType::kHalf) good = mode == F322F16;
    if (to == ElementType::kBfloat16) good = mode == F322BF16;
    if (bytes) good = mode == QF322B8_PRE || mode == VQF322B8_PRE;
  } else {
    if (to == ElementType::kInt32) good = mode == NoQuant;
    if (to == ElementType::kHalf) good = mode == DEQF16 || mode == VDEQF16;
    if (bytes) good = mode == REQ8 || mode == VREQ8;
  }
  frame.Require(good, FaultKind::kArgument, "quantPre",
                "mode %d does not convert between these data types; it is not chosen from them by itself",
                static_cast<int>(mode));
}

// A quantisation word: a factor the chip keeps to 10 mantissa bits, a 9-bit offset, the sign of the result.
struct Factor {
  float scale = 1.0f;
  int offset = 0;
  bool is_signed = true;

  static Factor Of(uint64_t word) {
    Factor factor;
    factor.scale = FloatOf(static_cast<uint32_t>(word) & ~0x1fffu);
    const int raw = static_cast<int>(word >> 37 & 0x1ff);
    factor.offset = raw >= 256 ? raw - 512 : raw;
    factor.is_signed = word >> 46 & 1;
    return factor;
  }
};

// One row of up to 16 results.
class RowConverter {
 public:
  RowConverter(ElementType to, ElementType from, const AscendC::FixpipeParamsV220& params, const Operand* factors,
               bool saturate)
      : to_(to), from_(from), mode_(params.quantPre), relu_(params.reluEn), saturate_(saturate) {
    if (IsVectorMode(mode_)) {
      factors_.resize(params.nSize);
      for (uint32_t i = 0; i < params.nSize; ++i) {
        uint64_t word;
        std::memcpy(&word, factors->data + i * sizeof(word), sizeof(word));
        factors_[i] = Factor::Of(word);
      }
    } else {
      factors_.assign(1, Factor::Of(params.deqScalar));
    }
  }

  // Results that leave as they are.
  bool copies() const { return mode_ == NoQuant && !relu_; }

  void Convert(const uint8_t* src, uint64_t column, uint64_t count, uint8_t* dst) const {
    if (from_ == ElementType::kInt32 && to_ == ElementType::kInt32) {
      for (uint64_t i = 0; i < count; ++i) {
        int32_t value;
        std::memcpy(&value, src + i * 4, 4);
        if (relu_ && value < 0) value = 0;
        std::memcpy(dst + i * 4, &value, 4);
      }
      return;
    }
    float values[kStrip];
    if (from_ == ElementType::kFloat) {
      std::memcpy(values, src, count * 4);
    } else {
      for (uint64_t i = 0; i < count; ++i) {
        int32_t value;
        std::memcpy(&value, src + i * 4, 4);
        values[i] = static_cast<float>(value);
      }
    }
    const bool quantised = mode_ != NoQuant && mode_ != F322F16 && mode_ != F322BF16;
    for (uint64_t i = 0; i < count; ++i) {
      if (quantised) values[i] *= FactorOf(column + i).scale;
      if (relu_ && values[i] < 0) values[i] = 0.0f;
    }
    switch (to_) {
      case ElementType::kFloat:
        std::memcpy(dst, values, count * 4);
        break;
      case ElementType::kHalf:
        Limit(values, count, 65504.0f);
        FloatToHalfBatch(values, reinterpret_cast<uint16_t*>(dst), count);
        break;
      case ElementType::kBfloat16:
        Limit(values, count, FloatOf(0x7f7f0000u));
        FloatToBfloatBatch(values, reinterpret_cast<uint16_t*>(dst), count);
        break;
      default:
        for (uint64_t i = 0; i < count; ++i) {
          const Factor& factor = FactorOf(column + i);
          const float shifted = static_cast<float>(RoundToIntegral(values[i], AscendC::RoundMode::CAST_RINT)) +
                                static_cast<float>(factor.offset);
          dst[i] = factor.is_signed
                       ? static_cast<uint8_t>(FloatToInteger<int8_t>(shifted, AscendC::RoundMode::CAST_RINT))
                       : FloatToInteger<uint8_t>(shifted, AscendC::RoundMode::CAST_RINT);
        }
        break;
    }
  }

 private:
  const Factor& FactorOf(uint64_t column) const { return factors_.size() == 1 ? factors_[0] : factors_[column]; }
  void Limit(float* values, uint64_t count, float highest) const {
    if (!saturate_) return;
    for (uint64_t i = 0; i < count; ++i) {
      values[i] = std::isnan(values[i]) ? 0.0f : std::min(std::max(values[i], -highest), highest);
    }
  }

  ElementType to_, from_;
  QuantMode_t mode_;
  bool relu_, saturate_;
  std::vector<Factor> factors_;
};

// Where a row of a strip goes. In NZ layout a strip of the destination is 16 elements wide; float split by channels 8;
// bytes merged by channels 32.
struct Layout {
  bool row_major = true;
  uint64_t element_bytes = 4;
  uint64_t row_pitch = 0;
  uint64_t strip_columns = 16;
  uint64_t strip_pitch = 0;
  uint64_t matrix_pitch = 0;

  uint64_t Offset(uint64_t matrix, uint64_t row, uint64_t column) const {
    if (row_major) return matrix * matrix_pitch + row * row_pitch + column * element_bytes;
    return column / strip_columns * strip_pitch + row * row_pitch + column % strip_columns * element_bytes;
  }
};

}  // namespace

void RunFixpipe(Instruction& frame, ElementType to, ElementType from, const Operand& dst, const Operand& src,
                const Operand* factors, bool row_major, const AscendC::FixpipeParamsV220& params) {
  RequireMode(frame, to, from, params.quantPre);
  const bool to_l1 = dst.memory == Hardware::L1;
  frame.Require(IsVectorMode(params.quantPre) == (factors != nullptr), FaultKind::kArgument, "cbufWorkspace",
                "a factor per column is given exactly in the modes VREQ8, VDEQF16 and VQF322B8_PRE");
  frame.RequireRange("nSize", params.nSize, 0, 4095);
  if (row_major) frame.RequireRange("mSize", params.mSize, 0, 8192);
  if (params.isChannelSplit) {
    frame.Require(to == ElementType::kFloat && !row_major && !to_l1 && params.unitFlag == 0, FaultKind::kArgument,
                  "isChannelSplit", "needs float results in NZ layout to GM without unitFlag");
    frame.Require(params.nSize % 8 == 0, FaultKind::kArgument, "nSize", "%d is no multiple of 8",
                  static_cast<int>(params.nSize));
  } else if (!row_major) {
    frame.Require(params.nSize % kStrip == 0, FaultKind::kArgument, "nSize", "%d is no multiple of 16 (NZ layout)",
                  static_cast<int>(params.nSize));
  }
  const uint64_t matrices = row_major ? uint64_t{params.ndNum} : 1;
  const uint64_t rows = params.mSize, columns = params.nSize;
  if (rows == 0 || columns == 0 || matrices == 0) return;
  frame.Require(params.dstStride != 0, FaultKind::kArgument, "dstStride", "must not be 0");
  if (matrices > 1) {
    frame.RequireRange("srcNdStride", params.srcNdStride, 1, 512);
    frame.RequireRange("dstNdStride", params.dstNdStride, 1, UINT16_MAX);
  }

  Layout layout;
  layout.row_major = row_major;
  layout.element_bytes = BytesOf(to);
  if (row_major) {
    layout.row_pitch = params.dstStride * layout.element_bytes;
    layout.matrix_pitch = params.dstNdStride * layout.element_bytes;
    frame.Require(params.dstStride >= columns || rows == 1, FaultKind::kOverlap, "dst",
                  "rows of %llu elements, %u apart, overlap", static_cast<unsigned long long>(columns),
                  params.dstStride);
  } else {
    layout.strip_columns = params.isChannelSplit ? 8 : layout.element_bytes == 1 ? 32 : kStrip;
    layout.row_pitch = layout.strip_columns * layout.element_bytes;
    layout.strip_pitch = params.dstStride * uint64_t{kBlockBytes};
    frame.Require(layout.strip_pitch >= rows * layout.row_pitch || columns <= layout.strip_columns, FaultKind::kOverlap,
                  "dst", "strips of %llu bytes, %llu apart, overlap",
                  static_cast<unsigned long long>(rows * layout.row_pitch),
                  static_cast<unsigned long long>(layout.strip_pitch));
  }

  // Source: strips of 16 columns, srcStride rows apart; matrices srcNdStride fractals apart.
  const uint64_t src_row_bytes = kStrip * 4;
  const uint64_t strips = CeilDiv(columns, kStrip);
  const uint64_t strip_bytes = params.srcStride * src_row_bytes;
  const uint64_t matrix_bytes = params.srcNdStride * kStrip * src_row_bytes;
  frame.Require(params.srcStride >= rows || strips == 1, FaultKind::kArgument, "srcStride",
                "strips of %llu rows, %d apart, overlap", static_cast<unsigned long long>(rows),
                static_cast<int>(params.srcStride));
  const uint64_t one_matrix = (strips - 1) * strip_bytes + rows * src_row_bytes;
  const uint64_t src_bytes = (matrices - 1) * matrix_bytes + one_matrix;
  frame.BoundsRead(src, src_bytes);
  const uint64_t dst_bytes = layout.Offset(matrices - 1, rows - 1, columns - 1) + layout.element_bytes;
  frame.BoundsWrite(dst, dst_bytes);
  if (factors != nullptr) frame.BoundsRead(*factors, columns * sizeof(uint64_t));

  // A Mmad of the same tile marks whole fractals.
  const uint64_t unit_bytes =
      (matrices - 1) * matrix_bytes + (strips - 1) * strip_bytes + CeilDiv(rows, kStrip) * kStrip * src_row_bytes;
  EnterUnits(frame, src, unit_bytes, params.unitFlag, UnitUse::kRead);
  Core& core = frame.core();
  const AtomicOp atomic = to_l1 ? AtomicOp::kNone : core.atomic_op;
  if (atomic != AtomicOp::kNone) {
    frame.Require(layout.element_bytes == AtomicBytes(core.atomic_type), FaultKind::kArgument, "dst",
                  "the atomic mode set is for another data type");
    frame.TakeAtomicTurn();
  }
  if (frame.checking()) {
    frame.AlignRead(src, 64);
    if (to_l1) frame.AlignWrite(dst, kBlockBytes);
    if (!to_l1 && !row_major) {
      // Device buffers start aligned, so what counts is the offset in the region, not the host's address.
      const uint64_t offset = dst.region->Offset(dst.data);
      frame.Require(offset % kBlockBytes == 0, FaultKind::kWriteMisaligned, "dst",
                    "byte %llu of its GM buffer: NZ results need a multiple of 32",
                    static_cast<unsigned long long>(offset));
    }
    if (factors != nullptr) {
      frame.AlignRead(*factors, kBlockBytes);
      frame.Read(*factors, 0, columns * sizeof(uint64_t));
    }
    for (uint64_t matrix = 0; matrix < matrices; ++matrix) {
      const uint64_t base = matrix * matrix_bytes;
      const uint64_t whole = columns / kStrip;
      if (whole > 0) frame.ReadRows(src, base, rows * src_row_bytes, whole, strip_bytes);
      if (columns % kStrip != 0) {
        frame.ReadRows(src, base + whole * strip_bytes, columns % kStrip * 4, rows, src_row_bytes);
      }
      if (row_major && atomic == AtomicOp::kNone) {
        frame.WriteRows(dst, matrix * layout.matrix_pitch, columns * layout.element_bytes, rows, layout.row_pitch);
      } else if (row_major) {
        for (uint64_t row = 0; row < rows; ++row) {
          frame.WriteAtomic(dst, layout.Offset(matrix, row, 0), columns * layout.element_bytes);
        }
      }
    }
    for (uint64_t column = 0; !row_major && column < columns; column += layout.strip_columns) {
      const uint64_t width = std::min(layout.strip_columns, columns - column);
      const uint64_t start = layout.Offset(0, 0, column);
      if (atomic != AtomicOp::kNone) {
        frame.WriteAtomic(dst, start, rows * layout.row_pitch);
      } else if (width == layout.strip_columns) {
        frame.Write(dst, start, rows * layout.row_pitch);
      } else {
        frame.WriteRows(dst, start, width * layout.element_bytes, rows, layout.row_pitch);
      }
    }
  }

  const RowConverter converter(to, from, params, factors, core.cube.saturate);
  const uint64_t piece = params.isChannelSplit ? 8 : kStrip;
  uint8_t converted[kStrip * 4];
  for (uint64_t matrix = 0; matrix < matrices; ++matrix) {
    for (uint64_t column = 0; column < columns; column += piece) {
      const uint64_t width = std::min(piece, columns - column);
      const uint8_t* strip = src.data + matrix * matrix_bytes + column / kStrip * strip_bytes + column % kStrip * 4;
      for (uint64_t row = 0; row < rows; ++row) {
        const uint8_t* result = strip + row * src_row_bytes;
        if (!converter.copies()) {
          converter.Convert(result, column, width, converted);
          result = converted;
        }
        StoreToGm(atomic, core.atomic_type, dst.data + layout.Offset(matrix, row, column), result,
                  width * layout.element_bytes);
      }
    }
  }
  LeaveUnits(frame, src, unit_bytes, params.unitFlag, UnitUse::kRead);

  if (!frame.timing()) return;
  const uint64_t bytes = matrices * rows * columns * layout.element_bytes;
  if (to_l1) {
    // [cube] 64 elements a cycle.
    frame.Transfer(Path::kL0cToL1, bytes, 1);
  } else {
    frame.Transfer(Path::kL0cToGm, bytes, static_cast<uint32_t>(row_major ? matrices * rows : strips));
    frame.TransferAt(dst, static_cast<int64_t>(row_major ? layout.row_pitch : layout.strip_pitch));
  }
}

}  // namespace ascend_sim
