#include "machine/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

namespace ascend_sim {

Fiber::Fiber(std::function<void()> body, size_t stack_bytes) : body_(std::move(body)) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  mapped_ = (stack_bytes + page - 1) / page * page + page;
  stack_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack_ == MAP_FAILED) throw std::bad_alloc();
  mprotect(stack_, page, PROT_NONE);  // a kernel that overruns its stack stops here instead of in other memory

  getcontext(&inside_);
  inside_.uc_stack.ss_sp = static_cast<char*>(stack_) + page;
  inside_.uc_stack.ss_size = mapped_ - page;
  sanitizer_.Create(inside_.uc_stack.ss_sp, inside_.uc_stack.ss_size);
  inside_.uc_link = &outside_;
  const uintptr_t self = reinterpret_cast<uintptr_t>(this);
  makecontext(&inside_, reinterpret_cast<void (*)()>(Enter), 2, static_cast<unsigned>(self),
              static_cast<unsigned>(self >> 32));
}

Fiber::~Fiber() {
  sanitizer_.Destroy();
  munmap(stack_, mapped_);
}

void Fiber::Resume() {
  sanitizer_.BeforeResume();
  swapcontext(&outside_, &inside_);
  sanitizer_.AfterResume();
}

void Fiber::Suspend() {
  sanitizer_.BeforeSuspend();
  swapcontext(&inside_, &outside_);
  sanitizer_.AfterSuspend();
}

ASCEND_SIM_NO_THREAD_SANITIZER void Fiber::Enter(unsigned low, unsigned high) {
  Fiber* self = reinterpret_cast<Fiber*>(static_cast<uintptr_t>(low) | static_cast<uintptr_t>(high) << 32);
  self->sanitizer_.AfterStart();
  self->body_();
  self->done_ = true;
  self->sanitizer_.BeforeEnd();
}

}  // namespace ascend_sim
