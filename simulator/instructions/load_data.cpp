#include "instructions/load_data.h"

#include <cstring>
#include <vector>

#include "machine/core.h"
#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

constexpr uint32_t kSide = 16;

uint32_t CeilDiv(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

bool IsL0(const Operand& operand) { return operand.memory == Hardware::L0A || operand.memory == Hardware::L0B; }

Path PathTo(const Operand& dst) { return dst.memory == Hardware::L0A ? Path::kL1ToL0a : Path::kL1ToL0b; }

void RequireDestination(const Instruction& frame, const Operand& dst, bool also_l1) {
  if (IsL0(dst) || (also_l1 && dst.memory == Hardware::L1)) return;
  frame.Fail(FaultKind::kPosition, dst, "the destination lies in L0A (A2) or L0B (B2)%s", also_l1 ? " or L1" : "");
}

void AlignDestination(const Instruction& frame, const Operand& dst) {
  frame.AlignWrite(dst, IsL0(dst) ? kFractalBytes : kBlockBytes);
}

template <typename T>
void TransposeFractal(uint8_t* dst, const uint8_t* src) {
  const T* in = reinterpret_cast<const T*>(src);
  T* out = reinterpret_cast<T*>(dst);
  for (uint32_t row = 0; row < kSide; ++row) {
    for (uint32_t column = 0; column < kSide; ++column) out[column * kSide + row] = in[row * kSide + column];
  }
}

// Column i of the rows becomes row i of the destination, 32 bytes apart.
template <typename T>
void TransposeRows(const uint8_t* const* from, int rows, int columns, uint8_t* to) {
  for (int i = 0; i < columns; ++i) {
    T* line = reinterpret_cast<T*>(to + i * kBlockBytes);
    for (int row = 0; row < rows; ++row) line[row] = reinterpret_cast<const T*>(from[row])[i];
  }
}

// Whole fractals are moved, also where a tail of the matrix fills them in part: the bytes nobody wrote stay unwritten
// where they arrive, and are a fault only if Mmad uses them. `move(src, dst)` is what the instruction does to data;
// here it moves a mark for each unwritten byte.
template <typename Move>
void CarryHoles(Instruction& frame, const Operand& dst, uint64_t src_bytes, uint64_t dst_bytes,
                const std::vector<ByteRange>& holes, Move&& move) {
  if (holes.empty()) return;
  std::vector<uint8_t> from(src_bytes), to(dst_bytes);
  for (const ByteRange& hole : holes) std::fill(from.begin() + hole.begin, from.begin() + hole.end, 1);
  move(from.data(), to.data());
  for (uint64_t begin = 0; begin < dst_bytes; ++begin) {
    if (to[begin] == 0) continue;
    uint64_t end = begin;
    while (end < dst_bytes && to[end] != 0) ++end;
    frame.Scramble(dst, begin, end - begin);
    begin = end;
  }
}

}  // namespace

void RunLoad2d(Instruction& frame, const Operand& dst, const Operand& src, uint32_t element_bytes,
               const AscendC::LoadData2DParams& params) {
  const bool from_gm = src.memory == Hardware::GM;
  RequireDestination(frame, dst, from_gm);
  frame.Require(!params.ifTranspose || (!from_gm && element_bytes == 2), FaultKind::kArgument, "ifTranspose",
                "fractals are transposed on the way from L1, for 16-bit elements only");
  frame.Require(params.addrMode == 0 || dst.memory == Hardware::L1, FaultKind::kArgument, "addrMode",
                "a descending source is for the path GM -> L1 only");
  const uint64_t repeats = params.repeatTimes;
  if (repeats == 0) return;
  const uint64_t dst_pitch = (1 + uint64_t{params.dstGap}) * kFractalBytes;
  const int64_t src_step = params.addrMode == 0 ? int64_t{params.srcStride} : -int64_t{params.srcStride};
  frame.Require(int64_t{params.startIndex} + src_step * static_cast<int64_t>(repeats - 1) >= 0,
                FaultKind::kReadOutOfBounds, "src", "the descending walk goes below the start of the source");
  const auto src_offset = [&](uint64_t repeat) {
    return static_cast<uint64_t>(int64_t{params.startIndex} + src_step * static_cast<int64_t>(repeat)) * kFractalBytes;
  };
  const uint64_t src_bytes = std::max(src_offset(0), src_offset(repeats - 1)) + kFractalBytes;
  const uint64_t dst_bytes = (repeats - 1) * dst_pitch + kFractalBytes;
  frame.BoundsRead(src, src_bytes);
  frame.BoundsWrite(dst, dst_bytes);
  const auto move = [&](const uint8_t* from, uint8_t* to) {
    for (uint64_t repeat = 0; repeat < repeats; ++repeat) {
      if (params.ifTranspose) {
        TransposeFractal<uint16_t>(to + repeat * dst_pitch, from + src_offset(repeat));
      } else {
        std::memcpy(to + repeat * dst_pitch, from + src_offset(repeat), kFractalBytes);
      }
    }
  };
  if (frame.checking()) {
    std::vector<ByteRange> holes;
    if (!from_gm) frame.AlignRead(src, kBlockBytes);
    AlignDestination(frame, dst);
    if (src_step == 1) {
      frame.ReadThrough(src, src_offset(0), repeats * kFractalBytes, holes);
    } else if (src_step == 0) {
      frame.ReadThrough(src, src_offset(0), kFractalBytes, holes);
    } else {
      frame.ReadRowsThrough(src, std::min(src_offset(0), src_offset(repeats - 1)), kFractalBytes, repeats,
                            static_cast<uint64_t>(params.srcStride) * kFractalBytes, holes);
    }
    if (params.dstGap == 0) {
      frame.Write(dst, 0, repeats * kFractalBytes);
    } else {
      frame.WriteRows(dst, 0, kFractalBytes, repeats, dst_pitch);
    }
    CarryHoles(frame, dst, src_bytes, dst_bytes, holes, move);
  }
  move(src.data, dst.data);
  if (frame.timing()) {
    frame.Transfer(from_gm ? Path::kGmToL1 : PathTo(dst), repeats * kFractalBytes,
                   static_cast<uint32_t>(params.srcStride == 1 ? 1 : repeats));
    if (from_gm) frame.TransferAt(src, src_step * static_cast<int64_t>(kFractalBytes));
  }
}

void RunLoadTransposed(Instruction& frame, const Operand& dst, const Operand& src, uint32_t element_bytes,
                       const AscendC::LoadData2dTransposeParams& params) {
  RequireDestination(frame, dst, false);
  const uint64_t repeats = params.repeatTimes;
  if (repeats == 0) return;
  frame.Require(params.addrMode == 0 || params.addrMode == 1, FaultKind::kArgument, "addrMode", "expected 0 or 1");
  const uint32_t side = element_bytes == 1 ? 32 : kSide;
  const uint32_t fractals = side * side * element_bytes / kFractalBytes;
  const uint64_t square_bytes = uint64_t{fractals} * kFractalBytes;
  const int64_t src_step = params.addrMode == 0 ? int64_t{params.srcStride} : -int64_t{params.srcStride};
  frame.Require(int64_t{params.startIndex} + src_step * static_cast<int64_t>(repeats - 1) >= 0,
                FaultKind::kReadOutOfBounds, "src", "the descending walk goes below the start of the source");
  const auto src_offset = [&](uint64_t repeat) {
    return static_cast<uint64_t>(int64_t{params.startIndex} + src_step * static_cast<int64_t>(repeat)) * square_bytes;
  };
  const uint64_t dst_pitch = (1 + uint64_t{params.dstGap}) * kFractalBytes;
  const uint64_t fractal_pitch = (1 + uint64_t{params.dstFracGap}) * kFractalBytes;
  const uint64_t src_bytes = std::max(src_offset(0), src_offset(repeats - 1)) + square_bytes;
  const uint64_t dst_bytes = (repeats - 1) * dst_pitch + (fractals - 1) * fractal_pitch + kFractalBytes;
  frame.BoundsRead(src, src_bytes);
  frame.BoundsWrite(dst, dst_bytes);
  const auto move = [&](const uint8_t* source, uint8_t* destination) {
    const uint32_t columns = kBlockBytes / element_bytes;  // of a fractal: 32, 16 or 8
    for (uint64_t repeat = 0; repeat < repeats; ++repeat) {
      const uint8_t* from = source + src_offset(repeat);
      for (uint32_t f = 0; f < fractals; ++f) {
        uint8_t* to = destination + repeat * dst_pitch + f * fractal_pitch;
        if (element_bytes == 2) {
          TransposeFractal<uint16_t>(to, from);
          continue;
        }
        for (uint32_t row = 0; row < kSide; ++row) {
          for (uint32_t column = 0; column < columns; ++column) {
            // Element (row, column) of this fractal, in the transposed square; then its place before.
            const uint32_t square_row = element_bytes == 1 ? f * kSide + row : row;
            const uint32_t square_column = element_bytes == 1 ? column : f * columns + column;
            const uint32_t src_row = square_column, src_column = square_row;
            const uint32_t src_fractal = element_bytes == 1 ? src_row / kSide : src_column / columns;
            const uint32_t at = (src_fractal * kSide + src_row % kSide) * columns + src_column % columns;
            std::memcpy(to + (row * columns + column) * element_bytes, from + at * element_bytes, element_bytes);
          }
        }
      }
    }
  };
  if (frame.checking()) {
    std::vector<ByteRange> holes;
    frame.AlignRead(src, kBlockBytes);
    AlignDestination(frame, dst);
    // The fractals of different repeats interleave when the gaps fit, and must not meet.
    std::vector<uint64_t> starts;
    for (uint64_t repeat = 0; repeat < repeats; ++repeat) {
      for (uint32_t f = 0; f < fractals; ++f) starts.push_back(repeat * dst_pitch + f * fractal_pitch);
    }
    std::sort(starts.begin(), starts.end());
    frame.Require(std::adjacent_find(starts.begin(), starts.end()) == starts.end(), FaultKind::kOverlap, "dst",
                  "two transposed fractals fall on one place: check dstGap and dstFracGap");
    if (src_step == 1) {
      frame.ReadThrough(src, src_offset(0), repeats * square_bytes, holes);
    } else {
      frame.ReadRowsThrough(src, std::min(src_offset(0), src_offset(repeats - 1)), square_bytes,
                            src_step == 0 ? 1 : repeats, static_cast<uint64_t>(params.srcStride) * square_bytes, holes);
    }
    for (const uint64_t start : starts) frame.Write(dst, start, kFractalBytes);
    CarryHoles(frame, dst, src_bytes, dst_bytes, holes, move);
  }
  move(src.data, dst.data);
  if (frame.timing()) frame.Transfer(PathTo(dst), repeats * square_bytes, 1);
}

void SetFeatureMap(uint16_t height, uint16_t width, const uint8_t padding[4]) {
  CubeRegisters& registers = CurrentCore().cube;
  registers.feature_height = height;
  registers.feature_width = width;
  std::copy_n(padding, 4, registers.padding.begin());
}

namespace {

// The image-to-column matrix: row m is a position of the filter's window, column k an element under the window, in the
// order channel block, filter row, filter column, channel. A column block of 32 bytes is contiguous in L1.
class ColumnMatrix {
 public:
  ColumnMatrix(const CubeRegisters& registers, const Load3d& call, uint32_t element_bytes)
      : call_(call),
        height_(registers.feature_height),
        width_(registers.feature_width),
        pad_left_(registers.padding[0]),
        pad_top_(registers.padding[2]),
        block_elements_(kBlockBytes / element_bytes) {
    const int span_w = (static_cast<int>(call.filter_w) - 1) * static_cast<int>(call.dilation_w) + 1;
    const int span_h = (static_cast<int>(call.filter_h) - 1) * static_cast<int>(call.dilation_h) + 1;
    out_width_ = (width_ + pad_left_ + registers.padding[1] - span_w) / static_cast<int>(call.stride_w) + 1;
    out_height_ = (height_ + pad_top_ + registers.padding[3] - span_h) / static_cast<int>(call.stride_h) + 1;
  }
  int rows() const { return out_width_ * out_height_; }
  int columns() const { return static_cast<int>(call_.channels * call_.filter_w * call_.filter_h); }
  int out_width() const { return out_width_; }

  // Byte offset in L1 of the block of row m and column block kb, or -1 for padding.
  int64_t Offset(int m, int kb) const {
    const int window = static_cast<int>(call_.filter_w * call_.filter_h);
    const int c1 = kb / window, in_window = kb % window;
    const int kh = in_window / static_cast<int>(call_.filter_w), kw = in_window % static_cast<int>(call_.filter_w);
    const int h =
        m / out_width_ * static_cast<int>(call_.stride_h) - pad_top_ + kh * static_cast<int>(call_.dilation_h);
    const int w =
        m % out_width_ * static_cast<int>(call_.stride_w) - pad_left_ + kw * static_cast<int>(call_.dilation_w);
    if (h < 0 || h >= height_ || w < 0 || w >= width_) return -1;
    return ((static_cast<int64_t>(c1) * height_ + h) * width_ + w) * kBlockBytes;
  }

 private:
  const Load3d& call_;
  int height_, width_, pad_left_, pad_top_;
  uint32_t block_elements_;
  int out_width_ = 0, out_height_ = 0;
};

}  // namespace

void RunLoad3d(Instruction& frame, const Operand& dst, const Operand& src, uint32_t element_bytes, const Load3d& call) {
  const CubeRegisters& registers = frame.core().cube;
  RequireDestination(frame, dst, false);
  const bool to_b = dst.memory == Hardware::L0B;
  const bool transpose = to_b || call.transpose;  // the way to L0B always transposes
  frame.Require(!transpose || element_bytes != 1, FaultKind::kArgument, "T",
                "8-bit elements are not transposed, and the way to L0B always transposes");
  frame.RequireRange("strideW", call.stride_w, 0, 63);
  frame.RequireRange("strideH", call.stride_h, 0, 63);
  frame.Require(!call.right_matrix, FaultKind::kArgument, "fMatrixCtrl", "only false is supported");
  frame.Require(!call.small_k, FaultKind::kArgument, "enSmallK", "the chip no longer has this feature");
  if (registers.feature_height == 0 || registers.feature_width == 0 || call.channels == 0 || call.k_extension == 0 ||
      call.m_extension == 0 || call.filter_w == 0 || call.filter_h == 0 || registers.repeat.repeatTime == 0) {
    return;
  }
  frame.RequireRange("l1H", registers.feature_height, 1, 32767);
  frame.RequireRange("l1W", registers.feature_width, 1, 32767);
  frame.RequireRange("mStartPt", call.m_start, 0, 32767);
  frame.RequireRange("strideW", call.stride_w, 1, 63);
  frame.RequireRange("strideH", call.stride_h, 1, 63);
  const uint32_t block = kBlockBytes / element_bytes;
  frame.Require(call.k_start % block == 0, FaultKind::kArgument, "kStartPt", "%u is no multiple of %u elements",
                call.k_start, block);
  // Rules of the chip that this model does not follow further than the common case.
  frame.Require(call.channels % block == 0, FaultKind::kArgument, "channelSize",
                "%u: this simulator models whole blocks of %u channels only", call.channels, block);
  frame.Require(registers.repeat.repeatTime == 1, FaultKind::kArgument, "SetLoadDataRepeat",
                "this simulator models repeatTime 1 only, got %d", static_cast<int>(registers.repeat.repeatTime));
  frame.Require(registers.boundary == 0, FaultKind::kArgument, "SetLoadDataBoundary",
                "this simulator models no wrap-around in L1, got %u", registers.boundary);

  const ColumnMatrix matrix(registers, call, element_bytes);
  frame.Require(matrix.rows() > 0, FaultKind::kArgument, "l1H, l1W", "the filter is larger than the padded image");
  const int m_rows = static_cast<int>(call.m_extension), k_columns = static_cast<int>(call.k_extension);
  const int valid_rows = std::min(m_rows, matrix.rows() - static_cast<int>(call.m_start));
  frame.Require(valid_rows > 0, FaultKind::kArgument, "mStartPt", "%u is beyond the matrix's %d rows", call.m_start,
                matrix.rows());
  frame.Require(
      static_cast<int>(call.k_start) + k_columns <= static_cast<int>(CeilDiv(matrix.columns(), kSide) * kSide),
      FaultKind::kArgument, "kExtension", "%u + %d is beyond the matrix's %d columns", call.k_start, k_columns,
      matrix.columns());
  // Part of a fractal is loaded only where the matrix ends.
  const auto require_whole = [&](const char* parameter, int begin, int extension, int size, int fractal) {
    const bool at_end = begin + extension > (static_cast<int>(CeilDiv(size, fractal)) - 1) * fractal;
    frame.Require(at_end || extension % fractal == 0, FaultKind::kArgument, parameter,
                  "%d is no multiple of %d, and %d do not reach the last fractal of %d", extension, fractal,
                  begin + extension, size);
  };
  require_whole("kExtension", static_cast<int>(call.k_start), k_columns, matrix.columns(), static_cast<int>(block));
  if (element_bytes < 4) require_whole("mExtension", static_cast<int>(call.m_start), m_rows, matrix.rows(), kSide);
  const int valid_columns = std::min(k_columns, matrix.columns() - static_cast<int>(call.k_start));
  const uint32_t row_blocks = CeilDiv(m_rows, kSide);
  const uint32_t column_blocks = CeilDiv(k_columns, transpose && element_bytes == 4 ? kSide : block);

  // Where element (row, column) of the loaded matrix goes. Transposed, the rows become the depth of the product.
  const auto place = [&](uint32_t row, uint32_t column) -> uint64_t {
    uint32_t fractal, r, c;
    if (!transpose) {
      fractal = row / kSide * column_blocks + column / block;
      r = row % kSide;
      c = column % block;
    } else if (to_b) {  // depth blocks outside, 16 columns to a fractal
      fractal = row / block * CeilDiv(k_columns, kSide) + column / kSide;
      r = column % kSide;
      c = row % block;
    } else {  // L0A: the columns became rows; their depth is padded to 16
      const uint32_t depth_blocks = row_blocks * (kSide / block);
      fractal = column / kSide * depth_blocks + row / block;
      r = column % kSide;
      c = row % block;
    }
    return (uint64_t{fractal} * kSide + r) * kBlockBytes + uint64_t{c} * element_bytes;
  };
  const uint32_t depth_fractals = row_blocks * (kSide / block);
  const uint64_t fractals =
      transpose ? uint64_t{depth_fractals} * CeilDiv(k_columns, kSide) : uint64_t{row_blocks} * column_blocks;
  const bool b32_to_b = to_b && element_bytes == 4;
  const uint64_t dst_bytes =
      (b32_to_b ? uint64_t{CeilDiv(m_rows, block)} * CeilDiv(k_columns, kSide) : fractals) * kFractalBytes;
  frame.BoundsWrite(dst, dst_bytes);

  // Source blocks, declared in stretches.
  const int first_block = static_cast<int>(call.k_start / block);
  const int blocks = static_cast<int>(CeilDiv(valid_columns, block));
  uint64_t last = 0;
  for (int kb = 0; kb < blocks; ++kb) {
    for (int row = 0; row < valid_rows; ++row) {  // the last ones may lie in the padding
      last =
          std::max<int64_t>(last, matrix.Offset(static_cast<int>(call.m_start) + row, first_block + kb) + kBlockBytes);
    }
  }
  frame.BoundsRead(src, last);
  const auto move3d = [&](const uint8_t* source, uint8_t* destination, const uint8_t* outside) {
    // Transposed, the rows of one depth block and the columns of one channel block meet in one fractal.
    const int group = transpose ? static_cast<int>(block) : 1;
    for (int kb = 0; kb < blocks; ++kb) {
      const int count = std::min<int>(block, valid_columns - kb * static_cast<int>(block));
      for (int row = 0; row < valid_rows; row += group) {
        const int rows = std::min(group, valid_rows - row);
        const uint8_t* from[kSide];
        for (int i = 0; i < rows; ++i) {
          const int64_t at = matrix.Offset(static_cast<int>(call.m_start) + row + i, first_block + kb);
          from[i] = at < 0 ? outside : source + at;
        }
        uint8_t* to = destination + place(row, kb * block);
        if (!transpose) {
          std::memcpy(to, from[0], static_cast<uint64_t>(count) * element_bytes);
        } else if (element_bytes == 2) {
          TransposeRows<uint16_t>(from, rows, count, to);
        } else {
          TransposeRows<uint32_t>(from, rows, count, to);
        }
      }
    }
  };
  if (frame.checking()) {
    frame.AlignRead(src, kBlockBytes);
    AlignDestination(frame, dst);
    std::vector<ByteRange> holes;
    for (int kb = 0; kb < blocks; ++kb) {
      int64_t begin = -1, end = -1;
      for (int row = 0; row < valid_rows; ++row) {
        const int64_t at = matrix.Offset(static_cast<int>(call.m_start) + row, first_block + kb);
        if (at < 0) continue;
        if (at == end) {
          end += kBlockBytes;
          continue;
        }
        if (begin >= 0) frame.ReadThrough(src, static_cast<uint64_t>(begin), static_cast<uint64_t>(end - begin), holes);
        begin = at;
        end = at + kBlockBytes;
      }
      if (begin >= 0) frame.ReadThrough(src, static_cast<uint64_t>(begin), static_cast<uint64_t>(end - begin), holes);
    }
    // Whole fractals are written; what lies beyond the valid part is garbage.
    frame.Write(dst, 0, dst_bytes);
    const bool ragged = valid_rows % kSide != 0 || valid_columns % kSide != 0 || valid_rows < m_rows;
    if (ragged) {
      const uint32_t rows_there = b32_to_b ? CeilDiv(m_rows, block) * block : row_blocks * kSide;
      const uint32_t columns_there = transpose ? CeilDiv(k_columns, kSide) * kSide : column_blocks * block;
      for (uint32_t row = 0; row < rows_there; ++row) {
        for (uint32_t column = 0; column < columns_there; ++column) {
          if (static_cast<int>(row) < valid_rows && static_cast<int>(column) < valid_columns) continue;
          frame.Scramble(dst, place(row, column), element_bytes);
        }
      }
    }
    const uint8_t written[kBlockBytes] = {};
    CarryHoles(frame, dst, last, dst_bytes, holes,
               [&](const uint8_t* from, uint8_t* to) { move3d(from, to, written); });
  }

  uint8_t padding[kBlockBytes];
  for (uint32_t i = 0; i < block; ++i)
    std::memcpy(padding + i * element_bytes, &registers.padding_value, element_bytes);
  move3d(src.data, dst.data, padding);

  if (!frame.timing()) return;
  const uint64_t bytes =
      uint64_t{row_blocks} * kSide * column_blocks * (transpose && element_bytes == 4 ? kSide : block) * element_bytes;
  frame.Transfer(PathTo(dst), bytes, 1);
  // [cube] table 4: windows over several image rows, and strides, slow the path down.
  const double full = to_b ? cost::kL1ToL0b : cost::kL1ToL0a;
  const double image_rows =
      (call.m_start + valid_rows - 1) / matrix.out_width() - call.m_start / matrix.out_width() + 1;
  const double extra = to_b ? 2 : 0;
  double rate = full;
  const uint32_t stride = call.stride_w;
  if (stride == 1 && image_rows > 1) rate = 512 / (image_rows + 2 + extra);
  if (stride == 2 || stride == 4 || stride == 8) {
    rate = 512 / (stride * 2 + extra + (image_rows > 1 ? image_rows : 0));
  } else if (stride != 1) {
    rate = 0;
  }
  rate = std::min(full, std::max(rate, to_b ? 512.0 / 18 : 32.0));
  frame.Cost(bytes / rate - bytes / full);
}

void RunFill(Instruction& frame, const Operand& dst, uint32_t element_bytes, uint64_t value_bits, uint32_t repeats,
             uint32_t blocks, uint32_t gap) {
  RequireDestination(frame, dst, true);
  frame.RequireRange("repeatTimes", repeats, 0, 32767);
  frame.RequireRange("blockNum", blocks, 0, 32767);
  frame.RequireRange("dstGap", gap, 0, 32767);
  if (repeats == 0 || blocks == 0) return;
  const uint64_t unit = IsL0(dst) ? kFractalBytes : kBlockBytes;
  const uint64_t bytes = blocks * unit, pitch = (uint64_t{blocks} + gap) * unit;
  frame.BoundsWrite(dst, (repeats - 1) * pitch + bytes);
  if (frame.checking()) {
    AlignDestination(frame, dst);
    frame.WriteRows(dst, 0, bytes, repeats, pitch);
  }
  for (uint64_t repeat = 0; repeat < repeats; ++repeat) {
    for (uint64_t at = 0; at < bytes; at += element_bytes) {
      std::memcpy(dst.data + repeat * pitch + at, &value_bits, element_bytes);
    }
  }
  if (!frame.timing()) return;
  // No table gives a rate; the path's own is taken.
  const double rate = dst.memory == Hardware::L0B ? cost::kL1ToL0b : cost::kL1ToL0a;
  frame.Cost(static_cast<double>(repeats) * static_cast<double>(bytes) / rate);
}

}  // namespace ascend_sim
