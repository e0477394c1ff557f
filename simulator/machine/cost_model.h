// Every number of the cost model, each with its source. Where sources disagree, the slower figure is taken.
//
// Sources: [ini] the toolkit's platform file (see soc.cpp); [vec] the manual's table of vector instruction throughput;
// [cube] the manual's table of cube instruction throughput and data paths (architecture 2201); [meas] figures published
// kernels were accounted with, in no public table: the start-up costs ("heads"), a switch of the timeline.
#pragma once

#include <cstdint>

namespace ascend_sim {
namespace cost {

// Vector unit, per cycle.
inline constexpr double kVectorLanesBytes = 256;  // [vec] 64 fp32 or 128 fp16 elements: Add, Mul, Cast, ...
inline constexpr double kVectorLanesSlow = 32;    // [vec] elements of either dtype: Exp, Ln, Sqrt, Div
inline constexpr double kWholeReduceRepeat = 7;   // [meas] cycles a repeat
inline constexpr double kGatherElements = 5;      // [vec] Gather, elements of any type
inline constexpr double kGatherBlockBytes = 84;   // [vec] Gatherb: 42 16-bit elements
inline constexpr double kBlockReduceRepeat = 1;   // [vec] cycles a repeat, fp32

// Cube unit, multiply-adds per cycle.
inline constexpr double kCubeMacsHalf = 16 * 16 * 16;  // [cube] half, bfloat16
inline constexpr double kCubeMacsInt8 = 16 * 16 * 32;  // [cube]
inline constexpr double kCubeMacsHf32 = 16 * 16 * 8;   // [cube]
inline constexpr double kCubeMacsFloat = 16 * 16 * 4;  // [cube]

// Local paths, bytes per cycle.
inline constexpr double kL0cToL1 = 128;   // [cube] 64 elements a cycle, 16-bit results
inline constexpr double kL1ToL0a = 256;   // [cube]; [ini] says 512
inline constexpr double kL1ToL0b = 128;   // [cube]; [ini] says 256
inline constexpr double kUbToUb = 256;    // [vec] read and written by the vector unit, a repeat a cycle
inline constexpr double kL1ToTable = 64;  // bias table and fixpipe buffer; in no source, they are small

// Heads: cycles an instruction costs before its data moves [meas].
inline constexpr double kHeadMte = 60;
inline constexpr double kHeadVector = 14;
inline constexpr double kHeadCube = 20;
inline constexpr double kHeadFlag = 20;
inline constexpr double kHeadCrossFlag = 300;
inline constexpr double kHeadBarrier = 10;
inline constexpr double kHeadIssue = 2;

// Every GM transfer moves through L2; what L2 does not hold yet also moves over the DDR path. The per-core rates of the
// platform file times the number of AI cores are what the chip has together [ini]; a core alone cannot pass its own.
inline constexpr uint64_t kL2Line = 128;  // bytes; the granularity at which the model remembers what L2 holds

// Start of a kernel until its first instruction, microseconds. An estimate: the shortest published device time of an
// attention kernel on 910B2 is 19.2 us [pto-isa, demos/torch_jit/flash_atten], about half of it its own work.
inline constexpr double kLaunchMicroseconds = 8;

}  // namespace cost

// Cycles of a vector instruction of `repeats` repeats of `elements`, `lanes` elements a cycle, without its head.
inline double VectorCycles(uint32_t repeats, uint32_t elements, double lanes) {
  return static_cast<double>(repeats) * elements / lanes;
}

}  // namespace ascend_sim
