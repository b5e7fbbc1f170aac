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

}  // namespace
}  // namespace memtrace
