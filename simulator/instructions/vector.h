// All vector instructions.
#pragma once

#include "instructions/vector_arithmetic.h"
#include "instructions/vector_cast.h"
#include "instructions/vector_compare.h"
#include "instructions/vector_data.h"
#include "instructions/vector_mask.h"
#include "instructions/vector_reduce.h"
