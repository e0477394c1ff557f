// A kernel on its own stack, run until it must wait.
//
// Fibers instead of threads make the interleaving of cores the simulator's choice: an AIC and its AIVs switch only
// where one waits for another, so a run is repeatable and needs no locks inside a block. ucontext is used because it is
// in every libc and needs no assembly; a switch costs one signal-mask system call, paid per wait and not per
// instruction.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>

#include "machine/fiber_sanitizer.h"

namespace ascend_sim {

class Fiber {
 public:
  // `body` must not let an exception escape.
  Fiber(std::function<void()> body, size_t stack_bytes);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs the body until it suspends or ends. Called from outside the fiber.
  void Resume();
  // Returns to whoever resumed. Called from inside.
  void Suspend();
  bool done() const { return done_; }

 private:
  static void Enter(unsigned low, unsigned high);

  std::function<void()> body_;
  void* stack_ = nullptr;
  size_t mapped_ = 0;
  ucontext_t inside_;
  ucontext_t outside_;
  bool done_ = false;
  FiberSanitizer sanitizer_;
};

}  // namespace ascend_sim
