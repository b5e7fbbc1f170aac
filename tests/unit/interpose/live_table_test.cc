#include "interpose/live_table.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

constexpr uint64_t kSizes[] = {0,
                               1,
                               15,
                               16,
                               17,
                               56,
                               57,
                               64,
                               576,
                               577,
                               584,
                               (uint64_t{1} << 32) - 1,
                               uint64_t{1} << 32,
                               (uint64_t{1} << 32) + 1,
                               uint64_t{1} << 40};
constexpr uint32_t kSites[] = {1, 2, 63, 64, kMaxSites - 1};
constexpr uint64_t kBase = 0x230000000000;

const void* At(uint64_t address) { return reinterpret_cast<const void*>(address); }

// One for all tests of a process: it reserves a large part of the address space.
LiveTable* Table() {
  static LiveTable* table = [] {
    auto* made = new LiveTable;
    EXPECT_TRUE(made->Init());
    return made;
  }();
  return table;
}

// Nothing is left behind: a granule may be another block's first one next.
void ExpectClean(uint64_t address) {
  for (uint64_t i = 0; i < 4 * LiveTable::kGranule; i += 8) {
    EXPECT_FALSE(Table()->Holds(At(address + i))) << i << " bytes on";
  }
  EXPECT_EQ(Table()->CodeId(reinterpret_cast<const char*>(address)), 0u);
}

void TestEachSizeAndSite(uint64_t address) {
  for (const uint64_t bytes : kSizes) {
    for (const uint32_t site : kSites) {
      SCOPED_TRACE(std::to_string(bytes) + " bytes of site " + std::to_string(site));
      ASSERT_FALSE(Table()->Holds(At(address)));
      ASSERT_TRUE(Table()->Put(At(address), site, bytes));
      EXPECT_TRUE(Table()->Holds(At(address)));
      EXPECT_FALSE(Table()->Holds(At(address ^ 16)));
      const LiveTable::Block block = Table()->Take(At(address));
      EXPECT_EQ(block.site, site);
      EXPECT_EQ(block.bytes, bytes);
      EXPECT_FALSE(block.holds_code);
      ExpectClean(address);
    }
  }
}

// A code object is at least 128 bytes long, so it owns the slot of its id.
void TestCodeMarks(uint64_t address) {
  const char* code = reinterpret_cast<const char*>(address);
  for (const uint64_t bytes : {uint64_t{128}, uint64_t{200}, uint64_t{1001}, uint64_t{1} << 33}) {
    ASSERT_TRUE(Table()->Put(code, 77, bytes));
    EXPECT_EQ(Table()->CodeId(code), 0u);
    Table()->SetCodeId(code, 1234567);
    EXPECT_EQ(Table()->CodeId(code), 1234567u);
    const LiveTable::Block block = Table()->Take(code);
    EXPECT_EQ(block.site, 77u);
    EXPECT_EQ(block.bytes, bytes);
    EXPECT_TRUE(block.holds_code);
    ExpectClean(address);
  }
  // A code object that was never recorded as a block.
  Table()->SetCodeId(code, 9);
  EXPECT_TRUE(Table()->Holds(code));
  EXPECT_EQ(Table()->CodeId(code), 9u);
  const LiveTable::Block block = Table()->Take(code);
  EXPECT_EQ(block.site, 0u);
  EXPECT_TRUE(block.holds_code);
  ExpectClean(address);
}

// Two blocks of 16 bytes in a granule, and one at 8 modulo 16 in each half.
TEST(LiveTable, NeighboursInOneGranuleAreKeptApart) {
  for (const uint64_t first : {0, 8, 16, 24}) {
    for (const uint64_t freed : {0, 8, 16, 24}) {
      for (uint64_t i = 0; i < 32; i += 8) {
        const uint64_t at = kBase + (first + i) % 32;
        ASSERT_TRUE(Table()->Put(At(at), static_cast<uint32_t>(100 + at % 32), at % 32 / 8));
      }
      for (uint64_t i = 0; i < 32; i += 8) {
        const uint64_t at = kBase + (freed + i) % 32;
        ASSERT_TRUE(Table()->Holds(At(at)));
        const LiveTable::Block block = Table()->Take(At(at));
        EXPECT_EQ(block.site, 100 + at % 32);
        EXPECT_EQ(block.bytes, at % 32 / 8);
        EXPECT_FALSE(Table()->Holds(At(at)));
      }
      ExpectClean(kBase);
    }
  }
}

// A program may free an address inside a block: its operator delete knows where the block starts.
TEST(LiveTable, AnAddressInsideABlockIsNone) {
  for (const uint64_t bytes : {uint64_t{100}, uint64_t{333}, uint64_t{577}, uint64_t{1} << 33}) {
    ASSERT_TRUE(Table()->Put(At(kBase), 9, bytes));
    for (uint64_t i = 8; i < 100; i += 8) EXPECT_FALSE(Table()->Holds(At(kBase + i))) << i;
    EXPECT_EQ(Table()->Take(At(kBase)).bytes, bytes);
  }
}

void ExpectStale(uint64_t old, uint64_t old_bytes, uint64_t fresh, uint64_t bytes, bool stale) {
  SCOPED_TRACE(std::to_string(old_bytes) + " bytes, then " + std::to_string(bytes));
  ASSERT_TRUE(Table()->Put(At(old), 9, old_bytes));
  EXPECT_EQ(Table()->Stale(At(fresh), bytes), stale ? At(old) : nullptr);
  EXPECT_EQ(Table()->Take(At(old)).bytes, old_bytes);
  EXPECT_EQ(Table()->Stale(At(fresh), bytes), nullptr);
  ExpectClean(old);
}

// Blocks that somebody freed who goes around the hooks, when their memory is handed out again.
TEST(LiveTable, WhatIsInANewBlocksWayIsFound) {
  ExpectStale(kBase, 1000, kBase, 1, true);
  ExpectStale(kBase, 1000, kBase + 32, 100, true);  // where its size is
  ExpectStale(kBase, uint64_t{1} << 33, kBase + 64, 100, true);
  ExpectStale(kBase + 32, 40, kBase, 1000, true);
  ExpectStale(kBase + 48, 40, kBase, 1000, true);
  ExpectStale(kBase, 24, kBase + 16, 8, true);
  ExpectStale(kBase + 16, 24, kBase, 24, true);
  ExpectStale(kBase, 16, kBase + 16, 8, false);  // neighbours
  ExpectStale(kBase + 16, 24, kBase, 16, false);
  ExpectStale(kBase + 64, 40, kBase, 1000, false);  // only the record's own place is looked at
}

TEST(LiveTable, ThreadStatesAreMarkedBehindADebuggingHeaderToo) {
  for (const uint64_t header : {0, 16}) {
    const char* block = reinterpret_cast<const char*>(kBase);
    ASSERT_TRUE(Table()->Put(block, 9, 333));
    Table()->MarkThreadState(block + header);
    const LiveTable::Block taken = Table()->Take(block);
    EXPECT_EQ(taken.thread_state, block);
    EXPECT_FALSE(taken.holds_code);
    EXPECT_EQ(taken.bytes, 333u);
    EXPECT_EQ(taken.site, 9u);
    ExpectClean(kBase);
  }
  Table()->MarkThreadState(reinterpret_cast<const char*>(kBase));  // in no block
  ExpectClean(kBase);
}

void TestWhatIsOutside() {
  EXPECT_FALSE(Table()->Put(At(uint64_t{1} << 47), 1, 1));
  EXPECT_FALSE(Table()->Put(At(~uint64_t{0} & ~uint64_t{15}), 1, 1));
  EXPECT_FALSE(Table()->Put(At(kBase + 4), 1, 1));
  for (const uint64_t address : {uint64_t{0x10}, (uint64_t{1} << 47) - 4096 - 16}) {
    EXPECT_TRUE(Table()->Put(At(address), 1, 1));
    EXPECT_EQ(Table()->Take(At(address)).bytes, 1u);
  }
}

// The inline way and the other one see the same.
TEST(LiveTable, TheFastWayAgrees) {
  if (!Table()->HasFastSlots()) GTEST_SKIP() << "no flat table here";
  for (const uint64_t bytes : {0, 1, 24, 56, 57, 64, 100, 576, 577, 100000}) {
    for (const uint64_t address : {kBase, kBase + 16}) {
      const void* p = At(address);
      uint32_t* slot = Table()->FastSlot(p);
      ASSERT_NE(slot, nullptr);
      ASSERT_TRUE(Table()->Put(p, 5, bytes));
      EXPECT_TRUE(LiveTable::IsAt(*slot, p));
      EXPECT_FALSE(LiveTable::IsAt(*slot, At(address ^ 16)));
      EXPECT_EQ(LiveTable::SiteOf(*slot), 5u);
      const uint32_t code = LiveTable::CodeOf(*slot);
      EXPECT_EQ(code, LiveTable::SizeCode(bytes));
      if (code != LiveTable::kSizeNext) {
        EXPECT_EQ(LiveBytesOf(code), bytes);
      }
      Table()->Take(p);
    }
  }
}

// Neighbouring blocks of all sizes, begun on multiples of 16 or 8 bytes after one (as an allocator
// does: one of the two for neighbours of a size class), in and out at random.
void TestAgainstMap(uint64_t seed, uint64_t base) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  struct Entry {
    uint32_t site;
    uint64_t bytes;
    uint32_t code;
  };
  std::unordered_map<uint64_t, Entry> model;
  std::vector<uint64_t> addresses;  // each with room up to the next
  uint64_t at = base;
  for (int i = 0; i < 4000; i++) {
    addresses.push_back(at);
    // 16 for the smallest, and four granules where a size may need them.
    at += random() % 3 == 0 ? 16 : random() % 2 == 0 ? 48 : 144 + random() % 8 * 16;
    if (i % 500 == 250) at += 8;
    if (i % 500 == 499) at += 8;
  }
  addresses.push_back(at);
  for (int i = 0; i < 200000; i++) {
    const size_t index = random() % (addresses.size() - 1);
    const uint64_t address = addresses[index], room = addresses[index + 1] - address;
    const char* p = reinterpret_cast<const char*>(address);
    const auto found = model.find(address);
    ASSERT_EQ(Table()->Holds(p), found != model.end()) << "event " << i;
    if (found == model.end()) {
      uint64_t bytes = random() % (room + 1);
      if (room >= 144 && random() % 8 == 0) bytes = (uint64_t{1} << 32) + random() % 1000000;
      Entry entry{1 + static_cast<uint32_t>(random() % (kMaxSites - 1)), bytes, 0};
      ASSERT_TRUE(Table()->Put(p, entry.site, entry.bytes));
      if (room >= 144 && bytes >= 128 && random() % 4 == 0) {
        entry.code = 1 + static_cast<uint32_t>(random() % 1000000);
        Table()->SetCodeId(p, entry.code);
      }
      model[address] = entry;
    } else {
      if (found->second.code != 0) {
        ASSERT_EQ(Table()->CodeId(p), found->second.code);
      }
      const LiveTable::Block block = Table()->Take(p);
      ASSERT_EQ(block.site, found->second.site) << "event " << i;
      ASSERT_EQ(block.bytes, found->second.bytes) << "event " << i;
      ASSERT_EQ(block.holds_code, found->second.code != 0) << "event " << i;
      model.erase(found);
    }
  }
  for (const auto& [address, entry] : model) Table()->Take(At(address));
}

void TestAll() {
  for (const uint64_t address : {kBase, kBase + 8, kBase + 0x40000000, kBase + 0x40000008}) {
    TestEachSizeAndSite(address);
    TestCodeMarks(address);
  }
  // At the end of a leaf: the further slots belong to it, too.
  constexpr uint64_t kLeaf = uint64_t{4} << 20;
  TestEachSizeAndSite(kBase + kLeaf - 16);
  TestEachSizeAndSite(kBase + kLeaf - 8);
  TestWhatIsOutside();
  TestAgainstMap(1, kBase + 0x10000000);
  TestAgainstMap(2, kBase + 0x10000008);
  TestAgainstMap(3, kBase + 0x20000000 - 1600);  // across leaves
}

TEST(LiveTable, KeepsWhatWasPut) { TestAll(); }

TEST(LiveTable, KeepsWhatWasPutWhereTheAddressSpaceIsLimited) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer cannot live with a limit of address space";
  MEMTRACE_ISOLATED([] {
    rlimit limit{uint64_t{6} << 30, uint64_t{6} << 30};
    return setrlimit(RLIMIT_AS, &limit) == 0;
  });
  TestAll();
}

TEST(LiveTable, NothingIsThereBeforeItWasInitialised) {
  LiveTable fresh;
  EXPECT_FALSE(fresh.Holds(At(kBase)));
  EXPECT_FALSE(fresh.Holds(At(kBase + 8)));
  EXPECT_FALSE(fresh.Put(At(kBase), 1, 1));
}

// All threads must agree on one shadow, also where one's flat array leaves no room for another's.
TEST(Shadow, IsOneForAllThreadsThatBeginAtOnce) {
  MEMTRACE_ISOLATED();
  constexpr size_t kFlat = sizeof(uint32_t) << Shadow::kIndexBits;
  constexpr uint32_t kThreads = 2, kWords = 100;
  constexpr int kRounds = kSanitized ? 500 : 5000;  // one in some 600 failed when they did not
  const auto map = [] {
    return mmap(nullptr, kFlat, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  };
  std::vector<void*> in_the_way;
  for (void* p = map(); p != MAP_FAILED; p = map()) in_the_way.push_back(p);
  const bool room = !in_the_way.empty() && !kThreadSanitizer;
  if (!in_the_way.empty()) munmap(in_the_way.back(), kFlat);
  for (int round = 0; round < kRounds; round++) {
    auto shadow = std::make_unique<Shadow>();
    std::atomic<uint32_t> ready{0};
    std::vector<std::thread> threads;
    for (uint32_t n = 0; n < kThreads; n++) {
      threads.emplace_back([&, n] {
        ready++;
        while (ready != kThreads) {
        }
        ASSERT_TRUE(shadow->Init());
        for (uint32_t i = 0; i < kWords; i++) *shadow->Slot(uint64_t{n} << 40 | i) = n + 1;
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (uint32_t n = 0; n < kThreads; n++) {
      for (uint32_t i = 0; i < kWords; i++) {
        ASSERT_EQ(*shadow->Slot(uint64_t{n} << 40 | i), n + 1) << "round " << round;
      }
    }
    EXPECT_EQ(shadow->flat() != nullptr, room) << "round " << round;
    if (shadow->flat() != nullptr) munmap(shadow->flat(), kFlat);
  }
}

}  // namespace
}  // namespace memtrace::testing
