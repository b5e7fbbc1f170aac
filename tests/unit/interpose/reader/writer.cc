// A program that allocates and frees as fast as it can, for reader_test.cc, under the real library.
//
// Each of its places allocates blocks of one size, so that a torn figure shows: bytes that are no
// multiple of the size, or of another number of blocks than the figure beside it. Half of the
// blocks are freed by another thread than their own.
//
// It writes a byte to standard output and waits for one on standard input before it starts, and
// again when all threads are done: at these moments nothing moves.

#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr int kThreads = 8;
constexpr int kPlaces = 64;
constexpr int kShared = 4096;

std::atomic<void*> g_shared[kShared];
std::atomic<int> g_ready{0};
enum Phase { kWait, kRun, kStop };
std::atomic<Phase> g_phase{kWait};

template <size_t kIndex>
__attribute__((noinline)) void* AllocateAt() {
  void* p = malloc(1000 + 16 * kIndex);
  asm volatile("" : "+r"(p));  // no tail call: the place is the address after this call
  return p;
}

template <size_t... kIndex>
constexpr std::array<void* (*)(), sizeof...(kIndex)> Places(std::index_sequence<kIndex...>) {
  return {&AllocateAt<kIndex>...};
}
constexpr auto kAllocate = Places(std::make_index_sequence<kPlaces>{});

bool Rendezvous() {
  char byte = 'x';
  return write(STDOUT_FILENO, &byte, 1) == 1 && read(STDIN_FILENO, &byte, 1) == 1;
}

void Work(uint64_t random) {
  std::vector<void*> own(256);
  for (size_t i = 0; i < kPlaces; i++) free(kAllocate[i]());
  g_ready++;
  while (g_phase == kWait) std::this_thread::yield();
  while (g_phase == kRun) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    void* p = kAllocate[random >> 32 & (kPlaces - 1)]();
    if (random >> 60 & 1) {
      p = g_shared[random >> 40 & (kShared - 1)].exchange(p);
    } else {
      std::swap(p, own[random >> 50 & 255]);
    }
    free(p);
  }
  for (void* p : own) free(p);
}

}  // namespace

int main(int argc, char** argv) {
  const int milliseconds = argc > 1 ? atoi(argv[1]) : 1000;
  std::vector<std::thread> threads;
  for (int n = 0; n < kThreads; n++) threads.emplace_back(Work, static_cast<uint64_t>(n) + 1);
  while (g_ready < kThreads) std::this_thread::yield();
  if (!Rendezvous()) return 1;
  g_phase = kRun;
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  g_phase = kStop;
  for (std::thread& thread : threads) thread.join();
  if (!Rendezvous()) return 1;
  return 0;
}
