#include "acl/report.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>

namespace ascend_sim::acl {
namespace {

constexpr size_t kKeptMessages = 16;
constexpr size_t kPrinted = 20;  // misuses, and leaks of one report; the rest is only counted

// Calls may come from the destructors of statics, after those of the main thread's own variables: what is trivially
// destroyed is still there then.
thread_local bool messages_gone = false;
thread_local aclError last_error = ACL_SUCCESS;
struct ThreadMessages {
  ~ThreadMessages() { messages_gone = true; }
  std::deque<std::string> recent;
  std::string handed_out;
};
thread_local ThreadMessages messages;

std::atomic<uint64_t> misuses{0};
std::atomic<uint64_t> leaks{0};

void Print(const std::string& text) { std::fputs(("[acl] " + text + "\n").c_str(), stderr); }

}  // namespace

void AddMessage(const std::string& message) {
  if (messages_gone) return;
  messages.recent.push_front(message);
  if (messages.recent.size() > kKeptMessages) messages.recent.pop_back();
}

const char* TakeMessages() {
  if (messages_gone || messages.recent.empty()) return nullptr;
  messages.handed_out.clear();
  for (const std::string& message : messages.recent) {
    if (!messages.handed_out.empty()) messages.handed_out += "\n";
    messages.handed_out += message;
  }
  messages.recent.clear();
  return messages.handed_out.c_str();
}

aclError& LastError() { return last_error; }

void AddMisuse(const std::string& message) {
  AddMessage(message);
  const uint64_t before = misuses.fetch_add(1);
  if (before < kPrinted) Print("misuse: " + message);
  if (before == kPrinted) Print("further misuses are counted, not printed");
}

void ReportLeaks(const std::string& when, const std::vector<std::string>& objects) {
  if (objects.empty()) return;
  leaks.fetch_add(objects.size());
  std::string text = "leaked, found by " + when + ":";
  for (size_t i = 0; i < objects.size() && i < kPrinted; ++i) text += "\n    " + objects[i];
  if (objects.size() > kPrinted) text += "\n    and " + std::to_string(objects.size() - kPrinted) + " more";
  Print(text);
}

uint64_t MisuseCount() { return misuses.load(); }
uint64_t LeakCount() { return leaks.load(); }

void ExitWithReports() {
  const char* code = std::getenv("ASCEND_SIMULATOR_EXIT_CODE");
  if (code == nullptr || MisuseCount() + LeakCount() == 0) return;
  Print(std::to_string(MisuseCount()) + " misuses, " + std::to_string(LeakCount()) + " leaked objects");
  std::fflush(nullptr);
  _exit(std::atoi(code));
}

std::string Hex(const void* address) {
  char text[32];
  std::snprintf(text, sizeof(text), "%p", address);
  return text;
}

}  // namespace ascend_sim::acl
