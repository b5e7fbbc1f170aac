#include "tools/model/leaks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/unit/tools/model/random_profile.h"

namespace memtrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kSecond = 1000000000;

// One process with a block of `bytes[i]` (and as many blocks) on line i + 1 of a.py.
Profile At(int64_t second, const std::vector<int64_t>& bytes) {
  Profile profile;
  profile.processes.push_back(PythonProcess(7, "/app"));
  profile.processes[0].duration_ns = second * kSecond;
  profile.taken_realtime_ns = profile.processes[0].start_realtime_ns + second * kSecond;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const FrameId frame = PythonFrame(&profile, "/app/a.py", "f", static_cast<int64_t>(i) + 1);
    profile.AddSample({Stack(&profile, {frame}),
                       0,
                       Domain::kPythonObj,
                       0,
                       0,
                       {bytes[i], bytes[i], bytes[i], bytes[i], 0, 0, 0, 0}});
  }
  return profile;
}

absl::StatusOr<LeakTable> Find(const std::vector<Profile>& profiles, const View& view = {}) {
  LeakFinder finder(view);
  for (size_t i = 0; i < profiles.size(); ++i) {
    absl::Status status = finder.Add(profiles[i], absl::StrCat(i, ".mtr"));
    if (!status.ok()) return status;
  }
  return finder.Finish();
}

std::vector<int64_t> LinesOf(const LeakTable& table) {
  std::vector<int64_t> lines;
  for (const LeakRow& row : table.rows) lines.push_back(row.row.frames.at(0)->line);
  return lines;
}

TEST(Leaks, ListsWhatGrowsInEveryInterval) {
  // 1 leaks slowly, 2 fast; 3 grew and stopped; 4 is level; 5 went up and down; 6 falls; 7 is new.
  const absl::StatusOr<LeakTable> table =
      Find({At(10, {10, 100, 10, 50, 10, 90}), At(20, {20, 300, 90, 50, 80, 80}),
            At(30, {30, 500, 99, 50, 20, 70, 5}), At(50, {50, 900, 99, 50, 15, 60, 9})});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(LinesOf(*table), ElementsAre(2, 1));
  EXPECT_EQ(table->stopped, 3u) << "lines 3, 5 and 7 hold more than at first";
  const LeakRow& fast = table->rows[0];
  EXPECT_THAT(fast.bytes, ElementsAre(100, 300, 500, 900));
  EXPECT_DOUBLE_EQ(fast.bytes_trend.slope, 20);
  EXPECT_DOUBLE_EQ(fast.lately, 20);
  EXPECT_EQ(fast.bytes_trend.confidence, 1);
  EXPECT_EQ(fast.row.values.inuse_bytes, 900);
  EXPECT_EQ(fast.row.old_values.inuse_bytes, 100);
  EXPECT_EQ(table->moments[2].bytes, 30 + 500 + 99 + 50 + 20 + 70 + 5);
}

TEST(Leaks, OrderIsThatOfTimeNotOfArguments) {
  std::vector<Profile> profiles = {At(1, {1, 100}), At(2, {2, 101}), At(4, {4, 102}),
                                   At(9, {9, 101})};
  std::vector<int> order = {0, 1, 2, 3};
  do {
    LeakFinder finder(View{});
    for (int i : order) ASSERT_TRUE(finder.Add(profiles[i], absl::StrCat(i)).ok());
    absl::StatusOr<LeakTable> table = finder.Finish();
    ASSERT_TRUE(table.ok());
    EXPECT_THAT(LinesOf(*table), ElementsAre(1));
    EXPECT_THAT(table->rows[0].bytes, ElementsAre(1, 2, 4, 9));
    EXPECT_DOUBLE_EQ(table->rows[0].bytes_trend.slope, 1);
    EXPECT_EQ(finder.latest().processes[0].duration_ns, 9 * kSecond);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Leaks, SaysWhyItCannot) {
  const auto message = [](const std::vector<Profile>& profiles, const View& view = {}) {
    return std::string(Find(profiles, view).status().message());
  };
  EXPECT_EQ(Find({At(1, {1}), At(2, {2})}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message({At(1, {1}), At(2, {2})}), HasSubstr("at least 3 snapshots"));
  EXPECT_THAT(message({At(1, {1}), At(2, {2}), At(2, {3})}), HasSubstr("of the same moment"));
  Profile other = At(3, {3});
  other.processes[0].pid = 8;
  EXPECT_THAT(message({At(1, {1}), At(2, {2}), other}),
              HasSubstr("2.mtr is of process 8 (python main.py), but 0.mtr is of process 7"));
  Profile again = At(3, {3});
  again.processes[0].start_realtime_ns += 1;
  EXPECT_THAT(message({At(1, {1}), At(2, {2}), again}), HasSubstr("started at another time"));
  Profile foreign;
  foreign.processes.emplace_back();
  EXPECT_THAT(message({foreign}), HasSubstr("snapshots made by memtrace"));
  View peak;
  peak.metric = Metric::kPeak;
  EXPECT_THAT(message({At(1, {1}), At(2, {2}), At(3, {3})}, peak), HasSubstr("leave --at out"));
}

TEST(Leaks, OneOfSeveralProcesses) {
  const auto two = [](int64_t second) {
    Profile profile = At(second, {second});
    Profile child = At(second, {50});
    child.processes[0].pid = 8;
    profile.Merge(child);
    return profile;
  };
  EXPECT_THAT(std::string(Find({two(1), two(2), two(3)}).status().message()),
              HasSubstr("holds 2 processes; name the one to look at with --process"));
  View view;
  view.process = "7";
  const absl::StatusOr<LeakTable> table = Find({two(1), two(2), two(3)}, view);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->moments[0].bytes, 1) << "the other process is left out";
  EXPECT_TRUE(Find({At(1, {1}), two(2), two(3)}).ok()) << "the first one says which";
}

// The same places four times, each time with other figures: some rows grow in every interval.
std::vector<Profile> RandomSeries(uint32_t seed) {
  std::vector<Profile> series;
  for (int i = 0; i < 4; ++i) {
    Profile profile = RandomProfile(seed);
    std::mt19937 random(seed * 10 + i);
    const std::vector<Sample> samples = profile.samples();
    for (Sample more : samples) {
      more.values = {};
      more.values.inuse_bytes = static_cast<int64_t>(random() % 50) + i * 30;
      more.values.inuse_objects = i;
      profile.AddSample(more);
    }
    for (Process& process : profile.processes) process.duration_ns = (i * i + 1) * kSecond;
    series.push_back(std::move(profile));
  }
  return series;
}

// Whatever the grouping: each listed row's figures are those of the reports of each snapshot.
TEST(Leaks, RowsAreThoseOfTheReports) {
  size_t rows = 0;
  for (uint32_t seed = 0; seed < 5; ++seed) {
    const std::vector<Profile> series = RandomSeries(seed);
    for (GroupBy by : {GroupBy::kLine, GroupBy::kFile, GroupBy::kFunction, GroupBy::kDomain,
                       GroupBy::kThread, GroupBy::kProcess}) {
      View view;
      view.by = by;
      view.process = "4711";
      const absl::StatusOr<LeakTable> leaks = Find(series, view);
      ASSERT_TRUE(leaks.ok()) << leaks.status();
      std::vector<std::map<std::string, std::pair<int64_t, int64_t>>> reports;
      for (const Profile& profile : series) {
        auto& report = reports.emplace_back();
        const absl::StatusOr<Table> table = Aggregate(profile, view);
        ASSERT_TRUE(table.ok());
        for (const Row& row : table->rows) {
          report[row.key] = {row.values.inuse_bytes, row.values.inuse_objects};
        }
        EXPECT_EQ(leaks->moments[reports.size() - 1].bytes, table->selected.inuse_bytes);
      }
      size_t growing = 0;
      for (const auto& [key, last] : reports.back()) {
        bool grows = true;
        for (size_t i = 1; i < reports.size(); ++i) {
          grows &= reports[i][key].first > reports[i - 1][key].first;
        }
        growing += grows;
      }
      EXPECT_EQ(leaks->rows.size(), growing);
      for (const LeakRow& row : leaks->rows) {
        for (size_t i = 0; i < reports.size(); ++i) {
          EXPECT_EQ(row.bytes[i], reports[i][row.row.key].first);
          EXPECT_EQ(row.blocks[i], reports[i][row.row.key].second);
        }
        ++rows;
      }
    }
  }
  EXPECT_GT(rows, 50u);
}

TEST(GrowthLimit, UnderstandsRates) {
  const auto per_second = [](const char* text) { return ParseGrowthLimit(text)->per_second; };
  EXPECT_DOUBLE_EQ(per_second("1MiB/h"), 1048576.0 / 3600);
  EXPECT_DOUBLE_EQ(per_second(" > 2.5 kB / min "), 2500.0 / 60);
  EXPECT_DOUBLE_EQ(per_second("total:>=10blocks/s"), 10);
  EXPECT_TRUE(ParseGrowthLimit("total:>=10blocks/s")->total);
  EXPECT_TRUE(ParseGrowthLimit("total:>=10blocks/s")->in_blocks);
  EXPECT_TRUE(ParseGrowthLimit("total:>=10blocks/s")->or_equal);
  EXPECT_DOUBLE_EQ(per_second("0/d"), 0);
  for (const char* bad : {"", "1MiB", "1MiB/week", "5%/h", "line:1B/s", "x/s", "inuse>1B/s"}) {
    const absl::Status status = ParseGrowthLimit(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("1MiB/h")) << bad;
  }
}

TEST(GrowthLimit, FindsTheSteepestThatBreaksIt) {
  const LeakTable table =
      *Find({At(0, {10, 100, 300}), At(1, {20, 300, 200}), At(2, {30, 500, 150})});
  const auto check = [&](const char* text) { return CheckGrowth(*ParseGrowthLimit(text), table); };
  EXPECT_FALSE(check("200B/s").has_value());
  EXPECT_TRUE(check(">=200B/s").has_value());
  EXPECT_EQ(check(">=200B/s")->rows, 1u);
  const std::optional<GrowthBreach> both = check("0B/s");
  ASSERT_TRUE(both.has_value());
  EXPECT_EQ(both->rows, 2u);
  EXPECT_EQ(both->row->frames[0]->line, 2);
  EXPECT_DOUBLE_EQ(both->per_second, 200);
  EXPECT_EQ(check("total:100B/s")->row, nullptr);
  EXPECT_DOUBLE_EQ(check("total:100B/s")->per_second, 135);
  EXPECT_FALSE(check("total:135B/s").has_value());
  EXPECT_TRUE(check("150blocks/s").has_value());
}

}  // namespace
}  // namespace memtrace
