#include "interpose/threads.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "tests/events.h"
#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

void* Alloc(uint64_t bytes, const Place& place, void* p) {
  return RecordedAlloc(bytes, place.first, place.second, [=] { return p; });
}

uint64_t SlotsUsed() { return g_region.header()->sections[kThreads].used.load() - 1; }

uint64_t RegionBytesOnDisk() {
  struct stat info = {};
  EXPECT_EQ(stat(g_region.path(), &info), 0);
  return static_cast<uint64_t>(info.st_blocks) * 512;
}

// -------------------------------------------------------------------------------------------------

struct Block {
  void* p;
  uint64_t bytes;
  Place place;
};

// Blocks on their way from one thread to another.
class Exchange {
 public:
  void Put(const Block& block) {
    std::lock_guard lock(mutex_);
    blocks_.push_back(block);
  }
  bool Take(Block* block) {
    std::lock_guard lock(mutex_);
    if (blocks_.empty()) return false;
    *block = blocks_.back();
    blocks_.pop_back();
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<Block> blocks_;
};

// The true total and the highest it ever was, by whoever moves it.
class TrueTotal {
 public:
  void Add(int64_t bytes) {
    const int64_t now = total_.fetch_add(bytes) + bytes;
    int64_t highest = highest_.load();
    while (now > highest && !highest_.compare_exchange_weak(highest, now)) {
    }
  }
  int64_t now() const { return total_.load(); }
  int64_t highest() const { return highest_.load(); }

 private:
  std::atomic<int64_t> total_{0};
  std::atomic<int64_t> highest_{0};
};

constexpr uint64_t kMostBytes = 3000;

class Worker {
 public:
  Worker(int number, Exchange* exchange, TrueTotal* total)
      : random_(static_cast<uint64_t>(number)), heap_(number), exchange_(exchange), total_(total) {}

  void Run(int events) {
    for (int i = 0; i < events; i++) {
      const uint64_t kind = random_() % 100;
      // Ups and downs of some hundred blocks, so that there are many peaks.
      const bool growing = i / 1000 % 2 == 0;
      if (own_.empty() || kind < (growing ? 60u : 35u)) {
        AllocOne();
      } else if (kind < 75) {
        Free(TakeOwn());
      } else if (kind < 85) {
        exchange_->Put(TakeOwn());
      } else if (kind < 95) {
        if (Block block; exchange_->Take(&block)) Free(block);
      } else {
        Grow();
      }
    }
    // Down again, so that the peak is one that somebody had to notice.
    for (size_t keep = own_.size() / 4; own_.size() > keep;) Free(TakeOwn());
  }

  const std::map<Place, Figures>& figures() const { return figures_; }

 private:
  Block TakeOwn() {
    std::swap(own_[random_() % own_.size()], own_.back());
    const Block block = own_.back();
    own_.pop_back();
    return block;
  }

  Place RandomPlace() { return {Domain::kMalloc, 0x1000 + random_() % 200 * 16}; }

  void AllocOne() {
    // Never an address again that went to another thread: nobody gives those back to this heap.
    const Block block{heap_.Take(0), random_() % kMostBytes, RandomPlace()};
    total_->Add(static_cast<int64_t>(block.bytes));
    Alloc(block.bytes, block.place, block.p);
    figures_[block.place].alloc_objects++;
    figures_[block.place].alloc_bytes += static_cast<int64_t>(block.bytes);
    own_.push_back(block);
  }

  void Free(const Block& block) {
    RecordedFree(block.p);
    total_->Add(-static_cast<int64_t>(block.bytes));
    figures_[block.place].free_objects++;
    figures_[block.place].free_bytes += static_cast<int64_t>(block.bytes);
  }

  void Grow() {
    Block old = TakeOwn();
    Block block{old.p, random_() % kMostBytes, RandomPlace()};
    total_->Add(static_cast<int64_t>(block.bytes) - static_cast<int64_t>(old.bytes));
    RecordedRealloc(old.p, block.bytes, block.place.first, block.place.second, true,
                    [&] { return block.p; });
    figures_[old.place].free_objects++;
    figures_[old.place].free_bytes += static_cast<int64_t>(old.bytes);
    figures_[block.place].alloc_objects++;
    figures_[block.place].alloc_bytes += static_cast<int64_t>(block.bytes);
    own_.push_back(block);
  }

  std::mt19937_64 random_;
  MadeUpHeap heap_;
  Exchange* exchange_;
  TrueTotal* total_;
  std::vector<Block> own_;
  std::map<Place, Figures> figures_;
};

void ExpectSumsExact(const std::vector<Worker>& workers, const TrueTotal& total) {
  std::map<Place, Figures> expected;
  for (const Worker& worker : workers) {
    for (const auto& [place, f] : worker.figures()) {
      expected[place].alloc_objects += f.alloc_objects;
      expected[place].alloc_bytes += f.alloc_bytes;
      expected[place].free_objects += f.free_objects;
      expected[place].free_bytes += f.free_bytes;
    }
  }
  int64_t live = 0;
  const auto actual = RegionFigures();
  EXPECT_EQ(actual.size(), expected.size());
  for (const auto& [place, f] : actual) {
    const Figures& e = expected[place];
    EXPECT_EQ(f.alloc_objects, e.alloc_objects);
    EXPECT_EQ(f.alloc_bytes, e.alloc_bytes);
    EXPECT_EQ(f.free_objects, e.free_objects);
    EXPECT_EQ(f.free_bytes, e.free_bytes);
    live += f.live_bytes();
  }
  EXPECT_EQ(live, total.now());
  EXPECT_EQ(RegionTotal(), total.now());
  EXPECT_EQ(Lost(), 0u);
}

TEST(Threads, SumsAreExactAndThePeakIsWithinItsBound) {
  MEMTRACE_ISOLATED();
  constexpr int kThreads = 6;
  Exchange exchange;
  TrueTotal total;
  std::vector<Worker> workers;
  for (int n = 0; n < kThreads; n++) workers.emplace_back(n + 1, &exchange, &total);
  for (int round = 0; round < 3 && !HasFailure(); round++) {
    std::vector<std::thread> threads;
    for (Worker& worker : workers) {
      threads.emplace_back([&] { worker.Run(kSanitized ? 10000 : 60000); });
    }
    // The first thread, whose total is kept apart, takes part in some rounds only.
    Worker& own = workers[static_cast<size_t>(round)];
    threads[static_cast<size_t>(round)].join();
    if (round > 0) own.Run(20000);
    for (std::thread& thread : threads) {
      if (thread.joinable()) thread.join();
    }
    ExpectSumsExact(workers, total);
    // As the reader has it: what was flushed, give or take what each thread may hold back.
    const int64_t bound = (kThreads + 1) * (kFlushBytes + static_cast<int64_t>(kMostBytes));
    EXPECT_LE(std::abs(RegionPeak() - total.highest()), bound);
    int64_t at_peak = 0;
    for (const auto& [place, f] : RegionFigures()) at_peak += f.peak_bytes;
    EXPECT_LE(std::abs(at_peak - RegionPeak()), bound) << "the lines at the peak";
  }
  EXPECT_NE(g_region.header()->flags.load() & kFlagThreaded, 0u);
}

// -------------------------------------------------------------------------------------------------

TEST(Threads, ThreadsInTurnShareTheirSlots) {
  MEMTRACE_ISOLATED();
  constexpr int kTurns = kSanitized ? 3000 : 20000;
  const Place place{Domain::kMalloc, 0x4000};
  MadeUpHeap heap;
  Alloc(5, place, heap.Take(0));
  uint64_t early = 0;
  for (int i = 0; i < kTurns; i++) {
    void* kept = heap.Take(0);
    void* freed = heap.Take(0);
    std::thread([=] {
      Alloc(7, place, kept);
      Alloc(9, place, freed);
      RecordedFree(freed);
    }).join();
    if (i == 500) early = RegionBytesOnDisk();
  }
  // A thread that was joined may still be seen for a moment: so more than two slots, but few.
  EXPECT_GE(SlotsUsed(), 2u);
  EXPECT_LE(SlotsUsed(), 34u);
  EXPECT_LE(RegionBytesOnDisk(), early + (uint64_t{512} << 10));
  uint64_t users = 0;
  for (uint64_t slot = 1; slot <= SlotsUsed(); slot++) {
    users += g_region.At<ThreadRecord>(kThreads, slot)->users;
  }
  EXPECT_EQ(users, static_cast<uint64_t>(kTurns) + 1);
  const Figures f = RegionFigures()[place];
  EXPECT_EQ(f.alloc_objects, 1 + 2 * kTurns);
  EXPECT_EQ(f.live_objects(), 1 + kTurns);
  EXPECT_EQ(f.live_bytes(), 5 + 7 * kTurns);
  // A block counts as temporary also when its thread has just begun with another's slot.
  EXPECT_EQ(f.temporary_objects, kTurns);
  EXPECT_EQ(Lost(), 0u);
}

TEST(Threads, ThreadsAliveAtOnceHaveSlotsOfTheirOwn) {
  MEMTRACE_ISOLATED();
  constexpr int kThreads = 40;
  const Place place{Domain::kMalloc, 0x4000};
  std::atomic<int> begun{0};
  std::vector<uint32_t> slots(kThreads);
  std::vector<std::thread> threads;
  for (int n = 0; n < kThreads; n++) {
    threads.emplace_back([&, n] {
      MadeUpHeap heap(n);
      Alloc(16, place, heap.Take(0));
      slots[n] = t_thread->slot;
      begun++;
      while (begun < kThreads) std::this_thread::yield();
      for (int i = 0; i < 100; i++) Alloc(16, place, heap.Take(0));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::sort(slots.begin(), slots.end());
  EXPECT_EQ(std::unique(slots.begin(), slots.end()), slots.end());
  EXPECT_EQ(RegionFigures()[place].live_objects(), kThreads * 101);
  EXPECT_EQ(RegionTotal(), kThreads * 101 * 16);
}

TEST(Threads, ABlockOutlivesItsThread) {
  MEMTRACE_ISOLATED();
  const Place place{Domain::kMalloc, 0x4000};
  MadeUpHeap heap;
  void* p = heap.Take(0);
  std::thread([=] { Alloc(100, place, p); }).join();
  EXPECT_EQ(RegionFigures()[place].live_bytes(), 100);
  std::thread([=] { RecordedFree(p); }).join();
  EXPECT_EQ(RegionFigures()[place].live_bytes(), 0);
  EXPECT_EQ(RegionTotal(), 0);
}

}  // namespace
}  // namespace memtrace::testing
