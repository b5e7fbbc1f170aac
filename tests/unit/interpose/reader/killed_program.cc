// Four threads that allocate and free as fast as they can, for killed_test.cc, which kills them.
//
// Each thread counts before and after each call, in a file that outlives it: what memtrace has
// recorded lies between. Blocks of thread n are of a size of its own, which tells its figures from
// all others; half of them are freed by the next thread.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "tests/unit/interpose/reader/killed_counters.h"

namespace memtrace {
namespace {

constexpr size_t kKept = 512;

std::atomic<void*> g_handed_on[kKillThreads][kKept];
KillCounters* g_counters;

void Free(void* p, size_t owner) {
  if (p == nullptr) return;
  // Two threads free blocks of one size: their counts are added up.
  g_counters[owner].free_begun++;
  free(p);
  g_counters[owner].free_done++;
}

void Work(size_t n) {
  std::vector<void*> kept(kKept);
  const size_t next = (n + 1) % kKillThreads;
  for (size_t i = 0;; i++) {
    g_counters[n].begun++;
    void* p = malloc(KillBytes(n));
    g_counters[n].done++;
    if (i % 2 == 0) {
      std::swap(p, kept[i / 2 % kKept]);
      Free(p, n);
    } else {
      Free(g_handed_on[next][i / 2 % kKept].exchange(nullptr), next);
      Free(g_handed_on[n][i / 2 % kKept].exchange(p), n);
    }
  }
}

}  // namespace
}  // namespace memtrace

int main(int argc, char** argv) {
  using namespace memtrace;
  const int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;
  void* shared =
      mmap(nullptr, kKillThreads * sizeof(KillCounters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared == MAP_FAILED) return 2;
  g_counters = static_cast<KillCounters*>(shared);
  std::vector<std::thread> threads;
  for (size_t n = 0; n < kKillThreads; n++) threads.emplace_back(Work, n);
  for (std::thread& thread : threads) thread.join();
}
