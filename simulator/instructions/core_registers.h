// Special registers of a core that instructions read besides their operands.
#pragma once

#include <array>
#include <cstdint>

#include "instructions/cube_params.h"
#include "instructions/vector_params.h"
#include "machine/clocks.h"

namespace ascend_sim {

struct VectorRegisters {
  uint64_t mask_low = ~uint64_t{0};  // counter mode: the number of elements
  uint64_t mask_high = ~uint64_t{0};
  bool counter_mode = false;

  bool saturate = false;  // CTRL[48] inverted: half and bfloat16 results stop at the largest finite value

  std::array<uint8_t, 16> compare_mask{};  // CmpMask, 128 bits
  uint32_t compare_mask_address = 0;       // Select between tensors keeps a UB address in CmpMask

  // SetDeqScale: the half factor of int32 -> half, the packed factors of int16 -> int8.
  float deq_scale_half = 1.0f;
  float deq_scale = 1.0f;
  int16_t deq_offset = 0;
  bool deq_signed = true;

  // Results the scalar unit may fetch, as raw bits of the operand's type.
  uint32_t accumulated = 0;    // ReduceSum with a count
  uint32_t max_min_value = 0;  // WholeReduceMax / Min
  uint32_t max_min_index = 0;
  int64_t gathered = 0;              // GatherMask
  SyncCell results_ready;            // the instruction that wrote them
  std::array<uint16_t, 4> merged{};  // MrgSort
};

struct CubeRegisters {
  bool hf32 = false;
  bool hf32_ties_to_zero = false;
  bool saturate = false;

  // LoadData 3D.
  uint16_t feature_height = 0;
  uint16_t feature_width = 0;
  std::array<uint8_t, 4> padding{};  // left, right, top, bottom
  uint64_t padding_value = 0;        // bits of the element
  AscendC::LoadDataRepeatParam repeat;
  uint32_t boundary = 0;  // bytes of L1 after which a 3D load wraps; 0: none

  // Unit flags: one bit and one release per 512 bytes of L0C (256 blocks).
  static constexpr int kUnitBytes = 512;
  static constexpr int kUnits = 256;
  std::array<bool, kUnits> unit_full{};
  std::array<SyncCell, kUnits> unit_cell{};

  // The last Mmad on each unit that was too small for the pipe to order its successor by itself; 0: none.
  std::array<Tick, kUnits> small_product{};

  // SetFixpipe...: scalar quantisation for DataCopy out of L0C.
  uint64_t quantisation = 0;
};

}  // namespace ascend_sim
