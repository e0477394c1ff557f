#include "instructions/vector_arithmetic.h"

#include <cmath>
#include <limits>

#include "instructions/half_batch.h"
#include "instructions/number_formats.h"
#include "instructions/vector_exp.h"
#include "machine/cost_model.h"

namespace ascend_sim {
namespace {

constexpr uint64_t kBatch = 256;  // elements a 16-bit float loop widens at a time

// Integer arithmetic wraps.
template <typename T, typename F>
T Wrap(T a, T b, F f) {
  using Unsigned = std::make_unsigned_t<T>;
  return static_cast<T>(f(static_cast<Unsigned>(a), static_cast<Unsigned>(b)));
}

// A NaN in either operand is the result.
template <typename T>
T Larger(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return a > b || a != a ? a : b;
  return a > b ? a : b;
}
template <typename T>
T Smaller(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return a < b || a != a ? a : b;
  return a < b ? a : b;
}
template <typename T>
T Rectified(T a) {
  return Larger(a, T{0});
}

template <BinaryOp kOp, typename T>
T ApplyBinary(T a, T b, T old) {
  constexpr bool kFloating = std::is_floating_point_v<T>;
  if constexpr (kOp == BinaryOp::kAdd) {
    if constexpr (kFloating)
      return a + b;
    else
      return Wrap(a, b, [](auto x, auto y) { return x + y; });
  } else if constexpr (kOp == BinaryOp::kSub) {
    if constexpr (kFloating)
      return a - b;
    else
      return Wrap(a, b, [](auto x, auto y) { return x - y; });
  } else if constexpr (kOp == BinaryOp::kMul) {
    if constexpr (kFloating)
      return a * b;
    else
      return static_cast<T>(static_cast<uint64_t>(static_cast<int64_t>(a) * static_cast<int64_t>(b)));
  } else if constexpr (kOp == BinaryOp::kDiv) {
    return a / b;
  } else if constexpr (kOp == BinaryOp::kMax) {
    return Larger(a, b);
  } else if constexpr (kOp == BinaryOp::kMin) {
    return Smaller(a, b);
  } else if constexpr (kOp == BinaryOp::kAnd) {
    return static_cast<T>(a & b);
  } else if constexpr (kOp == BinaryOp::kOr) {
    return static_cast<T>(a | b);
  } else if constexpr (kOp == BinaryOp::kAddRelu) {
    return Rectified(ApplyBinary<BinaryOp::kAdd>(a, b, old));
  } else if constexpr (kOp == BinaryOp::kSubRelu) {
    return Rectified(ApplyBinary<BinaryOp::kSub>(a, b, old));
  } else if constexpr (kOp == BinaryOp::kMulAddDst) {
    return a * b + old;
  } else if constexpr (kOp == BinaryOp::kFusedMulAdd) {
    return a * old + b;
  } else {
    static_assert(kOp == BinaryOp::kFusedMulAddRelu);
    return Rectified(a * old + b);
  }
}

template <UnaryOp kOp, typename T>
T ApplyUnary(T a) {
  if constexpr (kOp == UnaryOp::kAbs) return std::fabs(a);
  if constexpr (kOp == UnaryOp::kLn) return std::log(a);
  if constexpr (kOp == UnaryOp::kSqrt) return std::sqrt(a);
  if constexpr (kOp == UnaryOp::kRsqrt) return 1.0f / std::sqrt(a);
  if constexpr (kOp == UnaryOp::kReciprocal) return 1.0f / a;
  if constexpr (kOp == UnaryOp::kRelu) return Rectified(a);
  if constexpr (kOp == UnaryOp::kNot) return static_cast<T>(~a);
}

template <ScalarOp kOp, typename T>
T ApplyScalar(T a, T scalar, T old) {
  if constexpr (kOp == ScalarOp::kAdds) return ApplyBinary<BinaryOp::kAdd>(a, scalar, old);
  if constexpr (kOp == ScalarOp::kMuls) return ApplyBinary<BinaryOp::kMul>(a, scalar, old);
  if constexpr (kOp == ScalarOp::kMaxs) return Larger(a, scalar);
  if constexpr (kOp == ScalarOp::kMins) return Smaller(a, scalar);
  if constexpr (kOp == ScalarOp::kLeakyRelu) return a >= 0 ? a : a * scalar;
  if constexpr (kOp == ScalarOp::kShiftLeft) {
    return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) << scalar);
  }
  if constexpr (kOp == ScalarOp::kShiftRight) return static_cast<T>(a >> scalar);
  if constexpr (kOp == ScalarOp::kShiftRightRound) {
    const int64_t wide = a;
    return static_cast<T>(scalar == 0 ? wide : (wide + (int64_t{1} << (scalar - 1))) >> scalar);
  }
  if constexpr (kOp == ScalarOp::kAxpy) return a * scalar + old;
}

// CTRL[48] = 0: a NaN becomes 0, an infinity the largest finite value.
void SaturateHalves(float* values, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    values[i] = std::isnan(values[i]) ? 0.0f : std::min(std::max(values[i], -65504.0f), 65504.0f);
  }
}

// Stretches of 16-bit floats are widened, computed in fp32 and rounded once. `f(a, b, old)`; what an instruction does
// not read is handed over as a.
template <typename F>
void HalfLoop(uint16_t* dst, const uint16_t* a, const uint16_t* b, bool reads_dst, bool saturate, uint64_t count, F f) {
  float wide_a[kBatch], wide_b[kBatch], wide_dst[kBatch], result[kBatch];
  const float* second = b != nullptr ? wide_b : wide_a;
  const float* old = reads_dst ? wide_dst : wide_a;
  for (uint64_t done = 0; done < count; done += kBatch) {
    const uint64_t n = std::min(kBatch, count - done);
    HalfToFloatBatch(a + done, wide_a, n);
    if (b != nullptr) HalfToFloatBatch(b + done, wide_b, n);
    if (reads_dst) HalfToFloatBatch(dst + done, wide_dst, n);
    for (uint64_t i = 0; i < n; ++i) result[i] = f(wide_a[i], second[i], old[i]);
    if (saturate) SaturateHalves(result, n);
    FloatToHalfBatch(result, dst + done, n);
  }
}

// Half sources accumulated into float.
template <typename F>
void MixedLoop(float* dst, const uint16_t* a, const uint16_t* b, uint64_t count, F f) {
  float wide_a[kBatch], wide_b[kBatch];
  const float* second = b != nullptr ? wide_b : wide_a;
  for (uint64_t done = 0; done < count; done += kBatch) {
    const uint64_t n = std::min(kBatch, count - done);
    HalfToFloatBatch(a + done, wide_a, n);
    if (b != nullptr) HalfToFloatBatch(b + done, wide_b, n);
    for (uint64_t i = 0; i < n; ++i) dst[done + i] = f(wide_a[i], second[i], dst[done + i]);
  }
}

template <typename T, typename F>
void PlainLoop(T* dst, const T* a, const T* b, uint64_t count, F f) {
  // Operands are equal or apart (CheckOverlap), so no lane depends on another.
#pragma GCC ivdep
  for (uint64_t i = 0; i < count; ++i) dst[i] = f(a[i], b[i], dst[i]);
}

struct Stretch {
  uint8_t* dst;
  const uint8_t* a;
  const uint8_t* b;
  uint64_t count;
  uint64_t scalar;
  bool saturate;
};

template <typename T>
T FromBits(uint64_t bits) {
  T value;
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}

using StretchFunction = void (*)(const Stretch&);

constexpr bool ReadsDst(BinaryOp op) {
  return op == BinaryOp::kMulAddDst || op == BinaryOp::kFusedMulAdd || op == BinaryOp::kFusedMulAddRelu;
}

template <BinaryOp kOp, typename T>
void BinaryStretch(const Stretch& s) {
  PlainLoop(reinterpret_cast<T*>(s.dst), reinterpret_cast<const T*>(s.a), reinterpret_cast<const T*>(s.b), s.count,
            [](T a, T b, T old) { return ApplyBinary<kOp>(a, b, old); });
}
template <BinaryOp kOp>
void BinaryHalf(const Stretch& s) {
  HalfLoop(reinterpret_cast<uint16_t*>(s.dst), reinterpret_cast<const uint16_t*>(s.a),
           reinterpret_cast<const uint16_t*>(s.b), ReadsDst(kOp), s.saturate, s.count,
           [](float a, float b, float old) { return ApplyBinary<kOp>(a, b, old); });
}
template <BinaryOp kOp>
void BinaryMixed(const Stretch& s) {
  MixedLoop(reinterpret_cast<float*>(s.dst), reinterpret_cast<const uint16_t*>(s.a),
            reinterpret_cast<const uint16_t*>(s.b), s.count,
            [](float a, float b, float old) { return ApplyBinary<kOp>(a, b, old); });
}

template <BinaryOp kOp>
StretchFunction FloatingBinary(ElementType dst, ElementType src) {
  if (dst == ElementType::kFloat && src == ElementType::kHalf) return BinaryMixed<kOp>;
  return dst == ElementType::kHalf ? BinaryHalf<kOp> : BinaryStretch<kOp, float>;
}
template <BinaryOp kOp>
StretchFunction NumericBinary(ElementType type) {
  if (type == ElementType::kInt16) return BinaryStretch<kOp, int16_t>;
  if (type == ElementType::kInt32) return BinaryStretch<kOp, int32_t>;
  return FloatingBinary<kOp>(type, type);
}

StretchFunction ChooseBinary(BinaryOp op, ElementType dst, ElementType src) {
  switch (op) {
    case BinaryOp::kAdd:
      return NumericBinary<BinaryOp::kAdd>(dst);
    case BinaryOp::kSub:
      return NumericBinary<BinaryOp::kSub>(dst);
    case BinaryOp::kMul:
      return NumericBinary<BinaryOp::kMul>(dst);
    case BinaryOp::kDiv:
      return FloatingBinary<BinaryOp::kDiv>(dst, src);
    case BinaryOp::kMax:
      return NumericBinary<BinaryOp::kMax>(dst);
    case BinaryOp::kMin:
      return NumericBinary<BinaryOp::kMin>(dst);
    case BinaryOp::kAnd:
      return BinaryStretch<BinaryOp::kAnd, uint16_t>;
    case BinaryOp::kOr:
      return BinaryStretch<BinaryOp::kOr, uint16_t>;
    case BinaryOp::kAddRelu:
      return NumericBinary<BinaryOp::kAddRelu>(dst);
    case BinaryOp::kSubRelu:
      return NumericBinary<BinaryOp::kSubRelu>(dst);
    case BinaryOp::kMulAddDst:
      return FloatingBinary<BinaryOp::kMulAddDst>(dst, src);
    case BinaryOp::kFusedMulAdd:
      return FloatingBinary<BinaryOp::kFusedMulAdd>(dst, src);
    case BinaryOp::kFusedMulAddRelu:
      return FloatingBinary<BinaryOp::kFusedMulAddRelu>(dst, src);
  }
  return nullptr;
}

template <UnaryOp kOp, typename T>
void UnaryStretch(const Stretch& s) {
  PlainLoop(reinterpret_cast<T*>(s.dst), reinterpret_cast<const T*>(s.a), reinterpret_cast<const T*>(s.a), s.count,
            [](T a, T, T) { return ApplyUnary<kOp>(a); });
}
template <UnaryOp kOp>
void UnaryHalf(const Stretch& s) {
  HalfLoop(reinterpret_cast<uint16_t*>(s.dst), reinterpret_cast<const uint16_t*>(s.a), nullptr, false, s.saturate,
           s.count, [](float a, float, float) { return ApplyUnary<kOp>(a); });
}
template <UnaryOp kOp>
StretchFunction FloatingUnary(ElementType type) {
  return type == ElementType::kHalf ? UnaryHalf<kOp> : UnaryStretch<kOp, float>;
}

void ExpFloat(const Stretch& s) {
  ExpBatch(reinterpret_cast<const float*>(s.a), reinterpret_cast<float*>(s.dst), s.count);
}
void ExpHalf(const Stretch& s) {
  float values[kBatch];
  for (uint64_t done = 0; done < s.count; done += kBatch) {
    const uint64_t n = std::min(kBatch, s.count - done);
    HalfToFloatBatch(reinterpret_cast<const uint16_t*>(s.a) + done, values, n);
    ExpBatch(values, values, n);
    if (s.saturate) SaturateHalves(values, n);
    FloatToHalfBatch(values, reinterpret_cast<uint16_t*>(s.dst) + done, n);
  }
}

StretchFunction ChooseUnary(UnaryOp op, ElementType type) {
  switch (op) {
    case UnaryOp::kAbs:
      return FloatingUnary<UnaryOp::kAbs>(type);
    case UnaryOp::kExp:
      return type == ElementType::kHalf ? ExpHalf : ExpFloat;
    case UnaryOp::kLn:
      return FloatingUnary<UnaryOp::kLn>(type);
    case UnaryOp::kSqrt:
      return FloatingUnary<UnaryOp::kSqrt>(type);
    case UnaryOp::kRsqrt:
      return FloatingUnary<UnaryOp::kRsqrt>(type);
    case UnaryOp::kReciprocal:
      return FloatingUnary<UnaryOp::kReciprocal>(type);
    case UnaryOp::kRelu:
      return type == ElementType::kInt32 ? UnaryStretch<UnaryOp::kRelu, int32_t> : FloatingUnary<UnaryOp::kRelu>(type);
    case UnaryOp::kNot:
      return UnaryStretch<UnaryOp::kNot, uint16_t>;
  }
  return nullptr;
}

template <ScalarOp kOp, typename T>
void ScalarStretch(const Stretch& s) {
  const T scalar = FromBits<T>(s.scalar);
  PlainLoop(reinterpret_cast<T*>(s.dst), reinterpret_cast<const T*>(s.a), reinterpret_cast<const T*>(s.a), s.count,
            [scalar](T a, T, T old) { return ApplyScalar<kOp>(a, scalar, old); });
}
template <ScalarOp kOp>
void ScalarHalf(const Stretch& s) {
  const float scalar = HalfBitsToFloat(static_cast<uint16_t>(s.scalar));
  HalfLoop(reinterpret_cast<uint16_t*>(s.dst), reinterpret_cast<const uint16_t*>(s.a), nullptr, kOp == ScalarOp::kAxpy,
           s.saturate, s.count, [scalar](float a, float, float old) { return ApplyScalar<kOp>(a, scalar, old); });
}
template <ScalarOp kOp>
StretchFunction FloatingScalar(ElementType type) {
  return type == ElementType::kHalf ? ScalarHalf<kOp> : ScalarStretch<kOp, float>;
}
template <ScalarOp kOp>
StretchFunction NumericScalar(ElementType type) {
  if (type == ElementType::kInt16) return ScalarStretch<kOp, int16_t>;
  if (type == ElementType::kInt32) return ScalarStretch<kOp, int32_t>;
  return FloatingScalar<kOp>(type);
}
template <ScalarOp kOp>
StretchFunction IntegerScalar(ElementType type) {
  if (type == ElementType::kInt16) return ScalarStretch<kOp, int16_t>;
  if (type == ElementType::kUint16) return ScalarStretch<kOp, uint16_t>;
  return type == ElementType::kInt32 ? ScalarStretch<kOp, int32_t> : ScalarStretch<kOp, uint32_t>;
}
void AxpyMixed(const Stretch& s) {
  const float scalar = HalfBitsToFloat(static_cast<uint16_t>(s.scalar));
  MixedLoop(reinterpret_cast<float*>(s.dst), reinterpret_cast<const uint16_t*>(s.a), nullptr, s.count,
            [scalar](float a, float, float old) { return ApplyScalar<ScalarOp::kAxpy>(a, scalar, old); });
}

StretchFunction ChooseScalar(ScalarOp op, ElementType dst, ElementType src) {
  switch (op) {
    case ScalarOp::kAdds:
      return NumericScalar<ScalarOp::kAdds>(dst);
    case ScalarOp::kMuls:
      return NumericScalar<ScalarOp::kMuls>(dst);
    case ScalarOp::kMaxs:
      return NumericScalar<ScalarOp::kMaxs>(dst);
    case ScalarOp::kMins:
      return NumericScalar<ScalarOp::kMins>(dst);
    case ScalarOp::kLeakyRelu:
      return FloatingScalar<ScalarOp::kLeakyRelu>(dst);
    case ScalarOp::kShiftLeft:
      return IntegerScalar<ScalarOp::kShiftLeft>(dst);
    case ScalarOp::kShiftRight:
      return IntegerScalar<ScalarOp::kShiftRight>(dst);
    case ScalarOp::kShiftRightRound:
      return IntegerScalar<ScalarOp::kShiftRightRound>(dst);
    case ScalarOp::kAxpy:
      return dst != src ? AxpyMixed : FloatingScalar<ScalarOp::kAxpy>(dst);
  }
  return nullptr;
}

// Elements a cycle, from the manual's table of vector throughput. A repeat holds the lanes of its widest operand.
double Throughput(uint32_t widest_bytes) { return cost::kVectorLanesBytes / widest_bytes; }

int LanesOf(const VectorOperand& a, const VectorOperand& b) {
  return static_cast<int>(kRepeatBytes / std::max(a.element_bytes, b.element_bytes));
}

}  // namespace

void RunUnary(Instruction& frame, UnaryOp op, ElementType type, const VectorOperand& dst, const VectorOperand& src,
              const MaskArgument& mask, int repeats) {
  const LaneSet set = ResolveLanes(frame, mask, LanesOf(dst, src), repeats);
  if (frame.checking()) CheckOverlap(frame, dst, src, set, OverlapRule::kSameOrApart);
  CheckRead(frame, src, set);
  CheckWrite(frame, dst, set);
  const StretchFunction function = ChooseUnary(op, type);
  const bool saturate = RegistersOf(frame).saturate;
  ForEachPiece(set, std::array<VectorOperand, 2>{dst, src}, [&](uint64_t count, const std::array<uint8_t*, 2>& at) {
    function({at[0], at[1], nullptr, count, 0, saturate});
  });
  if (!frame.timing()) return;
  const bool slow = op == UnaryOp::kExp || op == UnaryOp::kLn || op == UnaryOp::kSqrt;
  frame.Cost(VectorCycles(set, slow ? cost::kVectorLanesSlow : Throughput(dst.element_bytes)));
}

void RunBinary(Instruction& frame, BinaryOp op, ElementType dst_type, ElementType src_type, const VectorOperand& dst,
               const VectorOperand& src0, const VectorOperand& src1, const MaskArgument& mask, int repeats) {
  const LaneSet set = ResolveLanes(frame, mask, LanesOf(dst, src0), repeats);
  if (frame.checking()) {
    const bool mixed = dst_type != src_type;
    // Accumulating over repeats through src1 works for these only, with a repeat stride of 0.
    const bool accumulates =
        (op <= BinaryOp::kSub || op == BinaryOp::kMul || op == BinaryOp::kMax || op == BinaryOp::kMin ||
         op == BinaryOp::kAddRelu || op == BinaryOp::kSubRelu) &&
        (dst_type == ElementType::kHalf || dst_type == ElementType::kInt32 || dst_type == ElementType::kFloat) &&
        (dst.repeat_stride == 0 || src1.repeat_stride == 0);
    CheckOverlap(frame, dst, src0, set, mixed ? OverlapRule::kApart : OverlapRule::kSameOrApart);
    CheckOverlap(frame, dst, src1, set,
                 mixed         ? OverlapRule::kApart
                 : accumulates ? OverlapRule::kAccumulate
                               : OverlapRule::kSameOrApart);
  }
  CheckRead(frame, src0, set);
  CheckRead(frame, src1, set);
  if (ReadsDst(op)) CheckRead(frame, dst, set);
  CheckWrite(frame, dst, set);
  const StretchFunction function = ChooseBinary(op, dst_type, src_type);
  const bool saturate = RegistersOf(frame).saturate;
  ForEachPiece(
      set, std::array<VectorOperand, 3>{dst, src0, src1},
      [&](uint64_t count, const std::array<uint8_t*, 3>& at) { function({at[0], at[1], at[2], count, 0, saturate}); });
  if (!frame.timing()) return;
  double throughput = op == BinaryOp::kDiv ? cost::kVectorLanesSlow : Throughput(dst.element_bytes);
  // [vec] Three tensors cannot be fetched in one cycle: MulAddDst is listed at half rate; the fused forms are so too
  // unless their operands share an address.
  const bool shared = dst.memory.address == src0.memory.address || dst.memory.address == src1.memory.address;
  if (op == BinaryOp::kMulAddDst || (ReadsDst(op) && !shared)) throughput /= 2;
  frame.Cost(VectorCycles(set, throughput));
}

void RunScalar(Instruction& frame, ScalarOp op, ElementType dst_type, ElementType src_type, const VectorOperand& dst,
               const VectorOperand& src, uint64_t scalar_bits, const MaskArgument& mask, int repeats) {
  const LaneSet set = ResolveLanes(frame, mask, LanesOf(dst, src), repeats);
  if (op == ScalarOp::kShiftLeft || op == ScalarOp::kShiftRight || op == ScalarOp::kShiftRightRound) {
    const bool is_signed = dst_type == ElementType::kInt16 || dst_type == ElementType::kInt32;
    const int64_t shift = dst_type == ElementType::kInt16   ? FromBits<int16_t>(scalar_bits)
                          : dst_type == ElementType::kInt32 ? FromBits<int32_t>(scalar_bits)
                                                            : static_cast<int64_t>(scalar_bits);
    frame.RequireRange("scalarValue (bits to shift)", shift, 0, dst.element_bytes * 8 - 1);
    frame.Require(op != ScalarOp::kShiftRightRound || is_signed, FaultKind::kArgument, "roundEn",
                  "rounding is for int16_t and int32_t only");
  }
  if (frame.checking()) {
    CheckOverlap(frame, dst, src, set, dst_type != src_type ? OverlapRule::kApart : OverlapRule::kSameOrApart);
  }
  CheckRead(frame, src, set);
  if (op == ScalarOp::kAxpy) CheckRead(frame, dst, set);
  CheckWrite(frame, dst, set);
  const StretchFunction function = ChooseScalar(op, dst_type, src_type);
  const bool saturate = RegistersOf(frame).saturate;
  ForEachPiece(set, std::array<VectorOperand, 2>{dst, src}, [&](uint64_t count, const std::array<uint8_t*, 2>& at) {
    function({at[0], at[1], nullptr, count, scalar_bits, saturate});
  });
  if (frame.timing()) frame.Cost(VectorCycles(set, Throughput(dst.element_bytes)));
}

}  // namespace ascend_sim
