// Regions cut off, changed word by word, or lying about their size: an error or a correct read,
// never a crash. (Ten thousand changes at random: tests/unit/tools/hostile.)

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tools/read/region_builder.h"
#include "tests/unit/tools/read/well_formed.h"
#include "tools/read/decode.h"
#include "tools/read/region_file.h"

namespace memtrace {
namespace {

using testing::FillSample;
using ::testing::HasSubstr;
using testing::RegionBuilder;
using testing::TempFile;

absl::StatusOr<Profile> DecodeBytes(const std::string& bytes) {
  auto region = RegionFile::FromBytes(bytes.data(), bytes.size(), "hostile");
  if (!region.ok()) return region.status();
  return DecodeRegion(**region);
}

void CheckWellFormed(const Profile& profile) { EXPECT_EQ(testing::WhatIsMalformed(profile), ""); }

std::string SampleBytes() {
  RegionBuilder builder;
  FillSample(&builder);
  return builder.Bytes();
}

TEST(HostileRegion, CutOffAnywhere) {
  const std::string whole = SampleBytes();
  int errors = 0;
  for (size_t size = 0; size < whole.size(); size += 64) {
    absl::StatusOr<Profile> profile = DecodeBytes(whole.substr(0, size));
    if (profile.ok()) {
      CheckWellFormed(*profile);
    } else {
      EXPECT_THAT(std::string(profile.status().message()), HasSubstr("hostile: "));
      ++errors;
    }
  }
  EXPECT_GT(errors, 300);  // all but cuts in the padding at the end
}

TEST(HostileRegion, WholeWordsOfNonsense) {
  const std::string whole = SampleBytes();
  for (size_t at = 8; at + 8 <= whole.size(); at += 8) {
    if (at > kHeaderBytes && whole.compare(at, 8, std::string(8, '\0')) == 0) continue;
    for (uint64_t value : {~uint64_t{0}, uint64_t{1} << 63, uint64_t{0}, uint64_t{0x100000001}}) {
      std::string bytes = whole;
      std::memcpy(&bytes[at], &value, 8);
      absl::StatusOr<Profile> profile = DecodeBytes(bytes);
      if (profile.ok()) CheckWellFormed(*profile);
    }
  }
}

TEST(HostileRegion, CountsBeyondTheFileCostNoTime) {
  RegionBuilder builder;
  FillSample(&builder);
  std::string bytes = builder.Bytes();
  auto* header = reinterpret_cast<Header*>(bytes.data());
  for (Section& section : header->sections) section.used = uint64_t{1} << 60;
  absl::StatusOr<Profile> profile = DecodeBytes(bytes);
  EXPECT_FALSE(profile.ok());
}

TEST(HostileRegion, FileCutOffWhileItIsRead) {
  const std::string whole = SampleBytes();
  TempFile file(whole);
  auto region = RegionFile::Open(file.path());
  ASSERT_TRUE(region.ok()) << region.status();
  ASSERT_EQ(truncate(file.path().c_str(), 4096), 0);
  absl::StatusOr<Profile> profile = DecodeRegion(**region);
  ASSERT_FALSE(profile.ok());
  EXPECT_THAT(std::string(profile.status().message()), HasSubstr("was cut off while it was read"));
}

TEST(HostileRegion, SparseFileOfFullSizeIsNotReadThrough) {
  std::string bytes = SampleBytes();
  auto* header = reinterpret_cast<Header*>(bytes.data());
  for (Section& section : header->sections) {
    section.used = uint64_t{1} << 40;
    for (auto& extent : section.extents) {
      if (extent == 0) extent = uint64_t{1} << 33;
    }
  }
  TempFile file(bytes);
  ASSERT_EQ(truncate(file.path().c_str(), off_t{16} << 30), 0);
  auto region = RegionFile::Open(file.path());
  ASSERT_TRUE(region.ok()) << region.status();
  // Holes read as zeros, which is as good as unwritten. What must not happen is to walk through
  // them.
  absl::StatusOr<Profile> profile = DecodeRegion(**region);
  if (profile.ok()) CheckWellFormed(*profile);
  struct stat info;
  ASSERT_EQ(stat(file.path().c_str(), &info), 0);
  EXPECT_LT(info.st_blocks * 512, 4 << 20);
}

}  // namespace
}  // namespace memtrace
