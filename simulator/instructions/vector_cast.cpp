#include "instructions/vector_cast.h"

#include <cmath>
#include <cstring>

#include "instructions/half_batch.h"
#include "instructions/number_formats.h"
#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

using AscendC::RoundMode;

constexpr uint64_t kBatch = 256;

// Sets of rounding modes, a bit for each.
constexpr uint32_t Bit(RoundMode mode) { return 1u << static_cast<int>(mode); }
constexpr uint32_t kNone = Bit(RoundMode::CAST_NONE);
constexpr uint32_t kFive = Bit(RoundMode::CAST_RINT) | Bit(RoundMode::CAST_FLOOR) | Bit(RoundMode::CAST_CEIL) |
                           Bit(RoundMode::CAST_ROUND) | Bit(RoundMode::CAST_TRUNC);
constexpr uint32_t kAny = ~0u;

// The manual's table of rounding modes for each pair on this chip.
uint32_t AllowedModes(ElementType to, ElementType from) {
  using E = ElementType;
  switch (from) {
    case E::kInt8:
    case E::kUint8:
      return kNone;
    case E::kInt16:
      return to == E::kHalf ? kFive | kNone : kNone;
    case E::kHalf:
      if (to == E::kFloat) return kNone;
      return to == E::kInt8 || to == E::kUint8 ? kFive | kNone : kFive;
    case E::kBfloat16:
      return to == E::kFloat ? kNone : kFive;
    case E::kInt32:
      if (to == E::kHalf) return kAny;  // the scale of SetDeqScale decides
      return to == E::kFloat ? kFive | kNone : kNone;
    case E::kFloat:
      return to == E::kHalf ? kFive | kNone | Bit(RoundMode::CAST_ODD) : kFive;
    case E::kInt64:
      return to == E::kFloat ? kFive : kNone;
    default:
      return 0;
  }
}

template <typename T>
T Load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// One stretch into floats, exactly; integers of more than 24 bits are handled apart.
void WidenStretch(ElementType from, const uint8_t* src, uint64_t count, float* out) {
  switch (from) {
    case ElementType::kHalf:
      HalfToFloatBatch(reinterpret_cast<const uint16_t*>(src), out, count);
      break;
    case ElementType::kBfloat16:
      BfloatToFloatBatch(reinterpret_cast<const uint16_t*>(src), out, count);
      break;
    case ElementType::kInt8:
      for (uint64_t i = 0; i < count; ++i) out[i] = static_cast<int8_t>(src[i]);
      break;
    case ElementType::kUint8:
      for (uint64_t i = 0; i < count; ++i) out[i] = src[i];
      break;
    case ElementType::kInt16:
      for (uint64_t i = 0; i < count; ++i) out[i] = Load<int16_t>(src + i * 2);
      break;
    default:
      std::memcpy(out, src, count * sizeof(float));
      break;
  }
}

template <typename Integer>
void StoreIntegers(const float* in, uint64_t count, RoundMode mode, uint8_t* dst) {
  Integer* out = reinterpret_cast<Integer*>(dst);
  for (uint64_t i = 0; i < count; ++i) out[i] = FloatToInteger<Integer>(in[i], mode);
}

float Saturated(float value, float highest) {
  if (std::isnan(value)) return 0.0f;
  return std::min(std::max(value, -highest), highest);
}

void NarrowStretch(ElementType to, float* values, uint64_t count, RoundMode mode, bool saturate, uint8_t* dst) {
  const bool nearest = mode == RoundMode::CAST_RINT || mode == RoundMode::CAST_NONE;
  uint16_t* small = reinterpret_cast<uint16_t*>(dst);
  switch (to) {
    case ElementType::kHalf:
      if (saturate) {
        for (uint64_t i = 0; i < count; ++i) values[i] = Saturated(values[i], 65504.0f);
      }
      if (nearest) {
        FloatToHalfBatch(values, small, count);
      } else {
        for (uint64_t i = 0; i < count; ++i) small[i] = FloatToHalfBits(values[i], mode);
      }
      break;
    case ElementType::kBfloat16:
      if (saturate) {
        for (uint64_t i = 0; i < count; ++i) values[i] = Saturated(values[i], FloatOf(0x7f7f0000u));
      }
      if (nearest) {
        FloatToBfloatBatch(values, small, count);
      } else {
        for (uint64_t i = 0; i < count; ++i) small[i] = FloatToBfloatBits(values[i], mode);
      }
      break;
    case ElementType::kInt8:
      StoreIntegers<int8_t>(values, count, mode, dst);
      break;
    case ElementType::kUint8:
      StoreIntegers<uint8_t>(values, count, mode, dst);
      break;
    case ElementType::kInt16:
      StoreIntegers<int16_t>(values, count, mode, dst);
      break;
    case ElementType::kInt32:
      StoreIntegers<int32_t>(values, count, mode, dst);
      break;
    case ElementType::kInt64:
      StoreIntegers<int64_t>(values, count, mode, dst);
      break;
    default:
      std::memcpy(dst, values, count * sizeof(float));
      break;
  }
}

// From int32 and int64, whose values a float cannot hold.
void CastFromWide(ElementType to, ElementType from, RoundMode mode, float scale, bool saturate, const uint8_t* src,
                  uint64_t count, uint8_t* dst) {
  for (uint64_t i = 0; i < count; ++i) {
    const int64_t value = from == ElementType::kInt64 ? Load<int64_t>(src + i * 8) : Load<int32_t>(src + i * 4);
    if (to == ElementType::kFloat) {
      const float result = IntegerToFloat(value, mode);
      std::memcpy(dst + i * 4, &result, 4);
    } else if (to == ElementType::kInt64) {
      std::memcpy(dst + i * 8, &value, 8);
    } else if (to == ElementType::kInt32) {
      const int32_t result = Saturate<int32_t>(value);
      std::memcpy(dst + i * 4, &result, 4);
    } else if (to == ElementType::kInt16) {
      const int16_t result = Saturate<int16_t>(value);
      std::memcpy(dst + i * 2, &result, 2);
    } else {  // half
      float scaled = static_cast<float>(value) * scale;
      NarrowStretch(to, &scaled, 1, RoundMode::CAST_RINT, saturate, dst + i * 2);
    }
  }
}

double CastThroughput(const VectorOperand& dst, const VectorOperand& src) {
  return cost::kVectorLanesBytes / std::max({dst.element_bytes, src.element_bytes, 2u});
}

int LanesOf(const VectorOperand& dst, const VectorOperand& src) {
  return static_cast<int>(kRepeatBytes / std::max(dst.element_bytes, src.element_bytes));
}

}  // namespace

void RunCast(Instruction& frame, ElementType to, ElementType from, RoundMode mode, const VectorOperand& dst,
             const VectorOperand& src, const MaskArgument& mask, int repeats) {
  frame.Require((AllowedModes(to, from) >> static_cast<int>(mode)) & 1, FaultKind::kArgument, "roundMode",
                "mode %d (RoundMode) is not supported for this pair of data types", static_cast<int>(mode));
  const LaneSet set = ResolveLanes(frame, mask, LanesOf(dst, src), repeats);
  if (frame.checking()) {
    const bool narrowing = dst.element_bytes < src.element_bytes && dst.memory.address == src.memory.address;
    CheckOverlap(frame, dst, src, set, narrowing ? OverlapRule::kNarrowing : OverlapRule::kSameOrApart);
  }
  CheckRead(frame, src, set);
  CheckWrite(frame, dst, set);

  const VectorRegisters& registers = RegistersOf(frame);
  const bool wide = from == ElementType::kInt32 || from == ElementType::kInt64;
  ForEachPiece(set, std::array<VectorOperand, 2>{dst, src}, [&](uint64_t count, const std::array<uint8_t*, 2>& at) {
    float values[kBatch];
    for (uint64_t done = 0; done < count; done += kBatch) {
      const uint64_t n = std::min(kBatch, count - done);
      const uint8_t* in = at[1] + done * src.element_bytes;
      uint8_t* out = at[0] + done * dst.element_bytes;
      if (wide) {
        CastFromWide(to, from, mode, registers.deq_scale_half, registers.saturate, in, n, out);
        continue;
      }
      WidenStretch(from, in, n, values);
      if (to == ElementType::kFloat && from == ElementType::kFloat) {
        for (uint64_t i = 0; i < n; ++i) values[i] = static_cast<float>(RoundToIntegral(values[i], mode));
      }
      NarrowStretch(to, values, n, mode, registers.saturate, out);
    }
  });
  if (frame.timing()) frame.Cost(VectorCycles(set, CastThroughput(dst, src)));
}

void RunFusedCast(Instruction& frame, FusedCast op, ElementType to, ElementType from, const VectorOperand& dst,
                  const VectorOperand& src0, const VectorOperand& src1, const MaskArgument& mask, int repeats) {
  const LaneSet set = ResolveLanes(frame, mask, LanesOf(dst, src0), repeats);
  if (frame.checking()) {
    for (const VectorOperand* src : {&src0, &src1}) {
      CheckOverlap(frame, dst, *src, set,
                   dst.memory.address == src->memory.address ? OverlapRule::kNarrowing : OverlapRule::kSameOrApart);
    }
  }
  CheckRead(frame, src0, set);
  CheckRead(frame, src1, set);
  CheckWrite(frame, dst, set);
  const bool saturate = RegistersOf(frame).saturate;
  ForEachPiece(set, std::array<VectorOperand, 3>{dst, src0, src1},
               [&](uint64_t count, const std::array<uint8_t*, 3>& at) {
                 float a[kBatch], b[kBatch];
                 for (uint64_t done = 0; done < count; done += kBatch) {
                   const uint64_t n = std::min(kBatch, count - done);
                   WidenStretch(from, at[1] + done * src0.element_bytes, n, a);
                   WidenStretch(from, at[2] + done * src1.element_bytes, n, b);
                   for (uint64_t i = 0; i < n; ++i) {
                     float value = op == FusedCast::kAddRelu   ? a[i] + b[i]
                                   : op == FusedCast::kSubRelu ? a[i] - b[i]
                                                               : a[i] * b[i];
                     if (from == ElementType::kHalf) value = HalfBitsToFloat(FloatToHalfNearest(value));
                     if (from == ElementType::kInt16) value = FloatToInteger<int16_t>(value, RoundMode::CAST_RINT);
                     a[i] = op != FusedCast::kMul && value < 0 ? 0.0f : value;
                   }
                   NarrowStretch(to, a, n, RoundMode::CAST_RINT, saturate, at[0] + done * dst.element_bytes);
                 }
               });
  if (frame.timing()) frame.Cost(VectorCycles(set, CastThroughput(dst, src0)));
}

}  // namespace ascend_sim
