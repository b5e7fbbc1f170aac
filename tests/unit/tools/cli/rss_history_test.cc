#include "tools/cli/rss_history.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace memtrace {
namespace {

TEST(RssHistory, StaysBoundedAndKeepsTheHighest) {
  RssHistory history;
  for (int64_t i = 0; i < 10 * static_cast<int64_t>(RssHistory::kMost); ++i) {
    history.Add(i * 50000000, i == 7777 ? 1 << 30 : 1000);
  }
  EXPECT_LE(history.points().size(), RssHistory::kMost);
  const auto highest =
      std::max_element(history.points().begin(), history.points().end(),
                       [](const auto& a, const auto& b) { return a.rss_bytes < b.rss_bytes; });
  EXPECT_EQ(highest->rss_bytes, 1 << 30);
  EXPECT_EQ(history.points().front().realtime_ns, 0);
}

TEST(RssHistory, SamplesThisProcess) {
  RssHistory history;
  history.Sample(getpid(), 1);
  ASSERT_EQ(history.points().size(), 1u);
  EXPECT_GT(history.points()[0].rss_bytes, 100000);
  history.Sample(1 << 22, 2);  // no such process
  EXPECT_EQ(history.points().size(), 1u);
}

TEST(RssHistory, GoesIntoTheBucketOfItsTime) {
  RssHistory history;
  history.Add(900, 5);  // before recording began
  history.Add(1000, 10);
  history.Add(1099, 30);
  history.Add(1050, 20);
  history.Add(5000, 40);
  Process process;
  process.start_realtime_ns = 1000;
  process.timeline = {{0, 1, 2, -1}, {100, 1, 2, -1}, {200, 1, 2, -1}};
  history.AnnotateTimeline(&process);
  EXPECT_EQ(process.timeline[0].rss_bytes, 30);
  EXPECT_EQ(process.timeline[1].rss_bytes, -1);
  EXPECT_EQ(process.timeline[2].rss_bytes, 40);
}

}  // namespace
}  // namespace memtrace
