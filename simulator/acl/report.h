// What went wrong: the message a thread can ask for, and the count of misuses and leaks of the whole process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "acl/acl_base.h"

namespace ascend_sim::acl {

// Note a message for aclGetRecentErrMsg of this thread.
void AddMessage(const std::string& message);
// This thread's messages since the last call, latest first; null if there are none. Valid until the next call.
const char* TakeMessages();
// Status of the last failure of a runtime call in this thread.
aclError& LastError();

// A call that was refused.
template <typename Status>
Status Fail(Status status, const std::string& message) {
  AddMessage(message);
  return status;
}

// A refused call that shows a mistake in the program's use of objects, memory or streams. Goes to stderr too, and
// counts.
void AddMisuse(const std::string& message);
template <typename Status>
Status Misuse(Status status, const std::string& message) {
  AddMisuse(message);
  return status;
}

// Objects nobody destroyed, each in a few words.
void ReportLeaks(const std::string& when, const std::vector<std::string>& objects);

// Misuses and leaked objects since the process started.
uint64_t MisuseCount();
uint64_t LeakCount();

// The end of the process: ends it with ASCEND_SIMULATOR_EXIT_CODE if that is set and anything was counted.
void ExitWithReports();

// An address as messages print it.
std::string Hex(const void* address);

}  // namespace ascend_sim::acl
