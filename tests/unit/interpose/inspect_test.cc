// What a tool inside the process is told, against a model that is too simple to be wrong.

#include "interpose/inspect.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "interpose/recorder.h"
#include "tests/events.h"
#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

// Blocks are looked for in the process's writable memory: so these have some, though nobody uses
// it.
class Heap {
 public:
  static constexpr uint64_t kSlot = 8192, kSlots = 4096;

  Heap() {
    void* p = mmap(nullptr, kSlot * kSlots, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (uint64_t i = 0; i < kSlots; ++i) free_.push_back(static_cast<char*>(p) + i * kSlot);
  }
  // At 0 or 16 modulo 32, or (small classes of some allocators) 8 modulo 16.
  void* Take(uint64_t random) {
    std::swap(free_[random % free_.size()], free_.back());
    char* slot = free_.back();
    free_.pop_back();
    return slot + random / 64 % 3 * 8;
  }
  void Give(void* p) {
    free_.push_back(reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(p) / kSlot * kSlot));
  }

 private:
  std::vector<char*> free_;
};

using Sizes = std::map<uint64_t, uint64_t>;  // bytes -> number of blocks

Sizes LiveSizes(int64_t generation, bool tracked_only = false) {
  int64_t count = 0;
  memtrace_group* groups = memtrace_live_groups(generation, tracked_only, &count);
  EXPECT_GE(count, 0) << memtrace_last_error();
  Sizes sizes;
  for (int64_t i = 0; i < count; ++i) sizes[groups[i].bytes] += groups[i].count;
  memtrace_release_groups(groups, count);
  return sizes;
}

class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {}

  void Step() {
    const uint64_t kind = random_() % 100;
    if (blocks_.size() < 4 || (kind < 50 && blocks_.size() < Heap::kSlots / 2)) {
      Alloc();
    } else if (kind < 75) {
      Free(random_() % blocks_.size());
    } else {
      Realloc(random_() % blocks_.size());
    }
    if (random_() % 300 == 0) Toggle();
    if (random_() % 2000 == 0) generations_.push_back(memtrace_new_generation());
  }

  void ExpectEqual() {
    for (size_t g = 0; g < generations_.size(); ++g) {
      Sizes expected;
      for (const Block& b : blocks_) {
        if (b.recorded && b.generation >= g) expected[b.bytes]++;
      }
      EXPECT_EQ(LiveSizes(generations_[g]), expected) << "generation " << g;
    }
    int64_t total = 0;
    for (const Block& b : blocks_) total += b.recorded ? static_cast<int64_t>(b.bytes) : 0;
    EXPECT_EQ(memtrace_total_bytes(), total);
    EXPECT_EQ(memtrace_current_bytes(), total);
    for (const Block& b : blocks_) ExpectFound(b);
    if (meter_ != nullptr) {
      EXPECT_EQ(meter_->allocated_bytes, expected_.allocated_bytes);
      EXPECT_EQ(meter_->freed_bytes, expected_.freed_bytes);
      EXPECT_EQ(meter_->allocated_blocks, expected_.allocated_blocks);
      EXPECT_EQ(meter_->freed_blocks, expected_.freed_blocks);
      EXPECT_EQ(meter_->peak_bytes, expected_.peak_bytes);
      EXPECT_EQ(meter_->paused_bytes, expected_.paused_bytes);
    }
    EXPECT_EQ(Lost(), 0u);
  }

  int toggles = 0;

 private:
  struct Block {
    void* p;
    uint64_t bytes;
    size_t generation;
    bool recorded;
  };

  static void ExpectFound(const Block& b) {
    const auto address = reinterpret_cast<uint64_t>(b.p);
    memtrace_block found[2];
    const uint64_t asked[] = {address, address + 16};
    memtrace_find_blocks(asked, 2, found);
    EXPECT_EQ(found[0].site != 0, b.recorded);
    if (!b.recorded) return;
    EXPECT_EQ(found[0].bytes, b.bytes);
    EXPECT_EQ(found[0].offset, 0u);
    EXPECT_EQ(found[1].site != 0, b.bytes > 16);
    if (b.bytes > 16) {
      EXPECT_EQ(found[1].offset, 16u);
    }
  }

  uint64_t RandomBytes() {
    const uint64_t random = random_();
    return random % 4 == 0 ? random / 4 % 40 : random / 4 % 5000;
  }

  // A paused thread allocates by resizing alone.
  void CountAlloc(uint64_t bytes) {
    if (paused_ != 0) {
      expected_.paused_bytes -= static_cast<int64_t>(bytes);
      return;
    }
    expected_.allocated_blocks++;
    expected_.allocated_bytes += static_cast<int64_t>(bytes);
    const int64_t net = expected_.allocated_bytes - expected_.freed_bytes;
    expected_.peak_bytes = std::max(expected_.peak_bytes, net);
  }
  void CountFree(uint64_t bytes) {
    if (paused_ != 0) {
      expected_.paused_bytes += static_cast<int64_t>(bytes);
      return;
    }
    expected_.freed_blocks++;
    expected_.freed_bytes += static_cast<int64_t>(bytes);
  }

  void Alloc() {
    Block b = {heap_.Take(random_()), RandomBytes(), generations_.size() - 1, !unseen()};
    RecordedAlloc(b.bytes, Domain::kMalloc, 0x1000 + random_() % 50 * 16, [&] { return b.p; });
    if (b.recorded) CountAlloc(b.bytes);
    blocks_.push_back(b);
  }

  void Free(size_t i) {
    RecordedFree(blocks_[i].p);
    if (blocks_[i].recorded) CountFree(blocks_[i].bytes);
    heap_.Give(blocks_[i].p);
    blocks_[i] = blocks_.back();
    blocks_.pop_back();
  }

  // A recorded block stays one while nothing is recorded.
  void Realloc(size_t i) {
    Block& b = blocks_[i];
    void* to = random_() % 2 == 0 ? b.p : heap_.Take(random_());
    const uint64_t bytes = RandomBytes();
    RecordedRealloc(b.p, bytes, Domain::kMalloc, 0x9000, false, [&] { return to; });
    if (b.recorded) CountFree(b.bytes);
    if (b.recorded || !unseen()) CountAlloc(bytes);
    if (to != b.p) heap_.Give(b.p);
    b = {to, bytes, generations_.size() - 1, b.recorded || !unseen()};
  }

  bool unseen() const { return stopped_ || paused_ != 0; }

  void Toggle() {
    ++toggles;
    switch (random_() % 4) {
      case 0:
        EXPECT_EQ(stopped_ ? memtrace_start() : memtrace_stop(), 0);
        stopped_ = !stopped_;
        break;
      case 1:
        memtrace_pause();
        ++paused_;
        break;
      case 2:
        memtrace_resume();  // one too many does nothing
        if (paused_ > 0) --paused_;
        break;
      default:
        if (meter_ == nullptr) {
          meter_ = memtrace_meter_start();
          expected_ = {};
        } else {
          memtrace_meter_stop();
          meter_ = nullptr;
        }
    }
  }

  std::mt19937_64 random_;
  Heap heap_;
  std::vector<Block> blocks_;
  std::vector<int64_t> generations_ = {0};
  bool stopped_ = false;
  int paused_ = 0;
  memtrace_meter* meter_ = nullptr;
  memtrace_meter expected_ = {};
};

TEST(Inspect, AgreesWithTheModel) {
  MEMTRACE_ISOLATED();
  Model model(7);
  for (int i = 0; i < 20000; ++i) {
    model.Step();
    if (i % 997 == 0) model.ExpectEqual();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(model.toggles, 40);
}

TEST(Inspect, EachThreadHasAMeterAndPausesOfItsOwn) {
  MEMTRACE_ISOLATED();
  Heap heap;
  std::vector<void*> blocks;
  for (uint64_t i = 0; i < 64; ++i) blocks.push_back(heap.Take(i * 131));
  memtrace_pause();
  std::thread other([&] {
    memtrace_meter* meter = memtrace_meter_start();
    for (size_t i = 0; i < 32; ++i) {
      RecordedAlloc(100, Domain::kMalloc, 0x1000, [&] { return blocks[i]; });
    }
    EXPECT_EQ(meter->allocated_bytes, 3200);
    EXPECT_EQ(meter->peak_bytes, 3200);
    memtrace_meter_stop();
  });
  other.join();
  RecordedAlloc(100, Domain::kMalloc, 0x1000, [&] { return blocks[40]; });
  memtrace_resume();
  const memtrace_meter* mine = memtrace_meter_start();
  for (size_t i = 0; i < 32; ++i) RecordedFree(blocks[i]);  // another thread's blocks
  EXPECT_EQ(mine->freed_bytes, 3200);
  EXPECT_EQ(mine->allocated_bytes, 0);
  EXPECT_EQ(mine->peak_bytes, 0);
  EXPECT_EQ(memtrace_total_bytes(), 0);
}

// By threads that are between two events.
TEST(Inspect, StopsAndStartsReachAllThreads) {
  MEMTRACE_ISOLATED();
  Heap heap;
  std::atomic<int> turn{0};
  void* blocks[3] = {heap.Take(1), heap.Take(200), heap.Take(333)};
  const auto await = [&](int which) {
    while (turn.load() != which) std::this_thread::yield();
  };
  std::thread other([&] {
    for (int i = 0; i < 3; ++i) {
      await(2 * i);
      RecordedAlloc(1000, Domain::kMalloc, 0x1000, [&] { return blocks[i]; });
      turn++;
    }
  });
  await(1);
  EXPECT_EQ(memtrace_total_bytes(), 1000);
  EXPECT_EQ(memtrace_stop(), 0);
  turn++;
  await(3);
  EXPECT_EQ(memtrace_total_bytes(), 1000);
  EXPECT_EQ(memtrace_start(), 0);
  turn++;
  await(5);
  other.join();
  EXPECT_EQ(memtrace_total_bytes(), 2000);
}

TEST(Inspect, ANewGenerationReachesOtherThreadsCaches) {
  MEMTRACE_ISOLATED();
  Heap heap;
  std::atomic<int> turn{0};
  std::thread other([&] {
    for (int i = 0; i < 2; ++i) {
      while (turn.load() != 2 * i) std::this_thread::yield();
      for (int n = 0; n < 200; ++n) {  // more than a small cell holds
        void* p = heap.Take(static_cast<uint64_t>(n) * 17);
        RecordedAlloc(64 + i, Domain::kMalloc, 0x1000, [&] { return p; });
      }
      turn++;
    }
  });
  while (turn.load() != 1) std::this_thread::yield();
  const int64_t generation = memtrace_new_generation();
  EXPECT_GT(generation, 0);
  turn++;
  other.join();
  EXPECT_EQ(LiveSizes(generation), (Sizes{{65, 200}}));
  EXPECT_EQ(LiveSizes(0), (Sizes{{64, 200}, {65, 200}}));
  EXPECT_EQ(LiveSizes(0, /*tracked_only=*/true), Sizes{});
}

// While the process has its peak for another reason.
TEST(Inspect, WhatIsTrackedHasAPeakOfItsOwn) {
  MEMTRACE_ISOLATED();
  Heap heap;
  std::vector<void*> p;
  for (uint64_t i = 0; i < 8; ++i) p.push_back(heap.Take(i * 997));
  const auto python = [&](int i, size_t bytes) {
    RecordedAlloc(bytes, Domain::kPythonObj, 0, [&] { return p[i]; });
  };
  const auto tracked = [] {
    int64_t current = -1, peak = -1;
    EXPECT_EQ(memtrace_tracked_bytes(&current, &peak), 0);
    return std::pair(current, peak);
  };
  using Bytes = std::pair<int64_t, int64_t>;
  python(0, 1000);  // before
  RecordedAlloc(50000, Domain::kMalloc, 0x1000, [&] { return p[1]; });
  const int64_t generation = memtrace_new_generation();
  EXPECT_EQ(memtrace_track(generation), 0);
  python(2, 3000);
  python(3, 4000);
  RecordedFree(p[0]);
  RecordedFree(p[2]);
  EXPECT_EQ(tracked(), Bytes(4000, 7000));
  RecordedAlloc(90000, Domain::kMalloc, 0x1000, [&] { return p[4]; });  // the process's peak
  RecordedRealloc(p[3], 5000, Domain::kPythonObj, 0, false, [&] { return p[5]; });
  EXPECT_EQ(tracked(), Bytes(5000, 7000));
  memtrace_reset_tracked_peak();
  EXPECT_EQ(tracked(), Bytes(5000, 5000));
  std::thread other([&] { python(6, 600); });
  other.join();
  EXPECT_EQ(tracked(), Bytes(5600, 5600));
  memtrace_pause();
  EXPECT_EQ(memtrace_track(memtrace_new_generation()), 0);
  memtrace_resume();
  python(7, 70);
  EXPECT_EQ(tracked(), Bytes(70, 70));
  EXPECT_EQ(memtrace_total_bytes(), 50000 + 90000 + 5000 + 600 + 70);
  memtrace_untrack();
  RecordedFree(p[7]);
  EXPECT_EQ(tracked(), Bytes(70, 70));
  EXPECT_EQ(memtrace_track(0), 0);
  EXPECT_EQ(tracked().first, 5600);
}

TEST(Inspect, WhatIsTrackedIsTheSumOfAllThreads) {
  MEMTRACE_ISOLATED();
  constexpr int kThreads = 6, kRounds = 200, kBlocks = 20;
  ASSERT_EQ(memtrace_track(memtrace_new_generation()), 0);
  std::vector<std::thread> threads;
  std::atomic<int> ready{0}, running{kThreads};
  for (int n = 0; n < kThreads; ++n) {
    threads.emplace_back([&ready, &running, n] {
      MadeUpHeap heap(n + 1);
      for (++ready; ready != kThreads;) {
      }
      std::vector<void*> blocks(kBlocks);
      for (int round = 0; round < kRounds; ++round) {
        for (int i = 0; i < kBlocks; ++i) {
          const Domain domain = i % 2 == 0 ? Domain::kPythonObj : Domain::kMalloc;
          blocks[i] = heap.Take(0);
          RecordedAlloc(100, domain, 0x1000 + i * 16, [&] { return blocks[i]; });
        }
        for (int i = round + 1 < kRounds ? 0 : kBlocks / 2; i < kBlocks; ++i) {
          RecordedFree(blocks[i]);
          heap.Give(blocks[i]);
        }
      }
      --running;
    });
  }
  // Of each thread half of its blocks at most, and in the end a quarter.
  constexpr int64_t kMost = kThreads * kBlocks / 2 * 100;
  int64_t current = 0, peak = 0;
  while (running != 0) {
    ASSERT_EQ(memtrace_tracked_bytes(&current, &peak), 0);
    ASSERT_TRUE(0 <= current && current <= peak && peak <= kMost) << current << ", " << peak;
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(memtrace_tracked_bytes(&current, &peak), 0);
  EXPECT_EQ(current, kMost / 2);
  EXPECT_TRUE(current < peak && peak <= kMost) << peak;
}

TEST(Inspect, SaysWhenNothingIsTraced) {
  int64_t count = 0, a, b, c;
  EXPECT_EQ(memtrace_live_groups(0, 0, &count), nullptr);
  EXPECT_EQ(count, -1);
  EXPECT_NE(std::string(memtrace_last_error()).find("not traced"), std::string::npos);
  EXPECT_EQ(memtrace_total_bytes(), -1);
  EXPECT_EQ(memtrace_new_generation(), -1);
  EXPECT_EQ(memtrace_meter_start(), nullptr);
  EXPECT_NE(memtrace_stop(), 0);
  EXPECT_NE(memtrace_start(), 0);
  EXPECT_NE(memtrace_tracked(0, &a, &b, &c), 0);
  memtrace_pause();
  memtrace_resume();
  memtrace_meter_stop();
  uint32_t bytes = 1;
  EXPECT_STREQ(memtrace_string(17, &bytes), "");
  EXPECT_EQ(bytes, 0u);
}

// Ids that nobody has are nothing.
TEST(Inspect, KnowsItsOwnIdsOnly) {
  MEMTRACE_ISOLATED();
  for (const uint32_t id : {0u, 1u, 0x7fffffu, 0x800000u, 0xffffffu, 0xffffffffu}) {
    memtrace_site site;
    memtrace_node node;
    memtrace_sites(&id, 1, &site);
    memtrace_nodes(&id, 1, &node);
    EXPECT_EQ(site.domain, 0u);
    EXPECT_EQ(node.kind, 0u);
    uint32_t bytes = 1;
    if (id != 1) {
      EXPECT_STREQ(memtrace_string(id, &bytes), "") << id;
    }
  }
}

}  // namespace
}  // namespace memtrace::testing
