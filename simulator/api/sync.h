// Order: between the pipes of a core, and between cores.
#pragma once

#include <cstdint>

#include "api/tensor.h"
#include "machine/core.h"
#include "machine/machine.h"
#include "types/enums.h"

namespace ascend_sim {
inline HardEvent RequireEvent(pipe_t source, pipe_t target, const char* call, const Location& where) {
  const HardEvent event = EventBetween(source, target);
  if (event == HardEvent::MAX) {
    CurrentCore().Fail(FaultKind::kArgument, call, where, "dav-c220 has no event between these pipes");
  }
  return event;
}
}  // namespace ascend_sim

namespace AscendC {

enum class MemDsbT : uint8_t { ALL = 0, DDR, UB, SEQ };

template <HardEvent event>
inline void SetFlag(int32_t eventID, ASCEND_SIM_CALLER) {
  ascend_sim::CurrentCore().SetEvent(event, eventID, where);
}

template <HardEvent event>
inline void WaitFlag(int32_t eventID, ASCEND_SIM_CALLER) {
  ascend_sim::CurrentCore().WaitEvent(event, eventID, where);
}

// The same pair of calls with the pipes as template arguments.
template <pipe_t src, pipe_t dst>
class TQueSync {
 public:
  void SetFlag(TEventID id, ASCEND_SIM_CALLER) { ascend_sim::CurrentCore().SetEvent(kEvent, id, where); }
  void WaitFlag(TEventID id, ASCEND_SIM_CALLER) { ascend_sim::CurrentCore().WaitEvent(kEvent, id, where); }

 private:
  static constexpr HardEvent kEvent = ascend_sim::EventBetween(src, dst);
  static_assert(kEvent != HardEvent::MAX, "dav-c220 has no event between these pipes");
};

template <pipe_t pipe>
inline void PipeBarrier(ASCEND_SIM_CALLER) {
  ascend_sim::CurrentCore().Barrier(pipe, where);
}

// Waits until memory accesses of the scalar unit are finished; it blocks the issue.
template <MemDsbT arg>
inline void DataSyncBarrier(ASCEND_SIM_CALLER) {
  ascend_sim::CurrentCore().OrderPipes(PIPE_S, PIPE_S);
  ascend_sim::CurrentCore().Visit(where);
}

template <uint8_t modeId, pipe_t pipe>
inline void CrossCoreSetFlag(uint16_t flagId, ASCEND_SIM_CALLER) {
  static_assert(modeId <= 2, "dav-c220 has modes 0, 1 and 2");
  static_assert(pipe != PIPE_S && pipe != PIPE_ALL, "name the pipe that produced the data");
  ascend_sim::Core& core = ascend_sim::CurrentCore();
  core.machine().SetCross(core, modeId, pipe, flagId, true, where);
}

// On dav-c220 neither template argument has an effect: the wait holds up the issue of all pipes.
template <uint8_t modeId = 0, pipe_t pipe = PIPE_S>
inline void CrossCoreWaitFlag(uint16_t flagId, ASCEND_SIM_CALLER) {
  ascend_sim::Core& core = ascend_sim::CurrentCore();
  core.machine().WaitCross(core, flagId, where);
}

struct SyncAllConfig {
  pipe_t triggerPipe;
  pipe_t waitPipe;
};
inline constexpr SyncAllConfig DEFAULT_SYNC_ALL_CONFIG = {PIPE_ALL, PIPE_ALL};

// All cores meet, by hardware flags: all AIVs, or with isAIVOnly = false all cores of a mixed kernel.
template <bool isAIVOnly = true, const SyncAllConfig& config = DEFAULT_SYNC_ALL_CONFIG>
inline void SyncAll(ASCEND_SIM_CALLER) {
  static_assert(config.triggerPipe == PIPE_ALL || config.triggerPipe == PIPE_MTE2 || config.triggerPipe == PIPE_MTE3);
  ascend_sim::SyncAllCores(isAIVOnly, config.triggerPipe, where);
}

// The AIVs meet through a zeroed workspace of 32 bytes a core in GM and in UB; usedCores of them, 0 for all.
template <bool isAIVOnly = true>
inline void SyncAll(const GlobalTensor<int32_t>& gmWorkspace, const LocalTensor<int32_t>& ubWorkspace,
                    const int32_t usedCores = 0, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("SyncAll", PIPE_S, where);
  const ascend_sim::Operand gm = frame.Global("gmWorkspace", gmWorkspace);
  const ascend_sim::Operand ub = frame.Local("ubWorkspace", ubWorkspace, Hardware::UB);
  ascend_sim::SyncAllInMemory(frame, gm, ub, usedCores, where);
}

// Core to core through GM: IBWait goes on after the IBSet of the same workspace, block and event.
template <bool isAIVOnly = true>
inline void IBSet(const GlobalTensor<int32_t>& gmWorkspace, const LocalTensor<int32_t>& ubWorkspace, int32_t blockIdx,
                  int32_t eventID, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("IBSet", PIPE_S, where);
  ascend_sim::FlagInMemory(frame, frame.Global("gmWorkspace", gmWorkspace),
                           frame.Local("ubWorkspace", ubWorkspace, Hardware::UB), blockIdx, eventID, isAIVOnly, true,
                           where);
}
template <bool isAIVOnly = true>
inline void IBWait(const GlobalTensor<int32_t>& gmWorkspace, const LocalTensor<int32_t>& ubWorkspace, int32_t blockIdx,
                   int32_t eventID, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("IBWait", PIPE_S, where);
  ascend_sim::FlagInMemory(frame, frame.Global("gmWorkspace", gmWorkspace),
                           frame.Local("ubWorkspace", ubWorkspace, Hardware::UB), blockIdx, eventID, isAIVOnly, false,
                           where);
}

// AIVs take turns in the order of their block index: WaitPreBlock ... NotifyNextBlock, any number of rounds.
inline void InitDetermineComputeWorkspace(GlobalTensor<int32_t>& gmWorkspace, LocalTensor<int32_t>& ubWorkspace,
                                          ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("InitDetermineComputeWorkspace", PIPE_S, where);
  ascend_sim::CheckTurnWorkspace(frame, frame.Global("gmWorkspace", gmWorkspace),
                                 frame.Local("ubWorkspace", ubWorkspace, Hardware::UB));
}
inline void WaitPreBlock(GlobalTensor<int32_t>& gmWorkspace, LocalTensor<int32_t>& ubWorkspace, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("WaitPreBlock", PIPE_S, where);
  const ascend_sim::Operand gm = frame.Global("gmWorkspace", gmWorkspace);
  ascend_sim::CheckTurnWorkspace(frame, gm, frame.Local("ubWorkspace", ubWorkspace, Hardware::UB));
  ascend_sim::WaitForTurn(frame, gm, where);
}
inline void NotifyNextBlock(GlobalTensor<int32_t>& gmWorkspace, LocalTensor<int32_t>& ubWorkspace, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("NotifyNextBlock", PIPE_S, where);
  const ascend_sim::Operand gm = frame.Global("gmWorkspace", gmWorkspace);
  ascend_sim::CheckTurnWorkspace(frame, gm, frame.Local("ubWorkspace", ubWorkspace, Hardware::UB));
  ascend_sim::PassTurn(frame, gm, where);
}

}  // namespace AscendC

// The compiler's own names, which published kernels use beside the API's: set_flag(PIPE_MTE2, PIPE_V, EVENT_ID0). The
// pipes are run-time values here; a pair without an event is a fault.
inline void set_flag(pipe_t source, pipe_t target, int32_t id, ASCEND_SIM_CALLER) {
  ascend_sim::CurrentCore().SetEvent(ascend_sim::RequireEvent(source, target, "set_flag", where), id, where);
}
inline void wait_flag(pipe_t source, pipe_t target, int32_t id, ASCEND_SIM_CALLER) {
  ascend_sim::CurrentCore().WaitEvent(ascend_sim::RequireEvent(source, target, "wait_flag", where), id, where);
}
inline void pipe_barrier(pipe_t pipe, ASCEND_SIM_CALLER) { ascend_sim::CurrentCore().Barrier(pipe, where); }
