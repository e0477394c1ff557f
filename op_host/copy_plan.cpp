// A copy between strides, or a fill with zeros, as tasks of the kernel strided_copy: PlanCopy of launch.h.
#include <algorithm>
#include <cstring>

#include "copy_task.h"
#include "launch.h"
#include "require.h"

namespace npu_fa {
namespace {

struct Axis {
  int64_t size, to, from;
};

// Without axes of one element; what lies behind each other on both sides is one axis.
std::vector<Axis> JoinedAxes(const CopyShape& shape) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < shape.sizes.size(); ++i) {
    const Axis axis = {shape.sizes[i], shape.to_strides[i], shape.zero ? shape.to_strides[i] : shape.from_strides[i]};
    if (axis.size == 1) continue;
    if (!axes.empty() && axes.back().to == axis.size * axis.to && axes.back().from == axis.size * axis.from) {
      axes.back() = {axes.back().size * axis.size, axis.to, axis.from};
    } else {
      axes.push_back(axis);
    }
  }
  return axes;
}

}  // namespace

LaunchPlan PlanCopy(const CopyShape& shape, const Platform& platform) {
  std::vector<Axis> axes = JoinedAxes(shape);
  CopyTask task = {};
  task.zero = shape.zero ? 1 : 0;
  task.block_bytes = shape.element_bytes;
  if (!axes.empty() && axes.back().to == 1 && axes.back().from == 1) {
    task.block_bytes *= axes.back().size;
    axes.pop_back();
  }
  Require(axes.size() <= CopyTask::kAxes, Status::kParamInvalid, "a tensor with strides: expected at most ",
          CopyTask::kAxes, " axes, got shape ", shape.sizes);
  axes.insert(axes.begin(), CopyTask::kAxes - axes.size(), {1, 0, 0});
  for (int32_t i = 0; i < CopyTask::kAxes; ++i) {
    task.sizes[i] = axes[i].size;
    task.to_strides[i] = axes[i].to * shape.element_bytes;
    task.from_strides[i] = axes[i].from * shape.element_bytes;
  }
  LaunchPlan plan;
  plan.cores = static_cast<int32_t>(std::min<int64_t>(PieceCount(task, PiecesOf(task)), 2 * platform.cores));
  plan.blob.resize(sizeof(task));
  std::memcpy(plan.blob.data(), &task, sizeof(task));
  plan.workspace_bytes = kGmAlignment;
  return plan;
}

}  // namespace npu_fa
