// A stream: tasks that run one after the other on a thread of their own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "acl/acl_base.h"
#include "acl/memory.h"
#include "acl/order.h"

namespace ascend_sim::acl {

struct Task {
  std::string name;
  std::function<void()> run;
  bool always = false;  // even after the stream failed or was told to drop its tasks: events others wait for
};

// Everything but running a task happens under the process's mutex, which `lock` holds.
class Stream {
 public:
  using Lock = std::unique_lock<std::mutex>;

  Stream(uint64_t number, uint64_t context, int32_t device) : number(number), context(context), device(device) {}
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Returns the task's number in the stream, from 1.
  uint64_t Enqueue(Task task);
  // False if the time is over first. A time of -1 never is.
  bool WaitUntilDone(Lock& lock, int64_t timeout_ms);
  bool done() const { return completed_ == issued_; }
  // Waits for the tasks (without those not begun if `drop`) and ends the thread.
  void Close(Lock& lock, bool drop);
  bool on_own_thread() const { return worker_.get_id() == std::this_thread::get_id(); }
  // The first failure of a task since the last call; a stream that stops on failure keeps it.
  aclError TakeFailure(std::string* text);

  const uint64_t number;
  const uint64_t context;  // its number
  const int32_t device;
  bool stop_on_failure = false;
  Clock clock;  // what is done when all tasks so far are; the next comes after

 private:
  void Work();
  void RunOne(Lock& lock);

  uint64_t issued_ = 0;
  uint64_t completed_ = 0;
  std::deque<Task> tasks_;
  bool closing_ = false;
  bool dropping_ = false;
  bool failed_ = false;  // and stops on failure
  aclError failure_ = ACL_SUCCESS;
  std::string failure_text_;
  std::condition_variable changed_;
  std::thread worker_;
};

// Puts a task that touches memory on a stream. Refuses bytes outside the device's memory, and those that a task on
// another stream touches without order; then nothing happens. The process's mutex is held.
aclError EnqueueWithUses(Stream& stream, const std::string& api, Task task, const std::vector<Use>& uses);

}  // namespace ascend_sim::acl
