// Stacks that are not the one the thread began with, and stacks that many threads have in turn.

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "truth.h"

constexpr int kRounds = 200;
constexpr size_t kStackBytes = 256 * 1024;

static char* NewStack() {
  void* p = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) abort();
  return static_cast<char*>(p);
}

extern "C" {

NOINLINE void Down(int depth, void (*last)()) {
  FUNCTION;
  ROOM(40);
  if (depth > 0) Down(depth - 1, last);
  if (depth == 0) last();
}

// ---- signals

NOINLINE void Handler(int) {
  FUNCTION;
  Down(2, Allocate);
}
NOINLINE void Trap() {
  FUNCTION;
  Allocate();
  asm volatile("int3" ::: "memory");
  Allocate();
}
NOINLINE void Signals() {
  FUNCTION;
  const stack_t other = {NewStack(), 0, kStackBytes};
  if (sigaltstack(&other, nullptr) != 0) abort();
  struct sigaction action = {};
  action.sa_handler = Handler;
  for (int i = 0; i < kRounds; i++) {
    action.sa_flags = i % 2 ? SA_ONSTACK : 0;
    if (sigaction(SIGTRAP, &action, nullptr) != 0) abort();
    Down(i % 5, Trap);
    Down(i % 3, Allocate);
  }
}

// ---- coroutines

struct Coroutine {
  ucontext_t context;
  ucontext_t* resumer;
  truth::Shadow shadow;
  char* stack;
  int number;
};
static Coroutine* g_running;
static Coroutine g_coroutines[8];

NOINLINE void Yield() {
  FUNCTION;
  Coroutine* self = g_running;
  Allocate();
  self->shadow = truth::t_shadow;
  swapcontext(&self->context, self->resumer);
  truth::t_shadow = self->shadow;
  Allocate();
}
NOINLINE void Body() {
  FUNCTION;
  Coroutine* self = g_running;
  for (int i = 0;; i++) Down((self->number * 3 + i) % 6, i % 3 == 0 ? Allocate : Yield);
}
static void Make(Coroutine* c, int number) {
  c->number = number;
  c->shadow.depth = 0;
  if (c->stack == nullptr) c->stack = NewStack();
  getcontext(&c->context);
  c->context.uc_stack = {c->stack, 0, kStackBytes};
  makecontext(&c->context, Body, 0);
}
static void Resume(Coroutine* c, ucontext_t* here) {
  const truth::Shadow outside = truth::t_shadow;
  truth::t_shadow = c->shadow;
  g_running = c;
  c->resumer = here;
  swapcontext(here, &c->context);
  truth::t_shadow = outside;
}

// Eight at a time, resumed from ever different places; then their stacks are others'.
NOINLINE void Coroutines() {
  FUNCTION;
  ucontext_t here;
  for (int generation = 0; generation < 4; generation++) {
    for (int i = 0; i < 8; i++) Make(&g_coroutines[i], i + generation);
    for (int i = 0; i < kRounds; i++) {
      Resume(&g_coroutines[i * 5 % 8], &here);
      Down(i % 4, Allocate);
    }
  }
  for (Coroutine& c : g_coroutines) {
    munmap(c.stack, kStackBytes);
    c.stack = nullptr;
  }
}

// ---- threads

NOINLINE void* RunOdd(void*) {
  FUNCTION;
  for (int i = 0; i < 20; i++) Down(i % 7, Allocate);
  return nullptr;
}
NOINLINE void* RunEven(void* leaves) {
  FUNCTION;
  ROOM(72);
  for (int i = 0; i < 20; i++) Down(i % 5 + 1, Allocate);
  if (leaves != nullptr) pthread_exit(nullptr);
  return nullptr;
}
// One after the other on the same stack, and four at once.
NOINLINE void Threads() {
  FUNCTION;
  for (int i = 0; i < 40; i++) {
    pthread_t threads[4];
    const int count = i % 4 == 0 ? 4 : 1;
    for (int k = 0; k < count; k++) {
      void* leaves = i % 3 == 0 ? &threads : nullptr;
      if (pthread_create(&threads[k], nullptr, (i + k) % 2 ? RunOdd : RunEven, leaves) != 0)
        abort();
    }
    for (int k = 0; k < count; k++) pthread_join(threads[k], nullptr);
  }
}

static __thread int t_value;
static pthread_key_t g_key;
NOINLINE void AtThreadsEnd(void* value) {
  FUNCTION;
  Down(3, Allocate);
  t_value += value != nullptr;
}
NOINLINE void* RunWithKey(void*) {
  FUNCTION;
  pthread_setspecific(g_key, &t_value);
  Allocate();
  return nullptr;
}
NOINLINE void EndsOfThreads() {
  FUNCTION;
  pthread_key_create(&g_key, AtThreadsEnd);
  for (int i = 0; i < 40; i++) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, RunWithKey, nullptr) != 0) abort();
    pthread_join(thread, nullptr);
  }
}
}

int main() {
  FUNCTION;
  for (int round = 0; round < 2; round++) {
    Signals();
    Coroutines();
    Threads();
    EndsOfThreads();
  }
  return 0;
}
