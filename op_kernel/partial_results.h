// Rows whose columns several blocks share: each leaves its O, maxima and sums in GM, and one vector core joins them.
#pragma once

#include "online_softmax.h"
#include "vector_boxes.h"

namespace npu_fa {

// A block's results in GM: negated maxima, sums, O, all fp32.
template <typename T>
class PartialResults {
 public:
  FA_INLINE void Init(const Tiling* t, GM_ADDR workspace) {
    tiling_ = t;
    gm_ = GmTensor<float>(workspace + t->cores * t->workspace_per_core);
  }

  // Of a block whose last stage is `stage`.
  FA_INLINE void Write(VectorBoxes<T>& boxes, OnlineSoftmax& softmax, int64_t stage, const Block& block,
                       const Share& share) {
    const LocalTensor<float> max = boxes.BeginStore().template ReinterpretCast<float>();
    const LocalTensor<float> sum = max[RoundUp(VectorCoreRows(*tiling_), kRepeatFloats)];
    softmax.CopyStatistics(max, sum, stage);
    boxes.EndResult();
    AscendC::DataCopy(Max(block.number, share), max, share.rows);
    AscendC::DataCopy(Sum(block.number, share), sum, share.rows);
    boxes.EndStore();
    const int32_t chunk = BoxElements(*tiling_) * static_cast<int32_t>(sizeof(T)) / 4 / tiling_->value_width;
    for (int32_t row = 0; row < share.rows; row += chunk) {
      const int32_t rows = Smaller(chunk, share.rows - row);
      const LocalTensor<float> output = boxes.BeginStore().template ReinterpretCast<float>();
      softmax.CopyOutput(output, row, rows);
      boxes.EndResult();
      AscendC::DataCopy(Output(block.number, share, row), output, rows * tiling_->value_width);
      boxes.EndStore();
    }
    VectorBarrier();
  }

  // Of all blocks of the rows of `block`, the first of them; part p takes the place of stage p.
  FA_INLINE void Join(VectorBoxes<T>& boxes, OnlineSoftmax& softmax, const Block& block, const Share& share) {
    for (int32_t part = 0; part < block.parts; ++part) {
      const int64_t number = block.number + part;
      const LocalTensor<float> max = boxes.BeginLoad();
      const LocalTensor<float> sum = max[VectorCoreRows(*tiling_)];
      AscendC::DataCopy(max, Max(number, share), share.rows);
      AscendC::DataCopy(sum, Sum(number, share), share.rows);
      boxes.EndLoad();
      softmax.Join(part, max, sum, share.rows);
      boxes.Release();
      for (int32_t row = 0; row < share.rows; row += boxes.Rows()) {
        const int32_t rows = Smaller(boxes.Rows(), share.rows - row);
        const LocalTensor<float> output = boxes.BeginLoad();
        AscendC::DataCopy(output, Output(number, share, row), rows * tiling_->value_width);
        boxes.EndLoad();
        softmax.AddOutput(output, row, rows);
        boxes.Release();
      }
      VectorBarrier();
    }
  }

 private:
  FA_INLINE GlobalTensor<float> Max(int64_t number, const Share& share) const {
    return gm_[number * PartialElements(*tiling_) + share.begin];
  }
  FA_INLINE GlobalTensor<float> Sum(int64_t number, const Share& share) const {
    return Max(number, share)[BlockRows(*tiling_)];
  }
  FA_INLINE GlobalTensor<float> Output(int64_t number, const Share& share, int32_t row) const {
    return gm_[number * PartialElements(*tiling_) + 2 * BlockRows(*tiling_) +
               (share.begin + row) * tiling_->value_width];
  }

  const Tiling* tiling_ = nullptr;
  GlobalTensor<float> gm_;
};

}  // namespace npu_fa
