#include "tools/model/leaks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/tools/model/random_profile.h"
#include "tools/render/breach.h"
#include "tools/render/render.h"

namespace memtrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

// SmallProfile after `second` seconds, with `bytes` more on line 9 in as many blocks, and `others`
// on line 4.
Profile Later(int64_t second, int64_t bytes, int64_t others = 0) {
  Profile profile = SmallProfile();
  profile.processes[0].duration_ns = second * 1000000000;
  profile.processes[0].end = EndKind::kRunning;
  for (auto [line, more] : {std::pair<int, int64_t>{9, bytes}, {4, others}}) {
    const FrameId frame = PythonFrame(&profile, "/home/me/app/main.py", "<module>", line);
    profile.AddSample({Stack(&profile, {frame}),
                       0,
                       Domain::kPythonObj,
                       0,
                       0,
                       {more, more, more, more, 0, 0, 0, 0}});
  }
  return profile;
}

struct Leaks {
  explicit Leaks(const std::vector<Profile>& profiles, const View& view = {}) : finder(view) {
    for (size_t i = 0; i < profiles.size(); ++i) {
      EXPECT_TRUE(finder.Add(profiles[i], absl::StrCat(i, ".mtr")).ok());
    }
    absl::StatusOr<LeakTable> found = finder.Finish();
    EXPECT_TRUE(found.ok()) << found.status();
    table = *std::move(found);
  }
  std::string Render(Format format) const {
    return *RenderLeaks({&finder.latest(), &table, 10, {}}, format);
  }
  LeakFinder finder;
  LeakTable table;
};

TEST(RenderLeaks, TextReadsAsDesigned) {
  EXPECT_EQ(
      Leaks({Later(10, 0, 0), Later(20, 10240, 7), Later(30, 20480, 7)}).Render(Format::kText),
      "memtrace  python main.py (CPython 3.12.1) running for 30.0 s\n"
      "          now 6057 KiB -> 6077 KiB (+20.0 KiB) in 20.0 s, 3 snapshots: 1024 B/s, 1,024 "
      "blocks/s\n"
      "\n"
      "    size     growth   blocks     slope    lately  blocks/s  confidence  growing in every "
      "interval, by line\n"
      "1194 KiB  +20.0 KiB  +20,480  1024 B/s  1024 B/s     1,024     >99.9 %  main.py:9  "
      "df['OrderYear'] = years(df)\n"
      "1 other holds more than at first, but did not grow in every interval.\n");
  EXPECT_THAT(Leaks({Later(1, 5), Later(2, 5), Later(3, 5)}).Render(Format::kText),
              HasSubstr("No leak found: nothing grows in every interval.\n"));
}

TEST(RenderLeaks, JsonHoldsTheDocumentedFields) {
  const Leaks leaks({Later(10, 0), Later(20, 1000), Later(30, 4000)});
  const Json json = Json::parse(leaks.Render(Format::kJson));
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["kind"], "leaks");
  EXPECT_EQ(json["process"]["pid"], 4711);
  ASSERT_EQ(json["snapshots"].size(), 3u);
  EXPECT_EQ(json["snapshots"][1]["snapshot"], "1.mtr");
  EXPECT_EQ(json["snapshots"][1]["elapsed_ns"], 20000000000);
  EXPECT_EQ(json["snapshots"][1]["now_bytes"], 6202400 + 1000);
  EXPECT_EQ(json["size_trend"]["per_second"], 200);
  EXPECT_EQ(json["more_rows"], 0);
  EXPECT_EQ(json["stopped_rows"], 0);
  ASSERT_EQ(json["rows"].size(), 1u);
  const Json& row = json["rows"][0];
  EXPECT_EQ(row["file"], "main.py");
  EXPECT_EQ(row["line"], 9);
  EXPECT_EQ(row["size"], 1202000 + 4000);
  EXPECT_EQ(row["size_diff"], 4000);
  EXPECT_EQ(row["count_diff"], 4000);
  EXPECT_EQ(row["sizes"], Json::array({1202000, 1203000, 1206000}));
  EXPECT_EQ(row["counts"], Json::array({4, 1004, 4004}));
  EXPECT_EQ(row["size_trend"]["per_second"], 200);
  EXPECT_EQ(row["last_size_per_second"], 300);
  EXPECT_LT(row["size_trend"]["confidence"], 1);
  EXPECT_GT(row["size_trend"]["error"], 0);
  EXPECT_GT(row["size_trend"]["r_squared"], 0.9);
}

TEST(RenderLeaks, CsvAndMarkdown) {
  const Leaks leaks({Later(10, 0), Later(20, 10240), Later(30, 20480)});
  EXPECT_EQ(leaks.Render(Format::kCsv),
            "file,line,function,domain,size,count,size_diff,count_diff,size_per_second,"
            "count_per_second,last_size_per_second,confidence,place\n"
            "main.py,9,<module>,\"malloc,python.obj\",1222480,20484,20480,20480,1024,1024,1024,"
            "1.000000,main.py:9\n");
  EXPECT_THAT(
      leaks.Render(Format::kMarkdown),
      HasSubstr("| 1194 KiB | +20.0 KiB | +20,480 | 1024 B/s | 1024 B/s | 1,024 | >99.9 % | "
                "main.py:9 | `df['OrderYear'] = years(df)` |\n"));
  EXPECT_EQ(RenderLeaks({&leaks.finder.latest(), &leaks.table, 10, {}}, Format::kTracemalloc)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(RenderLeaks, EveryGroupingAndEveryName) {
  for (GroupBy by : {GroupBy::kLine, GroupBy::kFile, GroupBy::kFunction, GroupBy::kTraceback,
                     GroupBy::kDomain, GroupBy::kThread, GroupBy::kProcess}) {
    View view;
    view.by = by;
    const Leaks leaks({Later(1, 0), Later(2, 10), Later(3, 20)}, view);
    ASSERT_EQ(leaks.table.rows.size(), 1u);
    const Json row = Json::parse(leaks.Render(Format::kJson))["rows"][0];
    EXPECT_EQ(row.contains("frames"), by == GroupBy::kTraceback);
    EXPECT_EQ(row["size_diff"], 20);
    for (Format format : {Format::kText, Format::kCsv, Format::kMarkdown}) {
      EXPECT_FALSE(leaks.Render(format).empty());
    }
  }
}

TEST(GrowthSentence, SaysWhatGrowsAndHowFast) {
  const Leaks leaks({Later(10, 0, 0), Later(20, 10240, 10), Later(30, 20480, 20)});
  const auto breach = [&](const char* limit) {
    return *CheckGrowth(*ParseGrowthLimit(limit), leaks.table);
  };
  EXPECT_EQ(GrowthSentence(breach("1B/s"), GroupBy::kLine),
            "main.py:9: grows by 1024 B/s (confidence >99.9 %), past 1B/s");
  EXPECT_EQ(GrowthSentence(breach("0blocks/h"), GroupBy::kLine),
            "main.py:9: grows by 1,024 blocks/s (confidence >99.9 %), past 0blocks/h; and 1 more "
            "broke the same limit");
  EXPECT_THAT(GrowthSentence(breach("total:>0B/s"), GroupBy::kLine),
              StartsWith("live memory grows by 1025 B/s"));
  EXPECT_EQ(GrowthAnnotation(breach("1B/s"), GroupBy::kLine, "/home/me"),
            "::error file=app/main.py,line=9,title=memtrace::main.py:9: grows by 1024 B/s "
            "(confidence >99.9 %25), past 1B/s\n");
}

}  // namespace
}  // namespace memtrace
