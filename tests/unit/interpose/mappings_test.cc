// What is recorded of mappings, against a model of single pages. The addresses are made up: nobody
// asks the kernel.

#include "interpose/mappings.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "interpose/recorder.h"
#include "interpose/region.h"
#include "interpose/site_tree.h"
#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kBase = uint64_t{0x300} << 36;
constexpr uint64_t kPages = 512;

const void* Address(uint64_t page) { return reinterpret_cast<const void*>(kBase + page * kPage); }

struct Block {
  Place place;
  uint64_t pages = 0;  // still mapped
};

// What should be known: of each page its block, of each place its figures.
class Model {
 public:
  void Map(const Place& place, uint64_t start, uint64_t pages) {
    Unmap(start, pages);
    const auto block = static_cast<uint32_t>(blocks_.size());
    blocks_.push_back({place, pages});
    for (uint64_t i = 0; i < pages; ++i) pages_[start + i] = block;
    figures_[place].alloc_objects += 1;
    figures_[place].alloc_bytes += static_cast<int64_t>(pages * kPage);
  }

  void Unmap(uint64_t start, uint64_t pages) {
    for (uint64_t i = start; i < start + pages; ++i) {
      const auto at = pages_.find(i);
      if (at == pages_.end()) continue;
      Block& block = blocks_[at->second];
      figures_[block.place].free_bytes += static_cast<int64_t>(kPage);
      if (--block.pages == 0) figures_[block.place].free_objects += 1;
      pages_.erase(at);
    }
  }

  const Block* At(uint64_t page) const {
    const auto at = pages_.find(page);
    return at == pages_.end() ? nullptr : &blocks_[at->second];
  }

  void ExpectRecorded() const {
    auto actual = RegionFigures();
    EXPECT_EQ(actual.size(), figures_.size());
    for (const auto& [place, expected] : figures_) {
      Figures f = actual[place];
      f.peak_objects = f.peak_bytes = 0;
      EXPECT_EQ(f, expected) << "caller " << place.second;
    }
    ExpectPublished();
  }

 private:
  // Each page of kMappings once, at its block's place.
  void ExpectPublished() const {
    std::map<uint64_t, Place> published;
    const uint64_t used = g_region.header()->sections[kMappings].used.load();
    for (uint64_t i = 0; i < used; ++i) {
      const auto* r = g_region.At<MappingRecord>(kMappings, i);
      EXPECT_EQ(r->seq.load() % 2, 0u);
      if (r->kind == static_cast<uint32_t>(MappingKind::kNone)) continue;
      EXPECT_EQ(r->kind == static_cast<uint32_t>(MappingKind::kFile),
                DomainOf(r->site) == Domain::kMmapFile);
      for (uint64_t at = r->start; at < r->end; at += kPage) {
        EXPECT_TRUE(published.emplace((at - kBase) / kPage, PlaceOf(r->site)).second) << at;
      }
    }
    EXPECT_EQ(published.size(), pages_.size());
    for (const auto& [page, place] : published) {
      const Block* block = At(page);
      ASSERT_NE(block, nullptr) << page;
      EXPECT_EQ(block->place, place) << page;
    }
  }

  static Place PlaceOf(uint32_t site) {
    const auto* record = IsBusySite(site)
                             ? g_region.At<SiteRecord>(kBusySites, site - kFirstBusySite)
                             : g_region.At<SiteRecord>(kSites, site);
    return {DomainOf(site), g_region.At<FrameRecord>(kFrames, record->caller())->address};
  }

  std::map<uint64_t, uint32_t> pages_;
  std::vector<Block> blocks_;
  std::map<Place, Figures> figures_;
};

struct Range {
  uint64_t start, pages;
};

class Driver {
 public:
  explicit Driver(uint64_t seed) : random_(seed) {}

  void Step() {
    switch (random_() % 4) {
      case 0:
        return Unmap();
      case 1:
        return Remap();
      default:
        return Map();
    }
  }
  const Model& model() const { return model_; }

 private:
  Range Any() {
    const uint64_t start = random_() % kPages;
    return {start, 1 + random_() % (random_() % 8 == 0 ? 200 : 20)};
  }

  Place AnyPlace() {
    return {random_() % 2 == 0 ? Domain::kMmap : Domain::kMmapFile, 0x1000 + random_() % 9 * 16};
  }

  void Map() {
    const Range r = Any();
    const Place place = AnyPlace();
    const uint64_t bytes = r.pages * kPage - random_() % kPage;  // rounded up
    RecordMap({place.second, nullptr}, Address(r.start), bytes, place.first);
    model_.Map(place, r.start, r.pages);
  }

  void Unmap() {
    const Range r = Any();
    RecordUnmap({0x9000, nullptr}, Address(r.start), r.pages * kPage, MappingAge());
    model_.Unmap(r.start, r.pages);
  }

  // Of a part of a mapping or across its end; in place, moved, over others, or doubled.
  void Remap() {
    const Range from = Any();
    const bool moved = random_() % 2 == 0;
    const Range to = {moved ? Any().start : from.start, Any().pages};
    if (moved && to.start < from.start + from.pages && from.start < to.start + to.pages) return;
    const bool doubled = moved && random_() % 4 == 0;
    const Place place = {Domain::kNone, 0x5000 + random_() % 3 * 16};
    const Remapping remapping = BeginRemap({place.second, nullptr}, Address(from.start));
    RecordRemap({place.second, nullptr}, remapping, Address(from.start),
                doubled ? 0 : from.pages * kPage, Address(to.start), to.pages * kPage);
    const Block* block = model_.At(from.start);
    const Place there = {block != nullptr ? block->place.first : Domain::kNone, place.second};
    if (!doubled) model_.Unmap(from.start, from.pages);
    if (there.first == Domain::kNone) {
      model_.Unmap(to.start, to.pages);
    } else {
      model_.Map(there, to.start, to.pages);
    }
  }

  std::mt19937_64 random_;
  Model model_;
};

TEST(Mappings, AreThoseOfAModelOfPages) {
  MEMTRACE_ISOLATED();
  Driver driver(1);
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 200; ++i) driver.Step();
    driver.model().ExpectRecorded();
    if (HasFailure()) return;
  }
  EXPECT_EQ(Lost(), 0u);
  EXPECT_EQ(RegionTotal(), 0) << "address space is no memory";
  EXPECT_EQ(RegionPeak(), 0);
}

// A range that another thread got from the kernel before the call that ended it was recorded.
TEST(Mappings, WhatIsYoungerThanAnUnmappingStays) {
  MEMTRACE_ISOLATED();
  const Place first = {Domain::kMmap, 0x1000}, second = {Domain::kMmap, 0x2000};
  RecordMap({first.second, nullptr}, Address(0), kPage, first.first);
  const uint64_t age = MappingAge();  // the kernel unmaps it, and maps it again for somebody else
  RecordMap({second.second, nullptr}, Address(0), kPage, second.first);
  RecordUnmap({0x9000, nullptr}, Address(0), kPage, age);
  auto figures = RegionFigures();
  EXPECT_EQ(figures[first].live_objects(), 0);
  EXPECT_EQ(figures[second].live_objects(), 1);
  EXPECT_EQ(figures[second].live_bytes(), static_cast<int64_t>(kPage));
}

// The kernel has merged the hole with its neighbours: the younger mapping reaches over both ends.
TEST(Mappings, WhatIsYoungerAndReachesOverAnUnmappingStaysWhole) {
  MEMTRACE_ISOLATED();
  RecordMap({0x1000, nullptr}, Address(3), kPage, Domain::kMmap);
  const uint64_t age = MappingAge();
  RecordMap({0x2000, nullptr}, Address(2), 4 * kPage, Domain::kMmap);
  RecordUnmap({0x9000, nullptr}, Address(3), kPage, age);
  auto figures = RegionFigures();
  EXPECT_EQ(figures[Place(Domain::kMmap, 0x1000)].live_objects(), 0);
  EXPECT_EQ(figures[Place(Domain::kMmap, 0x2000)].live_bytes(), static_cast<int64_t>(4 * kPage));
}

// The same for a mapping that is moved away.
TEST(Mappings, WhatIsYoungerThanAMoveStays) {
  MEMTRACE_ISOLATED();
  RecordMap({0x1000, nullptr}, Address(0), kPage, Domain::kMmapFile);
  const Remapping remapping = BeginRemap({0x3000, nullptr}, Address(0));
  RecordMap({0x2000, nullptr}, Address(0), kPage, Domain::kMmap);
  RecordRemap({0x3000, nullptr}, remapping, Address(0), kPage, Address(7), kPage);
  auto figures = RegionFigures();
  EXPECT_EQ(figures[Place(Domain::kMmapFile, 0x1000)].live_objects(), 0);
  EXPECT_EQ(figures[Place(Domain::kMmap, 0x2000)].live_objects(), 1);
  EXPECT_EQ(figures[Place(Domain::kMmapFile, 0x3000)].live_objects(), 1);
}

// Inside an allocation hook: kept and published, but nobody's.
TEST(Mappings, AllocatorsHaveNoFigures) {
  MEMTRACE_ISOLATED();
  RecordMap({0x1000, nullptr}, Address(0), kPage, Domain::kMmap);  // the thread is known now
  t_thread->busy = Busy::kAllocating;
  RecordMap({0x2000, nullptr}, Address(10), 5 * kPage, Domain::kMmap);
  RecordUnmap({0x2000, nullptr}, Address(11), kPage, MappingAge());
  RecordUnmap({0x2000, nullptr}, Address(0), kPage, MappingAge());
  EXPECT_EQ(t_thread->busy, Busy::kAllocating);
  t_thread->busy = t_thread->rest;
  const auto figures = RegionFigures();
  ASSERT_EQ(figures.size(), 1u);
  EXPECT_EQ(figures.begin()->second.live_bytes(), 0);
  std::map<uint64_t, uint64_t> published;
  for (uint64_t i = 0; i < g_region.header()->sections[kMappings].used.load(); ++i) {
    const auto* r = g_region.At<MappingRecord>(kMappings, i);
    if (r->kind == 0) continue;
    EXPECT_EQ(r->kind, static_cast<uint32_t>(MappingKind::kAllocator));
    EXPECT_EQ(r->site, 0u);
    published[(r->start - kBase) / kPage] = (r->end - r->start) / kPage;
  }
  EXPECT_EQ(published, (std::map<uint64_t, uint64_t>{{10, 1}, {12, 3}}));
}

TEST(Mappings, InTheRecorderAreDroppedAndCounted) {
  MEMTRACE_ISOLATED();
  RecordMap({0x1000, nullptr}, Address(0), kPage, Domain::kMmap);
  t_thread->busy = Busy::kRecording;  // as in a signal handler that came in between
  RecordMap({0x2000, nullptr}, Address(10), kPage, Domain::kMmap);
  t_thread->busy = t_thread->rest;
  EXPECT_EQ(g_region.header()->lost[static_cast<int>(Loss::kReentrant)].events.load(), 1u);
  EXPECT_EQ(RegionFigures().size(), 1u);
}

void MapInHandler(int) { RecordMap({0x2000, nullptr}, Address(10), kPage, Domain::kMmap); }

// A handler that maps while its thread has the table runs when it is given back.
TEST(Mappings, SignalsWaitForTheTable) {
  MEMTRACE_ISOLATED();
  RecordMap({0x1000, nullptr}, Address(0), kPage, Domain::kMmap);
  ASSERT_NE(signal(SIGUSR1, MapInHandler), SIG_ERR);
  HoldMappings();
  raise(SIGUSR1);
  EXPECT_EQ(RegionFigures().size(), 1u);
  ReleaseMappings();
  EXPECT_EQ(RegionFigures().size(), 2u);
  EXPECT_EQ(Lost(), 0u);
}

// Somebody who never gives it back (a child of vfork that was killed in the midst of it) costs the
// others a second, once.
TEST(Mappings, ATableThatIsNeverFreeIsGivenUp) {
  MEMTRACE_ISOLATED();
  RecordMap({0x1000, nullptr}, Address(0), kPage, Domain::kMmap);
  std::thread(HoldMappings).join();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) RecordMap({0x2000, nullptr}, Address(10), kPage, Domain::kMmap);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  EXPECT_EQ(Lost(), 1000u);
  EXPECT_EQ(LostBytes(), 1000 * kPage);
}

// The child's own region has what it inherited, as its parent's; what it unmaps is gone there.
TEST(Mappings, AForkedChildInheritsThem) {
  MEMTRACE_ISOLATED();
  const Place place = {Domain::kMmap, 0x1000};
  RecordMap({place.second, nullptr}, Address(0), 10 * kPage, place.first);
  const pid_t child = fork();
  if (child == 0) {
    RecordUnmap({0x9000, nullptr}, Address(2), 3 * kPage, MappingAge());
    const Figures f = RegionFigures()[place];
    std::map<uint64_t, uint64_t> published;
    for (uint64_t i = 0; i < g_region.header()->sections[kMappings].used.load(); ++i) {
      const auto* r = g_region.At<MappingRecord>(kMappings, i);
      if (r->kind != 0) published[(r->start - kBase) / kPage] = (r->end - r->start) / kPage;
    }
    const bool right = f.inherited_bytes == static_cast<int64_t>(10 * kPage) &&
                       f.inherited_objects == 1 && f.alloc_objects == 0 && f.free_objects == 0 &&
                       f.free_bytes == static_cast<int64_t>(3 * kPage) && RegionTotal() == 0 &&
                       published == std::map<uint64_t, uint64_t>{{0, 2}, {5, 5}};
    if (!right) {
      std::cout << f << ", total " << RegionTotal() << ", " << ::testing::PrintToString(published)
                << std::endl;
    }
    _exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(RegionFigures()[place].live_bytes(), static_cast<int64_t>(10 * kPage));
}

// Eight threads, each in pages of its own, that end each other's mappings.
TEST(Mappings, OfManyThreadsAddUp) {
  MEMTRACE_ISOLATED();
  std::vector<std::thread> threads;
  std::atomic<int> at_work{8};
  for (uint64_t n = 0; n < 8; ++n) {
    threads.emplace_back([n, &at_work] {
      for (uint64_t i = 0; i < 2000; ++i) {
        RecordMap({0x1000 + n * 16, nullptr}, Address(n * 1000 + i % 100), kPage, Domain::kMmap);
        RecordUnmap({0x9000, nullptr}, Address((n + 1) % 8 * 1000 + i % 100), kPage, MappingAge());
      }
      // None takes the slot of another: a sanitizer does not see that it has ended.
      for (at_work--; at_work > 0;) std::this_thread::yield();
    });
  }
  for (std::thread& thread : threads) thread.join();
  RecordUnmap({0x9000, nullptr}, Address(0), 8000 * kPage, MappingAge());
  int64_t made = 0;
  for (const auto& [place, f] : RegionFigures()) {
    made += f.alloc_objects;
    EXPECT_EQ(f.live_objects(), 0) << place.second;
    EXPECT_EQ(f.live_bytes(), 0) << place.second;
  }
  EXPECT_EQ(made, 16000);
  EXPECT_EQ(Lost(), 0u);
}

}  // namespace
}  // namespace memtrace::testing
