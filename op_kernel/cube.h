// One product on the cube: L1 -> L0A, L0B -> L0C -> GM, with two slots in L0A and L0B.
#pragma once

#include "arena.h"

namespace npu_fa {

// Rows behind the last one of a partial tile are computed and thrown away: they only have to be something.
template <typename T>
FA_INLINE void ClearL1(L1Arena& l1) {
  AscendC::InitConstValue(l1.template Take<T>(kL1Bytes / sizeof(T)),
                          AscendC::InitConstValueParams<T>(1, kL1Bytes / kBlockBytes, 0, T(0)));
  AscendC::PipeBarrier<PIPE_MTE2>();
  l1.Reset();
}

// L1 holds matrices as strips of 32 bytes, `l1_rows` rows to a strip. rows x columns of one that is `width` wide, from
// column `begin` on, into L0A or L0B; or turned over.
template <typename T>
FA_INLINE void LoadFractals(const LocalTensor<T>& l0, const LocalTensor<T>& l1, int32_t l1_rows, int32_t width,
                            int32_t rows, int32_t begin, int32_t columns, bool turned) {
  AscendC::LoadData3DParamsV2<T> params;
  params.l1H = 1;
  params.l1W = l1_rows;
  params.channelSize = width;
  params.kExtension = columns;
  params.mExtension = rows;
  params.kStartPt = begin;
  params.enTranspose = turned;
  AscendC::LoadData(l0, l1, params);
}

// The left operand of a product: rows x depth elements from `depth_begin` on.
template <typename T>
FA_INLINE void LoadLeft(const LocalTensor<T>& l0a, const LocalTensor<T>& l1, int32_t l1_rows, int32_t strips_depth,
                        int32_t rows, int32_t depth_begin, int32_t depth) {
  LoadFractals(l0a, l1, l1_rows, strips_depth, rows, depth_begin, depth, false);
}

// The left operand when L1 holds it as depth x rows (P in P^T dY).
template <typename T>
FA_INLINE void LoadLeftByDepth(const LocalTensor<T>& l0a, const LocalTensor<T>& l1, int32_t l1_rows, int32_t rows,
                               int32_t depth) {
  LoadFractals(l0a, l1, l1_rows, rows, depth, 0, rows, true);
}

// The right operand when L1 holds it as columns x depth (K in Q K^T): strips are just what L0B wants. All `columns`
// of the strips are taken.
template <typename T>
FA_INLINE void LoadRightByColumns(const LocalTensor<T>& l0b, const LocalTensor<T>& l1, int32_t columns,
                                  int32_t depth_begin, int32_t depth) {
  const int32_t strip = depth_begin / kBlockElements<T> * columns * kBlockElements<T>;
  const int32_t fractals = columns / kFractalSide * (depth / kBlockElements<T>);
  AscendC::LoadData(l0b, l1[strip], AscendC::LoadData2DParams(0, fractals, 1, 0, 0, false, 0));
}

// The right operand when L1 holds it as depth x columns (V in P V): L0B wants it turned over, as this load leaves it.
template <typename T>
FA_INLINE void LoadRightByDepth(const LocalTensor<T>& l0b, const LocalTensor<T>& l1, int32_t l1_rows, int32_t columns,
                                int32_t depth) {
  LoadFractals(l0b, l1, l1_rows, columns, depth, 0, columns, false);
}

template <typename T>
class Cube {
 public:
  static constexpr int32_t kSlotBytes = 32 * 1024;   // L0A and L0B in two
  static constexpr int32_t kScoreBytes = 32 * 1024;  // L0C: two tiles of scores
  static constexpr int32_t kAccumulatorBytes = 64 * 1024;
  static constexpr int32_t kAccumulator = 2;  // number of the accumulator among the three tiles
  static constexpr int32_t kSecondHalf = 3;   // event of its second half where the halves go their own ways

  FA_INLINE void Init(AscendC::TPipe* pipe) {
    Arena<AscendC::TPosition::A2> l0a;
    Arena<AscendC::TPosition::B2> l0b;
    Arena<AscendC::TPosition::CO1> l0c;
    l0a.Init(pipe, 2 * kSlotBytes);
    l0b.Init(pipe, 2 * kSlotBytes);
    l0c.Init(pipe, 2 * kScoreBytes + kAccumulatorBytes);
    for (int32_t i = 0; i < 2; ++i) {
      left_[i] = l0a.template Take<T>(kSlotBytes / sizeof(T));
      right_[i] = l0b.template Take<T>(kSlotBytes / sizeof(T));
      result_[i] = l0c.template Take<float>(kScoreBytes / sizeof(float));
      AscendC::SetFlag<HardEvent::M_MTE1>(kLeftEvent + i);
      AscendC::SetFlag<HardEvent::M_MTE1>(kRightEvent + i);
    }
    result_[kAccumulator] = l0c.template Take<float>(kAccumulatorBytes / sizeof(float));
    for (int32_t i = 0; i <= kSecondHalf; ++i) AscendC::SetFlag<HardEvent::FIX_M>(i);
  }
  FA_INLINE void Finish() {
    for (int32_t i = 0; i < 2; ++i) {
      AscendC::WaitFlag<HardEvent::M_MTE1>(kLeftEvent + i);
      AscendC::WaitFlag<HardEvent::M_MTE1>(kRightEvent + i);
    }
    for (int32_t i = 0; i <= kSecondHalf; ++i) AscendC::WaitFlag<HardEvent::FIX_M>(i);
  }

  // A product is: LoadLeft(NextLeft()), LoadRight...(NextRight()), MultiplyScores; or LoadLeft, Accumulate. A right
  // operand that several products share is loaded once; the last of them lets it go. Others may come in between and use
  // the other slot.
  FA_INLINE const LocalTensor<T>& NextLeft() {
    left_slot_ ^= 1;
    AscendC::WaitFlag<HardEvent::M_MTE1>(kLeftEvent + left_slot_);
    return left_[left_slot_];
  }
  FA_INLINE const LocalTensor<T>& NextRight() {
    right_slot_ ^= 1;
    if (right_slot_ == kept_slot_) right_slot_ ^= 1;
    AscendC::WaitFlag<HardEvent::M_MTE1>(kRightEvent + right_slot_);
    return right_[right_slot_];
  }
  FA_INLINE void ReuseRight() { right_slot_ = kept_slot_; }

  // Scores (+)= left x right, `first` from zero, for rows that two results can hold; the `last` product stores each
  // result as soon as it is there, as rows of `gm_columns`.
  FA_INLINE void MultiplyScores(const GlobalTensor<float>& gm, int32_t gm_columns, int32_t rows, int32_t columns,
                                int32_t depth, bool first, bool last, bool keep_right) {
    const int32_t most = kScoreBytes / static_cast<int32_t>(sizeof(float)) / columns;
    int32_t result = score_result_;
    BeginProduct();
    for (int32_t row = 0; row < rows; row += most, result ^= 1) {
      const int32_t count = Smaller(most, rows - row);
      if (first) AscendC::WaitFlag<HardEvent::FIX_M>(result);
      MultiplyInto(result_[result], left_[left_slot_][row * depth], right_[right_slot_], count, columns, depth, first);
      if (last) StoreTensor(gm[row * gm_columns], result, result_[result], count, columns, gm_columns, false);
    }
    if (last) score_result_ = result;
    EndProduct(keep_right);
  }

  // The accumulator (+)= left x right, the right operand in L1 as depth x columns. A sum begins with a product for each
  // half of the columns, and leaves in halves: the first half of the next sum need not wait for the second of this one.
  FA_INLINE void Accumulate(const LocalTensor<T>& right, int32_t l1_rows, int32_t rows, int32_t columns, int32_t depth,
                            bool first) {
    const LocalTensor<T> l0b = NextRight();
    if (!first) {
      LoadRightByDepth(l0b, right, l1_rows, columns, RoundUp(depth, kFractalSide));
      BeginProduct();
      MultiplyInto(result_[kAccumulator], left_[left_slot_], l0b, rows, columns, depth, false);
      EndProduct(false);
      return;
    }
    const int32_t padded_depth = RoundUp(depth, kFractalSide);
    for (int32_t half = 0, begin = 0; half < 2; begin += HalfColumns(columns, half++)) {
      const int32_t width = HalfColumns(columns, half);
      if (width > 0) LoadRightByDepth(l0b[begin * padded_depth], right[begin * l1_rows], l1_rows, width, padded_depth);
    }
    BeginProduct();
    // Where the halves meet elsewhere than in the sum before, each half waits for both.
    const int32_t meeting = HalfColumns(columns, 0) * RoundUp(rows, kFractalSide);
    AscendC::WaitFlag<HardEvent::FIX_M>(kAccumulator);
    if (meeting != meeting_) AscendC::WaitFlag<HardEvent::FIX_M>(kSecondHalf);
    MultiplyInto(result_[kAccumulator], left_[left_slot_], l0b, rows, HalfColumns(columns, 0), depth, true);
    if (meeting == meeting_) AscendC::WaitFlag<HardEvent::FIX_M>(kSecondHalf);
    meeting_ = meeting;
    if (HalfColumns(columns, 1) > 0) {
      MultiplyInto(result_[kAccumulator][meeting], left_[left_slot_], l0b[HalfColumns(columns, 0) * padded_depth], rows,
                   HalfColumns(columns, 1), depth, true);
    }
    EndProduct(false);
  }
  FA_INLINE void StoreSum(const GlobalTensor<float>& gm, int32_t rows, int32_t columns, int32_t gm_columns, bool add) {
    for (int32_t half = 0, begin = 0; half < 2; begin += HalfColumns(columns, half++)) {
      const int32_t width = HalfColumns(columns, half);
      if (width > 0) {
        StoreTensor(gm[begin], kAccumulator + half, result_[kAccumulator][begin * RoundUp(rows, kFractalSide)], rows,
                    width, gm_columns, add);
      } else {
        AscendC::SetFlag<HardEvent::FIX_M>(kSecondHalf);
      }
    }
  }

 private:
  FA_INLINE void BeginProduct() {
    AscendC::SetFlag<HardEvent::MTE1_M>(left_slot_);
    AscendC::WaitFlag<HardEvent::MTE1_M>(left_slot_);
  }
  FA_INLINE void EndProduct(bool keep_right) {
    AscendC::SetFlag<HardEvent::M_MTE1>(kLeftEvent + left_slot_);
    if (keep_right) {
      kept_slot_ = right_slot_;
      return;
    }
    kept_slot_ = kept_slot_ == right_slot_ ? kNone : kept_slot_;
    AscendC::SetFlag<HardEvent::M_MTE1>(kRightEvent + right_slot_);
  }
  FA_INLINE static int32_t HalfColumns(int32_t columns, int32_t half) {
    const int32_t first = RoundUp(CeilDiv(columns, 2), kFractalSide);
    return half == 0 ? Smaller(first, columns) : Larger(columns - first, 0);
  }
  FA_INLINE static void MultiplyInto(const LocalTensor<float>& result, const LocalTensor<T>& left,
                                     const LocalTensor<T>& right, int32_t rows, int32_t columns, int32_t depth,
                                     bool first) {
    AscendC::MmadParams params;
    params.m = rows;
    params.n = columns;
    params.k = depth;
    params.cmatrixInitVal = first;
    AscendC::Mmad(result, left, right, params);
    // The pipe does not order small products on one result by itself.
    if (rows / kFractalSide * (columns / kFractalSide) < 10) AscendC::PipeBarrier<PIPE_M>();
  }
  FA_INLINE static void StoreTensor(const GlobalTensor<float>& gm, int32_t event, const LocalTensor<float>& result,
                                    int32_t rows, int32_t columns, int32_t gm_columns, bool add) {
    AscendC::SetFlag<HardEvent::M_FIX>(event);
    AscendC::WaitFlag<HardEvent::M_FIX>(event);
    if (add) AscendC::SetAtomicAdd<float>();
    AscendC::Fixpipe<float, float, AscendC::CFG_ROW_MAJOR>(
        gm, result, AscendC::FixpipeParamsV220(columns, rows, RoundUp(rows, kFractalSide), gm_columns, false));
    if (add) AscendC::SetAtomicNone();
    AscendC::SetFlag<HardEvent::FIX_M>(event);
  }

  // A TPipe on a cube core keeps M_MTE1 0 to 2 for itself.
  static constexpr int32_t kLeftEvent = 3, kRightEvent = 5;
  static constexpr int32_t kNone = -1;

  LocalTensor<T> left_[2], right_[2];
  LocalTensor<float> result_[3];
  int32_t left_slot_ = 0, right_slot_ = 0, kept_slot_ = kNone, score_result_ = 0;
  int32_t meeting_ = 0;  // where the halves of the accumulator met last
};

}  // namespace npu_fa
