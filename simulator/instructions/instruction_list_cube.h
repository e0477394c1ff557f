// Cube instructions: name, family, pipe, header (see ../instruction_list.h).
#pragma once

// clang-format off: it takes the slashes of paths for divisions
#define ASCEND_SIM_CUBE_INSTRUCTIONS(X)                          \
  X(LoadData, load, *, instructions/load_data.h)                 \
  X(LoadDataWithTranspose, load, MTE1, instructions/load_data.h) \
  X(InitConstValue, load, *, instructions/load_data.h)           \
  X(Fill, load, *, instructions/load_data.h)                     \
  X(SetFmatrix, load, -, instructions/load_data.h)               \
  X(SetLoadDataPaddingValue, load, -, instructions/load_data.h)  \
  X(SetLoadDataBoundary, load, -, instructions/load_data.h)      \
  X(SetLoadDataRepeat, load, -, instructions/load_data.h)        \
  X(Mmad, product, M, instructions/mmad.h)                       \
  X(SetHF32Mode, product, -, instructions/mmad.h)                \
  X(SetHF32TransMode, product, -, instructions/mmad.h)           \
  X(SetMMLayoutTransform, product, -, instructions/mmad.h)       \
  X(SetMMColumnMajor, product, -, instructions/mmad.h)           \
  X(SetMMRowMajor, product, -, instructions/mmad.h)              \
  X(Fixpipe, store, FIX, instructions/fixpipe.h)                 \
  X(SetFixPipeConfig, store, -, instructions/fixpipe.h)
// clang-format on
