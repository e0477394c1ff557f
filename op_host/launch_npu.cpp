// The twin of launch_simulator.cpp on a card: every call of the run-time library is in this file.
#include <acl/acl.h>
#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <mutex>
#include <utility>

#include "kernel_entries.h"
#include "launch.h"
#include "require.h"

namespace npu_fa {
namespace {

void RequireAcl(aclError error, const char* call) {
  if (error == ACL_SUCCESS) return;
  const char* message = aclGetRecentErrMsg();
  throw LaunchError(Text(call, ": error ", error, message ? ": " : "", message ? message : ""));
}

// Page-locked memory out of which the device fetches argument blobs. A box is used again when the copy that read it is
// done; a box that a captured graph reads again at each replay is never used again.
class Staging {
 public:
  void Copy(void* to, const std::vector<uint8_t>& from, aclrtStream stream) {
    Box box = Take(from.size());
    std::copy(from.begin(), from.end(), static_cast<uint8_t*>(box.memory));
    const aclError copied =
        aclrtMemcpyAsync(to, from.size(), box.memory, from.size(), ACL_MEMCPY_HOST_TO_DEVICE, stream);
    if (copied == ACL_SUCCESS && IsCaptured(stream)) return;
    const aclError recorded = copied == ACL_SUCCESS ? aclrtRecordEvent(box.event, stream) : copied;
    {
      // A box whose event was not recorded may still be read: it is not used again.
      const std::lock_guard<std::mutex> lock(mutex_);
      if (recorded == ACL_SUCCESS) boxes_.push_back(box);
    }
    RequireAcl(copied, "aclrtMemcpyAsync");
    RequireAcl(recorded, "aclrtRecordEvent");
  }

 private:
  struct Box {
    void* memory;
    size_t bytes;
    int32_t device;  // of the event
    aclrtEvent event;
  };

  static bool IsCaptured(aclrtStream stream) {
    aclmdlRICaptureStatus status = ACL_MODEL_RI_CAPTURE_STATUS_NONE;
    aclmdlRI graph = nullptr;
    const aclError error = aclmdlRICaptureGetInfo(stream, &status, &graph);
    return error == ACL_SUCCESS && status == ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE;
  }

  Box Take(size_t bytes) {
    constexpr size_t kSmallest = 4096;
    int32_t device = 0;
    RequireAcl(aclrtGetDevice(&device), "aclrtGetDevice");
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (size_t i = 0; i < boxes_.size(); ++i) {
        aclrtEventRecordedStatus status = ACL_EVENT_RECORDED_STATUS_NOT_READY;
        if (boxes_[i].device != device || boxes_[i].bytes < bytes) continue;
        if (aclrtQueryEventStatus(boxes_[i].event, &status) != ACL_SUCCESS) continue;
        if (status != ACL_EVENT_RECORDED_STATUS_COMPLETE) continue;
        std::swap(boxes_[i], boxes_.back());
        const Box box = boxes_.back();
        boxes_.pop_back();
        return box;
      }
    }
    Box box = {nullptr, kSmallest, device, nullptr};
    while (box.bytes < bytes) box.bytes *= 2;
    RequireAcl(aclrtMallocHost(&box.memory, box.bytes), "aclrtMallocHost");
    const aclError created = aclrtCreateEvent(&box.event);
    if (created != ACL_SUCCESS) aclrtFreeHost(box.memory);
    RequireAcl(created, "aclrtCreateEvent");
    return box;
  }

  std::mutex mutex_;
  std::vector<Box> boxes_;
};

// Lives as long as the process: the run-time library may be gone before this file's destructors would run.
Staging& SharedStaging() {
  static Staging* const staging = new Staging;
  return *staging;
}

std::string FolderOfThisLibrary() {
  Dl_info info = {};
  if (dladdr(reinterpret_cast<void*>(&FolderOfThisLibrary), &info) == 0 || info.dli_fname == nullptr) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// libnpu_fa_kernels_<soc>.so beside this library: kernel_entries.cpp and the kernels, compiled for one chip.
void* KernelLibrary(const std::string& soc) {
  std::string name = soc;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string path = FolderOfThisLibrary() + "/libnpu_fa_kernels_" + name + ".so";
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw LaunchError(Text("no kernels for ", soc, ": build with NPU_FA_SOC=", soc, " (", dlerror(), ")"));
  return library;
}

KernelEntry FindEntry(const char* name) {
  static std::mutex mutex;
  static std::map<std::string, KernelEntry> entries;
  const std::lock_guard<std::mutex> lock(mutex);
  KernelEntry& entry = entries[name];
  if (entry == nullptr) {
    const std::string soc = LaunchSoc();
    entry = reinterpret_cast<KernelEntry>(dlsym(KernelLibrary(soc), name));
    if (entry == nullptr) throw LaunchError(Text("the kernels for ", soc, " lack ", name, ": build them again"));
  }
  return entry;
}

// `tensors` in the order of the kernel's parameters, which end with work space and blob.
void Launch(const char* kernel, const LaunchPlan& plan, std::vector<void*> tensors, const Buffer& workspace,
            aclrtStream stream) {
  const KernelEntry entry = FindEntry(kernel);
  void* const blob = static_cast<uint8_t*>(workspace.data) + BlobOffset(plan);
  SharedStaging().Copy(blob, plan.blob, stream);
  tensors.insert(tensors.end(), {workspace.data, blob});
  const uint32_t status = entry(static_cast<uint32_t>(plan.cores), stream, tensors.data(), tensors.size());
  if (status != 0) throw LaunchError(Text(kernel, ": the launch returned ", status));
}

}  // namespace

std::string LaunchSoc() {
  const char* const name = aclrtGetSocName();
  if (name == nullptr) throw LaunchError("aclrtGetSocName: no chip was found");
  return name;
}

void LaunchForward(const LaunchPlan& plan, const ForwardBuffers& b, Buffer workspace, void* stream) {
  CheckWorkspace(plan, workspace);
  Launch("npu_fa_flash_attention_score", plan,
         {b.query.data, b.key.data, b.value.data, b.query_rope.data, b.key_rope.data, b.bias.data, b.mask.data,
          b.drop_bits.data, b.sink.data, b.out.data, b.softmax_max.data, b.softmax_sum.data},
         workspace, stream);
}

void LaunchBackward(const LaunchPlan& plan, const BackwardBuffers& b, Buffer workspace, void* stream) {
  CheckWorkspace(plan, workspace);
  Launch("npu_fa_flash_attention_score_grad", plan,
         {b.query.data,       b.key.data,         b.value.data,        b.dy.data,        b.query_rope.data,
          b.key_rope.data,    b.bias.data,        b.mask.data,         b.drop_bits.data, b.sink.data,
          b.softmax_max.data, b.softmax_sum.data, b.attention_in.data, b.dq.data,        b.dk.data,
          b.dv.data,          b.dq_rope.data,     b.dk_rope.data,      b.dbias.data,     b.dsink.data},
         workspace, stream);
}

void LaunchCopy(const LaunchPlan& plan, Buffer to, Buffer from, Buffer workspace, void* stream) {
  CheckWorkspace(plan, workspace);
  Launch("npu_fa_strided_copy", plan, {to.data, from.data}, workspace, stream);
}

}  // namespace npu_fa
