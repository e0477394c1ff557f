// Every instruction of the device API the simulator has: name, family, pipe, header. The table in docs/simulator.md and
// the test that no instruction is without a test are made from this list.
//
// pipe: S V M MTE1 MTE2 MTE3 FIX, "-" for calls that are no instruction, "*" where the operands decide.
#pragma once

#include "instructions/instruction_list_cube.h"
#include "instructions/instruction_list_vector.h"

#define ASCEND_SIM_MACHINE_INSTRUCTIONS(X)                        \
  X(DataCopy, movement, *, instructions/data_copy.h)              \
  X(DataCopyPad, movement, *, instructions/data_copy.h)           \
  X(SetFlag, synchronisation, *, api/sync.h)                      \
  X(WaitFlag, synchronisation, *, api/sync.h)                     \
  X(PipeBarrier, synchronisation, *, api/sync.h)

#define ASCEND_SIM_INSTRUCTIONS(X)   \
  ASCEND_SIM_MACHINE_INSTRUCTIONS(X) \
  ASCEND_SIM_VECTOR_INSTRUCTIONS(X)  \
  ASCEND_SIM_CUBE_INSTRUCTIONS(X)
