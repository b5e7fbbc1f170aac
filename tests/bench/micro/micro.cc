// What each stage of an event costs, in nanoseconds: scripts/bench --micro.
//
// The stages are driven apart, on made-up blocks and made-up Python stacks, everything warm: what
// remains of a program's cost after adding them up is its cache and TLB misses.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

#include "tests/bench/micro/fake_python.h"
#include "tests/bench/micro/heap.h"
#include "tests/events.h"

namespace memtrace::bench {
namespace {

constexpr int kLines = 64;

uintptr_t Caller(size_t number) { return reinterpret_cast<uintptr_t>(&Caller) + number; }

// The functions of the made-up program, and the stack of its only thread.
struct Program {
  std::vector<const char*> codes;
  FakeStack stack;

  Program() {
    for (int i = 0; i < 256; i++) codes.push_back(NewCode(i, kLines));
  }
  static Program& Get() {
    static auto* const program = new Program;
    return *program;
  }
};

// The recorder in the state in which a hook works; the stack `depth` frames deep.
class Working {
 public:
  explicit Working(int depth, uint32_t limit = 0) : stack(Start(limit).stack), t(Enter()) {
    if (t == nullptr) std::abort();
    while (stack.depth() > depth) stack.Return();
    while (stack.depth() < depth) stack.Call(codes()[static_cast<size_t>(stack.depth())]);
  }
  ~Working() {
    Leave(t);
    StopFakePython();
  }
  static std::vector<const char*>& codes() { return Program::Get().codes; }

  FakeStack& stack;
  Thread* const t;

 private:
  static Program& Start(uint32_t limit) {
    StartFakePython(limit);
    return Program::Get();
  }
};

// -------------------------------------------------------------------------------------------------
// Entry

void Entry(benchmark::State& state) {
  for (auto _ : state) {
    Thread* t = Enter();
    benchmark::DoNotOptimize(t);
    Leave(t);
  }
}
BENCHMARK(Entry);

// -------------------------------------------------------------------------------------------------
// Frame capture

// The same line again: the kept stack is verified.
void CaptureSameLine(benchmark::State& state) {
  Working working(static_cast<int>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(PythonNode(working.t));
}
BENCHMARK(CaptureSameLine)->Arg(1)->Arg(10)->Arg(50)->Arg(200);

// The innermost function has moved on to another of 16 lines.
void CaptureNextLine(benchmark::State& state) {
  Working working(static_cast<int>(state.range(0)));
  int line = 0;
  for (auto _ : state) {
    working.stack.NextLine(line++ & 15);
    benchmark::DoNotOptimize(PythonNode(working.t));
  }
}
BENCHMARK(CaptureNextLine)->Arg(1)->Arg(10)->Arg(50)->Arg(200);

// A function that was called since, one of 8, and has returned: two captures an iteration.
void CaptureCall(benchmark::State& state) {
  Working working(static_cast<int>(state.range(0)));
  size_t code = 0;
  for (auto _ : state) {
    working.stack.Call(working.codes()[210 + (code++ & 7)]);
    benchmark::DoNotOptimize(PythonNode(working.t));
    working.stack.Return();
    benchmark::DoNotOptimize(PythonNode(working.t));
  }
}
BENCHMARK(CaptureCall)->Arg(1)->Arg(10)->Arg(50)->Arg(200);

// The innermost line alone (MEMTRACE_STACK_DEPTH=1).
void CaptureLeaf(benchmark::State& state) {
  Working working(static_cast<int>(state.range(0)), 1);
  int line = 0;
  for (auto _ : state) {
    working.stack.NextLine(line++ & 15);
    benchmark::DoNotOptimize(PythonNode(working.t));
  }
}
BENCHMARK(CaptureLeaf)->Arg(1)->Arg(50);

// -------------------------------------------------------------------------------------------------
// Sites

// A native caller that the thread's cache knows, without Python.
void SiteHit(benchmark::State& state) {
  Working working(0);
  StopFakePython();
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(SiteHere(working.t, Domain::kMalloc, Caller(i++ & 15)));
  }
}
BENCHMARK(SiteHit);

// Python's domain under one frame: the capture of one frame is part of it.
void SiteHitPython(benchmark::State& state) {
  Working working(1);
  for (auto _ : state) benchmark::DoNotOptimize(SiteHere(working.t, Domain::kPythonObj, 0));
}
BENCHMARK(SiteHitPython);

// More callers than the cache holds: found in the index of all sites.
void SiteMiss(benchmark::State& state) {
  Working working(0);
  StopFakePython();
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(SiteHere(working.t, Domain::kMalloc, Caller(i++ & 0x7fff)));
  }
}
BENCHMARK(SiteMiss);

// A stack that was never seen, of known lines: node and site are made.
void SiteNew(benchmark::State& state) {
  constexpr int kFrames = 4;  // each of 64 lines: 16 million stacks
  static uint32_t next = 0;
  Working working(20);
  for (int i = 0; i < kFrames; i++) working.stack.Return();
  for (size_t i = 0; i < kFrames; i++) working.stack.Call(working.codes()[220 + i]);
  for (auto _ : state) {
    const uint32_t n = next++;
    for (int i = 0; i < kFrames; i++) {
      working.stack.SetLine(19 - i, static_cast<int>(n >> (6 * i) & 63));
    }
    benchmark::DoNotOptimize(SiteHere(working.t, Domain::kPythonObj, 0));
  }
  while (working.stack.depth() > 0) working.stack.Return();
}
BENCHMARK(SiteNew)->Iterations(200000);

// -------------------------------------------------------------------------------------------------
// Live table

// blocks: how many are alive; with many, each access misses the caches.
void ShadowPutAndTake(benchmark::State& state) {
  const auto blocks = static_cast<size_t>(state.range(0));
  size_t i = 0;
  for (auto _ : state) {
    void* const p = Block(Scattered(i++, blocks));
    g_live_table.Put(p, 77, 48);
    benchmark::DoNotOptimize(g_live_table.Take(p));
  }
}
BENCHMARK(ShadowPutAndTake)->Arg(64)->Arg(1 << 20);

// -------------------------------------------------------------------------------------------------
// Counters, with the live table: what is left of an event when its site is known

// The site of a place that has been at work for a while: one with a full cell.
uint32_t BusySiteOf(Thread* t, uintptr_t caller) {
  constexpr int kFillsASmallCell = 128;
  Leave(t);
  for (int i = 0; i < kFillsASmallCell; i++) {
    RecordedAlloc(48, Domain::kMalloc, caller, [] { return Block(0); });
    RecordedFree(Block(0));
  }
  return SiteHere(Enter(), Domain::kMalloc, caller);
}

void Counters(benchmark::State& state) {
  Working working(0);
  StopFakePython();
  const auto sites_used = static_cast<size_t>(state.range(0));
  std::vector<uint32_t> sites;
  for (size_t i = 0; i < sites_used; i++) {
    sites.push_back(BusySiteOf(working.t, Caller(i)));
  }
  Leave(working.t);
  size_t i = 0;
  for (auto _ : state) {
    void* const p = Block(i & 63);
    Thread* t = Enter();
    RecordAlloc(t, p, 48, sites[Scattered(i++, sites_used)]);
    Leave(t);
    RecordedFree(p);
  }
}
BENCHMARK(Counters)->Arg(1)->Arg(16)->Arg(1 << 14);

// The same, but each free follows a new maximum of the total.
void Peak(benchmark::State& state) {
  Working working(0);
  StopFakePython();
  const uint32_t site = BusySiteOf(working.t, Caller(0));
  Leave(working.t);
  size_t bytes = 1 << 16;
  for (auto _ : state) {
    Thread* t = Enter();
    RecordAlloc(t, Block(0), bytes++, site);
    Leave(t);
    RecordedFree(Block(0));
  }
}
BENCHMARK(Peak);

// -------------------------------------------------------------------------------------------------
// Whole events, without the real allocator

void PairNative(benchmark::State& state) {
  const auto blocks = static_cast<size_t>(state.range(0));
  size_t i = 0;
  for (auto _ : state) {
    void* const p = Block(Scattered(i++, blocks));
    RecordedAlloc(48, Domain::kMalloc, Caller(i & 15), [=] { return p; });
    RecordedFree(p);
  }
}
BENCHMARK(PairNative)->Arg(64)->Arg(1 << 20);

void PairPython(benchmark::State& state) {
  Working working(static_cast<int>(state.range(0)));
  Leave(working.t);
  int line = 0;
  for (auto _ : state) {
    working.stack.NextLine(line++ & 15);
    void* const p = Block(static_cast<size_t>(line & 63));
    RecordedAlloc(48, Domain::kPythonObj, 0, [=] { return p; });
    RecordedFree(p);
  }
}
BENCHMARK(PairPython)->Arg(1)->Arg(10)->Arg(50)->Arg(200);

}  // namespace
}  // namespace memtrace::bench

BENCHMARK_MAIN();
