#include "tools/read/mappings.h"

#include <gtest/gtest.h>

#include "tests/unit/tools/read/region_builder.h"

namespace memtrace {
namespace {

using testing::RegionBuilder;

std::vector<MappedRange> Read(RegionBuilder* builder) {
  const std::string bytes = builder->Bytes();
  auto region = RegionFile::FromBytes(bytes.data(), bytes.size(), "r");
  EXPECT_TRUE(region.ok()) << region.status();
  return ReadMappings(**region);
}

TEST(Mappings, ByAddress) {
  RegionBuilder builder;
  builder.Mapping(4, 0x9000, 0xa000, 3, MappingKind::kAnonymous);
  builder.Mapping(2, 0x1000, 0x5000, 0, MappingKind::kPythonAllocator);
  const std::vector<MappedRange> ranges = Read(&builder);
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].start, 0x1000u);
  EXPECT_EQ(ranges[0].kind, MappingKind::kPythonAllocator);
  EXPECT_EQ(ranges[1].site, 3u);
}

TEST(Mappings, WhatMakesNoSenseIsLeftOut) {
  RegionBuilder builder;
  builder.Mapping(0, 0x1000, 0x2000, 1, MappingKind::kAnonymous);        // never used
  builder.Mapping(3, 0x1000, 0x2000, 1, MappingKind::kAnonymous);        // its writer was killed
  builder.Mapping(2, 0x1000, 0x2000, 1, MappingKind::kNone);             // not mapped any more
  builder.Mapping(2, 0x2000, 0x1000, 1, MappingKind::kAnonymous);        // backwards
  builder.Mapping(2, 0x1000, ~uint64_t{0}, 1, MappingKind::kAnonymous);  // no such address
  builder.Mapping(2, 0x1000, 0x2000, 1, static_cast<MappingKind>(77));
  EXPECT_TRUE(Read(&builder).empty());
}

TEST(Mappings, OverlapsAreCut) {
  RegionBuilder builder;
  builder.Mapping(2, 0x1000, 0x5000, 1, MappingKind::kAnonymous);
  builder.Mapping(2, 0x2000, 0x3000, 2, MappingKind::kAnonymous);
  builder.Mapping(2, 0x4000, 0x8000, 3, MappingKind::kAnonymous);
  const std::vector<MappedRange> ranges = Read(&builder);
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].end, 0x5000u);
  EXPECT_EQ(ranges[1].start, 0x5000u);
  EXPECT_EQ(ranges[1].site, 3u);
}

}  // namespace
}  // namespace memtrace
