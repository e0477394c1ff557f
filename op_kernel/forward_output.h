// What the forward leaves of a finished block: O / sum and its statistics; or, where several blocks share their rows,
// partial results, which one vector core joins and finishes when all are there.
#pragma once

#include "head_tensor.h"
#include "kernel_arguments.h"
#include "partial_results.h"

namespace npu_fa {

template <typename T>
class ForwardOutput {
 public:
  FA_INLINE void Init(const AttentionProblem* problem, const Tiling* tiling, GM_ADDR out, GM_ADDR softmax_max,
                      GM_ADDR softmax_sum, GM_ADDR workspace) {
    problem_ = problem;
    tiling_ = tiling;
    out_.Init(out, problem->out, problem->value_dim);
    max_ = GmTensor<float>(softmax_max);
    sum_ = GmTensor<float>(softmax_sum);
    partial_.Init(tiling, workspace);
  }

  // The rows `share` of a block whose last stage is `stage`.
  FA_INLINE void Write(VectorBoxes<T>& boxes, OnlineSoftmax& softmax, int64_t stage, const Block& block,
                       const Share& share) {
    if (block.parts > 1) {
      partial_.Write(boxes, softmax, stage, block, share);
    } else {
      Finish(boxes, softmax, stage, block, share);
    }
  }

  // Rows that several blocks shared, dealt out anew.
  FA_INLINE void JoinParts(VectorBoxes<T>& boxes, OnlineSoftmax& softmax, const GmSequences& sequences, int32_t core,
                           int32_t half) {
    AscendC::SyncAll();
    BlockCursor<GmSequences> blocks;
    blocks.Init(problem_, tiling_, sequences, 0, tiling_->first_block[tiling_->cores]);
    Block block;
    for (int64_t n = 0; blocks.Next(block);) {
      if (block.parts == 1 || block.part > 0 || n++ % tiling_->cores != core) continue;
      const Share share = ShareOf(block, half);
      if (share.valid == 0) continue;
      partial_.Join(boxes, softmax, block, share);
      Finish(boxes, softmax, block.parts - 1, block, share);
    }
  }

 private:
  FA_INLINE void Finish(VectorBoxes<T>& boxes, OnlineSoftmax& softmax, int64_t stage, const Block& block,
                        const Share& share) {
    WriteStatistics(boxes, softmax, stage, block, share);
    softmax.BeginNormalise(stage, tiling_->inverse_keep);
    for (int32_t row = 0; row < share.valid; row += boxes.Rows()) {
      const int32_t rows = Smaller(boxes.Rows(), share.valid - row);
      const LocalTensor<T> out = boxes.BeginStore();
      softmax.Normalise(out, row, rows);
      boxes.EndResult();
      out_.Store(out, tiling_->value_width, block.sequence, block.head, block.rows.begin + share.begin + row, rows);
      boxes.EndStore();
    }
    VectorBarrier();
  }

  // softmax_max and softmax_sum. Without keys both are zero.
  FA_INLINE void WriteStatistics(VectorBoxes<T>& boxes, OnlineSoftmax& softmax, int64_t stage, const Block& block,
                                 const Share& share) {
    const int32_t elements = RoundUp(VectorCoreRows(*tiling_), kRepeatFloats) * kBlockFloats;
    const Sequence& s = block.sequence;
    const LocalTensor<float> max = boxes.BeginStore().template ReinterpretCast<float>(), sum = max[elements];
    softmax.Statistics(max, sum, stage);
    if (s.kv_len == 0) AscendC::Duplicate(max, 0.0f, 2 * elements);
    boxes.EndResult();
    const int64_t row = block.rows.begin + share.begin, begin = StatisticRow(*problem_, s, block.head, row);
    const int64_t stride = (StatisticRow(*problem_, s, block.head, row + 1) - begin) * kStatisticColumns;
    StoreRows(max_[begin * kStatisticColumns], max, share.valid, kBlockFloats, stride, kBlockFloats);
    StoreRows(sum_[begin * kStatisticColumns], sum, share.valid, kBlockFloats, stride, kBlockFloats);
    boxes.EndStore();
  }

  const AttentionProblem* problem_ = nullptr;
  const Tiling* tiling_ = nullptr;
  QueryTensor<T> out_;
  GlobalTensor<float> max_, sum_;
  PartialResults<T> partial_;
};

}  // namespace npu_fa
