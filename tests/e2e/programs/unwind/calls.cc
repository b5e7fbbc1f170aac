// Functions that the C library, the loader and the runtime call: as callbacks, before main, at a
// thread's end and after main.

#include <pthread.h>
#include <search.h>

#include "truth.h"

constexpr int kRounds = 60;

extern "C" {

NOINLINE void Down(int depth) {
  FUNCTION;
  ROOM(56);
  if (depth > 0) Down(depth - 1);
  if (depth == 0) Allocate();
}

// ---- callbacks

NOINLINE int Compare(const void* a, const void* b) {
  FUNCTION;
  const int x = *static_cast<const int*>(a), y = *static_cast<const int*>(b);
  Down(x % 3);
  return (x > y) - (x < y);
}
NOINLINE void Sorts() {
  FUNCTION;
  int numbers[24];
  for (int i = 0; i < 24; i++) numbers[i] = i * 7 % 24;
  qsort(numbers, 24, sizeof numbers[0], Compare);
  Allocate();
}
NOINLINE void Searches() {
  FUNCTION;
  static const int kNumbers[] = {1, 2, 3, 5, 8, 13, 21, 34, 55};
  for (const int& wanted : kNumbers) {
    if (bsearch(&wanted, kNumbers, 9, sizeof wanted, Compare) != &wanted) abort();
  }
  Down(1);
}
// A callback that sorts, too.
NOINLINE int CompareBySorting(const void* a, const void* b) {
  FUNCTION;
  int pair[] = {*static_cast<const int*>(a), *static_cast<const int*>(b)};
  const bool swapped = pair[0] > pair[1];
  qsort(pair, 2, sizeof pair[0], Compare);
  return swapped ? 1 : -1;
}
NOINLINE void SortsInside() {
  FUNCTION;
  int numbers[] = {5, 3, 9, 1, 7, 2};
  qsort(numbers, 6, sizeof numbers[0], CompareBySorting);
}

// ---- threads' ends

NOINLINE void LeaveThread() {
  FUNCTION;
  Down(2);
}
struct AllocatesAtEnd {
  int used;
  ~AllocatesAtEnd() { LeaveThread(); }
};
static thread_local AllocatesAtEnd t_at_end;
static pthread_once_t g_once = PTHREAD_ONCE_INIT;
NOINLINE void Once() {
  FUNCTION;
  Down(1);
}
NOINLINE void* RunThread(void*) {
  FUNCTION;
  t_at_end.used++;
  Down(4);
  pthread_once(&g_once, Once);
  return nullptr;
}
NOINLINE void Threads() {
  FUNCTION;
  for (int i = 0; i < 20; i++) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, RunThread, nullptr) != 0) abort();
    pthread_join(thread, nullptr);
  }
}

// ---- before and after main

NOINLINE int BeforeMain() {
  FUNCTION;
  Down(3);
  return 1;
}
NOINLINE void AfterMain() {
  FUNCTION;
  Down(5);
}
NOINLINE void AtExit() {
  FUNCTION;
  Down(1);
}
}

static const int g_initialised = BeforeMain();
static struct AllocatesAfterMain {
  ~AllocatesAfterMain() { AfterMain(); }
} g_after_main;

int main() {
  FUNCTION;
  atexit(AtExit);
  for (int i = 0; i < kRounds; i++) {
    Sorts();
    Searches();
    SortsInside();
  }
  Threads();
  if (g_initialised == 1) exit(0);  // which calls all that is left
  return 1;
}
