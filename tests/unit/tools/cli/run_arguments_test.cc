#include "tools/cli/run_arguments.h"

#include <gtest/gtest.h>

namespace memtrace {
namespace {

std::vector<std::string> Drop(std::vector<std::string> arguments) {
  DropRunSeparator(&arguments);
  return arguments;
}

using Words = std::vector<std::string>;

TEST(DropRunSeparator, TakesOutTheFirstBeforeTheProgram) {
  EXPECT_EQ(Drop({"run", "--", "ls", "-l"}), (Words{"run", "ls", "-l"}));
  EXPECT_EQ(Drop({"run", "-f", "-o", "x", "--", "ls"}), (Words{"run", "-f", "-o", "x", "ls"}));
  EXPECT_EQ(Drop({"run", "--output=x", "--", "ls"}), (Words{"run", "--output=x", "ls"}));
  EXPECT_EQ(Drop({"run", "--stack-depth", "1", "--", "ls"}),
            (Words{"run", "--stack-depth", "1", "ls"}));
  EXPECT_EQ(Drop({"run", "--unwind", "fp", "--", "ls"}), (Words{"run", "--unwind", "fp", "ls"}));
}

TEST(DropRunSeparator, LeavesTheProgramsOwn) {
  for (const Words& words : {Words{"run", "ls", "--", "x"}, Words{"run", "-o", "--", "ls"},
                             Words{"run", "-q", "ls", "--"}, Words{"report", "--", "x"}, Words{},
                             Words{"run"}, Words{"run", "-o"}}) {
    EXPECT_EQ(Drop(words), words);
  }
  EXPECT_EQ(Drop({"run", "--", "env", "--", "x"}), (Words{"run", "env", "--", "x"}));
}

}  // namespace
}  // namespace memtrace
