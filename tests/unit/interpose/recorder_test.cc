// The recorder against a model that is too simple to be wrong, driven by random events.

#include "interpose/recorder.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "interpose/memtrace.h"
#include "tests/events.h"
#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

// Return addresses where nothing is loaded, far more of them than one page of cells holds.
Place RandomPlace(uint64_t random) {
  if (random % 16 == 0) return {Domain::kPythonMem, 0};
  if (random % 16 == 1) return {Domain::kPythonObj, 0};
  return {Domain::kMalloc, 0x1000 + random / 16 % 300 * 16};
}

uint64_t RandomBytes(uint64_t random) {
  switch (random % 8) {
    case 0:
      return 0;
    case 1:
      return random / 8 % 18;
    case 2:
      return (uint64_t{1} << 32) - 4 + random / 8 % 8;  // about where sizes need two slots
    default:
      return random / 8 % 5000;
  }
}

// One thread's events, kept twice: by the recorder and by the obvious sums.
class Driver {
 public:
  explicit Driver(uint64_t seed) : random_(seed) {}

  void Step() {
    const uint64_t kind = random_() % 100;
    if (kind < 45 || blocks_.empty()) {
      Alloc();
    } else if (kind < 75) {
      Free(random_() % blocks_.size());
    } else if (kind < 95) {
      Realloc(random_() % blocks_.size());
    } else if (kind < 98) {
      Alloc();
      Free(blocks_.size() - 1);  // temporary
    } else {
      Reappear(random_() % blocks_.size());
    }
  }

  void ResetPeak() {
    EXPECT_EQ(memtrace_reset_peak(), 0);
    peak_ = highest_ = total_;
    KeepPeak();
  }

  void ExpectEqual() const {
    std::map<Place, Figures> expected = figures_;
    for (auto& [place, f] : expected) {
      const bool climbing = total_ > peak_;
      f.peak_objects = climbing ? f.live_objects() : f.peak_objects;
      f.peak_bytes = climbing ? f.live_bytes() : f.peak_bytes;
    }
    const auto actual = RegionFigures();
    EXPECT_EQ(actual.size(), expected.size());
    int64_t live = 0, at_peak = 0;
    for (const auto& [place, f] : actual) {
      EXPECT_EQ(f, expected[place]) << DomainNumber(place) << " caller " << place.second;
      live += f.live_bytes();
      at_peak += f.peak_bytes;
    }
    EXPECT_EQ(live, total_);
    EXPECT_EQ(RegionTotal(), total_);
    EXPECT_EQ(RegionPeak(), highest_);
    EXPECT_EQ(at_peak, highest_) << "the lines at the peak are not the peak";
    EXPECT_EQ(memtrace_peak_bytes(), highest_);
    EXPECT_EQ(memtrace_current_bytes(), total_);
    EXPECT_EQ(Lost(), 0u);
  }

 private:
  struct Block {
    void* p;
    uint64_t bytes;
    Place place;
  };

  static int DomainNumber(const Place& place) { return static_cast<int>(place.first); }

  void* Hooked(const Place& place, uint64_t bytes, void* p) {
    return RecordedAlloc(bytes, place.first, place.second, [=] { return p; });
  }

  void CountAlloc(const Block& block) {
    Figures& f = figures_[block.place];
    f.alloc_objects++;
    f.alloc_bytes += static_cast<int64_t>(block.bytes);
    total_ += static_cast<int64_t>(block.bytes);
    last_ = block.p;
  }

  void CountFree(const Block& block) {
    Figures& f = figures_[block.place];
    f.free_objects++;
    f.free_bytes += static_cast<int64_t>(block.bytes);
    total_ -= static_cast<int64_t>(block.bytes);
  }

  // To be called before the total can shrink.
  void NoteHighest() {
    highest_ = std::max(highest_, total_);
    if (total_ <= peak_) return;
    peak_ = total_;
    KeepPeak();
  }

  void KeepPeak() {
    for (auto& [place, f] : figures_) {
      f.peak_objects = f.live_objects();
      f.peak_bytes = f.live_bytes();
    }
  }

  void Alloc() {
    const Block block{heap_.Take(random_()), RandomBytes(random_()), RandomPlace(random_())};
    ASSERT_EQ(Hooked(block.place, block.bytes, block.p), block.p);
    CountAlloc(block);
    blocks_.push_back(block);
    highest_ = std::max(highest_, total_);
  }

  void Free(size_t index) {
    const Block block = blocks_[index];
    blocks_[index] = blocks_.back();
    blocks_.pop_back();
    RecordedFree(block.p);
    NoteHighest();
    if (block.p == last_) {
      figures_[block.place].temporary_objects++;
      figures_[block.place].temporary_bytes += static_cast<int64_t>(block.bytes);
      last_ = nullptr;
    }
    CountFree(block);
    heap_.Give(block.p);
  }

  void Realloc(size_t index) {
    Block& block = blocks_[index];
    const Block old = block;
    const uint64_t kind = random_() % 8;
    block.bytes = kind < 2 ? old.bytes + random_() % 100 : RandomBytes(random_());
    block.place = kind == 0 ? old.place : RandomPlace(random_());
    if (kind > 2) block.p = heap_.Take(random_());
    const bool fails = kind == 7;
    void* q = RecordedRealloc(old.p, block.bytes, block.place.first, block.place.second, false,
                              [&] { return fails ? nullptr : block.p; });
    ASSERT_EQ(q, fails ? nullptr : block.p);
    if (fails) {
      if (block.p != old.p) heap_.Give(block.p);
      block = old;
      return;
    }
    if (block.bytes < old.bytes) NoteHighest();
    CountFree(old);
    CountAlloc(block);
    highest_ = std::max(highest_, total_);
    if (block.p != old.p) heap_.Give(old.p);
  }

  // The allocator hands out a block again whose free went past the hooks.
  void Reappear(size_t index) {
    Block& block = blocks_[index];
    const Block old = block;
    block.bytes = RandomBytes(random_());
    block.place = RandomPlace(random_());
    ASSERT_EQ(Hooked(block.place, block.bytes, block.p), block.p);
    NoteHighest();
    CountFree(old);
    CountAlloc(block);
    highest_ = std::max(highest_, total_);
  }

  std::mt19937_64 random_;
  MadeUpHeap heap_;
  std::vector<Block> blocks_;
  std::map<Place, Figures> figures_;
  int64_t total_ = 0;
  int64_t peak_ = 0;     // as declared, when the total began to shrink
  int64_t highest_ = 0;  // as it was, independently of the rule above
  const void* last_ = nullptr;
};

void RunModel(uint64_t seed, int events, int every, bool resets) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Driver driver(seed);
  for (int i = 1; i <= events && !::testing::Test::HasFailure(); i++) {
    driver.Step();
    if (resets && i % 977 == 0) driver.ResetPeak();
    if (i % every == 0) {
      SCOPED_TRACE("after event " + std::to_string(i));
      driver.ExpectEqual();
    }
  }
}

TEST(Recorder, AgreesWithTheModelAfterEachOfTheFirstEvents) {
  MEMTRACE_ISOLATED();
  RunModel(1, 1500, 1, false);
}

TEST(Recorder, AgreesWithTheModelInTheLongRun) {
  MEMTRACE_ISOLATED();
  RunModel(2, kSanitized ? 60000 : 300000, 1009, false);
}

TEST(Recorder, AgreesWithTheModelWhenThePeakIsReset) {
  MEMTRACE_ISOLATED();
  RunModel(3, 60000, 311, true);
}

TEST(Recorder, AFailedReallocKeepsTheBlockAndAFreeingOneEndsIt) {
  MEMTRACE_ISOLATED();
  const Place place{Domain::kMalloc, 0x5000};
  int block[16];
  RecordedAlloc(40, place.first, place.second, [&]() -> void* { return block; });
  EXPECT_EQ(RecordedRealloc(block, 1000, place.first, place.second, true,
                            [] { return static_cast<void*>(nullptr); }),
            nullptr);
  Figures f = RegionFigures()[place];
  EXPECT_EQ(f.live_objects(), 1);
  EXPECT_EQ(f.live_bytes(), 40);
  RecordedRealloc(block, 0, place.first, place.second, true,
                  [] { return static_cast<void*>(nullptr); });
  f = RegionFigures()[place];
  EXPECT_EQ(f.alloc_objects, 1);
  EXPECT_EQ(f.live_objects(), 0);
  EXPECT_EQ(f.live_bytes(), 0);
  EXPECT_EQ(RegionTotal(), 0);
  RecordedFree(block);  // already gone: nothing to count
  EXPECT_EQ(RegionFigures()[place].free_objects, 1);
}

// After a temporary block was freed there is no latest block, which must not be mistaken for one.
TEST(Recorder, AMovedBlockIsNotTemporary) {
  MEMTRACE_ISOLATED();
  const Place place{Domain::kMalloc, 0x5000}, other{Domain::kMalloc, 0x6000};
  int blocks[3][16];
  RecordedAlloc(40, place.first, place.second, [&]() -> void* { return blocks[0]; });
  RecordedAlloc(50, other.first, other.second, [&]() -> void* { return blocks[1]; });
  RecordedFree(blocks[1]);
  RecordedRealloc(blocks[0], 60, place.first, place.second, true,
                  [&]() -> void* { return blocks[2]; });
  EXPECT_EQ(RegionFigures()[other].temporary_objects, 1);
  EXPECT_EQ(RegionFigures()[other].temporary_bytes, 50);
  EXPECT_EQ(RegionFigures()[place].temporary_objects, 0);
}

TEST(Recorder, WhatTheAllocatorAllocatesForABlockIsPartOfIt) {
  MEMTRACE_ISOLATED();
  int outer[16], inner[16];
  RecordedAlloc(100, Domain::kPythonObj, 0, [&]() -> void* {
    return RecordedAlloc(4096, Domain::kMalloc, 0x7000, [&]() -> void* { return inner; }) != nullptr
               ? outer
               : nullptr;
  });
  const auto figures = RegionFigures();
  ASSERT_EQ(figures.size(), 1u);
  EXPECT_EQ(figures.begin()->first, Place(Domain::kPythonObj, 0));
  EXPECT_EQ(figures.begin()->second.live_bytes(), 100);
  EXPECT_EQ(Lost(), 0u);
  RecordedFree(inner);  // never recorded: harmless
  EXPECT_EQ(RegionTotal(), 100);
}

TEST(Recorder, ASignalHandlersAllocationIsLostAndCountedWhileTheRecorderIsAtWork) {
  MEMTRACE_ISOLATED();
  int block[16];
  Thread* t = Enter();
  ASSERT_NE(t, nullptr);
  RecordedAlloc(64, Domain::kMalloc, 0x7000, [&]() -> void* { return block; });
  Leave(t);
  EXPECT_EQ(Lost(), 1u);
  EXPECT_EQ(g_region.header()->lost[static_cast<int>(Loss::kReentrant)].events.load(), 1u);
  EXPECT_TRUE(RegionFigures().empty());
  RecordedAlloc(64, Domain::kMalloc, 0x7000, [&]() -> void* { return block; });
  EXPECT_EQ(RegionTotal(), 64);
}

TEST(Recorder, AnAllocationThatFailsIsNoEvent) {
  MEMTRACE_ISOLATED();
  RecordedAlloc(64, Domain::kMalloc, 0x7000, [] { return static_cast<void*>(nullptr); });
  EXPECT_TRUE(RegionFigures().empty());
  EXPECT_EQ(Lost(), 0u);
}

}  // namespace
}  // namespace memtrace::testing
