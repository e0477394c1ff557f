// The AscendC device API for host execution. Kernels include this name and compile unchanged.
#pragma once

#include <cstdint>

#include "../api/debug.h"
#include "../api/memory_mode.h"
#include "../api/scalar.h"
#include "../api/sync.h"
#include "../api/system.h"
#include "../api/tensor.h"
#include "../api/tpipe.h"
#include "../instructions/cube.h"
#include "../instructions/data_copy.h"
#include "../instructions/vector.h"
#include "../types/enums.h"
#include "../types/small_float.h"
