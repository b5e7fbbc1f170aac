// Instructions of each kind of event, held in tests/bench/instructions.txt: a gate that no busy
// machine disturbs.
//
// Each stage prepares itself, then runs a fixed tape of events through the frame that every hook
// uses (interpose/hooks.h), on made-up blocks and made-up Python stacks, while step_counter.h
// counts. The few instructions of the tape's own loop are part of the figure. Prints "stage NAME
// EVENTS INSTRUCTIONS" for tests/bench/instructions.py. Exit status 77: nothing can be counted on
// this system.

#include <stdio.h>

#include <vector>

#include "tests/bench/micro/fake_python.h"
#include "tests/bench/micro/heap.h"
#include "tests/bench/micro/step_counter.h"
#include "tests/events.h"

namespace memtrace::bench {
namespace {

constexpr size_t kEvents = 128;  // of a stage; a power of two

// -------------------------------------------------------------------------------------------------
// Events

// Return addresses of calls. Made-up ones are the same in every build, and so are their hashes;
// only the stage of new callers, which looks for the module that holds them, needs real ones.
uintptr_t Caller(size_t number) { return 0x1000000 + 16 * number; }
uintptr_t RealCaller(size_t number) { return reinterpret_cast<uintptr_t>(&RealCaller) + number; }

inline void Malloc(size_t block, uintptr_t caller, size_t bytes) {
  RecordedAlloc(bytes, Domain::kMalloc, caller, [=] { return Block(block); });
}

inline void PythonAlloc(size_t block, size_t bytes, Domain domain = Domain::kPythonObj) {
  RecordedAlloc(bytes, domain, 0, [=] { return Block(block); });
}

void FreeAll(size_t count = kEvents) {
  for (size_t i = 0; i < count; i++) RecordedFree(Block(i));
}

// Stacks of the stages: functions of many lines, so that a frame can move on.
struct Stacks {
  std::vector<const char*> codes;
  FakeStack stack;

  Stacks() {
    for (int i = 0; i < 256; i++) codes.push_back(NewCode(i, 64));
  }
  void SetDepth(int depth) {
    while (stack.depth() > depth) stack.Return();
    while (stack.depth() < depth) stack.Call(codes[static_cast<size_t>(stack.depth())]);
  }
};
Stacks* g_stacks = nullptr;

// -------------------------------------------------------------------------------------------------
// Stages. `run` is what is counted.

struct Stage {
  const char* name;
  void (*prepare)();
  void (*run)();
};

void Nothing() {}

void NativeMalloc() {
  for (size_t i = 0; i < kEvents; i++) Malloc(i, Caller(i % 16), BytesOf(i));
}
void NativeFree() {
  for (size_t i = 0; i < kEvents; i++) RecordedFree(Block(Scattered(i, kEvents)));
}
void WarmNative() {
  NativeMalloc();
  NativeFree();
}
void NativePair() {
  for (size_t i = 0; i < kEvents; i++) {
    Malloc(i % 64, Caller(i % 16), BytesOf(i));
    RecordedFree(Block(i % 64));
  }
}
void NativeGrow() {
  for (size_t i = 0; i < kEvents; i++) {
    RecordedRealloc(Block(i), BytesOf(i) + 8, Domain::kMalloc, Caller(i % 16), true,
                    [=] { return Block(i); });
  }
}
void NativeMove() {
  for (size_t i = 0; i < kEvents; i++) {
    RecordedRealloc(Block(i), BytesOf(i) - 8, Domain::kMalloc, Caller(i % 16), true,
                    [=] { return Block(kEvents + i); });
  }
}
void FreeMoved() {
  for (size_t i = 0; i < kEvents; i++) RecordedFree(Block(kEvents + i));
}
// Two new blocks, one freed: the total falls from a new maximum every time.
void NativePeaks() {
  for (size_t i = 0; i < kEvents; i++) {
    Malloc(2 * i, Caller(i % 16), 64);
    Malloc(2 * i + 1, Caller(i % 16), 64);
    RecordedFree(Block(2 * i));
  }
}
void FreePeaks() {
  for (size_t i = 0; i < kEvents; i++) RecordedFree(Block(2 * i + 1));
}
// The module is known from the first one on.
void BeforeNewCallers() {
  FreePeaks();
  Malloc(0, RealCaller(kEvents), 16);
  RecordedFree(Block(0));
}
void NativeNewCallers() {
  for (size_t i = 0; i < kEvents; i++) Malloc(i, RealCaller(i), BytesOf(i));
}

void PythonSameLine() {
  for (size_t i = 0; i < kEvents; i++) PythonAlloc(i, BytesOf(i));
}
void WarmPython() {
  FreeAll();
  PythonSameLine();
  FreeAll();
}
template <int kDepth>
void AtDepth() {
  FreeAll();
  g_stacks->SetDepth(kDepth);
  WarmPython();
}
void PythonMalloc() {
  for (size_t i = 0; i < kEvents; i++) Malloc(i, Caller(i % 16), BytesOf(i));
}
void WarmPythonMalloc() {
  AtDepth<10>();
  PythonMalloc();
  FreeAll();
}
void PythonNextLine() {
  for (size_t i = 0; i < kEvents; i++) {
    g_stacks->stack.NextLine(static_cast<int>(i % 16));
    PythonAlloc(i, BytesOf(i));
  }
}
void WarmNextLine() {
  AtDepth<10>();
  PythonNextLine();
  FreeAll();
}
void PythonCalls() {
  FakeStack& stack = g_stacks->stack;
  for (size_t i = 0; i < kEvents; i++) {
    stack.Call(g_stacks->codes[100 + i % 8]);
    PythonAlloc(i, BytesOf(i));
    stack.Return();
  }
}
void WarmCalls() {
  AtDepth<10>();
  PythonCalls();
  FreeAll();
}
// Known lines in an order that was never seen: what an import does.
void PythonNewStacks() {
  FakeStack& stack = g_stacks->stack;
  for (size_t i = 0; i < kEvents; i++) {
    stack.SetLine(stack.depth() - 2, static_cast<int>(i / 64 % 64));
    stack.NextLine(static_cast<int>(i % 64));
    PythonAlloc(i, BytesOf(i));
  }
}
void BeforeNewStacks() {
  FreeAll();
  g_stacks->SetDepth(0);
  for (size_t code : {200, 201, 202}) {
    g_stacks->stack.Call(g_stacks->codes[code]);
    for (int line = 0; line < 64; line++) {
      g_stacks->stack.NextLine(line);
      PythonAlloc(0, 16);
      RecordedFree(Block(0));
    }
    g_stacks->stack.Return();
  }
  for (size_t code : {200, 201, 202}) g_stacks->stack.Call(g_stacks->codes[code]);
}
std::vector<const char*> g_fresh_codes;
// Functions of 64 lines that were never seen.
void PythonNewLines() {
  FakeStack& stack = g_stacks->stack;
  for (size_t i = 0; i < kEvents; i++) {
    if (i % 64 == 0) {
      stack.Return();
      stack.Call(g_fresh_codes[i / 64]);
    }
    stack.NextLine(static_cast<int>(i % 64));
    PythonAlloc(i, BytesOf(i));
  }
}
void BeforeNewLines() {
  AtDepth<10>();
  for (size_t i = 0; i < kEvents / 64; i++) {
    g_fresh_codes.push_back(NewCode(1000 + static_cast<int>(i), 64));
  }
}
void BeforeLeaf() {
  AtDepth<10>();
  StartFakePython(1);
  PythonNextLine();
  FreeAll();
}

// A little of everything, in an order that is random and always the same.
struct Step {
  enum Kind : uint32_t { kMalloc, kObject, kBuffer, kFree, kResize, kLine, kCall, kReturn } kind;
  uint32_t block;
  uint32_t value;
};
std::vector<Step> g_mixed;

void MakeMixed() {
  BeforeNewStacks();
  StartFakePython(0);
  g_stacks->SetDepth(6);
  std::vector<uint32_t> live;
  uint32_t next = 0;
  int depth = 6;
  uint64_t x = 88172645463325252u;
  while (g_mixed.size() < 6 * kEvents) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    const uint32_t kind = x % 16, value = static_cast<uint32_t>(x >> 32);
    const size_t at = live.empty() ? 0 : value % live.size();
    if (kind < 5 || live.empty()) {
      g_mixed.push_back({static_cast<Step::Kind>(kind % 3), next, value % 400});
      live.push_back(next++);
    } else if (kind < 10) {
      g_mixed.push_back({Step::kFree, live[at], 0});
      live[at] = live.back();
      live.pop_back();
    } else if (kind == 10) {
      g_mixed.push_back({Step::kResize, live[at], value % 1000});
    } else if (kind < 14) {
      g_mixed.push_back({Step::kLine, 0, value % 12});
    } else if (depth < 14 && (kind == 14 || depth == 4)) {
      g_mixed.push_back({Step::kCall, 0, value % 24});
      depth++;
    } else if (depth > 4) {
      g_mixed.push_back({Step::kReturn, 0, 0});
      depth--;
    }
  }
}

void Play(const Step& step) {
  FakeStack& stack = g_stacks->stack;
  switch (step.kind) {
    case Step::kMalloc:
      return Malloc(step.block, Caller(step.value % 48), step.value);
    case Step::kObject:
      return PythonAlloc(step.block, step.value);
    case Step::kBuffer:
      return PythonAlloc(step.block, step.value, Domain::kPythonMem);
    case Step::kFree:
      return RecordedFree(Block(step.block));
    case Step::kResize:
      RecordedRealloc(Block(step.block), step.value, Domain::kPythonMem, 0, false,
                      [=] { return Block(step.block); });
      return;
    case Step::kLine:
      return stack.NextLine(static_cast<int>(step.value));
    case Step::kCall:
      return stack.Call(g_stacks->codes[step.value]);
    case Step::kReturn:
      return stack.Return();
  }
}
void Mixed() {
  for (const Step& step : g_mixed) Play(step);
}
size_t MixedEvents() {
  size_t events = 0;
  for (const Step& step : g_mixed) events += step.kind <= Step::kResize;
  return events;
}

constexpr Stage kNative[] = {
    {"malloc", WarmNative, NativeMalloc},
    {"free", Nothing, NativeFree},
    {"malloc-and-free", Nothing, NativePair},
    {"realloc-in-place", NativeMalloc, NativeGrow},
    {"realloc-moved", Nothing, NativeMove},
    {"rising-peak", FreeMoved, NativePeaks},
    {"new-caller", BeforeNewCallers, NativeNewCallers},
};
constexpr Stage kPython[] = {
    {"object-depth-1", AtDepth<1>, PythonSameLine},
    {"object-depth-10", AtDepth<10>, PythonSameLine},
    {"object-depth-50", AtDepth<50>, PythonSameLine},
    {"object-depth-200", AtDepth<200>, PythonSameLine},
    {"malloc-depth-10", WarmPythonMalloc, PythonMalloc},
    {"next-line-depth-10", WarmNextLine, PythonNextLine},
    {"call-depth-10", WarmCalls, PythonCalls},
    {"new-stack", BeforeNewStacks, PythonNewStacks},
    {"new-line", BeforeNewLines, PythonNewLines},
    {"leaf-only-depth-10", BeforeLeaf, PythonNextLine},
    {"mixed", MakeMixed, Mixed},
};

void RunStage(const Stage& stage) {
  stage.prepare();
  StartSteps();
  stage.run();
  const uint64_t steps = StopSteps();
  printf("stage %s %zu %llu\n", stage.name, stage.run == Mixed ? MixedEvents() : kEvents,
         static_cast<unsigned long long>(steps));
}

uint64_t Lost() {
  uint64_t lost = 0;
  for (const LossCounter& counter : g_region.header()->lost) lost += counter.events.load();
  return lost;
}

}  // namespace
}  // namespace memtrace::bench

int main() {
  using namespace memtrace::bench;
  if (!CanCountSteps()) {
    fprintf(stderr, "this system does not let a program step through itself\n");
    return 77;
  }
  for (const Stage& stage : kNative) RunStage(stage);
  StartFakePython(0);
  Stacks stacks;
  g_stacks = &stacks;
  for (const Stage& stage : kPython) RunStage(stage);
  printf("lost %llu\n", static_cast<unsigned long long>(Lost()));
  return 0;
}
