// A map from every byte of a range to a state, kept as maximal segments of equal state.
//
// Instructions touch long stretches, so a few segments describe thousands of bytes, and the answer is still exact to
// the byte. The range is cut into pages to keep the list a lookup walks short.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ascend_sim {

template <typename State, uint32_t kPageBytes>
class SegmentMap {
 public:
  void Create(uint64_t size, const State& initial) {
    size_ = size;
    initial_ = initial;
    pages_.assign((size + kPageBytes - 1) / kPageBytes, {});
  }
  bool created() const { return size_ != 0; }
  static constexpr uint32_t kPage = kPageBytes;

  // Calls visit(state, begin, end) for the segments that make up [begin, end), splitting at both borders; visit may
  // change the state and returns false to stop. Equal neighbours are joined again afterwards.
  template <typename Visit>
  bool ForRange(uint64_t begin, uint64_t end, Visit&& visit) {
    while (begin < end) {
      const uint64_t page_index = begin / kPageBytes;
      const uint64_t base = page_index * kPageBytes;
      const uint64_t stop = std::min<uint64_t>(end, base + kPageBytes);
      const bool whole = begin == base && (stop == base + kPageBytes || stop == size_);
      if (!InPage(pages_[page_index], base, static_cast<uint32_t>(begin - base), static_cast<uint32_t>(stop - base),
                  whole, visit)) {
        return false;
      }
      begin = stop;
    }
    return true;
  }

 private:
  struct Segment {
    uint32_t begin;  // in the page
    State state;
  };
  using Page = std::vector<Segment>;  // sorted by begin, the first at 0; empty until first touched

  template <typename Visit>
  bool InPage(Page& page, uint64_t base, uint32_t begin, uint32_t end, bool whole, Visit&& visit) {
    if (page.empty()) page.push_back(Segment{0, initial_});
    if (page.size() == 1 && whole) return visit(page[0].state, base + begin, base + end);
    size_t first = Find(page, begin);
    if (page[first].begin < begin) {
      page.insert(page.begin() + first + 1, Segment{begin, page[first].state});
      ++first;
    }
    const uint32_t page_end = static_cast<uint32_t>(std::min<uint64_t>(kPageBytes, size_ - base));
    size_t last = first;  // one past the segments in the range
    bool go_on = true;
    while (last < page.size() && page[last].begin < end) {
      const uint32_t segment_end = last + 1 < page.size() ? page[last + 1].begin : page_end;
      if (segment_end > end) page.insert(page.begin() + last + 1, Segment{end, page[last].state});
      if (go_on) go_on = visit(page[last].state, base + page[last].begin, base + std::min(segment_end, end));
      ++last;
    }
    Join(page, first, last);
    return go_on;
  }

  static size_t Find(const Page& page, uint32_t offset) {
    size_t low = 0, high = page.size();
    while (high - low > 1) {
      const size_t middle = (low + high) / 2;
      if (page[middle].begin <= offset) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  // Joins equal neighbours among segments first - 1 .. last.
  static void Join(Page& page, size_t first, size_t last) {
    size_t keep = first > 0 ? first - 1 : 0;
    const size_t stop = std::min(last + 1, page.size());
    size_t next = keep + 1;
    for (; next < stop; ++next) {
      if (page[next].state == page[keep].state) continue;
      ++keep;
      if (keep != next) page[keep] = std::move(page[next]);
    }
    if (keep + 1 != stop) page.erase(page.begin() + keep + 1, page.begin() + stop);
  }

  uint64_t size_ = 0;
  State initial_{};
  std::vector<Page> pages_;
};

}  // namespace ascend_sim
