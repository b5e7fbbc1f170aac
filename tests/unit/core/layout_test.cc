#include "core/layout.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>

namespace memtrace {
namespace {

// What tools/python/memtrace/_mprof/regions.py has of the header: to be changed with it.
static_assert(kLayoutVersion == 3);
static_assert(offsetof(Header, process_start) == 32 && offsetof(Header, start_realtime_ns) == 40 &&
              offsetof(Header, start_boot_ns) == 48);
static_assert(offsetof(Header, owner_total) == 128 && offsetof(Header, shared_total) == 136 &&
              offsetof(Header, peak) == 144 && offsetof(Header, peak_boot_ns) == 168);
static_assert(offsetof(Header, sections) == 384 && sizeof(Section) == 200 && kThreads == 6);
static_assert(offsetof(Section, used) == 0 && offsetof(Section, extents) == 8);
static_assert(sizeof(ThreadRecord) == 64 && offsetof(ThreadRecord, unflushed_bytes) == 0);

TEST(Layout, EveryByteHasOnePlaceAndExtentsFollowOneAnother) {
  uint64_t start = 0;
  for (int extent = 0; extent < kMaxExtents; extent++) {
    const uint64_t bytes = ExtentBytes(extent);
    for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, bytes / 2, bytes - 1}) {
      const ExtentPosition at = LocateByte(start + offset);
      EXPECT_EQ(at.extent, extent) << "byte " << start + offset;
      EXPECT_EQ(at.offset, offset) << "byte " << start + offset;
    }
    start += bytes;
  }
  EXPECT_EQ(start, uint64_t{32} << 30);  // what kMaxExtents promises
}

TEST(Layout, AnExtentStartsWhereItIsLong) {
  for (int extent = 1; extent < kMaxExtents; extent++) {
    const ExtentPosition at = LocateByte(ExtentBytes(extent));
    EXPECT_EQ(at.extent, extent);
    EXPECT_EQ(at.offset, 0u);
  }
}

TEST(Layout, NoRecordLiesAcrossTwoExtents) {
  std::mt19937_64 random(1);
  for (uint32_t id = 0; id < kSectionCount; id++) {
    const uint64_t bytes = RecordBytes(static_cast<SectionId>(id));
    EXPECT_EQ(kFirstExtentBytes % bytes, 0u) << "section " << id;
    for (int i = 0; i < 10000; i++) {
      const uint64_t index = (random() >> (random() % 40)) % ((uint64_t{1} << 34) / bytes);
      const ExtentPosition first = LocateByte(index * bytes);
      const ExtentPosition last = LocateByte(index * bytes + bytes - 1);
      ASSERT_EQ(first.extent, last.extent) << "section " << id << " record " << index;
      ASSERT_EQ(last.offset - first.offset, bytes - 1);
      ASSERT_LT(last.offset, ExtentBytes(last.extent));
    }
  }
}

TEST(Layout, KindAndOwnerArePackedApart) {
  EXPECT_EQ(PackKindOwner(FrameKind::kPython, 5) >> 28, 1u);
  EXPECT_EQ(PackKindOwner(FrameKind::kNative, 5) >> 28, 2u);
  EXPECT_EQ(PackKindOwner(FrameKind::kNative, 0x0fffffff) & 0x0fffffff, 0x0fffffffu);
  // An owner that is too large must not change the kind.
  EXPECT_EQ(PackKindOwner(FrameKind::kPython, 0xffffffff) >> 28, 1u);
}

}  // namespace
}  // namespace memtrace
