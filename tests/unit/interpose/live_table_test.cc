#include "interpose/live_table.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <memory>
#include <random>
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
                               (uint64_t{1} << 32) - 1,
                               uint64_t{1} << 32,
                               (uint64_t{1} << 32) + 1,
                               uint64_t{1} << 40};
constexpr uint32_t kSites[] = {1, 2, 63, 64, LiveTable::kMaxSites - 1};
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

void TestEachSizeAndSite(uint64_t address) {
  for (const uint64_t bytes : kSizes) {
    for (const uint32_t site : kSites) {
      SCOPED_TRACE(std::to_string(bytes) + " bytes of site " + std::to_string(site));
      uint32_t* slot = Table()->Slot(At(address));
      ASSERT_NE(slot, nullptr);
      ASSERT_FALSE(LiveTable::Occupied(slot));
      LiveTable::Put(slot, site, bytes);
      EXPECT_TRUE(LiveTable::Occupied(slot));
      const LiveTable::Block block = LiveTable::Take(slot);
      EXPECT_EQ(block.site, site);
      EXPECT_EQ(block.bytes, bytes);
      EXPECT_FALSE(block.holds_code);
      // Slots 1 and 2 must be clean as well: they may be another block's first slot next.
      for (int i = 0; i < 3; i++) EXPECT_EQ(slot[i], 0u) << "slot " << i;
    }
  }
}

// A code object is at least 48 bytes long, so it owns the slot of its id.
void TestCodeMarks(uint64_t address) {
  for (const uint64_t bytes : {uint64_t{48}, uint64_t{200}}) {
    uint32_t* slot = Table()->Slot(At(address));
    ASSERT_NE(slot, nullptr);
    LiveTable::Put(slot, 77, bytes);
    EXPECT_EQ(LiveTable::CodeId(slot), 0u);
    LiveTable::SetCodeId(slot, 1234567);
    EXPECT_EQ(LiveTable::CodeId(slot), 1234567u);
    const LiveTable::Block block = LiveTable::Take(slot);
    EXPECT_EQ(block.site, 77u);
    EXPECT_EQ(block.bytes, bytes);
    EXPECT_TRUE(block.holds_code);
    for (int i = 0; i < 3; i++) EXPECT_EQ(slot[i], 0u) << "slot " << i;
  }
  // A code object that was never recorded as a block.
  uint32_t* slot = Table()->Slot(At(address));
  LiveTable::SetCodeId(slot, 9);
  EXPECT_TRUE(LiveTable::Occupied(slot));
  EXPECT_EQ(LiveTable::CodeId(slot), 9u);
  const LiveTable::Block block = LiveTable::Take(slot);
  EXPECT_EQ(block.site, 0u);
  EXPECT_TRUE(block.holds_code);
  EXPECT_FALSE(LiveTable::Occupied(slot));
  EXPECT_EQ(LiveTable::CodeId(slot), 0u);
}

void TestWhatIsOutside() {
  EXPECT_EQ(Table()->Slot(At(uint64_t{1} << 47)), nullptr);
  EXPECT_EQ(Table()->Slot(At(~uint64_t{0} & ~uint64_t{15})), nullptr);
  EXPECT_NE(Table()->Slot(At(0x10)), nullptr);
  EXPECT_NE(Table()->Slot(At((uint64_t{1} << 47) - 4096 - 16)), nullptr);
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
    // 16 for the smallest, and 3 slots where a size may need them.
    at += random() % 3 == 0 ? 16 : random() % 2 == 0 ? 32 : 48 + random() % 8 * 16;
    if (i % 500 == 250) at += 8;
    if (i % 500 == 499) at += 8;
  }
  addresses.push_back(at);
  for (int i = 0; i < 200000; i++) {
    const size_t index = random() % (addresses.size() - 1);
    const uint64_t address = addresses[index], room = addresses[index + 1] - address;
    uint32_t* slot = Table()->Slot(At(address));
    ASSERT_NE(slot, nullptr);
    const auto found = model.find(address);
    ASSERT_EQ(LiveTable::Occupied(slot), found != model.end()) << "event " << i;
    if (found == model.end()) {
      uint64_t bytes = random() % (room + 1);
      if (room >= 48 && random() % 8 == 0) bytes = (uint64_t{1} << 32) + random() % 1000000;
      Entry entry{1 + static_cast<uint32_t>(random() % (LiveTable::kMaxSites - 1)), bytes, 0};
      LiveTable::Put(slot, entry.site, entry.bytes);
      if (room >= 48 && bytes >= 48 && bytes < (uint64_t{1} << 32) && random() % 4 == 0) {
        entry.code = 1 + static_cast<uint32_t>(random() % 1000000);
        LiveTable::SetCodeId(slot, entry.code);
      }
      model[address] = entry;
    } else {
      if (found->second.code != 0) {
        ASSERT_EQ(LiveTable::CodeId(slot), found->second.code);
      }
      const LiveTable::Block block = LiveTable::Take(slot);
      ASSERT_EQ(block.site, found->second.site) << "event " << i;
      ASSERT_EQ(block.bytes, found->second.bytes) << "event " << i;
      ASSERT_EQ(block.holds_code, found->second.code != 0) << "event " << i;
      model.erase(found);
    }
  }
  for (const auto& [address, entry] : model) LiveTable::Take(Table()->Slot(At(address)));
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
  EXPECT_EQ(fresh.Slot(At(kBase)), nullptr);
  EXPECT_EQ(fresh.Slot(At(kBase + 8)), nullptr);
}

}  // namespace
}  // namespace memtrace::testing
