// Forked children: a region of their own, what they inherited, and the parent's left alone.
//
// A child ends with _exit(0) when all of its own checks held; they are printed where they did not.

#include "interpose/fork.h"

#include <gtest/gtest.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "interpose/lifecycle.h"
#include "tests/events.h"
#include "tests/unit/interpose/support.h"

extern char** environ;

namespace memtrace::testing {
namespace {

constexpr Place kOne{Domain::kMalloc, 0x1000}, kTwo{Domain::kMalloc, 0x2000},
    kThree{Domain::kMalloc, 0x3000};

void* Alloc(uint64_t bytes, const Place& place, void* p) {
  return RecordedAlloc(bytes, place.first, place.second, [=] { return p; });
}

// Runs f in a forked child; gtest's failures there count here.
template <class F>
pid_t Fork(F&& f) {
  fflush(stdout);
  const pid_t child = fork();
  if (child != 0) return child;
  f();
  fflush(stdout);
  _exit(::testing::Test::HasFailure() ? 1 : 0);
}

void ExpectGood(pid_t child) {
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child failed: " << status;
}

// Lets one process wait for another.
class Turnstile {
 public:
  Turnstile() { EXPECT_EQ(pipe(ends_), 0); }
  void Open() { EXPECT_EQ(write(ends_[1], "x", 1), 1); }
  void Pass() {
    char byte;
    EXPECT_EQ(read(ends_[0], &byte, 1), 1);
  }

 private:
  int ends_[2];
};

int64_t SumOfLines() {
  int64_t sum = 0;
  for (const auto& [place, f] : RegionFigures()) sum += f.live_bytes();
  return sum;
}

TEST(Fork, AChildHasWhatItInheritedAndItsOwn) {
  MEMTRACE_ISOLATED();
  MadeUpHeap heap;
  void* a = Alloc(1000, kOne, heap.Take(0));
  void* b = Alloc(2000, kOne, heap.Take(0));
  void* c = Alloc(300, kTwo, heap.Take(0));
  void* in_parent = heap.Take(0);
  void* in_child = heap.Take(0);
  const std::string parents = g_region.path();
  Turnstile parent_is_done, child_is_done;
  const pid_t child = Fork([&] {
    parent_is_done.Pass();  // the parent has gone on before this process's first event
    RecordedFree(b);
    Alloc(50, kThree, in_child);
    EXPECT_STRNE(g_region.path(), parents.c_str());
    EXPECT_EQ(g_region.header()->pid, getpid());
    EXPECT_EQ(g_region.header()->parent_pid, getppid());
    EXPECT_EQ(g_region.header()->magic.load(), kRegionMagic);
    auto figures = RegionFigures();
    EXPECT_EQ(figures[kOne].inherited_objects, 2);
    EXPECT_EQ(figures[kOne].inherited_bytes, 3000);
    EXPECT_EQ(figures[kOne].alloc_objects, 0);
    EXPECT_EQ(figures[kOne].free_objects, 1);
    EXPECT_EQ(figures[kOne].live_bytes(), 1000);
    EXPECT_EQ(figures[kTwo].inherited_bytes, 300) << "the parent freed it after the fork";
    EXPECT_EQ(figures[kThree].inherited_objects, 0) << "the parent's own, after the fork";
    EXPECT_EQ(figures[kThree].alloc_bytes, 50);
    EXPECT_EQ(RegionTotal(), 1350);
    EXPECT_EQ(SumOfLines(), 1350);
    EXPECT_EQ(RegionPeak(), 3300);
    RecordedFree(a);
    RecordedFree(c);
    RecordedFree(in_child);
    EXPECT_EQ(RegionTotal(), 0);
    EXPECT_EQ(SumOfLines(), 0);
    EXPECT_EQ(Lost(), 0u);
    child_is_done.Open();
  });
  RecordedFree(c);
  Alloc(7777, kThree, in_parent);
  parent_is_done.Open();
  child_is_done.Pass();
  EXPECT_EQ(g_region.path(), parents);
  EXPECT_EQ(g_region.header()->pid, getpid());
  auto figures = RegionFigures();
  EXPECT_EQ(figures[kOne].live_bytes(), 3000);
  EXPECT_EQ(figures[kOne].free_objects, 0);
  EXPECT_EQ(figures[kTwo].live_bytes(), 0);
  EXPECT_EQ(figures[kThree].alloc_bytes, 7777);
  EXPECT_EQ(RegionTotal(), 3000 + 7777);
  EXPECT_EQ(Lost(), 0u);
  ExpectGood(child);
}

TEST(Fork, ThePeakOfAChildIsExact) {
  MEMTRACE_ISOLATED();
  MadeUpHeap heap;
  void* a = Alloc(1000, kOne, heap.Take(0));
  ExpectGood(Fork([&] {
    void* b = Alloc(500, kTwo, heap.Take(0));
    RecordedFree(a);
    RecordedFree(b);
    Alloc(10, kThree, heap.Take(0));
    auto figures = RegionFigures();
    EXPECT_EQ(RegionPeak(), 1500);
    EXPECT_EQ(figures[kOne].peak_bytes, 1000);
    EXPECT_EQ(figures[kTwo].peak_bytes, 500);
    EXPECT_EQ(figures[kThree].peak_bytes, 0);
  }));
}

TEST(Fork, ManyEventsInManyChildrenKeepTheirFiguresApart) {
  MEMTRACE_ISOLATED();
  MadeUpHeap heap;
  std::mt19937_64 random(1);
  int64_t live = 0;
  std::vector<std::pair<void*, int64_t>> blocks;
  const auto step = [&](int events) {
    for (int i = 0; i < events; i++) {
      if (!blocks.empty() && random() % 5 < 2) {
        std::swap(blocks[random() % blocks.size()], blocks.back());
        RecordedFree(blocks.back().first);
        live -= blocks.back().second;
        heap.Give(blocks.back().first);
        blocks.pop_back();
      } else {
        const auto bytes = static_cast<int64_t>(random() % 1000);
        const Place place{Domain::kMalloc, 0x1000 + random() % 500 * 16};
        blocks.emplace_back(Alloc(static_cast<uint64_t>(bytes), place, heap.Take(random())), bytes);
        live += bytes;
      }
    }
  };
  const auto expect = [&] {
    EXPECT_EQ(RegionTotal(), live);
    EXPECT_EQ(SumOfLines(), live);
    for (const auto& [place, f] : RegionFigures()) EXPECT_GE(f.live_objects(), 0);
  };
  for (int round = 0; round < 10; round++) {
    step(2000);
    const pid_t child = Fork([&] {
      step(1000 + round * 100);
      expect();
    });
    step(500);
    expect();
    ExpectGood(child);
  }
}

TEST(Fork, AGrandchildInheritsAlsoThroughAChildThatNeverAllocated) {
  MEMTRACE_ISOLATED();
  MadeUpHeap heap;
  void* a = Alloc(100, kOne, heap.Take(0));
  const std::string parents = g_region.path();
  ExpectGood(Fork([&] {
    EXPECT_FALSE(IsRecording());
    ExpectGood(Fork([&] {
      Alloc(10, kTwo, heap.Take(0));
      EXPECT_EQ(RegionFigures()[kOne].inherited_bytes, 100);
      EXPECT_EQ(RegionTotal(), 110);
      const std::string childs = g_region.path();
      EXPECT_NE(childs, parents);
      ExpectGood(Fork([&] {  // of one that has a region of its own
        RecordedFree(a);
        EXPECT_NE(std::string(g_region.path()), childs);
        EXPECT_EQ(RegionFigures()[kOne].live_bytes(), 0);
        EXPECT_EQ(RegionFigures()[kTwo].inherited_bytes, 10);
        EXPECT_EQ(RegionTotal(), 10);
      }));
    }));
  }));
  EXPECT_EQ(RegionTotal(), 100);
}

// The other threads go on while this one forks: its own places are exact in the child, and nothing
// is ever below zero.
TEST(Fork, OfAParentWithSeveralThreads) {
  MEMTRACE_ISOLATED();
  constexpr int kThreads = 3;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int n = 1; n <= kThreads; n++) {
    threads.emplace_back([&stop, n] {
      MadeUpHeap heap(n);
      std::mt19937_64 random(static_cast<uint64_t>(n));
      std::vector<void*> blocks;
      while (!stop) {
        const Place place{Domain::kMalloc, 0x100000 + random() % 20000 * 16};
        blocks.push_back(Alloc(64, place, heap.Take(1 + random() % 1000 * 4)));
        if (blocks.size() < 3000) continue;
        for (void* p : blocks) {
          RecordedFree(p);
          heap.Give(p);
        }
        blocks.clear();
      }
    });
  }
  MadeUpHeap heap;
  std::vector<void*> own;
  for (int round = 0; round < (kSanitized ? 5 : 25) && !HasFailure(); round++) {
    for (int i = 0; i < 100; i++) own.push_back(Alloc(10, kOne, heap.Take(0)));
    const pid_t child = Fork([&] {
      RecordedFree(own[0]);
      for (int i = 0; i < 500; i++) {
        Alloc(3, {Domain::kMalloc, 0x900000 + static_cast<uint64_t>(i) * 16}, heap.Take(0));
      }
      const auto figures = RegionFigures();
      const Figures& one = figures.at(kOne);
      EXPECT_EQ(one.inherited_objects, 100 * (round + 1));
      EXPECT_EQ(one.live_bytes(), 1000 * (round + 1) - 10);
      int64_t fresh = 0;
      for (const auto& [place, f] : figures) {
        EXPECT_GE(f.live_objects(), 0);
        EXPECT_EQ(f.inherited_bytes, (place == kOne ? 10 : 64) * f.inherited_objects);
        fresh += f.alloc_objects;
      }
      EXPECT_EQ(fresh, 500);
      EXPECT_EQ(RegionTotal(), SumOfLines());
      EXPECT_EQ(Lost(), 0u);
    });
    ExpectGood(child);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(RegionTotal(), SumOfLines());
  EXPECT_EQ(RegionFigures()[kOne].live_objects(), static_cast<int64_t>(own.size()));
}

TEST(Fork, SpawningAndVforkingChangeNothing) {
  MEMTRACE_ISOLATED();
  MadeUpHeap heap;
  Alloc(100, kOne, heap.Take(0));
  const std::string path = g_region.path();
  char name[] = "true";
  char* arguments[] = {name, nullptr};
  for (int i = 0; i < 3; i++) {
    pid_t child = 0;
    ASSERT_EQ(posix_spawnp(&child, name, nullptr, nullptr, arguments, environ), 0);
    ExpectGood(child);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    child = vfork();
#pragma GCC diagnostic pop
    if (child == 0) {
      execvp(name, arguments);
      _exit(9);
    }
    ExpectGood(child);
  }
  EXPECT_TRUE(IsRecording());
  EXPECT_EQ(path, g_region.path());
  Alloc(11, kTwo, heap.Take(0));
  EXPECT_EQ(RegionTotal(), 111);
  EXPECT_EQ(RegionFigures()[kOne].inherited_objects, 0);
}

}  // namespace
}  // namespace memtrace::testing
