#include "backend.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>
#include <utility>
#include <vector>

#include "semantics.h"

namespace npu_fa {
namespace {

int64_t LaneCount(const AttentionProblem& p, const Sequence& s) { return s.q_len * (p.q_heads / p.kv_heads); }
int64_t LaneBlocks(const AttentionProblem& p, const Sequence& s) { return (LaneCount(p, s) + kLanes - 1) / kLanes; }

// 64-byte aligned memory that only grows; each thread keeps one between calls, so that small calls do not pay for it.
class Scratch {
 public:
  ~Scratch() { std::free(memory_); }

  void* Get(int64_t bytes) {
    if (bytes > size_) {
      std::free(memory_);
      size_ = (bytes + 4095) / 4096 * 4096;
      memory_ = std::aligned_alloc(64, static_cast<size_t>(size_));
      if (!memory_) {
        size_ = 0;
        throw std::bad_alloc();
      }
    }
    return memory_;
  }

 private:
  void* memory_ = nullptr;
  int64_t size_ = 0;
};

thread_local Scratch thread_scratch;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<char, Free>;

// Not written: its pages cost memory only once they are used.
Buffer Allocate(int64_t bytes) {
  Buffer buffer(static_cast<char*>(std::aligned_alloc(64, static_cast<size_t>((bytes + 63) / 64 * 64 + 64))));
  if (!buffer) throw std::bad_alloc();
  return buffer;
}

// run(i) for i in [0, count), each once, the next free thread taking the next i. Exceptions reach the caller.
template <class Run>
void ForEachTask(int64_t count, const CpuOptions& options, const Run& run) {
  const int64_t workers = std::min<int64_t>(count, options.threads);
  const auto work = [&](std::atomic<int64_t>& next) {
    for (int64_t i = next++; i < count; i = next++) run(i);
    MachineProducts().release();
  };
  std::atomic<int64_t> next{0};
  if (workers <= 1) return work(next);
  at::parallel_for(0, workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t w = begin; w < end; ++w) work(next);
  });
}

int64_t PairsSeen(const AttentionProblem& p, const Sequence& s, int64_t block) {
  const int64_t group = p.q_heads / p.kv_heads, first = block * kLanes;
  const int64_t last = Min(first + kLanes, LaneCount(p, s));
  const Range keys = VisibleKv(s, first / group, (last - 1) / group + 1);
  return (last - first) * (keys.end - keys.begin);
}

// Tasks sorted so that the largest start first: the threads then end at about the same time.
struct RowTasks {
  std::vector<RowTask> tasks;
  std::vector<int64_t> lane_start;  // by sequence * kv_heads + kv_head
  int64_t lanes = 0;                // all of them, each (sequence, kv_head) rounded up to whole blocks
};

bool Empty(const Sequence& s) { return s.q_len == 0 || s.kv_len == 0; }

// Blocks of a forward task: neighbours share the packed keys, whose cost fades beyond 8 blocks. Their state must fit in
// the second cache, and there must be a few tasks for each thread.
int64_t BlocksOfTask(const AttentionProblem& p, int64_t blocks, int threads) {
  const int64_t element = p.dtype == DType::kFloat64 ? 8 : 4;
  const int64_t state = kLanes * (p.head_dim + p.rope_dim + p.value_dim) * element;
  const int64_t fits = std::max<int64_t>(1, (512 << 10) / state);
  return std::clamp<int64_t>(blocks / (4 * threads), 1, std::min<int64_t>(8, fits));
}

RowTasks MakeRowTasks(const HostProblem& host, int threads) {
  const AttentionProblem& p = host.problem;
  int64_t blocks = 0;
  for (const Sequence& s : host.sequences)
    if (!Empty(s)) blocks += LaneBlocks(p, s) * p.kv_heads;
  const int64_t step = BlocksOfTask(p, blocks, threads);
  RowTasks made;
  std::vector<std::pair<int64_t, RowTask>> sized;
  for (size_t i = 0; i < host.sequences.size(); ++i) {
    const Sequence& s = host.sequences[i];
    const int64_t own = LaneBlocks(p, s);
    std::vector<int64_t> areas;
    for (int64_t b = 0; b < own && !Empty(s); b += step) {
      int64_t area = 0;
      for (int64_t at = b; at < std::min(b + step, own); ++at) area += PairsSeen(p, s, at);
      areas.push_back(area);
    }
    for (int32_t h = 0; h < p.kv_heads; ++h) {
      made.lane_start.push_back(made.lanes);
      for (size_t t = 0; t < areas.size(); ++t) {
        const int64_t b = static_cast<int64_t>(t) * step;
        sized.push_back({areas[t], {static_cast<int32_t>(i), h, b, std::min(b + step, own), made.lanes}});
      }
      made.lanes += own * kLanes;
    }
  }
  std::stable_sort(sized.begin(), sized.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [area, task] : sized) made.tasks.push_back(task);
  return made;
}

// A random word keeps its element iff it is below the result: KeepWord as one comparison of integers. It is monotone.
uint64_t KeepBelowWord(const Dropout& d) {
  uint64_t low = 0, high = uint64_t{1} << 32;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    if (KeepWord(d, static_cast<uint32_t>(middle)))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// Threads worth waking for so many multiplications.
int UsefulThreads(const HostProblem& host, const RowTasks& rows, int threads) {
  constexpr double kWorthWaking = 1e6;  // about 10 microseconds of one core
  double multiplications = 0;
  for (const RowTask& task : rows.tasks)
    for (int64_t b = task.block_begin; b < task.block_end; ++b)
      multiplications += static_cast<double>(PairsSeen(host.problem, host.sequences[task.sequence], b)) *
                         (host.problem.head_dim + host.problem.rope_dim + host.problem.value_dim);
  return multiplications < kWorthWaking ? 1 : threads;
}

// ---- backward ----

// The slots of all parts of a unit should not exceed this, unless one part already does.
constexpr int64_t kSlotBytes = 24 << 20;

// Keys of a part, unless it is the last, are a multiple of this.
constexpr int64_t kKeysOfPart = 256;

// One (sequence, key head): its keys are divided into parts, each with a slot for its share of dq. Whoever ends the
// last part adds the slots in order.
struct Unit {
  RowTask rows;
  int64_t part_keys, parts;
  double area;
  std::atomic<int64_t> left{0};
  std::vector<QuerySlot> slots;
  std::vector<Buffer> memory;
};

Range BlocksSeen(const AttentionProblem& p, const Sequence& s, Range keys) {
  const Range rows = VisibleQ(s, keys.begin, keys.end);
  const int64_t group = p.q_heads / p.kv_heads;
  if (rows.begin >= rows.end) return {0, 0};
  return {rows.begin * group / kLanes, (rows.end * group + kLanes - 1) / kLanes};
}

int64_t PartKeys(const Sequence& s, int64_t parts) {
  return ((s.kv_len + parts - 1) / parts + kKeysOfPart - 1) / kKeysOfPart * kKeysOfPart;
}

int64_t SlotBytes(const AttentionProblem& p, const Sequence& s, int64_t parts, int64_t block_bytes) {
  const int64_t step = PartKeys(s, parts);
  int64_t blocks = 0;
  for (int64_t begin = 0; begin < s.kv_len; begin += step) {
    const Range seen = BlocksSeen(p, s, {begin, std::min(begin + step, s.kv_len)});
    blocks += seen.end - seen.begin;
  }
  return blocks * block_bytes;
}

// True when no two scores share an element of the bias, so that tasks may add to its gradient side by side.
bool BiasIsPrivate(const HostProblem& host) {
  const Bias& b = host.problem.bias;
  if (b.kind == BiasKind::kPacked) return true;
  return b.kind == BiasKind::kStrided && b.row_stride != 0 && b.column_stride != 0 &&
         (b.head_stride != 0 || host.problem.q_heads == 1) && (b.batch_stride != 0 || host.sequences.size() == 1);
}

class BackwardRun {
 public:
  BackwardRun(const HostProblem& host, const CpuCall& call, const CpuOptions& options)
      : host_(host), p_(host.problem), call_(call), options_(options), kernels_(MachineKernels()) {
    real_bytes_ = p_.dtype == DType::kFloat64 ? 8 : 4;
    block_bytes_ = (p_.head_dim + p_.rope_dim + 1) / 2 * 2 * kLanes * real_bytes_;
  }

  void Run(double* dsink) {
    RowTasks rows = MakeRowTasks(host_, options_.threads);
    options_.threads = UsefulThreads(host_, rows, options_.threads);
    const Buffer lanes = Allocate(3 * rows.lanes * real_bytes_);
    call_.lane_max = lanes.get();
    call_.lane_inverse_sum = lanes.get() + rows.lanes * real_bytes_;
    call_.lane_delta = lanes.get() + 2 * rows.lanes * real_bytes_;
    ForEachTask(static_cast<int64_t>(rows.tasks.size()), options_, [&](int64_t i) {
      const RowTask& task = rows.tasks[i];
      kernels_.statistics(call_, task, thread_scratch.Get(kernels_.statistics_scratch(call_, task)));
    });
    if (dsink) real_bytes_ == 8 ? SinkGradient<double>(rows, dsink) : SinkGradient<float>(rows, dsink);
    MakeUnits(rows);
    RunUnits();
  }

 private:
  template <class R>
  void SinkGradient(const RowTasks& rows, double* dsink) {
    const int64_t group = p_.q_heads / p_.kv_heads;
    const R *m = static_cast<const R*>(call_.lane_max), *inverse = static_cast<const R*>(call_.lane_inverse_sum);
    const R *delta = static_cast<const R*>(call_.lane_delta), *sink = static_cast<const R*>(call_.sink);
    for (size_t i = 0; i < host_.sequences.size(); ++i)
      for (int64_t h = 0; h < p_.kv_heads && !Empty(host_.sequences[i]); ++h) {
        const int64_t start = rows.lane_start[i * p_.kv_heads + h], count = LaneCount(p_, host_.sequences[i]);
        for (int64_t l = 0; l < count; ++l) {
          const int64_t head = h * group + l % group;
          dsink[head] -= static_cast<double>(std::exp(sink[head] - m[start + l]) * inverse[start + l]) *
                         static_cast<double>(delta[start + l]);
        }
      }
  }

  // How many parts: a few for each thread, or, if results may not depend on that, for a machine of 16; as far as memory
  // for the slots goes. Shared elements of a bias need one task at a time for each head.
  int64_t Parts(const Sequence& s, int64_t units) const {
    if (call_.dpse && !BiasIsPrivate(host_)) return 1;
    const int64_t wanted = 4 * (options_.deterministic ? 16 : options_.threads);
    int64_t parts = std::clamp<int64_t>((wanted + units - 1) / units, 1, (s.kv_len + kKeysOfPart - 1) / kKeysOfPart);
    if (options_.threads == 1 && !options_.deterministic) parts = 1;
    const int64_t allowed = std::max(kSlotBytes, SlotBytes(p_, s, 1, block_bytes_) * 5 / 4);
    while (parts > 1 && SlotBytes(p_, s, parts, block_bytes_) > allowed) --parts;
    return parts;
  }

  void MakeUnits(const RowTasks& rows) {
    int64_t count = 0;
    for (const Sequence& s : host_.sequences) count += Empty(s) ? 0 : p_.kv_heads;
    for (size_t i = 0; i < host_.sequences.size(); ++i) {
      const Sequence& s = host_.sequences[i];
      if (Empty(s)) continue;
      const int64_t parts = Parts(s, count), blocks = LaneBlocks(p_, s);
      double area = 0;
      for (int64_t b = 0; b < blocks; ++b) area += static_cast<double>(PairsSeen(p_, s, b));
      for (int32_t h = 0; h < p_.kv_heads; ++h) {
        auto unit = std::make_unique<Unit>();
        unit->rows = {static_cast<int32_t>(i), h, 0, blocks, rows.lane_start[i * p_.kv_heads + h]};
        unit->part_keys = PartKeys(s, parts);
        unit->parts = (s.kv_len + unit->part_keys - 1) / unit->part_keys;
        unit->area = area;
        unit->left = unit->parts;
        unit->slots.resize(unit->parts);
        unit->memory.resize(unit->parts);
        units_.push_back(std::move(unit));
      }
    }
    std::stable_sort(units_.begin(), units_.end(), [](const auto& a, const auto& b) { return a->area > b->area; });
  }

  void RunUnits() {
    if (call_.dpse && !BiasIsPrivate(host_)) {
      // Elements of the bias belong to one head, so a worker takes a key head with all its sequences, in order.
      std::vector<std::vector<Unit*>> of_head(p_.kv_heads);
      for (const auto& unit : units_) of_head[unit->rows.kv_head].push_back(unit.get());
      return ForEachTask(p_.kv_heads, options_, [&](int64_t h) {
        for (Unit* unit : of_head[h]) RunPart(*unit, 0);
      });
    }
    std::vector<std::pair<Unit*, int64_t>> tasks;
    for (const auto& unit : units_)
      for (int64_t part = 0; part < unit->parts; ++part) tasks.push_back({unit.get(), part});
    ForEachTask(static_cast<int64_t>(tasks.size()), options_,
                [&](int64_t i) { RunPart(*tasks[i].first, tasks[i].second); });
  }

  void RunPart(Unit& unit, int64_t part) {
    const Sequence& s = host_.sequences[unit.rows.sequence];
    KeyTask task = {};
    task.sequence = unit.rows.sequence;
    task.kv_head = unit.rows.kv_head;
    task.lane_start = unit.rows.lane_start;
    task.key_begin = part * unit.part_keys;
    task.key_end = std::min(task.key_begin + unit.part_keys, s.kv_len);
    if (call_.dq) {
      const Range blocks = BlocksSeen(p_, s, {task.key_begin, task.key_end});
      const int64_t count = blocks.end - blocks.begin;
      unit.memory[part] = Allocate(count * (block_bytes_ + 1));
      task.dq_block = blocks.begin;
      task.dq_slot = unit.memory[part].get();
      task.dq_written = reinterpret_cast<uint8_t*>(unit.memory[part].get()) + count * block_bytes_;
      std::fill_n(task.dq_written, count, uint8_t{0});
      unit.slots[part] = {blocks.begin, blocks.end, task.dq_slot, task.dq_written};
    }
    kernels_.backward(call_, task, thread_scratch.Get(kernels_.backward_scratch(call_, task)));
    if (--unit.left > 0 || !call_.dq) return;
    kernels_.finish_queries(call_, unit.rows, unit.slots.data(), unit.parts,
                            thread_scratch.Get(kernels_.finish_scratch(call_)));
    unit.memory.clear();
  }

  const HostProblem& host_;
  const AttentionProblem& p_;
  CpuCall call_;
  CpuOptions options_;
  const Kernels& kernels_;
  int64_t real_bytes_, block_bytes_;
  std::vector<std::unique_ptr<Unit>> units_;
};

// Levels that this machine and ATEN_CPU_CAPABILITY allow, best first.
std::vector<const Kernels*> AllowedKernels() {
  std::vector<const Kernels*> allowed;
#if defined(__x86_64__)
  const std::string capability = at::get_cpu_capability();
  [[maybe_unused]] const bool avx512 = capability == "AVX512" && __builtin_cpu_supports("avx512f") &&
                                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                                       __builtin_cpu_supports("avx512vl");
  [[maybe_unused]] const bool avx2 = (capability == "AVX512" || capability == "AVX2") &&
                                     __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#if defined(NPU_FA_CPU_HAS_avx512_bf16)
  if (avx512 && __builtin_cpu_supports("avx512bf16")) allowed.push_back(&kKernels_avx512_bf16);
#endif
#if defined(NPU_FA_CPU_HAS_avx512)
  if (avx512) allowed.push_back(&kKernels_avx512);
#endif
#if defined(NPU_FA_CPU_HAS_avx2)
  if (avx2) allowed.push_back(&kKernels_avx2);
#endif
  allowed.push_back(&kKernels_plain);
  return allowed;
}

// NPU_FA_CPU_LEVEL names a lower level, for tests and reports.
const Kernels& ChooseKernels() {
  const std::vector<const Kernels*> allowed = AllowedKernels();
  if (const char* name = std::getenv("NPU_FA_CPU_LEVEL"))
    for (const Kernels* kernels : allowed)
      if (std::string(kernels->level) == name) return *kernels;
  return *allowed.front();
}

}  // namespace

const Kernels& MachineKernels() {
  static const Kernels& kernels = ChooseKernels();
  return kernels;
}

void PrepareCall(const HostProblem& host, CpuCall* call) {
  call->problem = &host.problem;
  call->sequences = host.sequences.data();
  call->products = &MachineProducts();
  call->bfloat16_products = host.problem.dtype == DType::kBFloat16 && MachineProducts().bfloat16 != nullptr &&
                            std::string(MachineKernels().level) == "avx512_bf16";
  call->mask = host.mask;
  call->bias = host.bias;
  call->drop_bits = host.drop_bits;
  call->keep_below = host.problem.dropout.kind == DropoutKind::kPhilox ? KeepBelowWord(host.problem.dropout) : 0;
}

void Forward(const HostProblem& host, CpuCall call, const CpuOptions& options) {
  const Kernels& kernels = MachineKernels();
  const RowTasks rows = MakeRowTasks(host, options.threads);
  CpuOptions useful = options;
  useful.threads = UsefulThreads(host, rows, options.threads);
  ForEachTask(static_cast<int64_t>(rows.tasks.size()), useful, [&](int64_t i) {
    const RowTask& task = rows.tasks[i];
    kernels.forward(call, task, thread_scratch.Get(kernels.forward_scratch(call, task)));
  });
}

void Backward(const HostProblem& host, CpuCall call, double* dsink, const CpuOptions& options) {
  BackwardRun(host, call, options).Run(dsink);
}

double ProductRate(bool bfloat16, int threads, double seconds) {
  constexpr int64_t kM = 128, kN = kLanes, kK = 128;
  const Products& products = MachineProducts();
  if (bfloat16 ? !products.bfloat16 : !products.float32) return 0;
  using Clock = std::chrono::steady_clock;
  std::vector<double> rates(threads);
  ForEachTask(threads, {threads, false}, [&](int64_t thread) {
    std::vector<float> a(kM * kK, 0.0f), b(kK * kN, 0.0f), c(kM * kN);
    const Shape shape = {kM, kN, kK, kK, kN, kN};
    const Clock::time_point start = Clock::now();
    double elapsed = 0, done = 0;
    while (elapsed < seconds) {
      for (int i = 0; i < 100; ++i) {
        if (bfloat16)
          products.bfloat16(shape, true, reinterpret_cast<const uint16_t*>(a.data()),
                            reinterpret_cast<const uint16_t*>(b.data()), c.data());
        else
          products.float32(shape, true, a.data(), b.data(), c.data());
      }
      done += 100;
      elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    }
    rates[thread] = done * 2 * kM * kN * kK / elapsed * 1e-9;
  });
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

}  // namespace npu_fa
