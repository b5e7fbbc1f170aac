#include "tests/bench/micro/step_counter.h"

#include <signal.h>

namespace memtrace::bench {

#if defined(__x86_64__)

namespace {

volatile uint64_t g_steps = 0;
uint64_t g_own_steps = 0;  // of StartSteps and StopSteps

void OnStep(int) { g_steps = g_steps + 1; }

// What a pair of calls around nothing counts.
uint64_t CountNothing() {
  g_own_steps = 0;
  StartSteps();
  return StopSteps();
}

}  // namespace

bool CanCountSteps() {
  struct sigaction action = {};
  action.sa_handler = OnStep;
  if (sigaction(SIGTRAP, &action, nullptr) != 0) return false;
  g_own_steps = CountNothing();
  return g_own_steps != 0;
}

// The kernel clears the flag for the handler, and sets it again when the handler returns. The stack
// pointer is moved out of the way of what the compiler keeps below it.
void StartSteps() {
  g_steps = 0;
  asm volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                   : "memory", "cc");
}

uint64_t StopSteps() {
  asm volatile("sub $128, %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                   : "memory", "cc");
  return g_steps - g_own_steps;
}

#else

bool CanCountSteps() { return false; }
void StartSteps() {}
uint64_t StopSteps() { return 0; }

#endif

}  // namespace memtrace::bench
