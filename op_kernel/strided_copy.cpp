// A tensor copied into other strides, or filled with zeros: what the attention kernels cannot read or write in place
// passes through it. Vector cores only; the data never leave the copy engines.
#include "copy_task.h"
#include "kernel_arguments.h"

namespace npu_fa {

class StridedCopy {
 public:
  FA_INLINE void Run(AscendC::TPipe* pipe, GM_ADDR to, GM_ADDR from, GM_ADDR blob) {
    ReadStruct(task_, blob);
    pieces_ = PiecesOf(task_);
    to_ = to;
    from_ = from;
    pipe->InitBuffer(buffer_, 2 * kCopyBoxBytes);
    if (task_.zero != 0) {
      FillWithZeros();
    } else {
      CopyAll();
    }
  }

 private:
  // A piece: where it begins on each side, and its extent.
  struct Piece {
    int64_t to, from, blocks, bytes;
  };

  FA_INLINE Piece At(int64_t number) const {
    const int64_t in_block = number % pieces_.along_block * pieces_.bytes;
    int64_t rest = number / pieces_.along_block;
    const int64_t first = rest % pieces_.along_axis * pieces_.blocks;
    rest /= pieces_.along_axis;
    Piece piece = {first * task_.to_strides[kInner] + in_block, first * task_.from_strides[kInner] + in_block,
                   Min(pieces_.blocks, task_.sizes[kInner] - first), Min(pieces_.bytes, task_.block_bytes - in_block)};
    for (int32_t axis = kInner - 1; axis >= 0; --axis) {
      if (task_.sizes[axis] == 1) continue;
      const int64_t index = rest % task_.sizes[axis];
      rest /= task_.sizes[axis];
      piece.to += index * task_.to_strides[axis];
      piece.from += index * task_.from_strides[axis];
    }
    return piece;
  }

  FA_INLINE uint32_t Gap(int64_t stride, const Piece& piece) const {
    return piece.blocks == 1 ? 0 : static_cast<uint32_t>(stride - task_.block_bytes);
  }
  FA_INLINE void Load(const LocalTensor<uint8_t>& box, const Piece& piece) const {
    const AscendC::DataCopyExtParams move(piece.blocks, piece.bytes, Gap(task_.from_strides[kInner], piece), 0, 0);
    AscendC::DataCopyPad(box, GmTensor<uint8_t>(from_ + piece.from), move,
                         AscendC::DataCopyPadExtParams<uint8_t>(false, 0, 0, 0));
  }
  FA_INLINE void Store(const LocalTensor<uint8_t>& box, const Piece& piece) const {
    const AscendC::DataCopyExtParams move(piece.blocks, piece.bytes, 0, Gap(task_.to_strides[kInner], piece), 0);
    AscendC::DataCopyPad(GmTensor<uint8_t>(to_ + piece.to), box, move);
  }

  FA_INLINE void CopyAll() {
    for (int32_t slot = 0; slot < 2; ++slot) AscendC::SetFlag<HardEvent::MTE3_MTE2>(slot);
    int32_t slot = 0;
    const int64_t count = PieceCount(task_, pieces_);
    for (int64_t number = AscendC::GetBlockIdx(); number < count; number += AscendC::GetBlockNum()) {
      const Piece piece = At(number);
      const LocalTensor<uint8_t> box = buffer_.GetWithOffset<uint8_t>(kCopyBoxBytes, slot * kCopyBoxBytes);
      AscendC::WaitFlag<HardEvent::MTE3_MTE2>(slot);
      Load(box, piece);
      AscendC::SetFlag<HardEvent::MTE2_MTE3>(slot);
      AscendC::WaitFlag<HardEvent::MTE2_MTE3>(slot);
      Store(box, piece);
      AscendC::SetFlag<HardEvent::MTE3_MTE2>(slot);
      slot ^= 1;
    }
    for (slot = 0; slot < 2; ++slot) AscendC::WaitFlag<HardEvent::MTE3_MTE2>(slot);
  }

  FA_INLINE void FillWithZeros() {
    const LocalTensor<uint8_t> box = buffer_.GetWithOffset<uint8_t>(kCopyBoxBytes, 0);
    AscendC::Duplicate(box.ReinterpretCast<float>(), 0.0f, static_cast<int32_t>(kCopyBoxBytes / sizeof(float)));
    AscendC::SetFlag<HardEvent::V_MTE3>(0);
    AscendC::WaitFlag<HardEvent::V_MTE3>(0);
    const int64_t count = PieceCount(task_, pieces_);
    for (int64_t number = AscendC::GetBlockIdx(); number < count; number += AscendC::GetBlockNum())
      Store(box, At(number));
  }

  static constexpr int32_t kInner = CopyTask::kAxes - 1;
  CopyTask task_;
  CopyPieces pieces_;
  GM_ADDR to_ = nullptr;
  GM_ADDR from_ = nullptr;
  AscendC::TBuf<AscendC::TPosition::VECCALC> buffer_;
};

}  // namespace npu_fa

extern "C" __global__ __aicore__ void strided_copy(GM_ADDR to, GM_ADDR from, GM_ADDR workspace, GM_ADDR blob) {
  KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_AIV_ONLY);
  (void)workspace;
  AscendC::TPipe pipe;
  npu_fa::StridedCopy copy;
  copy.Run(&pipe, to, from, blob);
}
