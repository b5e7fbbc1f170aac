#include "tools/read/region_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tools/read/region_builder.h"

namespace memtrace {
namespace {

using testing::FillSample;
using ::testing::HasSubstr;
using testing::RegionBuilder;
using testing::TempFile;

std::string ErrorOf(const std::string& path) {
  auto region = RegionFile::Open(path);
  return region.ok() ? "" : std::string(region.status().message());
}

std::string SampleBytes() {
  RegionBuilder builder;
  FillSample(&builder);
  return builder.Bytes();
}

TEST(RegionFile, OpensAPlainFile) {
  TempFile file(SampleBytes());
  auto region = RegionFile::Open(file.path());
  ASSERT_TRUE(region.ok()) << region.status();
  EXPECT_EQ((*region)->header().pid, 4711);
  EXPECT_TRUE((*region)->Check().ok());
  EXPECT_EQ((*region)->At((*region)->size(), 1), nullptr);
  EXPECT_EQ((*region)->At(~uint64_t{0}, 2), nullptr);
  EXPECT_NE((*region)->At((*region)->size() - 1, 1), nullptr);
}

TEST(RegionFile, RefusesWhatIsNoPlainFile) {
  TempFile file(SampleBytes());
  const std::string other = file.path() + ".other";
  ASSERT_EQ(symlink(file.path().c_str(), other.c_str()), 0);
  EXPECT_THAT(ErrorOf(other), HasSubstr("symbolic link"));
  ASSERT_EQ(unlink(other.c_str()), 0);

  ASSERT_EQ(link(file.path().c_str(), other.c_str()), 0);
  EXPECT_THAT(ErrorOf(other), HasSubstr("2 hard links"));
  ASSERT_EQ(unlink(other.c_str()), 0);

  ASSERT_EQ(mkfifo(other.c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf(other), HasSubstr("not a plain file"));
  ASSERT_EQ(unlink(other.c_str()), 0);

  EXPECT_THAT(ErrorOf("/tmp"), HasSubstr("a folder"));
  EXPECT_THAT(ErrorOf(other), HasSubstr("no such file"));
}

TEST(RegionFile, RefusesAnotherUsersFile) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  TempFile file(SampleBytes());
  ASSERT_EQ(chown(file.path().c_str(), 12345, 12345), 0);
  EXPECT_THAT(ErrorOf(file.path()), HasSubstr("belongs to another user (uid 12345)"));
}

TEST(RegionFile, SaysWhatIsWrongWithTheHeader) {
  EXPECT_THAT(ErrorOf(TempFile("short").path()), HasSubstr("cut off, or not a region"));
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().magic = 12;
  EXPECT_THAT(ErrorOf(TempFile(builder.Bytes()).path()), HasSubstr("not a memtrace region"));
  builder.header().magic = 0;
  EXPECT_THAT(ErrorOf(TempFile(builder.Bytes()).path()), HasSubstr("not complete yet"));
  builder.header().magic = kRegionMagic;
  builder.header().layout_version = kLayoutVersion + 1;
  EXPECT_THAT(ErrorOf(TempFile(builder.Bytes()).path()),
              HasSubstr("layout version " + std::to_string(kLayoutVersion + 1)));
  builder.header().layout_version = kLayoutVersion;
  builder.header().header_bytes = 1;
  EXPECT_THAT(ErrorOf(TempFile(builder.Bytes()).path()), HasSubstr("damaged"));
}

TEST(RegionFile, SeesWhatTheFileGrewBy) {
  std::string bytes = SampleBytes();
  TempFile file(bytes);
  // As a live region: large on paper, content up to next_offset.
  ASSERT_EQ(truncate(file.path().c_str(), off_t{1} << 30), 0);
  auto region = RegionFile::Open(file.path());
  ASSERT_TRUE(region.ok()) << region.status();
  const Header* before = &(*region)->header();
  EXPECT_NE((*region)->At(uint64_t{1} << 29, 64), nullptr);
  EXPECT_EQ(before->pid, 4711);  // pointers handed out before stay good
}

}  // namespace
}  // namespace memtrace
