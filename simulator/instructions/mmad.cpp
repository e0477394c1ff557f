#include "instructions/mmad.h"

#include "machine/core.h"
#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

constexpr uint64_t kSide = 16;
constexpr uint64_t kFractalBytes = 512;
constexpr uint64_t kResultFractalBytes = kSide * kSide * 4;

uint64_t CeilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

uint32_t InputBytes(ElementType input) {
  if (input == ElementType::kInt8) return 1;
  return input == ElementType::kFloat ? 4 : 2;
}

// Calls declare(offset, bytes, rows, pitch) for the valid part of A: rows of fractals, `depth` elements to a block.
template <typename Declare>
void ForEachSpanOfA(const MmadShape& shape, uint64_t depth, uint64_t element_bytes, Declare&& declare) {
  const uint64_t m = shape.m, k = shape.k;
  if (shape.gemv) {
    declare(0, k * element_bytes, 1, 0);
    return;
  }
  const uint64_t whole = k / depth, tail_bytes = k % depth * element_bytes;
  for (uint64_t m1 = 0; m1 * kSide < m; ++m1) {
    const uint64_t rows = std::min(kSide, m - m1 * kSide);
    const uint64_t base = m1 * shape.a_k_blocks * kFractalBytes;
    if (whole > 0 && rows == kSide) {
      declare(base, whole * kFractalBytes, 1, 0);
    } else if (whole > 0) {
      declare(base, rows * kBlockBytes, whole, kFractalBytes);
    }
    if (tail_bytes > 0) declare(base + whole * kFractalBytes, tail_bytes, rows, kBlockBytes);
  }
}

// The valid part of B: within a depth block the columns of all fractals follow each other, 32 bytes each.
template <typename Declare>
void ForEachSpanOfB(const MmadShape& shape, uint64_t depth, uint64_t element_bytes, Declare&& declare) {
  const uint64_t n = shape.n, k = shape.k;
  const uint64_t pitch = CeilDiv(n, kSide) * kFractalBytes;
  const uint64_t whole = k / depth, tail_bytes = k % depth * element_bytes;
  if (whole > 0 && n % kSide == 0) {
    declare(0, whole * pitch, 1, 0);
  } else if (whole > 0) {
    declare(0, n * kBlockBytes, whole, pitch);
  }
  if (tail_bytes > 0) declare(whole * pitch, tail_bytes, n, kBlockBytes);
}

// The valid part of C: strips of 16 columns, rows of 64 bytes.
template <typename Declare>
void ForEachSpanOfC(const MmadShape& shape, Declare&& declare) {
  const uint64_t m = shape.m, n = shape.n;
  const uint64_t pitch = CeilDiv(m, kSide) * kResultFractalBytes;
  const uint64_t whole = n / kSide, tail_bytes = n % kSide * 4;
  if (whole > 0) declare(0, m * kSide * 4, whole, pitch);
  if (tail_bytes > 0) declare(whole * pitch, tail_bytes, m, kSide * 4);
}

}  // namespace

void EnterUnits(Instruction& frame, const Operand& c, uint64_t bytes, uint8_t unit_flag, UnitUse use) {
  frame.Require(unit_flag == 0 || unit_flag == 2 || unit_flag == 3, FaultKind::kArgument, "unitFlag",
                "expected 0, 2 or 3, got %d", unit_flag);
  if (unit_flag == 0) return;
  CubeRegisters& registers = frame.core().cube;
  for (uint64_t unit = c.address / kFractalBytes; unit * kFractalBytes < c.address + bytes; ++unit) {
    const bool full = registers.unit_full[unit];
    if (use == UnitUse::kWrite && full) {
      frame.Fail(FaultKind::kDeadlock, c,
                 "waits for ever: the unit flag of L0C byte %llu says that a Fixpipe with unitFlag has yet to read it",
                 static_cast<unsigned long long>(unit * kFractalBytes));
    }
    if (use == UnitUse::kRead && !full) {
      frame.Fail(FaultKind::kDeadlock, c,
                 "waits for ever: no Mmad with unitFlag 3 has filled L0C byte %llu (or it was read already)",
                 static_cast<unsigned long long>(unit * kFractalBytes));
    }
    if (frame.checking()) frame.AcquireFrom(registers.unit_cell[unit]);
  }
}

void LeaveUnits(Instruction& frame, const Operand& c, uint64_t bytes, uint8_t unit_flag, UnitUse use) {
  if (unit_flag != 3) return;
  CubeRegisters& registers = frame.core().cube;
  for (uint64_t unit = c.address / kFractalBytes; unit * kFractalBytes < c.address + bytes; ++unit) {
    registers.unit_full[unit] = use == UnitUse::kWrite;
    if (frame.checking()) frame.ReleaseTo(registers.unit_cell[unit]);
  }
}

void RunMmad(Instruction& frame, ElementType input, const Operand& c, const Operand& a, const Operand& b,
             const Operand* bias, const AscendC::MmadParams& params) {
  frame.RequireRange("m", params.m, 0, 4095);
  frame.RequireRange("n", params.n, 0, 4095);
  frame.RequireRange("k", params.k, 0, 4095);
  frame.Require(!params.kDirectionAlign || input == ElementType::kFloat, FaultKind::kArgument, "kDirectionAlign",
                "applies to float inputs only");
  if (params.m == 0 || params.n == 0 || params.k == 0) return;

  const uint64_t element_bytes = InputBytes(input);
  const uint64_t depth = kBlockBytes / element_bytes;
  MmadShape shape;
  shape.m = params.m;
  shape.n = params.n;
  shape.k = params.k;
  shape.a_k_blocks =
      static_cast<int>(params.kDirectionAlign ? CeilDiv(params.k, kSide) * kSide / depth : CeilDiv(params.k, depth));
  shape.gemv = params.m == 1;

  AccumulatorSource source = AccumulatorSource::kL0C;
  if (params.cmatrixInitVal && !params.isBias) source = AccumulatorSource::kZero;
  if (bias == nullptr) {
    frame.Require(!params.cmatrixSource, FaultKind::kArgument, "cmatrixSource",
                  "a bias table is used through the form of Mmad that takes the bias tensor");
  } else {
    frame.Require(bias->memory == Hardware::BIAS || bias->memory == Hardware::L0C, FaultKind::kPosition, "bias",
                  "lies in the bias table (C2) or in L0C (CO1)");
    frame.Require(!params.cmatrixInitVal, FaultKind::kArgument, "cmatrixInitVal",
                  "with cmatrixInitVal the result starts from 0 and the bias has no effect");
    if (bias->memory == Hardware::BIAS) source = AccumulatorSource::kBias;
  }

  const uint64_t m_blocks = CeilDiv(params.m, kSide), n_blocks = CeilDiv(params.n, kSide);
  const uint64_t c_bytes = m_blocks * n_blocks * kResultFractalBytes;
  frame.BoundsWrite(c, c_bytes);
  frame.BoundsRead(a, shape.gemv ? CeilDiv(params.k * element_bytes, kBlockBytes) * kBlockBytes
                                 : ((m_blocks - 1) * shape.a_k_blocks + CeilDiv(params.k, depth)) * kFractalBytes);
  frame.BoundsRead(b, CeilDiv(params.k, depth) * n_blocks * kFractalBytes);
  if (source == AccumulatorSource::kBias) frame.BoundsRead(*bias, params.n * uint64_t{4});

  EnterUnits(frame, c, c_bytes, params.unitFlag, UnitUse::kWrite);
  CubeRegisters& registers = frame.core().cube;
  const uint64_t first_unit = c.address / kFractalBytes, units = CeilDiv(c_bytes, kFractalBytes);
  if (frame.checking()) {
    frame.AlignRead(a, kFractalBytes);
    frame.AlignRead(b, kFractalBytes);
    frame.AlignWrite(c, kResultFractalBytes);
    const auto read = [&](const Operand& operand) {
      return [&](uint64_t offset, uint64_t bytes, uint64_t rows, uint64_t pitch) {
        frame.ReadRows(operand, offset, bytes, rows, pitch);
      };
    };
    ForEachSpanOfA(shape, depth, element_bytes, read(a));
    ForEachSpanOfB(shape, depth, element_bytes, read(b));
    if (source == AccumulatorSource::kBias) {
      frame.AlignRead(*bias, 64);
      frame.Read(*bias, 0, params.n * uint64_t{4});
    }
    if (source == AccumulatorSource::kL0C) {
      ForEachSpanOfC(shape, read(c));
      for (uint64_t unit = first_unit; unit < first_unit + units; ++unit) {
        const Tick small = registers.small_product[unit];
        if (small != 0 && !frame.Barriered(small)) {
          frame.Fail(FaultKind::kMissingBarrier, c,
                     "accumulates on an Mmad too small for the pipe to order by itself: (m/16)*(n/16) < 10 needs "
                     "PipeBarrier<PIPE_M> in between");
        }
      }
    }
    ForEachSpanOfC(shape, [&](uint64_t offset, uint64_t bytes, uint64_t rows, uint64_t pitch) {
      frame.WriteRows(c, offset, bytes, rows, pitch);
    });
    const bool is_small = (params.m / kSide) * (params.n / kSide) < 10;
    for (uint64_t unit = first_unit; unit < first_unit + units; ++unit) {
      registers.small_product[unit] = is_small ? frame.tick() : 0;
    }
  }

  if (input == ElementType::kInt8) {
    MmadInt8(c.As<int32_t>(), a.As<int8_t>(), b.As<int8_t>(), bias != nullptr ? bias->As<int32_t>() : nullptr, shape,
             source);
  } else {
    CubeInput kind = CubeInput::kHalf;
    if (input == ElementType::kBfloat16) kind = CubeInput::kBfloat16;
    if (input == ElementType::kFloat) {
      kind = !registers.hf32               ? CubeInput::kFloat
             : registers.hf32_ties_to_zero ? CubeInput::kHf32Zero
                                           : CubeInput::kHf32Even;
    }
    MmadFloat(c.As<float>(), a.data, b.data, bias != nullptr ? bias->As<float>() : nullptr, kind, shape, source);
  }
  LeaveUnits(frame, c, c_bytes, params.unitFlag, UnitUse::kWrite);

  if (!frame.timing()) return;
  double macs = cost::kCubeMacsHalf;
  if (input == ElementType::kInt8) macs = cost::kCubeMacsInt8;
  if (input == ElementType::kFloat) macs = registers.hf32 ? cost::kCubeMacsHf32 : cost::kCubeMacsFloat;
  frame.Cost(static_cast<double>(m_blocks * kSide * n_blocks * kSide * CeilDiv(params.k, depth) * depth) / macs);
}

}  // namespace ascend_sim
