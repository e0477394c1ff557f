#include "api/sync.h"

namespace ascend_sim {
namespace {

// Flag ids the vendor's SyncAll uses.
constexpr int kAicFlag = 11, kAivFlag = 12, kAicAivFlag = 13, kAivOnlyFlag = 14;
constexpr uint64_t kSlotBytes = 32;                // of a core in a workspace
constexpr uint64_t kTurnKeys = uint64_t{1} << 63;  // apart from the keys of IBSet, which are addresses

int VectorCores(Core& core) {
  int count = 0;
  for (Core* other : core.machine().cores()) count += other->is_aic() ? 0 : 1;
  return count;
}

}  // namespace

void SyncAllCores(bool vector_only, pipe_t trigger, const Location& where) {
  Core& core = CurrentCore();
  Machine& machine = core.machine();
  if (trigger == PIPE_ALL) {
    core.Barrier(PIPE_ALL, where);
    trigger = PIPE_MTE3;
  }
  if (vector_only) {
    if (core.is_aic()) return;  // the vendor's does nothing there
    machine.SetCross(core, 0, trigger, kAivOnlyFlag, false, where);
    machine.WaitCross(core, kAivOnlyFlag, where);
    return;
  }
  // The AIC waits for its AIVs, all AICs meet, each AIC lets its AIVs go on.
  if (core.is_aic()) {
    machine.WaitCross(core, kAicAivFlag, where);
    machine.SetCross(core, 0, PIPE_FIX, kAicFlag, false, where);
    machine.WaitCross(core, kAicFlag, where);
    machine.SetCross(core, 2, PIPE_FIX, kAivFlag, false, where);
  } else {
    machine.SetCross(core, 2, PIPE_MTE3, kAicAivFlag, false, where);
    machine.WaitCross(core, kAivFlag, where);
  }
}

void SyncAllInMemory(Instruction& frame, const Operand& gm, const Operand& ub, int32_t used_cores,
                     const Location& where) {
  Core& core = frame.core();
  const int cores = VectorCores(core);
  frame.RequireRange("usedCores", used_cores, 0, cores);
  frame.BoundsWrite(gm, kSlotBytes * cores);
  frame.BoundsWrite(ub, kSlotBytes * cores);
  core.Barrier(PIPE_ALL, where);
  core.machine().MeetNamed(core, gm.address, used_cores == 0 ? cores : used_cores, where);
}

void FlagInMemory(Instruction& frame, const Operand& gm, const Operand& ub, int32_t block, int32_t event,
                  bool vector_only, bool set, const Location& where) {
  Core& core = frame.core();
  const int64_t blocks = core.machine().options().block_dim * (vector_only ? 1 : core.machine().ratio());
  frame.RequireRange("blockIdx", block, 0, blocks - 1);
  frame.RequireRange("eventID", event, 0, INT32_MAX);
  const uint64_t offset = (static_cast<uint64_t>(blocks) * event + block) * kSlotBytes;
  frame.BoundsWrite(gm, offset + kSlotBytes);
  frame.BoundsWrite(ub, kSlotBytes);
  core.Barrier(PIPE_ALL, where);
  if (set) {
    core.machine().SetNamed(core, gm.address + offset, where);
  } else {
    core.machine().WaitNamed(core, gm.address + offset, where);
  }
}

void CheckTurnWorkspace(Instruction& frame, const Operand& gm, const Operand& ub) {
  const uint64_t bytes = kSlotBytes * VectorCores(frame.core());
  frame.BoundsWrite(gm, bytes);
  frame.BoundsWrite(ub, bytes + kSlotBytes);
}

void WaitForTurn(Instruction& frame, const Operand& gm, const Location& where) {
  Core& core = frame.core();
  core.Barrier(PIPE_ALL, where);
  const bool first_of_all = core.block_idx() == 0 && core.turns[gm.address]++ == 0;
  if (!first_of_all) core.machine().WaitNamed(core, kTurnKeys | (gm.address + core.block_idx() * kSlotBytes), where);
}

void PassTurn(Instruction& frame, const Operand& gm, const Location& where) {
  Core& core = frame.core();
  core.Barrier(PIPE_ALL, where);
  const uint64_t next = (core.block_idx() + 1) % VectorCores(core);
  core.machine().SetNamed(core, kTurnKeys | (gm.address + next * kSlotBytes), where);
}

}  // namespace ascend_sim
