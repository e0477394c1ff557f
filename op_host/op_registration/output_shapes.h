// Shapes of the forward's outputs out of those of its inputs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace npu_fa::graph {

constexpr int64_t kUnknown = -1;  // a size that the graph does not know yet

struct OutputShapes {
  std::vector<int64_t> out, statistics;
};

// Empty where the shapes and the layout do not belong together; the tiling says why.
OutputShapes ForwardShapes(const std::string& layout, int64_t head_num, const std::vector<int64_t>& query,
                           const std::vector<int64_t>& key, const std::vector<int64_t>& value);

}  // namespace npu_fa::graph
