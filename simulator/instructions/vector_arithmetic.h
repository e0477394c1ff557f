// Elementwise arithmetic of the vector unit.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "api/tensor.h"
#include "instructions/vector_loop.h"
#include "instructions/vector_params.h"
#include "machine/cost_model.h"

namespace ascend_sim {

// dst = op(src0, src1), with all the rules the elementwise two-operand instructions share.
template <typename T, typename Op>
inline void BinaryElementwise(Instruction& frame, const AscendC::LocalTensor<T>& dst_tensor,
                              const AscendC::LocalTensor<T>& src0_tensor, const AscendC::LocalTensor<T>& src1_tensor,
                              const VectorLoop& loop, const AscendC::BinaryRepeatParams& params, double lanes, Op op) {
  const Operand dst = frame.Local("dst", dst_tensor, Hardware::UB);
  const Operand src0 = frame.Local("src0", src0_tensor, Hardware::UB);
  const Operand src1 = frame.Local("src1", src1_tensor, Hardware::UB);
  const OperandWalk to{sizeof(T), params.dstBlkStride, params.dstRepStride};
  const OperandWalk from0{sizeof(T), params.src0BlkStride, params.src0RepStride};
  const OperandWalk from1{sizeof(T), params.src1BlkStride, params.src1RepStride};
  frame.BoundsRead(src0, Extent(loop, from0));
  frame.BoundsRead(src1, Extent(loop, from1));
  frame.BoundsWrite(dst, Extent(loop, to));
  if (frame.checking()) {
    frame.AlignRead(src0, kBlockBytes);
    frame.AlignRead(src1, kBlockBytes);
    frame.AlignWrite(dst, kBlockBytes);
    DeclareRead(frame, src0, loop, from0);
    DeclareRead(frame, src1, loop, from1);
    DeclareWrite(frame, dst, loop, to);
  }
  ForEachRun(loop, std::array<OperandWalk, 3>{to, from0, from1}, [&](const std::array<uint64_t, 3>& at, uint32_t n) {
    T* out = reinterpret_cast<T*>(dst.data + at[0]);
    const T* a = reinterpret_cast<const T*>(src0.data + at[1]);
    const T* b = reinterpret_cast<const T*>(src1.data + at[2]);
    for (uint32_t i = 0; i < n; ++i) out[i] = op(a[i], b[i]);
  });
  if (frame.timing()) frame.Cost(VectorCycles(loop.repeats(), loop.elements, lanes));
}

template <typename T, typename Op>
inline void UnaryElementwise(Instruction& frame, const AscendC::LocalTensor<T>& dst_tensor,
                             const AscendC::LocalTensor<T>& src_tensor, const VectorLoop& loop,
                             const AscendC::UnaryRepeatParams& params, double lanes, Op op) {
  const Operand dst = frame.Local("dst", dst_tensor, Hardware::UB);
  const Operand src = frame.Local("src", src_tensor, Hardware::UB);
  const OperandWalk to{sizeof(T), params.dstBlkStride, params.dstRepStride};
  const OperandWalk from{sizeof(T), params.srcBlkStride, params.srcRepStride};
  frame.BoundsRead(src, Extent(loop, from));
  frame.BoundsWrite(dst, Extent(loop, to));
  if (frame.checking()) {
    frame.AlignRead(src, kBlockBytes);
    frame.AlignWrite(dst, kBlockBytes);
    DeclareRead(frame, src, loop, from);
    DeclareWrite(frame, dst, loop, to);
  }
  ForEachRun(loop, std::array<OperandWalk, 2>{to, from}, [&](const std::array<uint64_t, 2>& at, uint32_t n) {
    T* out = reinterpret_cast<T*>(dst.data + at[0]);
    const T* in = reinterpret_cast<const T*>(src.data + at[1]);
    for (uint32_t i = 0; i < n; ++i) out[i] = op(in[i]);
  });
  if (frame.timing()) frame.Cost(VectorCycles(loop.repeats(), loop.elements, lanes));
}

struct AddOp {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a + b);
  }
};
struct ExpOp {
  template <typename T>
  T operator()(T a) const {
    return static_cast<T>(std::exp(static_cast<float>(a)));
  }
};

}  // namespace ascend_sim

namespace AscendC {

template <typename T>
inline void Add(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, const int32_t& count,
                ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("Add", PIPE_V, where);
  ascend_sim::BinaryElementwise(frame, dst, src0, src1, ascend_sim::LoopOfCount(count, sizeof(T)), {},
                                ascend_sim::cost::kVectorLanesBytes / sizeof(T), ascend_sim::AddOp{});
}

template <typename T, bool isSetMask = true>
inline void Add(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, uint64_t mask[],
                const uint8_t repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("Add", PIPE_V, where);
  ascend_sim::BinaryElementwise(frame, dst, src0, src1,
                                ascend_sim::LoopOfMask<isSetMask>(frame, mask, sizeof(T), repeatTime), repeatParams,
                                ascend_sim::cost::kVectorLanesBytes / sizeof(T), ascend_sim::AddOp{});
}

template <typename T, bool isSetMask = true>
inline void Add(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, uint64_t mask,
                const uint8_t repeatTime, const BinaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("Add", PIPE_V, where);
  ascend_sim::BinaryElementwise(frame, dst, src0, src1,
                                ascend_sim::LoopOfMask<isSetMask>(frame, mask, sizeof(T), repeatTime), repeatParams,
                                ascend_sim::cost::kVectorLanesBytes / sizeof(T), ascend_sim::AddOp{});
}

template <typename T>
inline void Exp(const LocalTensor<T>& dst, const LocalTensor<T>& src, const int32_t& count, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("Exp", PIPE_V, where);
  ascend_sim::UnaryElementwise(frame, dst, src, ascend_sim::LoopOfCount(count, sizeof(T)), {},
                               ascend_sim::cost::kVectorLanesSlow, ascend_sim::ExpOp{});
}

template <typename T, bool isSetMask = true>
inline void Exp(const LocalTensor<T>& dst, const LocalTensor<T>& src, uint64_t mask[], const uint8_t repeatTime,
                const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("Exp", PIPE_V, where);
  ascend_sim::UnaryElementwise(frame, dst, src, ascend_sim::LoopOfMask<isSetMask>(frame, mask, sizeof(T), repeatTime),
                               repeatParams, ascend_sim::cost::kVectorLanesSlow, ascend_sim::ExpOp{});
}

template <typename T, bool isSetMask = true>
inline void Exp(const LocalTensor<T>& dst, const LocalTensor<T>& src, uint64_t mask, const uint8_t repeatTime,
                const UnaryRepeatParams& repeatParams, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("Exp", PIPE_V, where);
  ascend_sim::UnaryElementwise(frame, dst, src, ascend_sim::LoopOfMask<isSetMask>(frame, mask, sizeof(T), repeatTime),
                               repeatParams, ascend_sim::cost::kVectorLanesSlow, ascend_sim::ExpOp{});
}

}  // namespace AscendC
