// Our snapshots in the real pprof: totals and differences must agree with ours. Runs where a
// `pprof` is found: named by MEMTRACE_PPROF, on the PATH, or in Go's folder of programs (go install
// github.com/google/pprof@latest).

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tools/model/aggregate.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;

std::string Output(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  while (pipe != nullptr && fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
  return pipe != nullptr && pclose(pipe) == 0 ? output : "";
}

std::string FindPprof() {
  if (const char* named = std::getenv("MEMTRACE_PPROF")) return named;
  std::string found = Output("command -v pprof");
  if (found.empty()) found = Output("ls \"$(go env GOPATH 2>/dev/null)/bin/pprof\" 2>/dev/null");
  while (!found.empty() && found.back() == '\n') found.pop_back();
  return found;
}

class Pprof : public ::testing::Test {
 protected:
  void SetUp() override {
    pprof_ = FindPprof();
    if (pprof_.empty()) {
      GTEST_SKIP() << "no pprof here: go install github.com/google/pprof@latest";
    }
    folder_ = absl::StrCat(::testing::TempDir(), "/pprof.", getpid());
    std::filesystem::create_directories(folder_);
    ASSERT_TRUE(WriteSnapshotFile(RandomProfile(1), folder_ + "/a.mtr").ok());
    ASSERT_TRUE(WriteSnapshotFile(RandomProfile(2), folder_ + "/b.mtr").ok());
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::string Top(const std::string& flags, const std::string& file) {
    return Output(absl::StrCat("PPROF_TMPDIR=", folder_, " ", pprof_,
                               " -symbolize=none -nodefraction=0 -unit=B -top ", flags, " ",
                               folder_, "/", file, " 2>&1"));
  }

  // The number that ends in "B total": what is shown, over all nodes.
  static int64_t Shown(const std::string& top) {
    const size_t at = top.find("accounting for ");
    int64_t bytes = 0;
    if (at == std::string::npos) return -1;
    const size_t begin = at + 15;
    const std::string number =
        top.substr(begin, top.find_first_not_of("-0123456789", begin) - begin);
    return absl::SimpleAtoi(number, &bytes) ? bytes : -1;
  }

  std::string pprof_;
  std::string folder_;
};

TEST_F(Pprof, AgreesOnTotals) {
  const Values totals = RandomProfile(1).Totals();
  EXPECT_EQ(Shown(Top("", "a.mtr")), totals.inuse_bytes) << Top("", "a.mtr");
  EXPECT_EQ(Shown(Top("-sample_index=peak_space", "a.mtr")), totals.peak_bytes);
  EXPECT_EQ(Shown(Top("-sample_index=alloc_space", "a.mtr")), totals.alloc_bytes);
}

TEST_F(Pprof, AgreesOnDifferences) {
  const std::string base = absl::StrCat("-diff_base=", folder_, "/a.mtr");
  EXPECT_EQ(Shown(Top(base, "b.mtr")),
            RandomProfile(2).Totals().inuse_bytes - RandomProfile(1).Totals().inuse_bytes);
  EXPECT_EQ(Shown(Top(base, "a.mtr")), 0);
}

TEST_F(Pprof, ReadsTheStrictFormToo) {
  WriteOptions strict;
  strict.strict_pprof = true;
  ASSERT_TRUE(WriteSnapshotFile(RandomProfile(1), folder_ + "/strict.mtr", strict).ok());
  EXPECT_EQ(Top("", "strict.mtr"), Top("", "a.mtr"));
  EXPECT_THAT(Top("", "a.mtr"), HasSubstr("Type: inuse_space"));
}

}  // namespace
}  // namespace memtrace
