#include "tools/model/aggregate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/unit/tools/model/random_profile.h"

namespace memtrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr GroupBy kAllGroups[] = {GroupBy::kLine,      GroupBy::kFile,   GroupBy::kFunction,
                                  GroupBy::kTraceback, GroupBy::kDomain, GroupBy::kThread,
                                  GroupBy::kProcess,   GroupBy::kModule, GroupBy::kLabel};

constexpr Metric kAllMetrics[] = {Metric::kNow, Metric::kPeak, Metric::kTotal, Metric::kTemporary};

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

const std::vector<Domain> kAllDomains = {Domain::kMalloc, Domain::kPythonMem, Domain::kPythonObj,
                                         Domain::kMmap, Domain::kMmapFile};

// Every view that the properties are tried with.
std::vector<View> Views() {
  std::vector<View> views;
  for (GroupBy by : kAllGroups) {
    for (Metric metric : kAllMetrics) {
      View view;
      view.by = by;
      view.metric = metric;
      views.push_back(view);
      view.own = true;
      views.push_back(view);
      view.domains = {Domain::kMalloc, Domain::kPythonObj};
      view.exclude = {"*json*"};
      views.push_back(view);
      view.domains = {Domain::kMmapFile, Domain::kMmap};
      views.push_back(view);
      view.domains = {};
      view.labels = {"load/*", "(no label)"};
      views.push_back(view);
    }
  }
  return views;
}

// A sample of 10 bytes for each label; 0: without.
Profile Labelled(const std::vector<std::string>& labels) {
  Profile profile;
  profile.processes.push_back(PythonProcess(1, "/srv"));
  for (const std::string& label : labels) {
    Sample sample;
    sample.domain = Domain::kPythonObj;
    sample.label = profile.InternString(label);
    sample.values.inuse_objects = 1;
    sample.values.inuse_bytes = 10;
    profile.AddSample(sample);
  }
  return profile;
}

std::map<std::string, int64_t> BytesByLabel(const Profile& profile,
                                            const std::vector<std::string>& patterns) {
  View view;
  view.by = GroupBy::kLabel;
  view.labels = patterns;
  const Table table = Aggregated(profile, view);
  std::map<std::string, int64_t> bytes;
  int64_t sum = 0;
  for (const Row& row : table.rows) sum += bytes[row.label] = row.values.inuse_bytes;
  EXPECT_EQ(sum, table.selected.inuse_bytes);
  return bytes;
}

TEST(Aggregate, ByLabel) {
  const Profile profile = Labelled({"load", "load", "load/parse", "loader", "", "GET /a/b"});
  using Bytes = std::map<std::string, int64_t>;
  EXPECT_EQ(
      BytesByLabel(profile, {}),
      (Bytes{
          {"load", 20}, {"load/parse", 10}, {"loader", 10}, {"(no label)", 10}, {"GET /a/b", 10}}));
  EXPECT_EQ(BytesByLabel(profile, {"load"}), (Bytes{{"load", 20}, {"load/parse", 10}}))
      << "with what is labelled inside";
  EXPECT_EQ(BytesByLabel(profile, {"*/parse", "GET /a/b"}),
            (Bytes{{"load/parse", 10}, {"GET /a/b", 10}}));
  EXPECT_EQ(BytesByLabel(profile, {"(no label)"}), (Bytes{{"(no label)", 10}}));
  EXPECT_EQ(BytesByLabel(profile, {"lo"}), Bytes{});
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
        if (IsBeside(row, table)) continue;
        size += SizeOf(row.values, view.metric);
        count += CountOf(row.values, view.metric);
      }
      EXPECT_EQ(size, SizeOf(table.selected, view.metric));
      EXPECT_EQ(count, CountOf(table.selected, view.metric));
      Values whole = profile.MemoryTotals();
      if (!view.domains.empty() && IsAddressSpace(view.domains[0])) {
        whole = profile.Totals();
        whole -= profile.MemoryTotals();
      }
      EXPECT_EQ(table.whole, whole);
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

// A block of one stack, live or gone.
Profile OneStack(int64_t live_bytes) {
  Profile profile;
  profile.processes.push_back(PythonProcess(1, "/home/me/app"));
  Sample sample;
  sample.domain = Domain::kPythonObj;
  sample.node = Stack(&profile, {PythonFrame(&profile, "/home/me/app/main.py", "main", 9),
                                 PythonFrame(&profile, "/home/me/app/main.py", "make", 4)});
  sample.values.alloc_objects = 1;
  sample.values.alloc_bytes = 100;
  sample.values.inuse_objects = live_bytes != 0;
  sample.values.inuse_bytes = live_bytes;
  profile.AddSample(sample);
  return profile;
}

// The other profile, where its blocks are gone, is read first or last.
TEST(Compare, StacksHaveTheirFramesWhicheverProfileHasThemLive) {
  View view;
  view.by = GroupBy::kTraceback;
  for (const auto& [before, after] : {std::pair(100, 0), std::pair(0, 100), std::pair(50, 100)}) {
    const Table table = Compared(OneStack(before), OneStack(after), view);
    ASSERT_EQ(table.rows.size(), 1u) << before;
    ASSERT_EQ(table.rows[0].frames.size(), 2u) << before;
    EXPECT_EQ(table.rows[0].frames[0]->line, 4);
    EXPECT_EQ(table.rows[0].frames[1]->line, 9);
  }
  EXPECT_TRUE(Aggregated(OneStack(0), view).rows.empty());
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
      Table table = Compared(a, b, view);
      std::erase_if(table.rows, [&](const Row& row) { return IsBeside(row, table); });
      Change sum = {0, 0};
      for (const auto& [key, row] : Changes(table, 1)) {
        sum.first += row.first;
        sum.second += row.second;
      }
      const Values &before = table.old_selected, &after = table.selected;
      EXPECT_EQ(sum.first, SizeOf(after, view.metric) - SizeOf(before, view.metric));
      EXPECT_EQ(sum.second, CountOf(after, view.metric) - CountOf(before, view.metric));
    }
  }
}

// The samples for which `keep` holds, with their stacks.
template <typename Keep>
Profile Only(const Profile& profile, Keep keep) {
  Profile kept;
  kept.processes = profile.processes;
  const auto frame = [&](FrameId id) {
    if (id == 0) return FrameId{0};
    Frame copy = profile.frame(id);
    Function function = profile.function(copy.function);
    function.name = kept.InternString(profile.string(function.name));
    function.filename = kept.InternString(profile.string(function.filename));
    copy.function = kept.InternFunction(function);
    copy.module = kept.InternString(profile.string(copy.module));
    return kept.InternFrame(copy);
  };
  for (Sample sample : profile.samples()) {
    if (!keep(sample)) continue;
    std::vector<FrameId> stack;
    for (FrameId id : profile.Stack(sample.node)) stack.insert(stack.begin(), frame(id));
    sample.node = Stack(&kept, stack);
    sample.caller = frame(sample.caller);
    sample.label = kept.InternString(profile.string(sample.label));
    kept.AddSample(sample);
  }
  return kept;
}

// The file that a sample belongs to without --own, as recorded.
std::string FileOf(const Profile& profile, const Sample& sample) {
  const std::vector<FrameId> stack = profile.Stack(sample.node);
  const FrameId id = stack.empty() ? sample.caller : stack[0];
  return id == 0 ? "" : profile.string(profile.function(profile.frame(id).function).filename);
}

// Comparing and then leaving out is the same as leaving out and then comparing, for every grouping
// and metric.
template <typename Keep>
void ExpectFilterCommutes(const View& filter, Keep keep) {
  for (uint32_t seed = 0; seed < 5; ++seed) {
    const Profile a = RandomProfile(seed), b = RandomProfile(seed + 100);
    const Profile kept_a = Only(a, [&](const Sample& s) { return keep(a, s); });
    const Profile kept_b = Only(b, [&](const Sample& s) { return keep(b, s); });
    EXPECT_LT(kept_a.samples().size(), a.samples().size());
    for (GroupBy by : kAllGroups) {
      for (Metric metric : kAllMetrics) {
        View filtered = filter, plain;
        filtered.by = plain.by = by;
        filtered.metric = plain.metric = metric;
        filtered.own = plain.own = filter.own;
        if (!filter.domains.empty()) plain.domains = kAllDomains;
        const auto changes = Changes(WithReadableKeys(Compared(kept_a, kept_b, plain)), 1);
        EXPECT_FALSE(changes.empty());
        EXPECT_EQ(changes, Changes(WithReadableKeys(Compared(a, b, filtered)), 1))
            << static_cast<int>(by) << " " << static_cast<int>(metric);
      }
    }
  }
}

// A reservation of a terabyte is no memory: whoever does not ask for it does not see it, but for
// one row by domain, which has no part in the sums.
TEST(Aggregate, AddressSpaceIsShownWhenItIsAskedFor) {
  Profile profile = SmallProfile();
  const Values memory = profile.Totals();
  profile.AddSample({0, 0, Domain::kMmap, 0, 0, {1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 0, 0}});
  profile.AddSample({0, 0, Domain::kMmapFile, 0, 0, {2, 8192, 1, 4096, 1, 4096, 0, 0}});
  for (GroupBy by : kAllGroups) {
    View view;
    view.by = by;
    const Table table = Aggregated(profile, view);
    EXPECT_EQ(table.selected, memory);
    EXPECT_EQ(table.whole, memory);
    EXPECT_EQ(std::count_if(table.rows.begin(), table.rows.end(),
                            [&](const Row& row) { return WholeOf(row, table) == 0; }),
              by == GroupBy::kDomain ? 2 : 0);
    view.domains = {Domain::kMmap};
    const Table mapped = Aggregated(profile, view);
    EXPECT_EQ(mapped.selected.inuse_bytes, 1 << 30);
    EXPECT_EQ(mapped.whole.inuse_bytes, (1 << 30) + 4096);
    ASSERT_EQ(mapped.rows.size(), 1u);
    EXPECT_EQ(WholeOf(mapped.rows[0], mapped), mapped.whole.inuse_bytes);
  }
}

TEST(Compare, FilterByDomainCommutes) {
  View view;
  view.domains = {Domain::kMalloc, Domain::kMmap};
  const auto keep = [](const Profile&, const Sample& s) {
    return s.domain == Domain::kMalloc || s.domain == Domain::kMmap;
  };
  ExpectFilterCommutes(view, keep);
  view.own = true;
  ExpectFilterCommutes(view, keep);
}

TEST(Compare, FilterByFileCommutes) {
  const auto is_json = [](const Profile& p, const Sample& s) {
    return FileOf(p, s).find("/json/") != std::string::npos;
  };
  View view;
  view.include = {"*/json/*"};
  ExpectFilterCommutes(view, is_json);
  view.include.clear();
  view.exclude = {"*/json/*"};
  ExpectFilterCommutes(view, [&](const Profile& p, const Sample& s) { return !is_json(p, s); });
}

TEST(Compare, FilterByProcessCommutes) {
  View view;
  view.process = "4712";
  ExpectFilterCommutes(view, [](const Profile&, const Sample& s) { return s.process == 1; });
}

TEST(Compare, IncludedAndExcludedAreAll) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const Profile a = RandomProfile(seed), b = RandomProfile(seed + 100);
    for (Metric metric : kAllMetrics) {
      View all;
      all.metric = metric;
      View included = all, excluded = all;
      included.include = excluded.exclude = {"*/json/*"};
      std::map<std::string, Change> parts = Changes(Compared(a, b, included), 1);
      EXPECT_FALSE(parts.empty());
      for (const auto& row : Changes(Compared(a, b, excluded), 1)) {
        EXPECT_TRUE(parts.insert(row).second) << row.first << " is in both parts";
      }
      EXPECT_EQ(parts, Changes(Compared(a, b, all), 1));
    }
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
