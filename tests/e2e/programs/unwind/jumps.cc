// Functions that are left without returning, and others that take their place on the stack.

#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "truth.h"

constexpr int kRounds = 300;

extern "C" {

// Deep frames of different shapes: which function lies where is different in each round.
NOINLINE void Right(int depth, long shape, void (*last)());
NOINLINE void Left(int depth, long shape, void (*last)()) {
  FUNCTION;
  ROOM(24);
  if (depth == 0) {
    last();
  } else {
    (shape & 1 ? Left : Right)(depth - 1, shape >> 1, last);
  }
  if (shape % 5 == 0) Allocate();
}
NOINLINE void Right(int depth, long shape, void (*last)()) {
  FUNCTION;
  ROOM(104);
  if (depth == 0) {
    last();
  } else {
    (shape & 2 ? Left : Right)(depth - 1, shape >> 1, last);
  }
}

static jmp_buf g_back;
NOINLINE void JumpOut() {
  FUNCTION;
  Allocate();
  longjmp(g_back, 1);
}

// Out of eight frames, and at once into eight others at the same depths.
NOINLINE void LongJumps() {
  FUNCTION;
  for (volatile int i = 0; i < kRounds; i++) {
    const truth::Shadow here = truth::t_shadow;
    if (setjmp(g_back) == 0) Left(8, i % 16, JumpOut);
    truth::t_shadow = here;
    Right(8, (i * 7) % 16, Allocate);
  }
}

NOINLINE void Throw() {
  FUNCTION;
  Allocate();
  throw std::runtime_error("out");
}
NOINLINE void CleanUp(int*) {
  FUNCTION;
  Allocate();
}
NOINLINE void Cleans(long shape) {
  FUNCTION;
  __attribute__((cleanup(CleanUp))) int cleaned = 0;
  OPAQUE(cleaned);
  Left(6, shape, Throw);
}

// While the exception passes, what cleans up allocates; when it is caught, the handler does.
NOINLINE void Exceptions() {
  FUNCTION;
  for (int i = 0; i < kRounds; i++) {
    try {
      Cleans(i % 8);
    } catch (const std::exception&) {
      Allocate();
    }
    Right(6, i % 8, Allocate);
  }
}

// An event loop that errors come back to.
static sigjmp_buf g_loop;
NOINLINE void Fail(int) {
  FUNCTION;
  Allocate();
  siglongjmp(g_loop, 1);
}
NOINLINE void Fault() {
  FUNCTION;
  volatile int* nowhere = nullptr;
  OPAQUE(nowhere);
  Allocate();
  *nowhere = 1;
}
NOINLINE void MainLoop() {
  FUNCTION;
  struct sigaction action = {};
  action.sa_handler = Fail;
  sigaction(SIGSEGV, &action, nullptr);
  const truth::Shadow here = truth::t_shadow;
  volatile int i = 0;
  sigsetjmp(g_loop, 1);
  truth::t_shadow = here;
  while (i < kRounds) {
    i++;
    Left(i % 5, i % 4, Allocate);
    if (i % 3 == 0) Right(i % 7, i % 4, Fault);
  }
  signal(SIGSEGV, SIG_DFL);
}

// The child works on its parent's stack, below it; the parent goes on there.
NOINLINE void InVforkedChild(int i) {
  FUNCTION;
  Left(i % 6, i % 4, Allocate);
}
NOINLINE void Vforks() {
  FUNCTION;
  for (int i = 0; i < 30; i++) {
    const pid_t child = vfork();
    if (child == 0) {
      InVforkedChild(i);
      _exit(0);
    }
    if (child < 0 || waitpid(child, nullptr, 0) != child) abort();
    Right(i % 6, i % 4, Allocate);
  }
}
}

int main() {
  FUNCTION;
  for (int round = 0; round < 2; round++) {
    LongJumps();
    Exceptions();
    MainLoop();
    Vforks();
  }
  return 0;
}
