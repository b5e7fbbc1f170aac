#include "tools/model/aggregate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/unit/tools/model/random_profile.h"

namespace memtrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr GroupBy kAllGroups[] = {GroupBy::kLine,      GroupBy::kFile,   GroupBy::kFunction,
                                  GroupBy::kTraceback, GroupBy::kDomain, GroupBy::kThread,
                                  GroupBy::kProcess};

Table Aggregated(const Profile& profile, const View& view) {
  absl::StatusOr<Table> table = Aggregate(profile, view);
  EXPECT_TRUE(table.ok()) << table.status();
  return *std::move(table);
}

Table Compared(const Profile& a, const Profile& b, const View& view) {
  absl::StatusOr<Table> table = Compare(a, b, view);
  EXPECT_TRUE(table.ok()) << table.status();
  return *std::move(table);
}

std::string Where(const Row& row) {
  if (row.frames.empty()) return row.label;
  return absl::StrCat(row.frames[0]->file.shown, ":", row.frames[0]->line);
}

std::vector<std::string> Places(const Table& table) {
  std::vector<std::string> places;
  for (const Row& row : table.rows) places.push_back(Where(row));
  return places;
}

// Every view that the properties are tried with.
std::vector<View> Views() {
  std::vector<View> views;
  for (GroupBy by : kAllGroups) {
    for (Metric metric : {Metric::kNow, Metric::kPeak, Metric::kTotal}) {
      View view;
      view.by = by;
      view.metric = metric;
      views.push_back(view);
      view.own = true;
      views.push_back(view);
      view.domains = {Domain::kMalloc, Domain::kPythonObj};
      view.exclude = {"*json*"};
      views.push_back(view);
    }
  }
  return views;
}

TEST(Aggregate, ByLine) {
  View view;
  view.metric = Metric::kPeak;
  const Table table = Aggregated(SmallProfile(), view);
  EXPECT_THAT(Places(table), ElementsAre("site-packages/pandas/io.py:120", "main.py:9",
                                         "/opt/lib/libx.so:0", "main.py:4"));
  EXPECT_EQ(table.rows[1].values.peak_bytes, 1602000) << "both domains of the line";
  EXPECT_EQ(table.rows[1].domains, 1u << 1 | 1u << 3);
  EXPECT_EQ(table.rows[2].frames[0]->function, "make");
  EXPECT_EQ(table.whole.peak_bytes, 15000000);
}

TEST(Aggregate, NativeSourcesAreNotLookedForInTheProgramsFolder) {
  Profile profile;
  profile.processes.push_back(PythonProcess(1, "/app"));
  const FunctionId function = profile.InternFunction(
      {profile.InternString("read_file"), profile.InternString("../intl/localealias.c"), 200});
  const FrameId caller = profile.InternFrame(
      {FrameKind::kNative, function, 333, profile.InternString("/lib/libc.so.6"), 0x4000});
  profile.AddSample({0, caller, Domain::kMalloc, 0, 0, {1, 10, 1, 10, 1, 10, 0, 0}});
  const Table table = Aggregated(profile, View{});
  EXPECT_THAT(Places(table), ElementsAre("../intl/localealias.c:333"));
  EXPECT_EQ(table.rows[0].frames[0]->file.absolute, "../intl/localealias.c");
}

TEST(Aggregate, OwnGoesToTheProgramsInnermostLine) {
  View view;
  view.metric = Metric::kPeak;
  view.own = true;
  const Table table = Aggregated(SmallProfile(), view);
  EXPECT_THAT(Places(table), ElementsAre("main.py:4", "main.py:9", "(no own line)"));
  EXPECT_EQ(table.rows[0].values.peak_bytes, 12400400);
}

TEST(Aggregate, LeavesOutWhatTheMetricDoesNotKnow) {
  const Table table = Aggregated(SmallProfile(), View{});
  EXPECT_THAT(Places(table),
              ElementsAre("site-packages/pandas/io.py:120", "main.py:9", "main.py:4"));
}

TEST(Aggregate, CumulativeCountsALineOnceForEachStack) {
  Profile profile;
  profile.processes.push_back(PythonProcess(1, "/app"));
  const FrameId recursive = PythonFrame(&profile, "/app/a.py", "f", 3);
  const FrameId top = PythonFrame(&profile, "/app/a.py", "<module>", 9);
  profile.AddSample({Stack(&profile, {top, recursive, recursive, recursive}),
                     0,
                     Domain::kMalloc,
                     0,
                     0,
                     {1, 10, 1, 10, 1, 10, 0, 0}});
  View view;
  view.cumulative = true;
  const Table table = Aggregated(profile, view);
  ASSERT_EQ(table.rows.size(), 2u);
  for (const Row& row : table.rows) EXPECT_EQ(row.values.inuse_bytes, 10) << Where(row);
  view.by = GroupBy::kTraceback;
  EXPECT_EQ(Aggregate(profile, view).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Aggregate, FiltersByFileDomainAndProcess) {
  View view;
  view.metric = Metric::kPeak;
  view.include = {"main.py"};
  EXPECT_THAT(Places(Aggregated(SmallProfile(), view)), ElementsAre("main.py:9", "main.py:4"));
  view.include = {"*/pandas/*"};
  EXPECT_THAT(Places(Aggregated(SmallProfile(), view)),
              ElementsAre("site-packages/pandas/io.py:120"));
  view.include = {};
  view.exclude = {"*.py"};
  EXPECT_THAT(Places(Aggregated(SmallProfile(), view)), ElementsAre("/opt/lib/libx.so:0"));
  view.exclude = {};
  view.domains = {Domain::kPythonMem};
  EXPECT_THAT(Places(Aggregated(SmallProfile(), view)), ElementsAre("main.py:4"));
  view.domains = {};
  for (const char* name : {"4711", "main.py", "main", "python", "python3.12"}) {
    view.process = name;
    EXPECT_EQ(Aggregated(SmallProfile(), view).whole.peak_bytes, 15000000) << name;
  }
  view.process = "other";
  const absl::Status none = Aggregate(SmallProfile(), view).status();
  EXPECT_EQ(none.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.message()), HasSubstr("4711  python main.py"));
}

TEST(Aggregate, RowsSumToTheTotals) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const Profile profile = RandomProfile(seed);
    for (const View& view : Views()) {
      const Table table = Aggregated(profile, view);
      int64_t size = 0, count = 0;
      for (const Row& row : table.rows) {
        size += SizeOf(row.values, view.metric);
        count += CountOf(row.values, view.metric);
      }
      EXPECT_EQ(size, SizeOf(table.selected, view.metric));
      EXPECT_EQ(count, CountOf(table.selected, view.metric));
      EXPECT_EQ(table.whole, profile.Totals());
      if (view.domains.empty() && view.exclude.empty()) {
        EXPECT_EQ(table.selected, table.whole);
      }
    }
  }
}

TEST(Compare, WithItselfIsEmpty) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const Profile profile = RandomProfile(seed);
    for (const View& view : Views()) EXPECT_TRUE(Compared(profile, profile, view).rows.empty());
  }
}

using Change = std::pair<int64_t, int64_t>;  // bytes, blocks

std::map<std::string, Change> Changes(const Table& table, int sign) {
  std::map<std::string, Change> changes;
  for (const Row& row : table.rows) {
    const Metric metric = table.view.metric;
    changes[row.key] = {sign * (SizeOf(row.values, metric) - SizeOf(row.old_values, metric)),
                        sign * (CountOf(row.values, metric) - CountOf(row.old_values, metric))};
  }
  return changes;
}

// Keys by traceback hold numbers that depend on the order of the two profiles: name them instead.
Table WithReadableKeys(Table table) {
  if (table.view.by != GroupBy::kTraceback) return table;
  for (Row& row : table.rows) {
    std::string key = row.frames.empty() ? row.label : "";
    for (const PlaceRef& ref : row.frames) {
      const Place& place = *ref;
      absl::StrAppend(&key, place.file.key, ":", place.line, ":",
                      place.kind == FrameKind::kNative ? place.function : "", ":", place.address,
                      ";");
    }
    row.key = key;
  }
  return table;
}

TEST(Compare, TurnedRoundIsItsNegative) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const Profile a = RandomProfile(seed), b = RandomProfile(seed + 100);
    for (const View& view : Views()) {
      const Table there = WithReadableKeys(Compared(a, b, view));
      const Table back = WithReadableKeys(Compared(b, a, view));
      EXPECT_FALSE(there.rows.empty());
      EXPECT_EQ(Changes(there, 1), Changes(back, -1));
    }
  }
}

TEST(Compare, ChangesSumToTheTotals) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const Profile a = RandomProfile(seed), b = RandomProfile(seed + 100);
    for (const View& view : Views()) {
      const Table table = Compared(a, b, view);
      int64_t change = 0;
      for (const auto& [key, row] : Changes(table, 1)) change += row.first;
      EXPECT_EQ(change,
                SizeOf(table.selected, view.metric) - SizeOf(table.old_selected, view.metric));
    }
  }
}

// The profile without what the domains leave out.
Profile OnlyDomains(const Profile& profile, const std::vector<Domain>& domains) {
  Profile kept;
  kept.processes = profile.processes;
  for (Sample sample : profile.samples()) {
    if (std::find(domains.begin(), domains.end(), sample.domain) == domains.end()) {
      sample.values = {};
    }
    kept.AddSample({0, 0, sample.domain, sample.thread, sample.process, sample.values});
  }
  return kept;
}

TEST(Compare, FiltersCommute) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const Profile a = RandomProfile(seed), b = RandomProfile(seed + 100);
    // Without stacks, so that filtering by hand is simple: by thread.
    View filtered;
    filtered.by = GroupBy::kThread;
    filtered.domains = {Domain::kMalloc, Domain::kMmap};
    View plain;
    plain.by = GroupBy::kThread;
    EXPECT_EQ(
        Changes(Compared(a, b, filtered), 1),
        Changes(Compared(OnlyDomains(a, filtered.domains), OnlyDomains(b, filtered.domains), plain),
                1));
    // A filter over files keeps whole rows of the unfiltered comparison.
    View by_line;
    const std::map<std::string, Change> all = Changes(Compared(a, b, by_line), 1);
    View included = by_line, excluded = by_line;
    included.include = excluded.exclude = {"*/json/*"};
    std::map<std::string, Change> parts = Changes(Compared(a, b, included), 1);
    EXPECT_FALSE(parts.empty());
    for (const auto& row : Changes(Compared(a, b, excluded), 1)) {
      EXPECT_TRUE(parts.insert(row).second) << row.first << " is in both parts";
    }
    EXPECT_EQ(parts, all);
  }
}

TEST(Compare, TwoCheckoutsAndEnvironmentsMeet) {
  const auto profile = [](const std::string& folder, const std::string& python, int64_t bytes) {
    Profile p;
    p.processes.push_back(PythonProcess(1, folder));
    const FrameId main = PythonFrame(&p, folder + "/main.py", "<module>", 4);
    const FrameId pandas =
        PythonFrame(&p, folder + "/.venv/lib/" + python + "/site-packages/pandas/io.py", "f", 7);
    p.AddSample({Stack(&p, {main, pandas}),
                 0,
                 Domain::kPythonObj,
                 0,
                 0,
                 {1, bytes, 1, bytes, 1, bytes, 0, 0}});
    return p;
  };
  const Table table = Compared(profile("/co/one", "python3.11", 100),
                               profile("/srv/two", "python3.12", 130), View{});
  EXPECT_THAT(Places(table), ElementsAre("site-packages/pandas/io.py:7"));
  EXPECT_EQ(table.rows[0].old_values.inuse_bytes, 100);
  EXPECT_EQ(table.rows[0].values.inuse_bytes, 130);
}

TEST(Compare, OrdersAsTracemallocDoes) {
  const auto profile = [](const std::vector<std::pair<int64_t, int64_t>>& lines) {
    Profile p;
    p.processes.push_back(PythonProcess(1, "/app"));
    int64_t line = 0;
    for (auto [bytes, blocks] : lines) {
      const FrameId frame = PythonFrame(&p, "/app/a.py", "f", ++line);
      p.AddSample({Stack(&p, {frame}),
                   0,
                   Domain::kPythonObj,
                   0,
                   0,
                   {blocks, bytes, blocks, bytes, blocks, bytes, 0, 0}});
    }
    return p;
  };
  // Changes by line: +10, -50, +10 (larger), +10 (more blocks), gone.
  const Table table = Compared(profile({{0, 0}, {80, 8}, {90, 1}, {90, 1}, {20, 2}}),
                               profile({{10, 1}, {30, 3}, {100, 1}, {100, 2}, {0, 0}}), View{});
  EXPECT_THAT(Places(table), ElementsAre("a.py:2", "a.py:5", "a.py:4", "a.py:3", "a.py:1"));
}

TEST(CommandText, NamesTheProgramAndItsArguments) {
  EXPECT_EQ(CommandText(PythonProcess(1, "/app")), "python main.py");
  EXPECT_EQ(CommandText(Process{}), "(unknown program)");
}

}  // namespace
}  // namespace memtrace
