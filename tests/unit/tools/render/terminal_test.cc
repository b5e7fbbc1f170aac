#include "tools/render/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace memtrace {
namespace {

class TerminalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}) unsetenv(name);
    setenv("TERM", "xterm", 1);
    tty_ = posix_openpt(O_RDWR | O_NOCTTY);
    ASSERT_GE(tty_, 0);
    grantpt(tty_);
    unlockpt(tty_);
    end_ = open(ptsname(tty_), O_RDWR | O_NOCTTY);
    ASSERT_GE(end_, 0);
    ASSERT_EQ(pipe(pipe_), 0);
  }
  void TearDown() override {
    for (int fd : {tty_, end_, pipe_[0], pipe_[1]}) close(fd);
    SetEnvironmentBack();
  }
  static void SetEnvironmentBack() {
    for (const char* name : {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}) unsetenv(name);
  }

  int tty_ = -1, end_ = -1;
  int pipe_[2] = {-1, -1};
};

TEST_F(TerminalTest, ColoursATerminalOnly) {
  EXPECT_TRUE(DescribeTerminal(end_).color);
  EXPECT_FALSE(DescribeTerminal(pipe_[1]).color);
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(DescribeTerminal(end_).color);
}

TEST_F(TerminalTest, EnvironmentAndFlagDecide) {
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(DescribeTerminal(end_).color);
  EXPECT_TRUE(DescribeTerminal(pipe_[1], ColorChoice::kAlways).color);
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(DescribeTerminal(end_).color) << "empty means not set";
  setenv("FORCE_COLOR", "1", 1);
  EXPECT_TRUE(DescribeTerminal(pipe_[1]).color);
  EXPECT_FALSE(DescribeTerminal(end_, ColorChoice::kNever).color);
}

TEST_F(TerminalTest, IsAsWideAsColumnsSays) {
  EXPECT_EQ(DescribeTerminal(pipe_[1]).columns, 0) << "a pipe has no width";
  setenv("COLUMNS", "50", 1);
  EXPECT_EQ(DescribeTerminal(pipe_[1]).columns, 50);
  setenv("COLUMNS", "wide", 1);
  EXPECT_EQ(DescribeTerminal(pipe_[1]).columns, 0);
}

TEST(Printable, TakesControlAway) {
  EXPECT_EQ(Printable("a\033[31mb\tc\n"), "a?[31mb c?");
  EXPECT_EQ(Printable("caf\xc3\xa9 \xe2\x82\xac"), "caf\xc3\xa9 \xe2\x82\xac");
  EXPECT_EQ(Printable("x\xff\xc3"), "x??");
  EXPECT_EQ(Printable("a\xe2\x80\xae"
                      "b"),
            "a?b")
      << "right-to-left override";
  EXPECT_EQ(Printable("\xc2\x9b"), "?") << "C1 control";
  EXPECT_EQ(Printable("\xed\xa0\x80"), "???") << "surrogate";
}

TEST(DisplayWidth, CountsColumns) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("caf\xc3\xa9"), 4);
  EXPECT_EQ(DisplayWidth("e\xcc\x81"), 1);
  EXPECT_EQ(DisplayWidth("\xe6\xbc\xa2\xe5\xad\x97"), 4);
}

TEST(CutToWidth, KeepsWholeCharacters) {
  EXPECT_EQ(CutToWidth("abcdef", 6), "abcdef");
  EXPECT_EQ(CutToWidth("abcdef", 4), "abc…");
  EXPECT_EQ(CutToWidth("abcdef", 0), "abcdef");
  EXPECT_EQ(CutToWidth("\xe6\xbc\xa2\xe5\xad\x97", 3), "\xe6\xbc\xa2…");
}

}  // namespace
}  // namespace memtrace
