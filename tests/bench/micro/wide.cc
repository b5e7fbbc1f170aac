// memtrace_wide THREADS SITES: a region as a large program leaves it, for measuring how much memory
// it takes and how fast the tool reads it.
//
// Each of the threads, all alive at once, allocates from the same SITES stacks of 12 Python frames:
// at each one a block that is freed and one that stays. The region is left in $MEMTRACE_DIR.

#include <stdio.h>
#include <stdlib.h>

#include <barrier>
#include <thread>
#include <vector>

#include "tests/bench/micro/fake_python.h"
#include "tests/bench/micro/heap.h"
#include "tests/events.h"

namespace memtrace::bench {
namespace {

constexpr int kDepth = 12;
constexpr int kLines = 64;

void MakeSites(const std::vector<const char*>& codes, size_t first_block, int sites) {
  FakeStack stack(kDepth);
  for (const char* code : codes) stack.Call(code);
  for (int i = 0; i < sites; i++) {
    stack.SetLine(kDepth - 3, i / (kLines * kLines));
    stack.SetLine(kDepth - 2, i / kLines % kLines);
    stack.SetLine(kDepth - 1, i % kLines);
    void* const p = Block(first_block + static_cast<size_t>(i));
    for (const bool stays : {false, true}) {
      RecordedAlloc(48, Domain::kPythonObj, 0, [=] { return p; });
      if (!stays) RecordedFree(p);
    }
  }
}

}  // namespace
}  // namespace memtrace::bench

int main(int argc, char** argv) {
  using namespace memtrace;
  using namespace memtrace::bench;
  const int threads = argc == 3 ? atoi(argv[1]) : 0, sites = argc == 3 ? atoi(argv[2]) : 0;
  if (threads < 1 || sites < 1 || sites > kLines * kLines * kLines) {
    fprintf(stderr, "usage: memtrace_wide THREADS SITES\n");
    return 2;
  }
  StartFakePython(0);
  std::vector<const char*> codes;
  for (int i = 0; i < kDepth; i++) codes.push_back(NewCode(i, kLines));
  std::barrier ready(threads);
  std::vector<std::thread> running;
  for (int n = 0; n < threads; n++) {
    running.emplace_back([&, n] {
      MakeSites(codes, static_cast<size_t>(n) * static_cast<size_t>(sites), sites);
      ready.arrive_and_wait();  // no thread takes the place of one that has ended
    });
  }
  for (std::thread& thread : running) thread.join();
  uint64_t lost = 0;
  for (const LossCounter& counter : g_region.header()->lost) lost += counter.events.load();
  printf("threads %d sites %d lost %llu region %s\n", threads, sites,
         static_cast<unsigned long long>(lost), g_region.path());
  return lost == 0 ? 0 : 1;
}
