// The gradients' last way: sums of fp32 in the workspace, scaled, rounded and laid out as the caller wants them; and
// the zeros those sums start from.
#pragma once

#include "row_terms.h"

namespace npu_fa {

template <typename T>
class GradientOutputs {
 public:
  FA_INLINE void Init(const AttentionProblem* problem, const BackwardTiling* tiling, GM_ADDR workspace, GM_ADDR dsink,
                      GM_ADDR dq, GM_ADDR dq_rope, GM_ADDR dk, GM_ADDR dk_rope, GM_ADDR dv) {
    problem_ = problem;
    tiling_ = tiling;
    dk_sum_ = GmTensor<float>(workspace + tiling->dk_at);
    dv_sum_ = GmTensor<float>(workspace + tiling->dv_at);
    sink_parts_ = GmTensor<float>(workspace + tiling->sink_at);
    dsink_ = GmTensor<float>(dsink);
    dq_ = {GmTensor<T>(dq), GmTensor<T>(dq_rope), &problem->dq, &problem->dq_rope};
    dk_ = {GmTensor<T>(dk), GmTensor<T>(dk_rope), &problem->dk, &problem->dk_rope};
    dv_ = {GmTensor<T>(dv), {}, &problem->dv, nullptr};
  }

  // Zeros in dK's and dV's sums, shared between all vector cores.
  FA_INLINE void ClearSums(VectorBoxes<T>& boxes, int64_t core, int64_t cores) {
    const LocalTensor<float> zeros = boxes.BeginStore().template ReinterpretCast<float>();
    AscendC::Duplicate(zeros, 0.0f, kBackwardTile);
    boxes.EndResult();
    const int64_t elements = (tiling_->sink_at - tiling_->dk_at) / static_cast<int64_t>(sizeof(float));
    for (int64_t at = core * kBackwardTile; at < elements; at += cores * kBackwardTile) {
      AscendC::DataCopy(dk_sum_[at], zeros, static_cast<uint32_t>(Min(kBackwardTile, elements - at)));
    }
    boxes.EndStore();
  }

  // dQ of a finished block; tiles of rows that see nothing have no sum.
  FA_INLINE void WriteQueries(VectorBoxes<T>& boxes, const BlockPlan& plan, const GlobalTensor<float>& sum,
                              int32_t half) {
    const Block& block = plan.block;
    const int32_t queries = static_cast<int32_t>(block.rows.end - block.rows.begin);
    const int32_t at_once = Smaller(RowsAtOnce(tiling_->query_depth), tiling_->tile_rows);
    for (int32_t row = half * at_once; row < queries; row += 2 * at_once) {
      const Range& visible = plan.visible[row / tiling_->tile_rows];
      const int32_t rows = Smaller(at_once, queries - row);
      const int64_t q = block.rows.begin + row;
      const int64_t rope = problem_->rope_dim == 0 ? 0 : QueryOffset(*dq_.rope_strides, block.sequence, block.head, q);
      Write(boxes, sum[row * tiling_->query_depth], visible.begin < visible.end, rows, tiling_->query_depth,
            problem_->head_dim, tiling_->scale, dq_, QueryOffset(*dq_.strides, block.sequence, block.head, q), rope);
    }
  }

  // dK and dV of all keys, shared between all vector cores.
  FA_INLINE void WriteKeys(VectorBoxes<T>& boxes, const GmSequences& sequences, int64_t core, int64_t cores) {
    int64_t turn = 0;
    for (int32_t index = 0; index < problem_->num_sequences; ++index) {
      const Sequence s = sequences.At(index);
      for (int64_t head = 0; head < problem_->kv_heads; ++head) {
        const int32_t k_rows = RowsAtOnce(tiling_->query_depth), v_rows = RowsAtOnce(tiling_->value_width);
        for (int64_t key = 0; key < s.kv_len; key += k_rows, ++turn) {
          if (turn % cores != core) continue;
          const int64_t rope = problem_->rope_dim == 0 ? 0 : KeyOffset(*dk_.rope_strides, s, head, key);
          Write(boxes, dk_sum_[SumRow(*tiling_, s, head, key) * tiling_->query_depth], true,
                static_cast<int32_t>(Min(k_rows, s.kv_len - key)), tiling_->query_depth, problem_->head_dim,
                tiling_->scale, dk_, KeyOffset(*dk_.strides, s, head, key), rope);
        }
        for (int64_t key = 0; key < s.kv_len; key += v_rows, ++turn) {
          if (turn % cores != core) continue;
          Write(boxes, dv_sum_[SumRow(*tiling_, s, head, key) * tiling_->value_width], true,
                static_cast<int32_t>(Min(v_rows, s.kv_len - key)), tiling_->value_width, problem_->value_dim,
                tiling_->inverse_keep, dv_, KeyOffset(*dv_.strides, s, head, key), 0);
        }
      }
    }
  }

  // dsink of each head: the parts of its blocks, in their order.
  FA_INLINE void WriteSinks(VectorBoxes<T>& boxes, const GmSequences& sequences, int64_t core, int64_t cores) {
    for (int64_t head = core; head < problem_->q_heads; head += cores) {
      const LocalTensor<float> total = boxes.BeginStore().template ReinterpretCast<float>();
      AscendC::Duplicate(total, 0.0f, kRepeatFloats);
      VectorBarrier();
      int64_t first_block = 0;
      for (int32_t index = 0; index < problem_->num_sequences; ++index) {
        const Sequence s = sequences.At(index);
        const int64_t blocks = BlocksPerHead(*tiling_, s);
        const int64_t begin = (first_block + head * blocks) * 2 * kSinkParts, count = blocks * 2 * kSinkParts;
        for (int64_t at = 0; at < count; at += kBackwardTile) {
          const int32_t floats = static_cast<int32_t>(Min(kBackwardTile, count - at));
          const LocalTensor<float> parts = boxes.BeginLoad();
          AscendC::DataCopy(parts[kBackwardTile], sink_parts_[begin + at], floats);
          boxes.EndLoad();
          AscendC::Duplicate(parts, 0.0f, kBackwardTile);
          VectorBarrier();
          AscendC::Adds(parts, parts[kBackwardTile], 0.0f, floats);
          VectorBarrier();
          SumToEight(parts, kBackwardTile);
          AscendC::Add(total, total, parts, kSinkParts);
          boxes.Release();
          VectorBarrier();
        }
        first_block += blocks * problem_->q_heads;
      }
      AscendC::Muls(total, total, 1.0f / kStatisticColumns, kSinkParts);
      VectorBarrier();
      AscendC::BlockReduceSum(total, total, 1, kSinkParts, 1, 1, kBlockFloats);
      boxes.EndResult();
      StoreRows(dsink_[head], total, 1, 1, 0, kBlockFloats);
      boxes.EndStore();
      VectorBarrier();
    }
  }

 private:
  // A gradient and its rope part.
  struct Output {
    GlobalTensor<T> head, rope;
    const Strides* strides;
    const Strides* rope_strides;
  };

  // A power of two, so that it divides a tile of rows.
  FA_INLINE static int32_t RowsAtOnce(int32_t width) {
    int32_t rows = kKeyTile;
    while (rows * width > kBackwardBox) rows /= 2;
    return rows;
  }

  FA_INLINE void Write(VectorBoxes<T>& boxes, const GlobalTensor<float>& sum, bool present, int32_t rows, int32_t width,
                       int32_t head_columns, float factor, const Output& output, int64_t offset, int64_t rope_offset) {
    const int32_t elements = rows * width;
    const LocalTensor<float> wide = boxes.BeginLoad();
    if (present) AscendC::DataCopy(wide, sum, elements);
    boxes.EndLoad();
    if (present) {
      AscendC::Muls(wide, wide, factor, elements);
    } else {
      AscendC::Duplicate(wide, 0.0f, elements);
    }
    VectorBarrier();
    const LocalTensor<T> out = boxes.BeginStore();
    OnlineSoftmax::Narrow(out, wide, elements);
    boxes.EndCompute();
    StoreRows(output.head[offset], out, rows, head_columns, output.strides->row, width);
    if (output.rope_strides != nullptr && problem_->rope_dim > 0) {
      StoreRows(output.rope[rope_offset], out[RoundUp(problem_->head_dim, kBlockElements<T>)], rows, problem_->rope_dim,
                output.rope_strides->row, width);
    }
    boxes.EndStore();
  }

  const AttentionProblem* problem_ = nullptr;
  const BackwardTiling* tiling_ = nullptr;
  GlobalTensor<float> dk_sum_, dv_sum_, sink_parts_, dsink_;
  Output dq_, dk_, dv_;
};

}  // namespace npu_fa
