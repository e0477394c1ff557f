// The exponential function of rows of floats, without the host's mathematics library.
#pragma once

#include <cstddef>

namespace ascend_sim {

// out[i] = e^in[i], within 0.51 units of the last place, with the same bits on every host. `in` and `out` may be the
// same row.
void ExpBatch(const float* in, float* out, size_t count);

}  // namespace ascend_sim
