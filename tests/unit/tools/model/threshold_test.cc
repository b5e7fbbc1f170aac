#include "tools/model/threshold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tools/model/random_profile.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;

// Line n of main.py, in a function of its own, holds lines[n - 1] bytes; each in one block.
Profile Lines(const std::vector<int64_t>& lines) {
  Profile profile;
  profile.processes.push_back(PythonProcess(1, "/app"));
  int64_t line = 0;
  for (int64_t bytes : lines) {
    ++line;
    const FrameId frame = PythonFrame(&profile, "/app/main.py", absl::StrCat("f", line), line);
    profile.AddSample({Stack(&profile, {frame}),
                       0,
                       Domain::kPythonObj,
                       0,
                       0,
                       {1, 2 * bytes, 1, bytes, 1, bytes, 0, 0}});
  }
  return profile;
}

std::optional<Breach> Check(const std::string& text, const Profile& before, const Profile& after) {
  const absl::StatusOr<Rule> rule = ParseRule(text);
  EXPECT_TRUE(rule.ok()) << rule.status();
  absl::StatusOr<std::optional<Breach>> breach = CheckRule(*rule, before, after, View{});
  EXPECT_TRUE(breach.ok()) << breach.status();
  return *breach;
}

TEST(ParseRule, UnderstandsScopesMetricsAndUnits) {
  const absl::StatusOr<Rule> rule = ParseRule(" line: peak >= 5% && > 1.5 MiB && alloc>10blocks");
  ASSERT_TRUE(rule.ok()) << rule.status();
  EXPECT_EQ(rule->scope, RuleScope::kLine);
  ASSERT_EQ(rule->conditions.size(), 3u);
  EXPECT_EQ(rule->conditions[0].metric, Metric::kPeak);
  EXPECT_TRUE(rule->conditions[0].or_equal);
  EXPECT_EQ(rule->conditions[0].unit, RuleUnit::kPercent);
  EXPECT_EQ(rule->conditions[1].metric, Metric::kPeak) << "the metric before it";
  EXPECT_EQ(rule->conditions[1].limit, 1.5 * kMiB);
  EXPECT_EQ(rule->conditions[2].metric, Metric::kTotal);
  EXPECT_EQ(rule->conditions[2].unit, RuleUnit::kBlocks);
  EXPECT_EQ(ParseRule("temporary>1kB")->conditions[0].metric, Metric::kTemporary);
  EXPECT_EQ(ParseRule(">2MB")->conditions[0].limit, 2e6);
  EXPECT_EQ(ParseRule(">2MB")->scope, RuleScope::kTotal);
  EXPECT_EQ(ParseRule("inuse>7")->conditions[0].limit, 7);
}

TEST(ParseRule, SaysWhatItDoesNotUnderstand) {
  const std::pair<const char*, const char*> kBad[] = {{"", "needs >"},
                                                      {"inuse", "needs >"},
                                                      {"rss>5%", "\"rss\" is none of"},
                                                      {"inuse>5 apples", "no amount"},
                                                      {"inuse>", "no amount"},
                                                      {"page:inuse>1", "\"page\" is none"},
                                                      {"inuse>5%&&", "needs >"},
                                                      {"inuse>1.2.3MiB", "no amount"},
                                                      {"inuse<5", "needs >"}};
  for (const auto& [text, why] : kBad) {
    const absl::StatusOr<Rule> rule = ParseRule(text);
    EXPECT_EQ(rule.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(rule.status().message()), HasSubstr(why)) << text;
  }
}

TEST(CheckRule, NeedsAllConditions) {
  const Profile before = Lines({100 * kMiB}), little = Lines({103 * kMiB}),
                much = Lines({110 * kMiB});
  EXPECT_FALSE(Check("inuse>5%&&>2MiB", before, before).has_value());
  EXPECT_FALSE(Check("inuse>5%&&>2MiB", before, little).has_value()) << "3 MiB, but only 3 %";
  EXPECT_TRUE(Check("inuse>5%&&>2MiB", before, much).has_value());
  EXPECT_FALSE(Check("inuse>5%&&>2MiB", much, before).has_value()) << "it shrank";
  EXPECT_FALSE(Check("inuse>5%&&>2MiB", Lines({1000}), Lines({2000})).has_value());
  EXPECT_TRUE(Check("inuse>5%&&>2MiB", Lines({0}), Lines({3 * kMiB})).has_value()) << "new";
  EXPECT_TRUE(Check("inuse>=10MiB", before, much).has_value());
  EXPECT_FALSE(Check("inuse>10MiB", before, much).has_value());
  EXPECT_TRUE(Check("alloc>15MiB", before, much).has_value()) << "twice as much was allocated";
  EXPECT_FALSE(Check("inuse>=0", before, before).has_value()) << "no growth is no breach";
}

TEST(CheckRule, OfTheTotalNamesTheLineThatGrewMost) {
  const std::optional<Breach> breach =
      Check("inuse>1MiB", Lines({kMiB, kMiB, 9 * kMiB}), Lines({2 * kMiB, 4 * kMiB, 8 * kMiB}));
  ASSERT_TRUE(breach.has_value());
  EXPECT_EQ(breach->before, 11 * kMiB);
  EXPECT_EQ(breach->after, 14 * kMiB);
  ASSERT_TRUE(breach->row.has_value());
  EXPECT_EQ(breach->row->frames[0]->line, 2);
}

TEST(CheckRule, OfLinesFindsWhatTheTotalHides) {
  const Profile before = Lines({kMiB, 9 * kMiB}), after = Lines({4 * kMiB, 6 * kMiB});
  EXPECT_FALSE(Check("inuse>2MiB", before, after).has_value());
  const std::optional<Breach> breach = Check("line:inuse>2MiB", before, after);
  ASSERT_TRUE(breach.has_value());
  EXPECT_EQ(breach->row->frames[0]->line, 1);
  EXPECT_EQ(breach->rows, 1u);
  EXPECT_EQ(breach->before, kMiB);
  EXPECT_FALSE(Check("line:inuse>3MiB", before, after).has_value());
  EXPECT_EQ(Check("function:inuse>2MiB", before, after)->row->frames[0]->function, "f1");
  EXPECT_FALSE(Check("file:inuse>0", before, after).has_value()) << "the file holds as much";
}

TEST(CheckRule, LooksAtWhatTheViewSelects) {
  const Profile before = Lines({kMiB}), after = Lines({9 * kMiB});
  View view;
  view.exclude = {"main.py"};
  const absl::StatusOr<std::optional<Breach>> breach =
      CheckRule(*ParseRule("inuse>1MiB"), before, after, view);
  ASSERT_TRUE(breach.ok());
  EXPECT_FALSE(breach->has_value());
}

}  // namespace
}  // namespace memtrace
