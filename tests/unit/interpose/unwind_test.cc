// Call chains that are known: each function writes down where it returns to. All ways to walk the
// stack must give exactly these addresses. This file is built with frame pointers and without tail
// calls.

#include "interpose/unwind/unwind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

using unwind::Backend;
using unwind::kBoost;
using unwind::kFramePointers;
using unwind::kLibunwind;
using unwind::kMaxFrames;
using unwind::Place;

using Chain = std::vector<uintptr_t>;

struct Captured {
  Chain chain;
  bool cut = false;
};

// ---------------------------------------------------------------------------------------------
// Functions that say where they return to

thread_local Chain t_returns;  // outermost first
thread_local Captured t_captured;
thread_local const Backend* t_backend = nullptr;
thread_local int t_max = kMaxFrames;

uintptr_t ReturnOf(void* address) { return reinterpret_cast<uintptr_t>(address); }

struct Returns {
  explicit Returns(void* address) { t_returns.push_back(ReturnOf(address)); }
  ~Returns() { t_returns.pop_back(); }
};
#define REMEMBER_RETURN const Returns returns(__builtin_return_address(0))

Chain Expected() { return {t_returns.rbegin(), t_returns.rend()}; }

Captured CaptureAt(const Place& place) {
  Captured result;
  result.chain.resize(static_cast<size_t>(t_max + unwind::kOwnFrames));
  const int count = t_backend->capture(place, result.chain.data(), t_max, &result.cut);
  EXPECT_GE(count, 0);
  EXPECT_LE(count, t_max);
  result.chain.resize(static_cast<size_t>(std::clamp(count, 0, t_max)));
  return result;
}

thread_local Chain t_expected;

// As malloc's hook is called.
__attribute__((noinline)) void Hook() {
  REMEMBER_RETURN;
  auto* frame = static_cast<uintptr_t*>(__builtin_frame_address(0));
  t_expected = Expected();
  t_captured = CaptureAt({frame[1], reinterpret_cast<uintptr_t>(frame + 2), frame[0]});
}

__attribute__((noinline)) void Leaf() {
  REMEMBER_RETURN;
  Hook();
}

__attribute__((noinline)) int LargeFrame(int depth);

// Frames of ever different sizes.
__attribute__((noinline)) int Odd(int depth) {
  REMEMBER_RETURN;
  volatile char room[48] = {};
  if (depth == 0) {
    Leaf();
  } else {
    room[0] = static_cast<char>(LargeFrame(depth - 1));
  }
  return room[0];
}

__attribute__((noinline)) int LargeFrame(int depth) {
  REMEMBER_RETURN;
  auto* room = static_cast<volatile char*>(__builtin_alloca(static_cast<size_t>(depth % 7 * 100)));
  const int result = depth == 0 ? (Leaf(), 0) : Odd(depth - 1);
  if (depth % 7 > 0) room[0] = 1;
  return result;
}

// ---------------------------------------------------------------------------------------------

class Unwind : public ::testing::TestWithParam<const Backend*> {
 protected:
  void SetUp() override {
    if (!GetParam()->init()) GTEST_SKIP() << GetParam()->name << " is not on this machine";
    t_backend = GetParam();
    t_max = kMaxFrames;
  }
  bool OnlyFramePointers() const { return GetParam() == &kFramePointers; }
};

INSTANTIATE_TEST_SUITE_P(All, Unwind, ::testing::Values(&kLibunwind, &kFramePointers, &kBoost),
                         [](const auto& tested) { return std::string(tested.param->name); });

// The captured chain begins with the expected one; what follows is the C library's, whose frames
// have no frame pointers.
void ExpectChain(const Captured& captured, const Chain& expected, bool frame_pointers,
                 size_t outer_frames) {
  ASSERT_GE(captured.chain.size(), expected.size());
  EXPECT_EQ(
      Chain(captured.chain.begin(), captured.chain.begin() + static_cast<long>(expected.size())),
      expected);
  if (frame_pointers) {
    EXPECT_EQ(captured.chain.size(), expected.size());
  } else {
    EXPECT_FALSE(captured.cut);
    if (!kSanitized) {
      EXPECT_EQ(captured.chain.size(), expected.size() + outer_frames);
    }
  }
}

struct Job {
  const Backend* backend;
  int depth;
  Captured captured;
  Chain expected;
};

void* RunJob(void* job) {
  REMEMBER_RETURN;
  auto* j = static_cast<Job*>(job);
  t_backend = j->backend;
  Odd(j->depth);
  j->captured = t_captured;
  j->expected = t_expected;
  return nullptr;
}

// Each thread's stack is the memory of the one before.
TEST_P(Unwind, AThreadsWholeChain) {
  if (kThreadSanitizer && GetParam() == &kLibunwind) {
    GTEST_SKIP() << "it takes a lock when the sanitizer has forgotten the thread";
  }
  for (const int depth : {0, 1, 2, 3, 50, 400, 7, 0}) {
    Job job = {GetParam(), depth, {}, {}};
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, nullptr, RunJob, &job), 0);
    pthread_join(thread, nullptr);
    ASSERT_EQ(job.expected.size(), static_cast<size_t>(depth) + 4);
    ExpectChain(job.captured, job.expected, OnlyFramePointers(), 1);
  }
}

TEST_P(Unwind, TheFirstThread) {
  REMEMBER_RETURN;
  Odd(20);
  ASSERT_EQ(t_expected.size(), 24u);
  ASSERT_GE(t_captured.chain.size(), t_expected.size());
  t_captured.chain.resize(t_expected.size());
  EXPECT_EQ(t_captured.chain, t_expected);
}

// A stack that grows by megabytes between two captures.
TEST_P(Unwind, EndsAtTheMostFrames) {
  REMEMBER_RETURN;
  for (const int depth : {1000, 10, 3000}) {
    Odd(depth);
    const size_t same = std::min(t_expected.size(), size_t{kMaxFrames});
    ASSERT_GE(t_captured.chain.size(), same);
    EXPECT_EQ(Chain(t_captured.chain.begin(), t_captured.chain.begin() + static_cast<long>(same)),
              Chain(t_expected.begin(), t_expected.begin() + static_cast<long>(same)));
    if (depth >= kMaxFrames) {
      EXPECT_TRUE(t_captured.cut);
    }
  }
}

TEST_P(Unwind, IsCutWhereThereIsNoRoom) {
  REMEMBER_RETURN;
  for (t_max = 1; t_max < 20; t_max++) {
    Odd(20);
    EXPECT_TRUE(t_captured.cut) << t_max;
    EXPECT_EQ(t_captured.chain, Chain(t_expected.begin(), t_expected.begin() + t_max));
  }
}

TEST_P(Unwind, KeepsTheWholeStackJustWhenItFits) {
  if (OnlyFramePointers()) GTEST_SKIP() << "it ends at the C library";
  Odd(20);
  ASSERT_FALSE(t_captured.cut);
  const int whole = static_cast<int>(t_captured.chain.size());
  t_max = whole;
  Odd(20);
  EXPECT_EQ(t_captured.chain.size(), static_cast<size_t>(whole));
  EXPECT_FALSE(t_captured.cut);
  t_max = whole - 1;
  Odd(20);
  EXPECT_EQ(t_captured.chain.size(), static_cast<size_t>(whole) - 1);
  EXPECT_TRUE(t_captured.cut);
}

// ---------------------------------------------------------------------------------------------
// Signals, and stacks that are not the thread's own

void Handle(int) {
  REMEMBER_RETURN;
  Leaf();
}

__attribute__((noinline)) int Interrupted(int depth) {
  REMEMBER_RETURN;
  const int result = depth == 0 ? 0 : Interrupted(depth - 1);
  if (depth == 0) asm volatile("int3");
  return result;
}

// What was interrupted is part of the chain; where exactly, only the kernel knows.
TEST_P(Unwind, ThroughASignalOnAnAlternateStack) {
  if (kThreadSanitizer) GTEST_SKIP() << "the handlers here allocate";
  REMEMBER_RETURN;
  std::vector<char> memory(256 * 1024);
  const stack_t stack = {memory.data(), 0, memory.size()};
  struct sigaction action = {}, old_action = {};
  action.sa_handler = Handle;
  for (const int flags : {0, SA_ONSTACK, 0, SA_ONSTACK}) {
    stack_t old_stack;
    ASSERT_EQ(sigaltstack(&stack, &old_stack), 0);
    action.sa_flags = flags;
    ASSERT_EQ(sigaction(SIGTRAP, &action, &old_action), 0);
    Interrupted(5);
    ASSERT_EQ(sigaction(SIGTRAP, &old_action, nullptr), 0);
    ASSERT_EQ(sigaltstack(&old_stack, nullptr), 0);
    // Leaf, Handle, and back into the kernel; the interrupted instruction; six returns.
    Chain expected = t_expected;
    ASSERT_EQ(expected.size(), 10u);
    ASSERT_GE(t_captured.chain.size(), 11u);
    const uintptr_t interrupted = t_captured.chain[3];
    EXPECT_GE(interrupted, reinterpret_cast<uintptr_t>(Interrupted));
    EXPECT_LT(interrupted, reinterpret_cast<uintptr_t>(Interrupted) + 4096);
    expected.insert(expected.begin() + 3, interrupted);
    t_captured.chain.resize(11);
    EXPECT_EQ(t_captured.chain, expected);
  }
}

ucontext_t g_host, g_coroutine;

void RunCoroutine() {
  REMEMBER_RETURN;
  Odd(10);
  swapcontext(&g_coroutine, &g_host);
}

__attribute__((noinline)) void Resume() {
  Chain outside;
  outside.swap(t_returns);
  swapcontext(&g_host, &g_coroutine);
  outside.swap(t_returns);
}

TEST_P(Unwind, ACoroutinesStackIsItsOwn) {
  if (kSanitized) GTEST_SKIP() << "sanitizers know nothing of other stacks";
  constexpr size_t kBytes = 256 * 1024;
  for (int i = 0; i < 3; i++) {
    void* memory =
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    ASSERT_EQ(getcontext(&g_coroutine), 0);
    g_coroutine.uc_stack = {memory, 0, kBytes};
    g_coroutine.uc_link = &g_host;
    makecontext(&g_coroutine, RunCoroutine, 0);
    Resume();
    ASSERT_EQ(t_expected.size(), 14u);
    Chain expected = t_expected;
    // It returns to where no call is.
    if (OnlyFramePointers()) expected.pop_back();
    EXPECT_EQ(t_captured.chain, expected) << "nothing of who made or resumed it";
    munmap(memory, kBytes);
    Odd(3);  // back on the thread's own
    ASSERT_GE(t_captured.chain.size(), 6u);
    EXPECT_TRUE(std::equal(t_expected.begin(), t_expected.end(), t_captured.chain.begin()));
  }
}

// ---------------------------------------------------------------------------------------------
// rbp with anything in it

class FramePointers : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kFramePointers.init());
    t_backend = &kFramePointers;
    t_max = kMaxFrames;
  }
};

uintptr_t AddressOf(const void* p) { return reinterpret_cast<uintptr_t>(p); }

TEST_F(FramePointers, PointsNowhere) {
  uintptr_t frame[4] = {};
  const uintptr_t sp = AddressOf(frame);
  const uintptr_t pc = ReturnOf(__builtin_return_address(0));
  void* gone = mmap(nullptr, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(gone, 1 << 16);
  std::vector<uintptr_t> heap(1000);
  for (const uintptr_t bp :
       {uintptr_t{1}, uintptr_t{8}, sp - 8, sp + 1, sp + 4, sp + (uintptr_t{1} << 30),
        ~uintptr_t{0}, ~uintptr_t{7}, uintptr_t{1} << 47, (uintptr_t{1} << 47) - 16,
        (uintptr_t{1} << 63) + 8, AddressOf(gone), AddressOf(gone) + 0xfff8, AddressOf(heap.data()),
        uintptr_t{0xdeadbeef000}}) {
    const Captured captured = CaptureAt({pc, sp, bp});
    EXPECT_EQ(captured.chain, Chain{pc}) << std::hex << bp;
    EXPECT_TRUE(captured.cut) << std::hex << bp;
  }
  const Captured whole = CaptureAt({pc, sp, 0});
  EXPECT_EQ(whole.chain, Chain{pc});
  EXPECT_FALSE(whole.cut) << "nothing calls the outermost frame";
}

TEST_F(FramePointers, RunsInNoCircles) {
  const uintptr_t pc = ReturnOf(__builtin_return_address(0));
  uintptr_t frames[8] = {};
  frames[0] = AddressOf(frames + 2);
  frames[1] = frames[3] = frames[5] = pc;
  frames[2] = AddressOf(frames + 4);
  for (const uintptr_t back : {AddressOf(frames), AddressOf(frames + 2), AddressOf(frames + 4)}) {
    frames[4] = back;
    const Captured captured = CaptureAt({pc, AddressOf(frames), AddressOf(frames)});
    EXPECT_EQ(captured.chain, (Chain{pc, pc, pc, pc}));
    EXPECT_TRUE(captured.cut);
  }
}

int g_data = 0;

TEST_F(FramePointers, OnlyBehindACallIsAReturnAddress) {
  const uintptr_t pc = ReturnOf(__builtin_return_address(0));
  uintptr_t words[6] = {};  // what lies before the frames must not happen to be a call
  uintptr_t* const frames = words + 2;
  frames[0] = AddressOf(frames + 2);
  for (const uintptr_t other : {uintptr_t{7}, AddressOf(&g_data), AddressOf(frames), pc + 1,
                                reinterpret_cast<uintptr_t>(&Leaf), ~uintptr_t{0}}) {
    frames[1] = other;
    EXPECT_EQ(CaptureAt({pc, AddressOf(frames), AddressOf(frames)}).chain, Chain{pc})
        << std::hex << other;
  }
  frames[1] = pc;
  EXPECT_EQ(CaptureAt({pc, AddressOf(frames), AddressOf(frames)}).chain, (Chain{pc, pc}));
}

// From one stack to another, over what is between them.
TEST_F(FramePointers, StaysOnAStackThatIsNotTheThreadsOwn) {
  const uintptr_t pc = ReturnOf(__builtin_return_address(0));
  constexpr size_t kPage = 4096;
  void* memory =
      mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* low = static_cast<uintptr_t*>(memory);
  auto* high = low + 3 * kPage / sizeof *low;
  low[0] = AddressOf(high);
  low[1] = high[1] = pc;
  EXPECT_EQ(CaptureAt({pc, AddressOf(low), AddressOf(low)}).chain, (Chain{pc, pc, pc}));
  munmap(low + kPage / sizeof *low, kPage);
  EXPECT_EQ(CaptureAt({pc, AddressOf(low), AddressOf(low)}).chain, (Chain{pc, pc}));
  uintptr_t own[2] = {0, pc};
  low[0] = AddressOf(own);
  EXPECT_EQ(CaptureAt({pc, AddressOf(low), AddressOf(low)}).chain, (Chain{pc, pc}));
  munmap(memory, 4 * kPage);
}

// A coroutine's stack right below the guard page of its thread's.
void* CaptureBelowOwnStack(void* passed) {
  t_backend = &kFramePointers;
  pthread_attr_t attributes;
  void* own = nullptr;
  size_t bytes = 0, guard = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &own, &bytes);
  pthread_attr_getguardsize(&attributes, &guard);
  pthread_attr_destroy(&attributes);
  char* below = static_cast<char*>(own) - guard - 4096;
  void* memory = mmap(below, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (memory != below || guard < 4096) return nullptr;
  const uintptr_t pc = ReturnOf(__builtin_return_address(0));
  const Captured captured = CaptureAt({pc, AddressOf(below), AddressOf(below) + 4096});
  *static_cast<bool*>(passed) = captured.chain == Chain{pc};
  munmap(memory, 4096);
  return passed;
}

TEST_F(FramePointers, TheGuardPageIsNotRead) {
  pthread_t thread;
  bool passed = false;
  ASSERT_EQ(pthread_create(&thread, nullptr, CaptureBelowOwnStack, &passed), 0);
  void* done = nullptr;
  pthread_join(thread, &done);
  if (done == nullptr) GTEST_SKIP() << "there is something else";
  EXPECT_TRUE(passed);
}

// On the thread's own stack and on one with a hole behind it.
TEST_F(FramePointers, AnyBytesAreSafe) {
  constexpr size_t kWords = 512;
  void* memory = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  munmap(static_cast<char*>(memory) + 4096, 4096);
  uintptr_t own[kWords];
  std::mt19937_64 random(1);
  const uintptr_t pc = ReturnOf(__builtin_return_address(0));
  size_t longest = 0;
  for (int round = 0; round < 20000; round++) {
    auto* words = round % 2 == 0 ? own : static_cast<uintptr_t*>(memory);
    for (size_t i = 0; i < kWords; i++) {
      // Pairs, most of which are frames; what they hold is anything else now and then.
      const uint64_t any = random();
      const uintptr_t near = AddressOf(words + i) + any / 8 % 32 * 16;
      words[i] = any % 8 == 0 ? any : any % 8 == 1 ? near + 4 : i % 2 == 0 ? near : pc;
    }
    const Captured captured = CaptureAt({pc, AddressOf(words), AddressOf(words + random() % 8)});
    longest = std::max(longest, captured.chain.size());
  }
  EXPECT_GT(longest, 10u) << "no chain was followed at all";
  munmap(memory, 4096);
}

}  // namespace
}  // namespace memtrace::testing
