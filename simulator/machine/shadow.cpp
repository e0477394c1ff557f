#include "machine/shadow.h"

namespace ascend_sim {

void LocalShadow::Revive(uint32_t begin, uint32_t end) {
  map_.ForRange(begin, end, [](State& state, uint64_t, uint64_t) {
    state.live = true;
    state.initialised = false;
    return true;
  });
}

void LocalShadow::Adopt(uint32_t begin, uint32_t end) {
  map_.ForRange(begin, end, [](State& state, uint64_t, uint64_t) {
    state.live = true;
    return true;
  });
}

void LocalShadow::Kill(uint32_t begin, uint32_t end) {
  map_.ForRange(begin, end, [](State& state, uint64_t, uint64_t) {
    state.live = false;
    state.initialised = false;
    return true;
  });
}

void LocalShadow::Scramble(uint32_t begin, uint32_t end) {
  map_.ForRange(begin, end, [](State& state, uint64_t, uint64_t) {
    state.initialised = false;
    return true;
  });
}

bool LocalShadow::AnyLive(uint32_t begin, uint32_t end) {
  return !map_.ForRange(begin, end, [](State& state, uint64_t, uint64_t) { return !state.live; });
}

std::vector<ByteRange> LocalShadow::Unwritten(uint32_t begin, uint32_t end) {
  std::vector<ByteRange> ranges;
  map_.ForRange(begin, end, [&ranges](State& state, uint64_t from, uint64_t to) {
    if (!state.initialised) ranges.push_back({from, to});
    return true;
  });
  return ranges;
}

Verdict LocalShadow::Read(uint32_t begin, uint32_t end, int pipe, Tick tick, const LocalClock& seen,
                          bool need_initialised) {
  Verdict verdict;
  const int scalar = PipeIndex(PIPE_S);
  map_.ForRange(begin, end, [&](State& state, uint64_t from, uint64_t) {
    if (!state.live) {
      verdict = {Problem::kDead, from, 0, 0, -1};
      return false;
    }
    if (state.write > seen[state.write_pipe] && !(state.write_pipe == pipe && state.write == tick)) {
      verdict = {Problem::kAfterWrite, from, state.write_pipe, state.write, -1};
      return false;
    }
    if (!state.initialised && need_initialised) {
      verdict = {Problem::kUninitialised, from, 0, 0, -1};
      return false;
    }
    // A scalar load has its value before the next instruction is issued, so nothing later can overtake it.
    if (pipe != scalar) state.reads[pipe] = tick;
    return true;
  });
  return verdict;
}

Verdict LocalShadow::Write(uint32_t begin, uint32_t end, int pipe, Tick tick, const LocalClock& seen) {
  Verdict verdict;
  map_.ForRange(begin, end, [&](State& state, uint64_t from, uint64_t) {
    if (!state.live) {
      verdict = {Problem::kDead, from, 0, 0, -1};
      return false;
    }
    if (state.write > seen[state.write_pipe] && !(state.write_pipe == pipe && state.write == tick)) {
      verdict = {Problem::kAfterWrite, from, state.write_pipe, state.write, -1};
      return false;
    }
    for (int reader = 0; reader < kPipes; ++reader) {
      // A pipe starts its instructions in order, so its own later write cannot overtake its earlier read.
      if (reader != pipe && state.reads[reader] > seen[reader]) {
        verdict = {Problem::kAfterRead, from, reader, state.reads[reader], -1};
        return false;
      }
    }
    state.write = tick;
    state.write_pipe = static_cast<uint8_t>(pipe);
    state.reads.fill(0);
    state.initialised = true;
    return true;
  });
  return verdict;
}

}  // namespace ascend_sim
