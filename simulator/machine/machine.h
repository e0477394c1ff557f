// The cores of one launch, what they tell each other, and who runs when.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "machine/core.h"
#include "machine/fiber.h"
#include "machine/gm.h"
#include "machine/launch.h"

namespace ascend_sim {

// What a core that reported something had done and seen by then.
struct Release {
  RemoteClock clock;
  uint64_t time = 0;  // logical time of the core
  uint64_t token = 0;
};

// The completed report of a group of cores; raises a flag by one.
struct Raise {
  RemoteClock clock;
  uint64_t time = 0;
  std::vector<uint64_t> tokens;
};

// Why a core does not run.
struct Wait {
  std::string what;  // "flag 3"
  Location where;
  std::function<bool()> ready;            // evaluated under the machine's lock
  std::function<uint64_t()> resume_time;  // logical time it would go on at, once ready
  std::function<std::string()> missing;   // whom it waits for
  bool turn = false;                      // waits only for its turn, which always comes
};

// Thrown through a kernel to end it early: the launch has failed elsewhere, or is only looking for the kernel's type.
struct Cancelled {};
struct Undeclared {};

// KERNEL_TASK_TYPE_DEFAULT and KERNEL_TASK_TYPE.
void DeclareKernelType(KernelType type);
extern thread_local uint64_t probe_tiling_key;

// One AIC with its AIVs, or one core alone.
class Block {
 public:
  Block(Machine& machine, int index, KernelType type);

  int index() const { return index_; }
  std::vector<std::unique_ptr<Core>>& cores() { return cores_; }

  // Cross-core flags between the cores of this block: sets not yet matched by the other participants.
  std::array<std::array<std::deque<Release>, 16>, 2> to_aic;   // mode 2, by AIV
  std::array<std::array<std::deque<Release>, 16>, 2> between;  // mode 1, by AIV

 private:
  int index_;
  std::vector<std::unique_ptr<Core>> cores_;
};

class Machine {
 public:
  Machine(const Soc& soc, GmSpace& gm, const LaunchOptions& options, KernelType type);
  ~Machine();

  const Soc& soc() const { return soc_; }
  GmSpace& gm() const { return gm_; }
  const LaunchOptions& options() const { return options_; }
  KernelType type() const { return type_; }
  int ratio() const;  // AIVs to an AIC
  std::vector<Core*>& cores() { return cores_; }

  LaunchResult Run(const std::function<void()>& kernel);

  // Cross-core flags (CrossCoreSetFlag, CrossCoreWaitFlag). `user` is false inside SyncAll.
  void SetCross(Core& core, int mode, pipe_t pipe, int id, bool user, const Location& where);
  void WaitCross(Core& core, int id, const Location& where);

  // Flags in GM, keyed by their address (IBSet, IBWait): binary, set waits until it is down.
  void SetNamed(Core& core, uint64_t key, const Location& where);
  void WaitNamed(Core& core, uint64_t key, const Location& where);
  // A barrier of `participants` cores, keyed by the address of its workspace (SyncAll in software).
  void MeetNamed(Core& core, uint64_t key, int participants, const Location& where);

  // Atomic writes to GM are applied in the order of (logical time, core number), so float sums do not depend on how
  // cores are spread over threads. Returns when it is this core's turn.
  void TakeTurn(Core& core, const Location& where);

 private:
  friend class Core;
  struct Group {
    std::array<std::map<int, std::deque<Release>>, 16> pending;  // by flag id, by core number
  };
  struct NamedFlag {
    bool up = false;
    Raise raise;    // of the set
    Raise lowered;  // of the wait that took it down
  };
  struct Meeting {
    int arrived = 0;
    uint64_t generation = 0;
    Raise gathering;
    Raise complete;
  };

  void RunThread(int thread, int threads);
  void RunCore(Core& core);
  void WaitForOthers(const std::vector<Core*>& mine);
  void KernelBody(Core& core, const std::function<void()>& kernel);
  void RethrowFirstFailure();
  void CheckCrossFlagsDown();
  // Suspends the running core until wait.ready().
  void Suspend(Core& core, Wait wait);
  Release MakeRelease(Core& core, const LocalClock& clock);
  void Push(Core& target, int id, const Raise& raise, const Location& where);
  void Acquire(Core& core, const Raise& raise, const char* name, int id, const Location& where);
  std::string MissingSetters(const Core& core, int id) const;
  bool IsTurn(const Core& core) const;
  void Changed();
  void DescribeDeadlock();

  const Soc& soc_;
  GmSpace& gm_;
  LaunchOptions options_;
  KernelType type_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Core*> cores_;
  Group aic_group_;
  Group aiv_group_;
  std::map<uint64_t, NamedFlag> named_;
  std::map<uint64_t, Meeting> meetings_;

  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t version_ = 0;
  int idle_threads_ = 0;
  int live_threads_ = 0;
  bool stopping_ = false;
  bool failed_ = false;
  std::string deadlock_;
  FaultRecord deadlock_record_;
};

// The bodies of the calls in api/sync.h.
void SyncAllCores(bool vector_only, pipe_t trigger, const Location& where);
void SyncAllInMemory(Instruction& frame, const Operand& gm, const Operand& ub, int32_t used_cores,
                     const Location& where);
void CheckTurnWorkspace(Instruction& frame, const Operand& gm, const Operand& ub);
void WaitForTurn(Instruction& frame, const Operand& gm, const Location& where);
void PassTurn(Instruction& frame, const Operand& gm, const Location& where);
void FlagInMemory(Instruction& frame, const Operand& gm, const Operand& ub, int32_t block, int32_t event,
                  bool vector_only, bool set, const Location& where);

}  // namespace ascend_sim
