// strided_copy on the simulated chip against a loop over the elements. Prints nothing and returns 0 where all is well.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "launch.h"

namespace {

using npu_fa::CopyShape;

// Elements from the first to the last one.
int64_t Extent(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
  int64_t last = 0;
  for (size_t i = 0; i < sizes.size(); ++i) last += (sizes[i] - 1) * strides[i];
  return last + 1;
}

void Expect(const CopyShape& shape, const std::vector<uint8_t>& from, std::vector<uint8_t>& to) {
  std::vector<int64_t> index(shape.sizes.size(), 0);
  while (true) {
    int64_t in = 0, out = 0;
    for (size_t i = 0; i < index.size(); ++i) {
      out += index[i] * shape.to_strides[i];
      if (!shape.zero) in += index[i] * shape.from_strides[i];
    }
    for (int64_t byte = 0; byte < shape.element_bytes; ++byte)
      to[out * shape.element_bytes + byte] = shape.zero ? 0 : from[in * shape.element_bytes + byte];
    size_t axis = index.size();
    while (axis > 0 && ++index[axis - 1] == shape.sizes[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

// Bytes outside the elements of `to` have to stay as they were.
void Check(const CopyShape& shape) {
  std::mt19937 random(7);
  std::vector<uint8_t> from(shape.zero ? 0 : Extent(shape.sizes, shape.from_strides) * shape.element_bytes);
  std::vector<uint8_t> to(Extent(shape.sizes, shape.to_strides) * shape.element_bytes);
  for (uint8_t& byte : from) byte = static_cast<uint8_t>(random());
  for (uint8_t& byte : to) byte = static_cast<uint8_t>(random());
  std::vector<uint8_t> expected = to;
  Expect(shape, from, expected);
  const npu_fa::LaunchPlan plan = npu_fa::PlanCopy(shape, npu_fa::FindPlatform("Ascend910B2"));
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[2 * npu_fa::kGmAlignment]);
  uint8_t* const workspace =
      memory.get() + (npu_fa::kGmAlignment - reinterpret_cast<uintptr_t>(memory.get()) % npu_fa::kGmAlignment);
  npu_fa::LaunchCopy(plan, {to.data(), to.size()}, {from.data(), from.size()}, {workspace, npu_fa::kGmAlignment},
                     nullptr);
  if (to == expected) return;
  std::fprintf(stderr, "wrong bytes: element %ld zero %d\n", static_cast<long>(shape.element_bytes), shape.zero);
  for (size_t i = 0; i < shape.sizes.size(); ++i)
    std::fprintf(stderr, "  size %ld to %ld from %ld\n", static_cast<long>(shape.sizes[i]),
                 static_cast<long>(shape.to_strides[i]), static_cast<long>(shape.zero ? 0 : shape.from_strides[i]));
  std::exit(1);
}

CopyShape RandomShape(std::mt19937& random) {
  const auto pick = [&random](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  CopyShape shape = {int64_t{1} << pick(0, 3), {}, {}, {}, pick(0, 4) == 0};
  const int64_t rank = pick(0, 5);
  for (int64_t i = 0; i < rank; ++i) shape.sizes.push_back(pick(0, 3) == 0 ? 1 : pick(2, 9));
  // Axes in any order, with gaps; a source may repeat itself.
  const auto strides = [&](bool repeat) {
    std::vector<int64_t> order(rank), out(rank);
    for (int64_t i = 0; i < rank; ++i) order[i] = i;
    if (pick(0, 1) == 0) std::shuffle(order.begin(), order.end(), random);
    int64_t stride = pick(0, 2) == 0 ? pick(1, 3) : 1;
    for (int64_t i = rank; i-- > 0;) {
      out[order[i]] = repeat && pick(0, 5) == 0 ? 0 : stride;
      stride *= shape.sizes[order[i]];
      if (pick(0, 2) == 0) stride += pick(1, 40);
    }
    return out;
  };
  shape.to_strides = strides(false);
  shape.from_strides = strides(true);
  return shape;
}

}  // namespace

int main() {
  std::mt19937 random(1);
  for (int i = 0; i < 150; ++i) Check(RandomShape(random));
  Check({2, {200000}, {1}, {1}});                           // a block of several boxes
  Check({2, {3, 50000}, {60000, 1}, {50001, 1}});           // the same, in rows
  Check({2, {5000}, {1}, {3}});                             // more blocks than one instruction moves
  Check({1, {9000}, {2}, {1}, true});                       // zeros with holes
  Check({4, {2, 3, 4, 5}, {60, 20, 5, 1}, {1, 2, 6, 24}});  // all axes turned round
  try {
    std::vector<int64_t> strides, backwards;
    for (int i = 0; i < 9; ++i) backwards.push_back(int64_t{1} << i);
    for (int i = 9; i-- > 0;) strides.push_back(int64_t{1} << 2 * i);
    npu_fa::PlanCopy({1, std::vector<int64_t>(9, 2), strides, backwards}, npu_fa::FindPlatform("Ascend910B2"));
  } catch (const std::invalid_argument&) {
    return 0;
  }
  std::fprintf(stderr, "nine axes were not refused\n");
  return 1;
}
