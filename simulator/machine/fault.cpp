#include "machine/fault.h"

#include <cinttypes>
#include <cstdio>

#include "machine/instruction.h"
#include "types/enums.h"

namespace ascend_sim {
namespace {

struct KindText {
  const char* name;
  const char* meaning;
};

constexpr KindText kKinds[] = {
#define X(enumerator, name, meaning) {name, meaning},
    ASCEND_SIM_FAULTS(X)
#undef X
};

std::string Describe(const FaultRecord& record) {
  std::string text = std::string(FaultName(record.kind)) + ": ";
  if (!record.instruction.empty()) {
    text += record.instruction;
    if (!record.operand.empty()) text += " (" + record.operand + ")";
    text += " ";
  }
  text += FaultMeaning(record.kind);
  if (!record.memory.empty()) {
    char address[64];
    std::snprintf(address, sizeof(address), " at %s+0x%" PRIx64, record.memory.c_str(), record.address);
    text += address;
  }
  if (!record.detail.empty()) text += ": " + record.detail;
  text += "\n  ";
  if (record.where.line != 0) text += std::string(record.where.file) + ":" + std::to_string(record.where.line) + ", ";
  text += record.core.empty() ? "host" : record.core;
  if (!record.pipe.empty()) text += ", pipe " + record.pipe;
  return text;
}

}  // namespace

const char* FaultName(FaultKind kind) { return kKinds[static_cast<int>(kind)].name; }
const char* FaultMeaning(FaultKind kind) { return kKinds[static_cast<int>(kind)].meaning; }

Fault::Fault(FaultRecord record) : std::runtime_error(Describe(record)), record_(std::move(record)) {}

const char* PipeName(int index) {
  static constexpr const char* kNames[] = {"S", "V", "M", "MTE1", "MTE2", "MTE3", "FIX"};
  return kNames[index];
}

const char* MemoryName(Hardware memory) {
  static constexpr const char* kNames[] = {"GM", "UB", "L1", "L0A", "L0B", "L0C", "bias table", "fixpipe buffer", "-"};
  return kNames[static_cast<int>(memory)];
}

const char* PathName(Path path) {
  static constexpr const char* kNames[] = {"",        "GM->UB",  "GM->L1",  "UB->GM", "L1->GM",   "L0C->GM",
                                           "L1->L0A", "L1->L0B", "L0C->L1", "UB->UB", "L1->table"};
  return kNames[static_cast<int>(path)];
}

}  // namespace ascend_sim
