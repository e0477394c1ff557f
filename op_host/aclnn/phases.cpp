#include "phases.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "checks.h"
#include "messages.h"
#include "require.h"
#include "runtime.h"

namespace npu_fa::aclnn {
namespace {

constexpr int64_t kGmBytes = static_cast<int64_t>(kGmAlignment);

// Reserved: accepted, neither read nor written.
bool Reserved(Role role) {
  return role == kPaddingMask || role == kSoftmaxIn || role == kSoftmaxOutOut || role == kDpse;
}

// The rules by which the tensors of a call become arguments of the problem builder, and its problem a program.
class Planner {
 public:
  explicit Planner(const Call& call) : call_(call) {}

  Program Plan() {
    ReadTensors();
    program_.function = call_.function;
    if (OutputsEmpty()) return std::move(program_);
    CheckArguments(call_, views_);
    if (InputsEmpty()) {
      ZeroOutputs();
      return std::move(program_);
    }
    StageTensors();
    PlanKernel(BuildProblem(ReadArguments()));
    return std::move(program_);
  }

 private:
  void ReadTensors() {
    for (int i = 0; i < kRoleCount; ++i) {
      const Role role = Role(i);
      if (!Has(call_, role)) continue;
      Operand operand = {role, RoleName(call_, role)};
      if (call_.tensors[role] != nullptr && !Reserved(role)) {
        operand.view = ViewOf(call_, role);
        // In the backward a tensor of rank 0 stands for none.
        if (!(call_.backward && operand.view.sizes.empty() && Optional(role))) {
          operand.handle = call_.tensors[role];
          views_[role] = operand.view;
        }
      }
      program_.operands.push_back(std::move(operand));
    }
  }

  static bool Optional(Role role) {
    for (const Role optional : {kPse, kDropMask, kAttenMask, kSoftmaxMax, kSoftmaxSum, kSink, kQueryRope, kKeyRope})
      if (role == optional) return true;
    return false;
  }

  bool AllEmpty(std::initializer_list<Role> roles) const {
    for (const Role role : roles)
      if (!views_[role]->Empty()) return false;
    return true;
  }

  bool OutputsEmpty() const {
    return call_.backward ? AllEmpty({kDq, kDk, kDv}) : AllEmpty({kSoftmaxMaxOut, kSoftmaxSumOut, kAttentionOut});
  }

  // Nothing to compute: the outputs are 0.
  bool InputsEmpty() const {
    if (call_.backward) return views_[kDq]->Empty() || views_[kDk]->Empty() || views_[kDv]->Empty();
    return views_[kQuery]->Empty() || views_[kKey]->Empty();
  }

  // ---- strides ----

  bool KernelTakes(Role role, const TensorView& view) const {
    switch (role) {
      case kQuery:
      case kKey:
      case kValue:
      case kQueryRope:
      case kKeyRope:
      case kAttenMask:
        return view.LastAxisContiguous();
      case kPse:
        return view.sizes.size() == 1 ? view.Contiguous() : view.LastAxisContiguous();
      case kAttentionOut:
      case kDq:
      case kDk:
      case kDv:
      case kDqRope:
      case kDkRope:
        return view.LastAxisContiguous() && !view.Overlapping();
      default:
        return view.Contiguous();
    }
  }

  // A place of `bytes` bytes in the workspace.
  int64_t TakeWorkspace(int64_t bytes) {
    if (program_.workspace_bytes == 0) program_.workspace_bytes = kGmBytes;  // the caller's may be misaligned
    const int64_t offset = program_.workspace_bytes - kGmBytes;
    const int64_t rounded = CheckedProduct("workspaceSize", {bytes / kGmBytes + (bytes % kGmBytes != 0), kGmBytes});
    program_.workspace_bytes = CheckedSum("workspaceSize", program_.workspace_bytes, rounded);
    return offset;
  }

  void StageTensors() {
    for (const Operand& operand : program_.operands) {
      if (operand.handle == nullptr) continue;
      operand.view.ExtentBytes();  // refuses what cannot be addressed
      if (KernelTakes(operand.role, operand.view)) continue;
      const TensorView copy = operand.view.AsContiguous();
      program_.staged.push_back({operand.role, copy, TakeWorkspace(copy.ExtentBytes())});
      views_[operand.role] = copy;
      if (IsOutput(operand.role)) {
        AddTransfer(program_.copied_out, operand.role, operand.view, copy);
      } else {
        AddTransfer(program_.copied_in, operand.role, copy, operand.view);
      }
    }
  }

  void AddTransfer(std::vector<Transfer>& transfers, Role role, const TensorView& to, const TensorView& from,
                   bool zero = false) {
    if (to.Empty()) return;
    LaunchPlan plan = PlanCopy({to.ElementBytes(), to.sizes, to.strides, from.strides, zero}, Chip());
    if (to.Overlapping()) plan.cores = 1;  // in one order
    const int64_t offset = TakeWorkspace(static_cast<int64_t>(plan.workspace_bytes));
    transfers.push_back({role, std::move(plan), offset});
  }

  // ---- the builder's arguments ----

  std::optional<TensorArgument> Tensor(Role role) const {
    if (!views_[role]) return std::nullopt;
    return views_[role]->Argument();
  }

  static std::optional<std::vector<int64_t>> List(const char* name, const aclIntArray* array) {
    if (array == nullptr) return std::nullopt;
    std::vector<int64_t> values;
    Require(runtime::Read(array, &values), Status::kParamInvalid, name,
            ": expected an array that exists, got one that was destroyed");
    return values;
  }

  Arguments ReadArguments() const {
    const Attributes& given = call_.attributes;
    Arguments a;
    a.entry = call_.backward ? Entry::kBackward : Entry::kForward;
    a.query = *Tensor(kQuery);
    a.key = *Tensor(kKey);
    a.value = *Tensor(kValue);
    a.head_num = given.head_num;
    a.input_layout = given.layout;
    a.pse = Tensor(kPse);
    a.atten_mask = Tensor(kAttenMask);
    a.query_rope = Tensor(kQueryRope);
    a.key_rope = Tensor(kKeyRope);
    a.sink = Tensor(kSink);
    a.dropout_mask = Tensor(kDropMask);
    a.scale = static_cast<float>(given.scale);
    a.keep_prob = KeepProb();
    a.pse_type = call_.pse_type;
    a.softmax_layout = std::strcmp(call_.softmax_layout, "same_as_input") == 0 ? "TND" : "";
    a.prefix = List("prefix", call_.lists.prefix);
    a.actual_seq_qlen = List("actualSeqQLen", call_.lists.q_len);
    a.actual_seq_kvlen = List("actualSeqKvLen", call_.lists.kv_len);
    a.q_start_idx = List("qStartIdx", call_.lists.q_start);
    a.kv_start_idx = List("kvStartIdx", call_.lists.kv_start);
    if (a.atten_mask) {  // without a mask modes and tokens mean nothing
      a.pre_tokens = given.pre_tokens;
      a.next_tokens = given.next_tokens;
      a.sparse_mode = given.sparse_mode;
    }
    a.ignore_wrong_prefix = true;
    a.dy = Tensor(kDy);
    a.softmax_max = Tensor(kSoftmaxMax);
    a.softmax_sum = Tensor(kSoftmaxSum);
    a.attention_in = Tensor(kAttentionIn);
    a.outputs = {Tensor(kAttentionOut), Tensor(kSoftmaxMaxOut), Tensor(kSoftmaxSumOut), Tensor(kDq),   Tensor(kDk),
                 Tensor(kDv),           Tensor(kDqRope),        Tensor(kDkRope),        Tensor(kDsink)};
    return a;
  }

  // Without bits there is no dropout in the forward, whatever keepProb says; the backward insists on them.
  double KeepProb() const {
    const double keep_prob = static_cast<float>(call_.attributes.keep_prob);
    if (views_[kDropMask] || !(keep_prob > 0 && keep_prob < 1)) return keep_prob;
    Require(!call_.backward, Status::kTilingError, "dropMask: expected the forward's bits with keepProb ", keep_prob,
            ", got null");
    return 1;
  }

  // ---- the kernel ----

  void PlanKernel(const HostProblem& built) {
    LaunchPlan plan =
        call_.backward ? PlanBackward(built, Chip(), 0, runtime::Deterministic()) : PlanForward(built, Chip());
    const int64_t offset = TakeWorkspace(static_cast<int64_t>(plan.workspace_bytes));
    program_.kernel = Kernel{call_.backward, std::move(plan), offset};
    if (LeavesTokens(built)) ZeroOutputs();
  }

  // Tokens of TND behind the last sequence belong to nobody; what the caller brings for them is zeroed.
  bool LeavesTokens(const HostProblem& built) const {
    if (!call_.varlen || built.sequences.empty()) return false;
    const Sequence& last = built.sequences.back();
    return last.q_start + last.q_len < views_[kQuery]->sizes[0] || last.kv_start + last.kv_len < views_[kKey]->sizes[0];
  }

  void ZeroOutputs() {
    for (const Operand& operand : program_.operands)
      if (operand.handle != nullptr && IsOutput(operand.role))
        AddTransfer(program_.zeroed, operand.role, *views_[operand.role], *views_[operand.role], true);
  }

  static const Platform& Chip() {
    try {
      return FindPlatform(LaunchSoc());
    } catch (const std::invalid_argument& error) {
      throw LaunchError(error.what());
    }
  }

  const Call& call_;
  Views views_ = {};
  Program program_;
};

// The status under which a refusal of the tiling reaches users differs between versions of the toolkit;
// NPU_FA_TILING_STATUS=561103 chooses the other one.
aclnnStatus StatusOf(const AttentionError& error) {
  if (error.status() != Status::kTilingError) return static_cast<aclnnStatus>(error.status());
  const char* chosen = std::getenv("NPU_FA_TILING_STATUS");
  return chosen != nullptr && std::strcmp(chosen, "561103") == 0 ? 561103
                                                                 : static_cast<aclnnStatus>(Status::kTilingError);
}

}  // namespace

aclnnStatus FirstPhase(const Call& call, uint64_t* workspace_size, aclOpExecutor** executor) {
  const auto refuse = [&](aclnnStatus status, const std::string& message) {
    return runtime::Report(status, std::string(call.function) + "GetWorkspaceSize: " + message);
  };
  try {
    if (executor != nullptr) *executor = nullptr;
    if (workspace_size != nullptr) *workspace_size = 0;
    CheckRequired(call, workspace_size, executor);
    Program program = Planner(call).Plan();
    const uint64_t bytes = static_cast<uint64_t>(program.workspace_bytes);
    *executor = runtime::MakeExecutor(std::move(program));
    *workspace_size = bytes;
    return OK;
  } catch (const AttentionError& error) {
    return refuse(StatusOf(error), InHeaderWords(call, error.what()));
  } catch (const LaunchError& error) {
    return refuse(static_cast<aclnnStatus>(Status::kRuntimeError), error.what());
  } catch (const std::bad_alloc&) {
    constexpr aclnnStatus kCreateExecutor = 561101;
    return refuse(kCreateExecutor, "not enough host memory for the executor");
  } catch (const std::exception& error) {
    return refuse(static_cast<aclnnStatus>(Status::kInnerError), error.what());
  }
}

aclnnStatus SecondPhase(const char* function, void* workspace, uint64_t workspace_size, aclOpExecutor* executor,
                        aclrtStream stream) {
  try {
    return runtime::LaunchExecutor(function, workspace, workspace_size, executor, stream);
  } catch (const LaunchError& error) {
    return runtime::Report(static_cast<aclnnStatus>(Status::kRuntimeError),
                           std::string(function) + ": " + error.what());
  } catch (const std::exception& error) {
    return runtime::Report(static_cast<aclnnStatus>(Status::kInnerError), std::string(function) + ": " + error.what());
  }
}

}  // namespace npu_fa::aclnn
