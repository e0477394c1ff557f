// Vector instructions: name, family, pipe, header (see ../instruction_list.h).
#pragma once

#define ASCEND_SIM_VECTOR_INSTRUCTIONS(X)                    \
  X(Add, arithmetic, V, instructions/vector_arithmetic.h)    \
  X(Exp, arithmetic, V, instructions/vector_arithmetic.h)
