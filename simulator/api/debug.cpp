#include "api/debug.h"

#include <vector>

#include "api/system.h"

namespace ascend_sim {

void Print(Core& core, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, arguments);
  std::vector<char> text(static_cast<size_t>(length) + 1);
  std::vsnprintf(text.data(), text.size(), format, again);
  va_end(again);
  va_end(arguments);
  core.output.append(text.data(), static_cast<size_t>(length));
}

void FailAssertion(const char* condition, const Location& where, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  CurrentCore().Fail(FaultKind::kAssertion, "assert", where,
                     std::string(condition) + (text[0] != 0 ? std::string(": ") + text : ""));
}

void ReadTiling(void* destination, const void* source, uint64_t bytes, const Location& where) {
  Instruction frame("GET_TILING_DATA", PIPE_S, where);
  const Operand tiling = GlobalOperand(frame, "tiling", static_cast<uint8_t*>(const_cast<void*>(source)), UINT64_MAX);
  frame.BoundsRead(tiling, bytes);
  if (frame.checking()) frame.Read(tiling, 0, bytes);
  std::memcpy(destination, source, bytes);
}

}  // namespace ascend_sim

namespace AscendC {

void Trap(ascend_sim::Location where) {
  ascend_sim::CurrentCore().Fail(ascend_sim::FaultKind::kAssertion, "Trap", where, "the kernel stopped itself");
}

}  // namespace AscendC
