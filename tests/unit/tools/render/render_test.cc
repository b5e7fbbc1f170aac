#include "tools/render/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tools/render/breach.h"
#include "tools/render/summary.h"
#include "tools/render/words.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

std::string Report(const Profile& profile, const View& view, Format format, size_t top = 10,
                   Terminal terminal = {}) {
  const absl::StatusOr<Table> table = Aggregate(profile, view);
  EXPECT_TRUE(table.ok()) << table.status();
  RenderInput input{&profile, nullptr, &*table, top, terminal};
  return Render(input, format);
}

std::string Comparison(const Profile& before, const Profile& after, const View& view, Format format,
                       size_t top = 10) {
  const absl::StatusOr<Table> table = Compare(before, after, view);
  EXPECT_TRUE(table.ok()) << table.status();
  RenderInput input{&after, &before, &*table, top, {}};
  return Render(input, format);
}

View AtPeak() {
  View view;
  view.metric = Metric::kPeak;
  return view;
}

// SmallProfile with 1 MiB more on line 9.
Profile GrownProfile() {
  Profile profile = SmallProfile();
  const FrameId main9 = PythonFrame(&profile, "/home/me/app/main.py", "<module>", 9);
  profile.AddSample({Stack(&profile, {main9}),
                     0,
                     Domain::kPythonObj,
                     0,
                     0,
                     {1, 1 << 20, 1, 1 << 20, 0, 0, 0, 0}});
  return profile;
}

TEST(RenderText, ReadsAsDesigned) {
  View view = AtPeak();
  view.own = true;
  EXPECT_EQ(Report(SmallProfile(), view, Format::kText, 2),
            "memtrace  python main.py (CPython 3.12.1) exited 0 after 1.8 s\n"
            "          peak 14.3 MiB   now 6057 KiB   74 allocations   0 lost\n"
            "\n"
            "    size  count   average   share  at peak, by your own lines\n"
            "11.8 MiB     14   865 KiB  82.7 %  main.py:4  df = pd.read_csv(p)\n"
            "1564 KiB     43  36.4 KiB  10.7 %  main.py:9  df['OrderYear'] = years(df)\n"
            "and 1 more: 974 KiB; --top 0 shows all\n");
}

TEST(RenderText, ComparesAsDesigned) {
  EXPECT_EQ(Comparison(SmallProfile(), GrownProfile(), View{}, Format::kText),
            "old       python main.py (CPython 3.12.1) exited 0 after 1.8 s   0 lost\n"
            "new       python main.py (CPython 3.12.1) exited 0 after 1.8 s   0 lost\n"
            "          now 6057 KiB -> 7081 KiB (+1024 KiB)   peak 14.3 MiB -> 14.3 MiB (+0 B)\n"
            "\n"
            "    size     change  count  change  average   share  now, by line\n"
            "2198 KiB  +1024 KiB      5      +1  440 KiB  31.0 %  main.py:9  "
            "df['OrderYear'] = years(df)\n");
  EXPECT_THAT(Comparison(SmallProfile(), SmallProfile(), View{}, Format::kText),
              HasSubstr("No difference."));
}

TEST(RenderText, TellsWhatBecameOfAllBlocks) {
  View view;
  view.metric = Metric::kTotal;
  view.own = true;
  EXPECT_EQ(Report(SmallProfile(), view, Format::kText, 2),
            "memtrace  python main.py (CPython 3.12.1) exited 0 after 1.8 s\n"
            "          peak 14.3 MiB   now 6057 KiB   74 allocations   0 lost\n"
            "\n"
            "    size  count   average   share      live  temporary  all allocations, by your own "
            "lines\n"
            "12.4 MiB     24   529 KiB  83.3 %  4883 KiB      4.2 %  main.py:4  df = "
            "pd.read_csv(p)\n"
            "1564 KiB     43  36.4 KiB  10.3 %  1174 KiB      0.0 %  main.py:9  df['OrderYear'] = "
            "years(df)\n"
            "and 1 more: 974 KiB; --top 0 shows all\n");
  view.metric = Metric::kTemporary;
  EXPECT_THAT(Report(SmallProfile(), view, Format::kText),
              HasSubstr("100.0 %  4883 KiB      4.2 %  main.py:4"));
  EXPECT_THAT(Report(SmallProfile(), view, Format::kText), HasSubstr("temporary, by your own"));
  Profile none = SmallProfile();
  view.include = {"main.py"};
  view.domains = {Domain::kPythonMem};
  EXPECT_THAT(Report(none, view, Format::kText),
              HasSubstr("no block was freed before its thread's next allocation"));
}

TEST(Render, ChurnIsInEveryForm) {
  View view;
  view.metric = Metric::kTemporary;
  const Profile profile = SmallProfile();
  const Json row = Json::parse(Report(profile, view, Format::kJson))["rows"][0];
  const Json churn = Json::parse(R"({"size": 64, "count": 1, "alloc_size": 13000000,
      "alloc_count": 20, "live_size": 5000000, "live_count": 5, "temporary_size": 64,
      "temporary_count": 1})");
  for (const auto& [key, value] : churn.items()) EXPECT_EQ(row[key], value) << key;
  const std::vector<std::string> lines = absl::StrSplit(Report(profile, view, Format::kCsv), '\n');
  EXPECT_EQ(lines[0],
            "file,line,function,domain,size,count,average,share,alloc_size,alloc_count,live_size,"
            "live_count,temporary_size,temporary_count,place");
  EXPECT_THAT(lines[1], HasSubstr(",64,1,64,1.000000,13000000,20,5000000,5,64,1,"));
  EXPECT_THAT(
      Report(profile, view, Format::kMarkdown),
      HasSubstr("| Size | Count | Average | Share | Live | Temporary | Where (temporary, by "
                "line) | Source |\n|---:|---:|---:|---:|---:|---:|:---|:---|\n| 64 B | 1 |"
                " 64 B | 100.0 % | 4883 KiB | 5.0 % |"));
  EXPECT_THAT(Report(profile, view, Format::kTracemalloc), HasSubstr("size=64 B, count=1"));
  // A comparison has the new side's.
  view.metric = Metric::kTotal;
  EXPECT_THAT(
      Comparison(SmallProfile(), GrownProfile(), view, Format::kText),
      HasSubstr("size     change  count  change   average   share      live  temporary  all"));
  EXPECT_FALSE(
      Json::parse(Report(profile, View{}, Format::kJson))["rows"][0].contains("live_size"));
}

TEST(RenderText, CutsSourceLinesOnlyAndOnlyOnNarrowTerminals) {
  View view = AtPeak();
  view.own = true;
  Terminal narrow;
  narrow.columns = 64;  // figures and place take 46
  EXPECT_THAT(Report(SmallProfile(), view, Format::kText, 10, narrow),
              HasSubstr("%  main.py:9  df['OrderYear'] =…\n"));
  narrow.columns = 56;
  EXPECT_THAT(Report(SmallProfile(), view, Format::kText, 10, narrow),
              ::testing::ContainsRegex("%  main.py:9\n +df\\['Orde"));
  narrow.columns = 20;
  EXPECT_THAT(Report(SmallProfile(), AtPeak(), Format::kText, 10, narrow),
              HasSubstr("site-packages/pandas/io.py:120\n"));
}

TEST(RenderText, ColoursWhenAsked) {
  Terminal color;
  color.color = true;
  EXPECT_THAT(Report(SmallProfile(), View{}, Format::kText, 10, color), HasSubstr("\033["));
  EXPECT_THAT(Report(SmallProfile(), View{}, Format::kText), Not(HasSubstr("\033")));
}

TEST(RenderText, NamesWhatWasLostAndWhatIsInexact) {
  Profile profile = SmallProfile();
  profile.processes[0].losses = {{"region_full", 12, 4096}};
  profile.processes[0].peak_bound = 65536;
  profile.processes[0].flags = kFlagPythonOff;
  profile.processes[0].inherited_bytes = 1000;
  const std::string text = Report(profile, View{}, Format::kText);
  EXPECT_THAT(text, HasSubstr("12 lost (region_full 12)"));
  EXPECT_THAT(text, HasSubstr("peak 14.3 MiB ±64.0 KiB"));
  EXPECT_THAT(text, HasSubstr("Python's frames could not be read"));
  EXPECT_THAT(text, HasSubstr("1000 B were inherited"));
}

TEST(RenderText, OneLineForEachFrameOfAStack) {
  View view = AtPeak();
  view.by = GroupBy::kTraceback;
  const std::string text = Report(SmallProfile(), view, Format::kText, 1);
  EXPECT_THAT(text, HasSubstr("site-packages/pandas/io.py:120\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("\n +main.py:4 +df = pd.read_csv\\(p\\)\n"));
}

TEST(RenderText, TracedNamesDoNotSteerTheTerminal) {
  Profile profile = SmallProfile();
  profile.processes[0].command = {"python", "\033]0;gotcha\007.py"};
  const FrameId evil = PythonFrame(&profile, "/x/\033[2J.py", "f", 1);
  profile.AddSample({Stack(&profile, {evil}),
                     0,
                     Domain::kPythonObj,
                     0,
                     0,
                     {1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 0, 0}});
  profile.source_lines.push_back({profile.InternString("/x/\033[2J.py"), 1, "\033[31m"});
  for (Format format : {Format::kText, Format::kMarkdown, Format::kTracemalloc, Format::kCsv}) {
    const std::string text = Report(profile, View{}, format);
    EXPECT_THAT(text, HasSubstr("/x/?"));
    EXPECT_THAT(text, Not(HasSubstr("\033")));
  }
}

TEST(EndText, TellsHowAProcessEnded) {
  Process process = PythonProcess(1, "/app");
  const std::pair<EndKind, const char*> kEnds[] = {
      {EndKind::kRunning, "running for 1.8 s"},
      {EndKind::kExited, "exited 9 after 1.8 s"},
      {EndKind::kSignaled, "killed by SIGKILL after 1.8 s"},
      {EndKind::kDied, "died (killed, or ended without a word) after 1.8 s"},
      {EndKind::kReplacedByExec, "replaced by another program (exec) after 1.8 s"}};
  process.end_status = 9;
  for (const auto& [end, text] : kEnds) {
    process.end = end;
    EXPECT_EQ(EndText(process), text);
  }
}

TEST(RenderJson, HoldsTheDocumentedFields) {
  const Json json = Json::parse(Report(SmallProfile(), AtPeak(), Format::kJson, 2));
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["kind"], "report");
  EXPECT_EQ(json["process"]["pid"], 4711);
  EXPECT_EQ(json["process"]["command"], Json::array({"python", "main.py"}));
  EXPECT_EQ(json["process"]["python"], "3.12.1");
  EXPECT_EQ(json["process"]["end"], "exited");
  EXPECT_EQ(json["processes"].size(), 1u);
  const Json totals = Json::parse(R"({"now_bytes": 6202400, "now_blocks": 13,
      "peak_bytes": 15000000, "peak_bound_bytes": 0, "alloc_bytes": 15600000,
      "alloc_blocks": 74, "temporary_bytes": 64, "temporary_blocks": 1, "mapped_bytes": 0,
      "mapped_count": 0, "mapped_file_bytes": 0, "mapped_file_count": 0, "lost": 0})");
  EXPECT_EQ(json["totals"], totals);
  ASSERT_EQ(json["rows"].size(), 2u);
  const Json row = Json::parse(R"json({"file": "main.py", "path": "/home/me/app/main.py",
      "line": 9, "function": "<module>", "source": "df['OrderYear'] = years(df)",
      "domain": "malloc,python.obj", "size": 1602000, "count": 43, "average": 37255,
      "share": 0.1068})json");
  EXPECT_EQ(json["rows"][1], row);
  EXPECT_EQ(json["more_rows"], 2);
  EXPECT_FALSE(json.contains("old"));
}

TEST(RenderJson, OfAComparisonHoldsChanges) {
  const Json json = Json::parse(Comparison(SmallProfile(), GrownProfile(), View{}, Format::kJson));
  EXPECT_EQ(json["kind"], "comparison");
  EXPECT_EQ(json["old"]["totals"]["now_bytes"], 6202400);
  EXPECT_EQ(json["totals"]["now_bytes"], 6202400 + (1 << 20));
  ASSERT_EQ(json["rows"].size(), 1u);
  EXPECT_EQ(json["rows"][0]["size_diff"], 1 << 20);
  EXPECT_EQ(json["rows"][0]["count_diff"], 1);
}

TEST(RenderJson, OfTracebacksHoldsFramesInnermostFirst) {
  View view = AtPeak();
  view.by = GroupBy::kTraceback;
  const Json json = Json::parse(Report(SmallProfile(), view, Format::kJson));
  const Json& frames = json["rows"][0]["frames"];
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0]["function"], "read_csv");
  EXPECT_EQ(frames[1]["file"], "main.py");
}

// Rows are written one by one, into a document that has none.
TEST(RenderJson, IsLaidOutAsOneDocument) {
  for (GroupBy by : {GroupBy::kLine, GroupBy::kTraceback, GroupBy::kThread}) {
    for (size_t top : {0, 1, 2}) {
      View view;
      view.by = by;
      const std::string text = Report(RandomProfile(7), view, Format::kJson, top);
      EXPECT_EQ(nlohmann::ordered_json::parse(text).dump(2) + "\n", text);
    }
  }
  View view;
  view.include = {"nowhere"};
  const std::string text = Report(SmallProfile(), view, Format::kJson);
  EXPECT_EQ(Json::parse(text)["rows"].size(), 0u);
  EXPECT_EQ(nlohmann::ordered_json::parse(text).dump(2) + "\n", text);
}

TEST(RenderJson, IsValidWhateverTheNames) {
  for (uint32_t seed = 0; seed < 5; ++seed) {
    for (GroupBy by : {GroupBy::kLine, GroupBy::kTraceback, GroupBy::kThread}) {
      View view;
      view.by = by;
      EXPECT_FALSE(Json::parse(Report(RandomProfile(seed), view, Format::kJson, 0)).empty());
    }
  }
}

TEST(RenderCsv, QuotesAsRfc4180) {
  Profile profile = SmallProfile();
  const FrameId odd = PythonFrame(&profile, "/home/me/app/a,\"b\".py", "f", 1);
  profile.AddSample({Stack(&profile, {odd}),
                     0,
                     Domain::kPythonObj,
                     0,
                     0,
                     {1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 0, 0}});
  const std::vector<std::string> lines =
      absl::StrSplit(Report(profile, View{}, Format::kCsv), '\n');
  EXPECT_EQ(lines[0], "file,line,function,domain,size,count,average,share,place");
  EXPECT_THAT(lines[1],
              StartsWith("\"a,\"\"b\"\".py\",1,f,python.obj,1073741824,1,1073741824,0.9"));
  EXPECT_THAT(Comparison(SmallProfile(), GrownProfile(), View{}, Format::kCsv),
              HasSubstr(",1048576,1,main.py:9\n"));
}

TEST(RenderMarkdown, IsATableThatNamesCannotBreak) {
  Profile profile = SmallProfile();
  const FrameId odd = PythonFrame(&profile, "/home/me/app/a|b.py", "<lambda>", 1);
  profile.AddSample({Stack(&profile, {odd}),
                     0,
                     Domain::kPythonObj,
                     0,
                     0,
                     {1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 0, 0}});
  const std::string text = Report(profile, View{}, Format::kMarkdown);
  EXPECT_THAT(text, HasSubstr("| a\\|b.py:1 |"));
  EXPECT_THAT(text, HasSubstr("| `df['OrderYear'] = years(df)` |"));
}

TEST(RenderMarkdown, StaysWithinItsLimit) {
  const Profile profile = RandomProfile(1, 2000);
  const absl::StatusOr<Table> table = Aggregate(profile, View{});
  const RenderInput input{&profile, nullptr, &*table, 0, {}};
  const std::string all = RenderMarkdown(input);
  ASSERT_GT(all.size(), 5000u);
  const std::string some = RenderMarkdown(input, 2000);
  EXPECT_LT(some.size(), 2100u);
  EXPECT_THAT(some, HasSubstr("more rows are not shown"));
}

TEST(Summary, ReadsAsDesigned) {
  SummaryOptions options;
  options.saved_path = "memtrace-main.4711.mtr";
  EXPECT_EQ(RenderRunSummary(SmallProfile(), options),
            "memtrace  python main.py (CPython 3.12.1) exited 0 after 1.8 s\n"
            "          peak 14.3 MiB   now 6057 KiB   74 allocations   0 lost\n"
            "at peak, by your own lines                    size  count   share\n"
            "  main.py:4  df = pd.read_csv(p)          11.8 MiB     14  82.7 %\n"
            "  main.py:9  df['OrderYear'] = years(df)  1564 KiB     43  10.7 %\n"
            "saved memtrace-main.4711.mtr   next: memtrace report memtrace-main.4711.mtr\n");
}

TEST(Summary, OfAProgramThatWasKilledShowsBothMoments) {
  Profile profile = SmallProfile();
  profile.processes[0].end = EndKind::kSignaled;
  profile.processes[0].end_status = 9;
  SummaryOptions options;
  options.killed_because = "out of memory: for a test";
  EXPECT_EQ(RenderRunSummary(profile, options),
            "memtrace  python main.py (CPython 3.12.1) killed by SIGKILL after 1.8 s\n"
            "          peak 14.3 MiB   now 6057 KiB   74 allocations   0 lost\n"
            "killed by signal 9 (out of memory: for a test)\n"
            "when killed, by your own lines                size  count   share\n"
            "  main.py:4  df = pd.read_csv(p)          4883 KiB      9  80.6 %\n"
            "  main.py:9  df['OrderYear'] = years(df)  1174 KiB      4  19.4 %\n"
            "at peak, by your own lines                    size  count   share\n"
            "  main.py:4  df = pd.read_csv(p)          11.8 MiB     14  82.7 %\n"
            "  main.py:9  df['OrderYear'] = years(df)  1564 KiB     43  10.7 %\n");
}

TEST(Summary, OfAProgramWithoutPythonShowsItsCallers) {
  Profile profile;
  Process process;
  process.pid = 7;
  process.command = {"./a.out"};
  profile.processes.push_back(process);
  const FrameId caller = NativeFrame(&profile, "/opt/a.out", "", 0x1234);
  profile.AddSample({0, caller, Domain::kMalloc, 0, 0, {1, 10, 1, 10, 1, 10, 0, 0}});
  const std::string text = RenderRunSummary(profile, {});
  EXPECT_THAT(text, HasSubstr("at peak, by line"));
  EXPECT_THAT(text, HasSubstr("a.out+0x1234"));
  profile.processes[0].end = EndKind::kSignaled;
  EXPECT_THAT(RenderRunSummary(profile, {}), HasSubstr("\nat peak and when killed, by line"));
  EXPECT_THAT(RenderRunSummary(Profile(), {}), HasSubstr("no process"));
}

Breach TheBreach(const std::string& rule, const Profile& before, const Profile& after) {
  absl::StatusOr<std::optional<Breach>> breach = CheckRule(*ParseRule(rule), before, after, View{});
  EXPECT_TRUE(breach.ok() && breach->has_value());
  return **breach;
}

TEST(Breach, SaysWhatGrewAndWhere) {
  EXPECT_EQ(BreachSentence(TheBreach("inuse>5%&&>512KiB", SmallProfile(), GrownProfile())),
            "inuse grew by 1024 KiB (16.9 %), from 6057 KiB to 7081 KiB, past inuse>5%&&>512KiB; "
            "most of it at main.py:9 (+1024 KiB)");
  EXPECT_EQ(BreachSentence(TheBreach("line:inuse>0blocks", SmallProfile(), GrownProfile())),
            "main.py:9: inuse grew by 1 blocks (25.0 %), from 4 blocks to 5 blocks, past "
            "line:inuse>0blocks");
}

TEST(Breach, IsAnnotatedForGitHub) {
  const Breach breach = TheBreach("inuse>5%", SmallProfile(), GrownProfile());
  EXPECT_EQ(BreachAnnotation(breach, "/home/me"),
            "::error file=app/main.py,line=9,title=memtrace::inuse grew by 1024 KiB (16.9 %25), "
            "from 6057 KiB to 7081 KiB, past inuse>5%25; most of it at main.py:9 (+1024 KiB)\n");
  EXPECT_THAT(BreachAnnotation(breach, "/elsewhere"), StartsWith("::error file=main.py,line=9,"));
}

}  // namespace
}  // namespace memtrace
