#include "core/layout.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace memtrace {
namespace {

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
