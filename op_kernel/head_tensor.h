// Rows of one head of q, k, v, the output or a gradient in GM, with their rope part where there is one. On chip the
// rope part follows the rest, each from a multiple of 32 bytes on.
#pragma once

#include "gm_tile.h"

namespace npu_fa {

template <typename T, bool kOfKeys>
class HeadTensor {
 public:
  FA_INLINE void Init(GM_ADDR gm, const Strides& strides, int32_t columns) {
    gm_ = GmTensor<T>(gm);
    strides_ = &strides;
    columns_ = columns;
  }
  FA_INLINE void Init(GM_ADDR gm, const Strides& strides, int32_t columns, GM_ADDR rope, const Strides& rope_strides,
                      int32_t rope_columns) {
    Init(gm, strides, columns);
    rope_gm_ = GmTensor<T>(rope);
    rope_strides_ = &rope_strides;
    rope_columns_ = rope_columns;
  }

  // Columns [begin, end) of rows from `row` of the sequence on, as strips of `l1_rows` rows. `head`: of the tensor.
  FA_INLINE void Load(const LocalTensor<T>& l1, int32_t l1_rows, const Sequence& s, int64_t head, int64_t row,
                      int32_t rows, int32_t begin, int32_t end) const {
    if (begin < columns_) {
      LoadStrips(l1, gm_[Offset(*strides_, s, head, row) + begin], rows, Smaller(end, columns_) - begin, strides_->row,
                 l1_rows);
    }
    const int32_t first = Larger(begin, RopeBegin()), last = Smaller(end, RopeBegin() + rope_columns_);
    if (first >= last) return;
    LoadStrips(l1[(first - begin) * l1_rows], rope_gm_[Offset(*rope_strides_, s, head, row) + first - RopeBegin()],
               rows, last - first, rope_strides_->row, l1_rows);
  }
  // All columns.
  FA_INLINE void Load(const LocalTensor<T>& l1, int32_t l1_rows, const Sequence& s, int64_t head, int64_t row,
                      int32_t rows) const {
    Load(l1, l1_rows, s, head, row, rows, 0, RopeBegin() + rope_columns_);
  }

  // Rows of `ub_columns` elements.
  FA_INLINE void Store(const LocalTensor<T>& ub, int32_t ub_columns, const Sequence& s, int64_t head, int64_t row,
                       int32_t rows) const {
    StoreRows(gm_[Offset(*strides_, s, head, row)], ub, rows, columns_, strides_->row, ub_columns);
    if (rope_columns_ == 0) return;
    StoreRows(rope_gm_[Offset(*rope_strides_, s, head, row)], ub[RopeBegin()], rows, rope_columns_, rope_strides_->row,
              ub_columns);
  }

 private:
  FA_INLINE int32_t RopeBegin() const { return RoundUp(columns_, kBlockElements<T>); }
  FA_INLINE static int64_t Offset(const Strides& strides, const Sequence& s, int64_t head, int64_t row) {
    return kOfKeys ? KeyOffset(strides, s, head, row) : QueryOffset(strides, s, head, row);
  }

  GlobalTensor<T> gm_, rope_gm_;
  const Strides* strides_ = nullptr;
  const Strides* rope_strides_ = nullptr;
  int32_t columns_ = 0, rope_columns_ = 0;
};

template <typename T>
using QueryTensor = HeadTensor<T, false>;
template <typename T>
using KeyTensor = HeadTensor<T, true>;

}  // namespace npu_fa
