// A copy between tensors of one shape and different strides: what the host tells the kernel. Strides in bytes.
#pragma once

#include "blob.h"

namespace npu_fa {

struct CopyTask {
  static constexpr int32_t kAxes = 8;  // as many as a tensor of the runtime has
  int64_t block_bytes;                 // contiguous on both sides
  int64_t sizes[kAxes];
  int64_t to_strides[kAxes], from_strides[kAxes];
  int64_t zero;  // not 0: nothing is read, zeros are written
};
static_assert(FitsTheBlob<CopyTask>(), "CopyTask is not plain data in words of eight bytes");

// UB of a vector core for a piece that is on its way; there are two.
constexpr int64_t kCopyBoxBytes = 64 * 1024;

// The innermost axis and the blocks are cut into pieces that fit into a box; the cores take them in turn.
struct CopyPieces {
  int64_t blocks, bytes;            // of a piece: more than one block, or a part of one
  int64_t along_axis, along_block;  // how many pieces
};

FA_FUNCTION CopyPieces PiecesOf(const CopyTask& task) {
  constexpr int64_t kMaxBlocks = 4095, kMaxGap = 0x7fffffff;  // of the instruction
  constexpr int32_t kInner = CopyTask::kAxes - 1;
  const int64_t to_gap = task.to_strides[kInner] - task.block_bytes;
  const int64_t from_gap = task.zero ? 0 : task.from_strides[kInner] - task.block_bytes;
  const bool one_move = to_gap >= 0 && to_gap <= kMaxGap && from_gap >= 0 && from_gap <= kMaxGap;
  CopyPieces pieces = {1, task.block_bytes, 1, 1};
  if (task.block_bytes > kCopyBoxBytes) {
    pieces.bytes = kCopyBoxBytes;
    pieces.along_block = CeilDiv64(task.block_bytes, kCopyBoxBytes);
  } else if (one_move) {
    pieces.blocks = kCopyBoxBytes / (CeilDiv64(task.block_bytes, kBlockBytes) * kBlockBytes);
    if (pieces.blocks > kMaxBlocks) pieces.blocks = kMaxBlocks;
  }
  pieces.along_axis = CeilDiv64(task.sizes[kInner], pieces.blocks);
  return pieces;
}

FA_FUNCTION int64_t PieceCount(const CopyTask& task, const CopyPieces& pieces) {
  int64_t count = pieces.along_axis * pieces.along_block;
  for (int32_t axis = 0; axis < CopyTask::kAxes - 1; ++axis) count *= task.sizes[axis];
  return count;
}

}  // namespace npu_fa
