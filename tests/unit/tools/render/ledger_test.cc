#include "tools/render/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/tools/model/random_profile.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Ledger TwoGiB() {
  constexpr int64_t kMiB = 1 << 20;
  Ledger ledger;
  ledger.rss_bytes = 2000 * kMiB;
  ledger.live_bytes = 640 * kMiB;
  ledger.parts = {
      {LedgerKind::kPythonSlack, 800 * kMiB, {}},
      {LedgerKind::kLive, 600 * kMiB, {}},
      {LedgerKind::kAllocatorSlack,
       550 * kMiB,
       {{"free", 500 * kMiB}, {"headers and rounding", 50 * kMiB}}},
      {LedgerKind::kFiles, 40 * kMiB, {{"/lib/a.so", 30 * kMiB}, {"/lib/b\x1b.so", 10 * kMiB}}},
      {LedgerKind::kUnexplained, 10 * kMiB, {}}};
  ledger.arenas = 1000;
  ledger.pinned_arenas = 900;
  ledger.pinned_free_bytes = 780 * kMiB;
  ledger.pins = {{"cache.py:7", 900, 3 * kMiB}, {"app.py:1", 1, 64}};
  return ledger;
}

Profile With(const Ledger& ledger) {
  Profile profile = SmallProfile();
  profile.processes[0].ledgers = {ledger};
  return profile;
}

std::string Text(const Profile& profile, Format format = Format::kText) {
  const absl::StatusOr<Table> table = Aggregate(profile, {});
  EXPECT_TRUE(table.ok());
  return Render({&profile, nullptr, &*table, 10, {}}, format);
}

TEST(RenderLedger, ReadsAsDesigned) {
  EXPECT_THAT(
      Text(With(TwoGiB())),
      HasSubstr("\n"
                "resident memory 2000 MiB, made of\n"
                "   800 MiB  40.0 %  Python's arenas, beyond the live blocks\n"
                "   600 MiB  30.0 %  live blocks\n"
                "   550 MiB  27.5 %  malloc, beyond its live blocks           "
                "free 500 MiB, headers and rounding 50.0 MiB\n"
                "  40.0 MiB   2.0 %  program, libraries and mapped files      "
                "a.so 30.0 MiB, b?.so 10.0 MiB\n"
                "  Of 640 MiB of live blocks 40.0 MiB are not in memory: never touched, or "
                "swapped out.\n"
                "  900 of Python's 1,000 arenas are less than a quarter full and keep 780 MiB "
                "from the system. What is in them:\n"
                "    cache.py:7  in 900 arenas, 3072 KiB\n"
                "    app.py:1  in 1 arena, 64 B\n"));
}

TEST(RenderLedger, UnexplainedIsShownFromOnePercentOn) {
  Ledger ledger = TwoGiB();
  EXPECT_THAT(Text(With(ledger)), Not(HasSubstr("unexplained")));
  EXPECT_THAT(Text(With(ledger), Format::kJson), HasSubstr("\"unexplained\""));
  ledger.parts[4].bytes += 11 << 20;
  ledger.parts[3].bytes -= 11 << 20;
  EXPECT_THAT(Text(With(ledger)), HasSubstr("21.0 MiB   1.1 %  unexplained"));
}

TEST(RenderLedger, WhyNot) {
  Ledger ledger;
  ledger.why = "the process has ended";
  EXPECT_THAT(Text(With(ledger)),
              HasSubstr("\nno ledger of resident memory: the process has ended\n"));
  EXPECT_THAT(Text(SmallProfile()), Not(HasSubstr("resident")));
  ledger = TwoGiB();
  ledger.why = "nobody may look";
  EXPECT_THAT(Text(With(ledger)), HasSubstr("allocators, beyond the live blocks"));
  EXPECT_THAT(Text(With(ledger)), HasSubstr("the blocks lie is not known: nobody may look.\n"));
}

TEST(RenderLedger, Differences) {
  const Profile before = With(TwoGiB());
  Ledger more = TwoGiB();
  more.rss_bytes += 64 << 20;
  more.parts[0].bytes += 100 << 20;
  more.parts[2].bytes -= 36 << 20;
  const Profile after = With(more);
  const absl::StatusOr<Table> table = Compare(before, after, {});
  ASSERT_TRUE(table.ok());
  const RenderInput input{&after, &before, &*table, 10, {}};
  EXPECT_EQ(RenderLedgerText(input),
            "\n"
            "resident memory 2000 MiB -> 2064 MiB (+64.0 MiB), of it\n"
            "  900 MiB   +100 MiB  Python's arenas, beyond the live blocks\n"
            "  514 MiB  -36.0 MiB  malloc, beyond its live blocks\n");
  // One side without: nothing is compared.
  const Profile none = SmallProfile();
  EXPECT_EQ(RenderLedgerText({&after, &none, &*table, 10, {}}), "");
}

TEST(RenderLedger, Markdown) {
  const std::string text = Text(With(TwoGiB()), Format::kMarkdown);
  EXPECT_THAT(text, HasSubstr("| Size | Share | Part | Largest |\n|---:|---:|:---|:---|\n"));
  EXPECT_THAT(text, HasSubstr("| 600 MiB | 30.0 % | live blocks |  |\n"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(RenderLedger, Json) {
  const auto json = nlohmann::json::parse(Text(With(TwoGiB()), Format::kJson));
  const auto& ledger = json["process"]["ledger"];
  EXPECT_EQ(ledger["rss_bytes"], int64_t{2000} << 20);
  int64_t sum = 0;
  for (const auto& part : ledger["parts"]) sum += part["size"].get<int64_t>();
  EXPECT_EQ(sum, ledger["rss_bytes"]);
  EXPECT_TRUE(ledger["why"].is_null());
  EXPECT_EQ(ledger["python_arenas"]["pinned_by"][0]["place"], "cache.py:7");
  EXPECT_TRUE(
      nlohmann::json::parse(Text(SmallProfile(), Format::kJson))["process"]["ledger"].is_null());
}

}  // namespace
}  // namespace memtrace
