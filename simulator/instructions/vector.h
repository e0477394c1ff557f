// All vector instructions.
#pragma once

#include "instructions/vector_arithmetic.h"
