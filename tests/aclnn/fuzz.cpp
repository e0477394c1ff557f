// aclnn_fuzz CALLS SEED [LAUNCH_EVERY [keep]]: random calls of the aclnn C API, most of them wrong in a way whose
// status the specification gives. Every LAUNCH_EVERY-th accepted call (0: none) is also launched, the executors of the
// others are destroyed, or with `keep` left. Exits with 1 after the first call that is answered otherwise, which it
// describes.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fuzz_call.h"

namespace {

constexpr uint64_t kArena = 192ull << 20;
constexpr aclnnStatus kStatuses[] = {0, 161001, 161002, 561002};

int64_t ElementBytes(aclDataType dtype) {
  switch (dtype) {
    case ACL_FLOAT:
    case ACL_INT32:
      return 4;
    case ACL_DOUBLE:
    case ACL_INT64:
      return 8;
    case ACL_FLOAT16:
    case ACL_BF16:
      return 2;
    default:
      return 1;
  }
}

Sizes StridesOf(const TensorSpec& t) {
  Sizes strides = t.strides.value_or(Sizes());
  strides.resize(t.sizes.size(), 1);  // a later change may have given the tensor another rank
  if (t.strides) return strides;
  int64_t step = t.placement == Placement::kEverySecond ? 2 : 1;
  for (size_t i = t.sizes.size(); i-- > 0;) {
    // Transposed: the first axis is the fastest.
    const size_t axis = t.placement == Placement::kTransposed ? t.sizes.size() - 1 - i : i;
    strides[axis] = step;
    // Wild sizes may overflow; what they wrap to is as good as any other stride.
    uint64_t next = static_cast<uint64_t>(step) * static_cast<uint64_t>(t.sizes[axis] > 0 ? t.sizes[axis] : 1);
    if (t.placement == Placement::kPaddedRows && i + 1 == t.sizes.size()) next += 3;
    step = static_cast<int64_t>(next);
  }
  return strides;
}

std::string Show(const Sizes& values) {
  std::string text = "[";
  for (const int64_t value : values) text += (text.size() > 1 ? ", " : "") + std::to_string(value);
  return text + "]";
}

std::string Describe(const CallSpec& c) {
  std::string text = c.function->name + " layout " + c.layout.value_or("null") + " softmaxLayout " +
                     c.softmax_layout.value_or("null") + " headNum " + std::to_string(c.heads) + " sparseMode " +
                     std::to_string(c.sparse_mode) + " pseType " + std::to_string(c.pse_type) + " preTokens " +
                     std::to_string(c.pre) + " nextTokens " + std::to_string(c.next) + " keepProb " +
                     std::to_string(c.keep_prob) + " scale " + std::to_string(c.scale) + "\n";
  for (const auto& [name, t] : c.tensors)
    text += "  " + name + " " + Show(t.sizes) + " strides " + Show(StridesOf(t)) + " dtype " +
            std::to_string(static_cast<int>(t.dtype)) + (t.destroyed ? " destroyed" : "") + "\n";
  for (const auto& [name, list] : c.lists) text += "  " + name + " " + Show(list) + "\n";
  return text;
}

class Fuzzer {
 public:
  Fuzzer(uint64_t seed, int64_t launch_every, bool destroy)
      : random_(seed), destroy_(destroy), launch_every_(launch_every) {
    Require(aclInit(nullptr) == 0 && aclrtSetDevice(0) == 0 && aclrtCreateStream(&stream_) == 0, "no device");
    Require(aclrtMalloc(&arena_, kArena, ACL_MEM_MALLOC_HUGE_FIRST) == 0, "no memory");
    std::vector<uint16_t> ones(kArena / 2, 0x3C00);  // a number in every dtype
    Require(aclrtMemcpy(arena_, kArena, ones.data(), kArena, ACL_MEMCPY_HOST_TO_DEVICE) == 0, "no copy");
  }
  ~Fuzzer() {
    aclrtFree(arena_);
    aclrtDestroyStream(stream_);
    aclrtResetDevice(0);
    aclFinalize();
  }

  void Step() {
    const std::vector<Function>& functions = AllFunctions();
    std::string story;
    CallSpec call;
    Expectation expected = {{0}, ""};
    if (random_.Chance(0.15)) {
      call = WildCall(random_, functions);
      expected.statuses.assign(std::begin(kStatuses), std::end(kStatuses));
      story = "wild";
    } else {
      call = ValidCall(random_, functions);
      int64_t changes = random_.Chance(0.2) ? 0 : random_.Chance(0.8) ? 1 : random_.Between(2, 4);
      for (int64_t tries = 0; changes > 0 && tries < 100; ++tries) {
        // The layout is read by the mutations.
        if (!call.layout ||
            (*call.layout != "BNSD" && *call.layout != "BSND" && *call.layout != "BSH" && *call.layout != "SBH" &&
             *call.layout != "TND") ||
            !AllThere(call))
          break;
        const NamedMutation& mutation = random_.Of(Mutations());
        if (const auto outcome = mutation.apply(call, random_)) {
          if (story.empty()) {
            expected = *outcome;
          } else {
            expected = {{std::begin(kStatuses), std::end(kStatuses)}, ""};
          }
          story += std::string(mutation.name) + " ";
          ++counts_[mutation.name];
          --changes;
        }
      }
    }
    Run(call, expected, story);
  }

  void Report() const {
    std::printf("statuses:");
    for (const auto& [status, count] : seen_) std::printf(" %d: %ld", status, count);
    std::printf("\nlaunched: %ld\n", launched_);
    for (const NamedMutation& mutation : Mutations())
      if (counts_.count(mutation.name) == 0) std::printf("never: %s\n", mutation.name);
  }

 private:
  void Require(bool condition, const std::string& what) const {
    if (condition) return;
    const char* message = aclGetRecentErrMsg();
    std::fprintf(stderr, "%s\n%s\n", what.c_str(), message ? message : "");
    std::exit(1);
  }

  // Mutations after the first one find what they look for.
  static bool AllThere(const CallSpec& c) {
    for (const char* name : {"query", "key", "value"})
      if (!c.Given(name) || c.tensors.at(name).sizes.size() < 3) return false;
    for (const char* name : {"dy", "attentionIn", "dq", "dk", "dv", "softmaxMax", "softmaxSum"})
      if (c.backward() && !c.Given(name)) return false;
    for (const char* name : {"attentionOut", "softmaxMaxOut", "softmaxSumOut"})
      if (!c.backward() && !c.Given(name)) return false;
    if (c.Given("queryRope") != c.Given("keyRope")) return false;
    if (c.Given("queryRope") && c.backward() && !(c.Given("dqRope") && c.Given("dkRope"))) return false;
    if (c.tnd())
      for (const char* name : {"actualSeqQLen", "actualSeqKvLen"})
        if (c.lists.count(name) == 0 || c.lists.at(name).empty()) return false;
    return c.sparse_mode != 6 || (c.lists.count("prefix") > 0 && !c.lists.at("prefix").empty());
  }

  // Bytes of the arena a tensor takes, or nothing where it does not fit; such calls are planned and not launched.
  static std::optional<uint64_t> Extent(const TensorSpec& t) {
    const Sizes strides = StridesOf(t);
    uint64_t last = 0;
    if (t.offset < 0 || t.offset > 1000) return {};
    for (size_t i = 0; i < t.sizes.size(); ++i) {
      if (t.sizes[i] == 0) return 0;
      if (strides[i] < 0 || t.sizes[i] < 0 || t.sizes[i] > 10000000 || strides[i] > 10000000) return {};
      last += static_cast<uint64_t>(t.sizes[i] - 1) * static_cast<uint64_t>(strides[i]);
    }
    return (last + 1 + static_cast<uint64_t>(t.offset)) * static_cast<uint64_t>(ElementBytes(t.dtype));
  }

  void Run(CallSpec& call, const Expectation& expected, const std::string& story) {
    Handles handles;
    std::vector<aclTensor*> tensors;
    std::vector<aclIntArray*> lists;
    uint64_t used = 0;
    bool fits = true;
    std::vector<std::pair<const TensorSpec*, uint64_t>> outputs;
    for (const auto& [name, spec] : call.tensors) {
      const Sizes strides = StridesOf(spec);
      const std::optional<uint64_t> bytes = Extent(spec);
      if (!bytes || used + *bytes > kArena / 2) fits = false;
      const Sizes storage = {bytes ? static_cast<int64_t>(*bytes) / ElementBytes(spec.dtype) : 1};
      aclTensor* tensor = aclCreateTensor(spec.sizes.data(), spec.sizes.size(), spec.dtype, strides.data(), spec.offset,
                                          spec.format, storage.data(), 1, static_cast<uint8_t*>(arena_) + used);
      if (tensor == nullptr) continue;  // the runtime refuses wild ones: the parameter is null
      handles.tensors[ParameterName(*call.function, name)] = tensor;
      if (spec.destroyed)
        aclDestroyTensor(tensor);
      else
        tensors.push_back(tensor);
      if (name[0] == 'd' && name != "dy" && name != "dropMask" && name != "dpse") outputs.emplace_back(&spec, used);
      if (name.size() > 3 && name.substr(name.size() - 3) == "Out" && name != "softmaxOut")
        outputs.emplace_back(&spec, used);
      if (bytes) used += (*bytes + 511) / 512 * 512;
    }
    for (const auto& [name, values] : call.lists) {
      lists.push_back(aclCreateIntArray(values.data(), values.size()));
      handles.lists[name] = lists.back();
    }
    handles.numbers = {{"scaleValue", call.scale}, {"keepProb", call.keep_prob}};
    handles.integers = {{"preTokens", call.pre},    {"nextTokens", call.next},
                        {"headNum", call.heads},    {"innerPrecise", call.inner_precise},
                        {"pseType", call.pse_type}, {"sparseMode", call.sparse_mode}};
    handles.texts = {{"inputLayout", call.layout ? call.layout->data() : nullptr},
                     {"softmaxLayout", call.softmax_layout ? call.softmax_layout->data() : nullptr}};

    uint64_t size = 0;
    aclOpExecutor* executor = nullptr;
    const aclnnStatus status =
        call.function->plan(handles, call.null_size ? nullptr : &size, call.null_executor ? nullptr : &executor);
    ++seen_[status];
    const std::string about = "after " + (story.empty() ? "no change" : story) + ": " + Describe(call);
    bool allowed = false;
    std::string statuses;
    for (const aclnnStatus one : expected.statuses) {
      allowed |= one == status;
      statuses += " " + std::to_string(one);
    }
    Require(allowed, "status " + std::to_string(status) + " instead of" + statuses + " " + about);
    if (status != 0) {
      const char* message = aclGetRecentErrMsg();
      const std::string text = message ? message : "";
      Require(text.find(call.function->name) != std::string::npos && text.find(expected.word) != std::string::npos,
              "message without '" + expected.word + "': " + text + " " + about);
      Require(executor == nullptr, "an executor of a refused call " + about);
    } else {
      Require(executor != nullptr, "no executor " + about);
      // Elements of wild outputs may share memory with each other, and wild tensors may leave their place.
      if (fits && story != "wild" && launch_every_ > 0 && ++accepted_ % launch_every_ == 0)
        Launch(call, executor, size, used, outputs, about);
      else if (destroy_)
        Require(aclDestroyAclOpExecutor(executor) == 0, "the executor cannot be destroyed " + about);
    }
    for (aclTensor* tensor : tensors) aclDestroyTensor(tensor);
    for (aclIntArray* list : lists) aclDestroyIntArray(list);
  }

  void Launch(const CallSpec& call, aclOpExecutor* executor, uint64_t size, uint64_t used,
              const std::vector<std::pair<const TensorSpec*, uint64_t>>& outputs, const std::string& about) {
    Require(used + size <= kArena, "no room for the workspace " + about);
    uint8_t* const workspace = static_cast<uint8_t*>(arena_) + used;
    if (size > 0) {
      Require(call.function->launch(workspace, size - 1, executor, stream_) == 161002,
              "too small a workspace " + about);
      Require(call.function->launch(nullptr, size, executor, stream_) == 161001, "no workspace " + about);
    }
    Require(call.function->launch(workspace, size, nullptr, stream_) == 161001, "no executor " + about);
    Require(call.function->launch(workspace, size, reinterpret_cast<aclOpExecutor*>(workspace), stream_) == 161002,
            "an executor that is none " + about);
    Require(call.function->launch(workspace, size, executor, stream_) == 0, "refused launch " + about);
    Require(call.function->launch(workspace, size, executor, stream_) == 161002, "second launch " + about);
    Require(aclrtSynchronizeStream(stream_) == 0, "fault " + about);
    ++launched_;
    if (!call.zero_filled) return;
    for (const auto& [spec, offset] : outputs) {
      if (spec->placement != Placement::kContiguous) continue;
      std::vector<uint8_t> bytes(*Extent(*spec));
      if (bytes.empty()) continue;
      Require(aclrtMemcpy(bytes.data(), bytes.size(), static_cast<uint8_t*>(arena_) + offset, bytes.size(),
                          ACL_MEMCPY_DEVICE_TO_HOST) == 0,
              "no copy back " + about);
      for (const uint8_t byte : bytes) Require(byte == 0, "an output of nothing is not 0 " + about);
    }
  }

  Random random_;
  bool destroy_;  // executors that are not launched
  int64_t launch_every_, accepted_ = 0, launched_ = 0;
  aclrtStream stream_ = nullptr;
  void* arena_ = nullptr;
  std::map<aclnnStatus, long> seen_;
  std::map<std::string, long> counts_;
};

}  // namespace

int main(int argc, char** argv) {
  const int64_t calls = argc > 1 ? std::atoll(argv[1]) : 1000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const bool destroy = argc <= 4 || std::string(argv[4]) != "keep";
  Fuzzer fuzzer(seed, argc > 3 ? std::atoll(argv[3]) : 0, destroy);
  for (int64_t i = 0; i < calls; ++i) fuzzer.Step();
  fuzzer.Report();
  std::printf("%ld calls, seed %lu: passed\n", static_cast<long>(calls), static_cast<unsigned long>(seed));
}
