#include "tools/read/processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/tools/read/region_builder.h"
#include "tools/read/load.h"

namespace memtrace {
namespace {

using testing::FillSample;
using ::testing::HasSubstr;
using testing::RegionBuilder;

// A folder for regions of its own, in MEMTRACE_DIR.
class ProcessesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    setenv("MEMTRACE_DIR", folder_.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("MEMTRACE_DIR");
    const std::string command = "rm -rf " + folder_;
    ASSERT_EQ(system(command.c_str()), 0);
  }
  void Write(const std::string& name, RegionBuilder& builder) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << builder.Bytes();
  }
  // A region of a process: this very one, or one that is gone.
  void WriteFor(int32_t pid, uint64_t start, uint32_t exec_index, bool ended,
                const std::string& name = "python") {
    RegionBuilder builder;
    FillSample(&builder);
    builder.header().pid = pid;
    builder.header().process_start = start;
    builder.header().exec_index = exec_index;
    builder.header().start_realtime_ns += exec_index;
    builder.header().executable = 0;
    builder.header().command = builder.String(name + std::string("\0main.py", 8));
    builder.header().end =
        static_cast<uint32_t>(ended ? ProcessEnd::kExited : ProcessEnd::kRunning);
    Write(std::to_string(pid) + "-" + std::to_string(start) + "-" + std::to_string(exec_index) +
              ".region",
          builder);
  }
  std::string folder_ = "/tmp/memtrace-test-XXXXXX";
};

TEST_F(ProcessesTest, TellsTheStates) {
  const uint64_t start = ProcessStart(getpid());
  ASSERT_NE(start, 0u);
  WriteFor(getpid(), start, 0, false);
  WriteFor(getpid(), start, 1, false);
  WriteFor(getpid(), start - 1, 0, false);  // the pid was another process's before
  WriteFor(1 << 22, 5, 0, true);
  std::map<std::pair<uint64_t, uint32_t>, EndKind> states;
  for (const RegionEntry& entry : FindRegions(RegionFolders())) {
    ASSERT_TRUE(entry.status.ok()) << entry.status;
    states[{entry.process_start, entry.exec_index}] = entry.state;
  }
  EXPECT_EQ(states.size(), 4u);
  EXPECT_EQ((states[{start, 0}]), EndKind::kReplacedByExec);
  EXPECT_EQ((states[{start, 1}]), EndKind::kRunning);
  EXPECT_EQ((states[{start - 1, 0}]), EndKind::kDied);
  EXPECT_EQ((states[{5, 0}]), EndKind::kExited);
}

TEST_F(ProcessesTest, LooksIntoSessionFoldersAndListsTheUnreadable) {
  ASSERT_EQ(mkdir((folder_ + "/run-1-abc").c_str(), 0700), 0);
  RegionBuilder builder;
  FillSample(&builder);
  Write("run-1-abc/1-2-0.region", builder);
  std::ofstream(folder_ + "/3-3-0.region") << "nonsense";
  std::ofstream(folder_ + "/notes.txt") << "not looked at";
  const std::vector<RegionEntry> entries = FindRegions(RegionFolders());
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_FALSE(entries[0].status.ok());
  EXPECT_TRUE(entries[1].status.ok());
}

TEST_F(ProcessesTest, FindsByPidAndByName) {
  const uint64_t start = ProcessStart(getpid());
  WriteFor(getpid(), start, 0, false);
  WriteFor(getpid(), start, 2, false);
  WriteFor(1 << 22, 5, 0, true, "redis-server");
  const std::vector<RegionEntry> all = FindRegions(RegionFolders());
  std::vector<RegionEntry> found = MatchRegions(all, std::to_string(getpid()));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].exec_index, 2u);
  found = MatchRegions(all, "redis-server");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].pid, 1 << 22);
  EXPECT_EQ(MatchRegions(all, "main").size(), 1u);
  EXPECT_TRUE(MatchRegions(all, "99999999").empty());
}

TEST_F(ProcessesTest, LoadsByPidAndPathAndSaysWhatIsMissing) {
  WriteFor(1 << 22, 5, 0, true);
  absl::StatusOr<Profile> profile = LoadProfile(std::to_string(1 << 22));
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->Totals().inuse_bytes, 6000);
  EXPECT_FALSE(profile->tool_version.empty());
  profile = LoadProfile(folder_ + "/4194304-5-0.region");
  EXPECT_TRUE(profile.ok()) << profile.status();
  EXPECT_THAT(std::string(LoadProfile("99999999").status().message()),
              HasSubstr("process 99999999 is not traced; no process is being traced"));
  EXPECT_THAT(std::string(LoadProfile("/no/such.mtr").status().message()),
              HasSubstr("no such file"));
}

TEST_F(ProcessesTest, StoresTheSourceLinesThatMatter) {
  const std::string source = folder_ + "/prog.py";
  std::ofstream(source) << "first\n  second line  \nthird\n";
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().start_realtime_ns = 2200000000000000000;  // after the file was written
  const uint32_t node = builder.Node(0, builder.PythonFrame(builder.Code("f", source, 1), 2));
  Cell& cell = builder.CellAt(builder.Site(node, 0, Domain::kMalloc, 1), 1);
  cell.alloc.objects = 1;
  cell.alloc.bytes = 1000;
  Write("1-1-0.region", builder);
  absl::StatusOr<Profile> profile = LoadProfile(folder_ + "/1-1-0.region");
  ASSERT_TRUE(profile.ok()) << profile.status();
  ASSERT_EQ(profile->source_lines.size(), 1u);
  EXPECT_EQ(profile->source_lines[0].text, "second line");
  EXPECT_EQ(profile->source_lines[0].line, 2);
}

TEST(ProcessStart, TellsLivingFromGone) {
  EXPECT_GT(ProcessStart(getpid()), 0u);
  EXPECT_EQ(ProcessStart(1 << 22), 0u);
  EXPECT_EQ(ProcessStart(-1), 0u);
}

TEST(ProgramName, IsWhatPeopleCallIt) {
  EXPECT_EQ(ProgramName({"/usr/bin/python3.12", "/home/me/main.py", "-v"}), "main");
  EXPECT_EQ(ProgramName({"python", "-m", "http.server"}), "http.server");
  EXPECT_EQ(ProgramName({"python", "-c", "pass"}), "python");
  EXPECT_EQ(ProgramName({"/usr/sbin/nginx", "-g"}), "nginx");
  EXPECT_EQ(ProgramName({}), "program");
}

TEST(CommandText, IsQuotedAsForAShell) {
  EXPECT_EQ(CommandText({"sh", "-c", "echo it's", ""}), "sh -c 'echo it'\\''s' ''");
}

}  // namespace
}  // namespace memtrace
