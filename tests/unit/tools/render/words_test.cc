#include "tools/render/words.h"

#include <gtest/gtest.h>

#include "tests/unit/tools/model/grouped_profile.h"

namespace memtrace {
namespace {

TEST(Summarize, CountsMembersOfGroupsOnce) {
  const Profile profile = Grouped(10);
  const Overview all = Summarize(profile, "");
  EXPECT_EQ(all.now_bytes, (1000 + 55) * 110);
  EXPECT_EQ(all.peak_bytes, (1000 + 55) * 110);
  EXPECT_EQ(all.others, 10u);
  EXPECT_EQ(all.lost, 11u);
  const Overview one = Summarize(profile, "105");
  EXPECT_EQ(one.now_bytes, 5 * 110);
  EXPECT_EQ(one.lost, 1u);
}

TEST(Summarize, AddressSpaceIsApart) {
  Profile profile = Grouped(2);
  const int64_t now = Summarize(profile, "").now_bytes;
  EXPECT_EQ(MappedText(Summarize(profile, "")), "");
  profile.AddSample({0, 0, Domain::kMmap, 0, 0, {9, 1 << 30, 0, 0, 1, 3 << 20, 0, 0}});
  EXPECT_EQ(MappedText(Summarize(profile, "")), "mapped: 3072 KiB anonymous at the peak");
  profile.AddSample({0, 0, Domain::kMmapFile, 0, 0, {1, 8192, 1, 8192, 1, 8192, 0, 0}});
  EXPECT_EQ(MappedText(Summarize(profile, "")), "mapped: 8192 B of files");
  profile.AddSample({0, 0, Domain::kMmap, 0, 0, {1, 2 << 20, 1, 2 << 20, 1, 2 << 20, 0, 0}});
  const Overview overview = Summarize(profile, "");
  EXPECT_EQ(MappedText(overview), "mapped: 2048 KiB anonymous, 8192 B of files");
  EXPECT_EQ(overview.now_bytes, now);
  EXPECT_EQ(overview.peak_bytes, now);
}

}  // namespace
}  // namespace memtrace
