// The gradients' last way: sums of fp32 in the workspace, scaled, rounded and laid out as the caller wants them; and
// the zeros those sums start from.
#pragma once

#include "head_tensor.h"
#include "kernel_arguments.h"
#include "row_terms.h"

namespace npu_fa {

// Deals pieces of work to vector cores in turn.
struct Dealer {
  int64_t core, cores, dealt = 0;
  FA_FUNCTION Dealer(int64_t core_in, int64_t cores_in) : core(core_in), cores(cores_in) {}
  FA_FUNCTION bool Mine() { return dealt++ % cores == core; }
};

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
    dq_.Init(dq, problem->dq, problem->head_dim, dq_rope, problem->dq_rope, problem->rope_dim);
    dk_.Init(dk, problem->dk, problem->head_dim, dk_rope, problem->dk_rope, problem->rope_dim);
    dv_.Init(dv, problem->dv, problem->value_dim);
  }

  // Zeros in the sums of dK and dV that need them, shared between all vector cores.
  FA_INLINE void ClearSums(VectorBoxes<T>& boxes, const GmSequences& sequences, Dealer dealer) {
    const LocalTensor<float> zeros = boxes.BeginStore().template ReinterpretCast<float>();
    AscendC::Duplicate(zeros, 0.0f, kBackwardTile);
    boxes.EndResult();
    int64_t first_block = 0;
    for (int32_t index = 0; index < problem_->num_sequences; ++index) {
      const Sequence s = sequences.At(index);
      for (int64_t head = 0; head < problem_->kv_heads; ++head) {
        const KvHeadShare share = ShareOfKvHead(*problem_, *tiling_, s, first_block, head);
        if (share.Alone(s)) continue;
        int64_t cleared = -1;
        for (int32_t owner = share.first_core; owner < share.end_core; ++owner) {
          const int64_t row = SumRow(*problem_, *tiling_, s, head, share, owner);
          if (!HasBlocks(*tiling_, owner, share) || row == cleared) continue;
          cleared = row;
          Clear(zeros, dk_sum_[row * tiling_->query_depth], s.kv_len * tiling_->query_depth, dealer);
          Clear(zeros, dv_sum_[row * tiling_->value_width], s.kv_len * tiling_->value_width, dealer);
        }
      }
      first_block += BlocksPerHead(*tiling_, s) * problem_->q_heads;
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
      const LocalTensor<float> dq = boxes.BeginLoad();
      if (visible.begin < visible.end) {
        AscendC::DataCopy(dq, sum[row * tiling_->query_depth], rows * tiling_->query_depth);
        boxes.EndLoad();
      } else {
        boxes.EndLoad();
        AscendC::Duplicate(dq, 0.0f, rows * tiling_->query_depth);
        VectorBarrier();
      }
      Finish(boxes, dq, rows, tiling_->query_depth, tiling_->scale, dq_, block.sequence, block.head,
             block.rows.begin + row);
    }
  }

  // dK and dV of the keys that a finished block is the last to see, where no other core adds to them.
  FA_INLINE void WriteFinishedKeys(VectorBoxes<T>& boxes, const BlockPlan& plan, int32_t half) {
    const Block& block = plan.block;
    const Sequence& s = block.sequence;
    const int64_t head = KvHead(*problem_, block.head);
    const KvHeadShare share = ShareOfKvHead(*problem_, *tiling_, s, block.first_in_sequence, head);
    if (!share.Alone(s) || KvHead(*problem_, block.head + 1) == head) return;
    Dealer dealer(half, 2);
    for (int64_t tile = plan.columns.begin; tile < plan.columns.end; tile += kKeyTile) {
      const Range queries = SeenBy(s, tile);
      if (queries.begin >= queries.end || queries.begin < block.rows.begin || queries.begin >= block.rows.end) continue;
      WriteKeyTile(boxes, s, head, share, tile, true, dealer);
    }
  }

  // dK and dV of all other keys, shared between all vector cores.
  FA_INLINE void WriteOtherKeys(VectorBoxes<T>& boxes, const GmSequences& sequences, Dealer dealer) {
    int64_t first_block = 0;
    for (int32_t index = 0; index < problem_->num_sequences; ++index) {
      const Sequence s = sequences.At(index);
      for (int64_t head = 0; head < problem_->kv_heads; ++head) {
        const KvHeadShare share = ShareOfKvHead(*problem_, *tiling_, s, first_block, head);
        for (int64_t tile = 0; tile < s.kv_len; tile += kKeyTile) {
          const Range queries = SeenBy(s, tile);
          if (share.Alone(s) && queries.begin < queries.end) continue;
          WriteKeyTile(boxes, s, head, share, tile, !share.Alone(s), dealer);
        }
      }
      first_block += BlocksPerHead(*tiling_, s) * problem_->q_heads;
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
  // A power of two, so that it divides a tile of rows; half a box, so that sums of several cores meet in one.
  FA_INLINE static int32_t RowsAtOnce(int32_t width) {
    int32_t rows = kKeyTile;
    while (rows * width > kBackwardTile) rows /= 2;
    return rows;
  }

  FA_INLINE static void Clear(const LocalTensor<float>& zeros, const GlobalTensor<float>& gm, int64_t elements,
                              Dealer& dealer) {
    for (int64_t at = 0; at < elements; at += kBackwardTile) {
      if (dealer.Mine()) AscendC::DataCopy(gm[at], zeros, static_cast<uint32_t>(Min(kBackwardTile, elements - at)));
    }
  }

  // The rows that see some of a tile of keys.
  FA_INLINE static Range SeenBy(const Sequence& s, int64_t tile) {
    return VisibleQ(s, tile, Min(tile + kKeyTile, s.kv_len));
  }

  // dK and dV of a tile of keys: sums, or zeros where there are none.
  FA_INLINE void WriteKeyTile(VectorBoxes<T>& boxes, const Sequence& s, int64_t head, const KvHeadShare& share,
                              int64_t tile, bool sums, Dealer& dealer) {
    const int64_t end = Min(tile + kKeyTile, s.kv_len);
    for (int32_t tensor = 0; tensor < 2; ++tensor) {
      const bool value = tensor == 1;
      const int32_t width = value ? tiling_->value_width : tiling_->query_depth, at_once = RowsAtOnce(width);
      for (int64_t key = tile; key < end; key += at_once) {
        if (!dealer.Mine()) continue;
        const int32_t rows = static_cast<int32_t>(Min(at_once, end - key));
        const LocalTensor<float> total = boxes.BeginLoad();
        if (sums) {
          LoadSums(boxes, total, s, head, share, value ? dv_sum_ : dk_sum_, key, rows, width);
        } else {
          boxes.EndLoad();
          AscendC::Duplicate(total, 0.0f, rows * width);
        }
        VectorBarrier();
        Finish(boxes, total, rows, width, value ? tiling_->inverse_keep : tiling_->scale, value ? dv_ : dk_, s, head,
               key);
      }
    }
  }
  // What the cores that have blocks of a head summed, in their order.
  FA_INLINE void LoadSums(VectorBoxes<T>& boxes, const LocalTensor<float>& total, const Sequence& s, int64_t head,
                          const KvHeadShare& share, const GlobalTensor<float>& sums, int64_t key, int32_t rows,
                          int32_t width) {
    const LocalTensor<float> part = total[kBackwardTile];
    int64_t loaded = -1;
    for (int32_t core = share.first_core; core < share.end_core; ++core) {
      const int64_t row = SumRow(*problem_, *tiling_, s, head, share, core);
      if (!HasBlocks(*tiling_, core, share) || row == loaded) continue;
      if (loaded >= 0) boxes.LoadAgain();
      AscendC::DataCopy(loaded >= 0 ? part : total, sums[(row + key) * width], rows * width);
      boxes.EndLoad();
      if (loaded >= 0) AscendC::Add(total, total, part, rows * width);
      loaded = row;
    }
  }

  // Scales and rounds what is in the open box, and lets it go.
  template <class Output>
  FA_INLINE void Finish(VectorBoxes<T>& boxes, const LocalTensor<float>& sum, int32_t rows, int32_t width, float factor,
                        const Output& output, const Sequence& s, int64_t head, int64_t first_row) {
    AscendC::Muls(sum, sum, factor, rows * width);
    VectorBarrier();
    const LocalTensor<T> out = boxes.BeginStore();
    Narrow(out, sum, rows * width);
    boxes.EndCompute();
    output.Store(out, width, s, head, first_row, rows);
    boxes.EndStore();
  }

  const AttentionProblem* problem_ = nullptr;
  const BackwardTiling* tiling_ = nullptr;
  GlobalTensor<float> dk_sum_, dv_sum_, sink_parts_, dsink_;
  QueryTensor<T> dq_;
  KeyTensor<T> dk_, dv_;
};

}  // namespace npu_fa
