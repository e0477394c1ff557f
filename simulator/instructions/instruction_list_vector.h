// Vector instructions: name, family, pipe, header (see ../instruction_list.h).
#pragma once

// clang-format off: it takes the slashes of paths for divisions
#define ASCEND_SIM_VECTOR_INSTRUCTIONS(X)                                 \
  X(Abs, arithmetic, V, instructions/vector_arithmetic.h)                 \
  X(Exp, arithmetic, V, instructions/vector_arithmetic.h)                 \
  X(Ln, arithmetic, V, instructions/vector_arithmetic.h)                  \
  X(Sqrt, arithmetic, V, instructions/vector_arithmetic.h)                \
  X(Rsqrt, arithmetic, V, instructions/vector_arithmetic.h)               \
  X(Reciprocal, arithmetic, V, instructions/vector_arithmetic.h)          \
  X(Relu, arithmetic, V, instructions/vector_arithmetic.h)                \
  X(Add, arithmetic, V, instructions/vector_arithmetic.h)                 \
  X(Sub, arithmetic, V, instructions/vector_arithmetic.h)                 \
  X(Mul, arithmetic, V, instructions/vector_arithmetic.h)                 \
  X(Div, arithmetic, V, instructions/vector_arithmetic.h)                 \
  X(Max, arithmetic, V, instructions/vector_arithmetic.h)                 \
  X(Min, arithmetic, V, instructions/vector_arithmetic.h)                 \
  X(AddRelu, arithmetic, V, instructions/vector_arithmetic.h)             \
  X(SubRelu, arithmetic, V, instructions/vector_arithmetic.h)             \
  X(MulAddDst, arithmetic, V, instructions/vector_arithmetic.h)           \
  X(FusedMulAdd, arithmetic, V, instructions/vector_arithmetic.h)         \
  X(FusedMulAddRelu, arithmetic, V, instructions/vector_arithmetic.h)     \
  X(MulAddRelu, arithmetic, V, instructions/vector_arithmetic.h)          \
  X(Adds, arithmetic, V, instructions/vector_arithmetic.h)                \
  X(Muls, arithmetic, V, instructions/vector_arithmetic.h)                \
  X(Maxs, arithmetic, V, instructions/vector_arithmetic.h)                \
  X(Mins, arithmetic, V, instructions/vector_arithmetic.h)                \
  X(LeakyRelu, arithmetic, V, instructions/vector_arithmetic.h)           \
  X(Axpy, arithmetic, V, instructions/vector_arithmetic.h)                \
  X(Not, bits, V, instructions/vector_arithmetic.h)                       \
  X(And, bits, V, instructions/vector_arithmetic.h)                       \
  X(Or, bits, V, instructions/vector_arithmetic.h)                        \
  X(ShiftLeft, bits, V, instructions/vector_arithmetic.h)                 \
  X(ShiftRight, bits, V, instructions/vector_arithmetic.h)                \
  X(Compare, compare and select, V, instructions/vector_compare.h)        \
  X(CompareScalar, compare and select, V, instructions/vector_compare.h)  \
  X(Compares, compare and select, V, instructions/vector_compare.h)       \
  X(GetCmpMask, compare and select, V, instructions/vector_compare.h)     \
  X(SetCmpMask, compare and select, V, instructions/vector_compare.h)     \
  X(Select, compare and select, V, instructions/vector_compare.h)         \
  X(Cast, conversion, V, instructions/vector_cast.h)                      \
  X(AddReluCast, conversion, V, instructions/vector_cast.h)               \
  X(SubReluCast, conversion, V, instructions/vector_cast.h)               \
  X(MulCast, conversion, V, instructions/vector_cast.h)                   \
  X(SetDeqScale, conversion, -, instructions/vector_cast.h)               \
  X(WholeReduceMax, reduction, V, instructions/vector_reduce.h)           \
  X(WholeReduceMin, reduction, V, instructions/vector_reduce.h)           \
  X(WholeReduceSum, reduction, V, instructions/vector_reduce.h)           \
  X(RepeatReduceSum, reduction, V, instructions/vector_reduce.h)          \
  X(BlockReduceMax, reduction, V, instructions/vector_reduce.h)           \
  X(BlockReduceMin, reduction, V, instructions/vector_reduce.h)           \
  X(BlockReduceSum, reduction, V, instructions/vector_reduce.h)           \
  X(PairReduceSum, reduction, V, instructions/vector_reduce.h)            \
  X(ReduceRepeat, reduction, V, instructions/vector_reduce.h)             \
  X(ReduceDataBlock, reduction, V, instructions/vector_reduce.h)          \
  X(ReducePairElem, reduction, V, instructions/vector_reduce.h)           \
  X(ReduceMax, reduction, V, instructions/vector_reduce.h)                \
  X(ReduceMin, reduction, V, instructions/vector_reduce.h)                \
  X(ReduceSum, reduction, V, instructions/vector_reduce.h)                \
  X(GetAccVal, reduction, S, instructions/vector_reduce.h)                \
  X(GetReduceRepeatSumSpr, reduction, S, instructions/vector_reduce.h)    \
  X(GetReduceMaxMinCount, reduction, S, instructions/vector_reduce.h)     \
  X(GetReduceRepeatMaxMinSpr, reduction, S, instructions/vector_reduce.h) \
  X(Duplicate, data, V, instructions/vector_data.h)                       \
  X(Copy, data, V, instructions/vector_data.h)                            \
  X(Brcb, data, V, instructions/vector_data.h)                            \
  X(Gather, data, V, instructions/vector_data.h)                          \
  X(Gatherb, data, V, instructions/vector_data.h)                         \
  X(GatherMask, data, V, instructions/vector_data.h)                      \
  X(GetGatherMaskRemainCount, data, -, instructions/vector_data.h)        \
  X(CreateVecIndex, data, V, instructions/vector_data.h)                  \
  X(Transpose, data, V, instructions/vector_data.h)                       \
  X(TransDataTo5HD, data, V, instructions/vector_data.h)                  \
  X(SetMaskCount, mask, -, instructions/vector_mask.h)                    \
  X(SetMaskNorm, mask, -, instructions/vector_mask.h)                     \
  X(SetVectorMask, mask, -, instructions/vector_mask.h)                   \
  X(ResetMask, mask, -, instructions/vector_mask.h)                       \
  X(SetCtrlSpr, mask, -, instructions/vector_mask.h)                      \
  X(GetCtrlSpr, mask, -, instructions/vector_mask.h)
// clang-format on
