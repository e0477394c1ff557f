#include "instructions/vector_compare.h"

#include <cstring>

#include "instructions/half_batch.h"
#include "machine/core.h"
#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

using AscendC::CMPMODE;
using AscendC::SELMODE;

// Select between a tensor and a scalar, and with bits in memory, parks values here: 184 KB to 192 KB of UB.
constexpr uint32_t kParkingBegin = 184 * 1024;
constexpr uint32_t kParkingEnd = 192 * 1024;

template <typename T>
bool Holds(CMPMODE mode, T a, T b) {
  switch (mode) {
    case CMPMODE::LT:
      return a < b;
    case CMPMODE::GT:
      return a > b;
    case CMPMODE::EQ:
      return a == b;
    case CMPMODE::LE:
      return a <= b;
    case CMPMODE::GE:
      return a >= b;
    case CMPMODE::NE:
      return a != b;
  }
  return false;
}

// The lanes of one repeat as comparable numbers.
void LoadRepeat(ElementType type, const VectorOperand& operand, int repeat, int lanes, float* out) {
  const int per_block = static_cast<int>(operand.lanes_per_block());
  for (int lane = 0; lane < lanes; lane += per_block) {
    const uint8_t* at = operand.memory.data + operand.Offset(repeat, lane);
    if (type == ElementType::kHalf) {
      HalfToFloatBatch(reinterpret_cast<const uint16_t*>(at), out + lane, per_block);
    } else {
      std::memcpy(out + lane, at, kBlockBytes);
    }
  }
}

float ScalarAsLane(ElementType type, uint64_t bits) {
  if (type == ElementType::kHalf) return half::FromBits(static_cast<uint16_t>(bits));
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Bits of up to 128 lanes; int32 lanes travel as the bits of a float.
void CompareLanes(CMPMODE mode, ElementType type, const float* a, const float* b, int lanes, uint8_t* bits) {
  for (int byte = 0; byte < lanes / 8; ++byte) {
    uint8_t packed = 0;
    for (int bit = 0; bit < 8; ++bit) {
      const int lane = byte * 8 + bit;
      const bool holds =
          type == ElementType::kInt32 ? BitsOf(a[lane]) == BitsOf(b[lane]) : Holds(mode, a[lane], b[lane]);
      packed |= static_cast<uint8_t>(holds ? 1u << bit : 0u);
    }
    bits[byte] = packed;
  }
}

void RequireMode(const Instruction& frame, CMPMODE mode, ElementType type) {
  frame.Require(type != ElementType::kInt32 || mode == CMPMODE::EQ, FaultKind::kArgument, "cmpMode",
                "int32_t can be compared with CMPMODE::EQ only");
}

}  // namespace

int WholeRepeats(const Instruction& frame, uint32_t count, uint32_t element_bytes) {
  frame.Require(static_cast<uint64_t>(count) * element_bytes % kRepeatBytes == 0, FaultKind::kArgument, "count",
                "%u elements are no whole number of 256-byte repeats; the chip drops the rest", count);
  return static_cast<int>(static_cast<uint64_t>(count) * element_bytes / kRepeatBytes);
}

void RunCompare(Instruction& frame, CMPMODE mode, ElementType type, const Operand& dst, const VectorOperand& src0,
                const VectorOperand* src1, uint64_t scalar_bits, int repeats) {
  RequireMode(frame, mode, type);
  const int lanes = static_cast<int>(kRepeatBytes / src0.element_bytes);
  const LaneSet set = LaneSet::Prefix(lanes, lanes, repeats);
  const uint64_t bytes_per_repeat = lanes / 8;
  CheckRead(frame, src0, set);
  if (src1 != nullptr) CheckRead(frame, *src1, set);
  frame.BoundsWrite(dst, bytes_per_repeat * repeats);
  if (frame.checking() && repeats > 0) {
    frame.AlignWrite(dst, kBlockBytes);
    frame.Write(dst, 0, bytes_per_repeat * repeats);
  }
  float a[128], b[128];
  if (src1 == nullptr) std::fill_n(b, 128, ScalarAsLane(type, scalar_bits));
  for (int repeat = 0; repeat < repeats; ++repeat) {
    LoadRepeat(type, src0, repeat, lanes, a);
    if (src1 != nullptr) LoadRepeat(type, *src1, repeat, lanes, b);
    CompareLanes(mode, type, a, b, lanes, dst.data + repeat * bytes_per_repeat);
  }
  if (frame.timing()) frame.Cost(VectorCycles(set, cost::kVectorLanesBytes / src0.element_bytes));
}

void RunCompareToRegister(Instruction& frame, CMPMODE mode, ElementType type, const VectorOperand& src0,
                          const VectorOperand& src1, const MaskArgument& mask) {
  RequireMode(frame, mode, type);
  const int lanes = static_cast<int>(kRepeatBytes / src0.element_bytes);
  const LaneSet set = ResolveLanes(frame, mask, lanes, 1);
  CheckRead(frame, src0, set);
  CheckRead(frame, src1, set);
  float a[128], b[128];
  uint8_t bits[16];
  LoadRepeat(type, src0, 0, lanes, a);
  LoadRepeat(type, src1, 0, lanes, b);
  CompareLanes(mode, type, a, b, lanes, bits);
  std::array<uint8_t, 16>& compare_mask = RegistersOf(frame).compare_mask;
  for (int lane = 0; lane < lanes; ++lane) {
    if (!set.Active(0, lane)) continue;
    const uint8_t bit = static_cast<uint8_t>(1u << (lane % 8));
    compare_mask[lane / 8] = static_cast<uint8_t>((compare_mask[lane / 8] & ~bit) | (bits[lane / 8] & bit));
  }
  if (frame.timing()) frame.Cost(1);
}

void RunSetCmpMask(Instruction& frame, const Operand& src) {
  frame.BoundsRead(src, 16);
  if (frame.checking()) {
    frame.AlignRead(src, 16);
    frame.Read(src, 0, 8);
    frame.ReadDontCare(src, 8, 8);  // float lanes use the low half only
  }
  std::memcpy(RegistersOf(frame).compare_mask.data(), src.data, 16);
  if (frame.timing()) frame.Cost(1);
}

void RunGetCmpMask(Instruction& frame, const Operand& dst) {
  frame.BoundsWrite(dst, 128);  // the manual asks for 128 bytes of room
  if (frame.checking()) {
    frame.AlignWrite(dst, 16);
    frame.Write(dst, 0, 16);
  }
  std::memcpy(dst.data, RegistersOf(frame).compare_mask.data(), 16);
  if (frame.timing()) frame.Cost(1);
}

namespace {

void RequireParkingFree(const Instruction& frame) {
  if (!frame.core().memory(Hardware::UB).shadow().AnyLive(kParkingBegin, kParkingEnd)) return;
  frame.Fail(FaultKind::kOverlap, "UB", kParkingBegin, "UB",
             "Select in this mode uses UB bytes %u to %u itself, and a buffer lies there", kParkingBegin, kParkingEnd);
}

}  // namespace

void PrepareSelect(Instruction& frame, const Selection& selection, Location where) {
  const bool to_scalar = selection.mode == SELMODE::VSEL_TENSOR_SCALAR_MODE;
  frame.Require(to_scalar == (selection.src1 == nullptr), FaultKind::kArgument, "selMode", "%s",
                to_scalar ? "the scalar mode takes a scalar, not a second tensor"
                          : "this mode takes a second tensor, not a scalar");
  if (selection.mode == SELMODE::VSEL_CMPMASK_SPR) {
    RunSetCmpMask(frame, *selection.bits);
  } else {
    if (frame.checking()) RequireParkingFree(frame);
    const uint32_t word = static_cast<uint32_t>(to_scalar ? selection.scalar_bits : selection.bits->address);
    std::memcpy(RegistersOf(frame).compare_mask.data(), &word, sizeof(word));
    if (frame.timing()) frame.Cost(2);  // a Duplicate of 32 elements and the read of CmpMask
  }
  frame.core().Barrier(PIPE_V, where);
}

void RunSelect(Instruction& frame, ElementType type, const VectorOperand& dst, const VectorOperand& src0,
               const Selection& selection, const MaskArgument& mask, int repeats) {
  const bool fixed_bits = selection.mode == SELMODE::VSEL_CMPMASK_SPR;
  const int lanes = static_cast<int>(kRepeatBytes / src0.element_bytes);
  const VectorRegisters& registers = RegistersOf(frame);
  const LaneSet set = ResolveLanes(frame, mask, lanes, repeats);
  Operand bits = selection.bits != nullptr ? *selection.bits : Operand{};
  if (selection.mode == SELMODE::VSEL_TENSOR_TENSOR_MODE && selection.bits == nullptr) {
    uint32_t address;
    std::memcpy(&address, registers.compare_mask.data(), sizeof(address));
    const uint64_t bytes = static_cast<uint64_t>(set.repeats()) * lanes / 8;
    bits = frame.Raw("selMask", Hardware::UB, address, bytes);
  }
  const uint64_t bit_bytes =
      set.empty() || fixed_bits ? 0 : (static_cast<uint64_t>(set.full_repeats) * lanes + set.tail + 7) / 8;
  if (!fixed_bits) frame.BoundsRead(bits, bit_bytes);
  if (frame.checking()) {
    if (!fixed_bits) {
      frame.AlignRead(bits, kBlockBytes);
      if (bit_bytes > 0) frame.Read(bits, 0, bit_bytes);
    }
    CheckOverlap(frame, dst, src0, set, OverlapRule::kSameOrApart);
    if (selection.src1 != nullptr) CheckOverlap(frame, dst, *selection.src1, set, OverlapRule::kSameOrApart);
  }
  CheckRead(frame, src0, set);
  if (selection.src1 != nullptr) CheckRead(frame, *selection.src1, set);
  CheckWrite(frame, dst, set);

  uint8_t scalar[4];
  std::memcpy(scalar, registers.compare_mask.data(), sizeof(scalar));
  const std::array<uint8_t, 16> fixed = registers.compare_mask;
  const uint32_t size = src0.element_bytes;
  // Walks with the bits: the lane of a stretch is recovered from the destination only when strides are irregular, so
  // lanes are visited here.
  const auto select_run = [&](int repeat, int first, int count) {
    for (int lane = first; lane < first + count; ++lane) {
      const uint64_t position = fixed_bits ? lane : static_cast<uint64_t>(repeat) * lanes + lane;
      const uint8_t byte = fixed_bits ? fixed[position / 8] : bits.data[position / 8];
      const uint8_t* from = src0.memory.data + src0.Offset(repeat, lane);
      if (!((byte >> (position % 8)) & 1)) {
        from = selection.src1 != nullptr ? selection.src1->memory.data + selection.src1->Offset(repeat, lane) : scalar;
      }
      std::memcpy(dst.memory.data + dst.Offset(repeat, lane), from, size);
    }
  };
  // The common case, a stretch without gaps, without a multiplication per lane.
  const auto select_flat = [&](auto element) {
    using T = decltype(element);
    const uint64_t count = static_cast<uint64_t>(set.full_repeats) * lanes + set.tail;
    T* out = reinterpret_cast<T*>(dst.memory.data);
    const T* a = reinterpret_cast<const T*>(src0.memory.data);
    T fallback;
    std::memcpy(&fallback, scalar, sizeof(T));
    const T* b = selection.src1 != nullptr ? reinterpret_cast<const T*>(selection.src1->memory.data) : nullptr;
    for (uint64_t start = 0; start < count; start += 8) {
      const unsigned byte = fixed_bits ? fixed[start % lanes / 8] : bits.data[start / 8];
      const uint64_t stop = std::min<uint64_t>(8, count - start);
      for (uint64_t i = 0; i < stop; ++i) {
        const T other = b != nullptr ? b[start + i] : fallback;
        out[start + i] = (byte >> i) & 1 ? a[start + i] : other;
      }
    }
  };
  const bool flat = set.every_lane() && dst.Flat(lanes) && src0.Flat(lanes) &&
                    (selection.src1 == nullptr || selection.src1->Flat(lanes));
  if (flat && type == ElementType::kHalf) {
    select_flat(uint16_t{});
  } else if (flat) {
    select_flat(uint32_t{});
  } else {
    for (int repeat = 0; repeat < set.full_repeats; ++repeat) {
      for (int i = 0; i < set.run_count; ++i) select_run(repeat, set.runs[i].first, set.runs[i].count);
    }
    if (set.tail > 0) select_run(set.full_repeats, 0, set.tail);
  }
  if (frame.timing()) frame.Cost(VectorCycles(set, cost::kVectorLanesBytes / size));
}

}  // namespace ascend_sim
