// Every instruction of the device API the simulator has: name, family, pipe, header. The table in docs/simulator.md and
// the test that no instruction is without a test are made from this list.
//
// pipe: S V M MTE1 MTE2 MTE3 FIX; "issue" holds up all of them; "*" where template arguments or operands decide.
#pragma once

#include "instructions/instruction_list_cube.h"
#include "instructions/instruction_list_vector.h"

// clang-format off: paths are no divisions
#define ASCEND_SIM_MACHINE_INSTRUCTIONS(X)                                    \
  X(DataCopy, movement, *, instructions/data_copy.h)                          \
  X(DataCopyPad, movement, *, instructions/data_copy.h)                       \
  X(SetFlag, synchronisation, *, api/sync.h)                                  \
  X(WaitFlag, synchronisation, *, api/sync.h)                                 \
  X(PipeBarrier, synchronisation, *, api/sync.h)                              \
  X(DataSyncBarrier, synchronisation, issue, api/sync.h)                      \
  X(CrossCoreSetFlag, synchronisation, *, api/sync.h)                         \
  X(CrossCoreWaitFlag, synchronisation, issue, api/sync.h)                    \
  X(SyncAll, synchronisation, issue, api/sync.h)                              \
  X(IBSet, synchronisation, issue, api/sync.h)                                \
  X(TQueSync, synchronisation, *, api/sync.h)                                 \
  X(InitDetermineComputeWorkspace, synchronisation, issue, api/sync.h)        \
  X(WaitPreBlock, synchronisation, issue, api/sync.h)                         \
  X(NotifyNextBlock, synchronisation, issue, api/sync.h)                      \
  X(IBWait, synchronisation, issue, api/sync.h)                               \
  X(DataCacheCleanAndInvalid, synchronisation, S, api/memory_mode.h)          \
  X(SetAtomicAdd, atomic mode, S, api/memory_mode.h)                          \
  X(SetAtomicMax, atomic mode, S, api/memory_mode.h)                          \
  X(SetAtomicMin, atomic mode, S, api/memory_mode.h)                          \
  X(SetAtomicNone, atomic mode, S, api/memory_mode.h)                         \
  X(SetAtomicType, atomic mode, S, api/memory_mode.h)                         \
  X(GetValue, scalar access, S, api/tensor.h)                                 \
  X(SetValue, scalar access, S, api/tensor.h)                                 \
  X(GetBlockIdx, system, S, api/system.h)                                     \
  X(GetBlockNum, system, S, api/system.h)                                     \
  X(GetSubBlockIdx, system, S, api/system.h)                                  \
  X(GetSubBlockNum, system, S, api/system.h)                                  \
  X(GetTaskRation, system, S, api/system.h)                                   \
  X(GetSystemCycle, system, S, api/system.h)                                  \
  X(GetArchVersion, system, S, api/system.h)                                  \
  X(GetUserWorkspace, system, S, api/system.h)                                \
  X(GET_TILING_DATA_WITH_STRUCT, system, S, api/system.h)                     \
  X(Trap, system, S, api/system.h)                                            \
  X(printf, debugging, S, api/debug.h)                                        \
  X(DumpTensor, debugging, S, api/debug.h)                                    \
  X(assert, debugging, S, api/debug.h)
// clang-format on

#define ASCEND_SIM_INSTRUCTIONS(X)   \
  ASCEND_SIM_MACHINE_INSTRUCTIONS(X) \
  ASCEND_SIM_VECTOR_INSTRUCTIONS(X)  \
  ASCEND_SIM_CUBE_INSTRUCTIONS(X)
