#include "tools/cli/library_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace memtrace {
namespace {

using ::testing::HasSubstr;

// A folder with what a test puts there; it is the only one on PATH.
class LibraryPathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    old_path_ = getenv("PATH");
    setenv("PATH", ("/no/such/folder:" + folder_).c_str(), 1);
  }
  void TearDown() override {
    setenv("PATH", old_path_.c_str(), 1);
    ASSERT_EQ(system(("rm -rf " + folder_).c_str()), 0);
  }
  std::string Write(const std::string& name, const std::string& content, mode_t mode) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << content;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  std::string folder_ = "/tmp/memtrace-test-XXXXXX";
  std::string old_path_;
};

TEST_F(LibraryPathTest, FindsProgramsAsExecvpDoes) {
  const std::string script = Write("tool", "#!/bin/sh\n", 0755);
  Write("plain", "text", 0644);
  bool denied = false;
  EXPECT_EQ(FindProgram("tool", &denied), script);
  EXPECT_EQ(FindProgram(script, &denied), script);
  EXPECT_EQ(FindProgram("missing", &denied), "");
  EXPECT_FALSE(denied);
  EXPECT_EQ(FindProgram("plain", &denied), "");
  EXPECT_TRUE(denied);
  EXPECT_EQ(FindProgram(folder_, &denied), "");  // a folder cannot be executed
  EXPECT_TRUE(denied);
}

TEST_F(LibraryPathTest, KnowsWhatCannotBeTraced) {
  EXPECT_EQ(WhyUntraceable("/bin/sh"), "");
  EXPECT_EQ(WhyUntraceable(Write("script", "#!/bin/sh -e\n", 0755)), "");
  EXPECT_EQ(WhyUntraceable(Write("loop", "#!" + folder_ + "/loop\n", 0755)), "");
  EXPECT_EQ(WhyUntraceable("/no/such/file"), "");
  if (geteuid() == 0) {
    const std::string other = Write("setuid", "#!/bin/sh\n", 0755);
    ASSERT_EQ(chown(other.c_str(), 12345, 12345), 0);
    ASSERT_EQ(chmod(other.c_str(), 04755), 0);
    EXPECT_THAT(WhyUntraceable(other), HasSubstr("setuid"));
  }
  std::string elf(64, '\0');
  elf.replace(0, 6, "\177ELF\001\001", 6);  // 32 bits
  EXPECT_THAT(WhyUntraceable(Write("elf32", elf, 0755)), HasSubstr("a 32-bit program"));
  EXPECT_EQ(WhyUntraceable(Write("cut", elf.substr(0, 20), 0755)), "");
}

TEST_F(LibraryPathTest, EnvironmentOverridesThePlaceOfTheLibrary) {
  const std::string library = Write("libmemtrace.so", "", 0644);
  setenv("MEMTRACE_LIBRARY", library.c_str(), 1);
  EXPECT_EQ(FindLibrary().value_or(""), library);
  setenv("MEMTRACE_LIBRARY", "/no/such.so", 1);
  EXPECT_THAT(std::string(FindLibrary().status().message()), HasSubstr("/no/such.so"));
  unsetenv("MEMTRACE_LIBRARY");
}

}  // namespace
}  // namespace memtrace
