// printf, DumpTensor and assert of a kernel. Output is collected core by core and returned by the launch.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>
#include <type_traits>

#include "api/tensor.h"
#include "machine/core.h"

namespace ascend_sim {

inline double Printable(float value) { return value; }
template <typename Format>
double Printable(SmallFloat<Format> value) {
  return float{value};
}
template <typename T, typename = std::enable_if_t<!std::is_same_v<T, float>>>
T Printable(T value) {
  return value;
}

void Print(Core& core, const char* format, ...) __attribute__((format(printf, 2, 3)));
[[noreturn]] void FailAssertion(const char* condition, const Location& where, const char* format = "", ...);

// A line "DumpTensor <desc>: ..." and the first `count` elements, eight to a line.
template <typename T>
void Dump(Core& core, const char* memory, uint64_t address, const T* data, uint32_t desc, uint32_t count) {
  Print(core, "DumpTensor desc %u, %s, %s+0x%llx, %u elements\n", desc, core.Label().c_str(), memory,
        static_cast<unsigned long long>(address), count);
  for (uint32_t i = 0; i < count; ++i) {
    T value;
    __builtin_memcpy(&value, data + i, sizeof(T));
    const char* gap = i + 1 == count || i % 8 == 7 ? "\n" : " ";
    if constexpr (std::is_integral_v<T>) {
      Print(core, "%lld%s", static_cast<long long>(value), gap);
    } else {
      Print(core, "%g%s", static_cast<double>(static_cast<float>(value)), gap);
    }
  }
}

}  // namespace ascend_sim

namespace AscendC {

template <typename... Args>
inline void PRINTF(const char* fmt, Args... args) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  ascend_sim::Print(ascend_sim::CurrentCore(), fmt, ascend_sim::Printable(args)...);
#pragma GCC diagnostic pop
}
template <typename... Args>
inline void printf(const char* fmt, Args... args) {
  PRINTF(fmt, args...);
}

// The first `dumpSize` elements.
template <typename T>
inline void DumpTensor(const LocalTensor<T>& tensor, uint32_t desc, uint32_t dumpSize, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DumpTensor", PIPE_S, where);
  const ascend_sim::Operand operand = frame.Local("tensor", tensor);
  frame.BoundsRead(operand, uint64_t{dumpSize} * sizeof(T));
  ascend_sim::Dump(frame.core(), ascend_sim::MemoryName(operand.memory), operand.address, operand.As<T>(), desc,
                   dumpSize);
}
template <typename T>
inline void DumpTensor(const GlobalTensor<T>& tensor, uint32_t desc, uint32_t dumpSize, ASCEND_SIM_CALLER) {
  ascend_sim::Instruction frame("DumpTensor", PIPE_S, where);
  const ascend_sim::Operand operand = frame.Global("tensor", tensor);
  frame.BoundsRead(operand, uint64_t{dumpSize} * sizeof(T));
  ascend_sim::Dump(frame.core(), operand.region->name.c_str(), operand.region->Offset(operand.data), operand.As<T>(),
                   desc, dumpSize);
}

// `shapeInfo` would arrange the printed values in rows; here they follow each other.
template <typename T>
inline void DumpTensor(const LocalTensor<T>& tensor, uint32_t desc, uint32_t dumpSize, const ShapeInfo&,
                       ASCEND_SIM_CALLER) {
  DumpTensor(tensor, desc, dumpSize, where);
}
template <typename T>
inline void DumpTensor(const GlobalTensor<T>& tensor, uint32_t desc, uint32_t dumpSize, const ShapeInfo&,
                       ASCEND_SIM_CALLER) {
  DumpTensor(tensor, desc, dumpSize, where);
}

// `descId` and the number of instructions issued so far, which GetSystemCycle counts too.
inline void PrintTimeStamp(uint32_t descId) {
  ascend_sim::Core& core = ascend_sim::CurrentCore();
  ascend_sim::Print(core, "PrintTimeStamp desc %u: %llu\n", descId, static_cast<unsigned long long>(core.issued()));
}

}  // namespace AscendC

// assert(condition) and assert(condition, "format", ...), as the device has them.
#undef assert
#define assert(condition, ...) ascendc_assert(condition, ##__VA_ARGS__)
#define ascendc_assert(condition, ...)                                                                        \
  do {                                                                                                        \
    if (!(condition)) ::ascend_sim::FailAssertion(#condition, ::ascend_sim::Location::Here(), ##__VA_ARGS__); \
  } while (0)
#undef ASSERT
#define ASSERT(condition) assert(condition)
