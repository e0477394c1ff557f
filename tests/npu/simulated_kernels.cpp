// The kernels on a simulated chip, behind the functions that the AscendC compiler makes to launch them: a launch is a
// task of the simulated runtime's stream. kernel_entries.cpp calls them as it calls the compiler's.
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>

#include "acl/acl.h"
#include "acl/operator_layer.h"
#include "acl/process.h"
#include "aclrtlaunch_flash_attention_score.h"
#include "aclrtlaunch_flash_attention_score_grad.h"
#include "aclrtlaunch_strided_copy.h"
#include "machine/launch.h"

namespace {

namespace sim = ascend_sim::acl;

// Every allocation that an address lies in: a launch does not say how much of it is the tensor's.
std::shared_ptr<ascend_sim::GmSpace> MemoryOf(std::initializer_list<void*> addresses) {
  std::map<uint8_t*, uint64_t> allocations;
  {
    sim::Process& process = sim::Process::Get();
    const sim::Process::Lock lock(process.mutex);
    for (void* const address : addresses)
      if (const auto found = process.memory.Find(address)) allocations[found->base] = found->bytes;
  }
  auto gm = std::make_shared<ascend_sim::GmSpace>();
  for (const auto& [base, bytes] : allocations) gm->Add("allocation", base, bytes, false, true);
  return gm;
}

template <class Kernel, class... Addresses>
uint32_t Launch(Kernel kernel, uint32_t cores, aclrtStream stream, Addresses... addresses) {
  sim::Plan plan;
  plan.api = "aclrtlaunch";
  plan.run = [=, gm = MemoryOf({addresses...})](const sim::LaunchContext&) {
    ascend_sim::LaunchOptions options;
    options.block_dim = static_cast<int>(cores);
    ascend_sim::Launch([=] { kernel(static_cast<uint8_t*>(addresses)...); }, *gm, options);
  };
  return static_cast<uint32_t>(
      sim::LaunchExecutor("aclrtlaunch", nullptr, 0, sim::MakeExecutor(std::move(plan)), stream));
}

}  // namespace

#define GM uint8_t*
extern "C" void flash_attention_score(GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM);
extern "C" void flash_attention_score_grad(GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM, GM,
                                           GM, GM, GM);
extern "C" void strided_copy(GM, GM, GM, GM);

extern "C" uint32_t aclrtlaunch_flash_attention_score(uint32_t cores, aclrtStream stream, void* a, void* b, void* c,
                                                      void* d, void* e, void* f, void* g, void* h, void* i, void* j,
                                                      void* k, void* l, void* m, void* n) {
  return Launch(flash_attention_score, cores, stream, a, b, c, d, e, f, g, h, i, j, k, l, m, n);
}

extern "C" uint32_t aclrtlaunch_flash_attention_score_grad(uint32_t cores, aclrtStream stream, void* a, void* b,
                                                           void* c, void* d, void* e, void* f, void* g, void* h,
                                                           void* i, void* j, void* k, void* l, void* m, void* n,
                                                           void* o, void* p, void* q, void* r, void* s, void* t,
                                                           void* u, void* v) {
  return Launch(flash_attention_score_grad, cores, stream, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t,
                u, v);
}

extern "C" uint32_t aclrtlaunch_strided_copy(uint32_t cores, aclrtStream stream, void* to, void* from, void* workspace,
                                             void* blob) {
  return Launch(strided_copy, cores, stream, to, from, workspace, blob);
}
