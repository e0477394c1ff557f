// The AscendC device API for host execution. Kernels include this name and compile unchanged.
#pragma once

#include <cstdint>

#include "../api/tensor.h"
#include "../instructions/cube.h"
#include "../instructions/vector.h"
#include "../types/enums.h"
#include "../types/small_float.h"
