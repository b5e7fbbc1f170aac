// The command line as a user meets it: what it prints where, and the exit status.

#include "tools/cli/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_replace.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tools/cli/completion.h"
#include "tools/cli/series.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int status;
  std::string out;
  std::string err;
};

Outcome Memtrace(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "memtrace");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int status = RunApp(static_cast<int>(argv.size()) - 1, argv.data());
  fflush(stdout);
  Outcome outcome{status, "", ""};
  outcome.err = ::testing::internal::GetCapturedStderr();
  outcome.out = ::testing::internal::GetCapturedStdout();
  return outcome;
}

std::string FileText(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class CommandLine : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "GITHUB_WORKSPACE",
                             "NO_COLOR", "FORCE_COLOR", "COLUMNS"}) {
      unsetenv(name);
    }
    std::string pattern = ::testing::TempDir() + "/cli.XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    ASSERT_TRUE(WriteSnapshotFile(SmallProfile(), Path("a.mtr")).ok());
    Profile grown = SmallProfile();
    const FrameId main9 = PythonFrame(&grown, "/home/me/app/main.py", "<module>", 9);
    grown.AddSample({Stack(&grown, {main9}),
                     0,
                     Domain::kPythonObj,
                     0,
                     0,
                     {1, 1 << 20, 1, 1 << 20, 0, 0, 0, 0}});
    ASSERT_TRUE(WriteSnapshotFile(grown, Path("b.mtr")).ok());
  }
  void TearDown() override {
    for (const char* name : {"GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "GITHUB_WORKSPACE"}) {
      unsetenv(name);
    }
    std::filesystem::remove_all(folder_);
  }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  std::string folder_;
};

TEST_F(CommandLine, HelpAndVersion) {
  EXPECT_EQ(Memtrace({"--version"}).status, 0);
  EXPECT_THAT(Memtrace({"--version"}).out, StartsWith("memtrace "));
  const Outcome help = Memtrace({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* command :
       {"run", "snapshot", "report", "compare", "list", "clean", "doctor", "completion"}) {
    EXPECT_THAT(help.out, HasSubstr(command));
    const Outcome own = Memtrace({command, "--help"});
    EXPECT_EQ(own.status, 0) << command;
    EXPECT_THAT(own.out, HasSubstr("Example: ")) << command;
  }
}

TEST_F(CommandLine, WrongUsageIsStatus2AndSaysWhereToRead) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> kWrong = {
      {{}, "a command is missing"},
      {{"frobnicate"}, "no command \"frobnicate\""},
      {{"--frobnicate"}, "--frobnicate means nothing"},
      {{"report"}, "snapshot is required"},
      {{"report", "a", "--frobnicate"}, "--frobnicate"},
      {{"report", "a", "--by", "colour"}, "--by"},
      {{"report", "a", "--top", "many"}, "--top"},
      {{"report", "a", "--domain", "cuda"}, "--domain"},
      {{"report", "a", "--map", "x"}, "OLD=NEW"},
      {{"report", Path("a.mtr"), "--by", "domain", "--cumulative"}, "--cumulative"},
      {{"compare", "a"}, "new is required"},
      {{"compare", "a", "b", "--fail-on", "rss>5"}, "none of inuse, peak, alloc"},
      {{"completion", "tcsh"}, "tcsh"}};
  for (const auto& [arguments, text] : kWrong) {
    const Outcome outcome = Memtrace(arguments);
    EXPECT_EQ(outcome.status, 2) << text;
    EXPECT_THAT(outcome.err, HasSubstr(text));
    EXPECT_THAT(outcome.err, StartsWith("memtrace: "));
    EXPECT_THAT(outcome.out, IsEmpty());
  }
  EXPECT_THAT(Memtrace({"report"}).err, HasSubstr("Try: memtrace report --help"));
}

TEST_F(CommandLine, FailuresAreStatus1AndNameTheFile) {
  std::ofstream(Path("text.mtr")) << "hello";
  const Outcome text = Memtrace({"report", Path("text.mtr")});
  EXPECT_EQ(text.status, 1);
  EXPECT_THAT(text.err, HasSubstr(Path("text.mtr")));
  EXPECT_EQ(Memtrace({"report", Path("none.mtr")}).status, 1);
  EXPECT_EQ(Memtrace({"compare", Path("a.mtr"), Path("none.mtr")}).status, 1);
  EXPECT_EQ(Memtrace({"report", Path("a.mtr"), "--process", "nobody"}).status, 1);
}

TEST_F(CommandLine, ReportPrintsToStandardOutput) {
  const Outcome text = Memtrace({"report", Path("a.mtr"), "--at", "peak", "--own", "--top", "1"});
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.out, HasSubstr("main.py:4  df = pd.read_csv(p)\n"));
  EXPECT_THAT(text.err, IsEmpty());
  const Outcome json = Memtrace({"report", "--format", "json", Path("a.mtr"), "--domain",
                                 "python.mem,mmap", "--include", "*.py", "--exclude", "x*"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["rows"].size(), 1u);
}

TEST_F(CommandLine, SeveralSnapshotsAreAddedUp) {
  const Outcome both = Memtrace({"report", Path("a.mtr"), Path("b.mtr"), "--format", "json"});
  EXPECT_EQ(nlohmann::json::parse(both.out)["totals"]["now_bytes"], 2 * 6202400 + (1 << 20));
}

TEST_F(CommandLine, OutputFilesAreNotReplacedUnasked) {
  const std::vector<std::string> command = {"report", Path("a.mtr"), "-o", Path("out.txt")};
  EXPECT_EQ(Memtrace(command).status, 0);
  EXPECT_THAT(FileText(Path("out.txt")), StartsWith("memtrace  python main.py"));
  const Outcome again = Memtrace(command);
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.err, HasSubstr("already exists"));
  EXPECT_EQ(Memtrace({"report", Path("a.mtr"), "-o", Path("out.txt"), "-f"}).status, 0);
}

TEST_F(CommandLine, CompareShowsWhatGrew) {
  const Outcome text = Memtrace({"compare", Path("a.mtr"), Path("b.mtr")});
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.out, HasSubstr("main.py:9"));
  EXPECT_THAT(text.out, Not(HasSubstr("main.py:4")));
  // tracemalloc lists what did not change, too.
  EXPECT_THAT(
      Memtrace({"compare", Path("a.mtr"), Path("b.mtr"), "--format", "tracemalloc"}).out,
      HasSubstr("/home/me/app/main.py:4: size=400 B (+0 B), count=4 (+0), average=100 B\n"));
}

TEST_F(CommandLine, FailOnExitsWith1AndNamesTheLine) {
  const std::string a = Path("a.mtr"), b = Path("b.mtr");
  EXPECT_EQ(Memtrace({"compare", a, b, "--fail-on", "inuse>50%&&>2MiB"}).status, 0);
  const Outcome broken =
      Memtrace({"compare", a, b, "--fail-on", "peak>1", "--fail-on", "inuse>5%&&>512KiB"});
  EXPECT_EQ(broken.status, 1);
  EXPECT_THAT(broken.err, HasSubstr("most of it at main.py:9 (+1024 KiB)"));
  EXPECT_THAT(broken.err, Not(HasSubstr("::error")));
  EXPECT_EQ(Memtrace({"compare", b, a, "--fail-on", "inuse>0"}).status, 0) << "it shrank";
}

TEST_F(CommandLine, GitHubGetsATableAndAnnotations) {
  setenv("GITHUB_STEP_SUMMARY", Path("summary.md").c_str(), 1);
  setenv("GITHUB_ACTIONS", "true", 1);
  setenv("GITHUB_WORKSPACE", "/home/me/app", 1);
  std::ofstream(Path("summary.md")) << "before\n";
  const Outcome outcome =
      Memtrace({"compare", Path("a.mtr"), Path("b.mtr"), "--fail-on", "line:inuse>0"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("::error file=main.py,line=9,title=memtrace::main.py:9: "));
  EXPECT_THAT(FileText(Path("summary.md")), StartsWith("before\n"));
  EXPECT_THAT(FileText(Path("summary.md")), HasSubstr("| main.py:9 |"));
  setenv("GITHUB_STEP_SUMMARY", Path("none/summary.md").c_str(), 1);
  EXPECT_THAT(Memtrace({"compare", Path("a.mtr"), Path("b.mtr")}).err, HasSubstr("summary"));
}

TEST_F(CommandLine, LeaksOverManySnapshots) {
  for (int i = 1; i <= 3; ++i) {
    Profile profile = SmallProfile();
    profile.processes[0].duration_ns = i * 1000000000LL;
    const FrameId main9 = PythonFrame(&profile, "/home/me/app/main.py", "<module>", 9);
    profile.AddSample({Stack(&profile, {main9}),
                       0,
                       Domain::kPythonObj,
                       0,
                       0,
                       {i, i * 1024, i, i * 1024, 0, 0, 0, 0}});
    ASSERT_TRUE(WriteSnapshotFile(profile, Path(absl::StrCat("leak-", i, ".mtr"))).ok());
  }
  const std::vector<std::string> command = {"report", Path("leak-3.mtr"), Path("leak-1.mtr"),
                                            "--leaks", Path("leak-2.mtr")};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), command.begin(), command.end());
    return Memtrace(more);
  };
  const Outcome text = with({});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("+2048 B      +2  1024 B/s  1024 B/s         1     >99.9 %"));
  EXPECT_EQ(with({"--fail-on", "2KiB/s"}).status, 0);
  const Outcome broken = with({"--fail-on", "2KiB/s", "--fail-on", "total:>1MiB/d"});
  EXPECT_EQ(broken.status, 1);
  EXPECT_THAT(broken.err, HasSubstr("live memory grows by 1024 B/s"));
  EXPECT_EQ(with({"--fail-on", "fast"}).status, 2);
  EXPECT_EQ(with({"--format", "tracemalloc"}).status, 2);
  EXPECT_EQ(with({"--at", "peak"}).status, 2);
  EXPECT_EQ(with({"--by", "thread", "--cumulative"}).status, 2);
  EXPECT_EQ(with({Path("a.mtr")}).status, 0) << "the fourth one is later";
  EXPECT_EQ(with({Path("leak-1.mtr")}).status, 1) << "twice the same moment";
  EXPECT_EQ(Memtrace({"report", "--leaks", Path("a.mtr"), Path("b.mtr")}).status, 2);
  EXPECT_THAT(Memtrace({"report", Path("a.mtr"), "--fail-on", "1B/s"}).err,
              HasSubstr("goes with --leaks"));
}

TEST_F(CommandLine, SeriesOfSnapshots) {
  EXPECT_THAT(Memtrace({"snapshot", "1", "--count", "3"}).err, HasSubstr("goes with --every"));
  EXPECT_EQ(Memtrace({"snapshot", "1", "--every", "soon"}).status, 2);
  EXPECT_EQ(Memtrace({"snapshot", "1", "--every", "1s", "--count", "0"}).status, 2);
  EXPECT_EQ(SeriesName("leak", 7, 20), "leak-007.mtr");
  EXPECT_EQ(SeriesName("a/leak.mtr", 7, 12345), "a/leak-00007.mtr");
  EXPECT_EQ(*ParsePeriod("10"), absl::Seconds(10));
  EXPECT_EQ(*ParsePeriod("1.5m"), absl::Seconds(90));
  EXPECT_EQ(*ParsePeriod("500ms"), absl::Milliseconds(500));
  for (const char* bad : {"", "0", "-1s", "inf", "nan", "1 week", "1us", "1e300"}) {
    EXPECT_FALSE(ParsePeriod(bad).ok()) << bad;
  }
}

// ---------------------------------------------------------------------------------------------
// What is made from the command line's description

class Described : public CommandLine {
 protected:
  void SetUp() override {
    CommandLine::SetUp();
    BuildApp(app_, &status_);
  }

  // "snapshot" -> {"--output", ...}, help aside.
  std::vector<std::pair<std::string, std::vector<std::string>>> Options() {
    std::vector<std::pair<std::string, std::vector<std::string>>> options;
    for (const CLI::App* sub : app_.get_subcommands([](CLI::App*) { return true; })) {
      std::vector<std::string> names;
      for (const CLI::Option* option : sub->get_options()) {
        for (const std::string& name : option->get_lnames()) {
          if (name != "help") names.push_back("--" + name);
        }
      }
      options.emplace_back(sub->get_name(), names);
    }
    return options;
  }

  int status_ = 0;
  CLI::App app_;
};

TEST_F(Described, ManualPageNamesEveryCommandAndOption) {
  const std::string page = absl::StrReplaceAll(
      FileText(std::string(MEMTRACE_SOURCE_DIR) + "/tools/memtrace.1"), {{"\\-", "-"}});
  ASSERT_THAT(page, Not(IsEmpty()));
  size_t count = 0;
  for (const auto& [command, options] : Options()) {
    EXPECT_THAT(page, ::testing::ContainsRegex("\\.SS .*" + command));
    for (const std::string& option : options) {
      EXPECT_THAT(page, HasSubstr(option)) << command;
      ++count;
    }
  }
  EXPECT_GT(count, 25u);
  // And nothing that is not there.
  for (size_t at = page.find(" --"); at != std::string::npos; at = page.find(" --", at + 1)) {
    const std::string option =
        page.substr(at + 1, page.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", at + 1) - at - 1);
    bool known = option == "--help" || option == "--version" || option == "--";
    for (const auto& [command, options] : Options()) {
      known |= std::find(options.begin(), options.end(), option) != options.end();
    }
    EXPECT_TRUE(known) << option << " is no option";
  }
}

TEST_F(Described, CompletionKnowsEveryOptionAndIsValid) {
  const std::tuple<const char*, std::string, const char*> kShells[] = {
      {"bash", BashCompletion(app_), "bash -n"},
      {"zsh", ZshCompletion(app_), "zsh -n"},
      {"fish", FishCompletion(app_), "fish -n"}};
  for (const auto& [shell, script, check] : kShells) {
    for (const auto& [command, options] : Options()) {
      EXPECT_THAT(script, HasSubstr(command)) << shell;
      for (const std::string& option : options) {
        EXPECT_THAT(script, HasSubstr(option.substr(2))) << shell << " " << command;
      }
    }
    std::ofstream(Path(shell)) << script;
    const std::string present = absl::StrCat("command -v ", shell, " >/dev/null");
    if (system(present.c_str()) == 0) {
      EXPECT_EQ(system(absl::StrCat(check, " ", Path(shell)).c_str()), 0) << shell;
    }
    EXPECT_EQ(Memtrace({"completion", shell}).out, script);
  }
}

TEST_F(Described, BashCompletes) {
  std::ofstream(Path("bash")) << BashCompletion(app_);
  const auto complete = [this](const std::string& words, int at) {
    const std::string command =
        absl::StrCat("bash -c '. ", Path("bash"), "; COMP_WORDS=(", words, "); COMP_CWORD=", at,
                     "; _memtrace; echo ${COMPREPLY[@]}' > ", Path("out"));
    EXPECT_EQ(system(command.c_str()), 0);
    return FileText(Path("out"));
  };
  EXPECT_EQ(complete("memtrace co", 1), "compare completion\n");
  EXPECT_EQ(complete("memtrace report --by fi", 3), "filename\n");
  EXPECT_EQ(complete("memtrace report --at t", 3), "total temporary\n");
  EXPECT_EQ(complete("memtrace compare --fa", 2), "--fail-on\n");
  EXPECT_EQ(complete("memtrace run --ex", 2), "--exact-peak\n");
}

}  // namespace
}  // namespace memtrace
