// A program's own account of its stacks, for tests of native stacks.
//
// Each function of the program says that it was entered (FUNCTION at its beginning) and allocates
// through Allocate(). A shadow of the stack is kept by these alone, and how often each chain
// allocated is counted; when all else has ended, handlers of exit among it, one READY line of JSON
// tells it: {"chains": {"inner;outer;main": times}}. What leaves functions without returning puts
// the shadow's depth back itself.
//
// FUNCTION's end comes after the last call, so that no call is a tail call.

#ifndef MEMTRACE_TESTS_E2E_UNWIND_TRUTH_H_
#define MEMTRACE_TESTS_E2E_UNWIND_TRUTH_H_

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#define NOINLINE __attribute__((noinline))
#define FUNCTION const truth::Entered entered(__func__)
// What the compiler must not know about.
#define OPAQUE(x) asm volatile("" : "+r"(x)::"memory")
// Makes the frame larger.
#define ROOM(bytes) \
  char room[bytes]; \
  asm volatile("" ::"r"(room) : "memory")

namespace truth {

constexpr int kDeepest = 64;
constexpr int kMostChains = 1024;

struct Shadow {
  const char* names[kDeepest];
  int depth;
};
inline thread_local Shadow t_shadow = {};

class Entered {
 public:
  explicit Entered(const char* name) : depth_(t_shadow.depth) {
    if (depth_ == kDeepest) abort();
    t_shadow.names[depth_] = name;
    t_shadow.depth = depth_ + 1;
  }
  ~Entered() { t_shadow.depth = depth_; }

 private:
  int depth_;
};

// For a stack that begins somewhere else: a coroutine's, a thread's. The old one comes back.
class Begins {
 public:
  Begins() : old_(t_shadow) { t_shadow.depth = 0; }
  ~Begins() { t_shadow = old_; }

 private:
  Shadow old_;
};

struct Chain {
  Shadow shadow;
  long times;
};
inline Chain g_chains[kMostChains];
inline int g_chain_count;
inline std::atomic_flag g_lock = ATOMIC_FLAG_INIT;

inline bool IsSame(const Shadow& a, const Shadow& b) {
  return a.depth == b.depth &&
         memcmp(a.names, b.names, static_cast<size_t>(a.depth) * sizeof a.names[0]) == 0;
}

inline void Count(const Shadow& shadow) {
  while (g_lock.test_and_set()) {
  }
  int i = 0;
  while (i < g_chain_count && !IsSame(g_chains[i].shadow, shadow)) i++;
  if (i == kMostChains) abort();
  if (i == g_chain_count) g_chains[g_chain_count++].shadow = shadow;
  g_chains[i].times++;
  g_lock.clear();
}

inline void Tell() {
  printf("READY{\"chains\":{");
  for (int i = 0; i < g_chain_count; i++) {
    const Shadow& shadow = g_chains[i].shadow;
    printf(i == 0 ? "\"" : ",\"");
    for (int k = shadow.depth; k-- > 0;) printf("%s%s", shadow.names[k], k > 0 ? ";" : "");
    printf("\":%ld", g_chains[i].times);
  }
  printf("}}\n");
  fflush(stdout);
}

// The first to be registered is the last to be called.
__attribute__((constructor(101))) inline void TellLast() { atexit(Tell); }

}  // namespace truth

extern "C" {
// The one place that allocates.
NOINLINE inline void Allocate() {
  FUNCTION;
  truth::Count(truth::t_shadow);
  void* p = malloc(40);
  OPAQUE(p);
  free(p);
}
}

#endif  // MEMTRACE_TESTS_E2E_UNWIND_TRUTH_H_
